//! The CustomResourceDefinition of `IstioOperator`, made from the API's types.
//!
//! Upstream's CRD had no schema: the API server stored everything. This one documents and types the fields, and still
//! stores everything: every object keeps its unknown fields, null is allowed wherever protobuf's JSON form allows it,
//! there are no defaults, and no field is required. A resource that upstream's controller accepted is never refused.

use super::istio_operator::IstioOperatorSpec;
use super::schema::schema_of;
use super::{GROUP, KIND, PLURAL, VERSION};
use serde_json::{Value, json};

/// Printer columns: name, type, path, priority. The first three are upstream's.
const COLUMNS: &[(&str, &str, &str, i64)] = &[
    ("Revision", "string", ".spec.revision", 0),
    ("Status", "string", ".status.status", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Profile", "string", ".status.profile", 0),
    ("Version", "string", ".status.version", 0),
    ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status", 0),
    ("In use", "boolean", ".status.inUse", 1),
    ("Message", "string", ".status.message", 1),
];

/// The CRD as an object for the API server.
#[must_use]
pub fn custom_resource_definition() -> Value {
    let columns: Vec<Value> = COLUMNS
        .iter()
        .map(|(name, kind, path, priority)| {
            let mut column = json!({"name": name, "type": kind, "jsonPath": path});
            if let (Some(c), 1..) = (column.as_object_mut(), *priority) {
                c.insert("priority".into(), json!(priority));
            }
            column
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}"), "labels": {"release": "istio"}},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND, "listKind": format!("{KIND}List"), "plural": PLURAL,
                "singular": "istiooperator", "shortNames": ["iop", "io"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION, "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": open_schema()},
            }],
        },
    })
}

/// The CRD as YAML.
#[must_use]
pub fn to_yaml() -> String {
    helm_template::yaml::to_string(&custom_resource_definition()).unwrap_or_default()
}

fn open_schema() -> Value {
    let mut spec = schema_of::<IstioOperatorSpec>();
    open(&mut spec, usize::MAX);
    let mut status = schema_of::<super::status::InstallStatus>();
    open(&mut status, usize::MAX);
    json!({
        "type": "object",
        "description": "An installation of Istio: a profile, what differs from it, and how it stands.",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "apiVersion": {"type": "string", "description": "install.istio.io/v1alpha1"},
            "kind": {"type": "string", "description": "IstioOperator"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    })
}

/// How deep below `k8s` the CRD spells fields out: enough for `kubectl explain`, small enough to print and to load. The
/// deeper ones are checked by the controller all the same.
const K8S_DEPTH: usize = 2;

/// Opens a schema up: unknown fields are kept, null is allowed, and what CRDs do not take is left out.
/// Objects more than `depth` levels below are left without properties.
fn open(schema: &mut Value, depth: usize) {
    let Some(map) = schema.as_object_mut() else { return };
    for key in ["title", "default", "required", "$schema", "enum"] {
        map.remove(key);
    }
    if map.get("format").is_some_and(|f| f == "integer") {
        for key in ["format", "minimum", "maximum"] {
            map.remove(key);
        }
    }
    if let Some(Value::Object(inner)) =
        map.remove("anyOf").or_else(|| map.remove("allOf")).and_then(|v| v.get(0).cloned())
    {
        for (key, value) in inner.into_iter().filter(|(k, _)| k != "oneOf") {
            map.entry(key).or_insert(value);
        }
    }
    map.insert("nullable".into(), true.into());
    if map.contains_key("properties") {
        map.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        if depth == 0 {
            map.remove("properties");
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties {
            open(property, if name == "k8s" || name == "addonComponents" { K8S_DEPTH } else { depth - 1 });
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            open(inner, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(v: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
        visit(path, v);
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = v.get(key) {
                walk(inner, &format!("{path}[]"), visit);
            }
        }
        for (name, inner) in v.get("properties").and_then(Value::as_object).into_iter().flatten() {
            walk(inner, &format!("{path}.{name}"), visit);
        }
    }

    #[test]
    fn every_object_keeps_unknown_fields_and_nothing_is_set_or_required() {
        let crd = custom_resource_definition();
        let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
        let mut seen = 0;
        walk(schema, "", &mut |path, v| {
            seen += 1;
            for banned in ["default", "required", "enum", "anyOf", "oneOf", "allOf", "$ref", "title"] {
                assert!(v.get(banned).is_none(), "{path} has {banned}");
            }
            if v.get("type").is_some_and(|t| t == "object") && path != ".metadata" {
                assert!(
                    v.get("additionalProperties").is_some()
                        || v.get("x-kubernetes-preserve-unknown-fields").is_some_and(|p| p == true),
                    "{path} would be pruned"
                );
            }
            if path.starts_with(".spec") || path.starts_with(".status") {
                assert_eq!(v.get("nullable"), Some(&Value::Bool(true)), "{path} refuses null");
            }
        });
        assert!(seen > 300, "only {seen} fields");
    }

    #[test]
    fn the_first_three_columns_are_upstreams() {
        let names: Vec<_> = COLUMNS.iter().map(|c| c.0).collect();
        assert_eq!(names, ["Revision", "Status", "Age", "Profile", "Version", "Ready", "In use", "Message"]);
    }
}
