//! In which fields a live object differs from the desired one.
//!
//! The API server records which fields each manager applied (`metadata.managedFields`). Walking that record beside the
//! desired object tells, without any schema, which list is merged by key, which is one value, and which field we own but no
//! longer want.

use crate::cluster::FIELD_MANAGER;
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// The fields we applied, as `FieldsV1`; `None` where we never applied the object.
#[must_use]
pub fn owned_fields(live: &Value) -> Option<&Value> {
    live.pointer("/metadata/managedFields")?.as_array()?.iter().find_map(|entry| {
        let ours = entry.get("manager")? == FIELD_MANAGER
            && entry.get("operation")? == "Apply"
            && entry.get("subresource").is_none();
        if ours { entry.get("fieldsV1") } else { None }
    })
}

/// The paths in which `live` has to be changed to become `desired`; `["."]` where we never applied it.
#[must_use]
pub fn differences(desired: &Value, live: &Value) -> Vec<String> {
    let Some(owned) = owned_fields(live) else { return vec![".".into()] };
    let mut found = vec![];
    compare_map(desired, live, owned, "", &mut found);
    found
}

/// The managers, other than us, that own one of these paths: who set what differs.
#[must_use]
pub fn managers_of(live: &Value, paths: &[String]) -> Vec<String> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut found: Vec<String> = vec![];
    for entry in entries.into_iter().flatten() {
        let name = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        let fields = entry.get("fieldsV1").unwrap_or(&Value::Null);
        let owns = |path: &String| owns(fields, path);
        if name != FIELD_MANAGER && !found.iter().any(|f| f == name) && paths.iter().any(owns) {
            found.push(name.to_owned());
        }
    }
    found
}

/// Whether a record of fields has a path, something below it, or the whole it is in.
fn owns(fields: &Value, path: &str) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    if path.is_empty() {
        return true;
    }
    fields.iter().any(|(id, below)| {
        let step = if let Some(name) = id.strip_prefix("f:") {
            format!(".{name}")
        } else if let Some(key) = id.strip_prefix("k:").and_then(|k| serde_json::from_str::<Value>(k).ok()) {
            format!("[{}]", brief(&key))
        } else if let Some(value) = id.strip_prefix("v:") {
            format!("[{value}]")
        } else {
            return false;
        };
        let Some(rest) = path.strip_prefix(&step) else { return false };
        let is_whole_step = rest.is_empty() || rest.starts_with(['.', '[']);
        is_whole_step && (below.as_object().is_none_or(Map::is_empty) || owns(below, rest))
    })
}

/// What upstream's operator wrote on every object, and nobody needs: not worth a write of its own.
const LEFTOVERS: [&str; 1] = [".metadata.annotations.kubectl.kubernetes.io/last-applied-configuration"];

/// Fields that identify an object and are in no record.
const IDENTITY: [&str; 5] = ["apiVersion", "kind", ".metadata.name", ".metadata.namespace", ".metadata.managedFields"];

fn compare_map(desired: &Value, live: &Value, owned: &Value, path: &str, found: &mut Vec<String>) {
    let empty = Map::new();
    let wanted = desired.as_object().unwrap_or(&empty);
    for (name, value) in wanted {
        let at = format!("{path}.{name}");
        let record = owned.get(format!("f:{name}"));
        let is_identity = IDENTITY.contains(&at.as_str()) || (path.is_empty() && IDENTITY.contains(&name.as_str()));
        // An empty value need not be stored; it differs only from what we stored before.
        if is_identity || value.is_null() || (is_empty(value) && record.is_none()) {
            continue;
        }
        match (record, live.get(name)) {
            (_, None) if is_empty(value) => {}
            // Ours and not there: the API server stores no zero. What somebody else takes away is not ours any more.
            (Some(_), None) if is_zero(value) => {}
            (Some(record), Some(live)) => compare(value, live, record, &at, found),
            // Nothing of it is ours; whether that is a difference, its fields tell (the name, say, is in no record).
            (None, Some(live)) if value.is_object() => compare_map(value, live, &Value::Null, &at, found),
            _ => found.push(at),
        }
    }
    for (id, record) in owned.as_object().unwrap_or(&empty) {
        let Some(name) = id.strip_prefix("f:").filter(|name| wanted.get(*name).is_none_or(Value::is_null)) else {
            continue;
        };
        let Some(live) = live.get(name) else { continue };
        let at = format!("{path}.{name}");
        // Of a map that others have fields in too, ours are to go.
        let has_fields = live.is_object() && record.as_object().is_some_and(|r| r.keys().any(|k| k.starts_with("f:")));
        match has_fields {
            true => compare_map(&Value::Null, live, record, &at, found),
            false if LEFTOVERS.contains(&at.as_str()) => {}
            false => found.push(at),
        }
    }
}

fn compare(desired: &Value, live: &Value, record: &Value, path: &str, found: &mut Vec<String>) {
    let below = record.as_object().is_some_and(|r| r.keys().any(|k| k != "."));
    match desired {
        Value::Object(_) if below => compare_map(desired, live, record, path, found),
        Value::Array(items) if below => compare_list(items, live, record, path, found),
        _ if covers(desired, live) => {}
        _ => found.push(path.to_owned()),
    }
}

/// A list merged by key (`k:{…}`) or a set of values (`v:…`).
fn compare_list(desired: &[Value], live: &Value, record: &Value, path: &str, found: &mut Vec<String>) {
    let empty = Map::new();
    let live = live.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut matched = 0;
    for (id, below) in record.as_object().unwrap_or(&empty) {
        if let Some(key) = id.strip_prefix("k:").and_then(|k| serde_json::from_str::<Value>(k).ok()) {
            let has_key = |item: &&Value| has_key(item, &key);
            match (desired.iter().find(has_key), live.iter().find(has_key)) {
                (Some(desired), Some(live)) => {
                    matched += 1;
                    compare_map(desired, live, below, &format!("{path}[{}]", brief(&key)), found);
                }
                // Gone from both is gone; gone from one is a difference.
                (None, None) => {}
                _ => found.push(format!("{path}[{}]", brief(&key))),
            }
        } else if let Some(value) = id.strip_prefix("v:").and_then(|v| serde_json::from_str::<Value>(v).ok()) {
            matched += usize::from(desired.contains(&value));
            if desired.contains(&value) != live.contains(&value) {
                found.push(format!("{path}[{value}]"));
            }
        }
    }
    if matched < desired.len() && found.is_empty() {
        found.push(path.to_owned());
    }
}

/// Whether an item has these key fields. A key the item leaves out has the default that the API server filled in (the
/// protocol of a port), so it does not tell items apart unless the item says otherwise.
fn has_key(item: &Value, key: &Value) -> bool {
    key.as_object().is_some_and(|key| key.iter().all(|(k, v)| item.get(k).is_none_or(|i| covers(i, v))))
        && key.as_object().is_some_and(|key| key.keys().any(|k| item.get(k).is_some()))
}

fn brief(key: &Value) -> String {
    let parts = key.as_object().into_iter().flatten().map(|(k, v)| format!("{k}:{}", v.to_string().trim_matches('"')));
    parts.collect::<Vec<_>>().join(",")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether `live` says at least what `desired` says: further fields are defaults.
fn covers(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), _) => desired.iter().all(|(k, v)| match live.get(k) {
            Some(live) => covers(v, live),
            None => is_empty(v) || *v == Value::Bool(false),
        }),
        (Value::Array(desired), Value::Array(live)) => {
            desired.len() == live.len() && desired.iter().zip(live).all(|(d, l)| covers(d, l))
        }
        _ => desired == live || as_quantity(desired).is_some_and(|d| as_quantity(live).is_some_and(|l| same(d, l))),
    }
}

fn same(a: f64, b: f64) -> bool {
    a.partial_cmp(&b) == Some(Ordering::Equal) || (a - b).abs() <= a.abs() * 1e-12
}

/// A quantity (`500m`, `2Gi`, `1e3`) as a number: the API server stores it in canonical form.
fn as_quantity(value: &Value) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = match value {
        Value::Number(n) => return n.as_f64(),
        Value::String(s) => s.as_str(),
        _ => return None,
    };
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let (number, factor) =
        SUFFIXES.iter().find_map(|(s, f)| text.strip_suffix(s).map(|n| (n, *f))).unwrap_or((text, 1.0));
    number.parse::<f64>().ok().map(|n| n * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(spec: &Value, fields: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "X", "spec": spec, "metadata": {"name": "x", "managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {"f:spec": fields}}]}})
    }

    fn desired(spec: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec})
    }

    #[test]
    fn fields_of_others_and_defaults_are_no_difference() {
        let live = live(&json!({"a": 1, "b": 2}), &json!({"f:a": {}}));
        assert_eq!(differences(&desired(&json!({"a": 1})), &live), Vec::<String>::new());
    }

    #[test]
    fn a_changed_field_is_named() {
        let live = live(&json!({"a": {"b": 2}}), &json!({"f:a": {"f:b": {}}}));
        assert_eq!(differences(&desired(&json!({"a": {"b": 1}})), &live), [".spec.a.b"]);
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_is_named() {
        let live = live(&json!({"a": 1, "b": 2}), &json!({"f:a": {}, "f:b": {}}));
        assert_eq!(differences(&desired(&json!({"a": 1})), &live), [".spec.b"]);
    }

    #[test]
    fn a_field_that_was_taken_from_us_is_named() {
        let live = live(&json!({"a": 1, "b": 1}), &json!({"f:b": {}}));
        assert_eq!(differences(&desired(&json!({"a": 1, "b": 1})), &live), [".spec.a"]);
    }

    #[test]
    fn the_manager_who_set_a_field_is_named_and_those_of_other_fields_are_not() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "istio-operator", "fieldsV1": {"f:spec": {"f:a": {}}}},
            {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:c": {"k:{\"name\":\"x\"}": {"f:image": {}}}}}},
            {"manager": "labeller", "fieldsV1": {"f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}}}},
            {"manager": "other", "fieldsV1": {"f:spec": {"f:ab": {}}}}]}});
        let by = |path: &str| managers_of(&live, &[path.to_owned()]);
        assert_eq!(by(".spec.c[name:x].image"), ["kubectl-edit"]);
        assert_eq!(by(".metadata.labels.app.kubernetes.io/name"), ["labeller"]);
        assert_eq!(by(".spec.c"), ["kubectl-edit"], "what is below counts");
        assert_eq!(by(".spec.a"), Vec::<String>::new());
    }

    #[test]
    fn a_zero_that_the_api_server_does_not_store_is_no_difference_unless_it_was_taken_away() {
        let field = |fields: Value| {
            json!({"metadata": {"managedFields": [
                {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {"f:spec": fields}}]}, "spec": {}})
        };
        for zero in [json!(""), json!(0), json!(false)] {
            let desired = json!({"spec": {"a": zero}});
            assert_eq!(differences(&desired, &field(json!({"f:a": {}}))), Vec::<String>::new(), "{zero}");
        }
        assert_eq!(differences(&json!({"spec": {"a": ""}}), &field(json!({}))), [".spec"]);
        assert_eq!(differences(&json!({"spec": {"a": "b"}}), &field(json!({"f:a": {}}))), [".spec.a"]);
    }

    #[test]
    fn what_upstreams_operator_left_on_every_object_is_no_difference() {
        let name = "kubectl.kubernetes.io/last-applied-configuration";
        let live = json!({"metadata": {"name": "x", "annotations": {name: "{}", "a.controllers/own": "1"}, "managedFields": [
            {"manager": "istio-operator", "operation": "Apply",
             "fieldsV1": {"f:metadata": {"f:annotations": {format!("f:{name}"): {}}}}}]}});
        let bare = json!({"metadata": {"name": "x"}});
        assert_eq!(differences(&bare, &live), Vec::<String>::new());
        let annotated = json!({"metadata": {"name": "x", "annotations": {"a": "b"}}});
        assert_eq!(differences(&annotated, &live), [".metadata.annotations.a"]);
    }

    #[test]
    fn lists_are_compared_by_their_keys() {
        let record = json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:image": {}}}});
        let now = live(&json!({"c": [{"name": "side"}, {"name": "x", "image": "i", "tty": true}]}), &record);
        assert!(differences(&desired(&json!({"c": [{"name": "x", "image": "i"}]})), &now).is_empty());
        let found = differences(&desired(&json!({"c": [{"name": "x", "image": "j"}]})), &now);
        assert_eq!(found, [".spec.c[name:x].image"]);
        let found = differences(&desired(&json!({"c": [{"name": "x", "image": "i"}, {"name": "y"}]})), &now);
        assert_eq!(found, [".spec.c"]);
        assert_eq!(differences(&desired(&json!({"c": []})), &now), [".spec.c[name:x]"]);
    }

    #[test]
    fn a_port_without_protocol_is_the_one_the_server_defaulted() {
        let record = json!({"f:p": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}}});
        let now = live(&json!({"p": [{"port": 80, "protocol": "TCP", "name": "h"}]}), &record);
        assert!(differences(&desired(&json!({"p": [{"port": 80, "name": "h"}]})), &now).is_empty());
    }

    #[test]
    fn quantities_are_compared_by_value() {
        for (a, b, same) in [("2000m", "2", true), ("1024Mi", "1Gi", true), ("500m", "1", false), ("a", "b", false)] {
            let now = live(&json!({"q": b}), &json!({"f:q": {}}));
            assert_eq!(differences(&desired(&json!({"q": a})), &now).is_empty(), same, "{a} {b}");
        }
    }

    #[test]
    fn empty_values_need_not_be_stored() {
        let now = live(&json!({"a": 1}), &json!({"f:a": {}}));
        assert!(
            differences(&desired(&json!({"a": 1, "b": null, "c": {}, "d": [], "e": {"f": null}})), &now).is_empty()
        );
    }
}
