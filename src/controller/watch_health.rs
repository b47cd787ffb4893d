//! Whether what is known of a watched kind is current: the kind has been listed once, and its watch has not been failing for
//! long.
//!
//! A watch that was interrupted for a moment catches up on what it missed. While one fails for longer, objects may exist that
//! it does not know, and those it knows may have changed.

use crate::cluster::ClusterError;
use k8s_openapi::jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the start waits for what is watched to be listed: longer than an API server under load takes for a kind, and short
/// enough for a standby that takes over. What is not known then counts as unknown.
pub(super) const START: Duration = Duration::from_secs(15);
/// How often it is looked meanwhile whether anything is still worth waiting for, since that passes with time, and no watch tells.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// How long a watch may fail before what it knows counts for nothing.
const GRACE: Duration = Duration::from_secs(10);
/// How long a kind may fail before nobody waits for it at the start: an API server that has just started refuses what it
/// allows a moment later.
const MOMENT: Duration = Duration::from_secs(3);

/// How a kind's watch stands.
#[derive(Debug, Default)]
pub(super) struct WatchHealth {
    is_listed: bool,
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    began: Instant,
    since: Timestamp,
    error: Arc<ClusterError>,
    is_told: bool,
}

impl WatchHealth {
    /// All its objects are known. Says whether they were not before.
    pub fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.is_listed, true)
    }

    /// Whether it has just begun: what there is will be told.
    pub fn is_awaited(&self) -> bool {
        !self.is_listed && self.failing.is_none()
    }

    /// The watch works. Says whether it was blind before, and told to be.
    pub fn hear(&mut self) -> bool {
        self.failing.take().is_some_and(|failing| failing.is_told)
    }

    /// The watch fails. Says whether it is blind from now on, once.
    pub fn fail(&mut self, error: Arc<ClusterError>, now: Instant) -> bool {
        let failing = self.failing.get_or_insert_with(|| Failing {
            began: now,
            since: Timestamp::now(),
            error: Arc::clone(&error),
            is_told: false,
        });
        failing.error = error;
        let is_news = !failing.is_told && now.duration_since(failing.began) >= grace(self.is_listed);
        failing.is_told |= is_news;
        is_news
    }

    /// Whether the watch fails, be it for a moment only.
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Whether what is known is all there is, and as it is.
    pub fn is_current(&self, now: Instant) -> bool {
        self.is_listed && self.failing_since(now).is_none()
    }

    /// Whether waiting for it to be listed is of no use any more.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.is_listed || self.failing_since(now).is_some()
    }

    /// Since when the watch fails, and why, if it has for long.
    pub fn failing_since(&self, now: Instant) -> Option<(Timestamp, &Arc<ClusterError>)> {
        let failing = self.failing.as_ref()?;
        let is_blind = now.duration_since(failing.began) >= grace(self.is_listed);
        is_blind.then_some((failing.since, &failing.error))
    }
}

fn grace(is_listed: bool) -> Duration {
    if is_listed { GRACE } else { MOMENT }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: &str) -> Arc<ClusterError> {
        Arc::new(ClusterError::UnknownKind { api_version: "v1".into(), kind: kind.into() })
    }

    #[test]
    fn a_watch_that_fails_for_a_moment_is_current_and_then_blind_once() {
        let (begun, mut sight) = (Instant::now(), WatchHealth::default());
        assert!(!sight.is_current(begun), "nothing is listed");
        sight.list();
        assert!(sight.is_current(begun));
        assert!(!sight.fail(failed("A"), begun));
        assert!(sight.is_current(begun + GRACE / 2));
        let late = begun + GRACE;
        assert!(!sight.is_current(late), "even before it is tried again");
        assert!(sight.fail(failed("B"), late) && !sight.fail(failed("C"), late), "told once");
        let why = sight.failing_since(late).map(|(_, why)| why.to_string());
        assert_eq!(why.as_deref(), Some("the API server does not know kind C of v1"), "the last failure");
        assert!(sight.hear() && !sight.hear(), "told once that it is back");
        assert!(sight.is_current(late));
    }

    #[test]
    fn nobody_waits_for_long_for_a_kind_that_cannot_be_listed() {
        let (begun, mut sight) = (Instant::now(), WatchHealth::default());
        sight.fail(failed("A"), begun);
        assert!(!sight.is_settled(begun) && sight.is_settled(begun + MOMENT));
        assert!(!sight.is_current(begun), "what was never listed is not known");
        assert!(sight.fail(failed("A"), begun + MOMENT), "told");
        sight.hear();
        assert!(!sight.is_settled(begun + MOMENT) && !sight.is_current(begun + MOMENT), "still to be listed");
    }
}
