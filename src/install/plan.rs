//! What is to be done, and in which order: desired objects against what is known of the cluster.

use crate::api::component::Component;
use crate::object::manifests::{Manifests, Part};
use crate::object::{Object, ObjectKey, order};
use std::collections::BTreeMap;

/// The objects of a component, in steps; the objects of one step may be written at once.
pub struct Wave<'a> {
    /// The component.
    pub component: Component,
    /// The steps, none of them empty.
    pub steps: Vec<Vec<&'a Object>>,
}

/// The waves of an installation, parents before children.
#[must_use]
pub fn waves(manifests: &Manifests) -> Vec<Wave<'_>> {
    let mut parts: Vec<&Part> = manifests.parts.iter().collect();
    parts.sort_by_key(|p| depth(p.component));
    parts
        .into_iter()
        .map(|part| {
            let mut steps: Vec<Vec<&Object>> = vec![vec![]; order::APPLY_STEPS];
            for object in &part.objects {
                if let Some(step) = steps.get_mut(order::apply_step(object)) {
                    step.push(object);
                }
            }
            steps.retain(|s| !s.is_empty());
            Wave { component: part.component, steps }
        })
        .collect()
}

fn depth(component: Component) -> usize {
    component.facts().parents.iter().map(|p| depth(*p) + 1).max().unwrap_or(0)
}

/// The first parent of a component that is installed and not ready: the component has to wait for it.
#[must_use]
pub fn closed_by(component: Component, ready: &BTreeMap<Component, bool>) -> Option<Component> {
    component.facts().parents.iter().copied().find(|p| ready.get(p) == Some(&false))
}

/// Kinds that are never deleted: with them would go what others made of them.
#[must_use]
pub fn is_kept(kind: &str) -> bool {
    matches!(kind, "CustomResourceDefinition" | "Namespace")
}

/// Those of a resource's objects that may be deleted, children before parents; `of` tells the key and the component of one.
#[must_use]
pub fn prune<T>(mut owned: Vec<T>, of: impl Fn(&T) -> (&ObjectKey, Option<Component>)) -> Vec<T> {
    owned.retain(|object| !is_kept(&of(object).0.kind));
    owned.sort_by(|a, b| {
        let ((a, of_a), (b, of_b)) = (of(a), of(b));
        of_b.map(depth).cmp(&of_a.map(depth)).then_with(|| a.cmp(b))
    });
    owned
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str) -> Object {
        Object::new(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})).unwrap()
    }

    #[test]
    fn gateways_wait_for_istiod_only_where_it_is_installed() {
        let ready = BTreeMap::from([(Component::Base, true), (Component::Pilot, false)]);
        assert_eq!(closed_by(Component::IngressGateways, &ready), Some(Component::Pilot));
        assert_eq!(closed_by(Component::Pilot, &ready), None);
        assert_eq!(closed_by(Component::IngressGateways, &BTreeMap::new()), None);
    }

    #[test]
    fn parents_come_before_children_and_workloads_after_what_they_need() {
        let manifests = Manifests {
            parts: vec![
                Part { component: Component::EgressGateways, objects: vec![object("Service", "e")] },
                Part { component: Component::Pilot, objects: vec![object("Service", "p"), object("ConfigMap", "c")] },
            ],
            ..Manifests::default()
        };
        let waves = waves(&manifests);
        let order: Vec<_> = waves.iter().map(|w| w.component).collect();
        assert_eq!(order, [Component::Pilot, Component::EgressGateways]);
        let steps: Vec<Vec<_>> = waves[0].steps.iter().map(|s| s.iter().map(|o| o.name()).collect()).collect();
        assert_eq!(steps, [["c"], ["p"]]);
    }

    #[test]
    fn definitions_and_namespaces_are_never_pruned() {
        let owned = ["CustomResourceDefinition", "Namespace", "Service"]
            .map(|kind| (object(kind, "x").key(), Some(Component::Base)))
            .to_vec();
        let gone: Vec<_> =
            prune(owned, |(key, component)| (key, *component)).into_iter().map(|(k, _)| k.kind).collect();
        assert_eq!(gone, ["Service"]);
    }
}
