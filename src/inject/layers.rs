//! Several templates over one pod: what a later one adds comes after what is there.

use super::pod::{CONTAINERS, INIT_CONTAINERS, PROXY, Pod, name_of};
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
            let same = earlier.iter().find(|c| name_of(c) == name && original.find_for(list, name).is_none());
            let Some(known) = same.and_then(|c| c.get("env")).and_then(Value::as_array) else { continue };
            if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
                // The sort is stable: what is new stays in its order.
                env.sort_by_key(|v| known.iter().position(|k| name_of(k) == name_of(v)).unwrap_or(known.len()));
            }
        }
    }
}

/// Moves the proxy that the pod's author wrote among the pod's containers to where a template has it: a native sidecar is one of
/// those that run before them.
pub(super) fn move_proxy(pod: &mut Value, patch: &Value) {
    let [containers, before] = [CONTAINERS, INIT_CONTAINERS].map(|list| format!("/spec/{list}"));
    let is_proxy = |container: &Value| name_of(container) == PROXY;
    let written = patch.pointer(&before).and_then(Value::as_array);
    if !written.is_some_and(|written| written.iter().any(is_proxy)) {
        return;
    }
    let Some(own) = pod.pointer_mut(&containers).and_then(Value::as_array_mut) else { return };
    let Some(proxy) = own.iter().position(is_proxy).map(|at| own.remove(at)) else { return };
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    match spec.get_mut(INIT_CONTAINERS).and_then(Value::as_array_mut) {
        Some(list) => list.push(proxy),
        None => drop(spec.insert(INIT_CONTAINERS.to_owned(), Value::Array(vec![proxy]))),
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
