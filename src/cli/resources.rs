//! The IstioOperator resources of a cluster, as commands ask for them.

use crate::cluster::received::{ObservedResource, Received};
use crate::cluster::{Cluster, ClusterError};
use crate::object::labels;
use crate::object::{ObjectKey, OwnerId};
use kube::ResourceExt;
use kube::api::{ListParams, ObjectMeta};
use serde_json::Value;

/// How many are read at once: the records among them are large.
const PAGE: u32 = 25;

/// All resources of a namespace, or of all, records of installations included; none where their kind is not defined.
///
/// # Errors
/// They cannot be listed, so that nothing is known of them.
pub(super) async fn list(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<ObservedResource>, ClusterError> {
    let (mut found, mut page) = (vec![], ListParams::default().limit(PAGE));
    loop {
        let list = match cluster.owners(namespace).list(&page).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(vec![]),
            Err(error) => return Err(ClusterError::of("list", &"IstioOperator resources", error)),
        };
        found.extend(list.items.into_iter().map(Received::into_observed));
        match list.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page = page.continue_token(&next),
            None => return Ok(found),
        }
    }
}

/// The resource that an operator reconciles and that an object belongs to, or that lists a tag; and in which way.
pub(super) fn owner_of_tag<'r>(
    resources: &'r [ObservedResource],
    tag: &str,
    webhook: Option<&ObjectMeta>,
) -> Option<(&'r ObservedResource, &'static str)> {
    let reconciled = || resources.iter().filter(|resource| !resource.is_left_alone());
    if let Some(resource) = reconciled().find(|resource| lists_tag(resource, tag)) {
        return Some((resource, "lists it in values.revisionTags"));
    }
    let labels = webhook.and_then(|webhook| webhook.labels.as_ref());
    let owner: OwnerId = labels.and_then(labels::owner_of)?;
    reconciled().find(|resource| resource.id() == owner).map(|resource| (resource, "has its webhook"))
}

fn lists_tag(resource: &ObservedResource, tag: &str) -> bool {
    ["values", "unvalidatedValues"].iter().any(|values| {
        let tags = resource.spec().and_then(|spec| spec.get(values)?.get("revisionTags")?.as_array());
        tags.into_iter().flatten().any(|listed| listed.as_str() == Some(tag))
    })
}

/// The profile that the spec of a resource names, `default` where it names none.
pub(super) fn profile_of(resource: &ObservedResource) -> String {
    let named = resource.spec().and_then(|spec| spec.get("profile")).and_then(Value::as_str);
    named.filter(|profile| !profile.is_empty()).unwrap_or("default").to_owned()
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
