//! Paths and `--set` lines exactly as a release's own command line takes them, also where it loses what was meant: for
//! `--upstream-behavior`.
//!
//! | part | what |
//! |---|---|
//! | [`tree`] | writes and deletes at a path: overlays of all releases, and `--set` until 1.23 |
//! | [`flags`] | `--set` lines |
//!
//! [`patch`](super::patch) and [`set`](super::set) are what is used otherwise: they take every path that has a clear
//! meaning. Facts: release 1.23, `operator/pkg/tpath` and `operator/pkg/util`; release 1.30, `operator/pkg/values`.

pub mod flags;
pub mod tree;

use super::path::clean;
use std::fmt::Display;

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path}: {message}")]
pub struct ExactError {
    /// The path as it was written.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// Whether the release's own process dies of it.
    pub is_fatal: bool,
}

impl ExactError {
    fn new(path: &str, message: impl Display) -> Self {
        Self { path: path.to_owned(), message: message.to_string(), is_fatal: false }
    }
}

/// The elements of a path: text between dots that no backslash precedes, in brackets too, and brackets by themselves.
fn elements(path: &str) -> Vec<String> {
    let path = clean(path);
    let path = path.strip_prefix('.').unwrap_or(&path);
    let path = path.strip_suffix('.').unwrap_or(path);
    let mut elements = vec![];
    for part in split_unescaped(path, '.').into_iter().filter(|part| !part.is_empty()) {
        let part = part.replace("\\.", ".");
        match part.find('[') {
            Some(at) if at > 0 => {
                let (key, brackets) = part.split_at(at);
                elements.extend([key.to_owned(), brackets.to_owned()]);
            }
            _ => elements.push(part),
        }
    }
    elements
}

/// The parts of a text between separators that no backslash precedes.
fn split_unescaped(text: &str, separator: char) -> Vec<&str> {
    let mut parts = vec![];
    let (mut start, mut before) = (0, None);
    for (at, c) in text.char_indices() {
        if c == separator && before != Some('\\') {
            parts.extend(text.get(start..at));
            start = at + c.len_utf8();
        }
        before = Some(c);
    }
    parts.extend(text.get(start..));
    parts
}

/// What stands in the brackets that an element consists of.
fn in_brackets(element: &str) -> Option<&str> {
    element.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_part_a_path_in_brackets_too() {
        for (path, expected) in [
            ("a.b", &["a", "b"] as &[&str]),
            (".a//b/.c.", &["a/b/", "c"]),
            (r"a\.b.c", &["a.b", "c"]),
            ("a[0].b", &["a", "[0]", "b"]),
            ("a.[k:v]", &["a", "[k:v]"]),
            ("a.[k:v.w]", &["a", "[k:v", "w]"]),
            (r"a[k:v\.w]", &["a", "[k:v.w]"]),
            ("a[0][1]", &["a", "[0][1]"]),
            ("", &[]),
            (".", &[]),
        ] {
            assert_eq!(elements(path), expected, "{path}");
        }
    }
}
