//! Makes live objects equal desired ones, with as few requests as that takes.
//!
//! A live object counts as equal when every field that is desired has its value there and every field we own is desired;
//! what others added is theirs. Equal objects are not written. Nothing here waits or retries.

mod adjust;
pub mod drift;
mod effect;
mod handover;
mod place;
mod removal;
mod values;

use crate::cluster::{Cluster, ClusterError, value_of};
use crate::object::{Object, ObjectKey};
pub use adjust::Replicas;
pub use effect::{Effect, foresee};
use kube::api::DynamicObject;
use serde_json::Value;

/// A desired object beside the live one.
pub struct Comparison {
    /// What is to be applied, fitted to what is there.
    pub desired: Object,
    /// The fields in which they differ; `["."]` where there is no live object, or none that we applied.
    pub differences: Vec<String>,
    /// The fields in which they may differ, or a default of the API server's stands: see [`settle`].
    pub unclear: Vec<String>,
    /// The names of the managers who set these fields.
    pub by: Vec<String>,
}

impl Comparison {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.unclear.is_empty()
    }
}

/// Compares an object with the live one, if there is one. Pure.
#[must_use]
pub fn compare(desired: &Object, live: Option<&DynamicObject>, replicas: Replicas) -> Comparison {
    let is_going = live.is_some_and(|live| live.metadata.deletion_timestamp.is_some());
    let value = live.map(value_of);
    compare_values(desired, value.as_ref(), is_going, replicas)
}

/// The same once the object were taken over, which it is not. Pure.
#[must_use]
pub fn compare_as_taken_over(desired: &Object, live: &DynamicObject, replicas: Replicas) -> Comparison {
    let mut value = value_of(live);
    if let Some(fields) = handover::handed_over(&value)
        && let Some(own) = value.pointer_mut("/metadata/managedFields")
    {
        *own = fields.into();
    }
    compare_values(desired, Some(&value), live.metadata.deletion_timestamp.is_some(), replicas)
}

fn compare_values(desired: &Object, live: Option<&Value>, is_going: bool, replicas: Replicas) -> Comparison {
    let mut desired = desired.clone();
    adjust::adjust_desired(&mut desired, live, replicas);
    let Some(live) = live.filter(|_| !is_going) else {
        return Comparison { desired, differences: vec![".".into()], unclear: vec![], by: vec![] };
    };
    let found = drift::differences(&desired.value(), live);
    let by = drift::managers_of(live, &found.paths);
    Comparison { desired, differences: found.paths, unclear: found.unclear, by }
}

/// Has the API server say whether what is unclear differs, where nothing else does: what would become of the object is
/// compared with what it is. A server that cannot say so is told by the write.
pub async fn settle(cluster: &Cluster, mut comparison: Comparison, live: &DynamicObject) -> Comparison {
    if comparison.unclear.is_empty() {
        return comparison;
    }
    let unclear = std::mem::take(&mut comparison.unclear);
    let is_same = comparison.differences.is_empty()
        && stays_the_same(cluster, &comparison.desired, live).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot ask what would become of the object");
            false
        });
    if !is_same {
        comparison.by = drift::managers_of(&value_of(live), &unclear);
        comparison.differences.extend(unclear);
    }
    comparison
}

/// Whether an object would be the same after it is applied. Its controller may write it meanwhile: then it is asked again.
async fn stays_the_same(cluster: &Cluster, desired: &Object, live: &DynamicObject) -> Result<bool, ClusterError> {
    const TRIES: u32 = 3;
    let (key, mut now) = (desired.key(), live.clone());
    for _ in 0..TRIES {
        if content(&cluster.apply(desired, true).await?) == content(&now) {
            return Ok(true);
        }
        match cluster.get(desired.api_version(), &key).await? {
            Some(newer) if newer.metadata.resource_version != now.metadata.resource_version => now = newer,
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// An object without what is no one's wish: the status, and what the API server keeps of each object.
pub(crate) fn content(live: &DynamicObject) -> Value {
    const OF_THE_SERVER: [&str; 6] =
        ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];
    let mut value = value_of(live);
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !OF_THE_SERVER.contains(&name.as_str()));
    }
    value
}

/// Applies what was compared; returns what the object has become.
///
/// # Errors
/// What the API server says.
pub async fn write(cluster: &Cluster, comparison: &Comparison) -> Result<DynamicObject, ClusterError> {
    cluster.apply(&comparison.desired, false).await
}

/// Makes the fields that an installer before us set ours, so that those nobody wants any more can go. One write, of nothing
/// but `managedFields`, and none where there are no such fields. Returns the object as it is now, `None` if it has gone.
///
/// # Errors
/// What the API server says; somebody may change the object again and again meanwhile.
pub async fn take_over(
    cluster: &Cluster,
    api_version: &str,
    key: &ObjectKey,
    mut live: DynamicObject,
) -> Result<Option<DynamicObject>, ClusterError> {
    const TRIES: u32 = 3;
    let mut tries = 0;
    loop {
        let Some(patch) = handover::patch(&value_of(&live)) else { return Ok(Some(live)) };
        tries += 1;
        match cluster.patch(api_version, key, patch).await {
            Err(error) if error.code() == Some(409) && tries < TRIES => {}
            Err(error) if error.is_absent() => return Ok(None),
            other => return other.map(Some),
        }
        match cluster.get(api_version, key).await? {
            Some(now) => live = now,
            None => return Ok(None),
        }
    }
}

/// The installers before us whose fields [`take_over`] would make ours, each with these fields as paths. Pure.
#[must_use]
pub fn handed_over_by(live: &DynamicObject) -> Vec<(String, Vec<String>)> {
    handover::earlier(&value_of(live))
}

/// Whether an autoscaler has set the replicas of an object; it may be gone since.
#[must_use]
pub fn is_scaled_by_an_autoscaler(live: &DynamicObject) -> bool {
    adjust::is_scaled_by_an_autoscaler(&value_of(live))
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
    // Whose replicas they are, the other resource knows.
    compare(&desired, Some(live), Replicas::Autoscaled).differences
}
