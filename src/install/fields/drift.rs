//! In which fields a live object differs from the desired one.
//!
//! The API server records which fields each manager applied (`metadata.managedFields`). Walking that record beside the
//! desired object tells, without any schema, which list is merged by key, which is one value, and which field we own but no
//! longer want. It names even what was sent empty and is not stored.

use super::place::{Place, item_name};
use super::values::{Agreement, agree, is_empty, is_same_scalar, is_zero};
use crate::cluster::FIELD_MANAGER;
use serde_json::{Map, Value};

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The paths that have to be changed; `["."]` where we never applied the object.
    pub paths: Vec<String>,
    /// The paths of which only the API server can say whether they do: it fills in defaults.
    pub unclear: Vec<String>,
}

/// Whether an entry of `managedFields` is of what we applied.
pub(super) fn is_ours(entry: &Value) -> bool {
    entry.get("manager").is_some_and(|m| m == FIELD_MANAGER)
        && entry.get("operation").is_some_and(|o| o == "Apply")
        && entry.get("subresource").is_none()
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

/// The fields we applied, as `FieldsV1`; `None` where we never applied the object.
#[must_use]
pub fn owned_fields(live: &Value) -> Option<&Value> {
    entries(live).find(|entry| is_ours(entry))?.get("fieldsV1")
}

/// The paths in which `live` has to be changed to become `desired`.
#[must_use]
pub fn differences(desired: &Value, live: &Value) -> Differences {
    let Some(ours) = entries(live).find(|entry| is_ours(entry)) else {
        return Differences { paths: vec![".".into()], unclear: vec![] };
    };
    let others = entries(live).filter(|entry| !is_ours(entry)).filter_map(|entry| entry.get("fieldsV1")).collect();
    let mut walk = Walk { others, found: Differences::default() };
    // A record of an older version of the kind may name other fields.
    if ours.get("apiVersion").is_some_and(|version| Some(version) != desired.get("apiVersion")) {
        walk.found.paths.push(".apiVersion".into());
    }
    let fields = ours.get("fieldsV1").unwrap_or(&Value::Null);
    walk.compare_map(desired, live, fields, &Place::of(desired));
    walk.found
}

/// The managers, other than us, that own one of these paths: who set what differs.
#[must_use]
pub fn managers_of(live: &Value, paths: &[String]) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    for entry in entries(live) {
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
        let step = match id.strip_prefix("f:") {
            Some(name) => format!(".{name}"),
            None => match item_name(id) {
                Some(item) => format!("[{item}]"),
                None => return false,
            },
        };
        let Some(rest) = path.strip_prefix(&step) else { return false };
        let is_whole_step = rest.is_empty() || rest.starts_with(['.', '[']);
        is_whole_step && (below.as_object().is_none_or(Map::is_empty) || owns(below, rest))
    })
}

/// What upstream's operator wrote on every object, and nobody needs: not worth a write of its own.
const LEFTOVERS: &[&[&str]] = &[&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]];

/// Fields that identify an object and are in no record.
const IDENTITY: [&str; 5] =
    [".apiVersion", ".kind", ".metadata.name", ".metadata.namespace", ".metadata.managedFields"];

/// What a key of a list's items is where an item does not have it.
const KEY_DEFAULTS: [(&str, &str); 2] = [("protocol", "TCP"), ("name", "")];

struct Walk<'a> {
    /// What other managers have.
    others: Vec<&'a Value>,
    found: Differences,
}

impl Walk<'_> {
    fn differs(&mut self, place: &Place<'_>) {
        self.found.paths.push(place.to_string());
    }

    fn compare_map(&mut self, desired: &Value, live: &Value, owned: &Value, place: &Place<'_>) {
        let empty = Map::new();
        let wanted = desired.as_object().unwrap_or(&empty);
        for (name, value) in wanted {
            let at = place.field(name);
            match (owned.get(format!("f:{name}")), live.get(name)) {
                (Some(record), Some(live)) => self.compare(value, live, record, &at),
                // Ours and not there: it is not stored. What somebody else takes away is not ours any more.
                (Some(_), None) if is_empty(value) || is_zero(value) => {}
                // An empty list that others add items to is in no record.
                (None, Some(live)) if is_empty_list(value) && (is_empty_list(live) || self.is_of_others(&at)) => {}
                (None, None) if is_empty_list(value) && place.is_built_in() => {}
                (None, _) if IDENTITY.contains(&at.to_string().as_str()) => {}
                // Nothing of it is ours; whether that is a difference, its fields tell (the name, say, is in no record).
                (None, Some(live)) if value.as_object().is_some_and(|fields| !fields.is_empty()) => {
                    self.compare_map(value, live, &Value::Null, &at);
                }
                _ => self.differs(&at),
            }
        }
        for (id, record) in owned.as_object().unwrap_or(&empty) {
            let Some(name) = id.strip_prefix("f:").filter(|name| !wanted.contains_key(*name)) else { continue };
            let Some(live) = live.get(name) else { continue };
            let at = place.field(name);
            // Of a map that others have fields in too, ours are to go.
            let has_fields = live.is_object() && keys(record).any(|k| k.starts_with("f:"));
            match has_fields {
                true => self.compare_map(&Value::Null, live, record, &at),
                false if LEFTOVERS.iter().any(|names| at.ends_with(names)) => {}
                false => self.differs(&at),
            }
        }
    }

    fn compare(&mut self, desired: &Value, live: &Value, record: &Value, place: &Place<'_>) {
        let below = keys(record).any(|k| k != ".");
        match desired {
            Value::Object(_) | Value::Null if below && live.is_object() => {
                self.compare_map(desired, live, record, place);
            }
            Value::Array(items) if below => self.compare_list(items, live, record, place),
            // We want nothing of what others have in there.
            _ if is_empty(desired) && self.is_of_others(place) => {}
            _ => match agree(desired, live, place) {
                Agreement::Same => {}
                Agreement::Different if !says_nothing(desired, live, place) => self.differs(place),
                _ => self.found.unclear.push(place.to_string()),
            },
        }
    }

    fn is_of_others(&self, place: &Place<'_>) -> bool {
        self.others.iter().filter_map(|fields| place.find_in(fields)).any(|record| keys(record).any(|k| k != "."))
    }

    /// A list merged by key (`k:{…}`) or a set of values (`v:…`).
    fn compare_list(&mut self, desired: &[Value], live: &Value, record: &Value, place: &Place<'_>) {
        let live = live.as_array().map(Vec::as_slice).unwrap_or_default();
        // Where items stand in what is desired, and where in what is live.
        let (mut positions, mut matched, before) = (vec![], 0, self.found.paths.len());
        for (id, below) in record.as_object().into_iter().flatten() {
            let at = place.item(id);
            if let Some(key) = id.strip_prefix("k:").and_then(|k| serde_json::from_str::<Value>(k).ok()) {
                match (find(desired, &key, place), find(live, &key, place)) {
                    (Some((wanted, desired)), Some((found, live))) => {
                        positions.push((wanted, found));
                        self.compare_map(desired, live, below, &at);
                    }
                    // Gone from both is gone; gone from one is a difference.
                    (None, None) => {}
                    _ => self.differs(&at),
                }
            } else if let Some(value) = id.strip_prefix("v:").and_then(|v| serde_json::from_str::<Value>(v).ok()) {
                matched += usize::from(desired.contains(&value));
                if desired.contains(&value) != live.contains(&value) {
                    self.differs(&at);
                }
            }
        }
        positions.sort_unstable();
        let is_in_order = positions.is_sorted_by_key(|(_, found)| *found);
        let is_complete = positions.len() + matched >= desired.len();
        if !is_in_order || (!is_complete && self.found.paths.len() == before) {
            self.differs(place);
        }
    }
}

fn keys(record: &Value) -> impl Iterator<Item = &String> {
    record.as_object().into_iter().flat_map(Map::keys)
}

/// Whether a default may have taken the place of what is desired: of null, and in built-in kinds of a zero.
fn says_nothing(desired: &Value, live: &Value, place: &Place<'_>) -> bool {
    desired.is_null() || (place.is_built_in() && is_zero(desired) && !is_zero(live))
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// Where in a list the item with a key is.
pub(super) type Finder<'f> = dyn Fn(&[Value], &Value) -> Option<usize> + Sync + Send + 'f;

/// Finds the items of lists of an object, as records of managed fields name them.
pub(super) fn item_finder(object: &Value) -> impl Fn(&[Value], &Value) -> Option<usize> + Sync + Send {
    move |items, key| find(items, key, &Place::of(object)).map(|(at, _)| at)
}

/// The item with this key, and where it stands.
fn find<'v>(items: &'v [Value], key: &Value, place: &Place<'_>) -> Option<(usize, &'v Value)> {
    items.iter().enumerate().find(|(_, item)| has_key(item, key, place))
}

/// Whether an item has these key fields. A key that the item leaves out has its default, where that is known; else it does
/// not tell items apart.
fn has_key(item: &Value, key: &Value, place: &Place<'_>) -> bool {
    let default = |name: &str| KEY_DEFAULTS.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
    let is_same = |name: &String, value: &Value| match item.get(name) {
        Some(own) => is_same_scalar(own, value, place),
        None => default(name).is_none_or(|default| value == default),
    };
    key.as_object().is_some_and(|key| {
        key.iter().all(|(name, value)| is_same(name, value)) && key.keys().any(|name| item.get(name).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The paths that differ, or may.
    fn differing(desired: &Value, live: &Value) -> Vec<String> {
        let found = differences(desired, live);
        [found.paths, found.unclear].concat()
    }

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
        assert_eq!(differing(&desired(&json!({"a": 1})), &live), Vec::<String>::new());
    }

    #[test]
    fn a_changed_field_is_named() {
        let live = live(&json!({"a": {"b": 2}}), &json!({"f:a": {"f:b": {}}}));
        assert_eq!(differing(&desired(&json!({"a": {"b": 1}})), &live), [".spec.a.b"]);
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_is_named() {
        let live = live(&json!({"a": 1, "b": 2}), &json!({"f:a": {}, "f:b": {}}));
        assert_eq!(differing(&desired(&json!({"a": 1})), &live), [".spec.b"]);
    }

    #[test]
    fn a_field_that_was_taken_from_us_is_named() {
        let live = live(&json!({"a": 1, "b": 1}), &json!({"f:b": {}}));
        assert_eq!(differing(&desired(&json!({"a": 1, "b": 1})), &live), [".spec.a"]);
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
    fn a_zero_that_is_not_stored_is_no_difference_unless_taken_away() {
        let field = |fields: Value| {
            json!({"metadata": {"managedFields": [
                {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {"f:spec": fields}}]}, "spec": {}})
        };
        for zero in [json!(""), json!(0), json!(false)] {
            let desired = json!({"spec": {"a": zero}});
            assert_eq!(differing(&desired, &field(json!({"f:a": {}}))), Vec::<String>::new(), "{zero}");
        }
        assert_eq!(differing(&json!({"spec": {"a": ""}}), &field(json!({}))), [".spec"]);
        assert_eq!(differing(&json!({"spec": {"a": "b"}}), &field(json!({"f:a": {}}))), [".spec.a"]);
    }

    #[test]
    fn what_upstreams_operator_left_on_every_object_is_no_difference() {
        let name = "kubectl.kubernetes.io/last-applied-configuration";
        let live = json!({"metadata": {"name": "x", "annotations": {name: "{}", "a.controllers/own": "1"}, "managedFields": [
            {"manager": "istio-operator", "operation": "Apply",
             "fieldsV1": {"f:metadata": {"f:annotations": {format!("f:{name}"): {}}}}}]}});
        let bare = json!({"metadata": {"name": "x"}});
        assert_eq!(differing(&bare, &live), Vec::<String>::new());
        let annotated = json!({"metadata": {"name": "x", "annotations": {"a": "b"}}});
        assert_eq!(differing(&annotated, &live), [".metadata.annotations.a"]);
    }

    #[test]
    fn lists_are_compared_by_their_keys() {
        let record = json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:image": {}}}});
        let now = live(&json!({"c": [{"name": "side"}, {"name": "x", "image": "i", "tty": true}]}), &record);
        assert!(differing(&desired(&json!({"c": [{"name": "x", "image": "i"}]})), &now).is_empty());
        let found = differing(&desired(&json!({"c": [{"name": "x", "image": "j"}]})), &now);
        assert_eq!(found, [".spec.c[name:x].image"]);
        let found = differing(&desired(&json!({"c": [{"name": "x", "image": "i"}, {"name": "y"}]})), &now);
        assert_eq!(found, [".spec.c"]);
        assert_eq!(differing(&desired(&json!({"c": []})), &now), [".spec.c[name:x]"]);
    }

    #[test]
    fn a_port_without_protocol_is_the_one_the_server_defaulted() {
        let record = json!({"f:p": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}}});
        let now = live(&json!({"p": [{"port": 80, "protocol": "TCP", "name": "h"}]}), &record);
        assert!(differing(&desired(&json!({"p": [{"port": 80, "name": "h"}]})), &now).is_empty());
    }

    #[test]
    fn quantities_are_compared_by_value_and_texts_as_texts() {
        for (a, b, same) in [("2000m", "2", true), ("1024Mi", "1Gi", true), ("500m", "1", false), ("a", "b", false)] {
            let record = json!({"f:resources": {"f:limits": {"f:q": {}}}, "f:q": {}});
            let limits = |q: &str| json!({"resources": {"limits": {"q": q}}, "q": "x"});
            assert_eq!(differing(&desired(&limits(a)), &live(&limits(b), &record)).is_empty(), same, "{a} {b}");
            let text = |q: &str| json!({"q": q, "resources": {"limits": {"q": "1"}}});
            assert_eq!(differing(&desired(&text(a)), &live(&text(b), &record)), [".spec.q"], "{a} {b}");
        }
    }

    /// The API server records what is applied empty, and does not store it.
    #[test]
    fn empty_values_need_not_be_stored_but_are_to_be_applied_once() {
        let wanted = desired(&json!({"a": 1, "b": null, "c": {}, "d": [], "e": {"f": null}}));
        let record = json!({"f:a": {}, "f:b": {}, "f:c": {}, "f:d": {}, "f:e": {"f:f": {}}});
        assert_eq!(differing(&wanted, &live(&json!({"a": 1}), &record)), Vec::<String>::new());
        let before = live(&json!({"a": 1}), &json!({"f:a": {}}));
        assert_eq!(differing(&wanted, &before), [".spec.b", ".spec.c", ".spec.e"], "an empty list is nothing");
    }

    #[test]
    fn tcp_and_udp_on_one_port_are_two_ports() {
        let ports =
            |name: &str| json!({"p": [{"port": 80, "protocol": "UDP", "name": "u"}, {"port": 80, "name": name}]});
        let record = json!({"f:p": {
            "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}},
            "k:{\"port\":80,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:name": {}, "f:protocol": {}}}});
        let now = json!({"p": [
            {"port": 80, "protocol": "UDP", "name": "u"}, {"port": 80, "protocol": "TCP", "name": "h"}]});
        let now = live(&now, &record);
        assert_eq!(differing(&desired(&ports("h")), &now), Vec::<String>::new());
        assert_eq!(differing(&desired(&ports("i")), &now), [".spec.p[port:80,protocol:TCP].name"]);
    }

    #[test]
    fn another_order_of_a_list_is_a_difference() {
        let record = json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"y\"}": {".": {}, "f:name": {}}}});
        let now = live(&json!({"c": [{"name": "x"}, {"name": "of another"}, {"name": "y"}]}), &record);
        let in_order = |a: &str, b: &str| desired(&json!({"c": [{"name": a}, {"name": b}]}));
        assert_eq!(differing(&in_order("x", "y"), &now), Vec::<String>::new());
        assert_eq!(differing(&in_order("y", "x"), &now), [".spec.c"]);
    }

    #[test]
    fn a_field_that_leaves_a_value_that_is_one_is_no_default() {
        let now = live(&json!({"selector": {"a": "b", "c": "d"}}), &json!({"f:selector": {}}));
        let found = differences(&desired(&json!({"selector": {"a": "b"}})), &now);
        assert_eq!((found.paths, found.unclear), (vec![], vec![".spec.selector".to_owned()]));
    }

    #[test]
    fn what_others_have_in_a_map_that_we_want_empty_is_theirs() {
        let mut now = live(&json!({"a": {"x": "y"}}), &json!({"f:a": {}}));
        assert_eq!(differing(&desired(&json!({"a": {}})), &now), [".spec.a"]);
        let theirs =
            json!({"manager": "other", "operation": "Update", "fieldsV1": {"f:spec": {"f:a": {".": {}, "f:x": {}}}}});
        now["metadata"]["managedFields"].as_array_mut().unwrap().push(theirs);
        assert_eq!(differing(&desired(&json!({"a": {}})), &now), Vec::<String>::new());
    }

    #[test]
    fn a_record_of_another_version_is_made_anew() {
        let mut now = live(&json!({"a": 1}), &json!({"f:a": {}}));
        now["metadata"]["managedFields"][0]["apiVersion"] = json!("v1beta1");
        assert_eq!(differing(&desired(&json!({"a": 1})), &now), [".apiVersion"]);
    }
}
