//! Control planes that a resource has installed and no longer wants: its revision, profile or namespace was edited, or istiod
//! was disabled.
//!
//! Guarantee: a control plane that is in use, or of which that cannot be found out, is kept. Nothing of it is deleted; it is
//! repaired as long as its record still renders to what was installed; and the status says who uses it. It is removed once
//! nobody uses it, at once or after `install.istio.io/prune-unused-after`, or when a person forces it
//! (`install.istio.io/force-prune: REVISION`).

mod record;

use super::context::Context;
use super::error::ReconcileError;
use super::reconcile::Reconcile;
use super::reconcile_state::ReconcileState;
use super::status::{LONGEST_NOTE, bounded};
use super::usage::{self, ASK_AGAIN, Answer, InUse, Pods};
use crate::api::annotations::{self, GraceError};
use crate::api::component::Component;
use crate::api::status::HeldRevision;
use crate::api::{FORCE_PRUNE, KIND, TIME_FORMAT};
use crate::cluster::ClusterError;
use crate::install::{Candidate, Kept, installed_state, webhooks};
use crate::object::labels::DEFAULT;
use crate::object::manifests::Manifests;
use crate::object::{ObjectKey, OwnerId};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use record::Unrepairable;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What is told of a control plane, or a tag, that stays.
pub(super) struct Told {
    /// For the status.
    pub told: HeldRevision,
    /// When to look at it again.
    pub again: Option<Duration>,
}

/// A control plane, or a tag, that stays.
pub(super) struct Held {
    /// For the status.
    pub told: HeldRevision,
    /// Its objects.
    pub kept: Kept,
    /// When to look at it again.
    pub again: Option<Duration>,
    /// When its record was last written.
    written: Option<Timestamp>,
}

impl Held {
    /// What stays, and is not repaired.
    pub fn without_manifests(told: HeldRevision, keys: BTreeSet<ObjectKey>, again: Duration) -> Self {
        Self { told, kept: Kept { keys, manifests: None }, again: Some(again), written: None }
    }

    /// What is told of it, and its objects.
    pub fn split(self) -> (Told, Kept) {
        (Told { told: self.told, again: self.again }, self.kept)
    }
}

/// The objects of a control plane that is not wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plane {
    /// `default` for the unnamed one.
    revision: String,
    namespace: String,
    /// Whether its revision is wanted in another namespace.
    has_moved: bool,
    keys: BTreeSet<ObjectKey>,
}

impl Reconcile<'_> {
    /// Finds the control planes among what is not wanted that have to stay. `insisted` are the revisions and tags that a person
    /// wants gone.
    ///
    /// # Errors
    /// Records cannot be read.
    pub async fn held(
        &mut self,
        insisted: &str,
        wanted: &Manifests,
        unwanted: &[Candidate],
    ) -> Result<Vec<Held>, ReconcileError> {
        let (context, id) = (self.context, self.id);
        let grace = annotations::grace(self.resource.annotations());
        let mut held = vec![];
        let mut answers = std::mem::take(&mut self.state.users);
        for plane in planes(unwanted, wanted).into_iter().filter(|plane| !is_insisted(insisted, &plane.revision)) {
            let was = record::find(context, id, &plane.revision).await?;
            let rendered = match &was {
                Some(record) => record::render(context, id, record).await?,
                None => Err(Unrepairable::NoRecord),
            };
            let own = own_pods(wanted, rendered.as_ref().ok());
            // Woken when it changes.
            let seen = context.users.ask(id, &plane.revision, own.clone());
            let place = (plane.revision.clone(), plane.namespace.clone());
            // The watches do not tell what was made before a control plane moved.
            let last = answers.remove(&place).filter(|last| !plane.has_moved && last.holds(&seen));
            let answer = match last {
                Some(last) => Ok(last),
                None => {
                    users(context, &plane, wanted, &own).await.map(|users| Answer { at: Instant::now(), seen, users })
                }
            };
            let stays = stay(grace.as_ref(), self.state, &plane, answer.as_ref());
            self.state.users.extend(answer.ok().map(|answer| (place, answer)));
            let Some((told, again)) = stays else { continue };
            held.push(hold(plane, told, again, rendered, was.as_ref(), (id, wanted, unwanted)));
        }
        share_out(&mut held, unwanted, wanted);
        Ok(held)
    }
}

/// Leaves each object that several kept control planes render, such as a tag, to one of them: the one whose revision the live object
/// has, else the one that was wanted last. What belongs to another control plane that stays, or to the wanted one, is
/// not theirs, whether or not that one has it in its spec.
fn share_out(held: &mut [Held], unwanted: &[Candidate], wanted: &Manifests) {
    let present = Some(wanted.revision_label().to_owned()).filter(|_| wanted.has_control_plane());
    let stay: BTreeSet<String> = held.iter().map(|held| held.told.revision.clone()).chain(present).collect();
    let is_of_one = |object: &&Candidate| {
        object.component.is_some_and(Component::is_control_plane)
            && object.revision.as_ref().is_some_and(|revision| stay.contains(revision))
    };
    for held in held.iter_mut() {
        let of_others =
            unwanted.iter().filter(is_of_one).filter(|object| object.revision.as_ref() != Some(&held.told.revision));
        held.kept.give_up(&of_others.map(|object| object.key.clone()).collect());
    }
    let keys: Vec<BTreeSet<ObjectKey>> =
        held.iter().map(|held| held.kept.manifests.as_ref().map(Manifests::keys).unwrap_or_default()).collect();
    let mut order: Vec<usize> = (0..held.len()).collect();
    order.sort_by_key(|index| Reverse(held.get(*index).and_then(|held| held.written)));
    let mut holder: BTreeMap<&ObjectKey, usize> = BTreeMap::new();
    for index in order {
        for key in keys.get(index).into_iter().flatten() {
            holder.entry(key).or_insert(index);
        }
    }
    for object in unwanted {
        let is_of = |(held, keys): (&Held, &BTreeSet<_>)| {
            object.revision.as_ref() == Some(&held.told.revision) && keys.contains(&object.key)
        };
        if let Some(index) = held.iter().zip(&keys).position(is_of) {
            holder.insert(&object.key, index);
        }
    }
    for (index, held) in held.iter_mut().enumerate() {
        for part in held.kept.manifests.iter_mut().flat_map(|manifests| &mut manifests.parts) {
            part.objects.retain(|object| holder.get(&object.key()) == Some(&index));
        }
    }
}

/// Whether a person wants the control plane of a revision, or a tag, gone, whoever uses it, by the value of the annotation.
pub(super) fn is_insisted(insisted: &str, revision: &str) -> bool {
    insisted.split(',').any(|insisted| insisted.trim() == revision)
}

/// The pods of the resource's own workloads, which are not users of its control planes.
fn own_pods(wanted: &Manifests, former: Option<&Manifests>) -> Vec<Pods> {
    former.into_iter().chain([wanted]).flat_map(Manifests::pods).collect()
}

/// Puts together what stays of a control plane.
fn hold(
    plane: Plane,
    mut told: HeldRevision,
    again: Option<Duration>,
    rendered: Result<Manifests, Unrepairable>,
    record: Option<&DynamicObject>,
    (id, wanted, unwanted): (&OwnerId, &Manifests, &[Candidate]),
) -> Held {
    let wanted_keys = wanted.keys();
    let has = |component| wanted.parts.iter().any(|part| part.component == component);
    let mut keys = plane.keys;
    // What it needs beside its own objects; of the CNI agent only where that goes with it.
    let is_needed = |u: &&Candidate| match u.component {
        Some(Component::Base) => true,
        Some(Component::Cni) => !has(Component::Cni),
        Some(_) => false,
        None => u.key.kind != KIND,
    };
    keys.extend(unwanted.iter().filter(is_needed).map(|u| u.key.clone()));
    if let Some(record) = record {
        let name = record.name_any();
        let group = crate::api::GROUP.to_owned();
        keys.insert(ObjectKey { group, kind: KIND.into(), namespace: id.namespace.clone(), name });
    }
    let manifests = match rendered {
        Ok(mut manifests) => {
            manifests.parts.retain(|p| {
                installed_state::is_of_control_plane(p.component)
                    && (p.component != Component::Cni || !has(p.component))
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
    Held { told, kept: Kept { keys, manifests }, again, written: record.and_then(record::written) }
}

/// The control planes among what is not wanted. Of the revision that is wanted there is one only if it is in another
/// namespace than the wanted one: all else that is spare of it, such as an autoscaler, is not a control plane.
fn planes(unwanted: &[Candidate], wanted: &Manifests) -> Vec<Plane> {
    let present = Some(wanted.revision_label()).filter(|_| wanted.has_control_plane());
    let parts = || unwanted.iter().filter(|object| object.component.is_some_and(Component::is_control_plane));
    let mut planes: BTreeMap<&str, Plane> = BTreeMap::new();
    let mut put = |revision, object: &Candidate| {
        let namespace = &object.key.namespace;
        let has_moved = present == Some(revision);
        let new = || Plane { revision: revision.to_owned(), has_moved, ..Plane::default() };
        let plane: &mut Plane = planes.entry(revision).or_insert_with(new);
        if has_moved && *namespace == wanted.namespace {
            return;
        }
        plane.keys.insert(object.key.clone());
        if plane.namespace.is_empty() {
            plane.namespace.clone_from(namespace);
        }
    };
    let known: BTreeSet<&str> = parts().filter_map(|object| object.revision.as_deref()).collect();
    for object in parts() {
        match &object.revision {
            Some(revision) => put(revision, object),
            // It may be any one's.
            None if known.is_empty() => put(DEFAULT, object),
            None => known.iter().for_each(|revision| put(revision, object)),
        }
    }
    planes.into_values().filter(|plane| !plane.has_moved || !plane.namespace.is_empty()).collect()
}

/// Who uses a control plane. One that has moved to another namespace is used by the pods that were made before the webhook
/// there, which injects all others.
async fn users(context: &Context, plane: &Plane, wanted: &Manifests, own: &[Pods]) -> Result<InUse, ClusterError> {
    let hook = wanted.objects().find(|object| plane.has_moved && object.kind() == webhooks::KIND);
    let hook = match hook {
        Some(hook) => context.cluster.get(hook.api_version(), &hook.key()).await?,
        None => None,
    };
    match hook.and_then(|hook| hook.creation_timestamp()) {
        Some(made) => usage::users_before(&context.cluster, &plane.revision, own, made.0).await,
        // It is not there yet, or there is none to wait for.
        None => usage::users_of(&context.cluster, &plane.revision, own).await,
    }
}

/// Whether a control plane with these users stays, and what is said of it.
fn stay(
    grace: Option<&Result<Duration, GraceError>>,
    state: &ReconcileState,
    plane: &Plane,
    answer: Result<&Answer, &ClusterError>,
) -> Option<(HeldRevision, Option<Duration>)> {
    let told = HeldRevision {
        revision: plane.revision.clone(),
        namespace: plane.namespace.clone(),
        ..HeldRevision::default()
    };
    let insist = format!("annotate the resource {FORCE_PRUNE}={} to remove it all the same", plane.revision);
    let Answer { at, users, .. } = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let message = format!("kept since it is not known who uses it: {error}; {insist}");
            return Some((HeldRevision { message: bounded(&message, LONGEST_NOTE), ..told }, Some(ASK_AGAIN)));
        }
    };
    if !users.is_empty() {
        let message = format!("kept while it is in use; it is deleted when nobody uses it any more, or {insist}");
        let again = ASK_AGAIN.saturating_sub(at.elapsed());
        return Some((HeldRevision { used_by: users.names.clone(), message, ..told }, Some(again)));
    }
    let grace = match grace? {
        Ok(grace) => *grace,
        // When it may go is not known, so it does not.
        Err(why) => {
            let message = format!("nobody uses it, and it stays until that is mended: {why}; or {insist}");
            return Some((HeldRevision { message: bounded(&message, LONGEST_NOTE), ..told }, Some(ASK_AGAIN)));
        }
    };
    let now = Timestamp::now();
    let known = state.known();
    let before = known
        .held
        .iter()
        .flatten()
        .find(|h| h.tag.is_none() && h.revision == plane.revision && h.namespace == plane.namespace);
    let since = before.and_then(|h| h.unused_since.as_ref()?.parse::<Timestamp>().ok()).unwrap_or(now);
    let end = since.checked_add(grace).unwrap_or(Timestamp::MAX);
    let left = Duration::try_from(end.duration_since(now)).ok().filter(|left| !left.is_zero())?;
    let message = format!("nobody uses it; it is deleted at {} unless somebody does", end.strftime(TIME_FORMAT));
    let unused_since = Some(since.strftime(TIME_FORMAT).to_string());
    Some((HeldRevision { unused_since, message, ..told }, Some(left.min(ASK_AGAIN))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::inventory::Entry;
    use crate::release::Package;
    use crate::render::{self, ClusterInfo};
    use serde_json::{Value, json};

    fn unwanted(kind: &str, place: &str, component: Component, revision: &str) -> Candidate {
        let (namespace, name) = place.split_once('/').unwrap_or(("", place));
        let key = ObjectKey { group: String::new(), kind: kind.into(), namespace: namespace.into(), name: name.into() };
        let entry = Entry { api_version: "v1".into(), uid: "u".into() };
        Candidate { key, entry, component: Some(component), revision: Some(revision.into()) }
    }

    fn wanted(spec: &Value) -> Manifests {
        let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
        render::from_resource(&resource, &ClusterInfo::default(), &Package::embedded().unwrap()).unwrap()
    }

    fn found(unwanted: &[Candidate], spec: &Value) -> Vec<(String, String, usize)> {
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
    fn what_several_had_is_the_ones_that_it_is_of_or_the_latests() {
        let stays = |revision: &str, second: i64| Held {
            told: HeldRevision { revision: revision.into(), ..HeldRevision::default() },
            kept: Kept {
                keys: BTreeSet::new(),
                manifests: Some(wanted(
                    &json!({"profile": "minimal", "revision": revision, "values": {"revisionTags": ["prod"]}}),
                )),
            },
            again: None,
            written: Timestamp::from_second(second).ok(),
        };
        let tag = "istio-revision-tag-prod";
        let holders = |unwanted: &[Candidate], spec: Value| {
            let mut held = [stays("a", 1), stays("b", 3), stays("c", 2)];
            share_out(&mut held, unwanted, &wanted(&spec));
            let objects = |held: &Held| -> Vec<String> {
                held.kept.manifests.iter().flat_map(Manifests::objects).map(|object| object.name().to_owned()).collect()
            };
            assert!(held.iter().all(|held| objects(held).contains(&format!("istiod-{}", held.told.revision))));
            let has = held.iter().filter(|held| objects(held).iter().any(|name| name == tag));
            has.map(|held| held.told.revision.clone()).collect::<Vec<_>>()
        };
        let none = json!({"profile": "empty"});
        assert_eq!(holders(&[], none.clone()), ["b"]);
        let mut live = unwanted("MutatingWebhookConfiguration", tag, Component::Pilot, "a");
        live.key.group = "admissionregistration.k8s.io".into();
        assert_eq!(holders(&[live.clone()], none.clone()), ["a"]);
        live.revision = Some("gone".into());
        assert_eq!(holders(&[live.clone()], none), ["b"]);
        live.revision = Some("d".into());
        assert_eq!(holders(&[live], json!({"profile": "minimal", "revision": "d"})), [""; 0]);
    }

    #[test]
    fn what_does_not_say_its_revision_is_taken_from_none_of_those_that_stay() {
        let stays = |revision: &str| Held {
            told: HeldRevision { revision: revision.into(), ..HeldRevision::default() },
            kept: Kept {
                keys: BTreeSet::new(),
                manifests: Some(wanted(&json!({"profile": "minimal", "revision": revision}))),
            },
            again: None,
            written: None,
        };
        let mut service = unwanted("Service", "istio-system/istiod-stable", Component::Pilot, "");
        service.revision = None;
        let mut held = [stays(""), stays("stable")];
        held[0].told.revision = DEFAULT.into();
        share_out(&mut held, std::slice::from_ref(&service), &wanted(&json!({"profile": "empty"})));
        let has = |held: &Held| held.kept.manifests.as_ref().is_some_and(|m| m.keys().contains(&service.key));
        assert_eq!(held.each_ref().map(has), [false, true]);
        let known = unwanted("Deployment", "istio-system/istiod-stable", Component::Pilot, "stable");
        let nothing = wanted(&json!({"profile": "empty"}));
        let keys =
            |of: &[Candidate]| planes(of, &nothing).into_iter().map(|p| (p.revision, p.keys.len())).collect::<Vec<_>>();
        assert_eq!(keys(&[service.clone(), known]), [("stable".to_owned(), 2)]);
        assert_eq!(keys(&[service.clone()]), [(DEFAULT.to_owned(), 1)]);
    }

    #[test]
    fn what_nobody_uses_stays_while_its_time_is_not_understood() {
        let plane = Plane { revision: "old".into(), namespace: "ns".into(), ..Plane::default() };
        let (seen, users) = Default::default();
        let answer = Answer { at: Instant::now(), seen, users };
        let stays = |grace: Option<Result<Duration, GraceError>>| {
            stay(grace.as_ref(), &ReconcileState::default(), &plane, Ok(&answer)).map(|(told, _)| told.message)
        };
        assert_eq!(stays(None), None, "it goes at once");
        assert_eq!(stays(Some(Ok(Duration::ZERO))), None);
        assert!(stays(Some(Ok(Duration::from_hours(1)))).unwrap().starts_with("nobody uses it; it is deleted at "));
        let message = stays(Some(Err(GraceError::Negative))).unwrap();
        assert!(message.starts_with("nobody uses it, and it stays until") && message.contains("like 24h"), "{message}");
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
            let record = installed_state::record(("istio-system", "x"), "installed-state-x", &mut manifests).unwrap();
            let record = serde_json::from_value(record.value().into_owned()).unwrap();
            let (spec, digest) = installed_state::read(&record);
            let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
            let package = Package::embedded().unwrap();
            let again = render::from_record(&resource, &ClusterInfo::default(), &package).unwrap();
            assert_eq!(digest, Some(&*installed_state::digest(&again)));
            let after: Vec<_> = again.parts.into_iter().flat_map(|p| p.objects).collect();
            assert!(before == after, "{spec}");
        }
    }
}
