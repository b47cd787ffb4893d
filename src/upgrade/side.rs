//! One of the two releases of an upgrade.

use crate::object::manifests::Manifests;
use crate::spec::switches::Switches;

/// What a spec comes to with one release.
#[derive(Clone, Debug)]
pub struct Side {
    /// The release, such as `1.30.3`.
    pub release: String,
    /// What differs in it.
    pub switches: Switches,
    /// What the spec comes to, without owner labels; or every problem for which the release refuses it.
    pub outcome: Result<Manifests, Vec<String>>,
}

impl Side {
    pub(super) fn minor(&self) -> u32 {
        self.switches.release.minor
    }

    pub(super) fn manifests(&self) -> Option<&Manifests> {
        self.outcome.as_ref().ok()
    }
}
