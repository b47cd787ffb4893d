//! A pod, or the template of one, as a tree `{metadata, spec}` of type `PodTemplateSpec`.

use super::types::{self, Misfit};
use serde_json::{Map, Value, json};

/// The name of the proxy's container.
pub(super) const PROXY: &str = "istio-proxy";

/// The list of containers.
pub(super) const CONTAINERS: &str = "containers";
/// The list of containers that run before them.
pub(super) const INIT_CONTAINERS: &str = "initContainers";

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pod(Value);

impl Pod {
    /// From its metadata and its spec.
    pub(super) fn new(metadata: &Value, spec: &Value) -> Result<Self, Vec<Misfit>> {
        Self::shaped(&json!({"metadata": metadata, "spec": spec}))
    }

    /// From a tree, in the form that Go writes.
    pub(super) fn shaped(tree: &Value) -> Result<Self, Vec<Misfit>> {
        types::shape("PodTemplateSpec", tree).map(|map| Self(Value::Object(map)))
    }

    /// The whole tree.
    pub(super) fn tree(&self) -> &Value {
        &self.0
    }

    /// The metadata and the spec.
    pub(super) fn into_parts(mut self) -> (Value, Value) {
        let mut take = |part: &str| self.0.get_mut(part).map(Value::take).unwrap_or_default();
        (take("metadata"), take("spec"))
    }

    /// A part, `metadata` or `spec`.
    pub(super) fn part(&self, name: &str) -> Map<String, Value> {
        self.0.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The string at a JSON pointer, empty if there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn named<'p>(&'p self, map: &str, name: &str) -> Option<&'p str> {
        self.0.get("metadata")?.get(map)?.get(name)?.as_str()
    }

    /// An annotation.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.named("annotations", name)
    }

    /// A label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.named("labels", name)
    }

    /// All annotations.
    pub(super) fn annotations(&self) -> Map<String, Value> {
        self.0.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn metadata_map(&mut self, map: &str) -> Option<&mut Map<String, Value>> {
        let metadata = self.0.get_mut("metadata")?.as_object_mut()?;
        metadata.entry(map).or_insert_with(|| json!({})).as_object_mut()
    }

    /// Sets an annotation.
    pub(super) fn annotate(&mut self, name: &str, value: impl Into<String>) {
        if let Some(map) = self.metadata_map("annotations") {
            map.insert(name.to_owned(), Value::String(value.into()));
        }
    }

    /// Removes the annotations whose names are meant.
    pub(super) fn remove_annotations(&mut self, meant: impl Fn(&str) -> bool) {
        if let Some(map) = self.metadata_map("annotations") {
            map.retain(|name, _| !meant(name));
        }
    }

    /// Sets a label.
    pub(super) fn set_label(&mut self, name: &str, value: &str) {
        if let Some(map) = self.metadata_map("labels") {
            map.insert(name.to_owned(), value.into());
        }
    }

    /// The items of a list of the spec.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.0.get("spec").and_then(|s| s.get(name)).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The items of a list of the spec, to change; none if the list is not there.
    pub(super) fn list_mut(&mut self, name: &str) -> Option<&mut Vec<Value>> {
        self.0.get_mut("spec")?.get_mut(name)?.as_array_mut()
    }

    /// Adds an item to a list of the spec.
    pub(super) fn push(&mut self, list: &str, item: Value) {
        if let Some(spec) = self.0.get_mut("spec").and_then(Value::as_object_mut) {
            let items = spec.entry(list).or_insert_with(|| json!([]));
            if !items.is_array() {
                *items = json!([]);
            }
            if let Some(items) = items.as_array_mut() {
                items.push(item);
            }
        }
    }

    /// The names of the items of a list.
    pub(super) fn names(&self, list: &str) -> Vec<&str> {
        self.list(list).iter().map(name_of).collect()
    }

    /// The item of a list with this name.
    pub(super) fn find(&self, list: &str, name: &str) -> Option<&Value> {
        self.list(list).iter().find(|item| name_of(item) == name)
    }

    /// The author's container that a template's of a list and name is laid under: of a native sidecar it may be one of the pod's.
    pub(super) fn find_for(&self, list: &str, name: &str) -> Option<&Value> {
        let other = || if list == INIT_CONTAINERS { self.find(CONTAINERS, name) } else { None };
        self.find(list, name).or_else(other)
    }

    /// The item of a list with this name, to change.
    pub(super) fn find_mut(&mut self, list: &str, name: &str) -> Option<&mut Value> {
        self.list_mut(list)?.iter_mut().find(|item| name_of(item) == name)
    }

    /// The proxy's container: one of the pod's, or a native sidecar, which is among those that run before them.
    pub(super) fn proxy_mut(&mut self) -> Option<&mut Value> {
        let list = [CONTAINERS, INIT_CONTAINERS].into_iter().find(|list| self.find(list, PROXY).is_some())?;
        self.find_mut(list, PROXY)
    }

    /// Whether the proxy is a native sidecar.
    pub(super) fn has_native_proxy(&self) -> bool {
        self.find(INIT_CONTAINERS, PROXY).is_some()
    }

    /// Moves the item of this name to the beginning or the end of its list.
    pub(super) fn move_to(&mut self, list: &str, name: &str, first: bool) {
        if let Some(items) = self.list_mut(list)
            && let Some(at) = items.iter().position(|item| name_of(item) == name)
        {
            let item = items.remove(at);
            items.insert(if first { 0 } else { items.len() }, item);
        }
    }
}

/// The name of a container, volume or variable.
pub(super) fn name_of(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Adds a variable to a container.
pub(super) fn add_variable(container: &mut Value, name: &str, value: &str) {
    if let Some(map) = container.as_object_mut()
        && let Some(env) = map.entry("env").or_insert_with(|| json!([])).as_array_mut()
    {
        env.push(json!({"name": name, "value": value}));
    }
}
