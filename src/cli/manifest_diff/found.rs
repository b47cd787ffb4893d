//! What a comparison finds.

use crate::diff::ObjectChange;
use crate::object::ObjectKey;
use serde::Serialize;

/// What was found.
#[derive(Default, Serialize)]
pub struct Found {
    /// The objects that differ.
    pub objects: Vec<ObjectChange>,
    /// What else there is to say of objects: those that are left alone, or stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Objects of other resources, which want them otherwise: their components would not be applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Note>,
    /// Objects of which it is not known whether they differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Note>,
}

/// Something to say of an object.
#[derive(Serialize)]
pub struct Note {
    /// The object.
    pub object: String,
    /// What.
    pub message: String,
}

impl Note {
    /// Of an object.
    pub fn new(key: &ObjectKey, message: String) -> Self {
        Self { object: key.to_string(), message }
    }
}
