//! The files of the crate, read as far as their imports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of the library.
pub struct Source {
    /// Its module, such as `helm::chart`.
    pub module: String,
    pub text: String,
    /// The text without comments and tests.
    pub code: String,
    /// The modules of this crate that it names.
    pub imports: BTreeSet<String>,
    /// What it imports of `std`, such as `std::fs`.
    pub imports_std: BTreeSet<String>,
}

impl Source {
    /// All files but `lib.rs`, `main.rs` and those of tests.
    pub fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = vec![];
        collect(&root, &mut found);
        let found: Vec<_> = found.into_iter().filter_map(|path| Some((module_of(&root, &path)?, path))).collect();
        let modules: BTreeSet<String> = found.iter().map(|(module, _)| module.clone()).collect();
        let files = found.into_iter().map(|(module, path)| {
            let text = std::fs::read_to_string(path).unwrap();
            let code = code(&text);
            let imports = imports(&module, &code, &modules);
            let imports_std = uses(&code).into_iter().filter(|path| path.starts_with("std::"));
            let imports_std = imports_std.map(|path| path.split("::").take(2).collect::<Vec<_>>().join("::")).collect();
            Self { module, text, code, imports, imports_std }
        });
        files.collect()
    }
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "tests" {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !["tests.rs", "testing.rs"].contains(&&*name) {
            found.push(path);
        }
    }
}

/// `src/helm/chart.rs` is `helm::chart`, `src/helm/mod.rs` is `helm`.
fn module_of(root: &Path, path: &Path) -> Option<String> {
    let path = path.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.pop_if(|last| *last == "mod");
    let module = parts.join("::");
    (!["lib", "main"].contains(&module.as_str())).then_some(module)
}

/// The text without comments and without its tests, which stand at the end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.map(|line| line.split(" // ").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The modules that a module names.
pub fn imports(module: &str, code: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let paths = uses(code).into_iter().chain(inline(code));
    let found = paths.filter_map(|path| resolve(module, &path, modules));
    found.filter(|found| found != module).collect()
}

/// The paths of all `use` declarations, groups written out.
fn uses(code: &str) -> Vec<String> {
    let mut paths = vec![];
    for (at, _) in code.match_indices("use ") {
        let begins = code[..at].rsplit('\n').next().unwrap().trim();
        if begins.is_empty() || begins == "pub" || begins.starts_with("pub(") {
            let declaration = code[at + 4..].split(';').next().unwrap();
            write_out("", declaration, &mut paths);
        }
    }
    paths
}

fn write_out(before: &str, path: &str, paths: &mut Vec<String>) {
    let path = path.trim();
    let Some((head, group)) = path.split_once('{') else {
        let name = path.split(" as ").next().unwrap().trim();
        if !name.is_empty() {
            paths.push(format!("{before}{name}"));
        }
        return;
    };
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                write_out(&format!("{before}{head}"), &group[begin..at], paths);
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths that stand in the middle of the code.
fn inline(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c: char| !is_path(c));
    let inner = |word: &&str| (word.starts_with("crate::") || word.starts_with("super::")) && !word.ends_with("::");
    words.filter(inner).map(str::to_owned).collect()
}

/// The innermost module that a path leads through; `None` for what is outside of the crate.
fn resolve(module: &str, path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut parts = path.split("::").map(str::trim).peekable();
    match *parts.peek()? {
        "crate" => {
            base.clear();
            parts.next();
        }
        "self" => drop(parts.next()),
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        // A child may be named without anything in front.
        first if !modules.contains(&format!("{module}::{first}")) => return None,
        _ => {}
    }
    for part in parts {
        base.push(part);
        if !modules.contains(&base.join("::")) {
            base.pop();
            break;
        }
    }
    Some(base.join("::")).filter(|found| !found.is_empty())
}

/// The functions of a formatted file, and how many lines each has.
pub fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = vec![];
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start().split(['(', '<']).next().unwrap();
        let Some(name) = words.strip_prefix("fn ").or_else(|| words.split_once(" fn ").map(|(_, name)| name)) else {
            continue;
        };
        if words.trim_start().starts_with("//") || line.trim_end().ends_with([';', '}']) {
            if line.trim_end().ends_with('}') {
                found.push((name.to_owned(), 1));
            }
            continue;
        }
        // The first line with the same indentation that closes it; a declaration ends with a semicolon.
        let is_end = |l: &&str| {
            let closes = l.len() - l.trim_start().len() == indent && l.trim_start().starts_with(['}', ')']);
            closes && !l.trim_end().ends_with('{')
        };
        let length = lines[at + 1..].iter().position(is_end).map_or(0, |end| end + 2);
        found.push((name.to_owned(), length));
    }
    found
}
