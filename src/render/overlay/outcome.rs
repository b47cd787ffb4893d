//! What comes of settings and overlays: problems, and what a person should know.

use super::checks::Misfit;
use crate::api::component::Component;
use crate::spec::request::Origin;
use crate::spec::resolve::Enabled;

/// Why settings or overlays cannot be applied to objects.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OverlayError {
    /// The component has no workload that settings could go to.
    #[error("{path}: {component} can only have k8s.overlays, not other k8s settings")]
    NoWorkload {
        /// Where it is written.
        path: String,
        /// The component.
        component: Component,
    },
    /// The setting does not fit the object.
    #[error("{path}: {object}: {message}")]
    Setting {
        /// Where it is written.
        path: String,
        /// The object.
        object: String,
        /// What does not fit.
        message: String,
    },
    /// An overlay or a patch of it has no effect.
    #[error("{path}: {message}")]
    Overlay {
        /// Where it is written.
        path: String,
        /// Why.
        message: String,
    },
    /// What came out cannot be applied.
    #[error("component {component}: {misfit}")]
    Object {
        /// The component.
        component: Component,
        /// The object, the place in it, and what is wanted there.
        misfit: Misfit,
    },
    /// An error, and where in the user's files what it is about is written.
    #[error("{location}: {source}")]
    At {
        /// File, line and column, or the flag.
        location: String,
        /// The error.
        source: Box<OverlayError>,
    },
}

impl OverlayError {
    /// The error with the place it came from, if that is known.
    #[must_use]
    pub fn located(self, origin: &Origin) -> Self {
        let path = match &self {
            Self::NoWorkload { path, .. } | Self::Setting { path, .. } | Self::Overlay { path, .. } => path,
            Self::Object { .. } | Self::At { .. } => return self,
        };
        match origin.locate(path) {
            Some(location) => Self::At { location, source: Box::new(self) },
            None => self,
        }
    }
}

/// What a person should know of something in the spec that does not do what it seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where it is written.
    pub path: String,
    /// What to know.
    pub message: String,
}

impl Notice {
    /// One at a path in the spec.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The words, with the place it came from if that is known.
    #[must_use]
    pub fn located(&self, origin: &Origin) -> String {
        let Self { path, message } = self;
        match origin.locate(path) {
            Some(location) => format!("{location}: {path}: {message}"),
            None => format!("{path}: {message}"),
        }
    }
}

/// Where a component's settings are written.
#[must_use]
pub fn place(enabled: &Enabled) -> String {
    let field = enabled.component.info().field;
    if enabled.component.is_gateways() {
        format!("spec.components.{field}[name:{}]", enabled.name)
    } else {
        format!("spec.components.{field}")
    }
}

/// What is found on the way.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What cannot be done.
    pub problems: Vec<OverlayError>,
    /// What a person should know.
    pub notices: Vec<Notice>,
}
