//! Makes live objects equal desired ones, with as few requests as that takes.
//!
//! A live object counts as equal when every field that is desired has its value there and every field we own is desired;
//! what others added is theirs. Equal objects are not written. Nothing here waits or retries.

pub mod drift;
mod foreign;

use crate::cluster::{Cluster, ClusterError};
use crate::object::{Object, ObjectKey};
use kube::api::DynamicObject;
use serde_json::Value;

/// A desired object beside the live one.
pub struct Comparison {
    /// What is to be applied, fitted to what is there.
    pub desired: Object,
    /// The fields in which they differ; `["."]` where there is no live object, or none that we applied.
    pub differences: Vec<String>,
    /// The names of the managers who set these fields.
    pub by: Vec<String>,
}

/// Compares an object with the live one, if there is one. Pure.
#[must_use]
pub fn compare(desired: &Object, live: Option<&DynamicObject>) -> Comparison {
    let mut desired = desired.clone();
    let value = live.map(|live| serde_json::to_value(live).unwrap_or_default());
    foreign::fit(&mut desired, value.as_ref());
    let whole = || vec![".".to_owned()];
    let differences = match (&value, live) {
        (Some(value), Some(live)) if live.metadata.deletion_timestamp.is_none() => {
            drift::differences(&desired.value(), value)
        }
        _ => whole(),
    };
    let by = value.map(|value| drift::managers_of(&value, &differences)).unwrap_or_default();
    Comparison { desired, differences, by }
}

/// Applies what was compared; returns what the object has become.
///
/// # Errors
/// What the API server says.
pub async fn write(cluster: &Cluster, comparison: &Comparison) -> Result<DynamicObject, ClusterError> {
    cluster.apply(&comparison.desired, false).await
}

/// Makes the fields that an installer before us set ours, so that those nobody wants any more can go. One write, of nothing
/// but `managedFields`, and none where there are no such fields. Returns the object as it is now.
///
/// # Errors
/// What the API server says; somebody may have changed the object meanwhile.
pub async fn take_over(
    cluster: &Cluster,
    api_version: &str,
    key: &ObjectKey,
    live: DynamicObject,
) -> Result<DynamicObject, ClusterError> {
    let value = serde_json::to_value(&live).unwrap_or_default();
    match foreign::hand_over(&value) {
        None => Ok(live),
        Some(patch) => cluster.patch(api_version, key, patch).await,
    }
}

/// The fields in which they differ, but for the labels that say whose an object is.
#[must_use]
pub fn differences_but_for_owner(desired: &Object, live: &DynamicObject) -> Vec<String> {
    let mut desired = desired.clone();
    let labels = crate::object::labels::OWNER_LABELS;
    if let Some(own) = desired.labels_mut() {
        for label in labels {
            match live.metadata.labels.as_ref().and_then(|l| l.get(label)) {
                Some(value) => own.insert(label.to_owned(), Value::from(value.as_str())),
                None => own.remove(label),
            };
        }
    }
    compare(&desired, Some(live)).differences
}
