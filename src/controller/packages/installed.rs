//! What is known of the release that a resource has installed.

use crate::object::ObjectKey;

/// What tells the release that is installed, and what it tells.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The object that tells.
    pub key: ObjectKey,
    /// Its last seen state, where a watch has it.
    pub resource_version: String,
    /// What it tells.
    pub release: Option<String>,
    /// Whether it is ready.
    pub is_ready: bool,
}
