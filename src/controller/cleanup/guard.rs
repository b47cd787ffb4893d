//! Whether the deletion of a resource has to wait since its control plane is in use.
//!
//! Guarantee: what cannot be found out counts as in use. A control plane counts as unused only after everything has been read
//! that could show a user.

use crate::cluster::ClusterError;
use crate::controller::context::Context;
use crate::controller::usage::{self, LISTS, Pods};
use crate::install::remains::{Fate, Remaining, Remains};
use crate::object::ObjectKey;
use crate::object::OwnerId;
use crate::object::labels::DEFAULT;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Kinds that a control plane is made of, or that use one: where one of them cannot be read, there may be one.
const TELLING: [&str; 5] =
    ["Deployment", "DaemonSet", "Service", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// A control plane that is about to go.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plane {
    /// Where it runs, as far as what is left of it tells.
    namespaces: BTreeSet<String>,
    /// Whether a webhook of it is left.
    has_webhook: bool,
    /// Whether other clusters use it, of which nothing is known here.
    is_external: bool,
}

/// So often a request that fails is sent again before its failure is the answer (see `cluster::retry`).
const RESENT: u32 = 2;

/// Why nothing may go.
pub(super) enum Held {
    /// It is in use; by whom. With the revision and the resource's own pods, so that it is noticed when that changes.
    InUse { by: Vec<String>, revision: String, own: Vec<Pods> },
    /// That cannot be found out; why.
    Unknown(Arc<ClusterError>),
}

/// Finds out whether anything of a resource's control planes is in use, if it has any. `fallback` is the revision of what
/// does not say its own. Also gives the number of requests.
pub(super) async fn ask(context: &Context, id: &OwnerId, remains: &Remains, fallback: &str) -> (Option<Held>, u32) {
    if let Some(unread) = remains.unread.iter().find(|unread| TELLING.contains(&unread.kind.as_str())) {
        return (Some(Held::Unknown(Arc::clone(&unread.error))), 0);
    }
    let own: Vec<Pods> = remains.objects.iter().filter_map(|object| object.pods.clone()).collect();
    let (mut requests, mut by, mut first) = (0, vec![], None);
    for (revision, mut plane) in planes(&remains.objects, fallback) {
        if plane.namespaces.is_empty() && !plane.has_webhook {
            // Neither istiod nor its Service is left, nor what injects: they were where the resource is, if nothing tells.
            plane.namespaces.insert(id.namespace.clone());
        }
        match ask_one(context, &revision, &plane, &own, &mut requests).await {
            Ok(None) => {}
            Ok(Some(users)) => {
                let of = if revision == DEFAULT { String::new() } else { format!(" of revision {revision}") };
                by.push(format!("the control plane{of} is in use by {users}"));
                first.get_or_insert(revision);
            }
            Err(error) => return (Some(Held::Unknown(Arc::new(error))), requests + RESENT),
        }
    }
    (first.map(|revision| Held::InUse { by, revision, own }), requests)
}

/// The control planes that something is about to go of, by revision. What is asked to go already is not held up any more; and
/// of one that stays another resource's only the webhooks matter, which may be those of tags.
fn planes(objects: &[Remaining], fallback: &str) -> BTreeMap<String, Plane> {
    let revision_of = |part: &Remaining| {
        let known = [part.revision.as_str(), fallback, DEFAULT];
        known.into_iter().find(|revision| !revision.is_empty()).unwrap_or(DEFAULT).to_owned()
    };
    let parts = || objects.iter().filter(|object| object.is_of_control_plane());
    let is_shared = |part: &&Remaining| part.fate == Fate::Shared && part.pods.is_some();
    let shared: BTreeSet<String> = parts().filter(is_shared).map(revision_of).collect();
    let mut planes: BTreeMap<String, Plane> = BTreeMap::new();
    for part in parts().filter(|part| part.fate == Fate::Goes) {
        let revision = revision_of(part);
        if shared.contains(&revision) && part.key.kind != "MutatingWebhookConfiguration" {
            continue;
        }
        let plane = planes.entry(revision).or_default();
        plane.is_external |= part.is_external;
        plane.namespaces.extend(part.calls.iter().cloned());
        match part.key.kind.as_str() {
            "Deployment" | "Service" => drop(plane.namespaces.insert(part.key.namespace.clone())),
            "MutatingWebhookConfiguration" => plane.has_webhook = true,
            _ => {}
        }
    }
    planes
}

/// Who uses a control plane.
async fn ask_one(
    context: &Context,
    revision: &str,
    plane: &Plane,
    own: &[Pods],
    requests: &mut u32,
) -> Result<Option<String>, ClusterError> {
    if !plane.namespaces.is_empty() && is_ending(context, &plane.namespaces, requests).await? {
        return Ok(None);
    }
    // Counted before they are sent: where one fails, nobody says how many there were.
    *requests += LISTS;
    let users = usage::users_of_plane(&context.cluster, revision, own, plane.is_external).await?;
    *requests += users.requests.saturating_sub(LISTS);
    Ok((!users.is_empty()).then(|| users.to_string()))
}

/// Whether all these namespaces are gone or end anyway, and what is in them too.
pub(super) async fn is_ending(
    context: &Context,
    namespaces: &BTreeSet<String>,
    requests: &mut u32,
) -> Result<bool, ClusterError> {
    for name in namespaces {
        *requests += 1;
        let key = ObjectKey { kind: "Namespace".into(), name: name.clone(), ..ObjectKey::default() };
        let found = context.cluster.get("v1", &key).await?;
        if found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The watches' word on a revision that was in use: whether they see no user any more.
pub(super) fn seems_unused(context: &Context, id: &OwnerId, revision: &str, own: &[Pods]) -> bool {
    context.users.ask(id, revision, own.to_vec()).by == usage::Use::Unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::component::Component;

    fn part(kind: &str, revision: &str) -> Remaining {
        let key = ObjectKey { kind: kind.into(), namespace: "ns".into(), name: "x".into(), ..ObjectKey::default() };
        Remaining { key, component: Some(Component::Pilot), revision: revision.into(), ..Remaining::default() }
    }

    #[test]
    fn whatever_is_left_of_a_control_plane_is_asked_for() {
        let found = [
            part("Service", "first"),
            part("MutatingWebhookConfiguration", "second"),
            part("ConfigMap", ""),
            Remaining { fate: Fate::IsGoing, ..part("Deployment", "third") },
            Remaining { component: Some(Component::IngressGateways), ..part("Deployment", "fourth") },
            Remaining { component: Some(Component::IstiodRemote), ..part("MutatingWebhookConfiguration", "fifth") },
        ];
        let of = |fallback: &str| planes(&found, fallback).into_keys().collect::<Vec<_>>();
        assert_eq!(of("own"), ["fifth", "first", "own", "second"]);
        assert_eq!(of(""), ["default", "fifth", "first", "second"]);
        assert_eq!(planes(&found, "")["first"].namespaces, BTreeSet::from(["ns".to_owned()]));
        assert!(planes(&found, "")["second"].namespaces.is_empty(), "a webhook is in none");
        assert!(planes(&found, "")["second"].has_webhook && !planes(&found, "")["default"].has_webhook);
        let calls = BTreeSet::from(["mesh".to_owned()]);
        let calling = Remaining { calls: calls.clone(), ..part("MutatingWebhookConfiguration", "second") };
        assert_eq!(planes(&[calling], "")["second"].namespaces, calls, "what it calls is");
    }

    #[test]
    fn a_control_plane_that_stays_anothers_is_held_for_its_webhooks_only() {
        let shared = Remaining { fate: Fate::Shared, pods: Some(Pods::default()), ..part("Deployment", "first") };
        let of = |rest: &[Remaining]| planes(&[std::slice::from_ref(&shared), rest].concat(), "").len();
        assert_eq!(of(&[part("HorizontalPodAutoscaler", "first")]), 0);
        assert_eq!(of(&[part("MutatingWebhookConfiguration", "first")]), 1);
        assert_eq!(of(&[part("HorizontalPodAutoscaler", "second")]), 1);
        let kept = Remaining { fate: Fate::Kept, ..shared.clone() };
        assert_eq!(planes(&[kept, part("Service", "first")], "").len(), 1, "nobody else needs its Service");
    }
}
