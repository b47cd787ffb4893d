//! What `src/lib.rs` and `CONTRIBUTING.md` promise of the code's form: the order of modules, what the pure ones leave alone, and
//! sizes.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/source.rs"]
mod source;

use imports::{Module, circles, imports, method_calls, module_of, paths};
use source::{Function, Source, blank, sources, words};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
    "diff",
    "translation",
    "upgrade",
    // The cluster.
    "cluster",
    // Where release packages come from: the network, and a cache on disk.
    "source",
    "install",
    // What a process shows of itself.
    "process",
    "controller",
    "cli",
];

/// Crates that talk, wait or spawn, which nothing before `cluster` may use.
const TALKING: &[&str] = &["tokio", "tokio_util", "futures", "kube", "hyper", "hyper_util"];

/// What else is of the machine, of the moment, or of another process.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread::sleep",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
];
/// The same, by the ends of paths that say enough where the beginning is imported.
const IMPURE_ENDS: &[&str] =
    &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "File::open", "File::create", "thread::sleep"];
/// The same, of a path.
const IMPURE_CALLS: &[&str] = &[".exists()", ".is_dir()", ".is_file()", ".read_dir()", ".canonicalize()"];

/// Pure files that read files all the same. Release packages are read from folders; a profile may be a file, and is to be read
/// by whoever reads the spec.
const READS_FILES: &[&str] = &["src/release/", "src/spec/resolve/profile.rs"];

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 60;
const LONGEST_TEST: usize = 120;
const LONGEST_NAME_OF_A_TEST: usize = 70;

/// How many functions may be handed a whole resource. What needs only its name, or one thing that it says, takes that; what
/// belongs to one reconcile is a method of `Reconcile`.
const MOST_THAT_TAKE_A_RESOURCE: usize = 15;

const EVERYTHING: &[&str] = &["src", "tests", "crates"];

fn text_of(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn rank(module: &[String]) -> Option<usize> {
    ORDER.iter().position(|m| Some(*m) == module.first().map(String::as_str))
}

/// The files before `cluster`.
fn pure_sources() -> Vec<Source> {
    let cluster = ORDER.iter().position(|module| *module == "cluster");
    let is_pure = |source: &Source| module_of(&source.path).and_then(|module| rank(&module)) < cluster;
    let all = sources(&["src"]).into_iter().filter(|source| module_of(&source.path).is_some_and(|m| !m.is_empty()));
    all.filter(is_pure).collect()
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let files = sources(&["src"]);
    let modules: BTreeSet<_> = files.iter().filter_map(|file| module_of(&file.path)?.first().cloned()).collect();
    assert_eq!(modules, ORDER.iter().map(|module| (*module).to_owned()).collect());
}

#[test]
fn modules_import_only_from_those_to_their_left() {
    let against = |import: &imports::Import| rank(&import.to) > rank(&import.from) && rank(&import.from).is_some();
    let all = imports(&sources(&["src"]));
    assert!(all.len() > 300, "{} imports are too few to be all", all.len());
    let wrong = all.iter().filter(|import| against(import));
    let wrong: Vec<_> =
        wrong.map(|i| format!("{}:{}: must not import from {}", i.path, i.line, named(&i.to))).collect();
    assert_none(&wrong);
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let sources = sources(&["src"]);
    let calls = method_calls(&sources);
    assert!(calls.len() > 20, "{} calls of methods in other files are too few to be all", calls.len());
    let found = circles(&imports(&sources).into_iter().chain(calls).collect());
    let told = |circle: &BTreeSet<Module>| circle.iter().map(|module| named(module)).collect::<Vec<_>>().join(" ");
    assert_none(&found.iter().map(|circle| format!("use each other: {}", told(circle))).collect::<Vec<_>>());
}

fn named(module: &[String]) -> String {
    if module.is_empty() { "the crate's root".to_owned() } else { module.join("::") }
}

/// Where one of the paths is used: as it stands, through a group, or by its last name.
fn uses_of(code: &str, forbidden: &[&str]) -> Vec<(usize, String)> {
    let mut found = vec![];
    for root in forbidden.iter().filter_map(|path| path.split("::").next()).collect::<BTreeSet<_>>() {
        for at in words(code, &format!("{root}::")).into_iter().filter(|at| !code[..*at].ends_with("::")) {
            let used = paths(&code[at..]).0.into_iter().map(|names| names.join("::") + "::");
            let is_one = |path: &String| forbidden.iter().any(|f| path.starts_with(&format!("{f}::")));
            found.extend(used.filter(is_one).map(|path| (at, path.trim_end_matches("::").to_owned())));
        }
    }
    found
}

#[test]
fn nothing_before_the_cluster_talks_or_waits() {
    for source in pure_sources() {
        let code = source.without_tests();
        let wrong = uses_of(&code, TALKING).into_iter();
        assert_none(
            &wrong.map(|(at, what)| format!("{}:{}: {what}", source.path, source.line(at))).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn nothing_before_the_cluster_reads_files_variables_or_clocks() {
    let mut wrong = vec![];
    let mut reads_files = BTreeSet::new();
    for source in pure_sources() {
        let code = source.without_tests();
        let calls = IMPURE_CALLS.iter().flat_map(|call| code.match_indices(call));
        let ends = IMPURE_ENDS.iter().flat_map(|end| words(&code, end).into_iter().map(move |at| (at, *end)));
        let found = uses_of(&code, IMPURE).into_iter();
        for (at, what) in found.chain(calls.chain(ends).map(|(at, what)| (at, what.to_owned()))) {
            match READS_FILES.iter().find(|path| source.path.starts_with(**path)) {
                Some(known) if what.starts_with("std::fs") || IMPURE_CALLS.contains(&what.as_str()) => {
                    reads_files.insert(*known);
                }
                _ => wrong.push(format!("{}:{}: {what}", source.path, source.line(at))),
            }
        }
    }
    assert_none(&wrong);
    assert_eq!(
        reads_files,
        READS_FILES.iter().copied().collect(),
        "what reads no files any more must not be in the list"
    );
}

#[test]
fn the_documentation_names_the_modules_in_this_order() {
    let text = text_of("src/lib.rs");
    let docs: String = text.lines().filter_map(|l| l.strip_prefix("//!")).collect();
    let list = docs.split_once("Modules import only").expect("no order in the documentation").1;
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).filter(|n| ORDER.contains(n)).collect();
    assert_eq!(named, ORDER);
}

/// The rows of a document's tables that end in a test, those of the heading left out.
fn rows_with_tests(document: &str, from: &str) -> Vec<String> {
    let text = text_of(document);
    let (_, section) = text.split_once(from).expect("no such section");
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned).collect()
}

#[test]
fn every_complaint_and_every_promise_names_tests_that_there_are() {
    let files = sources(EVERYTHING);
    let tests: BTreeSet<_> = files.iter().flat_map(Source::functions).filter(|f| f.is_test).map(|f| f.name).collect();
    for (document, from) in [("docs/complaints.md", "# "), ("docs/safety.md", "## Promises")] {
        let rows = rows_with_tests(document, from);
        assert!(rows.len() > 20, "{document}");
        for row in rows {
            let named: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
            assert!(!named.is_empty(), "{row}");
            for test in named.into_iter().filter(|test| !test.starts_with("bench ")) {
                assert!(tests.contains(test), "{document}: there is no test {test}");
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let long = sources(EVERYTHING).into_iter().map(|source| (source.code.lines().count(), source.path));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > LONGEST_FILE).collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines: {long:#?}");
}

/// No function is wrong in this way; else each is named with its place.
fn assert_no_function(is_wrong: impl Fn(&Function) -> bool) {
    let of_file = |source: &Source| {
        let wrong = source.functions().into_iter().filter(&is_wrong);
        wrong.map(|f| format!("{}:{}: {} has {} lines", source.path, f.line, f.name, f.lines)).collect::<Vec<_>>()
    };
    assert_none(&sources(EVERYTHING).iter().flat_map(of_file).collect::<Vec<_>>());
}

#[test]
fn no_function_is_too_long_to_read() {
    assert_no_function(|f| f.lines > if f.is_for_tests { LONGEST_TEST } else { LONGEST_FUNCTION });
}

#[test]
fn the_name_of_a_test_fits_on_a_line() {
    assert_no_function(|f| f.is_test && f.name.chars().count() > LONGEST_NAME_OF_A_TEST);
}

#[test]
fn few_functions_are_handed_a_whole_resource() {
    let takes_one = |f: &Function| !f.is_for_tests && !words(&f.parameters, "ObservedResource").is_empty();
    let of_file = |source: &Source| {
        let found = source.functions().into_iter().filter(takes_one);
        found.map(|f| format!("{}:{}: {}", source.path, f.line, f.name)).collect::<Vec<_>>()
    };
    let found: Vec<_> = sources(&["src"]).iter().flat_map(of_file).collect();
    assert!((5..=MOST_THAT_TAKE_A_RESOURCE).contains(&found.len()), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = r##"let a = "fn { \" }"; // fn x() {
let (b, c) = ('{', '\''); /* /* } */ { */ let d: &'a str = r#"" } "#;
#[test]
fn one(x: [u8; 2]) { if x == b"}" { two::<'{'>() } }
trait T { fn three(); }"##;
    let source = Source { path: "src/a.rs".into(), code: blank(text) };
    assert_eq!(source.code.matches(['{', '}']).count(), 6, "{}", source.code);
    let found: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.lines, f.is_test)).collect();
    assert_eq!(found, [("one".to_owned(), 4, 1, true)]);
    assert_eq!(source.functions()[0].parameters, "x: [u8; 2]");
}

#[test]
fn the_imports_of_a_file_are_read_to_their_end() {
    let file = |path: &str, code: &str| Source { path: path.into(), code: blank(code) };
    let imports = imports(&[
        file("src/lib.rs", "pub mod a; pub mod b; pub mod c;"),
        file("src/a/mod.rs", "mod x;\npub use x::X;\npub mod y;\npub struct A;"),
        file("src/a/x.rs", "use super::{A, y::{Y as Z, Q}};"),
        file("src/a/y.rs", "// use crate::c::C;\nfn f() { crate::b::f() }"),
        file("src/b.rs", "use crate::{\n    a::X,\n    c,\n};\n#[cfg(test)]\nmod tests {\n use crate::a::A;\n}"),
        file("src/c.rs", "fn g() -> my_crate::a::A { std::mem::take(super::b::B) }"),
    ]);
    let found: Vec<_> = imports.iter().map(|i| format!("{} {}", named(&i.from), named(&i.to))).collect();
    assert_eq!(found, ["a::x a", "a::x a::y", "a::y b", "b a::x", "b c", "c b"]);
    let circles: Vec<Vec<Module>> = circles(&imports).into_iter().map(|circle| circle.into_iter().collect()).collect();
    let [circle] = &circles[..] else { panic!("{circles:?}") };
    assert_eq!(circle.iter().map(|m| named(m)).collect::<Vec<_>>(), ["a::x", "a::y", "b", "c"]);
}

#[test]
fn paths_are_found_by_whatever_way_they_are_imported() {
    let code =
        "use std::{fmt, fs};\nuse std::io::{self, stdin};\nlet x = std::env::var(a);\nmy_std::fs::x(std::net::IpAddr);";
    let found: Vec<_> = uses_of(code, IMPURE).into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["std::fs", "std::io::stdin", "std::env::var"]);
}
