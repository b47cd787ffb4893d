//! CRDs, which all control planes of a cluster share: none is ever made to say less than it says.
//!
//! The CRD of IstioOperator comes with the operator. Packages of releases up to 1.20 bring one of their own, which has no schema and
//! fewer columns; whoever installs such a release must not lose what the operator came with. And a CRD of a newer release, whoever
//! installed that, serves an older control plane too: to take versions or fields from it would take them from the resources of users.

use crate::api::crd;
use crate::object::Object;
use crate::object::manifests::Manifests;
use kube::api::DynamicObject;
use serde_json::Value;

/// What it is called.
pub(super) const NAME: &str = "istiooperators.install.istio.io";

/// Makes the CRD of IstioOperator that a release has, if it has one, say what ours says.
pub(super) fn be_own(manifests: &mut Manifests) {
    let objects = manifests.parts.iter_mut().flat_map(|part| &mut part.objects);
    for object in objects.filter(|object| object.is_crd() && object.name() == NAME) {
        if let Some(own) = crd::custom_resource_definition().get_mut("spec")
            && object.value().get("spec").is_some_and(|spec| spec != own)
            && let Some(map) = object.value_mut().as_object_mut()
        {
            map.insert("spec".to_owned(), own.take());
        }
    }
}

/// Whether an object is a CRD that has, as it is live, all versions and fields that are wanted, and more: it stays as it is.
pub(super) fn has_more(wanted: &Object, live: &DynamicObject) -> bool {
    if !wanted.is_crd() {
        return false;
    }
    let wanted = wanted.value();
    let (wanted, live) = (versions(&wanted), versions(&live.data));
    has_all(&live, &wanted) && !has_all(&wanted, &live)
}

/// The served versions, each with its schema.
fn versions(definition: &Value) -> Vec<(&str, &Value)> {
    let all = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let served = all.filter(|version| version.get("served") == Some(&Value::Bool(true)));
    served
        .filter_map(|version| Some((version.get("name")?.as_str()?, version)))
        .map(|(name, version)| (name, version.pointer("/schema/openAPIV3Schema").unwrap_or(&Value::Null)))
        .collect()
}

fn has_all(more: &[(&str, &Value)], less: &[(&str, &Value)]) -> bool {
    less.iter().all(|(name, less)| more.iter().any(|(of, more)| of == name && has_fields(more, less)))
}

/// Whether a schema has all fields of another one. One that says nothing of the fields of a map takes them all.
fn has_fields(more: &Value, less: &Value) -> bool {
    ["items", "additionalProperties"].iter().all(|name| match (more.get(name), less.get(name)) {
        (Some(more), Some(less)) => has_fields(more, less),
        _ => true,
    }) && match (more.get("properties").and_then(Value::as_object), less.get("properties").and_then(Value::as_object)) {
        (Some(more), Some(less)) => {
            less.iter().all(|(name, less)| more.get(name).is_some_and(|more| has_fields(more, less)))
        }
        (None, Some(_)) => more.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)),
        (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::component::Component;
    use crate::object::Object;
    use crate::object::manifests::Part;
    use serde_json::json;

    #[test]
    fn the_definition_of_a_release_says_what_ours_says() {
        let crd = |name: &str| {
            let value = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": name, "labels": {"release": "istio"}}, "spec": {"versions": []}});
            Object::new(value).unwrap()
        };
        let other = crd("gateways.networking.istio.io");
        let mut manifests = Manifests {
            parts: vec![Part { component: Component::Base, objects: vec![crd(NAME), other.clone()] }],
            ..Manifests::default()
        };
        be_own(&mut manifests);
        let objects = &manifests.parts[0].objects;
        assert_eq!(objects[0].value()["spec"], crd::custom_resource_definition()["spec"]);
        assert_eq!(objects[0].value()["metadata"]["labels"]["release"], "istio");
        assert_eq!(objects[1], other);
    }

    fn with_versions(versions: &serde_json::Value) -> serde_json::Value {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "policies.security.istio.io"}, "spec": {"versions": versions}})
    }

    #[test]
    fn a_definition_that_has_more_stays_and_another_one_does_not() {
        let version = |name: &str, fields: &[&str]| {
            let fields: serde_json::Map<_, _> =
                fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
            let rule = json!({"type": "array", "items": {"properties": fields}});
            let spec = json!({"type": "object", "properties": {"rules": rule}});
            json!({"name": name, "served": true, "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}}})
        };
        let old = json!([version("v1beta1", &["action"])]);
        let unserved = {
            let mut version = version("v1", &["action"]);
            version["served"] = false.into();
            version
        };
        for (live, expected, why) in [
            (json!([version("v1beta1", &["action"]), version("v1", &["action"])]), true, "a version more"),
            (json!([version("v1beta1", &["action", "targetRefs"])]), true, "a field more"),
            (old.clone(), false, "the same"),
            (json!([version("v1beta1", &[]), version("v1", &["action"])]), false, "a version more, and a field less"),
            (json!([version("v1", &["action"])]), false, "another version"),
            (json!([version("v1beta1", &["action"]), unserved]), false, "a version that is not served"),
            (json!([]), false, "nothing"),
        ] {
            let wanted = Object::new(with_versions(&old)).unwrap();
            let live = serde_json::from_value(with_versions(&live)).unwrap();
            assert_eq!(has_more(&wanted, &live), expected, "{why}");
        }
        let open = json!([{"name": "v1beta1", "served": true, "schema": {"openAPIV3Schema":
            {"properties": {"spec": {"x-kubernetes-preserve-unknown-fields": true}}}}}]);
        let (open_live, old_live) = (with_versions(&open), with_versions(&old));
        assert!(!has_more(&Object::new(with_versions(&old)).unwrap(), &serde_json::from_value(open_live).unwrap()));
        assert!(!has_more(&Object::new(with_versions(&open)).unwrap(), &serde_json::from_value(old_live).unwrap()));
    }
}
