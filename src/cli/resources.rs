//! The IstioOperator resources of a cluster, as commands ask for them.

use crate::api::{DRY_RUN, IGNORE_RECONCILE, annotations};
use crate::cluster::received::ObservedResource;
use crate::cluster::status_text::{read_status, unknown_part};
use crate::cluster::{Cluster, ClusterError};
use crate::object::labels;
use crate::object::manifests::revision_label;
use crate::object::{ObjectKey, OwnerId};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeSet;

/// What commands tell of a resource.
pub(super) struct Summary {
    /// Its namespace and name.
    pub id: OwnerId,
    /// Its revision as labels name it.
    pub revision: String,
    /// The profile that its spec names, `default` where it names none.
    pub profile: String,
    /// The revision tags that it lists.
    pub tags: Vec<String>,
    /// Its status; null where there is none.
    pub status: Value,
    /// Of its spec.
    pub generation: i64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it is the record of an installation.
    pub is_record: bool,
    /// Whether no operator works on it: a record, or annotated so.
    pub is_left_alone: bool,
    /// Whether it waits for an operator when it is deleted.
    pub has_finalizer: bool,
    /// What is to be known of it before all that its status says.
    pub remarks: Vec<String>,
}

impl From<ObservedResource> for Summary {
    fn from(resource: ObservedResource) -> Self {
        let text = |field: &str| resource.spec().and_then(|spec| spec.get(field)?.as_str()).unwrap_or_default();
        let listed = |values: &str| resource.spec().and_then(|spec| spec.get(values)?.get("revisionTags")?.as_array());
        let tags = ["values", "unvalidatedValues"].into_iter().filter_map(listed).flatten();
        let deletes = || format!("its deletion was asked for at {}", resource.deletion_asked_at());
        let of_it = resource.annotations();
        let remarks = [
            resource.is_being_deleted().then(deletes),
            resource.error().map(ToString::to_string),
            unknown_part(&resource.status).map(|lost| format!("a part of its status cannot be read: {lost}")),
            annotations::is_left_alone(of_it).then(|| format!("annotated {IGNORE_RECONCILE}: it is left alone")),
            annotations::is_dry_run(of_it).then(|| format!("annotated {DRY_RUN}: nothing is applied")),
        ];
        Self {
            id: resource.id(),
            revision: revision_label(resource.revision()).to_owned(),
            profile: Some(text("profile")).filter(|name| !name.is_empty()).unwrap_or("default").to_owned(),
            tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            status: read_status(&resource.status),
            generation: resource.generation(),
            created: resource.metadata.creation_timestamp.as_ref().map(|time| time.0),
            is_record: resource.is_record(),
            is_left_alone: resource.is_left_alone(),
            has_finalizer: resource.has_finalizer(),
            remarks: remarks.into_iter().flatten().collect(),
        }
    }
}

/// All resources of a namespace, or of all, records of installations included; none where their kind is not defined.
///
/// # Errors
/// They cannot be listed, so that nothing is known of them.
pub(super) async fn list(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Summary>, ClusterError> {
    match cluster.each_owner(namespace, |received| Some(Summary::from(received.into_observed()))).await {
        Err(error) if error.is_absent() => Ok(vec![]),
        other => other,
    }
}

/// The resource that an operator reconciles and that lists a tag, or that one of its webhooks belongs to; and in which way.
pub(super) fn owner_of_tag<'r>(
    resources: &'r [Summary],
    tag: &str,
    mut webhooks: impl Iterator<Item = &'r DynamicObject>,
) -> Option<(&'r OwnerId, &'static str)> {
    let lists = |resource: &&Summary| !resource.is_left_alone && resource.tags.iter().any(|listed| listed == tag);
    if let Some(resource) = resources.iter().find(lists) {
        return Some((&resource.id, "lists it in values.revisionTags"));
    }
    let owner = webhooks.find_map(|webhook| owner_of(resources, webhook))?;
    Some((owner, "has its webhook"))
}

/// The resource that an operator reconciles and that an object is of.
pub(super) fn owner_of<'r>(resources: &'r [Summary], object: &DynamicObject) -> Option<&'r OwnerId> {
    let owner = labels::owner_of(object.labels())?;
    let mut reconciled = resources.iter().filter(|resource| !resource.is_left_alone);
    reconciled.find(|resource| resource.id == owner).map(|resource| &resource.id)
}

/// Who else may have an object, by its annotations and labels: what is there, and what it is called.
const OTHERS: [(&str, &str); 6] = [
    (HELM.1, "Helm release"),
    ("argocd.argoproj.io/tracking-id", "Argo CD application"),
    ("argocd.argoproj.io/instance", "Argo CD application"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux Kustomization"),
    ("helm.toolkit.fluxcd.io/name", "Flux HelmRelease"),
    ("olm.managed", "Operator Lifecycle Manager"),
];
/// Helm's own marks: the namespace and the name of a release.
pub(super) const HELM: (&str, &str) = ("meta.helm.sh/release-namespace", "meta.helm.sh/release-name");

/// Who has an object besides operators of Istio, as its own annotations and labels say.
pub(super) fn other_owners<K: ResourceExt>(object: &K) -> impl Iterator<Item = String> {
    let mark = |name: &str| object.annotations().get(name).or_else(|| object.labels().get(name));
    OTHERS.into_iter().filter_map(move |(name, kind)| {
        let namespace = mark(HELM.0).filter(|_| name == HELM.1).map(|namespace| format!("{namespace}/"));
        Some(format!("{kind} {}{}", namespace.unwrap_or_default(), mark(name)?))
    })
}

/// Who installed an object: a Helm release, a resource of an operator, and programs by the names of their field managers.
pub(super) fn installers(live: &impl ResourceExt) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = other_owners(live).collect();
    found.extend(labels::owner_of(live.labels()).map(|owner| format!("IstioOperator {owner}")));
    let of_spec = live.managed_fields().iter().filter(|entry| entry.subresource.is_none());
    found.extend(of_spec.filter_map(|entry| entry.manager.clone()));
    found
}

/// The key of an object of a kind, by its metadata.
pub(super) fn key_of(group: &str, kind: &str, object: &impl ResourceExt) -> ObjectKey {
    ObjectKey {
        group: group.into(),
        kind: kind.into(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}
