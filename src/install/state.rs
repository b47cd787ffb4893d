//! What is remembered of an installation between two runs.
//!
//! Guarantee: but for the inventory it saves requests, and no more. Losing it costs reads, never writes.

use super::injectors::Injectors;
use super::outcome::InstallError;
use super::readiness::Readiness;
use super::repairs::RepairLimiter;
use crate::api::component::Component;
use crate::object::inventory::{Entry, Inventory};
use crate::object::{Object, ObjectKey, OwnerId};
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

/// How an object stands to the resource that wants it.
#[derive(Clone, Debug)]
pub enum ObjectState {
    /// It is the resource's.
    Managed,
    /// It is annotated to be left alone.
    Ignored,
    /// Another resource has it, and wants the same.
    Shared(OwnerId),
    /// Another resource has it, and wants something else in these fields.
    Conflict(OwnerId, Vec<String>),
    /// The API server does not take it as it is wanted; why.
    Rejected(Arc<InstallError>),
}

/// What was last seen of an object that was looked at.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Of what was wanted then.
    pub(super) digest: u64,
    pub(super) api_version: String,
    /// Empty where there is none, or none that goes into the inventory.
    pub(super) uid: String,
    /// Empty where it has to be looked at again in any case.
    pub(super) resource_version: String,
    pub(super) readiness: Readiness,
    /// Whether it depends on something that nobody tells of, so that it is looked at in each run.
    pub(super) is_passing: bool,
    pub(super) state: ObjectState,
}

impl Observed {
    /// Of a live object.
    pub(super) fn live(
        object: &Object,
        live: &DynamicObject,
        digest: u64,
        state: ObjectState,
        least: Option<i64>,
    ) -> Self {
        let readiness = match state {
            ObjectState::Ignored => Readiness::Ready,
            _ => super::readiness::readiness(object.group(), object.kind(), live, least),
        };
        Self {
            digest,
            api_version: object.api_version().to_owned(),
            uid: live.uid().unwrap_or_default(),
            resource_version: live.resource_version().unwrap_or_default(),
            readiness,
            is_passing: false,
            state,
        }
    }

    /// An object whose repair has to wait: as it is, or, where it is gone, as it was last seen.
    pub(super) fn put_off(live: Option<Self>, last: &Self) -> Self {
        let gone = || Self { readiness: Readiness::Waiting("somebody keeps deleting it".into()), ..last.clone() };
        Self { resource_version: String::new(), ..live.unwrap_or_else(gone) }
    }

    /// The version of the object that was looked at; empty where it has to be looked at again in any case.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }

    /// Whether it was ready, the resource's, and as it is wanted.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, ObjectState::Managed)
            && self.readiness == Readiness::Ready
            && !self.resource_version.is_empty()
            && !self.is_passing
    }

    pub(super) fn is_ignored(&self) -> bool {
        matches!(self.state, ObjectState::Ignored)
    }
}

/// What is remembered of an installation between two runs.
#[derive(Default)]
pub struct State {
    /// What the resource has.
    pub inventory: Inventory,
    /// Who injects, if that was read just now.
    pub injectors: Injectors,
    pub(super) objects: HashMap<ObjectKey, Observed>,
    pub(super) repairs: RepairLimiter,
    /// Since when a component is applied and not ready.
    pub(super) waiting_since: BTreeMap<Component, Instant>,
    /// Whether the last run failed.
    pub(super) has_failed: bool,
    /// The release than which nothing that was seen is newer.
    pub(super) release: String,
    /// When that was seen.
    pub(super) release_seen: Option<Instant>,
}

impl State {
    /// Whether a live object is the one in the inventory, and no other of its name.
    pub(super) fn has(&self, key: &ObjectKey, live: &DynamicObject) -> bool {
        self.inventory.get(key).is_some_and(|entry| live.metadata.uid.as_ref() == Some(&entry.uid))
    }

    /// Of a resource that has this.
    #[must_use]
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory, ..Self::default() }
    }

    /// Has everything read again.
    pub fn forget_objects(&mut self) {
        self.objects.clear();
        self.forget_the_cluster();
    }

    /// The spec is another: what took long, and what the cluster was asked for, was about another one.
    pub fn begin_anew(&mut self) {
        self.waiting_since.clear();
        self.forget_the_cluster();
    }

    /// Has the cluster asked again for what is good for a moment.
    fn forget_the_cluster(&mut self) {
        self.release_seen = None;
        self.injectors.forget();
    }

    /// What was last seen of an object.
    #[must_use]
    pub fn observed(&self, key: &ObjectKey) -> Option<&Observed> {
        self.objects.get(key)
    }

    /// How many objects need no read as long as nothing happens to them.
    #[must_use]
    pub fn observed_count(&self) -> usize {
        self.objects.len()
    }

    /// Changes whenever something of the installation was written or seen to have changed.
    #[must_use]
    pub fn progress(&self) -> u64 {
        let hash = |value: &(&ObjectKey, &String)| {
            let mut hasher = DefaultHasher::new();
            value.hash(&mut hasher);
            hasher.finish()
        };
        self.objects.iter().map(|(key, seen)| hash(&(key, &seen.resource_version))).fold(0, std::ops::BitXor::bitxor)
    }

    /// Brings the inventory up to date with what was looked at.
    pub(super) fn update_inventory(&mut self, wanted: BTreeSet<ObjectKey>) {
        for key in wanted {
            let Some(seen) = self.objects.get(&key).filter(|seen| !seen.uid.is_empty()) else { continue };
            if matches!(seen.state, ObjectState::Conflict(..)) {
                self.inventory.remove(&key);
            } else {
                let entry = Entry { api_version: seen.api_version.clone(), uid: seen.uid.clone() };
                self.inventory.insert(key, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_one_spec_is_asked_again_for_another() {
        let asked = || State { release_seen: Some(Instant::now()), ..State::default() };
        for forget in [State::begin_anew, State::forget_objects] {
            let mut state = asked();
            forget(&mut state);
            assert!(state.release_seen.is_none());
        }
    }
}
