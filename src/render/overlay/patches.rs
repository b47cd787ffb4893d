//! The `overlays` of a component: patches by path, for what no setting reaches.
//!
//! Each has its effect, or is an error that names its place in the spec and the reason. A value that stands there already is
//! an effect that is reached.

use super::outcome::{Notice, Outcome, OverlayError, place};
use super::undone::Trail;
use crate::api::suggest;
use crate::object::Object;
use crate::spec::patch;
use crate::spec::path::{Path, look_up};
use crate::spec::resolve::Enabled;
use crate::spec::switches::{Pipeline, Switches};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most objects that an error lists.
const MOST_LISTED: usize = 5;

/// Applies the overlays in order; two for one object combine. Returns the objects that a patch failed at.
///
/// What has no effect is an error until 1.23; later releases go on without it, and here it is told.
pub fn apply(enabled: &Enabled, objects: &mut [Object], switches: &Switches, outcome: &mut Outcome) -> BTreeSet<usize> {
    let failed = |outcome: &mut Outcome, path: String, message: String| match switches.pipeline {
        Pipeline::Until123 => outcome.problems.push(OverlayError::Overlay { path, message }),
        Pipeline::Since124 => outcome.notices.push(Notice::new(path, format!("has no effect: {message}"))),
    };
    let mut trails: BTreeMap<usize, Trail> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    let overlays = enabled.k8s.get("overlays").and_then(Value::as_array);
    for (i, overlay) in overlays.into_iter().flatten().enumerate() {
        let path = format!("{}.k8s.overlays[{i}]", place(enabled));
        let found = match find(enabled, overlay, objects, switches) {
            Ok(found) => found,
            Err(message) => {
                failed(outcome, path, message);
                continue;
            }
        };
        let patches = overlay.get("patches").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if patches.is_empty() {
            let message = "has no patches; give at least one path and value, or remove the overlay".to_owned();
            failed(outcome, format!("{path}.patches"), message);
        }
        for (j, one) in patches.iter().enumerate() {
            let path = format!("{path}.patches[{j}]");
            for index in &found {
                let Some(object) = objects.get_mut(*index) else { continue };
                match apply_one(object, one, trails.entry(*index).or_default(), &path) {
                    Ok(notices) => outcome.notices.extend(notices),
                    Err(message) => {
                        if !switches.is_since_124() {
                            broken.insert(*index);
                        }
                        failed(outcome, path.clone(), message);
                        break;
                    }
                }
            }
        }
    }
    broken
}

/// The object that an overlay is for, and copies of it: a chart may give its definitions as files and as templates.
fn find(enabled: &Enabled, overlay: &Value, objects: &[Object], switches: &Switches) -> Result<Vec<usize>, String> {
    let said = |field: &str| overlay.get(field).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (said("kind"), said("name"));
    if kind.is_empty() {
        return Err(format!("has no kind; give the kind and the name of an object: {}", existing("", name, objects)));
    }
    if name.is_empty() {
        return Err(format!(
            "has no name; give the name of one object of kind {kind}: {}",
            existing(kind, "", objects)
        ));
    }
    let is_meant = |o: &&(usize, &Object)| {
        let (_, o) = o;
        let is_there = o.namespace().is_empty() || o.namespace() == enabled.namespace;
        o.kind() == kind && o.name() == name && (is_there || switches.is_since_124())
    };
    let all: Vec<_> = objects.iter().enumerate().collect();
    let found: Vec<_> = all.iter().filter(is_meant).collect();
    let Some((_, first)) = found.first() else {
        let namespace = &enabled.namespace;
        return Err(format!(
            "{kind} {name} matches no object of {} in namespace {namespace}; there are {}",
            enabled.component,
            existing(kind, name, objects)
        ));
    };
    // Since 1.24 all of them are meant.
    if let Some((_, other)) = found.iter().find(|(_, o)| o != first).filter(|_| !switches.is_since_124()) {
        let (a, b) = (first, other);
        return Err(format!(
            "{kind} {name} matches several objects: {} {a} and {} {b}",
            a.api_version(),
            b.api_version(),
            a = a.key(),
            b = b.key()
        ));
    }
    Ok(found.iter().map(|(i, _)| *i).collect())
}

/// What there is, nearest first.
fn existing(kind: &str, name: &str, objects: &[Object]) -> String {
    let wanted = format!("{kind} {name}");
    let mut all: Vec<(String, &Object)> = objects.iter().map(|o| (format!("{} {}", o.kind(), o.name()), o)).collect();
    let near = suggest::nearest(&wanted, all.iter().map(|(text, _)| text.as_str()));
    all.sort_by_key(|(text, o)| (!near.contains(text), o.kind() != kind, o.name() != name));
    let more = all.len().saturating_sub(MOST_LISTED);
    let listed: Vec<String> = all.iter().take(MOST_LISTED).map(|(_, o)| o.key().to_string()).collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}

/// Makes one patch.
fn apply_one(object: &mut Object, one: &Value, trail: &mut Trail, written: &str) -> Result<Vec<Notice>, String> {
    let text = one.get("path").and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Err("the path is empty; name what is to be changed, such as metadata.labels.app".to_owned());
    }
    let key = object.key();
    let wrong = |e: crate::spec::path::PathError| format!("{key}: {e}");
    let path = Path::parse(text).map_err(wrong)?;
    let value = one.get("value").cloned().unwrap_or_default();
    let deletes = value.is_null();
    if deletes && !path.is_empty() {
        look_up(&object.value(), &path).map_err(|e| format!("{}; there is nothing to delete", wrong(e)))?;
    }
    let next = trail.before(&object.value(), &path, deletes);
    patch::apply(object.value_mut(), &path, value, patch::Mode::Overlay).map_err(wrong)?;
    let undone = trail.after(&object.value(), next, written);
    Ok(undone.into_iter().map(|other| Notice::new(written, format!("undoes what {other} did to {key}"))).collect())
}
