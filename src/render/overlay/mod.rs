//! From rendered objects to manifests: the `k8s` settings, then the `overlays` of each component.
//!
//! Nothing is dropped silently: what is written has its effect, or is an error, or comes back as a [`Notice`]. What no API
//! server would take is refused here, whoever wrote it.

mod checks;
pub mod effects;
mod exact;
mod exclusive;
pub mod k8s;
mod outcome;
pub mod patches;
pub mod ports;
mod protobuf;
mod undone;

use crate::object::Object;
use crate::spec::resolve::Enabled;
use crate::spec::switches::Switches;

pub use checks::Misfit;
pub use outcome::{Notice, Outcome, OverlayError, place};

/// Applies a component's settings and overlays to its objects.
///
/// # Errors
/// Every problem found.
pub fn apply(enabled: &Enabled, objects: &mut [Object], switches: &Switches) -> Result<Vec<Notice>, Vec<OverlayError>> {
    if !switches.is_upstream {
        objects.iter_mut().for_each(ports::join_equal);
    }
    let before: Vec<_> = objects.iter().map(|o| (o.api_version().to_owned(), o.key())).collect();
    let mut outcome = k8s::apply(enabled, objects, switches);
    let patch = if switches.is_upstream { exact::apply } else { patches::apply };
    let broken = patch(enabled, objects, switches, &mut outcome);
    // An overlay may have taken a namespace away.
    for object in objects.iter_mut().filter(|_| !switches.is_upstream) {
        object.settle(enabled.home());
    }
    for (i, (object, (version, key))) in objects.iter().zip(&before).enumerate() {
        // What is half done says nothing of what was meant.
        if !broken.contains(&i) {
            for misfit in checks::check(object, version, key) {
                let error = OverlayError::Object { component: enabled.component, misfit };
                if switches.is_upstream && !object.kind().is_empty() {
                    // Upstream prints it, and no server takes it. What has no kind it cannot read.
                    outcome.notices.push(Notice::new(place(enabled), error.to_string()));
                } else {
                    outcome.problems.push(error);
                }
            }
        }
    }
    if outcome.problems.is_empty() { Ok(outcome.notices) } else { Err(outcome.problems) }
}
