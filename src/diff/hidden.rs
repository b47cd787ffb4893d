//! Keeps what a Secret holds out of every output. Whether it differs may be told.

use crate::object::ObjectKey;
use serde_json::{Map, Value};

/// Where a Secret holds what is secret.
const FIELDS: [&str; 2] = ["/data", "/stringData"];
/// What `kubectl apply` leaves on an object: all of it, once more.
const LAST_APPLIED: (&str, &str) = ("/metadata/annotations", "kubectl.kubernetes.io/last-applied-configuration");

const HIDDEN: &str = "***";
const BEFORE: &str = "*** (before)";
const AFTER: &str = "*** (after)";

/// Hides the values of a Secret; those that differ from before to after still do.
pub(super) fn hide(key: &ObjectKey, before: &mut Option<Value>, after: &mut Option<Value>) {
    if !key.group.is_empty() || key.kind != "Secret" {
        return;
    }
    for pointer in FIELDS {
        let [mut one, mut other] = [&mut *before, &mut *after].map(|side| side.as_mut()?.pointer_mut(pointer));
        match (&mut one, &mut other) {
            (Some(Value::Object(one)), Some(Value::Object(other))) => hide_maps(one, other),
            (one, other) => [one, other].into_iter().flatten().for_each(|value| hide_all(value)),
        }
    }
    let (annotations, name) = LAST_APPLIED;
    for side in [before, after].into_iter().flatten() {
        if let Some(text) = side.pointer_mut(annotations).and_then(|all| all.get_mut(name)) {
            *text = HIDDEN.into();
        }
    }
}

fn hide_maps(before: &mut Map<String, Value>, after: &mut Map<String, Value>) {
    for (name, value) in after.iter_mut() {
        match before.get_mut(name) {
            Some(old) if old != value => (*old, *value) = (BEFORE.into(), AFTER.into()),
            _ => *value = HIDDEN.into(),
        }
    }
    for value in before.values_mut().filter(|value| *value != BEFORE) {
        *value = HIDDEN.into();
    }
}

fn hide_all(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| *value = HIDDEN.into()),
        Value::Null => {}
        other => *other = HIDDEN.into(),
    }
}
