//! `docs/coverage.md`: what a user of release 1.17 is promised, with the test that shows it here.

use crate::{file, read};
use regex::Regex;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let mut folders: Vec<PathBuf> = ["src", "tests", "crates"].map(file).to_vec();
    let pattern =
        Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?(?:async )?fn ([a-z0-9_]+)").unwrap();
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                names.extend(pattern.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
    }
    names
}

fn named(document: &str) -> Vec<(String, Vec<String>)> {
    let text = read(document);
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| row"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let tests = cells
            .last()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains('_'))
            .map(ToOwned::to_owned)
            .collect();
        (cells[0].to_owned(), tests)
    })
    .collect()
}

#[test]
fn every_promise_names_its_test_or_says_why_there_is_none() {
    let (there, rows) = (tests(), named("docs/coverage.md"));
    let expected = [('A', 27), ('B', 20), ('C', 16), ('D', 27), ('E', 12)];
    let expected: Vec<String> =
        expected.iter().flat_map(|(part, count)| (1..=*count).map(move |n| format!("{part}{n}"))).collect();
    assert_eq!(rows.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>(), expected);
    let text = read("docs/coverage.md");
    for (row, tests) in rows {
        let line = text.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap();
        assert!(!tests.is_empty() || line.contains("not here: "), "{row} names no test, and does not say why");
        for test in tests {
            assert!(there.contains(&test), "{row}: there is no test {test}");
        }
    }
}

#[test]
fn the_documents_of_moves_name_tests_that_there_are() {
    let there = tests();
    let pattern = Regex::new("`([a-z0-9]+(?:_[a-z0-9]+){3,})`").unwrap();
    for document in ["docs/migration.md", "docs/gitops.md", "docs/architecture.md"] {
        let text = read(document);
        for found in pattern.captures_iter(&text) {
            assert!(there.contains(&found[1]), "{document}: there is no test {}", &found[1]);
        }
    }
}
