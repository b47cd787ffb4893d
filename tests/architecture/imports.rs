//! Which file of `src` uses which others, from the paths in their code.

use crate::source::{Source, is_of_name, words};
use std::collections::{BTreeMap, BTreeSet};

/// Names of modules from the crate's root on.
pub type Module = Vec<String>;

/// A type: the module that defines it, and its name.
type Type<'f> = (&'f Module, &'f str);

/// A block that holds methods of a type: where it is, from where on, and its text.
struct Methods<'f> {
    of: Type<'f>,
    module: &'f Module,
    source: &'f Source,
    begin: usize,
    text: &'f str,
}

/// A use of one file by another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: Module,
    pub to: Module,
    pub path: String,
    pub line: usize,
}

/// The module that a file of `src` holds; `None` for the program's own root.
pub fn module_of(path: &str) -> Option<Module> {
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let names: Module = inner.split('/').map(str::to_owned).filter(|name| name != "mod").collect();
    match inner {
        "lib" => Some(vec![]),
        "main" => None,
        _ => Some(names),
    }
}

/// All uses of files of `src` by others, but by tests. What a module only passes on is a use of where it comes from.
pub fn imports(sources: &[Source]) -> BTreeSet<Import> {
    let files: BTreeMap<Module, (&Source, String)> = sources
        .iter()
        .filter_map(|source| Some((module_of(&source.path)?, (source, source.without_tests()))))
        .collect();
    let passed_on: BTreeMap<(&Module, String), Module> = files
        .iter()
        .flat_map(|(module, (_, code))| {
            passes_on(code).into_iter().map(move |names| {
                let name = names.last().cloned().unwrap_or_default();
                ((module, name), absolute(module, &names))
            })
        })
        .collect();
    let modules: BTreeSet<&Module> = files.keys().collect();
    let target = |path: &[String]| {
        let mut path = path.to_vec();
        loop {
            let depth = (0..=path.len()).rev().find(|depth| modules.contains(&path[..*depth].to_vec()))?;
            let module = path[..depth].to_vec();
            match path.get(depth).and_then(|name| passed_on.get(&(&module, name.clone()))) {
                Some(elsewhere) if *elsewhere != path => path = [elsewhere, &path[depth + 1..]].concat(),
                _ => return Some(module),
            }
        }
    };
    let mut found = BTreeSet::new();
    for (module, (source, code)) in &files {
        for (at, names) in used(module, code, &modules) {
            let names = absolute(module, &names);
            if let Some(to) = target(&names).filter(|to| to != module) {
                let (from, path, line) = (module.clone(), source.path.clone(), source.line(at));
                found.insert(Import { from, to, path, line });
            }
        }
    }
    found
}

/// The uses of files by others that hold methods of the same type, where one calls another one's.
pub fn method_calls(sources: &[Source]) -> BTreeSet<Import> {
    let files: Vec<(Module, &Source, String)> =
        sources.iter().filter_map(|source| Some((module_of(&source.path)?, source, source.without_tests()))).collect();
    let types = types(&files);
    let blocks: Vec<Methods<'_>> = files
        .iter()
        .flat_map(|(module, source, code)| {
            let types = &types;
            blocks_of_methods(code).into_iter().filter_map(move |(name, begin)| {
                let of = defined(types, name, module)?;
                Some(Methods { of, module, source, begin, text: block(code, begin) })
            })
        })
        .collect();
    let mut homes: BTreeMap<(Type<'_>, &str), BTreeSet<&Module>> = BTreeMap::new();
    for Methods { of, module, text, .. } in &blocks {
        for at in words(text, "fn") {
            homes.entry((*of, name_at(text[at + 2..].trim_start()))).or_default().insert(module);
        }
    }
    let calls = blocks.iter().flat_map(|block| {
        let homes = &homes;
        block.text.match_indices("self.").flat_map(move |(at, receiver)| {
            let method = name_at(&block.text[at + receiver.len()..]);
            let is_call = block.text[at + receiver.len() + method.len()..].starts_with('(');
            let homes = homes.get(&(block.of, method)).filter(|homes| is_call && !homes.contains(block.module));
            homes.into_iter().flatten().map(move |home| Import {
                from: block.module.clone(),
                to: (*home).clone(),
                path: block.source.path.clone(),
                line: block.source.line(block.begin + at),
            })
        })
    });
    calls.collect()
}

/// Where each type is defined.
fn types<'f>(files: &'f [(Module, &Source, String)]) -> BTreeMap<&'f str, BTreeSet<&'f Module>> {
    let mut types: BTreeMap<&str, BTreeSet<&Module>> = BTreeMap::new();
    for (module, _, code) in files {
        for keyword in ["struct", "enum"] {
            for at in words(code, keyword) {
                types.entry(name_at(code[at + keyword.len()..].trim_start())).or_default().insert(module);
            }
        }
    }
    types
}

/// The type that a name stands for in a module: its own, or that of the nearest module around it, or the only one.
fn defined<'f>(types: &BTreeMap<&'f str, BTreeSet<&'f Module>>, name: &str, module: &Module) -> Option<Type<'f>> {
    let (name, homes) = types.get_key_value(name)?;
    let around = homes.iter().filter(|home| module.starts_with(home)).max_by_key(|home| home.len());
    let home = around.or_else(|| homes.first().filter(|_| homes.len() == 1))?;
    Some((home, name))
}

/// The types whose own methods code holds, each with the place of the block that holds them.
fn blocks_of_methods(code: &str) -> Vec<(&str, usize)> {
    let begins = code.match_indices("\nimpl").map(|(at, _)| at + 1);
    let blocks = begins.filter_map(|at| {
        let (header, _) = code[at..].split_once('{')?;
        let inner = header.strip_prefix("impl")?;
        let inner =
            inner.strip_prefix('<').map_or(inner, |generic| generic.split_once('>').map_or("", |(_, rest)| rest));
        (!header.contains(" for ")).then(|| (name_at(inner.trim_start()), at + header.len()))
    });
    blocks.collect()
}

/// A block that ends at the beginning of a line.
fn block(code: &str, at: usize) -> &str {
    code[at..].find("\n}").map_or(&code[at..], |end| &code[at..at + end])
}

fn name_at(text: &str) -> &str {
    &text[..text.find(|c| !is_of_name(c)).unwrap_or(text.len())]
}

/// The paths that a module has others see as its own.
fn passes_on(code: &str) -> Vec<Module> {
    let statements = words(code, "pub").into_iter().filter_map(|at| {
        let after = code[at + 3..].trim_start();
        let after = after.strip_prefix('(').map_or(after, |inner| inner.split_once(')').unwrap().1.trim_start());
        after.strip_prefix("use ")
    });
    statements.flat_map(|tree| paths(tree).0).collect()
}

/// The paths of other modules that the code has, each with its place. One that is passed on is used where its name stands once
/// more.
fn used(module: &Module, code: &str, modules: &BTreeSet<&Module>) -> Vec<(usize, Module)> {
    let children = modules.iter().filter(|m| m.len() == module.len() + 1 && m.starts_with(module));
    let children = children.filter_map(|m| m.last()).map(String::as_str);
    let first = ["crate", "super", "self"].into_iter().chain(children).map(|name| format!("{name}::"));
    let places = first.flat_map(|name| words(code, &name));
    let mut found = vec![];
    // Who may see something is no use of them.
    for at in places.filter(|at| !code[..*at].ends_with("::") && !code[..*at].ends_with("pub(in ")) {
        let statement = code[..at].rfind([';', '}']).map_or(0, |at| at + 1);
        let is_passed_on = code[statement..at].contains("pub") && code[statement..at].trim_end().ends_with("use");
        let all = paths(&code[at..]).0;
        let counts = |names: &Module| !is_passed_on || names.last().is_some_and(|name| words(code, name).len() > 1);
        found.extend(all.into_iter().filter(counts).map(|names| (at, names)));
    }
    found
}

/// From the crate's root on.
fn absolute(module: &Module, names: &[String]) -> Module {
    let (mut base, mut names) = (module.clone(), names);
    while let [first, rest @ ..] = names {
        match first.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        names = rest;
    }
    [&base, names].concat()
}

/// The paths of a tree such as `a::{b, c::d}`, and what comes after it.
pub fn paths(tree: &str) -> (Vec<Module>, &str) {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        let mut all = vec![];
        while !rest.trim_start().starts_with('}') && !rest.is_empty() {
            let (found, after) = paths(rest);
            all.extend(found);
            // Up to the next one, over another name that it is given.
            let end = after.find([',', '}']).unwrap_or(after.len());
            rest = after[end..].strip_prefix(',').unwrap_or(&after[end..]);
        }
        return (all, rest.trim_start().strip_prefix('}').unwrap_or(rest));
    }
    let end = tree.find(|c| !is_of_name(c)).unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    let further = rest.strip_prefix("::").filter(|rest| rest.starts_with(|c| is_of_name(c) || c == '{'));
    let Some(further) = further else { return (vec![vec![name.to_owned()]], rest) };
    let (found, rest) = paths(further);
    (found.into_iter().map(|names| [vec![name.to_owned()], names].concat()).collect(), rest)
}

/// The groups of modules each of which uses all others of its group, by whatever detours.
pub fn circles(imports: &BTreeSet<Import>) -> BTreeSet<BTreeSet<Module>> {
    let mut uses: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for import in imports {
        uses.entry(&import.from).or_default().insert(&import.to);
    }
    let reached = |from: &Module| {
        let (mut open, mut seen) = (vec![from], BTreeSet::new());
        while let Some(module) = open.pop() {
            let next = uses.get(module).into_iter().flatten();
            open.extend(next.filter(|next| seen.insert((**next).clone())));
        }
        seen
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = uses.keys().map(|module| (*module, reached(module))).collect();
    let circle = |(module, all): (&&Module, &BTreeSet<Module>)| {
        all.iter().filter(|other| reach.get(other).is_some_and(|back| back.contains(*module))).cloned().collect()
    };
    reach.iter().map(circle).filter(|circle: &BTreeSet<Module>| circle.len() > 1).collect()
}
