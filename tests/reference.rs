//! The reference documents: those that are made of the code are as it is, and those that are written name what there is.
//!
//! `UPDATE=1 cargo test --test reference` writes the former.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "reference/api.rs"]
mod api;
#[path = "reference/commands.rs"]
mod commands;
#[path = "reference/coverage.rs"]
mod coverage;
#[path = "reference/help.rs"]
mod help;
#[path = "reference/messages.rs"]
mod messages;
#[path = "reference/words.rs"]
mod words;

use std::path::{Path, PathBuf};

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The code of the operator, file by file, without the tests in it.
fn code() -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    let mut folders = vec![file("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()));
            }
        }
    }
    assert!(found.len() > 100);
    found
}

/// A document that is made of the code is as it would be made now; with `UPDATE` it becomes so.
fn assert_made(path: &str, made: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file(path).parent().unwrap()).unwrap();
        std::fs::write(file(path), made).unwrap();
    }
    let written = std::fs::read_to_string(file(path)).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).position(|(one, other)| one != other);
    let line = differs.unwrap_or(written.lines().count().min(made.lines().count())) + 1;
    assert!(written == made, "{path} is not what the code says, first in line {line}; UPDATE=1 writes it");
}
