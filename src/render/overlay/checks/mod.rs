//! What an API server would refuse for its shape, found before anything is sent: one table of kinds and places.
//!
//! The table ([`table`]) says of each place in an object whether something must stand there, and what. What a line of it
//! cannot say, such as names that may stand but once, is said by a function that the kind names ([`relations`]). Only what
//! every supported API server refuses is refused here; null is nothing.

mod place;
mod relations;
mod table;
#[cfg(test)]
mod tests;

use crate::api::text::describe;
use crate::object::{Object, ObjectKey};
use place::{Found, Path, Want, each};
use serde_json::Value;
use table::{ANY, KINDS, Row};

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The object.
    pub object: String,
    /// The place in it.
    pub path: String,
    /// What must stand there.
    pub message: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { object, path, message } = self;
        write!(f, "{object}: {path}: {message}")
    }
}

/// Everything that is wrong with an object that was `api_version` and `key` before it was changed.
pub(super) fn check(object: &Object, api_version: &str, key: &ObjectKey) -> Vec<Misfit> {
    let mut found = identity(object, api_version, key);
    // CRDs are text, and most of what there is; nobody but their authors changes more than their head.
    if !object.is_crd() && found.is_empty() {
        let value = object.value();
        check_rows(ANY, &value, &Path::Root, &mut found);
        for kind in KINDS.iter().filter(|k| k.group == key.group && k.kinds.contains(&key.kind.as_str())) {
            for (place, rows) in kind.rows {
                each(&value, place, &Path::Root, &mut |node, path| check_rows(rows, node, path, &mut found));
            }
            for relation in kind.relations {
                relation(&value, &mut found);
            }
        }
    }
    if found.is_empty() {
        return vec![];
    }
    let object = key.to_string();
    found.into_iter().map(|(path, message)| Misfit { object: object.clone(), path, message }).collect()
}

/// An object stays the object it is.
fn identity(object: &Object, api_version: &str, key: &ObjectKey) -> Found {
    let pairs = [
        ("apiVersion", object.api_version(), api_version),
        ("kind", object.kind(), key.kind.as_str()),
        ("metadata.name", object.name(), key.name.as_str()),
    ];
    let changed = pairs.into_iter().filter(|(_, now, before)| now != before);
    changed.map(|(path, now, before)| (path.to_owned(), format!("must stay {before:?}, and became {now:?}"))).collect()
}

fn check_rows(rows: &[Row], node: &Value, path: &Path<'_>, found: &mut Found) {
    for (at, needed, want) in rows {
        let (parent, last) = at.rsplit_once('.').unwrap_or(("", at));
        each(node, parent, path, &mut |node, path| {
            if last == "*" {
                for (key, value) in node.as_object().into_iter().flatten() {
                    check_value(Some(value), false, *want, &Path::Field(path, key), found);
                }
            } else if node.is_object() {
                check_value(node.get(last), *needed, *want, &Path::Field(path, last), found);
            }
        });
    }
}

fn check_value(value: Option<&Value>, needed: bool, want: Want, path: &Path<'_>, found: &mut Found) {
    let Some(value) = value.filter(|v| !v.is_null()) else {
        if needed {
            found.push((path.to_string(), format!("is missing; it {}", want.words())));
        }
        return;
    };
    if let Err((inner, want, wrong)) = want.fits(value) {
        found.push((format!("{path}{inner}"), format!("{}, not {}", want.words(), describe(wrong))));
    } else if needed && is_empty(value) {
        found.push((path.to_string(), "must not be empty".to_owned()));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
