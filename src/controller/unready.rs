//! Counts the resources that are not ready: the more there are, the less often each of them reports what it waits for.

use crate::object::OwnerId;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long work or a wait goes on before what is waited for is told: most of it passes faster than it can be read.
const PAUSE: Duration = Duration::from_secs(5);
/// So much longer for each resource that is not ready: hundreds of them wait for one another, and nobody reads them all.
const PAUSE_FOR_EACH: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Default)]
pub(super) struct Unready(Mutex<HashSet<OwnerId>>);

impl Unready {
    /// Whether a resource is ready; one that has gone, or is left alone, is not waited for.
    pub fn set(&self, id: &OwnerId, is_ready: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ready {
            all.remove(id);
        } else {
            all.insert(id.clone());
        }
    }

    /// How long a resource waits before its status says for what.
    pub fn pause(&self) -> Duration {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        PAUSE + PAUSE_FOR_EACH * u32::try_from(all.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_counts_once_until_it_is_ready() {
        let (unready, id) = (Unready::default(), OwnerId::new("ns", "x"));
        unready.set(&id, false);
        unready.set(&id, false);
        assert_eq!(unready.pause(), PAUSE + PAUSE_FOR_EACH);
        unready.set(&id, true);
        unready.set(&id, true);
        assert_eq!(unready.pause(), PAUSE);
    }
}
