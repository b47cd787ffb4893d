//! What there is of Istio in a cluster, to be deleted: by the labels that upstream's operator and `istioctl`, this operator, and Helm
//! put on what they install.

use crate::api::component::{ALL, Component};
use crate::api::{API_VERSION, INSTALLED_STATE, KIND, PRUNE};
use crate::cluster::{Cluster, ClusterError};
use crate::install::INITIAL_KINDS;
use crate::install::provenance::{component_of, revision_of};
use crate::object::inventory::group_of;
use crate::object::labels::{COMPONENT, REVISION};
use crate::object::manifests::{Manifests, revision_label};
use crate::object::pods::{Pods, pods_of};
use crate::object::{Object, ObjectKey};
use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeMap;

/// How many lists and reads are under way at once.
const AT_ONCE: usize = 32;

/// Kinds that installers have used besides those that are known of from the start.
const MORE_KINDS: [(&str, &str); 6] = [
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "StatefulSet"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
];

/// By which labels everything of Istio is found: those of upstream's installers and of this one; those of its charts with Helm, from
/// release 1.24 on, and before.
const OF_ISTIO: [&str; 3] = [
    COMPONENT,
    "app.kubernetes.io/part-of=istio",
    "release,app in (istiod,istio-reader,istio-pilot,sidecar-injector,istio-base)",
];

/// Of these some have nothing but the revision that they are of.
const WEBHOOKS: [(&str, &str); 2] = [
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
];

/// The groups of Istio's own definitions.
const GROUPS: [&str; 5] =
    ["extensions.istio.io", "install.istio.io", "networking.istio.io", "security.istio.io", "telemetry.istio.io"];

/// An object to be deleted.
pub(super) struct Doomed {
    pub key: ObjectKey,
    pub api_version: String,
    pub uid: String,
    pub component: Option<Component>,
    /// As its labels say it; empty where they do not.
    pub revision: String,
    /// Of a workload its pods.
    pub pods: Option<Pods>,
    /// Whether it is asked to go already.
    pub is_going: bool,
    pub finalizers: Vec<String>,
    /// Whether it is annotated never to be deleted.
    pub is_kept: bool,
}

impl Doomed {
    fn of(api_version: &str, live: &DynamicObject, kind: &str) -> Self {
        let group = group_of(api_version).to_owned();
        let namespace = live.namespace().unwrap_or_default();
        let pods = if group == "apps" { pods_of(&namespace, &live.data) } else { None };
        Self {
            key: ObjectKey { group, kind: kind.to_owned(), namespace, name: live.name_any() },
            api_version: api_version.to_owned(),
            uid: live.uid().unwrap_or_default(),
            component: component_of(live),
            revision: revision_of(live).to_owned(),
            pods,
            is_going: live.metadata.deletion_timestamp.is_some(),
            finalizers: live.finalizers().to_vec(),
            is_kept: live.annotations().get(PRUNE).is_some_and(|value| value == "false"),
        }
    }

    /// As upstream names it.
    pub(super) fn name(&self) -> String {
        let ObjectKey { kind, namespace, name, .. } = &self.key;
        format!("{kind}:{namespace}:{name}")
    }

    pub(super) fn is_gateway(&self) -> bool {
        let is_named = || self.key.name.contains("gateway");
        self.key.kind == "Deployment" && self.component.map_or_else(is_named, Component::is_gateways)
    }

    pub(super) fn is_istiod(&self) -> bool {
        self.key.kind == "Deployment" && self.component == Some(Component::Pilot)
    }
}

/// What there is, by key.
pub(super) type Found = BTreeMap<ObjectKey, Doomed>;

/// Everything of Istio.
///
/// # Errors
/// A kind cannot be listed: what cannot be seen would be left behind.
pub(super) async fn everything(cluster: &Cluster) -> Result<Found, ClusterError> {
    let kinds = || kinds().filter(|(_, kind)| *kind != "CustomResourceDefinition");
    let mut lists: Vec<_> = kinds().flat_map(|kind| OF_ISTIO.map(|labels| (kind, labels))).collect();
    lists.extend(WEBHOOKS.map(|kind| (kind, REVISION)));
    let mut found = list_all(cluster, lists, |_| true).await?;
    let crds = [(("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "")];
    let is_istios = |one: &Doomed| {
        let group = one.key.name.split_once('.').map_or("", |(_, group)| group);
        GROUPS.contains(&group)
    };
    found.extend(list_all(cluster, crds.to_vec(), is_istios).await?);
    found.extend(list_all(cluster, vec![((API_VERSION, KIND), "")], |_| true).await?);
    Ok(found)
}

/// The control plane of a revision with its gateways, and the records of its installation; what all revisions share stays.
///
/// # Errors
/// As above.
pub(super) async fn of_revision(cluster: &Cluster, revision: &str) -> Result<Found, ClusterError> {
    let components = ALL.iter().filter(|component| **component != Component::Base).map(|component| component.name());
    let labels = format!("{REVISION}={revision},{COMPONENT} in ({})", components.collect::<Vec<_>>().join(","));
    let lists = kinds().filter(|(_, kind)| *kind != "CustomResourceDefinition").map(|kind| (kind, labels.as_str()));
    // A webhook that validates is of the base, and without its istiod would refuse all configuration.
    let of_revision = format!("{REVISION}={revision}");
    let webhooks = WEBHOOKS.map(|kind| (kind, of_revision.as_str()));
    let lists = lists.chain(webhooks);
    let mut found = list_all(cluster, lists.collect(), |_| true).await?;
    found.extend(records(cluster, revision).await?);
    Ok(found)
}

/// What manifests have in the cluster, but for the base, and what is of another revision; and the records of the revision.
///
/// # Errors
/// As above.
pub(super) async fn of_manifests(cluster: &Cluster, manifests: &Manifests) -> Result<Found, ClusterError> {
    let revision = manifests.revision_label();
    let parts = manifests.parts.iter().filter(|part| part.component != Component::Base);
    let read = parts.flat_map(|part| &part.objects).map(|object: &Object| async move {
        match cluster.get(object.api_version(), &object.key()).await {
            Err(error) if error.is_absent() => Ok(None),
            other => Ok(other?.map(|live| Doomed::of(object.api_version(), &live, object.kind()))),
        }
    });
    let live: Vec<Option<Doomed>> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    let own = live.into_iter().flatten().filter(|one| one.revision.is_empty() || one.revision == revision);
    let mut found: Found = own.map(|one| (one.key.clone(), one)).collect();
    found.extend(records(cluster, revision).await?);
    Ok(found)
}

/// The records of installations of a revision.
async fn records(cluster: &Cluster, revision: &str) -> Result<Found, ClusterError> {
    let all = cluster.list(API_VERSION, KIND, None, "").await?;
    let of = |record: &DynamicObject| {
        let said = record.data.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
        revision_label(said) == revision
    };
    let records = all.iter().filter(|one| one.name_any().starts_with(INSTALLED_STATE) && of(one));
    Ok(records.map(|one| Doomed::of(API_VERSION, one, KIND)).map(|one| (one.key.clone(), one)).collect())
}

fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    INITIAL_KINDS.iter().copied().chain(MORE_KINDS).filter(|(_, kind)| *kind != KIND)
}

async fn list_all(
    cluster: &Cluster,
    lists: Vec<((&str, &str), &str)>,
    is_meant: impl Fn(&Doomed) -> bool,
) -> Result<Found, ClusterError> {
    let lists = lists.into_iter().map(|((api_version, kind), labels)| async move {
        let live = match cluster.list(api_version, kind, None, labels).await {
            Err(error) if error.is_absent() => vec![],
            other => other?,
        };
        Ok::<_, ClusterError>(live.iter().map(|live| Doomed::of(api_version, live, kind)).collect::<Vec<_>>())
    });
    let found: Vec<Vec<Doomed>> = stream::iter(lists).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().filter(is_meant).map(|one| (one.key.clone(), one)).collect())
}
