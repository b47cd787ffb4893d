//! The install engine as the controller uses it: with the watches, the other resources and the metrics around it.

use super::Context;
use super::index::Index;
use crate::api::component::Component;
use crate::install::cached::CachedObject;
use crate::install::{Cache, Engine, Event, Kind, Listener, Others};
use crate::object::{ObjectKey, OwnerId};
use crate::process::metrics::Metrics;
use std::collections::BTreeSet;

impl Context {
    /// The engine.
    pub(super) fn engine(&self) -> Engine<'_> {
        Engine { cluster: &self.cluster, cache: self, others: self, listener: &*self.metrics }
    }
}

impl Cache for Context {
    fn get(&self, key: &ObjectKey) -> Option<CachedObject> {
        self.index.get(key)
    }

    fn owned_by(&self, owner: &OwnerId) -> Option<Vec<(ObjectKey, CachedObject)>> {
        Some(Index::owned_by(&self.index, owner))
    }

    fn watch(&self, api_version: &str, kind: &str) {
        self.index.watch(api_version, kind);
    }

    fn kinds(&self) -> BTreeSet<Kind> {
        self.index.kinds().into_iter().collect()
    }

    fn has_tag(&self, tag: &str) -> Option<bool> {
        self.users.has_tag(tag)
    }
}

impl Others for Context {
    fn owner_of(
        &self,
        id: &OwnerId,
        key: &ObjectKey,
        component: Component,
        named: Option<&OwnerId>,
    ) -> Option<OwnerId> {
        self.claims.held_by_another(id, key, component, named)
    }

    fn does_want(&self, other: &OwnerId, key: &ObjectKey) -> bool {
        self.claims.claimants(key).contains(other)
    }

    fn want(&self, id: &OwnerId, key: &ObjectKey) -> bool {
        self.claims.is_wanted_by_another(id, key)
    }

    fn are_known(&self) -> bool {
        self.is_all_read()
    }
}

impl Listener for Metrics {
    fn hear(&self, event: &Event<'_>) {
        match event {
            Event::ComponentStarted { .. } => {}
            Event::ComponentFinished { component, outcome, took } => {
                self.time_component(component.name(), outcome.name(), *took);
                if outcome.name() == "conflict" {
                    self.count("apply_conflict", [("component", component.name())]);
                }
            }
            Event::Applied { key, is_new } => {
                let series = if *is_new { "resource_creation" } else { "resource_update" };
                self.count(series, [("kind", &key.group_kind())]);
                self.count("apply", []);
            }
            Event::Repaired { key } => self.count("drift_repair", [("kind", &key.group_kind())]),
            Event::Deleted { key, is_pruned } => {
                self.count("resource_deletion", [("kind", &key.group_kind())]);
                if *is_pruned {
                    self.count("resource_prune", [("kind", &key.group_kind())]);
                }
            }
        }
    }
}
