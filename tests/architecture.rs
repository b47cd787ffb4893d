//! The order of modules that the crate's documentation promises, and the size of files.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from itself and from those before it.
const ORDER: &[&str] = &[
    "failure",
    // From a spec to objects: pure.
    "api",
    "object",
    "spec",
    "release",
    "render",
    "inject",
    // The cluster.
    "cluster",
    "install",
    // What a process shows of itself.
    "process",
    "controller",
    "cli",
];

/// Crates that talk, wait or spawn, which nothing before `cluster` may use.
const TALKING: &[&str] = &["tokio", "tokio_util", "futures", "kube", "hyper", "hyper_util"];

const LONGEST_FILE: usize = 600;

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = vec![];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => open.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The top-level module of a file; `None` for the crate's roots.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = Path::new(below.iter().next().unwrap()).file_stem().unwrap().to_string_lossy().into_owned();
    (!["lib", "main"].contains(&first.as_str())).then_some(first)
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|m| *m == module)
}

/// The text with comments blanked, line by line; links of documentation may point anywhere.
fn without_comments(text: &str) -> String {
    text.lines().map(|l| if l.trim_start().starts_with("//") { "" } else { l }).collect::<Vec<_>>().join("\n")
}

/// Line numbers and first names of all paths below `prefix`, also of `prefix{a, b::c}`.
fn paths_below(text: &str, prefix: &str) -> Vec<(usize, String)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = vec![];
    for (at, _) in text.match_indices(prefix).filter(|(at, _)| !text[..*at].ends_with(is_name)) {
        let line = text[..at].lines().count();
        let rest = &text[at + prefix.len()..];
        let names = match rest.strip_prefix('{') {
            None => vec![rest],
            Some(group) => first_level(group),
        };
        for name in names {
            let name: String = name.trim_start().chars().take_while(|c| is_name(*c)).collect();
            found.push((line, name));
        }
    }
    found
}

/// The items of a group up to its closing brace, those of inner groups left out.
fn first_level(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut items) = (0, 0, vec![]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn modules_import_only_from_those_to_their_left() {
    let mut wrong = vec![];
    for path in rust_files("src") {
        let Some(module) = module_of(&path) else { continue };
        let Some(own) = rank(&module) else {
            wrong.push(format!(
                "{}: give `{module}` a place in ORDER and in the documentation of src/lib.rs",
                path.display()
            ));
            continue;
        };
        let text = without_comments(&fs::read_to_string(&path).unwrap());
        for (line, name) in paths_below(&text, "crate::") {
            if rank(&name).is_some_and(|other| other > own) {
                wrong.push(format!("{}:{line}: `{module}` must not import from `{name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn nothing_before_the_cluster_talks_or_waits() {
    let mut wrong = vec![];
    for path in rust_files("src") {
        if module_of(&path).and_then(|m| rank(&m)).is_none_or(|own| own >= rank("cluster").unwrap()) {
            continue;
        }
        let text = without_comments(&fs::read_to_string(&path).unwrap());
        for name in TALKING {
            let uses = paths_below(&text, &format!("{name}::"));
            wrong.extend(uses.iter().map(|(line, _)| format!("{}:{line}: uses {name}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_documentation_names_the_modules_in_this_order() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let docs: String = text.lines().filter_map(|l| l.strip_prefix("//!")).collect();
    let list = docs.split_once("Modules import only").expect("no order in the documentation").1;
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).filter(|n| rank(n).is_some()).collect();
    let shown: Vec<&str> = ORDER.iter().copied().filter(|m| named.contains(m)).collect();
    assert_eq!(named, shown);
    let silent: Vec<_> = ORDER.iter().filter(|m| !named.contains(m)).collect();
    assert!(silent.is_empty(), "src/lib.rs does not place {silent:?}");
}

/// The rows of a document's tables that end in a test, those of the heading left out.
fn rows_with_tests(document: &str, from: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let (_, section) = text.split_once(from).expect("no such section");
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned).collect()
}

#[test]
fn every_complaint_and_every_promise_names_tests_that_there_are() {
    let files = ["src", "tests", "crates"].into_iter().flat_map(rust_files);
    let code: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    for (document, from) in [("docs/complaints.md", "# "), ("docs/safety.md", "## Promises")] {
        let rows = rows_with_tests(document, from);
        assert!(rows.len() > 20, "{document}");
        for row in rows {
            let tests: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
            assert!(!tests.is_empty(), "{row}");
            for test in tests.into_iter().filter(|test| !test.starts_with("bench ")) {
                assert!(code.contains(&format!("fn {test}(")), "there is no {test}");
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let files = ["src", "tests", "crates"].into_iter().flat_map(rust_files);
    let long: Vec<_> = files
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines: {long:#?}");
}

#[test]
fn groups_of_imports_are_read_to_their_end() {
    let text = "use crate::{\n    a::{b, c},\n    d,\n};\nfn f() { crate::e::g(); my_crate::h(); }\n// x";
    let found = paths_below(&without_comments(text), "crate::");
    let found: Vec<_> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
    assert_eq!(found, [(1, "a"), (1, "d"), (1, ""), (5, "e")]);
}
