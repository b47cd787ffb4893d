//! Resources deleted with `--cascade=orphan`, by uid. Kubernetes removes its finalizer `orphan` within a moment, so it is
//! recorded as soon as the watch shows it.

use crate::object::OwnerId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Default)]
pub(super) struct Orphans(Mutex<HashMap<OwnerId, String>>);

impl Orphans {
    /// The resource of this name and uid is being deleted in this way.
    pub fn note(&self, id: OwnerId, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, uid.to_owned());
    }

    /// The resource is gone.
    pub fn forget(&self, id: &OwnerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Whether the resource of this name and uid is one of them.
    pub fn has(&self, id: &OwnerId, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).is_some_and(|noted| noted == uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_that_orphans_is_remembered_of_that_resource() {
        let (orphans, id) = (Orphans::default(), OwnerId::new("ns", "main"));
        assert!(!orphans.has(&id, "u"));
        orphans.note(id.clone(), "u");
        assert!(orphans.has(&id, "u") && !orphans.has(&id, "another"));
        orphans.forget(&id);
        assert!(!orphans.has(&id, "u"));
    }
}
