//! What a resource has and no longer wants.
//!
//! What it has is what its inventory says, by uid, and what the labels of objects say: an object written just before a
//! crash, or by an operator before us, is in no inventory. What another resource wants too stays, as do CRDs, namespaces, and
//! what is annotated to be kept. An inventory is a field that others may write, so what only it names goes only if the object
//! itself shows that we installed it, and for this resource.
//!
//! With a control plane go the revision tags that lead to it and belong to no resource: see [`tags`].

use super::cached::{CachedObject, is_managed};
use super::candidate::{Candidate, is_never_deleted};
use super::engine::Engine;
use super::provenance::is_installed;
use super::state::State;
use super::tags::{self, Ending};
use crate::api::annotations;
use crate::cluster::ClusterError;
use crate::object::inventory::{Entry, group_of};
use crate::object::{ObjectKey, OwnerId, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeSet;

/// See [`super::plan::Draft::candidates`].
pub(super) async fn candidates(
    engine: &Engine<'_>,
    owner: &OwnerId,
    state: &mut State,
    wanted: &BTreeSet<ObjectKey>,
) -> Result<Vec<Candidate>, ClusterError> {
    let is_spare =
        |key: &ObjectKey| !wanted.contains(key) && !is_never_deleted(&key.kind) && !engine.others.want(owner, key);
    let objects = match engine.cache.owned_by(owner) {
        Some(objects) => objects,
        None => list_owned(engine, owner).await?,
    };
    let labelled: BTreeSet<ObjectKey> = objects.iter().map(|(key, _)| key.clone()).collect();
    let may_go = |(key, cached): &(ObjectKey, CachedObject)| {
        let is_left_alone = cached.is_kept || cached.is_ignored || cached.is_terminating;
        !is_left_alone && is_spare(key)
    };
    let mut found: Vec<Candidate> =
        objects.into_iter().filter(may_go).map(|(key, cached)| Candidate::cached(key, cached)).collect();
    let mut gone = vec![];
    // Of the others their labels say it all.
    let unlabelled = |key: &&ObjectKey| !wanted.contains(*key) && !labelled.contains(*key);
    for (key, entry) in state.inventory.iter().filter(|(key, _)| unlabelled(key)) {
        match find(engine, owner, key, entry).await {
            Ok(Some(live)) if is_spare(key) => found.push(Candidate::live(key, entry, &live)),
            Ok(Some(_)) => {}
            Ok(None) => gone.push(key.clone()),
            // Of a kind that nothing of ours is of, as far as is known: anybody can write such a line.
            Err(error) if !engine.kinds().contains(&(entry.api_version.clone(), key.kind.clone())) => {
                tracing::warn!(object = %key, %error, "cannot read what the inventory names; it is left as it is");
            }
            Err(error) => return Err(error),
        }
    }
    for key in gone {
        state.inventory.remove(&key);
    }
    let tags = tags_of(engine, &found).await?;
    found.extend(tags.into_iter().filter(|tag| is_spare(&tag.key)));
    Ok(found)
}

/// The tags of nobody that lead to a control plane among these.
async fn tags_of(engine: &Engine<'_>, candidates: &[Candidate]) -> Result<Vec<Candidate>, ClusterError> {
    let mut ending = Ending::default();
    for one in candidates {
        ending.add(&one.key, one.component, one.revision.as_deref().unwrap_or_default());
    }
    let mut found = vec![];
    for kind in tags::KINDS.into_iter().filter(|_| !ending.is_empty()) {
        let tags = ending.tags(engine.cluster, kind).await?;
        found.extend(tags.iter().filter(|tag| may_be_deleted(tag)).map(|tag| {
            let entry = Entry { api_version: kind.0.to_owned(), uid: tag.uid().unwrap_or_default() };
            Candidate::live(&tags::key_of(kind, tag), &entry, tag)
        }));
    }
    found.retain(|tag| candidates.iter().all(|one| one.key != tag.key));
    Ok(found)
}

/// Whether an object is neither on its way nor annotated to stay.
fn may_be_deleted(live: &DynamicObject) -> bool {
    let is_kept = annotations::is_kept(live.annotations());
    live.metadata.deletion_timestamp.is_none() && !is_kept
}

/// The objects whose labels name a resource, asked for kind by kind.
async fn list_owned(engine: &Engine<'_>, owner: &OwnerId) -> Result<Vec<(ObjectKey, CachedObject)>, ClusterError> {
    let Some(selector) = labels::selector_of(owner) else { return Ok(vec![]) };
    let mut found = vec![];
    for (api_version, kind) in engine.kinds() {
        let note = |object: &ObjectMeta| {
            let cached = CachedObject::of(&api_version, object);
            if is_managed(&kind, object) && labels::is_name_of(owner, &cached.owner.name) {
                let key = ObjectKey {
                    group: group_of(&api_version).to_owned(),
                    kind: kind.clone(),
                    namespace: object.namespace.clone().unwrap_or_default(),
                    name: object.name.clone().unwrap_or_default(),
                };
                found.push((key, cached));
            }
        };
        match engine.cluster.for_each(&api_version, &kind, (&selector, ""), note).await {
            Err(error) if error.is_absent() => {}
            other => drop(other?),
        }
    }
    Ok(found)
}

/// The object of an inventory's entry, if it is still there, was installed by us for this resource, and may be deleted.
async fn find(
    engine: &Engine<'_>,
    owner: &OwnerId,
    key: &ObjectKey,
    entry: &Entry,
) -> Result<Option<DynamicObject>, ClusterError> {
    match engine.cluster.get(&entry.api_version, key).await {
        Ok(live) => Ok(live.filter(|live| is_installed(live, owner, entry) && may_be_deleted(live))),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
