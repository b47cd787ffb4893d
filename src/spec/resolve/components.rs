//! Which components a merged spec enables, and where they go.

use super::placement::{is_enabled, namespace_of, settings_of};
use super::{settings, values};
use crate::api::component::{ALL, Component};
use crate::spec::path::text;
use crate::spec::switches::Switches;
use serde_json::Value;

/// A component that is installed, with everything its rendering needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Enabled {
    /// Which.
    pub component: Component,
    /// The gateway's name, or the component's own resource name; empty where it has none.
    pub name: String,
    /// The namespace it is installed into.
    pub namespace: String,
    /// Its Helm values, before the chart's defaults.
    pub values: Value,
    /// Its `k8s` settings as they apply, null for none.
    pub k8s: Value,
}

impl Enabled {
    /// Whether the CRDs in the chart's folder `crds/` are installed.
    #[must_use]
    pub fn wants_crds(&self) -> bool {
        let is_off = self.values.pointer("/base/enableIstioConfigCRDs") == Some(&Value::Bool(false));
        !(self.component == Component::Base && is_off)
    }

    /// The namespace of its objects that name none, though their kind lives in one.
    #[must_use]
    pub fn home(&self) -> &str {
        if self.namespace.is_empty() { "istio-system" } else { &self.namespace }
    }
}

/// The enabled components, core ones first, then each gateway in the spec's order.
#[must_use]
pub fn enabled(spec: &Value, switches: &Switches) -> Vec<Enabled> {
    let shared = values::of_spec(spec, switches);
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
            let k8s = settings::of(spec, component, one, switches);
            found.push(Enabled {
                component,
                namespace: namespace_of(spec, Some(one)),
                values: match component {
                    Component::Ztunnel => values::flattened(&shared, component, switches),
                    _ if component.is_gateways() => values::of_gateway(&shared, component, one, &k8s),
                    _ => shared.clone(),
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
    let name = component.info().workload.1;
    match text(spec, "/revision").filter(|r| !r.is_empty()) {
        Some(revision) if component == Component::Pilot => format!("{name}-{revision}"),
        _ => name.to_owned(),
    }
}
