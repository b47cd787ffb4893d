//! The statuses that this operator has written, so that the watch notices when somebody else has blanked or edited one, and it
//! is written again.

use crate::cluster::received::ObservedResource;
use crate::cluster::status_text::read_status;
use crate::object::OwnerId;
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of the status of a resource.
struct Entry {
    uid: String,
    /// What it should be, hashed.
    wanted: u64,
    /// The version of the resource that first had it; `None` while the write is under way.
    version: Option<u64>,
    /// The newest version that the watch has shown, and its status.
    shown: Option<(u64, u64)>,
}

impl Entry {
    /// Whether the watch has shown another status in a version that is not older than ours.
    fn is_overwritten(&self) -> bool {
        let Some(version) = self.version else { return false };
        self.shown.is_some_and(|(shown, status)| shown >= version && status != self.wanted)
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Statuses(Mutex<HashMap<OwnerId, Entry>>);

impl Statuses {
    fn entries(&self) -> MutexGuard<'_, HashMap<OwnerId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the watch shows. Says whether the status is one that somebody else wrote over ours; of a resource
    /// whose status was never written here that is not known.
    pub fn is_overwritten(&self, resource: &ObservedResource) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&resource.id()).filter(|entry| entry.uid == resource.uid()) else {
            return false;
        };
        let version = resource.version();
        if entry.shown.is_none_or(|(shown, _)| version >= shown) {
            entry.shown = Some((version, hash_of_text(&resource.status)));
        }
        entry.is_overwritten()
    }

    /// A status is about to be written to the resource of this name and uid.
    pub fn begin(&self, id: &OwnerId, uid: &str, status: &Value) {
        let mut entries = self.entries();
        let shown = entries.get(id).filter(|entry| entry.uid == uid).and_then(|entry| entry.shown);
        entries.insert(id.clone(), Entry { uid: uid.to_owned(), wanted: hash(status), version: None, shown });
    }

    /// A status was written, or found to be as it should, in this version of the resource. Says whether somebody has written
    /// another one over it meanwhile.
    pub fn end(&self, id: &OwnerId, version: u64) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(id) else { return false };
        entry.version = Some(version);
        entry.is_overwritten()
    }

    /// A resource is gone.
    pub fn forget(&self, id: &OwnerId) {
        self.entries().remove(id);
    }
}

fn hash(status: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    status.hash(&mut hasher);
    hasher.finish()
}

/// Of a status as [`crate::cluster::received`] gives it.
fn hash_of_text(status: &str) -> u64 {
    hash(&read_status(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(version: &str, status: &Value) -> ObservedResource {
        let metadata = json!({"name": "main", "namespace": "ns", "uid": "u", "resourceVersion": version});
        crate::cluster::received::from_value(&json!({"metadata": metadata, "status": status})).unwrap()
    }

    #[test]
    fn a_status_that_somebody_else_wrote_is_noticed_in_the_watch() {
        let (statuses, ours, theirs) = (Statuses::default(), json!({"a": 1, "b": 2}), json!({}));
        let id = OwnerId::new("ns", "main");
        assert!(!statuses.is_overwritten(&resource("5", &theirs)), "nothing was written yet");
        statuses.begin(&id, "u", &ours);
        assert!(!statuses.is_overwritten(&resource("5", &theirs)), "it is older than what is being written");
        assert!(!statuses.end(&id, 6));
        assert!(!statuses.is_overwritten(&resource("6", &json!({"b": 2, "a": 1}))), "the same");
        assert!(!statuses.is_overwritten(&resource("5", &theirs)), "an old event");
        assert!(statuses.is_overwritten(&resource("7", &theirs)));
        statuses.begin(&id, "u", &ours);
        assert!(!statuses.is_overwritten(&resource("9", &theirs)), "which is newer is not known yet");
        assert!(statuses.end(&id, 8), "overwritten while it was written");
        statuses.begin(&id, "u", &ours);
        assert!(!statuses.end(&id, 10));
        assert!(
            statuses.is_overwritten(&resource("10", &json!({"a": 1, "b": 2, "c": 3}))),
            "written together with ours"
        );
    }
}
