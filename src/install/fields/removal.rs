//! Removes the fields of an object that were taken over from earlier installers and that nobody wants, as server-side apply
//! does. Pure.

use super::drift::Finder;
use serde_json::{Map, Value};

/// Takes out of `object` the fields of a record (`FieldsV1`) that are not in `desired` and not in the records `others`; an item of
/// a list is found by `find`.
pub(super) fn take_away(
    object: &mut Value,
    record: &Map<String, Value>,
    desired: Option<&Value>,
    others: &[&Value],
    find: &Finder<'_>,
) {
    // Of an item that cannot be told by its id nothing is taken away.
    for (id, below) in record {
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(id)).collect();
        if let Some(name) = id.strip_prefix("f:") {
            field(object, name, below, desired, &others, find);
        } else if let Some(key) = id.strip_prefix("k:").and_then(|key| serde_json::from_str::<Value>(key).ok()) {
            item(object, &key, below, desired, &others, find);
        } else if let Some(value) = id.strip_prefix("v:").and_then(|value| serde_json::from_str::<Value>(value).ok()) {
            let is_wanted = desired.and_then(Value::as_array).is_some_and(|all| all.contains(&value));
            if let (Some(items), false, true) = (object.as_array_mut(), is_wanted, others.is_empty()) {
                items.retain(|item| *item != value);
            }
        }
    }
}

fn field(object: &mut Value, name: &str, below: &Value, desired: Option<&Value>, others: &[&Value], find: &Finder<'_>) {
    let Some(map) = object.as_object_mut() else { return };
    let wanted = desired.and_then(|desired| desired.get(name));
    let Some(live) = map.get_mut(name) else { return };
    match (parts(below), wanted) {
        (Some(parts), _) => {
            let had_parts = !is_empty(live);
            take_away(live, parts, wanted, others, find);
            if had_parts && is_empty(live) && wanted.is_none() && others.is_empty() {
                map.remove(name);
            }
        }
        (None, None) if others.is_empty() => drop(map.remove(name)),
        (None, _) => {}
    }
}

fn item(object: &mut Value, key: &Value, below: &Value, desired: Option<&Value>, others: &[&Value], find: &Finder<'_>) {
    let Some(items) = object.as_array_mut() else { return };
    let Some(at) = find(items, key) else { return };
    let wanted = desired.and_then(Value::as_array).and_then(|all| all.get(find(all, key)?));
    if wanted.is_none() && others.is_empty() {
        items.remove(at);
    } else if let (Some(parts), Some(item)) = (parts(below), items.get_mut(at)) {
        take_away(item, parts, wanted, others, find);
    }
}

/// The fields of a record that is not one of a whole value.
fn parts(record: &Value) -> Option<&Map<String, Value>> {
    record.as_object().filter(|parts| parts.keys().any(|part| part != "."))
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::super::drift::item_finder;
    use super::*;
    use serde_json::json;

    fn bare(object: &Value, record: &Value, desired: &Value, others: &[&Value]) -> Value {
        let mut object = object.clone();
        let whole = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
        take_away(&mut object, record.as_object().unwrap(), Some(desired), others, &item_finder(&whole));
        object
    }

    #[test]
    fn what_nobody_wants_goes_and_what_is_wanted_or_anothers_stays() {
        let object = json!({"a": 1, "b": 2, "c": {"d": 3, "e": 4}, "f": {"g": 5}, "h": 6});
        let record =
            json!({"f:a": {}, "f:b": {}, "f:c": {".": {}, "f:d": {}, "f:e": {}}, "f:f": {"f:g": {}}, "f:h": {}});
        let (desired, other) = (json!({"a": 1, "c": {"d": 3}}), json!({"f:h": {}}));
        assert_eq!(bare(&object, &record, &desired, &[&other]), json!({"a": 1, "c": {"d": 3}, "h": 6}));
    }

    #[test]
    fn items_of_lists_go_by_their_keys_and_sets_by_their_values() {
        let object = json!({"env": [{"name": "A", "value": "1"}, {"name": "STALE"}, {"name": "MINE"}],
            "ports": [{"port": 80, "protocol": "TCP", "name": "x"}], "finalizers": ["a", "b"]});
        let record = json!({"f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
                "k:{\"name\":\"STALE\"}": {".": {}, "f:name": {}}},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}}},
            "f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}}});
        let desired = json!({"env": [{"name": "A", "value": "1"}], "ports": [{"port": 80, "name": "x"}],
            "finalizers": ["a"]});
        let expected = json!({"env": [{"name": "A", "value": "1"}, {"name": "MINE"}],
            "ports": [{"port": 80, "name": "x"}], "finalizers": ["a"]});
        assert_eq!(bare(&object, &record, &desired, &[]), expected);
    }
}
