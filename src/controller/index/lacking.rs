//! Namespaces that come, for those who wait for them: what could not be created without its namespace can be now.

use super::Index;
use crate::object::OwnerId;
use std::collections::BTreeSet;

impl Index {
    /// Has the resources looked at that want something in a namespace which is not there.
    pub(in crate::controller) fn wake_lacking(&self, namespace: &str) {
        let wanted = self.ownership.wanted_in(namespace).into_iter();
        let lacking: BTreeSet<OwnerId> =
            wanted.filter(|(key, _)| self.get(key).is_none()).map(|(_, owner)| owner).collect();
        for owner in lacking {
            self.wake(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ownership::Wants;
    use super::super::WatchHealth;
    use super::super::tests::{autoscaler, index, object};
    use super::*;
    use crate::object::ObjectKey;

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
        index.wake_lacking("other");
        assert!(changes.try_recv().is_err());
        index.wake_lacking("ns");
        assert_eq!((changes.try_recv(), changes.try_recv().is_err()), (Ok(OwnerId::new("ns", "second")), true));
    }
}
