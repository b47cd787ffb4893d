//! The IstioOperator resources of a cluster, as commands ask for them.

use crate::api::{DRY_RUN, IGNORE_RECONCILE};
use crate::cluster::received::{ObservedResource, Received};
use crate::cluster::{Cluster, ClusterError};
use crate::object::labels;
use crate::object::manifests::revision_label;
use crate::object::{ObjectKey, OwnerId};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{ListParams, ObjectMeta};
use serde_json::Value;

/// How many are read at once: the records among them are large.
const PAGE: u32 = 25;

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
        let remarks = [
            resource.is_being_deleted().then(deletes),
            resource.error().map(ToString::to_string),
            resource.is_annotated(IGNORE_RECONCILE).then(|| format!("annotated {IGNORE_RECONCILE}: it is left alone")),
            resource.is_annotated(DRY_RUN).then(|| format!("annotated {DRY_RUN}: nothing is applied")),
        ];
        Self {
            id: resource.id(),
            revision: revision_label(resource.revision()).to_owned(),
            profile: Some(text("profile")).filter(|name| !name.is_empty()).unwrap_or("default").to_owned(),
            tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            status: serde_json::from_str(&resource.status).unwrap_or_default(),
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
    let (mut found, mut page) = (vec![], ListParams::default().limit(PAGE));
    loop {
        let list = match cluster.owners(namespace).list(&page).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(vec![]),
            Err(error) => return Err(ClusterError::of("list", &"IstioOperator resources", error)),
        };
        found.extend(list.items.into_iter().map(Received::into_observed).map(Summary::from));
        match list.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page = page.continue_token(&next),
            None => return Ok(found),
        }
    }
}

/// The resource that an operator reconciles and that lists a tag, or that its webhook belongs to; and in which way.
pub(super) fn owner_of_tag<'r>(
    resources: &'r [Summary],
    tag: &str,
    webhook: Option<&ObjectMeta>,
) -> Option<(&'r OwnerId, &'static str)> {
    let reconciled = || resources.iter().filter(|resource| !resource.is_left_alone);
    if let Some(resource) = reconciled().find(|resource| resource.tags.iter().any(|listed| listed == tag)) {
        return Some((&resource.id, "lists it in values.revisionTags"));
    }
    let labels = webhook.and_then(|webhook| webhook.labels.as_ref());
    let owner: OwnerId = labels.and_then(labels::owner_of)?;
    reconciled().find(|resource| resource.id == owner).map(|resource| (&resource.id, "has its webhook"))
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
