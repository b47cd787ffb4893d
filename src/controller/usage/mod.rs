//! Who uses a revision of the control plane: the pods that have a proxy of it, and the namespaces whose new pods it would
//! inject. Only metadata is read.
//!
//! The status is computed from watches ([`watch`]) that may be a moment behind; before something is deleted, the API server is
//! asked again ([`users_of`]).

mod answers;
mod asked;
mod metadata;
pub(super) mod watch;

pub(super) use answers::{ASK_AGAIN, Answer, Answers};
pub(super) use asked::users_before;
pub use asked::{GATEWAY, InUse, LISTS, users_of, users_of_plane, users_of_tag};
pub use metadata::{PROXY_LABEL, RUNNING, Said, is_of, points_to, said_by};
pub(super) use watch::{Use, Users};

use crate::api::component::Component;
use crate::object::manifests::Manifests;
pub(super) use crate::object::pods::Pods;

/// A control plane that a resource wants: its revision as labels name it, and the pods of the resource's own workloads.
pub(super) struct ControlPlane {
    pub revision: String,
    pub own: Vec<Pods>,
    /// Whether other clusters use it, too, which this one does not tell.
    pub is_external: bool,
}

/// The control plane among what a resource wants.
pub(super) fn control_plane(manifests: &Manifests) -> Option<ControlPlane> {
    manifests.parts.iter().find(|part| part.component == Component::Pilot)?;
    let revision = manifests.revision_label().to_owned();
    let own = manifests.pods();
    let is_external = manifests.is_external;
    Some(ControlPlane { revision, own, is_external })
}
