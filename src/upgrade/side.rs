//! One of the two releases of an upgrade.

use crate::object::manifests::Manifests;
use crate::render::RenderError;
use crate::spec::request::RequestError;
use crate::spec::resolve::ResolveError;
use crate::spec::switches::Switches;

/// Why a release refuses a spec.
#[derive(Debug, thiserror::Error)]
pub enum SpecRefused {
    /// It cannot be understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl SpecRefused {
    /// Every problem for which it does, for a person.
    pub(super) fn problems(&self) -> Vec<String> {
        match self {
            Self::Render(RenderError::Resolve(ResolveError::Invalid(problems))) => {
                problems.iter().map(ToString::to_string).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

/// What a spec renders to with one release.
#[derive(Debug)]
pub struct Side {
    /// The release, such as `1.30.3`.
    pub release: String,
    /// What differs in it.
    pub switches: Switches,
    /// What the spec renders to, without owner labels; or why the release refuses it.
    pub outcome: Result<Manifests, SpecRefused>,
}

impl Side {
    pub(super) fn minor(&self) -> u32 {
        self.switches.release.minor
    }

    pub(super) fn manifests(&self) -> Option<&Manifests> {
        self.outcome.as_ref().ok()
    }
}
