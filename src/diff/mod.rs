//! What differs between two sets of Kubernetes objects.
//!
//! In: the objects of both sides, or of one object before and after; what to look at ([`Selection`]). Out: an
//! [`ObjectChange`] for each object that is not the same on both sides, by key: the order of documents and of the keys of maps does
//! not count, nor does it in the texts of a ConfigMap that are YAML or JSON themselves. Guarantee: what a Secret holds is in no
//! change, nor in any text made of one. Pure.

mod fields;
mod hidden;
mod select;
mod text;

pub use fields::{FieldChange, is_below};
pub use select::{PatternError, Selection};
pub use text::{are_labels, summary, table, unified};

use crate::object::{Object, ObjectKey};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of an object from the first side to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Only the second side has it.
    Create,
    /// Both have it, and differently.
    Change,
    /// Only the first side has it.
    Delete,
}

impl Change {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
        }
    }
}

/// An object that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectChange {
    /// What becomes of it.
    pub change: Change,
    /// Its `group/version`, on the second side where that has it.
    pub api_version: String,
    /// Its key.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// The fields that differ, if both sides have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// The object on the first side.
    #[serde(skip)]
    before: Option<Value>,
    /// The object on the second side.
    #[serde(skip)]
    after: Option<Value>,
}

/// The objects that differ, sorted by key.
#[must_use]
pub fn compare<'o>(
    before: impl IntoIterator<Item = &'o Object>,
    after: impl IntoIterator<Item = &'o Object>,
    selection: &Selection,
) -> Vec<ObjectChange> {
    // Of several documents for one object the last one counts, as with whoever applies them one after the other.
    let before: BTreeMap<_, _> = before.into_iter().map(|object| (selection.renamed(object.key()), object)).collect();
    let after: BTreeMap<_, _> = after.into_iter().map(|object| (object.key(), object)).collect();
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).filter(|key| selection.includes(key)).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let sides = [before.get(key), after.get(key)];
        if let [Some(one), Some(other)] = sides
            && one == other
        {
            return None;
        }
        change_of(key, sides.map(|object| object.map(|object| object.value().into_owned())), selection)
    });
    changes.collect()
}

/// What differs between an object before and after; `None` where nothing does, or it is not to be looked at.
#[must_use]
pub fn change_of(
    key: &ObjectKey,
    [mut before, mut after]: [Option<Value>; 2],
    selection: &Selection,
) -> Option<ObjectChange> {
    if !selection.includes(key) {
        return None;
    }
    let change = match (&mut before, &mut after) {
        (None, None) => return None,
        (None, Some(_)) => Change::Create,
        (Some(_), None) => Change::Delete,
        (Some(before), Some(after)) => {
            rename(before, key);
            selection.carry_over(key, before, after);
            Change::Change
        }
    };
    hidden::hide(key, &mut before, &mut after);
    let fields = match (&before, &after) {
        (Some(before), Some(after)) => fields::compare(key, before, after),
        _ => vec![],
    };
    if change == Change::Change && fields.is_empty() {
        return None;
    }
    let api_version = after.as_ref().or(before.as_ref()).and_then(|object| object.get("apiVersion"));
    let api_version = api_version.and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(ObjectChange { change, api_version, key: key.clone(), fields, before, after })
}

/// Gives an object the name that it is compared by.
fn rename(object: &mut Value, key: &ObjectKey) {
    for (field, name) in [("name", &key.name), ("namespace", &key.namespace)] {
        if let Some(Value::String(own)) = object.pointer_mut(&format!("/metadata/{field}")) {
            own.clone_from(name);
        }
    }
}

/// A change below this path of a workload replaces its pods.
pub const POD_TEMPLATE: &str = ".spec.template";

impl ObjectChange {
    /// Whether the pods of a workload are replaced by it.
    #[must_use]
    pub fn replaces_pods(&self) -> bool {
        let is_workload = self.key.group == "apps" && self.change == Change::Change;
        is_workload && self.fields.iter().any(|field| is_below(&field.path, POD_TEMPLATE))
    }

    /// The object on the first side; what a Secret holds is hidden.
    #[must_use]
    pub fn before(&self) -> Option<&Value> {
        self.before.as_ref()
    }

    /// The object on the second side; what a Secret holds is hidden.
    #[must_use]
    pub fn after(&self) -> Option<&Value> {
        self.after.as_ref()
    }
}

/// How many objects there are of each kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Created.
    pub create: usize,
    /// Changed.
    pub change: usize,
    /// Deleted.
    pub delete: usize,
}

impl Summary {
    /// Of changes.
    #[must_use]
    pub fn of(changes: &[ObjectChange]) -> Self {
        let count = |change| changes.iter().filter(|one| one.change == change).count();
        Self { create: count(Change::Create), change: count(Change::Change), delete: count(Change::Delete) }
    }
}

#[cfg(test)]
mod tests;
