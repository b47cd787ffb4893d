//! Overlays exactly as a release's own command line takes them (`--upstream-behavior`).
//!
//! | | until 1.23 | from 1.24 on |
//! |---|---|---|
//! | which objects | kind, name, and the component's namespace or none | kind and name |
//! | several overlays for one object | the last one counts | all count |
//! | no object, or until 1.23 several | error | nothing happens |
//! | an empty path | nothing happens | nothing happens |
//! | a path that leads nowhere | error | nothing happens |

use super::outcome::{Notice, Outcome, OverlayError, place};
use crate::object::Object;
use crate::spec::exact::ExactError;
use crate::spec::exact::tree::{self, Form};
use crate::spec::resolve::Enabled;
use crate::spec::switches::{Pipeline, Switches};
use serde_json::Value;
use std::collections::BTreeSet;

/// Applies the overlays. Returns the objects that a patch failed at.
pub(super) fn apply(
    enabled: &Enabled,
    objects: &mut [Object],
    switches: &Switches,
    outcome: &mut Outcome,
) -> BTreeSet<usize> {
    let overlays = enabled.k8s.get("overlays").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let meant: Vec<Vec<usize>> = overlays.iter().map(|overlay| find(enabled, overlay, objects, switches)).collect();
    let mut broken = BTreeSet::new();
    for (i, (overlay, found)) in overlays.iter().zip(&meant).enumerate() {
        let path = format!("{}.k8s.overlays[{i}]", place(enabled));
        let text = |field: &str| overlay.get(field).and_then(Value::as_str).unwrap_or_default();
        match (switches.pipeline, found.as_slice()) {
            (_, [_]) | (Pipeline::Since124, [_, ..]) => {}
            (pipeline, found) => {
                let many = if found.is_empty() { "no object" } else { "several objects" };
                let message = format!("{} {} matches {many} of {}", text("kind"), text("name"), enabled.component);
                match pipeline {
                    Pipeline::Until123 => outcome.problems.push(OverlayError::Overlay { path, message }),
                    Pipeline::Since124 => outcome.notices.push(Notice::new(path, message)),
                }
                continue;
            }
        }
        for at in found {
            let later = meant.get(i + 1..).unwrap_or_default();
            // An object is taken anew for each overlay, and what comes of the last one is printed.
            let is_lost = switches.pipeline == Pipeline::Until123 && later.iter().any(|others| others.contains(at));
            let Some(object) = objects.get_mut(*at) else { continue };
            for (path, error) in patch(object, overlay, &path, is_lost) {
                let message = format!("{}: {error}", object.key());
                if switches.pipeline == Pipeline::Until123 || error.is_fatal {
                    broken.insert(*at);
                    outcome.problems.push(OverlayError::Overlay { path, message });
                } else {
                    outcome.notices.push(Notice::new(path, message));
                }
            }
        }
    }
    broken
}

/// The objects that an overlay is for.
fn find(enabled: &Enabled, overlay: &Value, objects: &[Object], switches: &Switches) -> Vec<usize> {
    let said = |field: &str| overlay.get(field).and_then(Value::as_str).unwrap_or_default();
    let is_there = |object: &Object| object.namespace().is_empty() || object.namespace() == enabled.namespace;
    let is_meant = |object: &Object| {
        object.kind() == said("kind")
            && object.name() == said("name")
            && (switches.pipeline == Pipeline::Since124 || is_there(object))
    };
    objects.iter().enumerate().filter(|(_, object)| is_meant(object)).map(|(at, _)| at).collect()
}

/// Makes the patches of an overlay, each by itself. Returns those that fail, each with its place.
fn patch(object: &mut Object, overlay: &Value, path: &str, is_lost: bool) -> Vec<(String, ExactError)> {
    let mut lost = is_lost.then(|| object.value().into_owned());
    let tree = match &mut lost {
        Some(tree) => tree,
        None => object.value_mut(),
    };
    let mut wrong = vec![];
    let patches = overlay.get("patches").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (j, one) in patches.iter().enumerate() {
        let at = one.get("path").and_then(Value::as_str).unwrap_or_default();
        if at.trim().is_empty() {
            continue;
        }
        let value = one.get("value").unwrap_or(&Value::Null);
        if let Err(error) = tree::apply(tree, at, value, Form::Object) {
            wrong.push((format!("{path}.patches[{j}]"), error));
        }
    }
    wrong
}
