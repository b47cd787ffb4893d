//! The watch cache: the metadata of all objects with this operator's labels, kept current by one watch per kind.
//!
//! Only the few fields of [`CachedObject`] are kept, so memory grows with what is installed and with nothing else.
//!
//! Kinds do not depend on each other: one that may not be listed, or whose API server is unavailable, delays no other. While
//! its watch fails, what the cache has of it is not relied on, and the owners of its objects are reconciled from time to time
//! to read them from the API server.

mod lacking;

use super::ownership::Ownership;
use super::watch_health::{LOOK, START, WatchHealth};
use crate::cluster::meta::Meta;
use crate::cluster::outage::is_caused_by_outage;
use crate::cluster::watch_metadata::{Selection, Told, pause, watch_metadata};
use crate::cluster::{Cluster, ClusterError};
use crate::install::INITIAL_KINDS;
use crate::install::cached::{CachedObject, is_managed};
use crate::object::{ObjectKey, OwnerId, labels};
use crate::process::metrics::Metrics;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ApiResource;
use kube::runtime::watcher::Event;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

/// How many kinds are watched at most: more than any release has. What is beyond is read each time it is looked at.
const MOST_KINDS: usize = 64;
/// How often the objects of a kind are looked at whose watch is blind.
const BLIND_INTERVAL: Duration = Duration::from_mins(1);

/// `group/version` and kind.
type Kind = (String, String);

/// Why nothing certain is known of a kind.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// The API server has not said yet what there is.
    #[error("not listed yet")]
    NotListed,
    /// The watch fails.
    #[error(transparent)]
    Failed(#[from] Arc<ClusterError>),
}

/// A kind that is watched, and of which nothing certain is known.
#[derive(Clone, Debug)]
pub struct FailingWatch {
    /// `group/version`
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub error: WatchError,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectKey, CachedObject>,
    kinds: HashMap<Kind, WatchHealth>,
    /// When the owners of a blind kind's objects were last woken for it.
    looked: HashMap<Kind, Instant>,
}

/// The index; clones share it.
#[derive(Clone)]
pub struct Index {
    cluster: Cluster,
    state: Arc<Mutex<State>>,
    changed: mpsc::UnboundedSender<OwnerId>,
    synced: Arc<watch::Sender<()>>,
    interrupted: Arc<Notify>,
    ownership: Arc<Ownership>,
    metrics: Arc<Metrics>,
}

impl Index {
    /// An empty index, and the owners whose objects change: those that the objects name, and those that want them too.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        ownership: Arc<Ownership>,
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::UnboundedReceiver<OwnerId>) {
        let (changed, inbox) = mpsc::unbounded_channel();
        (
            Self {
                cluster,
                state: Arc::default(),
                changed,
                synced: Arc::new(watch::channel(()).0),
                interrupted: Arc::default(),
                ownership,
                metrics,
            },
            inbox,
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is counted what watches do.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Waits until what exists of the watched kinds is known, for a while. Gives those of which it is not: nobody may list
    /// them, or nobody answers.
    pub async fn complete(&self) -> Vec<FailingWatch> {
        self.complete_within(START).await
    }

    async fn complete_within(&self, patience: Duration) -> Vec<FailingWatch> {
        let (end, mut synced) = (Instant::now() + patience, self.synced.subscribe());
        loop {
            let now = Instant::now();
            if now >= end || self.state().kinds.values().all(|sight| sight.is_settled(now)) {
                return self.unknown(|sight| !sight.is_current(now));
            }
            // Whether a kind that fails is still waited for is a matter of time.
            let wait = LOOK.min(end - now);
            if matches!(timeout(wait, synced.changed()).await, Ok(Err(_))) {
                return vec![];
            }
        }
    }

    /// The kinds whose watch has been failing for long: what changes of them is not seen.
    #[must_use]
    pub fn blind(&self) -> Vec<FailingWatch> {
        let now = Instant::now();
        self.unknown(|sight| sight.failing_since(now).is_some())
    }

    fn unknown(&self, is_asked: impl Fn(&WatchHealth) -> bool) -> Vec<FailingWatch> {
        let (state, now) = (self.state(), Instant::now());
        let asked = state.kinds.iter().filter(|(_, sight)| is_asked(sight));
        let told = asked.map(|((api_version, kind), sight)| {
            let (since, error) = match sight.failing_since(now) {
                Some((since, error)) => (since, Arc::clone(error).into()),
                None => (Timestamp::now(), WatchError::NotListed),
            };
            FailingWatch { api_version: api_version.clone(), kind: kind.clone(), since, error }
        });
        let mut told: Vec<_> = told.collect();
        told.sort_by(|a, b| (&a.kind, &a.api_version).cmp(&(&b.kind, &b.api_version)));
        told
    }

    /// Watches the kinds that are watched from the start.
    pub fn watch_from_the_start(&self) {
        for (api_version, kind) in INITIAL_KINDS {
            self.watch(api_version, kind);
        }
    }

    /// Watches a kind of which there is a manifest, unless it is watched already. Waits for nothing: until its objects are
    /// listed, the kind is not complete. A kind that the API server does not serve has nothing, and is asked for again the
    /// next time.
    pub fn watch(&self, api_version: &str, kind: &str) {
        let id = (api_version.to_owned(), kind.to_owned());
        {
            let mut state = self.state();
            if state.kinds.contains_key(&id) {
                return;
            }
            if state.kinds.len() >= MOST_KINDS {
                tracing::debug!(api_version, kind, "too many kinds are watched already");
                return;
            }
            state.kinds.insert(id.clone(), WatchHealth::default());
        }
        tokio::spawn(self.clone().follow(id));
    }

    /// Whether everything that exists of a kind is known, so that an unknown object does not exist.
    #[must_use]
    pub fn is_complete(&self, api_version: &str, kind: &str) -> bool {
        let id = (api_version.to_owned(), kind.to_owned());
        self.state().kinds.get(&id).is_some_and(|sight| sight.is_current(Instant::now()))
    }

    /// Whether the watch of a kind has just begun, and will tell what there is.
    #[must_use]
    pub fn is_awaited(&self, api_version: &str, kind: &str) -> bool {
        let id = (api_version.to_owned(), kind.to_owned());
        self.state().kinds.get(&id).is_some_and(WatchHealth::is_awaited)
    }

    /// Whether a kind is watched.
    #[must_use]
    pub fn is_watched(&self, api_version: &str, kind: &str) -> bool {
        self.state().kinds.contains_key(&(api_version.to_owned(), kind.to_owned()))
    }

    /// What is known of an object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<CachedObject> {
        let state = self.state();
        let known = state.objects.get(key)?.clone();
        Some(state.mark(key, known))
    }

    /// The kinds that are watched, as `group/version` and kind.
    #[must_use]
    pub fn kinds(&self) -> Vec<(String, String)> {
        self.state().kinds.keys().cloned().collect()
    }

    /// All objects.
    pub(super) fn objects(&self) -> Vec<(ObjectKey, CachedObject)> {
        let state = self.state();
        state.objects.iter().map(|(key, known)| (key.clone(), state.mark(key, known.clone()))).collect()
    }

    /// The objects that say they are of this owner.
    #[must_use]
    pub fn owned_by(&self, owner: &OwnerId) -> Vec<(ObjectKey, CachedObject)> {
        let state = self.state();
        let found = state.objects.iter().filter(|(_, known)| known.owner == *owner);
        found.map(|(key, known)| (key.clone(), state.mark(key, known.clone()))).collect()
    }

    /// What is not understood among the annotations of a resource's objects.
    #[must_use]
    pub fn not_understood_of(&self, owner: &OwnerId) -> Vec<String> {
        let state = self.state();
        let found = state.objects.iter().filter(|(_, known)| known.owner == *owner);
        found.flat_map(|(key, known)| known.not_understood.iter().map(move |what| format!("{key}: {what}"))).collect()
    }

    /// Follows a kind until the API server does not serve it any more.
    async fn follow(self, id: Kind) {
        let selector = format!("{}={}", labels::MANAGED, labels::MANAGED_VALUE);
        let selection = Selection { labels: &selector, fields: "" };
        let mut failures = 0;
        loop {
            match self.cluster.resource(&id.0, &id.1).await {
                Ok(resource) => {
                    let mut listed = HashSet::new();
                    watch_metadata(self.cluster.client().clone(), &resource, selection, |told| {
                        if matches!(told, Told::Heard) {
                            failures = 0;
                        }
                        self.take_in(&id, &resource, &mut listed, told)
                    })
                    .await;
                    // Perhaps its CRD has gone.
                    self.cluster.kinds().forget(&id.0, &id.1);
                }
                Err(error) if error.is_absent() => return self.drop_kind(&id),
                Err(error) => self.fail(&id, error),
            }
            failures += 1;
            tokio::time::sleep(pause(failures)).await;
        }
    }

    fn take_in(
        &self,
        id: &Kind,
        resource: &ApiResource,
        listed: &mut HashSet<ObjectKey>,
        told: Told,
    ) -> ControlFlow<()> {
        match told {
            Told::Event(Event::Init) => listed.clear(),
            Told::Event(Event::InitApply(object)) => drop(listed.insert(self.upsert(id, resource, &object, true))),
            Told::Event(Event::InitDone) => self.finish_listing(id, resource, &std::mem::take(listed)),
            Told::Event(Event::Apply(object)) => drop(self.upsert(id, resource, &object, false)),
            Told::Event(Event::Delete(object)) => self.forget(&key_of(resource, &object)),
            Told::Heard => self.hear(id),
            Told::Failed(error) => {
                let is_gone = matches!(&error, kube::Error::Api(status) if status.code == 404);
                self.fail(id, ClusterError::of("watch", &id.1, error));
                if is_gone {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Waits until a watch works again that failed.
    pub(super) async fn interrupted(&self) {
        self.interrupted.notified().await;
    }

    fn hear(&self, id: &Kind) {
        self.metrics.client.watch_heard.set_to_now(label_of(id));
        let (was_failing, is_back) = match self.state().kinds.get_mut(id) {
            Some(sight) => (sight.is_failing(), sight.hear()),
            None => (false, false),
        };
        if was_failing {
            self.interrupted.notify_one();
        }
        if is_back {
            tracing::info!(api_version = id.0, kind = id.1, "the watch works again");
            self.wake_all();
        }
        self.synced.send_replace(());
    }

    fn fail(&self, id: &Kind, error: ClusterError) {
        let (now, error) = (Instant::now(), Arc::new(error));
        tracing::debug!(api_version = id.0, kind = id.1, %error, "watch interrupted, starting it again");
        self.metrics.client.watch_errors.inc(label_of(id));
        let (is_news, is_due) = {
            let mut state = self.state();
            let is_news = state.kinds.get_mut(id).is_some_and(|sight| sight.fail(Arc::clone(&error), now));
            let is_blind = state.kinds.get(id).is_some_and(|sight| sight.failing_since(now).is_some());
            let is_due =
                is_blind && state.looked.get(id).is_none_or(|last| now.duration_since(*last) >= BLIND_INTERVAL);
            if is_due {
                state.looked.insert(id.clone(), now);
            }
            (is_news, is_due)
        };
        if is_news && is_caused_by_outage(&*error) {
            self.wake_all();
        } else if is_news {
            tracing::warn!(api_version = id.0, kind = id.1, %error, "objects of this kind cannot be watched; they are read from time to time");
            self.wake_all();
        } else if is_due {
            self.wake_owners(|key, known| known.api_version == id.0 && key.kind == id.1);
        }
        self.synced.send_replace(());
    }

    /// A kind is not served any more: its objects are gone.
    fn drop_kind(&self, id: &Kind) {
        let gone: Vec<ObjectKey> = {
            let mut state = self.state();
            state.kinds.remove(id);
            state.looked.remove(id);
            let of_kind = state.objects.iter().filter(|(key, known)| known.api_version == id.0 && key.kind == id.1);
            of_kind.map(|(key, _)| key.clone()).collect()
        };
        for key in &gone {
            self.forget(key);
        }
        self.synced.send_replace(());
    }

    fn upsert(&self, id: &Kind, resource: &ApiResource, object: &Meta, is_listing: bool) -> ObjectKey {
        let key = key_of(resource, object);
        if !is_managed(&key.kind, &object.metadata) {
            self.forget(&key);
            return key;
        }
        let mut known = CachedObject::of(&id.0, &object.metadata);
        let (before, is_same) = {
            let mut state = self.state();
            let before = state.objects.get(&key);
            // Between two lists there may have been any number of edits.
            let follows = !is_listing && before.is_some_and(|before| known.follow_on(before, &key.group, &key.kind));
            let is_same = follows || before.is_some_and(|before| before.resource_version == known.resource_version);
            if is_same
                && !follows
                && let Some(before) = before
            {
                known = before.clone();
            }
            (state.objects.insert(key.clone(), known.clone()), is_same)
        };
        if before.is_none() {
            self.metrics.objects.owned.inc(key.group_kind());
        }
        if !is_same {
            // An object that changed hands concerns both.
            self.announce(&key, [Some(known.owner), before.map(|b| b.owner)]);
        }
        key
    }

    fn forget(&self, key: &ObjectKey) {
        let gone = self.state().objects.remove(key);
        if let Some(gone) = gone {
            self.metrics.objects.owned.dec(key.group_kind());
            self.announce(key, [Some(gone.owner), None]);
        }
    }

    fn finish_listing(&self, id: &Kind, resource: &ApiResource, listed: &HashSet<ObjectKey>) {
        let gone: Vec<ObjectKey> = {
            let state = self.state();
            let of_kind = state.objects.keys().filter(|k| k.group == resource.group && k.kind == resource.kind);
            of_kind.filter(|k| !listed.contains(k)).cloned().collect()
        };
        for key in &gone {
            self.forget(key);
        }
        let is_new = self.state().kinds.get_mut(id).is_some_and(WatchHealth::list);
        if is_new {
            // Until now it was believed that what was written is there.
            self.wake_lacking(|key| key.group == resource.group && key.kind == resource.kind);
        }
        self.synced.send_replace(());
    }

    /// Has the resources looked at that want some of these objects which are not there.
    pub(super) fn wake_lacking(&self, is_concerned: impl Fn(&ObjectKey) -> bool) {
        let lacking = lacking::owners(self.ownership.wanted(is_concerned), |key| self.get(key).is_some());
        for owner in lacking {
            self.wake(owner);
        }
    }

    /// Has all resources looked at that have something, whatever it is.
    pub(super) fn wake_all(&self) {
        self.wake_owners(|_, _| true);
    }

    fn wake_owners(&self, is_concerned: impl Fn(&ObjectKey, &CachedObject) -> bool) {
        let owners: BTreeSet<OwnerId> = {
            let state = self.state();
            let concerned = state.objects.iter().filter(|(key, known)| is_concerned(key, known));
            concerned.map(|(_, known)| known.owner.clone()).collect()
        };
        for owner in owners {
            self.wake(owner);
        }
    }

    fn announce(&self, key: &ObjectKey, owners: [Option<OwnerId>; 2]) {
        let concerned: BTreeSet<_> = owners.into_iter().flatten().chain(self.ownership.wanted_by(key)).collect();
        for owner in concerned {
            self.wake(owner);
        }
    }

    /// Has a resource looked at.
    pub fn wake(&self, owner: OwnerId) {
        // Nobody listens during shutdown.
        let _ = self.changed.send(owner);
    }
}

impl State {
    /// Says whether what is known is still to be relied on.
    fn mark(&self, key: &ObjectKey, known: CachedObject) -> CachedObject {
        let sight = self.kinds.get(&(known.api_version.clone(), key.kind.clone()));
        let is_stale = sight.is_none_or(|sight| sight.failing_since(Instant::now()).is_some());
        known.marked(is_stale)
    }
}

/// As metrics name a kind.
fn label_of((api_version, kind): &Kind) -> String {
    match api_version.split_once('/') {
        Some((group, _)) => format!("{group}/{kind}"),
        None => kind.clone(),
    }
}

fn key_of(resource: &ApiResource, object: &Meta) -> ObjectKey {
    ObjectKey {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// With an API server that is never asked.
    pub(super) fn index() -> (Index, mpsc::UnboundedReceiver<OwnerId>, tokio::runtime::Runtime) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        config.root_cert = Some(vec![]);
        let cluster = runtime.block_on(async { Cluster::new(kube::Client::try_from(config).unwrap()) });
        let (index, changes) = Index::new(cluster, Arc::default(), Arc::new(Metrics::new("", "")));
        (index, changes, runtime)
    }

    pub(super) fn autoscaler() -> (Kind, ApiResource) {
        let id = ("autoscaling/v2".to_owned(), "HorizontalPodAutoscaler".to_owned());
        let gvk = kube::core::GroupVersionKind::gvk("autoscaling", "v2", &id.1);
        (id, ApiResource::from_gvk(&gvk))
    }

    /// In this state, edited in the first second and told of in this one.
    pub(super) fn object(version: &str, told: u32) -> Meta {
        let entry = |manager: &str, subresource: &str, second: u32| {
            json!({"manager": manager, "operation": "Apply", "subresource": subresource,
            "time": format!("2026-01-01T00:00:{second:02}Z")})
        };
        let metadata = json!({"name": "x", "namespace": "ns", "uid": "u", "resourceVersion": version,
            "labels": {labels::OWNER_NAMESPACE: "ns", labels::OWNER_NAME: "main", labels::REVISION: "canary"},
            "managedFields": [entry("istio-operator", "", 1), entry("m", "status", told)]});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn long_ago() -> Instant {
        Instant::now().checked_sub(Duration::from_mins(1)).unwrap()
    }

    fn failed(id: &Kind) -> ClusterError {
        ClusterError::of("watch", &id.1, kube::Error::LinesCodecMaxLineLengthExceeded)
    }

    fn fail(index: &Index, id: &Kind, when: Instant) {
        index.state().kinds.get_mut(id).unwrap().fail(Arc::new(failed(id)), when);
    }

    #[test]
    fn what_only_a_controller_told_wakes_nobody() {
        let (index, mut changes, _runtime) = index();
        let (id, resource) = autoscaler();
        index.state().kinds.insert(id.clone(), WatchHealth::default());
        let key = index.upsert(&id, &resource, &object("1", 1), true);
        assert_eq!(changes.try_recv().unwrap(), OwnerId::new("ns", "main"));
        index.upsert(&id, &resource, &object("2", 16), false);
        assert!(changes.try_recv().is_err());
        let known = index.get(&key).unwrap();
        assert!(known.is_unchanged_since("1") && known.is_unchanged_since("2"));
        assert_eq!(known.revision, "canary");
        index.upsert(&id, &resource, &object("3", 31), true);
        assert!(changes.try_recv().is_ok(), "between two lists there may have been edits");
        assert!(!index.get(&key).unwrap().is_unchanged_since("2"));
    }

    #[test]
    fn what_a_blind_watch_knows_counts_for_nothing_until_it_works_again() {
        let (index, mut changes, _runtime) = index();
        let (id, resource) = autoscaler();
        index.state().kinds.insert(id.clone(), WatchHealth::default());
        let key = index.upsert(&id, &resource, &object("1", 1), true);
        index.finish_listing(&id, &resource, &HashSet::from([key.clone()]));
        assert!(index.is_complete(&id.0, &id.1) && index.blind().is_empty());
        let _ = changes.try_recv();

        fail(&index, &id, long_ago());
        assert!(!index.is_complete(&id.0, &id.1));
        assert!(!index.get(&key).unwrap().is_unchanged_since("1"));
        let blind = index.blind();
        assert_eq!((&blind[0].kind, blind[0].error.to_string()), (&id.1, failed(&id).to_string()));
        index.fail(&id, failed(&id));
        assert!(changes.try_recv().is_ok(), "its owners look for themselves");
        index.fail(&id, failed(&id));
        assert!(changes.try_recv().is_err(), "and not all the time");

        index.hear(&id);
        assert!(index.is_complete(&id.0, &id.1) && index.blind().is_empty());
        assert!(index.get(&key).unwrap().is_unchanged_since("1"));
        assert!(changes.try_recv().is_ok());
    }

    #[test]
    fn a_start_waits_neither_for_a_kind_that_fails_nor_for_others_long() {
        let (index, _changes, runtime) = index();
        let (id, _) = autoscaler();
        index.state().kinds.insert(id.clone(), WatchHealth::default());
        fail(&index, &id, long_ago());
        let blind = runtime.block_on(async { timeout(START / 2, index.complete()).await.unwrap() });
        assert_eq!(blind.len(), 1);
        // Nobody says anything of this one.
        index.state().kinds.insert(("v1".into(), "Secret".into()), WatchHealth::default());
        let blind = runtime.block_on(index.complete_within(Duration::from_millis(10)));
        assert_eq!(blind.iter().map(|b| b.kind.as_str()).collect::<Vec<_>>(), [&id.1, "Secret"]);
    }

    #[test]
    fn no_more_kinds_are_watched_than_there_may_be() {
        let (index, _changes, runtime) = index();
        let _inside = runtime.enter();
        for n in 0..2 * MOST_KINDS {
            index.watch("example.com/v1", &format!("Kind{n}"));
        }
        assert_eq!(index.kinds().len(), MOST_KINDS);
    }

    #[test]
    fn the_objects_of_a_kind_that_is_not_served_any_more_are_gone() {
        let (index, mut changes, _runtime) = index();
        let (id, resource) = autoscaler();
        index.state().kinds.insert(id.clone(), WatchHealth::default());
        let key = index.upsert(&id, &resource, &object("1", 1), true);
        let _ = changes.try_recv();
        index.drop_kind(&id);
        assert_eq!((index.get(&key), index.kinds()), (None, vec![]));
        assert!(changes.try_recv().is_ok());
    }
}
