//! What of a status is sent to the API server: no more than differs.

use serde_json::{Map, Value};

/// The JSON merge patch that turns one status into another; `None` when they are equal.
#[must_use]
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                match old.get(key) {
                    Some(before) => {
                        if let Some(change) = merge_patch(before, value) {
                            patch.insert(key.clone(), change);
                        }
                    }
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                }
            }
            for key in old.keys().filter(|k| !new.contains_key(*k)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (old != new).then(|| new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_removes_what_is_gone_and_is_absent_for_equals() {
        let patch = merge_patch(&json!({"a": 1, "b": {"c": 1}}), &json!({"b": {"c": 2}, "d": 1}));
        assert_eq!(patch, Some(json!({"a": null, "b": {"c": 2}, "d": 1})));
        assert_eq!(merge_patch(&json!({"a": [1]}), &json!({"a": [1]})), None);
    }
}
