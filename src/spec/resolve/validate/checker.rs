//! Gathers problems, each with the place it came from.

use crate::api::schema::Table;
use crate::api::schema::check::Finding;
use crate::spec::problem::{Kind, Problem};
use crate::spec::request::Origin;
use crate::spec::resolve::texts;
use serde_json::Value;

/// Collects problems.
pub(super) struct Checker<'a> {
    pub(super) origin: &'a Origin,
    pub(super) problems: Vec<Problem>,
}

impl Checker<'_> {
    pub(super) fn add(&mut self, path: &str, message: String, kind: Kind) {
        self.add_at(path, message, self.origin.locate(path), kind);
    }

    pub(super) fn add_at(&mut self, path: &str, message: String, location: Option<String>, kind: Kind) {
        self.problems.push(texts::in_its_place(Problem { path: path.to_owned(), message, location, kind }));
    }

    /// What does not fit the description of the API: form in the spec itself, content where a table of a release describes it.
    pub(super) fn add_found(&mut self, findings: Vec<Finding<'_>>) {
        for found in findings {
            let kind = if found.table == Some(Table::Spec) { Kind::Form } else { Kind::Content };
            let advice = found.no_text.map(|value| self.advice(&found.path, value)).unwrap_or_default();
            self.add(&found.path, found.message + &advice, kind);
        }
    }

    /// How to write a text that was read as something else.
    pub(super) fn advice(&self, path: &str, found: &Value) -> String {
        texts::advice(found, path, self.origin.written(path).as_deref())
    }
}
