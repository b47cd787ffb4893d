//! Gateways of one layer: no two may have the same name and namespace.

use crate::spec::path::{Element, Path};
use serde_json::Value;

/// The lists of gateways in a spec.
pub const LISTS: [&str; 2] = ["ingressGateways", "egressGateways"];

/// Two items of one list that have the same name, and the same namespace or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twins {
    /// The path of the first.
    pub first: String,
    /// The path of the second.
    pub second: String,
    /// What they are called, as the subject of a sentence.
    pub called: String,
}

impl Twins {
    /// What is wrong with the second, given where the first is.
    #[must_use]
    pub fn message(&self, first: &str) -> String {
        format!("there is another gateway {} at {first}; give them different names or namespaces", self.called)
    }
}

/// Removes items without content, such as a dash alone, from the lists of gateways.
pub fn remove_null_items(spec: &mut Value) {
    for list in LISTS {
        if let Some(Value::Array(items)) = spec.pointer_mut(&format!("/components/{list}")) {
            items.retain(|item| !item.is_null());
        }
    }
}

/// All gateways of a spec that have the same name and namespace; items with a merge directive (`$patch`) do not count.
#[must_use]
pub fn twins(spec: &Value) -> Vec<Twins> {
    let mut found = vec![];
    for list in LISTS {
        let path = |i: usize| format!("spec.components.{list}[{i}]");
        let items = spec.pointer(&format!("/components/{list}")).and_then(Value::as_array);
        let mut seen: Vec<(usize, (&str, &str))> = vec![];
        for (i, item) in items.into_iter().flatten().enumerate().filter(|(_, item)| item.get("$patch").is_none()) {
            let text = |field: &str| item.get(field).and_then(Value::as_str);
            let Some(name) = text("name").filter(|name| !name.is_empty()) else { continue };
            let key = (name, text("namespace").unwrap_or_default());
            match seen.iter().find(|(_, other)| *other == key) {
                Some((first, _)) => found.push(Twins { first: path(*first), second: path(i), called: called(key) }),
                None => seen.push((i, key)),
            }
        }
    }
    found
}

/// A flag's path names a gateway of which there are several.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there are {count} gateways {item}; say which by its place in the list, such as [0]")]
pub struct Ambiguity {
    /// How many.
    count: usize,
    /// How the path names them.
    item: String,
}

/// What is wrong with a flag's path that names a gateway of which there are several.
#[must_use]
pub fn ambiguous(resource: &Value, path: &Path) -> Option<Ambiguity> {
    let [Element::Key(_), Element::Key(_), Element::Key(list), item @ Element::KeyValue { key, value, .. }, ..] =
        path.elements()
    else {
        return None;
    };
    let items = resource.pointer(&format!("/spec/components/{list}")).and_then(Value::as_array)?;
    let named = |item: &&Value| item.get(key).and_then(Value::as_str) == Some(value);
    let count = items.iter().filter(named).count();
    (count > 1).then(|| Ambiguity { count, item: item.to_string() })
}

fn called((name, namespace): (&str, &str)) -> String {
    if namespace.is_empty() {
        format!("{name} without a namespace")
    } else {
        format!("{name} in namespace {namespace}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn twins_have_the_name_and_the_namespace_of_each_other() {
        let spec = json!({"components": {
            "ingressGateways": [{"name": "a"}, {"name": "a", "namespace": "n"}, {"name": "b", "namespace": ""},
                {"name": "b"}, {"name": "a", "$patch": "delete"}, null, {"name": ""}, {"name": ""}],
            "egressGateways": [{"name": "a"}, {"name": "x", "namespace": "n"}, {"name": "x", "namespace": "n"}],
        }});
        let twins = |first: &str, second: &str, called: &str| {
            let path = |rest: &str| format!("spec.components.{rest}");
            Twins { first: path(first), second: path(second), called: called.into() }
        };
        let expected = [
            twins("ingressGateways[2]", "ingressGateways[3]", "b without a namespace"),
            twins("egressGateways[1]", "egressGateways[2]", "x in namespace n"),
        ];
        assert_eq!(super::twins(&spec), expected);
    }
}
