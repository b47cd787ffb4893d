//! CRDs, which all control planes of a cluster share: no apply takes versions or fields from one.
//!
//! A CRD of a newer release, whoever installed that, serves an older control plane too: to take versions or fields from it would take
//! them from the resources of users. And the CRD of IstioOperator comes with the operator; that of packages up to 1.20 describes no
//! field and has fewer columns.

use super::installed_release::{by_label, numbers};
use crate::object::Object;
use crate::object::labels::{OWNER_NAME, OWNER_NAMESPACE, REVISION, VERSION};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

/// Whether an object is a CRD that takes, as it is live, all that the wanted one takes, and more, or shows more of it, or is the same
/// from a newer release that another installation has: it stays as it is.
pub(super) fn has_more(wanted: &Object, live: &DynamicObject) -> bool {
    if !wanted.is_crd() {
        return false;
    }
    let wanted = wanted.value();
    let is_newer = || is_of_newer_release(&wanted, live) && is_anothers(&wanted, live);
    let (wanted, live) = (served(&wanted), served(&live.data));
    takes_all(&live, &wanted) && (!takes_all(&wanted, &live) || columns(&live) > columns(&wanted) || is_newer())
}

/// Whether a live CRD takes all that the wanted one takes.
pub(super) fn has_all(wanted: &Object, live: &DynamicObject) -> bool {
    takes_all(&served(&live.data), &served(&wanted.value()))
}

/// Whether labels say that a live object is of the installation and revision that a wanted one is of.
pub(super) fn is_same_installations(wanted: &Value, live: &DynamicObject) -> bool {
    let is_same = |name: &&str| label(wanted, name) == live.labels().get(*name).map(String::as_str);
    live.labels().contains_key(OWNER_NAMESPACE) && [OWNER_NAMESPACE, OWNER_NAME, REVISION].iter().all(is_same)
}

/// Whether labels say that a live object is of another installation, or of another revision.
fn is_anothers(wanted: &Value, live: &DynamicObject) -> bool {
    live.labels().contains_key(OWNER_NAMESPACE) && !is_same_installations(wanted, live)
}

fn is_of_newer_release(wanted: &Value, live: &DynamicObject) -> bool {
    let wanted = label(wanted, VERSION).and_then(numbers);
    wanted.is_some_and(|wanted| by_label(live).and_then(numbers).is_some_and(|live| live > wanted))
}

fn label<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// The versions that are served.
fn served(definition: &Value) -> Vec<&Value> {
    let all = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    all.filter(|version| version.get("served") == Some(&Value::Bool(true))).collect()
}

fn columns(versions: &[&Value]) -> usize {
    versions.iter().filter_map(|version| version.get("additionalPrinterColumns")?.as_array()).map(Vec::len).sum()
}

fn takes_all(more: &[&Value], less: &[&Value]) -> bool {
    const SCHEMA: &str = "/schema/openAPIV3Schema";
    let is_taken = |more: &Value, less: &Value| match (more.pointer(SCHEMA), less.pointer(SCHEMA)) {
        (Some(more), Some(less)) => takes_fields(more, less),
        _ => true,
    };
    less.iter().all(|less| more.iter().any(|more| more.get("name") == less.get("name") && is_taken(more, less)))
}

/// Whether a schema takes all fields of another one. An open one takes any.
fn takes_fields(more: &Value, less: &Value) -> bool {
    ["items", "additionalProperties"].iter().all(|name| match (more.get(name), less.get(name)) {
        (Some(more), Some(less)) => takes_fields(more, less),
        _ => true,
    }) && match (more.get("properties").and_then(Value::as_object), less.get("properties").and_then(Value::as_object)) {
        (Some(more), Some(less)) => {
            less.iter().all(|(name, less)| more.get(name).is_some_and(|more| takes_fields(more, less)))
        }
        (None, Some(_)) => more.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)),
        (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::crd;
    use serde_json::json;

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
    }

    #[test]
    fn the_same_definition_of_a_newer_release_stays_if_another_has_it() {
        let versions = json!([{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]);
        let of = |release: &str, namespace: &str, revision: &str| {
            let mut value = with_versions(&versions);
            value["metadata"]["labels"] = json!({VERSION: release, OWNER_NAMESPACE: namespace, REVISION: revision});
            value
        };
        let wanted = Object::new(of("1.23.5", "ns", "old")).unwrap();
        for (live, expected, why) in [
            (of("1.23.6", "ns", "default"), true, "newer, of another revision"),
            (of("1.23.6", "other", "old"), true, "newer, of another installation"),
            (of("1.23.6", "ns", "old"), false, "newer, of the same installation"),
            (of("1.23.4", "ns", "default"), false, "older"),
            (with_versions(&versions), false, "nobody's"),
        ] {
            assert_eq!(has_more(&wanted, &serde_json::from_value(live).unwrap()), expected, "{why}");
        }
    }

    #[test]
    fn the_definition_of_the_operator_outlives_that_of_an_old_release() {
        let mut of_release = crd::custom_resource_definition();
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        of_release["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = open;
        of_release["spec"]["versions"][0]["additionalPrinterColumns"].as_array_mut().unwrap().truncate(3);
        let wanted = |value: &Value| Object::new(value.clone()).unwrap();
        let live = |value: &Value| serde_json::from_value::<DynamicObject>(value.clone()).unwrap();
        let own = crd::custom_resource_definition();
        assert!(has_more(&wanted(&of_release), &live(&own)));
        assert!(!has_more(&wanted(&own), &live(&of_release)));
        assert!(!has_more(&wanted(&own), &live(&own)));
    }
}
