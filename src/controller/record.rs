//! The record of an installation: an IstioOperator resource `installed-state[-name][-revision]` with the fully resolved
//! spec, annotated so that no operator acts on it. Upstream's command line leaves the same; other tools read it.

use crate::api::{API_VERSION, IGNORE_RECONCILE, INSTALLED_STATE, KIND};
use crate::component::Component;
use crate::object::labels::{self, Owner};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectError};
use crate::pipeline::RELEASE;
use serde_json::{Value, json};

/// The record of what a resource came to, into which its resolved spec goes, as text: as a tree it would be most of what a
/// pass holds. It has the owner's labels, so that it is kept, shared and deleted as everything else that the resource has.
///
/// # Errors
/// None for a resource that has a name.
pub(super) fn record(namespace: &str, name: &str, manifests: &mut Manifests) -> Result<Object, ObjectError> {
    let parts = [INSTALLED_STATE, name, &manifests.revision];
    let full_name = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-");
    let mut spec = std::mem::take(&mut manifests.spec);
    drop_nulls(&mut spec);
    let owner = Owner {
        name: name.into(),
        namespace: namespace.into(),
        revision: manifests.revision.clone(),
        version: RELEASE.into(),
    };
    let mut labels = labels::owner_labels(&owner, Component::Base);
    labels.remove(labels::COMPONENT);
    let annotations = json!({IGNORE_RECONCILE: "true"});
    let metadata = json!({"name": full_name, "namespace": namespace, "labels": labels, "annotations": annotations});
    // JSON is YAML.
    Object::from_written(&format!("apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata: {metadata}\nspec: {spec}\n"))
}

/// What is null is not set; an apply cannot say so.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_after_its_resource_and_revision_and_is_to_be_left_alone() {
        let spec = json!({"profile": "demo", "values": {"a": null, "b": [{"c": null, "d": 1}]}});
        let mut manifests = Manifests { revision: "canary".into(), spec, ..Manifests::default() };
        let record = record("ns", "main", &mut manifests).unwrap();
        assert_eq!(record.key().to_string(), "IstioOperator ns/installed-state-main-canary");
        let value = record.value();
        assert_eq!(value["metadata"]["annotations"][IGNORE_RECONCILE], "true");
        assert_eq!(value["metadata"]["labels"][labels::OWNER_NAME], "main");
        assert!(value["metadata"]["labels"].get(labels::COMPONENT).is_none());
        assert_eq!(value["spec"], json!({"profile": "demo", "values": {"b": [{"d": 1}]}}));
    }
}
