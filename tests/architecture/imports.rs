//! Which file of `src` uses which others, from the paths in their code.

use crate::source::{Source, is_of_name, words};
use std::collections::{BTreeMap, BTreeSet};

/// Names of modules from the crate's root on.
pub type Module = Vec<String>;

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
    for at in places.filter(|at| !code[..*at].ends_with("::")) {
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
