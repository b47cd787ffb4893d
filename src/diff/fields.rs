//! In which fields two versions of an object differ.

use crate::object::ObjectKey;
use helm_template::yaml;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where, as `.spec.template.spec.containers[name:discovery].image`.
    pub path: String,
    /// What is there before; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there after; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What tells the items of a list apart, where all items of both sides have it, each another one.
const KEYS: [&str; 5] = ["name", "mountPath", "containerPort", "port", "topologyKey"];

/// The fields that differ, in the order of their paths. A null is as if it was not there.
pub(super) fn compare(key: &ObjectKey, before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut walk = Walk { has_texts: key.group.is_empty() && key.kind == "ConfigMap", found: vec![] };
    walk.values("", Some(before), Some(after));
    walk.found
}

struct Walk {
    /// Whether the texts in `data` are read, too.
    has_texts: bool,
    found: Vec<FieldChange>,
}

impl Walk {
    fn values(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        let [before, after] = [before, after].map(|value| value.filter(|value| !value.is_null()));
        match (before, after) {
            (before, after) if before == after => {}
            (Some(Value::Object(before)), Some(Value::Object(after))) => self.maps(path, before, after),
            (Some(Value::Array(before)), Some(Value::Array(after))) => self.lists(path, before, after),
            (Some(Value::String(one)), Some(Value::String(other))) if self.is_text(path) => {
                match (read(one), read(other)) {
                    (Some(one), Some(other)) => self.maps(path, &one, &other),
                    _ => self.differs(path, before, after),
                }
            }
            _ => self.differs(path, before, after),
        }
    }

    fn is_text(&self, path: &str) -> bool {
        self.has_texts && path.starts_with(".data.")
    }

    fn maps(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            self.values(&below(path, name), before.get(name), after.get(name));
        }
    }

    fn lists(&mut self, path: &str, before: &[Value], after: &[Value]) {
        if let Some(key) = key_of(before, after) {
            return self.keyed(path, key, before, after);
        }
        if before.len() != after.len() {
            let [before, after] = [before, after].map(|items| Value::Array(items.to_vec()));
            return self.differs(path, Some(&before), Some(&after));
        }
        for (i, (before, after)) in before.iter().zip(after).enumerate() {
            self.values(&format!("{path}[{i}]"), Some(before), Some(after));
        }
    }

    fn keyed(&mut self, path: &str, key: &str, before: &[Value], after: &[Value]) {
        let of = |items: &[Value]| -> Vec<String> { items.iter().filter_map(|item| id(item, key)).collect() };
        let (old, new) = (of(before), of(after));
        let common = |ids: &[String], others: &[String]| -> Vec<Value> {
            ids.iter().filter(|id| others.contains(id)).map(|id| id.as_str().into()).collect()
        };
        let (was, is) = (common(&old, &new), common(&new, &old));
        if was != is {
            self.differs(&format!("{path}[*].{key}"), Some(&Value::Array(was)), Some(&Value::Array(is)));
        }
        let added = new.iter().filter(|id| !old.contains(id));
        for id in old.iter().chain(added) {
            let find = |items: &'_ [Value], ids: &[String]| {
                let at = ids.iter().position(|other| other == id)?;
                items.get(at).cloned()
            };
            let at = format!("{path}[{key}:{id}]");
            self.values(&at, find(before, &old).as_ref(), find(after, &new).as_ref());
        }
    }

    fn differs(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        let path = if path.is_empty() { "." } else { path }.to_owned();
        self.found.push(FieldChange { path, before: before.cloned(), after: after.cloned() });
    }
}

/// Whether a path is another one, or leads to something in it.
#[must_use]
pub fn is_below(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A field below a path.
pub(super) fn below(path: &str, name: &str) -> String {
    format!("{path}.{}", crate::api::text::escape(name))
}

/// The text of a ConfigMap as the map that it is.
fn read(text: &str) -> Option<Map<String, Value>> {
    match yaml::parse(text).ok()? {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// What tells the items of both lists apart.
pub(super) fn key_of(before: &[Value], after: &[Value]) -> Option<&'static str> {
    let tells = |key: &str, items: &[Value]| {
        let ids: BTreeSet<String> = items.iter().filter_map(|item| id(item, key)).collect();
        ids.len() == items.len()
    };
    KEYS.into_iter().find(|key| tells(key, before) && tells(key, after))
}

/// What stands in an item's key.
pub(super) fn id(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
