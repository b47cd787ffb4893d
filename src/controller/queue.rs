//! Which resources wait to be reconciled, each once.
//!
//! The queue itself is kube's. This one is told what enters and leaves it, for the metrics, for `/healthz`, and for code that
//! has to know whether a resource waits.

use crate::object::OwnerId;
use crate::process::health::Health;
use crate::process::metrics::{Metrics, Timer};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(super) struct Queue {
    waiting: Mutex<HashSet<OwnerId>>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

/// A reconcile that is under way, timed until it is dropped.
pub(super) struct Running<'q> {
    queue: &'q Queue,
    _timer: Timer,
}

impl Queue {
    /// An empty one.
    pub fn new(metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        Self { waiting: Mutex::default(), metrics, health }
    }

    /// Changes who waits, and says how many do.
    fn change(&self, change: impl FnOnce(&mut HashSet<OwnerId>) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        self.health.set_waiting(waiting.len());
        self.metrics.reconciles.queue_depth.set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
    }

    /// A resource has to be reconciled.
    pub fn enter(&self, id: OwnerId) {
        self.change(|waiting| waiting.insert(id));
    }

    /// Whether a resource waits.
    pub fn has(&self, id: &OwnerId) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// A resource waits no longer: there is nothing to reconcile.
    pub fn leave(&self, id: &OwnerId) {
        self.change(|waiting| waiting.remove(id));
    }

    /// A resource waits no longer: it is reconciled now.
    pub fn start(&self, id: &OwnerId) -> Running<'_> {
        self.leave(id);
        Running { queue: self, _timer: self.metrics.reconciles.seconds.start() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.queue.health.work_done();
    }
}
