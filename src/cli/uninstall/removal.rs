//! Deletes what is found, wave by wave, and looks again until nothing is left: an operator that is at work just now may have written
//! once more.

use super::super::screen::Screen;
use crate::api::component::Component;
use crate::api::{GROUP, INSTALLED_STATE, KIND, PLURAL};
use crate::cluster::{Cluster, ClusterError};
use crate::controller;
use crate::install::remains::{Fate, Remaining};
use crate::object::{ObjectKey, OwnerId};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How many requests are under way at once.
const AT_ONCE: usize = 32;
/// How soon what is on its way is looked for again: soon at first, then more and more slowly.
const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(2);
/// How long a reconcile that is under way in an operator may still write.
const SETTLE: Duration = Duration::from_millis(500);

/// The objects to delete, by key.
pub(super) type Deletions = BTreeMap<ObjectKey, Remaining>;

/// How a removal ended.
#[derive(Default)]
pub(super) struct End {
    /// What the API server refused.
    pub refused: Vec<String>,
    /// What is still there, and what keeps it.
    pub left: Vec<String>,
}

/// The wave in which an object goes. Resources go first, so that no operator puts anything back; webhooks before those who serve them,
/// so that pods can be created meanwhile; definitions and records last.
fn wave(one: &Remaining) -> u8 {
    match (&*one.key.kind, one.component) {
        (KIND, _) if one.key.name.starts_with(INSTALLED_STATE) => 4,
        (KIND, _) => 0,
        ("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration", _) => 1,
        ("CustomResourceDefinition", _) => 4,
        (_, Some(Component::Base)) => 3,
        _ => 2,
    }
}

/// Deletes all of it, and waits until it is gone; `look` finds what is there then. What is to stay is for the caller to take out. The
/// first wave of which something is refused is the last: a webhook that stays would be served by nobody.
///
/// # Errors
/// What is there cannot be looked for.
pub(super) async fn remove(
    cluster: &Cluster,
    first: Deletions,
    timeout: Duration,
    look: impl AsyncFn() -> Result<Deletions, ClusterError>,
    screen: &mut Screen<'_>,
) -> Result<End, ClusterError> {
    let begun = Instant::now();
    let mut pause = if first.values().any(|one| wave(one) == 0) { SETTLE } else { Duration::ZERO };
    let mut to_delete = first;
    while !to_delete.is_empty() {
        hold_definition(&mut to_delete);
        let mut waves: BTreeMap<u8, Vec<&Remaining>> = BTreeMap::new();
        let due = to_delete.values().filter(|one| one.fate != Fate::IsGoing || wave(one) == 0);
        due.for_each(|one| waves.entry(wave(one)).or_default().push(one));
        while let Some((_, wave)) = waves.pop_first() {
            let refused = delete(cluster, &wave, screen).await;
            if !refused.is_empty() {
                return Ok(End { refused, left: waves.into_values().flatten().map(Remaining::told).collect() });
            }
        }
        let left = wait_for_end(cluster, to_delete, begun, timeout).await?;
        if !left.is_empty() {
            return Ok(End { left, ..End::default() });
        }
        sleep(pause).await;
        pause = SETTLE;
        to_delete = look().await?;
        if begun.elapsed() >= timeout {
            return Ok(End { left: to_delete.values().map(Remaining::told).collect(), ..End::default() });
        }
    }
    Ok(End::default())
}

/// Takes the definition of IstioOperator out of what goes now, while there are resources of it: it would take them along, those too
/// that came meanwhile or that somebody holds by a finalizer. Once they are gone it is found again.
fn hold_definition(to_delete: &mut Deletions) {
    if to_delete.keys().any(|key| key.kind == KIND && key.group == GROUP) {
        let name = format!("{PLURAL}.{GROUP}");
        to_delete.retain(|key, _| key.name != name || key.kind != "CustomResourceDefinition");
    }
}

/// Waits until objects are gone. Gives those that are not, after their time.
async fn wait_for_end(
    cluster: &Cluster,
    mut going: Deletions,
    begun: Instant,
    timeout: Duration,
) -> Result<Vec<String>, ClusterError> {
    let mut pause = SOON;
    loop {
        let reads = going.into_values().map(async |one| {
            let live = match cluster.get(&one.api_version, &one.key).await {
                Err(error) if error.is_absent() => None,
                other => other?,
            };
            let now = live.map(|live| Remaining::of(&one.api_version, &one.key.kind, &live));
            Ok::<_, ClusterError>(now.filter(|now| now.uid == one.uid))
        });
        let left: Vec<Option<Remaining>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        going = left.into_iter().flatten().map(|one| (one.key.clone(), one)).collect();
        if going.is_empty() || begun.elapsed() >= timeout {
            return Ok(going.values().map(Remaining::told).collect());
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LATE);
    }
}

/// Deletes objects at once, and tells of each that is gone. Returns what was refused.
async fn delete(cluster: &Cluster, wave: &[&Remaining], screen: &mut Screen<'_>) -> Vec<String> {
    let mut results = stream::iter(wave)
        .map(|one| async move {
            let result = match &*one.key.kind {
                KIND => delete_resource(cluster, one).await,
                _ => cluster.delete(&one.api_version, &one.key, &one.uid).await,
            };
            (one, result)
        })
        .buffered(AT_ONCE);
    let mut refused = vec![];
    while let Some((one, result)) = results.next().await {
        match result {
            Ok(()) => screen.say(&format!("  Removed {}.", upstreams_name(&one.key))),
            Err(error) => refused.push(error.to_string()),
        }
    }
    refused
}

/// Deletes an IstioOperator resource. It is deleted first, and loses our finalizer then, so that no operator takes it for one to be
/// installed; what it installed is deleted here. Finalizers of others are for them to take away.
async fn delete_resource(cluster: &Cluster, one: &Remaining) -> Result<(), ClusterError> {
    let id = OwnerId::new(one.key.namespace.as_str(), one.key.name.as_str());
    cluster.delete_owner(&id, &one.uid).await?;
    let seen = match cluster.owner(&id).await {
        Err(error) if error.is_absent() => None,
        other => other?,
    };
    // Another of its name is not to be touched.
    match seen.filter(|seen| seen.uid() == one.uid) {
        Some(seen) => controller::take_finalizer(cluster, &seen).await.map(drop),
        None => Ok(()),
    }
}

/// An object as upstream names it.
pub(super) fn upstreams_name(ObjectKey { kind, namespace, name, .. }: &ObjectKey) -> String {
    format!("{kind}:{namespace}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_resources_goes_after_the_last_of_them() {
        let key = |group: &str, kind: &str, name: &str| ObjectKey {
            group: group.into(),
            kind: kind.into(),
            name: name.into(),
            ..ObjectKey::default()
        };
        let definition = |name: &str| key("apiextensions.k8s.io", "CustomResourceDefinition", name);
        let own = definition("istiooperators.install.istio.io");
        let all = [own.clone(), definition("gateways.networking.istio.io"), key(GROUP, KIND, "main")];
        let mut to_delete: Deletions = all.into_iter().map(|key| (key, Remaining::default())).collect();
        hold_definition(&mut to_delete);
        assert!(to_delete.len() == 2 && !to_delete.contains_key(&own));
        to_delete = Deletions::from([(own, Remaining::default())]);
        hold_definition(&mut to_delete);
        assert_eq!(to_delete.len(), 1);
    }
}
