//! Where in an object a value stands.

use serde_json::Value;
use std::fmt;

/// The groups that the API server implements itself: it reads their objects into types and writes them anew, while custom
/// resources stay as they were sent.
const BUILT_IN: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// A place: the object, or something in it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Object {
        kind: &'a str,
        is_built_in: bool,
    },
    Field(&'a str),
    /// An item of a list, as records of managed fields name it: `k:{…}` or `v:…`.
    Item(&'a str),
    /// An item of a list that is one value.
    Any,
}

impl<'a> Place<'a> {
    /// The whole of an object.
    pub fn of(object: &'a Value) -> Self {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        let is_built_in = BUILT_IN.contains(&group);
        Self { above: None, step: Step::Object { kind: text("kind"), is_built_in } }
    }

    pub fn field<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { above: Some(self), step: Step::Field(name) }
    }

    pub fn item<'b>(&'b self, id: &'b str) -> Place<'b> {
        Place { above: Some(self), step: Step::Item(id) }
    }

    pub fn any_item(&self) -> Place<'_> {
        Place { above: Some(self), step: Step::Any }
    }

    fn root(&self) -> (&str, bool) {
        match (self.above, self.step) {
            (Some(above), _) => above.root(),
            (None, Step::Object { kind, is_built_in }) => (kind, is_built_in),
            (None, _) => ("", false),
        }
    }

    pub fn kind(&self) -> &str {
        self.root().0
    }

    /// Whether the API server reads and writes the object by a type of its own.
    pub fn is_built_in(&self) -> bool {
        self.root().1
    }

    /// Whether the innermost fields have these names, outermost first; `*` is any. Items of lists do not count.
    pub fn ends_with(&self, names: &[&str]) -> bool {
        let Some((last, rest)) = names.split_last() else { return true };
        match (self.step, self.above) {
            (Step::Field(name), Some(above)) => (*last == "*" || *last == name) && above.ends_with(rest),
            (Step::Item(_) | Step::Any, Some(above)) => above.ends_with(names),
            _ => false,
        }
    }

    /// Whether a field of this name is here or around it.
    pub fn is_below(&self, name: &str) -> bool {
        matches!(self.step, Step::Field(field) if field == name) || self.above.is_some_and(|above| above.is_below(name))
    }

    /// What a record of fields says of this place.
    pub fn find_in<'r>(&self, record: &'r Value) -> Option<&'r Value> {
        let Some(above) = self.above else { return Some(record) };
        let record = above.find_in(record)?;
        match self.step {
            Step::Field(name) => record.get(format!("f:{name}")),
            Step::Item(id) => record.get(id),
            Step::Object { .. } | Step::Any => None,
        }
    }
}

/// `.spec.containers[name:x].image`.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Object { .. } => Ok(()),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Item(id) => write!(f, "[{}]", item_name(id).unwrap_or_else(|| id.to_owned())),
            Step::Any => f.write_str("[]"),
        }
    }
}

/// How an item of a list is told to a person; `None` for what is not an item.
pub(super) fn item_name(id: &str) -> Option<String> {
    if let Some(value) = id.strip_prefix("v:") {
        return Some(value.to_owned());
    }
    let key: Value = serde_json::from_str(id.strip_prefix("k:")?).ok()?;
    let parts = key.as_object()?.iter().map(|(k, v)| format!("{k}:{}", v.to_string().trim_matches('"')));
    Some(parts.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_has_a_path_and_knows_its_fields() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
        let root = Place::of(&object);
        let (spec, containers) = (root.field("spec"), "containers");
        let list = spec.field(containers);
        let item = list.item("k:{\"name\":\"x\"}");
        let image = item.field("image");
        assert_eq!(image.to_string(), ".spec.containers[name:x].image");
        assert!(image.ends_with(&["containers", "image"]) && image.ends_with(&["spec", "*", "image"]));
        assert!(!image.ends_with(&["spec", "image"]));
        assert!(image.is_built_in() && image.is_below("spec") && !image.is_below("status"));
        let record = json!({"f:spec": {"f:containers": {"k:{\"name\":\"x\"}": {"f:image": {}}}}});
        assert_eq!(image.find_in(&record), Some(&json!({})));
        let custom = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"});
        assert!(!Place::of(&custom).is_built_in());
    }
}
