//! Deletes what is found, wave by wave, and looks again until nothing is left: an operator that is at work just now may have written
//! once more.

use super::super::screen::Screen;
use super::found::{Doomed, Found};
use crate::api::component::Component;
use crate::api::{INSTALLED_STATE, KIND};
use crate::cluster::{Cluster, ClusterError};
use crate::object::OwnerId;
use futures::{StreamExt, stream};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How many deletions are under way at once.
const AT_ONCE: usize = 32;
/// How often what is on its way is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long what is asked to go may take, and what others put back is deleted again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a reconcile that is under way in an operator may still write.
const SETTLE: Duration = Duration::from_millis(500);

/// How a removal ended.
pub(super) struct End {
    /// What the API server refused.
    pub refused: Vec<String>,
    /// What is still there, and what keeps it.
    pub left: Vec<String>,
}

/// The wave in which an object goes. Resources go first, so that no operator puts anything back; webhooks before those who serve them,
/// so that pods can be created meanwhile; definitions and records last.
fn wave(one: &Doomed) -> u8 {
    match (&*one.key.kind, one.component) {
        (KIND, _) if one.key.name.starts_with(INSTALLED_STATE) => 4,
        (KIND, _) => 0,
        ("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration", _) => 1,
        ("CustomResourceDefinition", _) => 4,
        (_, Some(Component::Base)) => 3,
        _ => 2,
    }
}

/// Deletes all of it; `look` finds what is there now. What is annotated to be kept is for the caller to take out.
///
/// # Errors
/// What is there cannot be looked for.
pub(super) async fn remove<F>(
    cluster: &Cluster,
    first: Found,
    look: impl Fn() -> F,
    screen: &mut Screen<'_>,
) -> Result<End, ClusterError>
where
    F: Future<Output = Result<Found, ClusterError>>,
{
    let begun = Instant::now();
    let is_operated = first.values().any(|one| wave(one) == 0);
    let (mut found, mut is_settled) = (first, !is_operated);
    loop {
        let mut refused = vec![];
        let mut waves: BTreeMap<u8, Vec<Doomed>> = BTreeMap::new();
        let due = found.into_values().filter(|one| !one.is_going || wave(one) == 0);
        due.for_each(|one| waves.entry(wave(&one)).or_default().push(one));
        for (_, wave) in waves {
            refused.extend(delete(cluster, wave, screen).await);
        }
        if !refused.is_empty() {
            return Ok(End { refused, left: vec![] });
        }
        found = look().await?;
        if found.is_empty() && !is_settled {
            sleep(SETTLE).await;
            is_settled = true;
            found = look().await?;
        }
        if found.is_empty() || begun.elapsed() >= PATIENCE {
            return Ok(End { refused, left: found.values().map(told).collect() });
        }
        if found.values().all(|one| one.is_going) {
            sleep(LOOK).await;
        }
    }
}

/// Deletes objects at once, and tells of each that is gone. Returns what was refused.
async fn delete(cluster: &Cluster, wave: Vec<Doomed>, screen: &mut Screen<'_>) -> Vec<String> {
    let mut results = stream::iter(wave)
        .map(|one| async move {
            let result = match &*one.key.kind {
                KIND => delete_resource(cluster, &one).await,
                _ => cluster.delete(&one.api_version, &one.key, &one.uid).await,
            };
            (one, result)
        })
        .buffered(AT_ONCE);
    let mut refused = vec![];
    while let Some((one, result)) = results.next().await {
        match result {
            Ok(()) => screen.say(&format!("  Removed {}.", one.name())),
            Err(error) => refused.push(error.to_string()),
        }
    }
    refused
}

/// Deletes an IstioOperator resource. It is deleted first, and loses its finalizers then, so that no operator takes it for one to be
/// installed; what it installed is deleted here.
async fn delete_resource(cluster: &Cluster, one: &Doomed) -> Result<(), ClusterError> {
    let id = OwnerId::new(one.key.namespace.as_str(), one.key.name.as_str());
    cluster.delete_owner(&id, &one.uid).await?;
    if one.finalizers.is_empty() {
        return Ok(());
    }
    // Another of its name is not to be touched.
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": one.uid},
        {"op": "remove", "path": "/metadata/finalizers"},
    ]);
    match cluster.patch_owner(&id, patch).await {
        // It is gone, or its operator was faster.
        Err(error) if error.is_absent() || matches!(error.code(), Some(409 | 422)) => Ok(()),
        other => other,
    }
}

/// What is still there, and what keeps it.
fn told(one: &Doomed) -> String {
    match one.finalizers.as_slice() {
        [] => one.name(),
        all => format!("{} (kept by its finalizers {})", one.name(), all.join(", ")),
    }
}
