//! What a live object itself says about its owner and its origin, where its labels may be gone.

use crate::api::component::Component;
use crate::cluster::is_ours;
use crate::object::inventory::Entry;
use crate::object::{OwnerId, labels};
use kube::ResourceExt;
use kube::api::DynamicObject;

/// Names of what may be a part of a control plane begin with one of these.
const PARTS: [&str; 4] = ["istiod", "istio-sidecar-injector", "istio-revision-tag-", "istio-validator"];

/// Whether an object is the one of an inventory's entry, and shows that it was installed for this resource: an inventory is a
/// field that others may write.
#[must_use]
pub fn is_installed(live: &DynamicObject, id: &OwnerId, entry: &Entry) -> bool {
    let is = |name: &str, value: &str| live.labels().get(name).is_none_or(|label| label == value);
    live.uid().as_deref() == Some(&entry.uid)
        && is_ours(&live.metadata)
        && is(labels::OWNER_NAME, &id.name)
        && is(labels::OWNER_NAMESPACE, &id.namespace)
}

/// The component of an object. Without the label that says it, what may be a part of a control plane is taken for one.
#[must_use]
pub fn component_of(live: &DynamicObject) -> Option<Component> {
    let said = live.labels().get(labels::COMPONENT).and_then(|name| Component::from_name(name));
    let is_part = || {
        let name = live.name_any();
        of_template(live, "app") == Some("istiod") || PARTS.iter().any(|part| name.starts_with(part))
    };
    said.or_else(|| is_part().then_some(Component::Pilot))
}

/// The revision of an object, or else of the pods of a workload; empty where neither says one.
#[must_use]
pub fn revision_of(live: &DynamicObject) -> &str {
    let own = live.labels().get(labels::REVISION).map(String::as_str);
    own.or_else(|| of_template(live, labels::REVISION)).unwrap_or_default()
}

/// A label of the pods of a workload.
fn of_template<'a>(live: &'a DynamicObject, name: &str) -> Option<&'a str> {
    live.data.pointer("/spec/template/metadata/labels")?.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    #[test]
    fn an_inventory_alone_deletes_nothing_that_we_did_not_install() {
        let entry = Entry { api_version: "v1".into(), uid: "u".into() };
        let id = OwnerId::new("ns", "main");
        let table = [
            ("istio-operator", "u", json!({}), true),
            ("istio-operator", "u", json!({labels::OWNER_NAME: "main"}), true),
            ("istio-operator", "u", json!({labels::OWNER_NAME: "other"}), false),
            ("istio-operator", "u", json!({labels::OWNER_NAMESPACE: "other"}), false),
            ("istio-operator", "v", json!({}), false),
            ("istio-operator", "v", json!({labels::OWNER_NAME: "main"}), false),
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
    fn a_control_plane_is_known_without_its_labels() {
        let deployment = |name: &str, labels: &Value, template: &Value| {
            from_value(
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
                "spec": {"template": {"metadata": {"labels": template}}}}),
            )
            .unwrap()
        };
        let labelled = json!({labels::COMPONENT: "Pilot", labels::REVISION: "canary"});
        let gateway = json!({labels::COMPONENT: "IngressGateways", labels::REVISION: "canary"});
        let inside = json!({"app": "istiod", labels::REVISION: "canary"});
        let table = [
            ("x", labelled, json!({}), Some(Component::Pilot), "canary"),
            ("x", gateway, json!({"app": "x"}), Some(Component::IngressGateways), "canary"),
            ("x", json!({}), inside.clone(), Some(Component::Pilot), "canary"),
            ("istiod-canary", json!({}), json!({labels::REVISION: "canary"}), Some(Component::Pilot), "canary"),
            ("istio-validator-istio-system", json!({}), json!({}), Some(Component::Pilot), ""),
            ("x", json!({}), json!({"app": "x"}), None, ""),
        ];
        for (name, labels, template, component, revision) in table {
            let live: DynamicObject = deployment(name, &labels, &template);
            assert_eq!((component_of(&live), revision_of(&live)), (component, revision), "{name} {labels} {template}");
        }
    }
}
