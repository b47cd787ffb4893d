//! The resources that were deleted with `--cascade=orphan`.

use crate::cluster::received::ObservedResource;
use crate::object::OwnerId;
use kube::ResourceExt;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Kubernetes' own finalizer of what is deleted with `--cascade=orphan`.
const ORPHAN: &str = "orphan";

/// The resources that were deleted with `--cascade=orphan`, by uid. Kubernetes takes its mark away within a moment, so it has
/// to be noted when it is seen.
#[derive(Default)]
pub(super) struct Orphans(Mutex<HashMap<OwnerId, String>>);

impl Orphans {
    /// Notes it.
    pub fn note(&self, resource: &ObservedResource) {
        if resource.metadata.deletion_timestamp.is_some() && resource.finalizers().iter().any(|f| f == ORPHAN) {
            let id = OwnerId::of(&resource.metadata);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, resource.uid().unwrap_or_default());
        }
    }

    /// It is over.
    pub fn forget(&self, id: &OwnerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub fn has(&self, id: &OwnerId, resource: &ObservedResource) -> bool {
        self.note(resource);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).is_some_and(|uid| Some(uid) == resource.uid().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(time: &str) -> ObservedResource {
        let metadata = json!({"name": "main", "namespace": "ns", "uid": "u", "deletionTimestamp": time});
        crate::cluster::received::from_value(&json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn a_deletion_that_orphans_is_remembered_of_that_resource() {
        let (orphans, id) = (Orphans::default(), OwnerId::new("ns", "main"));
        let mut resource = resource("2026-01-01T12:00:00Z");
        assert!(!orphans.has(&id, &resource));
        resource.metadata.finalizers = Some(vec![ORPHAN.into()]);
        orphans.note(&resource);
        resource.metadata.finalizers = None;
        assert!(orphans.has(&id, &resource), "Kubernetes has taken its mark away");
        resource.metadata.uid = Some("another".into());
        assert!(!orphans.has(&id, &resource));
    }
}
