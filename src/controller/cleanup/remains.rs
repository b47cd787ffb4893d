//! What is left of a resource that is being deleted, as the API server says at this moment: by labels, and by the inventory.
//! The index may be a moment behind, and knows nothing of objects whose labels are gone.

use super::super::index::{self, FROM_THE_START, OwnerId};
use super::super::usage::{self, Pods};
use super::super::{Context, Memory};
use crate::api::PRUNE;
use crate::cluster::{ClusterError, is_ours};
use crate::component::Component;
use crate::object::inventory::{Entry, group_of};
use crate::object::{ObjectKey, labels};
use crate::plan;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// No label has a longer value.
const LONGEST_LABEL: usize = 63;
/// A request that fails may have been sent so often.
const TRIES: u32 = 3;

/// What becomes of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
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
pub(super) struct Remaining {
    pub key: ObjectKey,
    pub api_version: String,
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
    pub fate: Fate,
    /// What keeps it from going.
    pub finalizers: Vec<String>,
}

impl Remaining {
    fn new(api_version: &str, key: ObjectKey, object: &DynamicObject) -> Self {
        let own = |name: &str| object.labels().get(name).cloned();
        let template = |name: &str| {
            let labels = object.data.pointer("/spec/template/metadata/labels")?;
            labels.get(name)?.as_str().map(str::to_owned)
        };
        let component = own(labels::COMPONENT).and_then(|name| Component::from_name(&name));
        Self {
            api_version: api_version.to_owned(),
            uid: object.uid().unwrap_or_default(),
            component: component.or_else(|| guess(&key.name, template("app").as_deref())),
            revision: own(labels::REVISION).or_else(|| template(labels::REVISION)).unwrap_or_default(),
            pods: if key.group == "apps" { usage::pods_of(&key.namespace, &object.data) } else { None },
            is_external: is_external(&object.data),
            calls: called(&object.data),
            is_labelled: false,
            fate: match object.metadata.deletion_timestamp {
                _ if object.annotations().get(PRUNE).is_some_and(|v| v == "false") => Fate::Kept,
                Some(_) => Fate::IsGoing,
                None => Fate::Goes,
            },
            finalizers: object.finalizers().to_vec(),
            key,
        }
    }

    /// Whether it is a part of a control plane.
    pub fn is_of_control_plane(&self) -> bool {
        matches!(self.component, Some(Component::Pilot | Component::IstiodRemote))
    }

    /// The object, and what keeps it.
    pub fn told(&self) -> String {
        match self.finalizers.as_slice() {
            [] => self.key.to_string(),
            [one] => format!("{} (kept by its finalizer {one})", self.key),
            all => format!("{} (kept by its finalizers {})", self.key, all.join(", ")),
        }
    }
}

/// The component of an object without a label that says it: what may be a part of a control plane is taken for one.
fn guess(name: &str, app: Option<&str>) -> Option<Component> {
    const PARTS: [&str; 4] = ["istiod", "istio-sidecar-injector", "istio-revision-tag-", "istio-validator"];
    let is_part = app == Some("istiod") || PARTS.iter().any(|part| name.starts_with(part));
    is_part.then_some(Component::Pilot)
}

fn is_external(workload: &Value) -> bool {
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

/// Something that cannot be read.
pub(super) struct Unread {
    pub kind: String,
    pub text: String,
}

/// What was found.
#[derive(Default)]
pub(super) struct Remains {
    /// In the order in which they go, children before parents; with those that stay.
    pub objects: Vec<Remaining>,
    pub unread: Vec<Unread>,
    /// How many requests it took.
    pub requests: u32,
}

impl Remains {
    /// What has to go and has not yet.
    pub fn doomed(&self) -> impl Iterator<Item = &Remaining> {
        self.objects.iter().filter(|object| matches!(object.fate, Fate::Goes | Fate::IsGoing))
    }

    /// Whether there is nothing to be done any more.
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.doomed().next().is_none()
    }

    fn failed(&mut self, kind: &str, error: &ClusterError) {
        self.requests = self.requests.saturating_add(TRIES - 1);
        self.unread.push(Unread { kind: kind.to_owned(), text: error.to_string() });
    }
}

/// Looks for everything, or for objects of the kinds of a few only.
pub(super) async fn find(
    context: &Context,
    id: &OwnerId,
    memory: &Memory,
    only: Option<&BTreeSet<ObjectKey>>,
) -> Remains {
    let mut remains = Remains::default();
    let mut found = BTreeMap::new();
    list(context, id, only, &mut remains, &mut found).await;
    let known = memory.inventory.iter().filter(|(key, _)| only.is_none_or(|only| only.contains(*key)));
    for (key, entry) in known.filter(|(key, _)| !plan::is_kept(&key.kind)) {
        if found.contains_key(key) {
            continue;
        }
        remains.requests += 1;
        match context.cluster.get(&entry.api_version, key).await {
            Ok(Some(live)) if is_installed(&live, id, entry) => {
                let remaining = Remaining::new(&entry.api_version, key.clone(), &live);
                found.insert(key.clone(), remaining);
            }
            Ok(_) => {}
            Err(error) if error.is_absent() => {}
            // Of a kind that nothing of ours is of, as far as is known: anybody can write such a line.
            Err(error) if !kinds(context).contains(&(entry.api_version.clone(), key.kind.clone())) => {
                tracing::warn!(object = %key, %error, "cannot read what the inventory names; it is left as it is");
            }
            Err(error) => remains.failed(&key.kind, &error),
        }
    }
    for remaining in found.values_mut().filter(|found| context.claims.is_wanted_by_another(id, &found.key)) {
        remaining.fate = Fate::Shared;
    }
    let keys = found.iter().map(|(key, remaining)| (key.clone(), remaining.component)).collect();
    let order = plan::prune(keys, &BTreeSet::new());
    remains.objects = order.iter().filter_map(|key| found.remove(key)).collect();
    remains
}

/// By labels. A name that is no value of a label is on no object.
async fn list(
    context: &Context,
    id: &OwnerId,
    only: Option<&BTreeSet<ObjectKey>>,
    remains: &mut Remains,
    found: &mut BTreeMap<ObjectKey, Remaining>,
) {
    if id.1.len() > LONGEST_LABEL {
        return;
    }
    let selector = format!("{}={},{}={}", labels::OWNER_NAMESPACE, id.0, labels::OWNER_NAME, id.1);
    for (api_version, kind) in kinds(context) {
        let group = group_of(&api_version);
        if only.is_some_and(|only| !only.iter().any(|key| key.kind == kind && key.group == group)) {
            continue;
        }
        remains.requests += 1;
        let objects = match context.cluster.list(&api_version, &kind, None, &selector).await {
            Ok(objects) => objects,
            // Its definition has gone, and all of its objects with it.
            Err(error) if error.is_absent() => continue,
            Err(error) => {
                remains.failed(&kind, &error);
                continue;
            }
        };
        for object in objects.iter().filter(|object| index::counts(&kind, &object.metadata)) {
            let key = ObjectKey {
                group: group.to_owned(),
                kind: kind.clone(),
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
            };
            let remaining = Remaining { is_labelled: true, ..Remaining::new(&api_version, key.clone(), object) };
            found.insert(key, remaining);
        }
    }
}

/// All kinds that something may have been installed of, whether they are watched by now or not.
fn kinds(context: &Context) -> BTreeSet<(String, String)> {
    let always = FROM_THE_START.iter().map(|(api_version, kind)| ((*api_version).to_owned(), (*kind).to_owned()));
    always.chain(context.index.kinds()).filter(|(_, kind)| !plan::is_kept(kind)).collect()
}

/// Whether an object is the one of the inventory, and shows that it was installed for this resource: an inventory is a field
/// that others may write.
fn is_installed(live: &DynamicObject, id: &OwnerId, entry: &Entry) -> bool {
    let is = |name: &str, value: &str| live.labels().get(name).is_none_or(|label| label == value);
    live.uid().as_deref() == Some(&entry.uid)
        && is_ours(&live.metadata)
        && is(labels::OWNER_NAME, &id.1)
        && is(labels::OWNER_NAMESPACE, &id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn remaining(name: &str, object: Value) -> Remaining {
        let key =
            ObjectKey { kind: "Deployment".into(), group: "apps".into(), name: name.into(), ..ObjectKey::default() };
        Remaining::new("apps/v1", key, &from_value(object).unwrap())
    }

    fn deployment(labels: &Value, template: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "labels": labels},
            "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": template},
                "spec": {"containers": [{"name": "c", "env": [{"name": "EXTERNAL_ISTIOD", "value": "false"}]}]}}}})
    }

    #[test]
    fn a_control_plane_is_known_without_its_labels() {
        let labelled = json!({"operator.istio.io/component": "Pilot", "istio.io/rev": "canary"});
        let gateway = json!({"operator.istio.io/component": "IngressGateways", "istio.io/rev": "canary"});
        let inside = json!({"app": "istiod", "istio.io/rev": "canary"});
        let table = [
            ("x", labelled, json!({}), true),
            ("x", gateway, json!({"app": "x"}), false),
            ("x", json!({}), inside.clone(), true),
            ("istiod-canary", json!({}), json!({"istio.io/rev": "canary"}), true),
            ("x", json!({}), json!({"app": "x"}), false),
        ];
        for (name, labels, template, is_plane) in table {
            let found = remaining(name, deployment(&labels, &template));
            assert_eq!(found.is_of_control_plane(), is_plane, "{name} {labels} {template}");
            assert!(!is_plane || found.revision == "canary", "{found:?}");
            assert!(!found.is_external);
        }
    }

    #[test]
    fn an_istiod_that_serves_other_clusters_says_so() {
        let mut istiod = deployment(&json!({}), &json!({}));
        istiod["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "true".into();
        assert!(remaining("istiod", istiod).is_external);
    }

    #[test]
    fn a_webhook_tells_where_its_control_plane_is() {
        let webhooks = json!([{"clientConfig": {"service": {"namespace": "mesh", "name": "istiod"}}},
            {"clientConfig": {"url": "https://example.com/inject"}}]);
        let metadata = json!({"name": "x"});
        let found =
            remaining("x", json!({"apiVersion": "v1", "kind": "x", "metadata": metadata, "webhooks": webhooks}));
        assert_eq!(found.calls, BTreeSet::from(["mesh".to_owned()]));
    }

    #[test]
    fn an_inventory_deletes_nothing_that_we_did_not_install() {
        let entry = Entry { api_version: "v1".into(), uid: "u".into() };
        let id = ("ns".to_owned(), "main".to_owned());
        let table = [
            ("istio-operator", "u", json!({}), true),
            ("istio-operator", "u", json!({labels::OWNER_NAME: "main"}), true),
            ("istio-operator", "u", json!({labels::OWNER_NAME: "other"}), false),
            ("istio-operator", "u", json!({labels::OWNER_NAMESPACE: "other"}), false),
            ("istio-operator", "v", json!({}), false),
            ("kubectl", "u", json!({}), false),
        ];
        for (manager, uid, labels, is_ours) in table {
            let managers = json!([{"manager": manager, "operation": "Apply"}]);
            let metadata = json!({"name": "x", "uid": uid, "labels": labels, "managedFields": managers});
            let live = from_value(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).unwrap();
            assert_eq!(is_installed(&live, &id, &entry), is_ours, "{manager} {uid} {labels}");
        }
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
}
