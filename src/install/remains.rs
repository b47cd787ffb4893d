//! What is left of a resource that is being deleted, as the API server says at this moment: by labels, and by the inventory.
//! The index may be a moment behind, and knows nothing of objects whose labels are gone.

use super::cached::is_managed;
use super::candidate::{in_order_of_deletion, is_never_deleted};
use super::engine::{Engine, Event};
use super::outcome::{InstallError, cut_summary};
use super::provenance::{component_of, is_installed, revision_of};
use super::tags::{self, Ending};
use crate::api::annotations;
use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::object::inventory::{Inventory, group_of};
use crate::object::pods::{Pods, pods_of};
use crate::object::{ObjectKey, OwnerId, labels};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A request that fails may have been sent so often.
const TRIES: u32 = 3;

/// What becomes of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It stays, since it is annotated so.
    Kept,
    /// It stays, since another resource wants it too.
    Shared,
    /// It has to go.
    #[default]
    Goes,
    /// It is asked to go already.
    IsGoing,
}

/// An object of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// The object.
    pub key: ObjectKey,
    /// `group/version`
    pub api_version: String,
    /// Its identity.
    pub uid: String,
    /// The component it is of, as far as that can be told.
    pub component: Option<Component>,
    /// The revision it is of; empty where nothing on it tells.
    pub revision: String,
    /// Of a workload its pods.
    pub pods: Option<Pods>,
    /// Whether it is an istiod that serves other clusters.
    pub is_external: bool,
    /// Of a webhook the namespaces of the services that it calls.
    pub calls: BTreeSet<String>,
    /// Whether its labels say whose it is; else it is in the inventory only.
    pub is_labelled: bool,
    /// What becomes of it.
    pub fate: Fate,
    /// What keeps it from going.
    pub finalizers: Vec<String>,
}

impl Remaining {
    /// Of a live object. It goes, unless it is annotated to stay or on its way already.
    #[must_use]
    pub fn of(api_version: &str, kind: &str, object: &DynamicObject) -> Self {
        let key = ObjectKey {
            group: group_of(api_version).to_owned(),
            kind: kind.to_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        };
        Self {
            api_version: api_version.to_owned(),
            uid: object.uid().unwrap_or_default(),
            component: component_of(object),
            revision: revision_of(object).to_owned(),
            pods: if key.group == "apps" { pods_of(&key.namespace, &object.data) } else { None },
            is_external: is_external(&object.data),
            calls: called(&object.data),
            is_labelled: false,
            fate: match object.metadata.deletion_timestamp {
                _ if annotations::is_kept(object.annotations()) => Fate::Kept,
                Some(_) => Fate::IsGoing,
                None => Fate::Goes,
            },
            finalizers: object.finalizers().to_vec(),
            key,
        }
    }

    /// Whether it is a part of a control plane.
    pub fn is_of_control_plane(&self) -> bool {
        self.component.is_some_and(Component::is_control_plane)
    }

    /// The object, and what keeps it.
    #[must_use]
    pub fn told(&self) -> String {
        match self.finalizers.as_slice() {
            [] => self.key.to_string(),
            [one] => format!("{} (kept by its finalizer {one})", self.key),
            all => format!("{} (kept by its finalizers {})", self.key, all.join(", ")),
        }
    }
}

/// Whether a workload is an istiod that serves other clusters.
#[must_use]
pub fn is_external(workload: &Value) -> bool {
    let containers = workload.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let mut variables = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("env")?.as_array())
        .flatten()
        .filter(|variable| variable.get("name").is_some_and(|name| name == "EXTERNAL_ISTIOD"));
    variables.any(|variable| variable.get("value").is_some_and(|value| value == "true"))
}

fn called(webhook: &Value) -> BTreeSet<String> {
    let hooks = webhook.get("webhooks").and_then(Value::as_array).into_iter().flatten();
    let namespaces = hooks.filter_map(|hook| hook.pointer("/clientConfig/service/namespace")?.as_str());
    namespaces.map(str::to_owned).collect()
}

/// Objects that cannot be read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Their kind.
    pub kind: String,
    /// Why.
    pub error: Arc<ClusterError>,
}

/// What was found.
#[derive(Default)]
pub struct Remains {
    /// In the order in which they go, children before parents; with those that stay.
    pub objects: Vec<Remaining>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// How many requests it took.
    pub requests: u32,
}

impl Remains {
    /// What has to go and has not yet.
    pub fn to_delete(&self) -> impl Iterator<Item = &Remaining> {
        self.objects.iter().filter(|object| matches!(object.fate, Fate::Goes | Fate::IsGoing))
    }

    /// Whether there is nothing to be done any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.to_delete().next().is_none()
    }

    fn failed(&mut self, kind: &str, error: ClusterError) {
        self.requests = self.requests.saturating_add(TRIES - 1);
        self.unread.push(Unread { kind: kind.to_owned(), error: Arc::new(error) });
    }
}

/// Why what a resource installed could not be deleted: at least one of these is not empty.
#[derive(Debug, thiserror::Error)]
#[error("cannot delete what the resource installed: {}", self.failures())]
pub struct DeleteError {
    /// What the API server said to each deletion that it refused.
    pub refused: Vec<InstallError>,
    /// What could not be looked for.
    pub unread: Vec<Unread>,
}

impl DeleteError {
    /// The first few failures, and how many more.
    fn failures(&self) -> String {
        let refused = self.refused.iter().map(ToString::to_string);
        let unread = self.unread.iter().map(|unread| unread.error.to_string());
        cut_summary(&refused.chain(unread).collect::<Vec<_>>())
    }

    /// One word for it, that of the first failure.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let refused = self.refused.iter().map(InstallError::reason);
        refused.chain(self.unread.iter().map(|unread| unread.error.reason())).next().unwrap_or("Failed")
    }
}

/// See [`Engine::remains`].
async fn find(
    engine: &Engine<'_>,
    owner: &OwnerId,
    inventory: &Inventory,
    only: Option<&BTreeSet<ObjectKey>>,
) -> Remains {
    let mut remains = Remains::default();
    let mut found = BTreeMap::new();
    list(engine, owner, only, &mut remains, &mut found).await;
    let mut ending = Ending::default();
    let known = inventory.iter().filter(|(key, _)| only.is_none_or(|only| only.contains(*key)));
    for (key, entry) in known.filter(|(key, _)| !is_never_deleted(&key.kind)) {
        if found.contains_key(key) {
            continue;
        }
        remains.requests += 1;
        match engine.cluster.get(&entry.api_version, key).await {
            Ok(Some(live)) if is_installed(&live, owner, entry) => {
                found.insert(key.clone(), Remaining::of(&entry.api_version, &key.kind, &live));
            }
            Ok(None) => ending.add_gone(key),
            Ok(Some(_)) => {}
            Err(error) if error.is_absent() => {}
            // Of a kind that nothing of ours is of, as far as is known: anybody can write such a line.
            Err(error) if !engine.kinds().contains(&(entry.api_version.clone(), key.kind.clone())) => {
                tracing::warn!(object = %key, %error, "cannot read what the inventory names; it is left as it is");
            }
            Err(error) => remains.failed(&key.kind, error),
        }
    }
    for remaining in found.values_mut().filter(|found| engine.others.want(owner, &found.key)) {
        remaining.fate = Fate::Shared;
    }
    for object in found.values().filter(|object| matches!(object.fate, Fate::Goes | Fate::IsGoing)) {
        ending.add(&object.key, object.component, &object.revision);
    }
    list_tags(engine, owner, (&ending, only), &mut remains, &mut found).await;
    remains.objects = in_order_of_deletion(found.into_values().collect(), |object| (&object.key, object.component));
    remains
}

/// The tags of nobody that lead to what goes.
async fn list_tags(
    engine: &Engine<'_>,
    owner: &OwnerId,
    (ending, only): (&Ending, Option<&BTreeSet<ObjectKey>>),
    remains: &mut Remains,
    found: &mut BTreeMap<ObjectKey, Remaining>,
) {
    let is_looked_at = |kind: &str| only.is_none_or(|only| only.iter().any(|key| key.kind == kind));
    for kind in tags::KINDS.into_iter().filter(|(_, kind)| !ending.is_empty() && is_looked_at(kind)) {
        remains.requests += 1;
        match ending.tags(engine.cluster, kind).await {
            Ok(tags) => {
                for tag in tags {
                    let mut tag = Remaining::of(kind.0, kind.1, &tag);
                    if engine.others.want(owner, &tag.key) {
                        tag.fate = Fate::Shared;
                    }
                    found.entry(tag.key.clone()).or_insert(tag);
                }
            }
            Err(error) => remains.failed(kind.1, error),
        }
    }
}

/// By labels. A name that is not a valid label value is on no object.
async fn list(
    engine: &Engine<'_>,
    owner: &OwnerId,
    only: Option<&BTreeSet<ObjectKey>>,
    remains: &mut Remains,
    found: &mut BTreeMap<ObjectKey, Remaining>,
) {
    let Some(selector) = labels::selector_of(owner) else { return };
    for (api_version, kind) in engine.kinds().into_iter().filter(|(_, kind)| !is_never_deleted(kind)) {
        let group = group_of(&api_version);
        if only.is_some_and(|only| !only.iter().any(|key| key.kind == kind && key.group == group)) {
            continue;
        }
        remains.requests += 1;
        let objects = match engine.cluster.list(&api_version, &kind, None, &selector).await {
            Ok(objects) => objects,
            // Its CRD has gone, and all of its objects with it.
            Err(error) if error.is_absent() => continue,
            Err(error) => {
                remains.failed(&kind, error);
                continue;
            }
        };
        let name_of = |object: &DynamicObject| object.labels().get(labels::OWNER_NAME).cloned().unwrap_or_default();
        let is_owned = |object: &&DynamicObject| {
            is_managed(&kind, &object.metadata) && labels::is_name_of(owner, &name_of(object))
        };
        for object in objects.iter().filter(is_owned) {
            let remaining = Remaining { is_labelled: true, ..Remaining::of(&api_version, &kind, object) };
            found.insert(remaining.key.clone(), remaining);
        }
    }
}

impl Engine<'_> {
    /// Looks for everything that a resource has, or for objects of the kinds of a few only.
    pub async fn remains(&self, owner: &OwnerId, inventory: &Inventory, only: Option<&BTreeSet<ObjectKey>>) -> Remains {
        find(self, owner, inventory, only).await
    }

    /// Asks for the end of each object that has to go and is not asked already, children before parents. Returns what was
    /// asked, and what the API server refused.
    pub async fn delete(&self, remains: &Remains) -> Vec<(ObjectKey, Result<(), InstallError>)> {
        let mut results = vec![];
        for object in remains.to_delete().filter(|object| object.fate == Fate::Goes) {
            tracing::info!(object = %object.key, why = "its resource is being deleted", "deleting");
            let result = self.cluster.delete(&object.api_version, &object.key, &object.uid).await;
            if result.is_ok() {
                self.listener.hear(&Event::Deleted { key: &object.key, is_pruned: false });
            }
            results.push((object.key.clone(), result.map_err(InstallError::from)));
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn remaining(object: Value) -> Remaining {
        Remaining::of("apps/v1", "Deployment", &from_value(object).unwrap())
    }

    #[test]
    fn an_istiod_that_serves_other_clusters_says_so() {
        for (value, is_external) in [("true", true), ("false", false)] {
            let istiod = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "istiod"},
                "spec": {"template": {"spec": {"containers": [
                    {"name": "discovery", "env": [{"name": "EXTERNAL_ISTIOD", "value": value}]}]}}}});
            assert_eq!(remaining(istiod).is_external, is_external);
        }
    }

    #[test]
    fn a_webhook_tells_where_its_control_plane_is() {
        let webhooks = json!([{"clientConfig": {"service": {"namespace": "mesh", "name": "istiod"}}},
            {"clientConfig": {"url": "https://example.com/inject"}}]);
        let metadata = json!({"name": "x"});
        let found = remaining(json!({"apiVersion": "v1", "kind": "x", "metadata": metadata, "webhooks": webhooks}));
        assert_eq!(found.calls, BTreeSet::from(["mesh".to_owned()]));
    }

    #[test]
    fn what_remains_is_told_with_what_keeps_it() {
        let key = ObjectKey { kind: "Service".into(), namespace: "a".into(), name: "b".into(), ..ObjectKey::default() };
        let of = |finalizers: &[&str]| Remaining {
            key: key.clone(),
            finalizers: finalizers.iter().map(|f| (*f).to_owned()).collect(),
            ..Remaining::default()
        };
        assert_eq!(of(&[]).told(), "Service a/b");
        assert_eq!(of(&["x.io/y"]).told(), "Service a/b (kept by its finalizer x.io/y)");
        assert_eq!(of(&["x", "y"]).told(), "Service a/b (kept by its finalizers x, y)");
    }

    #[test]
    fn a_deletion_that_failed_says_what_was_refused_and_what_is_not_seen() {
        let failed = |act, object: &str, code| {
            let status = kube::core::Status::failure("no", "").with_code(code);
            ClusterError::of(act, &object.to_owned(), kube::Error::Api(Box::new(status)))
        };
        let error = DeleteError {
            refused: vec![failed("delete", "Service a/b", 403).into()],
            unread: vec![Unread { kind: "Role".into(), error: Arc::new(failed("list", "Role", 403)) }],
        };
        let text = "cannot delete what the resource installed: delete Service a/b: no; list Role: no";
        assert_eq!(error.to_string(), text);
        assert_eq!(error.reason(), "Forbidden");
    }
}
