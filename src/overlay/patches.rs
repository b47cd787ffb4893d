//! The `overlays` of a component: patches by path, for what no setting reaches.

use super::OverlayError;
use crate::object::Object;
use crate::resolve::Enabled;
use crate::tree::path::Path;
use crate::tree::{patch, suggest};
use serde_json::Value;

/// Applies the overlays in order; two for one object combine.
///
/// # Errors
/// Every overlay that matches no object, and every patch that does not fit.
pub fn apply(enabled: &Enabled, objects: &mut [Object]) -> Result<(), Vec<OverlayError>> {
    let mut problems = vec![];
    let overlays = enabled.k8s.get("overlays").and_then(Value::as_array);
    for overlay in overlays.into_iter().flatten() {
        let said = |field: &str| overlay.get(field).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (said("kind"), said("name"));
        let matches = |o: &Object| {
            o.kind() == kind && o.name() == name && (o.namespace().is_empty() || o.namespace() == enabled.namespace)
        };
        match objects.iter().position(matches).and_then(|i| objects.get_mut(i)) {
            Some(object) => problems.extend(apply_to(object, overlay)),
            None => problems.push(no_object(enabled, kind, name, objects)),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn no_object(enabled: &Enabled, kind: &str, name: &str, objects: &[Object]) -> OverlayError {
    let wanted = format!("{kind} {name}");
    let mut existing: Vec<String> = objects.iter().map(|o| format!("{} {}", o.kind(), o.name())).collect();
    let near = suggest::nearest(&wanted, existing.iter().map(String::as_str));
    existing.sort_by_key(|e| (!near.contains(e), !e.starts_with(kind)));
    let more = existing.len().saturating_sub(5);
    existing.truncate(5);
    let mut existing = existing.join(", ");
    if more > 0 {
        existing = format!("{existing} and {more} more");
    }
    OverlayError::NoObject { component: enabled.component, kind: kind.into(), name: name.into(), existing }
}

fn apply_to(object: &mut Object, overlay: &Value) -> Vec<OverlayError> {
    let key = object.key().to_string();
    let mut problems = vec![];
    let patches = overlay.get("patches").and_then(Value::as_array);
    for one in patches.into_iter().flatten() {
        let text = one.get("path").and_then(Value::as_str).unwrap_or_default();
        // A blank path is skipped, as in 1.17.
        if text.trim().is_empty() {
            continue;
        }
        let value = one.get("value").cloned().unwrap_or_default();
        let result = Path::parse(text).and_then(|p| patch::apply(object.value_mut(), &p, value, patch::Mode::Overlay));
        if let Err(error) = result {
            problems.push(OverlayError::Patch { object: key.clone(), message: error.to_string() });
        }
    }
    problems
}
