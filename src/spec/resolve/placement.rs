//! What a merged spec says of a component, before anything is made of it: its settings, its namespace, whether it is on.

use crate::api::component::Component;
use crate::spec::path::text;
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

/// The settings of a component that is not a gateway.
pub(super) fn settings_of(spec: &Value, component: Component) -> Option<&Value> {
    spec.get("components")?.get(component.info().field)
}

pub(super) fn is_enabled(settings: Option<&Value>) -> bool {
    settings.and_then(|s| s.get("enabled")) == Some(&Value::Bool(true))
}
