//! Add-ons as a cluster has them.

use super::super::cluster::Connected;
use crate::cluster::ClusterError;
use crate::object::{Object, ObjectKey};
use crate::release::addons::Addon;
use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeSet;

/// Who applies add-ons. Another one than for the mesh, so that nothing of a mesh is taken for an add-on, nor the other way round.
pub(super) const MANAGER: &str = "istio-operator-addons";

/// Whether we installed it.
pub(super) fn is_ours(metadata: &ObjectMeta) -> bool {
    managers(metadata).contains(MANAGER)
}

/// Who else installed it, for a person.
pub(super) fn others(metadata: &ObjectMeta) -> String {
    let all = managers(metadata);
    // Its own controller tells how it stands.
    let all: Vec<&str> = all.into_iter().filter(|name| !name.starts_with("kube-controller-manager")).collect();
    if all.is_empty() { "somebody else".to_owned() } else { all.join(", ") }
}

fn managers(metadata: &ObjectMeta) -> BTreeSet<&str> {
    let entries = metadata.managed_fields.iter().flatten();
    entries.filter(|entry| entry.subresource.is_none()).filter_map(|entry| entry.manager.as_deref()).collect()
}

/// The kinds of objects.
pub(super) fn kinds(rendered: &[Vec<Object>]) -> BTreeSet<(String, String)> {
    rendered.iter().flatten().map(|object| (object.api_version().to_owned(), object.kind().to_owned())).collect()
}

/// What there is of add-ons that were installed for a namespace, wherever it is.
pub(super) async fn found(
    connected: &Connected,
    addons: &[&Addon],
    namespace: &str,
    kinds: &BTreeSet<(String, String)>,
) -> Result<Vec<DynamicObject>, ClusterError> {
    let names = addons.iter().map(|addon| addon.name).collect::<Vec<_>>().join(",");
    let labels = ["part-of=istio-addons".to_owned(), format!("instance={namespace}"), format!("name in ({names})")];
    let labels = &labels.map(|label| format!("app.kubernetes.io/{label}")).join(",");
    let list = |(api_version, kind)| async move {
        let found = connected.cluster.list(api_version, kind, None, labels).await?;
        Ok(typed(found, api_version, kind))
    };
    Ok(try_join_all(kinds.iter().map(|(api_version, kind)| list((api_version, kind)))).await?.concat())
}

/// Objects of a list do not say what they are.
fn typed(mut list: Vec<DynamicObject>, api_version: &str, kind: &str) -> Vec<DynamicObject> {
    for object in &mut list {
        object.types = Some(kube::api::TypeMeta { api_version: api_version.to_owned(), kind: kind.to_owned() });
    }
    list
}

/// What identifies an object.
pub(super) fn key(object: &DynamicObject) -> ObjectKey {
    let types = object.types.clone().unwrap_or_default();
    ObjectKey {
        group: types.api_version.rsplit_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default(),
        kind: types.kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// Deletes an object.
pub(super) async fn delete(connected: &Connected, object: &DynamicObject) -> Result<(), ClusterError> {
    let api_version = object.types.as_ref().map(|types| types.api_version.clone()).unwrap_or_default();
    connected.cluster.delete(&api_version, &key(object), &object.uid().unwrap_or_default()).await
}
