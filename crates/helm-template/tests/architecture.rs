//! The shape of the crate: who imports whom, how long files and functions are, and who may reach outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

#[path = "architecture/source.rs"]
mod source;

use source::Source;
use std::collections::BTreeSet;

/// The layers of the crate. A file imports only from its own layer and from those before it.
const LAYERS: [&[&str]; 5] =
    [&["ascii", "number", "json", "yaml", "threads"], &["gotmpl"], &["sprig"], &["helm"], &["cli"]];

/// The files that may import each other in a circle: the evaluator, in which functions call templates and templates call
/// functions, and the reader of YAML.
const CIRCLES: [&str; 2] = ["gotmpl::exec", "yaml::read"];

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 60;

/// What reaches outside of the process, and the only files in which it may stand.
const OUTSIDE: [(&str, &[&str]); 4] = [
    ("std::fs", &["helm::source", "cli"]),
    ("std::env", &["gotmpl::host"]),
    ("SystemTime", &["gotmpl::host"]),
    ("Instant::now", &["gotmpl::usage"]),
];

fn layer(module: &str) -> Option<usize> {
    let first = module.split("::").next()?;
    LAYERS.iter().position(|layer| layer.contains(&first))
}

fn is_in(module: &str, parent: &str) -> bool {
    module == parent || module.strip_prefix(parent).is_some_and(|rest| rest.starts_with("::"))
}

fn fail_on(wrong: &[String], what: &str) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn files_import_only_from_the_layers_before_theirs() {
    let mut wrong = vec![];
    for file in Source::all() {
        let Some(own) = layer(&file.module) else {
            wrong.push(format!("{} is in no layer", file.module));
            continue;
        };
        let forbidden = file.imports.iter().filter(|import| layer(import).is_none_or(|other| other > own));
        wrong.extend(forbidden.map(|import| format!("{} imports {import}", file.module)));
    }
    fail_on(&wrong, "imports against the order of the layers");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = Source::all();
    let reachable = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(module) = open.pop() {
            let imports = files.iter().find(|file| file.module == module).map(|file| &file.imports);
            for import in imports.into_iter().flatten() {
                let within = CIRCLES.iter().any(|circle| is_in(&module, circle) && is_in(import, circle));
                if !within && seen.insert(import.clone()) {
                    open.push(import.clone());
                }
            }
        }
        seen
    };
    let circular = files.iter().filter(|file| reachable(&file.module).contains(&file.module));
    let wrong: Vec<_> = circular.map(|file| format!("{} → {:?}", file.module, file.imports)).collect();
    fail_on(&wrong, "files in circles");
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = vec![];
    for file in Source::all() {
        let length = file.text.lines().count();
        if length > LONGEST_FILE {
            wrong.push(format!("{} has {length} lines", file.module));
        }
        let long = source::functions(&file.text).into_iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
        wrong.extend(long.map(|(name, lines)| format!("{}: {name} has {lines} lines", file.module)));
    }
    fail_on(&wrong, "too long");
}

#[test]
fn only_few_files_reach_outside() {
    let mut wrong = vec![];
    for file in Source::all() {
        for (name, allowed) in OUTSIDE {
            let used = file.code.contains(name) || file.imports_std.contains(name);
            if used && !allowed.contains(&file.module.as_str()) {
                wrong.push(format!("{} uses {name}", file.module));
            }
        }
    }
    fail_on(&wrong, "files that reach outside");
}

#[test]
fn the_crate_knows_nothing_of_istio() {
    let naming = Source::all().into_iter().filter(|file| file.text.to_lowercase().contains("istio"));
    let wrong: Vec<_> = naming.map(|file| file.module).collect();
    fail_on(&wrong, "files that name it");
}

#[test]
fn the_reader_of_sources_sees_all_imports_and_functions() {
    let modules = ["a", "a::b", "a::b::c", "d"].map(str::to_owned).into();
    let code = "use super::{c::{X, Y}, super::Z};\nuse crate::d::{self, e};\nfn f() { super::g(); crate::a::h() }\n";
    let imports = source::imports("a::b::c", code, &modules);
    assert_eq!(imports.into_iter().collect::<Vec<_>>(), ["a", "a::b", "d"]);
    let functions =
        source::functions("fn a() {}\nimpl X {\n    fn b(\n        c: u8,\n    ) {\n        d();\n    }\n}\n");
    assert_eq!(functions, [("a".to_owned(), 1), ("b".to_owned(), 5)]);
}
