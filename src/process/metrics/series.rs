//! The metrics that only count or measure, by what they are about.

use super::family::{Counters, Durations, Gauges, LabelledDurations, Section};
use super::labels::{
    ByComponent, ByComponentResult, ByKind, ByMergeError, ByReadError, ByReason, ByRenderFailure, ByResult, ByTrigger,
    ByVerb,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// Of reconciles and their queue.
pub struct ReconcileMetrics {
    /// `reconcile_request`
    pub requests: Counters<ByTrigger>,
    /// `get_cr_error`
    pub read_errors: Counters<ByReadError>,
    /// `cr_deletion`
    pub deletions: Counter,
    /// `cache_flush`
    pub cache_flushes: Counter,
    /// `reconcile`
    pub results: Counters<ByResult>,
    /// `reconcile_errors`
    pub errors: Counters<ByReason>,
    /// `event`
    pub events: Counters<ByReason>,
    /// `reconcile_seconds`
    pub seconds: Durations,
    /// `queue_depth`
    pub queue_depth: Gauge,
}

impl ReconcileMetrics {
    pub(super) fn register(all: &mut Section<'_>) -> Self {
        Self {
            requests: all.counters("reconcile_request", "changes of resources, by reason"),
            read_errors: all.counters("get_cr_error", "failures to read resources, by reason"),
            deletions: all.counter("cr_deletion", "resources that have gone"),
            cache_flushes: all.counter("cache_flush", "times that what was remembered of a resource was dropped"),
            results: all.counters("reconcile", "reconciles of resources, by result"),
            errors: all.counters("reconcile_errors", "reconciles that ended in an error, by its reason"),
            events: all.counters("event", "events published, by reason"),
            seconds: all.durations("reconcile_seconds", "time of reconciles"),
            queue_depth: all.gauge("queue_depth", "resources that wait for a reconcile"),
        }
    }
}

/// Of what becomes of specs.
pub struct BuildMetrics {
    /// `cr_merge_failure`
    pub merge_failures: Counters<ByMergeError>,
    /// `cr_validation_error`
    pub validation_errors: Counter,
    /// `render_manifest`
    pub renders: Counters<ByComponent>,
    /// `manifest_render_error`
    pub render_errors: Counters<ByRenderFailure>,
    /// `manifest_patch_error`
    pub overlay_errors: Counter,
    /// `legacy_path_translation`
    pub legacy_paths: Counter,
}

impl BuildMetrics {
    pub(super) fn register(all: &mut Section<'_>) -> Self {
        let legacy = "specs with values that are translated to settings";
        Self {
            merge_failures: all
                .counters("cr_merge_failure", "specs that cannot be merged with their profile, by reason"),
            validation_errors: all.counter("cr_validation_error", "specs that are not valid"),
            renders: all.counters("render_manifest", "renderings, by component"),
            render_errors: all.counters("manifest_render_error", "failures to render, by component and reason"),
            overlay_errors: all.counter("manifest_patch_error", "overlays that cannot be applied"),
            legacy_paths: all.counter("legacy_path_translation", legacy),
        }
    }
}

/// Of the objects that are installed.
pub struct ObjectMetrics {
    /// `owned_resource_total`
    pub owned: Gauges<ByKind>,
    /// `resource_creation`
    pub created: Counters<ByKind>,
    /// `resource_update`
    pub updated: Counters<ByKind>,
    /// `resource_deletion`
    pub deleted: Counters<ByKind>,
    /// `resource_prune`
    pub pruned: Counters<ByKind>,
    /// `drift_repair`
    pub repaired: Counters<ByKind>,
    /// `apply`
    pub applied: Counter,
    /// `apply_conflict`
    pub conflicts: Counters<ByComponent>,
    /// `component_seconds`
    pub component_seconds: LabelledDurations<ByComponentResult>,
}

impl ObjectMetrics {
    pub(super) fn register(all: &mut Section<'_>) -> Self {
        let conflict = "reconciles that found an object to be another resource's, by component";
        let repair = "objects changed or deleted by others and repaired, by kind";
        Self {
            owned: all.gauges("owned_resource_total", "objects that exist, by kind"),
            created: all.counters("resource_creation", "objects created, by kind"),
            updated: all.counters("resource_update", "objects changed, by kind"),
            deleted: all.counters("resource_deletion", "objects deleted, by kind"),
            pruned: all.counters("resource_prune", "objects deleted because no longer wanted, by kind"),
            repaired: all.counters("drift_repair", repair),
            applied: all.counter("apply", "objects written"),
            conflicts: all.counters("apply_conflict", conflict),
            component_seconds: all.labelled_durations("component_seconds", "time to apply, by component and result"),
        }
    }
}

/// Of requests and watches.
pub struct ClientMetrics {
    /// `api_request`
    pub requests: Counters<ByVerb>,
    /// `watch_errors`
    pub watch_errors: Counters<ByKind>,
    /// `watch_heard_timestamp_seconds`
    pub watch_heard: Gauges<ByKind>,
}

impl ClientMetrics {
    pub(super) fn register(all: &mut Section<'_>) -> Self {
        Self {
            requests: all.counters("api_request", "requests to the API server, by verb"),
            watch_errors: all.counters("watch_errors", "failures to list or watch, by kind"),
            watch_heard: all.gauges("watch_heard_timestamp_seconds", "when a watch was last heard of, by kind"),
        }
    }
}

/// Of the election.
pub struct ElectionMetrics {
    /// `leader`
    leader: Gauge,
    /// `lease_transitions`
    transitions: Gauge,
}

impl ElectionMetrics {
    pub(super) fn register(all: &mut Section<'_>) -> Self {
        let transitions = "how often the lease has gone from one operator to another";
        Self {
            leader: all.gauge("leader", "1 for the operator that works, 0 for one that stands by"),
            transitions: all.gauge("lease_transitions", transitions),
        }
    }

    /// Whether this is the operator that works.
    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(is_leader.into());
    }

    /// How often the Lease has changed hands, as it says.
    pub fn set_transitions(&self, count: i64) {
        self.transitions.set(count);
    }
}
