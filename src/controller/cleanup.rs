//! The end of a resource: what it installed is deleted, children before parents, then the finalizer is removed.
//!
//! The spec is not looked at, so a resource that could never be installed can still be deleted. Definitions, namespaces,
//! what is annotated to be kept and what another resource wants too stay.
//!
//! A control plane that is in use is held back for at most [`HELD`]: the status, a condition and an event name who uses it
//! and when it goes all the same. Where it cannot be told who uses it, and what cannot be deleted (no permission, a webhook
//! that refuses), is tried again for at most [`PATIENCE`]; what is left then is left behind with a warning, so that nothing locks a resource or its namespace for ever. The annotation
//! `install.istio.io/force-delete: "true"` ends both at once.

use super::index::{self, OwnerId};
use super::install::summary;
use super::prune::{self, Doomed};
use super::reconcile::PassError;
use super::report::report;
use super::usage::{self, Pods};
use super::{Context, Memory, events};
use crate::api::{FINALIZER, FORCE_DELETE, PRUNE};
use crate::cluster::ClusterError;
use crate::component::Component;
use crate::object::inventory::{Entry, group_of};
use crate::object::{ObjectKey, labels};
use crate::plan;
use crate::status::{Findings, Remark, Verdict};
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::Span;
use tracing::field::Empty;

/// How soon the cluster is asked again whether all is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How soon it is asked again who uses the control plane.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How long a control plane that is in use is held back.
const HELD: Duration = Duration::from_hours(24);
/// How long what cannot be deleted is tried again.
const PATIENCE: Duration = Duration::from_mins(5);

/// Deletes everything a resource has; removes the finalizer once nothing is left.
#[tracing::instrument(level = "debug", skip_all, fields(objects = Empty))]
pub(super) async fn finalize(
    resource: &DynamicObject,
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
) -> Result<Action, PassError> {
    if !has_finalizer(resource) {
        context.forget(id);
        return Ok(Action::await_change());
    }
    let generation = resource.metadata.generation.unwrap_or_default();
    let is_forced = resource.annotations().get(FORCE_DELETE).is_some_and(|v| v == "true");
    let mut listed = list_owned(context, id, memory).await;
    let doomed = std::mem::take(&mut listed.doomed);
    Span::current().record("objects", doomed.len());
    if may_be_held(age(resource), is_forced) {
        match users(context, &listed.workloads).await {
            Err(error) if may_be_tried_again(age(resource), is_forced) => {
                let failed = Verdict::Failed(format!("cannot tell who uses the control plane: {error}"));
                report(resource, context, memory, &Findings::of(failed, generation)).await?;
                return Err(error.into());
            }
            Err(error) => tracing::warn!(%error, "cannot tell who uses the control plane, deleting it"),
            Ok(users) if !users.is_empty() => {
                report(resource, context, memory, &held(&users, resource, generation)).await?;
                return Ok(Action::requeue(ASK_AGAIN));
            }
            Ok(_) => {}
        }
    }
    if !doomed.is_empty() {
        context.metrics.count("reconcile_request", [("reason", "update_deletion_timestamp")]);
        let deleting = Verdict::Deleting("what the resource installed".into());
        report(resource, context, memory, &Findings::of(deleting, generation)).await?;
    }
    let deleted = prune::delete(context, &doomed, "its resource is being deleted").await;
    if deleted.len() < doomed.len() {
        memory.failures = 0;
    }
    let failures: Vec<String> =
        listed.failures.into_iter().chain(deleted.into_iter().map(|(_, error)| error.to_string())).collect();
    if !failures.is_empty() && may_be_tried_again(age(resource), is_forced) {
        let failed = Verdict::Failed(format!("cannot delete what the resource installed: {}", summary(&failures)));
        report(resource, context, memory, &Findings::of(failed, generation)).await?;
        return Err(PassError::Objects(summary(&failures)));
    }
    if failures.is_empty() && !doomed.is_empty() {
        // Looked at once more, so that nothing that was still being written is left.
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    if !failures.is_empty() {
        let text = format!("could not be deleted and is left behind: {}", failures.join("; "));
        tracing::warn!(namespace = id.0, name = id.1, text, "letting go");
        events::publish(context, resource, &events::Note { is_warning: true, reason: "LeftBehind", text }).await;
    }
    let_go(resource, context, id).await?;
    Ok(Action::await_change())
}

/// Removes the finalizer and leaves everything as it is.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn let_go(resource: &DynamicObject, context: &Context, id: &OwnerId) -> Result<(), ClusterError> {
    if let Some(position) = resource.finalizers().iter().position(|f| f == FINALIZER) {
        let pointer = format!("/metadata/finalizers/{position}");
        let patch = json!([
            {"op": "test", "path": pointer, "value": FINALIZER},
            {"op": "remove", "path": pointer},
        ]);
        match context.cluster.patch_owner(resource, patch).await {
            Err(error) if error.is_absent() => {}
            other => other?,
        }
    }
    context.forget(id);
    Ok(())
}

fn has_finalizer(resource: &DynamicObject) -> bool {
    resource.finalizers().iter().any(|f| f == FINALIZER)
}

/// Whether a control plane that is in use holds its deletion up, so long after it was asked for.
fn may_be_held(age: Duration, is_forced: bool) -> bool {
    !is_forced && age < HELD
}

/// Whether what failed holds the deletion up, so long after it was asked for.
fn may_be_tried_again(age: Duration, is_forced: bool) -> bool {
    !is_forced && age < PATIENCE
}

/// How long ago the deletion was asked for.
fn age(resource: &DynamicObject) -> Duration {
    let Some(asked) = resource.metadata.deletion_timestamp.as_ref() else { return Duration::ZERO };
    let now = k8s_openapi::jiff::Timestamp::now();
    Duration::try_from(now.duration_since(asked.0)).unwrap_or_default()
}

/// The deletion waits: who uses the control plane, until when it is held back, and how to go on at once.
fn held(users: &[String], resource: &DynamicObject, generation: i64) -> Findings {
    let asked = resource.metadata.deletion_timestamp.as_ref().map(|t| t.0).unwrap_or_default();
    let until = asked.checked_add(HELD).unwrap_or(asked).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let message = format!(
        "the control plane is in use by {}; it is deleted when nothing uses it any more, or at {until}, or at once when \
         the resource is annotated {FORCE_DELETE}=true",
        summary(users)
    );
    let remark = Remark { kind: "DeletionHeld", reason: "DeletionHeld", message: message.clone() };
    Findings { remarks: vec![remark], ..Findings::of(Verdict::Held(message), generation) }
}

/// What is there of a resource.
#[derive(Default)]
struct Listed {
    doomed: Doomed,
    /// The resource's workloads, also those that another resource takes over.
    workloads: Vec<Workload>,
    /// What could not be listed.
    failures: Vec<String>,
}

struct Workload {
    /// Whether it is an istiod that is to be deleted.
    is_control_plane: bool,
    revision: String,
    pods: Pods,
}

/// Who uses the control plane that is about to go, but for its own gateways. Nobody does where there is none, where its
/// namespace goes.
async fn users(context: &Context, workloads: &[Workload]) -> Result<Vec<String>, ClusterError> {
    let Some(istiod) = workloads.iter().find(|w| w.is_control_plane) else { return Ok(vec![]) };
    let key = ObjectKey {
        group: String::new(),
        kind: "Namespace".into(),
        namespace: String::new(),
        name: istiod.pods.0.clone(),
    };
    match context.cluster.get("v1", &key).await {
        Ok(Some(namespace)) if namespace.metadata.deletion_timestamp.is_some() => return Ok(vec![]),
        _ => {}
    }
    let own: Vec<Pods> = workloads.iter().map(|w| w.pods.clone()).collect();
    Ok(usage::users_of(&context.cluster, &istiod.revision, &own).await?.names)
}

/// What the API server says is there now, by labels and by the inventory; the index may be a moment behind.
async fn list_owned(context: &Context, id: &OwnerId, memory: &Memory) -> Listed {
    let selector = format!("{}={},{}={}", labels::OWNER_NAMESPACE, id.0, labels::OWNER_NAME, id.1);
    let mut listed = Listed::default();
    let mut found: BTreeMap<ObjectKey, (Entry, Option<Component>)> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for (api_version, kind) in context.index.kinds().into_iter().filter(|(_, kind)| !plan::is_kept(kind)) {
        let objects = match context.cluster.list(&api_version, &kind, None, &selector).await {
            Ok(objects) => objects,
            // Its definition has gone, and all of its objects with it.
            Err(error) if error.is_absent() => continue,
            Err(error) => {
                listed.failures.push(error.to_string());
                continue;
            }
        };
        for object in objects.iter().filter(|object| index::counts(&kind, &object.metadata)) {
            let key = ObjectKey {
                group: group_of(&api_version).to_owned(),
                kind: kind.clone(),
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
            };
            let stays = object.annotations().get(PRUNE).is_some_and(|v| v == "false")
                || context.claims.is_wanted_by_another(id, &key);
            let component = object.labels().get(labels::COMPONENT).and_then(|c| Component::from_name(c));
            if key.group == "apps" {
                listed.workloads.extend(workload(object, component, stays));
            }
            if stays {
                kept.insert(key);
                continue;
            }
            let entry = Entry { api_version: api_version.clone(), uid: object.uid().unwrap_or_default() };
            found.insert(key, (entry, component));
        }
    }
    for (key, entry) in memory.inventory.iter().filter(|(key, _)| !plan::is_kept(&key.kind)) {
        if kept.contains(key) || found.contains_key(key) || context.claims.is_wanted_by_another(id, key) {
            continue;
        }
        match prune::is_still_there(context, key, entry).await {
            Ok(true) => drop(found.insert(key.clone(), (entry.clone(), None))),
            Ok(false) => {}
            Err(error) => listed.failures.push(error.to_string()),
        }
    }
    let order = plan::prune(found.iter().map(|(key, (_, c))| (key.clone(), *c)).collect(), &BTreeSet::new());
    listed.doomed = order.into_iter().filter_map(|key| found.remove(&key).map(|(entry, _)| (key, entry))).collect();
    listed
}

fn workload(object: &DynamicObject, component: Option<Component>, stays: bool) -> Option<Workload> {
    Some(Workload {
        is_control_plane: component == Some(Component::Pilot) && !stays,
        revision: object.labels().get(labels::REVISION).cloned().unwrap_or_default(),
        pods: usage::pods_of(&object.namespace()?, &object.data)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_at(time: &str) -> DynamicObject {
        let metadata = json!({"name": "main", "deletionTimestamp": time});
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "x", "metadata": metadata})).unwrap()
    }

    #[test]
    fn a_control_plane_in_use_is_held_back_for_a_day_and_what_fails_for_five_minutes_and_nothing_when_forced() {
        let (minutes, hours) = (Duration::from_mins, Duration::from_hours);
        assert!(may_be_held(hours(23), false) && !may_be_held(hours(24), false));
        assert!(may_be_tried_again(minutes(4), false) && !may_be_tried_again(minutes(5), false));
        assert!(!may_be_held(minutes(0), true) && !may_be_tried_again(minutes(0), true));
    }

    #[test]
    fn the_age_of_a_deletion_is_counted_from_when_it_was_asked_for() {
        assert!(age(&asked_at("2020-01-01T00:00:00Z")) > HELD);
        assert_eq!(age(&asked_at("2100-01-01T00:00:00Z")), Duration::ZERO, "clocks differ");
    }

    #[test]
    fn a_deletion_that_is_held_back_says_by_whom_until_when_and_how_to_go_on() {
        let users = ["Pod shop/cart".to_owned(), "Namespace shop".to_owned()];
        let findings = held(&users, &asked_at("2026-01-01T12:00:00Z"), 3);
        let message = findings.verdict.message();
        for said in ["Pod shop/cart; Namespace shop", "at 2026-01-02T12:00:00Z", "install.istio.io/force-delete=true"] {
            assert!(message.contains(said), "{message}");
        }
        assert_eq!(findings.remarks[0].kind, "DeletionHeld");
    }
}
