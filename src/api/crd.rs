//! The CustomResourceDefinition of `IstioOperator`, made from the description of the API ([`schema`]).
//!
//! Upstream's CRD had no schema: the API server stored everything. This one documents and types the fields, and still
//! stores everything: every object keeps its unknown fields, null is allowed wherever protobuf's JSON form allows it,
//! there are no defaults, and no field is required. A resource that upstream's controller accepted is never refused.

use super::schema::{self, Message, Table, Type};
use super::status::InstallStatus;
use super::{GROUP, KIND, PLURAL, VERSION};
use serde_json::map::Entry;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

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

/// Annotations that keep deployment tools from deleting the CRD: with it all its resources would be deleted, and nobody would be
/// left to remove what they installed.
const KEEP: [(&str, &str); 3] = [
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
    ("helm.sh/resource-policy", "keep"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
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
        "metadata": {
            "name": format!("{PLURAL}.{GROUP}"),
            "labels": {"release": "istio"},
            "annotations": KEEP.into_iter().collect::<BTreeMap<_, _>>(),
        },
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
    let crd = custom_resource_definition();
    // The emitter refuses control characters and keys of a thousand characters, which no description has; JSON, which is YAML as
    // well, is at worst harder to read. An empty CRD would be taken for one.
    helm_template::yaml::to_string(&crd).unwrap_or_else(|| helm_template::json::to_string_pretty(&crd) + "\n")
}

fn open_schema() -> Value {
    let spec = form(&Type::Message(schema::spec()), usize::MAX);
    json!({
        "type": "object",
        "description": "An installation of Istio: a profile, what differs from it, and its state.",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "apiVersion": {"type": "string", "description": "install.istio.io/v1alpha1"},
            "kind": {"type": "string", "description": "IstioOperator"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status(),
        },
    })
}

/// How deep below `k8s` the CRD spells fields out: enough for `kubectl explain`, small enough to print and to load. The
/// deeper ones are checked by the controller all the same.
const K8S_DEPTH: usize = 2;

/// The schema of a message, with its own description. The fields of messages more than `depth` levels below are left out.
fn message(message: &Message, depth: usize) -> Value {
    let mut properties = Map::new();
    for field in message.fields() {
        let below = if matches!(field.name, "k8s" | "addonComponents") { K8S_DEPTH } else { depth.saturating_sub(1) };
        let mut property = form(&field.kind, below);
        describe(&mut property, &field.description);
        match properties.entry(field.name) {
            Entry::Vacant(free) => drop(free.insert(property)),
            // Releases disagree about its type: what any of them takes is stored.
            Entry::Occupied(mut other) if other.get() != &property => {
                let mut any = form(&Type::Any, below);
                describe(&mut any, &field.description);
                other.insert(any);
            }
            Entry::Occupied(_) => {}
        }
    }
    let mut schema = free_map();
    if let (Some(map), true) = (schema.as_object_mut(), depth > 0) {
        map.insert("properties".into(), Value::Object(properties));
    }
    describe(&mut schema, &message.description());
    schema
}

fn form(kind: &Type, depth: usize) -> Value {
    let mut schema = match kind {
        Type::Bool => json!({"type": "boolean"}),
        Type::String | Type::Duration | Type::Time | Type::Enum(_) => json!({"type": "string"}),
        Type::Integer(..) | Type::Int | Type::Double | Type::IntOrString | Type::NumberOrString | Type::Quantity => {
            json!({"x-kubernetes-int-or-string": true})
        }
        Type::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
        Type::List(item) => json!({"type": "array", "items": form(item, depth)}),
        Type::Map(value) => json!({"type": "object", "additionalProperties": form(value, depth)}),
        Type::Message(inner) if inner.table == Some(Table::Spec) => message(inner, depth),
        // Open, so that fields of every release of Istio and Kubernetes are kept.
        Type::Struct | Type::Message(_) => free_map(),
    };
    if let Some(map) = schema.as_object_mut() {
        map.insert("nullable".into(), true.into());
    }
    schema
}

fn free_map() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn describe(schema: &mut Value, lines: &[&str]) {
    if let (Some(map), false) = (schema.as_object_mut(), lines.is_empty()) {
        map.insert("description".into(), lines.join("\n").into());
    }
}

/// The schema of the status, made from its type and the doc comments there.
fn status() -> Value {
    let settings = schemars::generate::SchemaSettings::openapi3().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<InstallStatus>().to_value();
    open(&mut schema);
    schema
}

/// Loosens the schema of a type: unknown fields are kept, null is allowed, and keywords that CRDs do not have are left out.
fn open(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for key in ["title", "default", "required", "$schema", "enum"] {
        map.remove(key);
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
    }
    for property in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        open(property);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            open(inner);
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
