//! What every reconcile needs: the client, the caches and the options; and the state that is kept for each resource.

use super::cluster_version::ClusterVersion;
use super::index::Index;
use super::orphans::Orphans;
use super::ownership::Ownership;
use super::packages::{PackageConfig, Packages};
use super::queue::Queue;
use super::reach;
use super::reconcile_state::ReconcileState;
use super::statuses::Statuses;
use super::unready::Unready;
use super::usage::Users;
use crate::cluster::received::ObservedResource;
use crate::cluster::{Cluster, owner_resource};
use crate::install::RepairLimits;
use crate::object::OwnerId;
use crate::process::metrics::Metrics;
use crate::process::metrics::labels::Trigger;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Store;
use kube::runtime::watcher::Event;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How the controller is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespaces whose IstioOperator resources are watched; empty for all.
    pub namespaces: Vec<String>,
    /// Only resources of this revision are worked on; `None` for all.
    pub revision: Option<String>,
    /// How many resources are worked on at once.
    pub concurrency: u16,
    /// Whose resources may reach beyond their own namespace.
    pub privileged: reach::Privileged,
    /// How soon what a resource waits for is looked at again, where no watch tells.
    pub recheck_interval: Duration,
    /// How long the deletion of a resource is held back whose control plane is in use.
    pub deletion_hold: Duration,
    /// How long what does not go, or cannot be deleted, is waited for, from when the first object of a resource was deleted.
    pub deletion_patience: Duration,
    /// How long what is no longer wanted of a gateway or the CNI agent is kept for what takes its place.
    pub prune_patience: Duration,
    /// Where release packages come from.
    pub packages: PackageConfig,
    /// How often the same fields of an object are repaired.
    pub repair_limits: RepairLimits,
}

impl Config {
    /// Where nobody says otherwise, a pod or a volume that ends slowly has ended, and a namespace is not blocked for longer than a
    /// person looks on.
    pub const DELETION_PATIENCE: Duration = Duration::from_mins(5);

    /// Whether a resource of this revision is another operator's.
    pub(super) fn is_of_another_operator(&self, revision: &str) -> bool {
        self.revision.as_deref().is_some_and(|ours| ours != revision)
    }
}

/// What every reconcile needs.
pub struct Context {
    pub(super) cluster: Cluster,
    pub(super) index: Index,
    pub(super) users: Users,
    pub(super) ownership: Arc<Ownership>,
    pub(super) cluster_info: ClusterVersion,
    pub(super) packages: Packages,
    pub(super) config: Config,
    pub(super) metrics: Arc<Metrics>,
    pub(super) memories: Mutex<HashMap<OwnerId, Arc<tokio::sync::Mutex<ReconcileState>>>>,
    pub(super) statuses: Statuses,
    pub(super) queue: Queue,
    pub(super) unready: Unready,
    /// Resources of which it is not known yet what they want, and when that began to matter.
    pub(super) unread: Mutex<BTreeSet<OwnerId>>,
    pub(super) started: Instant,
    pub(super) orphans: Orphans,
}

impl Context {
    pub(super) fn state_of(&self, id: &OwnerId) -> Arc<tokio::sync::Mutex<ReconcileState>> {
        let mut all = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id.clone()).or_default())
    }

    /// It is known now what a resource wants, or that it wants nothing.
    pub(super) fn mark_read(&self, id: &OwnerId) {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Whether it is known of all resources what they want, so that what nobody wants can be told. One that is not looked at
    /// for long, for whatever reason, keeps nobody waiting for ever.
    pub(super) fn is_all_read(&self) -> bool {
        const PATIENCE: Duration = Duration::from_mins(1);
        self.started.elapsed() > PATIENCE || self.unread.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A resource is gone: those who wanted the same can have it.
    pub(super) fn forget(&self, id: &OwnerId) {
        self.mark_read(id);
        self.statuses.forget(id);
        if self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some() {
            self.metrics.reconciles.cache_flushes.inc();
        }
        self.unready.set(id, true);
        self.metrics.resources.set_ready(id, None);
        self.users.forget(id);
        self.orphans.forget(id);
        self.wake(self.ownership.set(id, None));
    }

    /// Remembers of a resource that it is being deleted with `--cascade=orphan`, while it says so.
    pub(super) fn note_orphaned(&self, resource: &ObservedResource) {
        if resource.is_being_orphaned() {
            self.orphans.note(resource.id(), resource.uid());
        }
    }

    /// Has resources looked at that have gone, whoever let them: they change no more, and so no predicate lets them through.
    pub(super) fn wake_gone(
        &self,
        event: &Event<ObservedResource>,
        namespace: Option<&str>,
        store: &Store<ObservedResource>,
    ) {
        match event {
            Event::Delete(resource) => {
                if !resource.is_record() {
                    self.metrics.reconciles.deletions.inc();
                    self.metrics.reconciles.requests.inc(Trigger::Delete);
                }
                self.index.wake(resource.id());
            }
            // They may have gone while nobody watched.
            Event::InitDone => {
                let is_watched = |id: &OwnerId| namespace.is_none_or(|namespace| id.namespace == namespace);
                let reference = |id: &OwnerId| ObjectRef::new_with(&id.name, owner_resource()).within(&id.namespace);
                let known = self.ownership.known().into_iter().filter(is_watched);
                self.wake(known.filter(|id| store.get(&reference(id)).is_none()).collect());
            }
            _ => {}
        }
    }

    pub(super) fn wake(&self, owners: BTreeSet<OwnerId>) {
        for owner in owners {
            self.index.wake(owner);
        }
    }
}
