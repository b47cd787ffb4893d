//! Removes what a resource has and no longer wants.
//!
//! What it has is what its inventory says, by uid, and what the labels of objects say: an object written just before a
//! crash, or by an operator before us, is in no inventory. What another resource wants too stays, as do definitions,
//! namespaces, and what is annotated to be kept. An inventory is a field that others may write, so what only it names goes
//! only if the object itself shows that we installed it, and for this resource.

use super::index::{Known, OwnerId};
use super::{Context, Memory};
use crate::api::PRUNE;
use crate::cluster::{ClusterError, is_ours};
use crate::component::Component;
use crate::object::inventory::Entry;
use crate::object::{ObjectKey, labels};
use crate::plan;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeSet;

/// Objects to delete, children's before parents'.
pub(super) type Doomed = Vec<(ObjectKey, Entry)>;

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
        let label = |name: &str| live.labels().get(name).map_or("", String::as_str);
        let revision = match label(labels::REVISION) {
            "" => labels::DEFAULT,
            revision => revision,
        };
        Self {
            key: key.clone(),
            entry: entry.clone(),
            component: Component::from_name(label(labels::COMPONENT)).or_else(|| guess(&key.name)),
            revision: revision.to_owned(),
        }
    }
}

/// The component of an object that has lost its labels, by its name: what may be part of a control plane is taken for one.
fn guess(name: &str) -> Option<Component> {
    let is_pilots = ["istiod", "istio-sidecar-injector", "istio-revision-tag-"].iter().any(|p| name.starts_with(p));
    is_pilots.then_some(Component::Pilot)
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

/// Of what is unwanted, what is to be deleted, in the order in which it goes.
pub(super) fn in_order(unwanted: Vec<Unwanted>) -> Vec<Unwanted> {
    let mut all: Vec<Option<Unwanted>> = unwanted.into_iter().map(Some).collect();
    let keys = all.iter().flatten().map(|u| (u.key.clone(), u.component)).collect();
    let order = plan::prune(keys, &BTreeSet::new());
    let take = |key: &ObjectKey| all.iter_mut().find(|u| u.as_ref().is_some_and(|u| u.key == *key))?.take();
    order.iter().filter_map(take).collect()
}

/// The object of an inventory's entry, if it is still there, was installed by us for this resource, and may be deleted.
async fn find(
    context: &Context,
    id: &OwnerId,
    key: &ObjectKey,
    entry: &Entry,
) -> Result<Option<DynamicObject>, ClusterError> {
    match context.cluster.get(&entry.api_version, key).await {
        Ok(live) => Ok(live.filter(|live| may_be_deleted(live, id, entry))),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

fn may_be_deleted(live: &DynamicObject, id: &OwnerId, entry: &Entry) -> bool {
    let label = |name: &str| live.labels().get(name).map(String::as_str);
    let is_anothers = label(labels::OWNER_NAME).is_some_and(|name| name != id.1)
        || label(labels::OWNER_NAMESPACE).is_some_and(|namespace| namespace != id.0);
    live.uid().as_deref() == Some(&entry.uid)
        && is_ours(&live.metadata)
        && !is_anothers
        && live.metadata.deletion_timestamp.is_none()
        && live.annotations().get(PRUNE).is_none_or(|v| v != "false")
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(manager: &str, owner: &str) -> DynamicObject {
        let labels = if owner.is_empty() { json!({}) } else { json!({labels::OWNER_NAME: owner}) };
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "u",
            "labels": labels, "managedFields": [{"manager": manager, "operation": "Apply"}]}}))
        .unwrap()
    }

    #[test]
    fn an_inventory_alone_deletes_nothing_that_we_did_not_install() {
        let (id, entry) = (("ns".into(), "main".into()), Entry { api_version: "v1".into(), uid: "u".into() });
        let table = [
            ("istio-operator", "", true),
            ("istio-operator", "main", true),
            ("istio-operator", "other", false),
            ("kubectl", "", false),
        ];
        for (manager, owner, may) in table {
            assert_eq!(may_be_deleted(&live(manager, owner), &id, &entry), may, "{manager} {owner}");
        }
        let another = Entry { uid: "v".into(), ..entry };
        assert!(!may_be_deleted(&live("istio-operator", "main"), &id, &another));
    }
}
