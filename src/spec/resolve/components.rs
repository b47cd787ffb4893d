//! Which components a merged spec enables, and where they go.

use super::{Enabled, settings, text, values};
use crate::api::component::{ALL, Component};
use serde_json::Value;

/// The namespace of components that name none; empty where nothing is said.
#[must_use]
pub fn default_namespace(spec: &Value) -> String {
    [text(spec, "/namespace"), text(spec, "/values/global/istioNamespace")]
        .into_iter()
        .flatten()
        .find(|n| !n.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// The namespace of a component, given its settings.
pub(super) fn namespace_of(spec: &Value, settings: Option<&Value>) -> String {
    settings
        .and_then(|s| text(s, "/namespace"))
        .filter(|n| !n.is_empty())
        .map_or_else(|| default_namespace(spec), str::to_owned)
}

/// The settings of a component that is no gateway.
pub(super) fn settings_of(spec: &Value, component: Component) -> Option<&Value> {
    spec.get("components")?.get(component.facts().field)
}

pub(super) fn is_enabled(settings: Option<&Value>) -> bool {
    settings.and_then(|s| s.get("enabled")) == Some(&Value::Bool(true))
}

/// The enabled components, core ones first, then each gateway in the spec's order.
#[must_use]
pub fn enabled(spec: &Value) -> Vec<Enabled> {
    let shared = values::of_spec(spec);
    let mut found = vec![];
    for component in ALL {
        let chosen: Vec<&Value> = if component.is_gateways() {
            settings_of(spec, component).and_then(Value::as_array).map(|g| g.iter().collect()).unwrap_or_default()
        } else {
            settings_of(spec, component).into_iter().collect()
        };
        for one in chosen.into_iter().filter(|s| is_enabled(Some(s))) {
            let name = if component.is_gateways() {
                text(one, "/name").unwrap_or_default().to_owned()
            } else {
                resource_name(spec, component)
            };
            let k8s = settings::of(spec, component, one);
            found.push(Enabled {
                component,
                namespace: namespace_of(spec, Some(one)),
                values: if component.is_gateways() {
                    values::of_gateway(&shared, component, one, &k8s)
                } else {
                    shared.clone()
                },
                k8s,
                name,
            });
        }
    }
    found
}

/// The name that `k8s` settings go to; istiod's follows `spec.revision`, not `values.revision`, as in 1.17.
fn resource_name(spec: &Value, component: Component) -> String {
    let name = component.facts().workload.1;
    match text(spec, "/revision").filter(|r| !r.is_empty()) {
        Some(revision) if component == Component::Pilot => format!("{name}-{revision}"),
        _ => name.to_owned(),
    }
}
