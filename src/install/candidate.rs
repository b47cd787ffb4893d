//! What may be deleted, and in which order.

use super::cached::CachedObject;
use super::provenance::{component_of, revision_of};
use crate::api::component::Component;
use crate::object::ObjectKey;
use crate::object::inventory::Entry;
use kube::api::DynamicObject;

/// An object that a resource has and that its spec does not want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The object.
    pub key: ObjectKey,
    /// Its version and uid.
    pub entry: Entry,
    /// The component that it is of, as far as that is known.
    pub component: Option<Component>,
    /// The revision that it says it is of, `default` for the unnamed one; `None` where nothing on it says so.
    pub revision: Option<String>,
}

impl Candidate {
    pub(super) fn cached(key: ObjectKey, cached: CachedObject) -> Self {
        let entry = Entry { api_version: cached.api_version, uid: cached.uid };
        let revision = Some(cached.revision).filter(|revision| !revision.is_empty());
        Self { key, entry, component: cached.component, revision }
    }

    pub(super) fn live(key: &ObjectKey, entry: &Entry, live: &DynamicObject) -> Self {
        let revision = Some(revision_of(live).to_owned()).filter(|revision| !revision.is_empty());
        Self { key: key.clone(), entry: entry.clone(), component: component_of(live), revision }
    }
}

/// Kinds that are never deleted: with them would go what others made of them.
#[must_use]
pub fn is_never_deleted(kind: &str) -> bool {
    matches!(kind, "CustomResourceDefinition" | "Namespace")
}

/// Those of a resource's objects that may be deleted, children before parents; `of` tells the key and the component of one.
#[must_use]
pub fn in_order_of_deletion<T>(mut owned: Vec<T>, of: impl Fn(&T) -> (&ObjectKey, Option<Component>)) -> Vec<T> {
    owned.retain(|object| !is_never_deleted(&of(object).0.kind));
    owned.sort_by(|a, b| {
        let ((a, of_a), (b, of_b)) = (of(a), of(b));
        of_b.map(Component::depth).cmp(&of_a.map(Component::depth)).then_with(|| a.cmp(b))
    });
    owned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;
    use serde_json::json;

    fn object(kind: &str, name: &str) -> Object {
        Object::new(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})).unwrap()
    }

    #[test]
    fn crds_and_namespaces_are_never_deleted() {
        let owned = ["CustomResourceDefinition", "Namespace", "Service"]
            .map(|kind| (object(kind, "x").key(), Some(Component::Base)))
            .to_vec();
        let gone: Vec<_> = in_order_of_deletion(owned, |(key, component)| (key, *component))
            .into_iter()
            .map(|(k, _)| k.kind)
            .collect();
        assert_eq!(gone, ["Service"]);
    }
}
