//! What the engine need not read again, since this command has just read or written it.

use crate::install::cached::CachedObject;
use crate::install::{Cache, ComponentOutcome, Outcome, State, Wait};
use crate::object::ObjectKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

/// The objects that stood as they should when they were last looked at; all others are read.
#[derive(Default)]
pub(super) struct Known(BTreeMap<ObjectKey, CachedObject>);

impl Known {
    /// After a run.
    pub(super) fn after(outcome: &Outcome, state: &State, keys: &BTreeSet<ObjectKey>) -> Self {
        let waited: BTreeSet<&ObjectKey> =
            outcome.components.values().flat_map(waits_of).map(|wait| &wait.key).collect();
        let seen = |key: &ObjectKey| {
            let version = state.observed(key)?.resource_version().to_owned();
            let metadata = ObjectMeta { resource_version: Some(version), ..ObjectMeta::default() };
            Some((key.clone(), CachedObject::of("", &metadata)))
        };
        Self(keys.iter().filter(|key| !waited.contains(key)).filter_map(seen).collect())
    }
}

/// What is waited for.
pub(super) fn waits_of(outcome: &ComponentOutcome) -> &[Wait] {
    match outcome {
        ComponentOutcome::Waiting(waits)
        | ComponentOutcome::Establishing(waits)
        | ComponentOutcome::NotProgressing(waits) => waits,
        _ => &[],
    }
}

impl Cache for Known {
    fn get(&self, key: &ObjectKey) -> Option<CachedObject> {
        self.0.get(key).cloned()
    }
}
