//! The end of a resource: what it installed is deleted, children before parents, then the finalizer is removed.
//!
//! The spec is not looked at, so a resource that could never be installed can still be deleted. CRDs and namespaces stay.

use super::Context;
use super::index::OwnerId;
use super::reconcile::PassError;
use crate::api::FINALIZER;
use crate::cluster::{ClusterError, is_ours};
use crate::component::Component;
use crate::object::{ObjectKey, labels};
use crate::plan;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How soon the cluster is asked again whether all is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Deletes everything a resource owns; removes the finalizer once nothing is left.
pub(super) async fn finalize(resource: &DynamicObject, context: &Context, id: &OwnerId) -> Result<Action, PassError> {
    let Some(position) = resource.finalizers().iter().position(|f| f == FINALIZER) else {
        context.forget(id);
        return Ok(Action::await_change());
    };
    let owned = list_owned(context, id).await?;
    let candidates = owned.iter().map(|(key, known)| (key.clone(), known.2)).collect();
    let doomed = plan::prune(candidates, &BTreeSet::new());
    let mut failures = vec![];
    for key in &doomed {
        let Some((api_version, uid, _)) = owned.get(key) else { continue };
        tracing::info!(object = %key, "its resource is being deleted, deleting");
        match context.cluster.delete(api_version, key, uid).await {
            Ok(()) => drop(context.metrics.deletions.inc()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    if !failures.is_empty() {
        return Err(PassError::Objects(failures.join("; ")));
    }
    if !doomed.is_empty() {
        // Looked at once more, so that nothing that was still being written is left.
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    remove_finalizer(resource, context, position).await?;
    context.forget(id);
    Ok(Action::await_change())
}

type Owned = BTreeMap<ObjectKey, (String, String, Option<Component>)>;

/// What the API server says is owned now; the index may be a moment behind.
async fn list_owned(context: &Context, id: &OwnerId) -> Result<Owned, ClusterError> {
    let selector = format!("{}={},{}={}", labels::OWNER_NAMESPACE, id.0, labels::OWNER_NAME, id.1);
    let mut owned = Owned::new();
    for (api_version, kind) in context.index.kinds().into_iter().filter(|(_, kind)| !plan::is_kept(kind)) {
        for object in context.cluster.list(&api_version, &kind, None, &selector).await? {
            if !is_ours(&object.metadata) {
                continue;
            }
            let key = ObjectKey {
                group: api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
                kind: kind.clone(),
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
            };
            let component = object.labels().get(labels::COMPONENT).and_then(|c| Component::from_name(c));
            owned.insert(key, (api_version.clone(), object.uid().unwrap_or_default(), component));
        }
    }
    Ok(owned)
}

async fn remove_finalizer(resource: &DynamicObject, context: &Context, position: usize) -> Result<(), ClusterError> {
    let pointer = format!("/metadata/finalizers/{position}");
    let patch = json!([
        {"op": "test", "path": pointer, "value": FINALIZER},
        {"op": "remove", "path": pointer},
    ]);
    match context.cluster.patch_owner(resource, patch).await {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}
