//! Objects that differ, in as few words as a plan needs.

use crate::diff::{Change, ObjectChange};
use crate::object::ObjectKey;
use serde::Serialize;

const DEFINITION: &str = "CustomResourceDefinition";

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// What becomes of it.
    pub change: Change,
    /// Its key.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// The fields that differ; of a definition's schema only that it does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

impl PlannedChange {
    pub(super) fn of(change: &ObjectChange) -> Self {
        let is_definition = change.key.kind == DEFINITION;
        let shortened = |path: &str| match path.split_once(".schema").filter(|_| is_definition) {
            Some((begin, _)) => format!("{begin}.schema"),
            None => path.to_owned(),
        };
        let mut fields: Vec<String> = change.fields.iter().map(|field| shortened(&field.path)).collect();
        fields.dedup();
        Self { change: change.change, key: change.key.clone(), fields }
    }

    /// Whether the object stays although it is not wanted any more: definitions are never deleted.
    pub(super) fn stays(&self) -> bool {
        self.change == Change::Delete && self.key.kind == DEFINITION
    }
}
