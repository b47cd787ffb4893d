//! The record of an installation: an IstioOperator resource `installed-state[-name][-revision]` with the fully resolved
//! spec, annotated so that no operator acts on it. Upstream's command line leaves the same; other tools read it.

use crate::api::component::Component;
use crate::api::{API_VERSION, DEFAULT_REVISION, IGNORE_RECONCILE, INSTALLED_STATE, KIND, NULL_FIELDS, OBJECTS_DIGEST};
use crate::object::labels::{self, Owner};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectError};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The name of the record of a resource and a revision (empty for none).
#[must_use]
pub fn name(resource: &str, revision: &str) -> String {
    let parts = [INSTALLED_STATE, resource, revision];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-")
}

/// The name of a record where [`name`] is that of another resource's too: resource `a` with revision `b`, and resource `a-b`.
#[must_use]
pub fn distinct_name(resource: &str, revision: &str) -> String {
    let digest = sha256(&[resource.as_bytes(), b"/", revision.as_bytes()]);
    format!("{}-{}", name(resource, revision), digest.get(..8).unwrap_or_default())
}

/// The record of what a resource came to, into which its resolved spec goes, as text: as a tree it would be most of what a
/// reconcile holds. It has the owner's labels, so that it is kept, shared and deleted as everything else that the resource has.
///
/// # Errors
/// None for a resource that has a name.
pub fn record(
    (namespace, resource): (&str, &str),
    record_name: &str,
    manifests: &mut Manifests,
) -> Result<Object, ObjectError> {
    let mut spec = std::mem::take(&mut manifests.spec);
    let mut nulls = vec![];
    drop_nulls(&mut spec, "", &mut nulls);
    let owner = Owner {
        name: resource.into(),
        namespace: namespace.into(),
        revision: manifests.revision.clone(),
        version: manifests.release.clone(),
    };
    let mut labels = labels::owner_labels(&owner, Component::Base);
    labels.remove(labels::COMPONENT);
    let mut annotations = BTreeMap::from([(IGNORE_RECONCILE, "true".to_owned()), (OBJECTS_DIGEST, digest(manifests))]);
    if manifests.is_default_unasked {
        annotations.insert(DEFAULT_REVISION, "true".to_owned());
    }
    if !nulls.is_empty() {
        annotations.insert(NULL_FIELDS, json!(nulls).to_string());
    }
    let metadata = json!({"name": record_name, "namespace": namespace, "labels": labels, "annotations": annotations});
    // JSON is YAML.
    Object::from_written(format!("apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata: {metadata}\nspec: {spec}\n"))
}

/// The spec of a record as it was before it was written, and the digest of what it came to.
#[must_use]
pub fn read(record: &DynamicObject) -> (Value, Option<&str>) {
    let mut spec = record.data.get("spec").cloned().unwrap_or_default();
    let annotation = |name: &str| record.annotations().get(name).map(String::as_str);
    let nulls: Vec<String> = match annotation(NULL_FIELDS).map(serde_json::from_str).transpose() {
        Ok(nulls) => nulls.unwrap_or_default(),
        Err(error) => {
            // Only somebody else writes such a one. The digest of what it comes to tells whether that matters: a control plane that is
            // kept is then left as it is, and not repaired into something else.
            let record = record.metadata.name.as_deref();
            tracing::warn!(record, %error, "the annotation {NULL_FIELDS} cannot be read; what was null in the spec counts as unset");
            vec![]
        }
    };
    for pointer in &nulls {
        let Some((map, field)) = pointer.rsplit_once('/') else { continue };
        if let Some(map) = spec.pointer_mut(map).and_then(Value::as_object_mut) {
            map.entry(field.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null);
        }
    }
    (spec, annotation(OBJECTS_DIGEST))
}

/// Whether the control plane of a record has the revision tag `default` without having been asked to.
#[must_use]
pub fn is_default_unasked(record: &DynamicObject) -> bool {
    record.annotations().get(DEFAULT_REVISION).is_some_and(|value| value == "true")
}

/// The digest of all objects of a control plane; of CRDs, which are never removed, it does not tell.
#[must_use]
pub fn digest(manifests: &Manifests) -> String {
    let parts = manifests.parts.iter().filter(|part| is_of_control_plane(part.component));
    let objects = parts.flat_map(|part| &part.objects).filter(|object| !object.is_crd());
    let texts: Vec<String> = objects.map(|object| object.value().to_string()).collect();
    sha256(&texts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// Whether the objects of a component are needed by whoever uses a control plane.
#[must_use]
pub fn is_of_control_plane(component: Component) -> bool {
    !component.is_gateways()
}

fn sha256(texts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text);
    }
    hasher.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What is null is not set; an apply cannot say so. Collects where it was.
fn drop_nulls(value: &mut Value, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
            dropped.extend(map.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| below(key)));
            map.retain(|_, value| !value.is_null());
            map.iter_mut().for_each(|(key, value)| drop_nulls(value, &below(key), dropped));
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(i, item)| drop_nulls(item, &format!("{path}/{i}"), dropped));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_after_its_resource_and_revision_and_left_alone() {
        let values = json!({"a/b": null, "b": [{"c": null, "d": 1}]});
        let mut manifests = Manifests {
            revision: "canary".into(),
            spec: json!({"profile": "demo", "values": values}),
            ..Manifests::default()
        };
        let record = record(("ns", "main"), &name("main", "canary"), &mut manifests).unwrap();
        assert_eq!(record.key().to_string(), "IstioOperator ns/installed-state-main-canary");
        let value = record.value().into_owned();
        assert_eq!(value["metadata"]["annotations"][IGNORE_RECONCILE], "true");
        assert_eq!(value["metadata"]["labels"][labels::OWNER_NAME], "main");
        assert!(value["metadata"]["labels"].get(labels::COMPONENT).is_none());
        assert_eq!(value["spec"], json!({"profile": "demo", "values": {"b": [{"d": 1}]}}));
        let record = serde_json::from_value(value).unwrap();
        let (spec, digest) = read(&record);
        assert_eq!(spec["values"], values, "what was null is null again");
        assert_eq!(digest, Some(&*super::digest(&manifests)));
    }

    #[test]
    fn records_of_different_resources_can_be_given_different_names() {
        assert_eq!(name("a", "b"), name("a-b", ""));
        assert_ne!(distinct_name("a", "b"), distinct_name("a-b", ""));
    }
}
