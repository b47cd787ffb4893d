//! What is wanted and not there, for those who want it: what could not be created without its namespace can be when that comes,
//! and what has gone before its kind was watched is missed when that is listed.

use crate::object::{ObjectKey, OwnerId};
use std::collections::BTreeSet;

/// Those of the owners who want an object that is not there.
pub(super) fn owners(wanted: Vec<(ObjectKey, OwnerId)>, is_there: impl Fn(&ObjectKey) -> bool) -> BTreeSet<OwnerId> {
    wanted.into_iter().filter(|(key, _)| !is_there(key)).map(|(_, owner)| owner).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::ownership::Wants;
    use super::super::WatchHealth;
    use super::super::tests::{autoscaler, index, object};
    use super::*;

    #[test]
    fn a_namespace_that_comes_wakes_who_lacks_something_in_it() {
        let (index, mut changes, _runtime) = index();
        let (id, resource) = autoscaler();
        index.state().kinds.insert(id.clone(), WatchHealth::default());
        let key = index.upsert(&id, &resource, &object("1", 1), true);
        changes.try_recv().unwrap();
        let wants = |key: ObjectKey| Some(Wants { keys: BTreeSet::from([key]), ..Wants::default() });
        index.ownership.set(&OwnerId::new("ns", "main"), wants(key.clone()));
        index.ownership.set(&OwnerId::new("ns", "second"), wants(ObjectKey { name: "y".into(), ..key }));
        index.wake_lacking(|key| key.namespace == "other");
        assert!(changes.try_recv().is_err());
        index.wake_lacking(|key| key.namespace == "ns");
        assert_eq!((changes.try_recv(), changes.try_recv().is_err()), (Ok(OwnerId::new("ns", "second")), true));
    }

    #[test]
    fn what_went_before_its_kind_was_listed_is_missed_once() {
        let (index, mut changes, _runtime) = index();
        let (id, resource) = autoscaler();
        index.state().kinds.insert(id.clone(), WatchHealth::default());
        assert!(index.is_awaited(&id.0, &id.1));
        let key = super::super::key_of(&resource, &object("1", 1));
        let owner = OwnerId::new("ns", "main");
        index.ownership.set(&owner, Some(Wants { keys: BTreeSet::from([key]), ..Wants::default() }));
        for expected in [true, false] {
            index.finish_listing(&id, &resource, &std::collections::HashSet::new());
            assert_eq!((changes.try_recv().is_ok(), index.is_awaited(&id.0, &id.1)), (expected, false));
        }
    }
}
