//! Control planes that a resource has and no longer wants, after its revision, profile or namespace was edited or istiod was
//! disabled.
//!
//! Guarantee: one that is in use, or of which that cannot be told, stays. Nothing of it is deleted, and it is repaired as
//! long as the record of its installation comes to what was installed; the status says who uses it. It goes once nobody
//! does, at once or after `install.istio.io/prune-unused-after`, or when a person insists
//! (`install.istio.io/force-prune: REVISION`).

use super::index::OwnerId;
use super::prune::Unwanted;
use super::reconcile::PassError;
use super::usage::{self, InUse, Pods, unused};
use super::{Context, Memory, record, webhooks};
use crate::api::status::HeldRevision;
use crate::api::{FORCE_PRUNE, INSTALLED_STATE, KIND};
use crate::cluster::ClusterError;
use crate::component::Component;
use crate::object::ObjectKey;
use crate::object::labels::DEFAULT;
use crate::object::manifests::Manifests;
use crate::parallel;
use crate::pipeline;
use crate::status::bounded;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How soon it is asked again who uses a control plane.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// A control plane that stays.
pub(super) struct Held {
    /// For the status.
    pub told: HeldRevision,
    /// Everything that stays because of it.
    pub keys: BTreeSet<ObjectKey>,
    /// Its objects as they should be, where its record says so.
    pub manifests: Option<Manifests>,
    /// When to look at it again.
    pub again: Option<Duration>,
}

impl Held {
    /// Lets go of these objects.
    pub fn give_up(&mut self, keys: &BTreeSet<ObjectKey>) {
        self.keys.retain(|key| !keys.contains(key));
        for part in self.manifests.iter_mut().flat_map(|manifests| &mut manifests.parts) {
            part.objects.retain(|object| !keys.contains(&object.key()));
        }
    }
}

/// The objects of a control plane that is not wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plane {
    /// `default` for the unnamed one.
    revision: String,
    namespace: String,
    keys: BTreeSet<ObjectKey>,
}

/// Finds the control planes among what is not wanted that have to stay.
///
/// # Errors
/// Records cannot be read.
pub(super) async fn held(
    context: &Context,
    resource: &DynamicObject,
    id: &OwnerId,
    memory: &Memory,
    wanted: &Manifests,
    unwanted: &[Unwanted],
) -> Result<Vec<Held>, PassError> {
    let mut held = vec![];
    for plane in planes(unwanted, wanted) {
        let was = record_of(context, id, &plane.revision).await?;
        let rendered = match &was {
            Some(record) => render(context, id, record).await?,
            None => Err("no record says how it was installed".to_owned()),
        };
        let own = own_pods(wanted, rendered.as_ref().ok());
        let users = users(context, id, &plane, wanted, &own).await;
        let Some((told, again)) = stay(resource, memory, &plane, users) else { continue };
        held.push(hold(plane, told, again, rendered, was.map(|record| record.name_any()), (id, wanted, unwanted)));
    }
    Ok(held)
}

/// The pods of the resource's own workloads, which are no users of its control planes.
fn own_pods(wanted: &Manifests, former: Option<&Manifests>) -> Vec<Pods> {
    former.into_iter().chain([wanted]).flat_map(usage::workloads).collect()
}

/// Puts together what stays of a control plane.
fn hold(
    plane: Plane,
    mut told: HeldRevision,
    again: Option<Duration>,
    rendered: Result<Manifests, String>,
    record: Option<String>,
    (id, wanted, unwanted): (&OwnerId, &Manifests, &[Unwanted]),
) -> Held {
    let wanted_keys = wanted.keys();
    let has = |component| wanted.parts.iter().any(|part| part.component == component);
    let mut keys = plane.keys;
    // What it needs beside its own objects; of the CNI agent only where that goes with it.
    let is_needed = |u: &&Unwanted| match u.component {
        Some(Component::Base) => true,
        Some(Component::Cni) => !has(Component::Cni),
        Some(_) => false,
        None => u.key.kind != KIND,
    };
    keys.extend(unwanted.iter().filter(is_needed).map(|u| u.key.clone()));
    if let Some(name) = record {
        let group = crate::api::GROUP.to_owned();
        keys.insert(ObjectKey { group, kind: KIND.into(), namespace: id.0.clone(), name });
    }
    let manifests = match rendered {
        Ok(mut manifests) => {
            manifests.parts.retain(|p| {
                record::is_of_control_plane(p.component) && (p.component != Component::Cni || !has(p.component))
            });
            for part in &mut manifests.parts {
                part.objects.retain(|object| !wanted_keys.contains(&object.key()) && !object.is_crd());
            }
            manifests.parts.retain(|part| !part.objects.is_empty());
            keys.extend(manifests.keys());
            told.version = Some(manifests.version.clone()).filter(|v| !v.is_empty());
            Some(manifests)
        }
        Err(why) => {
            told.message = format!("{}; it is not repaired: {why}", told.message);
            None
        }
    };
    Held { told, keys, manifests, again }
}

fn is_plane(component: Option<Component>) -> bool {
    matches!(component, Some(Component::Pilot | Component::IstiodRemote))
}

/// The control planes among what is not wanted. Of the revision that is wanted there is one only if it is in another
/// namespace than the wanted one: all else that is spare of it, such as an autoscaler, is no control plane.
fn planes(unwanted: &[Unwanted], wanted: &Manifests) -> Vec<Plane> {
    let has_plane = wanted.parts.iter().any(|part| is_plane(Some(part.component)));
    let present = if wanted.revision.is_empty() { DEFAULT } else { &wanted.revision };
    let present = Some(present).filter(|_| has_plane);
    let mut planes: BTreeMap<&str, Plane> = BTreeMap::new();
    for object in unwanted.iter().filter(|object| is_plane(object.component)) {
        let plane = planes.entry(&object.revision).or_default();
        plane.keys.insert(object.key.clone());
        let namespace = &object.key.namespace;
        let is_present = present == Some(object.revision.as_str()) && *namespace == wanted.namespace;
        if plane.namespace.is_empty() && !is_present {
            plane.namespace.clone_from(namespace);
        }
    }
    planes.retain(|revision, plane| present != Some(*revision) || !plane.namespace.is_empty());
    for (revision, plane) in &mut planes {
        (*revision).clone_into(&mut plane.revision);
        if present == Some(*revision) {
            plane.keys.retain(|key| key.namespace != wanted.namespace);
        }
    }
    planes.into_values().collect()
}

/// Who uses a control plane. One that is wanted in another namespace is used by the pods that were made before the webhook
/// there, which injects all others.
async fn users(
    context: &Context,
    id: &OwnerId,
    plane: &Plane,
    wanted: &Manifests,
    own: &[Pods],
) -> Result<InUse, ClusterError> {
    // Woken when it changes; what is said of it is asked for, since something may go because of it.
    context.users.ask(id, &plane.revision, own.to_vec());
    let present = if wanted.revision.is_empty() { DEFAULT } else { &wanted.revision };
    let has_moved = plane.revision == present && wanted.parts.iter().any(|part| is_plane(Some(part.component)));
    if !has_moved {
        return usage::users_of(&context.cluster, &plane.revision, own).await;
    }
    let mut objects = wanted.parts.iter().flat_map(|part| &part.objects);
    let made = match objects.find(|object| object.kind() == webhooks::KIND) {
        Some(object) => context.cluster.get(object.api_version(), &object.key()).await?,
        None => None,
    };
    match made.and_then(|webhook| webhook.creation_timestamp()) {
        Some(made) => usage::users_before(&context.cluster, &plane.revision, own, made.0).await,
        // It is not there yet.
        None => usage::users_of(&context.cluster, &plane.revision, own).await,
    }
}

/// Whether a control plane with these users stays, and what is said of it.
fn stay(
    resource: &DynamicObject,
    memory: &Memory,
    plane: &Plane,
    users: Result<InUse, ClusterError>,
) -> Option<(HeldRevision, Option<Duration>)> {
    let insisted = resource.annotations().get(FORCE_PRUNE).map(String::as_str).unwrap_or_default();
    if insisted.split(',').any(|revision| revision.trim() == plane.revision) {
        return None;
    }
    let told = HeldRevision {
        revision: plane.revision.clone(),
        namespace: plane.namespace.clone(),
        ..HeldRevision::default()
    };
    let insist = format!("annotate the resource {FORCE_PRUNE}={} to remove it all the same", plane.revision);
    let users = match users {
        Ok(users) => users,
        Err(error) => {
            let message = format!("kept since it cannot be told who uses it: {error}; {insist}");
            return Some((HeldRevision { message: bounded(&message, 1024), ..told }, Some(ASK_AGAIN)));
        }
    };
    if !users.is_empty() {
        let message = format!("kept while it is in use; it goes when nobody uses it any more, or {insist}");
        return Some((HeldRevision { used_by: users.names, message, ..told }, Some(ASK_AGAIN)));
    }
    let grace = unused::grace(resource).and_then(Result::ok)?;
    let now = Timestamp::now();
    let known = memory.known();
    let before = known.held.iter().flatten().find(|h| h.revision == plane.revision && h.namespace == plane.namespace);
    let since = before.and_then(|h| h.unused_since.as_ref()?.parse::<Timestamp>().ok()).unwrap_or(now);
    let end = since.checked_add(grace).unwrap_or(Timestamp::MAX);
    let left = Duration::try_from(end.duration_since(now)).ok().filter(|left| !left.is_zero())?;
    let format = "%Y-%m-%dT%H:%M:%SZ";
    let message = format!("nobody uses it; it goes at {} unless somebody does", end.strftime(format));
    let unused_since = Some(since.strftime(format).to_string());
    Some((HeldRevision { unused_since, message, ..told }, Some(left.min(ASK_AGAIN))))
}

/// The record of the installation of a revision.
async fn record_of(context: &Context, id: &OwnerId, revision: &str) -> Result<Option<DynamicObject>, ClusterError> {
    let is_record = |key: &ObjectKey| key.kind == KIND && key.name.starts_with(INSTALLED_STATE);
    let owned = context.index.owned_by(id);
    let Some((key, known)) = owned.into_iter().find(|(key, known)| is_record(key) && known.revision == revision) else {
        return Ok(None);
    };
    context.cluster.get(&known.api_version, &key).await
}

/// What a record comes to now, if that is what it came to when it was written; else why not.
async fn render(
    context: &Context,
    id: &OwnerId,
    record: &DynamicObject,
) -> Result<Result<Manifests, String>, PassError> {
    let (spec, digest) = record::read(record);
    let Some(digest) = digest.map(str::to_owned) else {
        return Ok(Err("its record is of another operator".to_owned()));
    };
    let resource = json!({"metadata": {"namespace": id.0, "name": id.1}, "spec": spec});
    let (facts, package) = (context.facts.get(), Arc::clone(&context.package));
    let work = move || parallel::alone(|| pipeline::from_record(&resource, &facts, &package));
    let manifests = match tokio::task::spawn_blocking(work).await.map_err(|_| PassError::Interrupted)? {
        Ok(manifests) => manifests,
        Err(error) => return Ok(Err(format!("its record cannot be rendered: {error}"))),
    };
    // A record is a resource, and may be written by whoever may write those of its namespace.
    if let Some(why) = context.config.privileged.refusal(&id.0, &manifests) {
        return Ok(Err(why));
    }
    if !manifests.parts.iter().any(|part| is_plane(Some(part.component))) {
        return Ok(Err("its record is of an installation without a control plane".to_owned()));
    }
    if record::digest(&manifests) != digest {
        return Ok(Err("another version of the operator, or of its package, installed it".to_owned()));
    }
    Ok(Ok(manifests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::inventory::Entry;
    use crate::pipeline::{ClusterFacts, Package};
    use serde_json::Value;

    fn unwanted(kind: &str, place: &str, component: Component, revision: &str) -> Unwanted {
        let (namespace, name) = place.split_once('/').unwrap_or(("", place));
        let key = ObjectKey { group: String::new(), kind: kind.into(), namespace: namespace.into(), name: name.into() };
        let entry = Entry { api_version: "v1".into(), uid: "u".into() };
        Unwanted { key, entry, component: Some(component), revision: revision.into() }
    }

    fn wanted(spec: &Value) -> Manifests {
        let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
        pipeline::from_resource(&resource, &ClusterFacts::default(), &Package::embedded().unwrap()).unwrap()
    }

    fn found(unwanted: &[Unwanted], spec: &Value) -> Vec<(String, String, usize)> {
        let planes = planes(unwanted, &wanted(spec));
        planes.into_iter().map(|p| (p.revision, p.namespace, p.keys.len())).collect()
    }

    #[test]
    fn another_revision_or_a_namespace_left_behind_is_a_control_plane() {
        let old = [
            unwanted("Deployment", "istio-system/istiod", Component::Pilot, "default"),
            unwanted("MutatingWebhookConfiguration", "istio-sidecar-injector", Component::Pilot, "default"),
            unwanted("Service", "istio-system/istio-ingressgateway", Component::IngressGateways, "default"),
        ];
        let plane = |n| vec![("default".to_owned(), "istio-system".to_owned(), n)];
        assert_eq!(found(&old, &json!({"profile": "minimal", "revision": "canary"})), plane(2));
        assert_eq!(found(&old, &json!({"profile": "empty"})), plane(2));
        assert_eq!(found(&old, &json!({"profile": "minimal", "namespace": "other"})), plane(2));
    }

    #[test]
    fn what_is_spare_of_the_wanted_control_plane_is_none() {
        let spare = [
            unwanted("HorizontalPodAutoscaler", "istio-system/istiod", Component::Pilot, "default"),
            unwanted("MutatingWebhookConfiguration", "istio-revision-tag-x", Component::Pilot, "default"),
        ];
        assert_eq!(found(&spare, &json!({"profile": "minimal"})), []);
        assert_eq!(found(&spare[..1], &json!({"profile": "empty"})).len(), 1, "it is not wanted at all");
    }

    #[test]
    fn a_record_comes_to_what_was_installed() {
        let specs = [
            json!({"profile": "demo"}),
            json!({"profile": "default", "revision": "canary", "values": {"pilot": {"env": {"A": "b"}},
                "global": {"proxy": {"resources": null}}}, "meshConfig": {"accessLogFile": null},
                "components": {"cni": {"enabled": true}, "pilot": {"k8s": {"hpaSpec": {"maxReplicas": 7}}}}}),
            json!({"profile": "minimal", "namespace": "other", "tag": "1.17.9", "values": {"revisionTags": ["a"]}}),
        ];
        for spec in specs {
            let mut manifests = wanted(&spec);
            let before: Vec<_> = manifests.parts.iter().flat_map(|p| p.objects.clone()).collect();
            let record = record::record(("istio-system", "x"), "installed-state-x", &mut manifests).unwrap();
            let record = serde_json::from_value(record.value().into_owned()).unwrap();
            let (spec, digest) = record::read(&record);
            let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
            let package = Package::embedded().unwrap();
            let again = pipeline::from_record(&resource, &ClusterFacts::default(), &package).unwrap();
            assert_eq!(digest, Some(&*record::digest(&again)));
            let after: Vec<_> = again.parts.into_iter().flat_map(|p| p.objects).collect();
            assert!(before == after, "{spec}");
        }
    }
}
