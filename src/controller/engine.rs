//! Connects the install engine to the controller's watch cache, to the ownership of objects and to the metrics.

use super::context::{Config, Context};
use super::index::Index;
use crate::api::component::Component;
use crate::install::cached::CachedObject;
use crate::install::{Cache, ComponentOutcome, Engine, Event, Kind, KnownTag, Listener, Options, Others};
use crate::object::{ObjectKey, OwnerId};
use crate::process::metrics::Metrics;
use crate::process::metrics::labels::ByComponentResult;
use std::collections::BTreeSet;

impl Context {
    /// The engine.
    pub(super) fn engine(&self) -> Engine<'_> {
        Engine { cluster: &self.cluster, cache: self, others: self, listener: &*self.metrics }
    }
}

impl Context {
    /// How the engine is to run.
    pub(super) fn options(&self, explain_waits: bool) -> Options {
        let Config { recheck_interval, repair_limits, prune_patience, .. } = self.config;
        Options { explain_waits, recheck_interval, repair_limits, prune_patience }
    }
}

impl Cache for Context {
    fn get(&self, key: &ObjectKey) -> Option<CachedObject> {
        self.index.get(key)
    }

    fn owned_by(&self, owner: &OwnerId) -> Option<Vec<(ObjectKey, CachedObject)>> {
        Some(Index::owned_by(&self.index, owner))
    }

    fn is_awaited(&self, api_version: &str, kind: &str) -> bool {
        self.index.is_awaited(api_version, kind)
    }

    fn watch(&self, api_version: &str, kind: &str) {
        self.index.watch(api_version, kind);
    }

    fn kinds(&self) -> BTreeSet<Kind> {
        self.index.kinds().into_iter().collect()
    }

    fn tag(&self, tag: &str) -> KnownTag {
        self.users.tag(tag)
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
        self.ownership.other_owner(id, key, component, named)
    }

    fn does_want(&self, other: &OwnerId, key: &ObjectKey) -> bool {
        self.ownership.wanted_by(key).contains(other)
    }

    fn want(&self, id: &OwnerId, key: &ObjectKey) -> bool {
        self.ownership.is_wanted_by_another(id, key)
    }

    fn are_known(&self) -> bool {
        self.is_all_read()
    }
}

impl Listener for Metrics {
    fn hear(&self, event: &Event<'_>) {
        let objects = &self.objects;
        match event {
            Event::ComponentStarted { .. } => {}
            Event::ComponentFinished { component, outcome, took } => {
                let labels = ByComponentResult { component: *component, result: outcome.result() };
                objects.component_seconds.observe(*took, labels);
                if matches!(outcome, ComponentOutcome::Conflict(_)) {
                    objects.conflicts.inc(*component);
                }
            }
            Event::Applied { key, is_new } => {
                let counters = if *is_new { &objects.created } else { &objects.updated };
                counters.inc(key.group_kind());
                objects.applied.inc();
            }
            Event::Repaired { key } => objects.repaired.inc(key.group_kind()),
            Event::Deleted { key, is_pruned } => {
                objects.deleted.inc(key.group_kind());
                if *is_pruned {
                    objects.pruned.inc(key.group_kind());
                }
            }
        }
    }
}
