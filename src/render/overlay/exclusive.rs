//! Fields of which only one may be set: where a setting has another one than the chart, the chart's goes.
//!
//! Upstream leaves both, which no API server takes.

use super::protobuf;
use serde_json::{Map, Value, json};

const HANDLERS: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];

/// The setting as a patch that removes what it excludes, in Kubernetes' form.
pub(super) fn prepare(field: &str, value: &Value) -> Value {
    let mut value = protobuf::plain(value);
    match (field, &mut value) {
        ("readinessProbe", Value::Object(probe)) => only(probe, &HANDLERS),
        ("env", Value::Array(variables)) => variables.iter_mut().filter_map(Value::as_object_mut).for_each(variable),
        ("volumes", Value::Array(volumes)) => volumes.iter_mut().filter_map(Value::as_object_mut).for_each(retain),
        ("strategy", Value::Object(strategy)) if strategy.get("type").is_some_and(|t| t == "Recreate") => {
            strategy.entry("rollingUpdate").or_insert(Value::Null);
        }
        _ => {}
    }
    value
}

/// Removes the others of a group, if the patch has one of it.
fn only(patch: &mut Map<String, Value>, group: &[&str]) {
    if group.iter().any(|field| patch.contains_key(*field)) {
        for field in group {
            patch.entry(*field).or_insert(Value::Null);
        }
    }
}

fn variable(patch: &mut Map<String, Value>) {
    only(patch, &["value", "valueFrom"]);
    if let Some(Value::Object(source)) = patch.get_mut("valueFrom") {
        retain(source);
    }
}

/// Removes everything that the patch does not name.
fn retain(patch: &mut Map<String, Value>) {
    let named: Vec<String> = patch.keys().cloned().collect();
    patch.insert("$retainKeys".to_owned(), json!(named));
}
