//! Removes what a resource has and no longer wants.
//!
//! What it has is what its inventory says, by uid, and what the labels of objects say: an object written just before a
//! crash, or by an operator before us, is in no inventory. What another resource wants too stays, as do definitions,
//! namespaces, and what is annotated to be kept. An inventory is a field that others may write, so what only it names goes
//! only if the object itself shows that we installed it, and for this resource.

use super::index::{Known, OwnerId};
use super::owned::{component_of, is_installed, revision_of};
use super::{Context, Memory};
use crate::api::PRUNE;
use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::install::plan;
use crate::object::inventory::Entry;
use crate::object::{ObjectKey, labels};
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeSet;

/// An object that a resource has and that its spec does not want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unwanted {
    pub key: ObjectKey,
    pub entry: Entry,
    /// The component that it is of, as far as that is known.
    pub component: Option<Component>,
    /// The revision that it is of, `default` for the unnamed one; empty where it is of none.
    pub revision: String,
}

impl Unwanted {
    fn known(key: ObjectKey, known: Known) -> Self {
        let entry = Entry { api_version: known.api_version, uid: known.uid };
        Self { key, entry, component: known.component, revision: known.revision }
    }

    fn live(key: &ObjectKey, entry: &Entry, live: &DynamicObject) -> Self {
        let revision = match revision_of(live) {
            "" => labels::DEFAULT,
            revision => revision,
        };
        let revision = revision.to_owned();
        Self { key: key.clone(), entry: entry.clone(), component: component_of(live), revision }
    }
}

/// What a resource has beside what it wants, and what nobody else wants either. Objects of the inventory that turn out not to
/// be the resource's any more leave it.
///
/// # Errors
/// Objects that only the inventory knows cannot be read.
pub(super) async fn unwanted(
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
    wanted: &BTreeSet<ObjectKey>,
) -> Result<Vec<Unwanted>, ClusterError> {
    let is_spare = |key: &ObjectKey| {
        !wanted.contains(key) && !plan::is_kept(&key.kind) && !context.claims.is_wanted_by_another(id, key)
    };
    let labelled = context.index.owned_by(id).into_iter().filter(|(key, known)| {
        let is_left_alone = known.is_kept || known.is_ignored || known.is_terminating;
        !is_left_alone && is_spare(key)
    });
    let mut found: Vec<Unwanted> = labelled.map(|(key, known)| Unwanted::known(key, known)).collect();
    let (mut gone, keys) = (vec![], memory.inventory.keys().filter(|key| !wanted.contains(*key)));
    for key in keys {
        // Its labels say it all.
        if context.index.get(key).is_some_and(|known| known.owner == *id) {
            continue;
        }
        let Some(entry) = memory.inventory.get(key) else { continue };
        match find(context, id, key, entry).await {
            Ok(Some(live)) if is_spare(key) => found.push(Unwanted::live(key, entry, &live)),
            Ok(Some(_)) => {}
            Ok(None) => gone.push(key.clone()),
            // Of a kind that nothing of ours is of, as far as is known: anybody can write such a line.
            Err(error) if !context.index.is_watched(&entry.api_version, &key.kind) => {
                tracing::warn!(object = %key, %error, "cannot read what the inventory names; it is left as it is");
            }
            Err(error) => return Err(error),
        }
    }
    for key in gone {
        memory.inventory.remove(&key);
    }
    Ok(found)
}

/// The object of an inventory's entry, if it is still there, was installed by us for this resource, and may be deleted.
async fn find(
    context: &Context,
    id: &OwnerId,
    key: &ObjectKey,
    entry: &Entry,
) -> Result<Option<DynamicObject>, ClusterError> {
    match context.cluster.get(&entry.api_version, key).await {
        Ok(live) => Ok(live.filter(|live| {
            let is_kept = live.annotations().get(PRUNE).is_some_and(|v| v == "false");
            is_installed(live, id, entry) && live.metadata.deletion_timestamp.is_none() && !is_kept
        })),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes objects. Returns what failed, with what could not be deleted.
pub(super) async fn delete<'a>(context: &Context, doomed: &'a [Unwanted]) -> Vec<(&'a ObjectKey, ClusterError)> {
    let mut failures = vec![];
    for Unwanted { key, entry, .. } in doomed {
        tracing::info!(object = %key, why = "no longer wanted", "deleting");
        match context.cluster.delete(&entry.api_version, key, &entry.uid).await {
            Ok(()) => context.metrics.objects.deleted.inc(key.group_kind()),
            Err(error) => failures.push((key, error)),
        }
    }
    failures
}
