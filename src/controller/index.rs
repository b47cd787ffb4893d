//! What exists in the cluster that says it is ours: the metadata of labelled objects, kept current by one watch per kind.
//!
//! Only the few fields of [`Known`] are held, so memory grows with what we installed and nothing else.

use super::claims::Claims;
use crate::api::{API_VERSION, IGNORE, INSTALLED_STATE, KIND, PRUNE};
use crate::cluster::follow::{Meta, follow};
use crate::cluster::{Cluster, ClusterError, is_ours};
use crate::component::Component;
use crate::metrics::Metrics;
use crate::object::{ObjectKey, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// The namespace and name of an IstioOperator resource.
pub type OwnerId = (String, String);

/// What is held of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `group/version` it was seen in.
    pub api_version: String,
    /// Its identity.
    pub uid: String,
    /// Its last seen state.
    pub resource_version: String,
    /// Whose it says it is.
    pub owner: OwnerId,
    /// The component it says it is of.
    pub component: Option<Component>,
    /// The revision it says it is of, `default` for the unnamed one; empty where it says none.
    pub revision: String,
    /// Whether it is annotated to be left as it is.
    pub is_ignored: bool,
    /// Whether it is annotated never to be deleted.
    pub is_kept: bool,
    /// Whether it is being deleted.
    pub is_terminating: bool,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectKey, Known>,
    /// Watched kinds (`group/version`, kind), and whether all of theirs is known.
    kinds: HashMap<(String, String), bool>,
}

/// The kinds that are watched from the start: all that upstream's prune looked at, so that what an older version left is
/// found. Kinds that a manifest adds are watched from then on.
pub(super) const FROM_THE_START: &[(&str, &str)] = &[
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
    ("v1", "ResourceQuota"),
    (API_VERSION, KIND),
];

/// The index; clones share it.
#[derive(Clone)]
pub struct Index {
    cluster: Cluster,
    state: Arc<Mutex<State>>,
    changed: mpsc::UnboundedSender<OwnerId>,
    synced: Arc<watch::Sender<()>>,
    claims: Arc<Claims>,
    metrics: Arc<Metrics>,
}

impl Index {
    /// An empty index, and the owners whose objects change: those that the objects name, and those that want them too.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        claims: Arc<Claims>,
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::UnboundedReceiver<OwnerId>) {
        let (changed, inbox) = mpsc::unbounded_channel();
        (
            Self { cluster, state: Arc::default(), changed, synced: Arc::new(watch::channel(()).0), claims, metrics },
            inbox,
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what exists of the watched kinds is known.
    pub async fn complete(&self) {
        let mut synced = self.synced.subscribe();
        while self.state().kinds.values().any(|known| !known) {
            if synced.changed().await.is_err() {
                return;
            }
        }
    }

    /// Watches a kind, unless it is watched already. A kind that the API server does not serve has nothing.
    ///
    /// # Errors
    /// The API server cannot be asked for the kind.
    pub async fn watch(&self, api_version: &str, kind: &str) -> Result<(), ClusterError> {
        let id = (api_version.to_owned(), kind.to_owned());
        if self.state().kinds.contains_key(&id) {
            return Ok(());
        }
        let resource = match self.cluster.resource(api_version, kind).await {
            Ok(resource) => resource,
            Err(error) if error.is_absent() => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.state().kinds.insert(id.clone(), false).is_none() {
            tokio::spawn(self.clone().follow(id, resource));
        }
        Ok(())
    }

    /// Whether everything that exists of a kind is known, so that an unknown object does not exist.
    #[must_use]
    pub fn is_complete(&self, api_version: &str, kind: &str) -> bool {
        self.state().kinds.get(&(api_version.to_owned(), kind.to_owned())) == Some(&true)
    }

    /// Whether a kind is watched.
    #[must_use]
    pub fn is_watched(&self, api_version: &str, kind: &str) -> bool {
        self.state().kinds.contains_key(&(api_version.to_owned(), kind.to_owned()))
    }

    /// What is known of an object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Known> {
        self.state().objects.get(key).cloned()
    }

    /// The kinds that are watched, as `group/version` and kind.
    #[must_use]
    pub fn kinds(&self) -> Vec<(String, String)> {
        self.state().kinds.keys().cloned().collect()
    }

    /// The objects that say they are of this owner.
    #[must_use]
    pub fn owned_by(&self, owner: &OwnerId) -> Vec<(ObjectKey, Known)> {
        self.state().objects.iter().filter(|(_, k)| k.owner == *owner).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    async fn follow(self, id: (String, String), resource: ApiResource) {
        let selector = format!("{}={}", labels::MANAGED, labels::MANAGED_VALUE);
        let config = watcher::Config::default().labels(&selector);
        let mut listed = HashSet::new();
        follow(self.cluster.client().clone(), &resource, config, |event| match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => drop(listed.insert(self.upsert(&id, &resource, &object))),
            Event::InitDone => self.finish_listing(&id, &resource, &listed),
            Event::Apply(object) => drop(self.upsert(&id, &resource, &object)),
            Event::Delete(object) => self.forget(&key_of(&resource, &object)),
        })
        .await;
    }

    fn upsert(&self, id: &(String, String), resource: &ApiResource, object: &Meta) -> ObjectKey {
        let key = key_of(resource, object);
        if !counts(&key.kind, &object.metadata) {
            self.forget(&key);
            return key;
        }
        let label = |name: &str| object.labels().get(name).cloned().unwrap_or_default();
        let is_annotated = |name: &str, value: &str| object.annotations().get(name).is_some_and(|v| v == value);
        let known = Known {
            api_version: id.0.clone(),
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
            owner: (label(labels::OWNER_NAMESPACE), label(labels::OWNER_NAME)),
            component: Component::from_name(&label(labels::COMPONENT)),
            revision: label(labels::REVISION),
            is_ignored: is_annotated(IGNORE, "true"),
            is_kept: is_annotated(PRUNE, "false"),
            is_terminating: object.metadata.deletion_timestamp.is_some(),
        };
        let before = self.state().objects.insert(key.clone(), known.clone());
        if before.is_none() {
            self.metrics.own(key.group_kind(), true);
        }
        if before.as_ref() != Some(&known) {
            // An object that changed hands concerns both.
            self.announce(&key, [Some(known.owner), before.map(|b| b.owner)]);
        }
        key
    }

    fn forget(&self, key: &ObjectKey) {
        let gone = self.state().objects.remove(key);
        if let Some(gone) = gone {
            self.metrics.own(key.group_kind(), false);
            self.announce(key, [Some(gone.owner), None]);
        }
    }

    fn finish_listing(&self, id: &(String, String), resource: &ApiResource, listed: &HashSet<ObjectKey>) {
        let gone: Vec<ObjectKey> = {
            let state = self.state();
            let of_kind = state.objects.keys().filter(|k| k.group == resource.group && k.kind == resource.kind);
            of_kind.filter(|k| !listed.contains(k)).cloned().collect()
        };
        for key in &gone {
            self.forget(key);
        }
        self.state().kinds.insert(id.clone(), true);
        self.synced.send_replace(());
    }

    fn announce(&self, key: &ObjectKey, owners: [Option<OwnerId>; 2]) {
        let concerned: BTreeSet<_> = owners.into_iter().flatten().chain(self.claims.claimants(key)).collect();
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

/// Whether an object with an owner's labels is one that was installed. An IstioOperator resource is one only if it is the
/// record of an installation: somebody may have made a new one out of such a record, labels and all.
pub(super) fn counts(kind: &str, metadata: &ObjectMeta) -> bool {
    let is_record = || metadata.name.as_deref().is_some_and(|name| name.starts_with(INSTALLED_STATE));
    is_ours(metadata) && (kind != KIND || is_record())
}

fn key_of(resource: &ApiResource, object: &Meta) -> ObjectKey {
    ObjectKey {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}
