//! In which order an installation is applied: components after those they need, and of each its objects in steps.

use crate::api::component::Component;
use crate::object::manifests::{Manifests, Part};
use crate::object::{Object, order};

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
    parts.sort_by_key(|p| p.component.depth());
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str) -> Object {
        Object::new(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})).unwrap()
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
}
