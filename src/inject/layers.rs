//! Several templates over one pod: what a later one adds comes after what is there.

use super::pod::{CONTAINERS, INIT_CONTAINERS, Pod, name_of};
use serde_json::Value;

/// Puts the variables that a template adds to a container of an earlier template after those of that one: a variable may
/// refer only to those before it. In the author's own containers the author's are last.
pub(super) fn append_variables(tree: &mut Value, before: &Value, original: &Pod) {
    for list in [CONTAINERS, INIT_CONTAINERS] {
        let path = format!("/spec/{list}");
        let earlier = before.pointer(&path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let containers = tree.pointer_mut(&path).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = name_of(container);
            let same = earlier.iter().find(|c| name_of(c) == name && original.find(list, name).is_none());
            let Some(known) = same.and_then(|c| c.get("env")).and_then(Value::as_array) else { continue };
            if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
                // The sort is stable: what is new stays in its order.
                env.sort_by_key(|v| known.iter().position(|k| name_of(k) == name_of(v)).unwrap_or(known.len()));
            }
        }
    }
}

/// A template's patch without empty annotations that the pod does not have.
pub(super) fn without_empty_annotations(patch: &Value, original: &Pod) -> Value {
    let mut patch = patch.clone();
    if let Some(annotations) = patch.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, value| value != "" || original.annotation(name).is_some());
    }
    patch
}
