//! From rendered objects to manifests: the `k8s` settings, then the `overlays` of each component.
//!
//! Everything that matches nothing is an error that says what there is; nothing is dropped silently but settings whose object
//! the component does not have now (an autoscaler that is off).

pub mod k8s;
pub mod patches;
pub mod ports;

use crate::component::Component;
use crate::object::Object;
use crate::resolve::Enabled;

/// Why settings or overlays cannot be laid over objects.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OverlayError {
    /// The component has no workload that settings could go to.
    #[error("spec.components.{}.k8s.{field}: {component} can only have k8s.overlays, not other k8s settings", component.facts().field)]
    NoWorkload {
        /// The component.
        component: Component,
        /// The setting.
        field: String,
    },
    /// The setting does not fit the object.
    #[error("k8s.{field} of {object}: {message}")]
    Setting {
        /// The setting.
        field: String,
        /// The object.
        object: String,
        /// What does not fit.
        message: String,
    },
    /// An overlay names an object that is not there.
    #[error("overlay for {kind} {name} of {component} matches no object; there are {existing}")]
    NoObject {
        /// The component.
        component: Component,
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What there is, nearest first.
        existing: String,
    },
    /// A patch of an overlay does not fit the object.
    #[error("overlay for {object}: {message}")]
    Patch {
        /// The object.
        object: String,
        /// What does not fit, with the path.
        message: String,
    },
}

/// Lays a component's settings and overlays over its objects.
///
/// # Errors
/// Every problem found.
pub fn apply(enabled: &Enabled, objects: &mut [Object]) -> Result<(), Vec<OverlayError>> {
    k8s::apply(enabled, objects).map_err(|e| vec![e])?;
    patches::apply(enabled, objects)
}
