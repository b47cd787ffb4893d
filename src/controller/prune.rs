//! Removes what a resource has and no longer wants.
//!
//! What it has is what its inventory says, by uid, and what the labels of objects say: an object written just before a
//! crash, or by an operator before us, is in no inventory. What another resource wants too stays, as do definitions,
//! namespaces, and what is annotated to be kept.

use super::index::OwnerId;
use super::{Context, Memory};
use crate::api::PRUNE;
use crate::cluster::ClusterError;
use crate::component::Component;
use crate::object::ObjectKey;
use crate::object::inventory::Entry;
use crate::plan;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};

/// Objects to delete, with their component, children's before parents'.
pub(super) type Doomed = Vec<(ObjectKey, Entry)>;

/// What is to be deleted for nothing but `wanted` to be left. Objects of the inventory that turn out not to be the
/// resource's any more leave it.
///
/// # Errors
/// Objects that only the inventory knows cannot be read.
pub(super) async fn doomed(
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
    wanted: &BTreeSet<ObjectKey>,
) -> Result<Doomed, ClusterError> {
    let mut found: BTreeMap<ObjectKey, (Entry, Option<Component>)> = BTreeMap::new();
    for (key, known) in context.index.owned_by(id) {
        if !known.is_kept {
            found.insert(key, (Entry { api_version: known.api_version, uid: known.uid }, known.component));
        }
    }
    let unwanted: Vec<_> = memory.inventory.iter().filter(|(key, _)| !wanted.contains(*key)).collect();
    let mut gone = vec![];
    for (key, entry) in unwanted {
        match context.index.get(key).filter(|known| known.owner == *id) {
            // Its labels say it all.
            Some(_) => {}
            None if !plan::is_kept(&key.kind) && is_still_there(context, key, entry).await? => {
                found.entry(key.clone()).or_insert_with(|| (entry.clone(), None));
            }
            None => gone.push(key.clone()),
        }
    }
    for key in gone {
        memory.inventory.remove(&key);
    }
    found.retain(|key, _| !context.claims.is_wanted_by_another(id, key));
    let order = plan::prune(found.iter().map(|(key, (_, component))| (key.clone(), *component)).collect(), wanted);
    Ok(order.into_iter().filter_map(|key| found.remove(&key).map(|(entry, _)| (key, entry))).collect())
}

/// Whether an object that no label names is still the one of the inventory, and may be deleted.
pub(super) async fn is_still_there(context: &Context, key: &ObjectKey, entry: &Entry) -> Result<bool, ClusterError> {
    match context.cluster.get(&entry.api_version, key).await {
        Ok(live) => Ok(live.is_some_and(|live| {
            live.uid().as_deref() == Some(&entry.uid) && live.annotations().get(PRUNE).is_none_or(|v| v != "false")
        })),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes objects. Returns those that could not be, and why.
pub(super) async fn delete(context: &Context, doomed: &Doomed, why: &'static str) -> Vec<(ObjectKey, ClusterError)> {
    let mut failures = vec![];
    for (key, entry) in doomed {
        tracing::info!(object = %key, why, "deleting");
        match context.cluster.delete(&entry.api_version, key, &entry.uid).await {
            Ok(()) => context.metrics.count("resource_deletion", [("kind", &key.group_kind())]),
            Err(error) => failures.push((key.clone(), error)),
        }
    }
    failures
}
