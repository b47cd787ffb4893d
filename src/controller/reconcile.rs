//! The data of one reconcile. Its steps are methods of [`Reconcile`], each in the module of its topic; `reconciler` calls them
//! in order.

use super::context::Context;
use super::reconcile_state::ReconcileState;
use super::status::bounded;
use crate::api::RECONCILE_AT;
use crate::cluster::received::ObservedResource;
use crate::object::OwnerId;

/// One reconcile of one resource that is not left alone.
pub(super) struct Reconcile<'a> {
    /// The resource as the watch has it.
    pub resource: &'a ObservedResource,
    /// What every reconcile needs.
    pub context: &'a Context,
    /// The namespace and name of the resource.
    pub id: &'a OwnerId,
    /// What is remembered of the resource; nobody else changes it meanwhile.
    pub state: &'a mut ReconcileState,
}

impl Reconcile<'_> {
    /// The request of the resource to read everything anew, as its status repeats it.
    pub fn request(&self) -> Option<String> {
        const LONGEST: usize = 256;
        self.resource.annotation(RECONCILE_AT).map(|request| bounded(request, LONGEST))
    }
}
