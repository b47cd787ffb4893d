//! Liveness and readiness of the process: what the probes of its pod ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long resources may wait while no reconcile begins or ends and no request is answered.
const STALL: Duration = Duration::from_mins(5);

/// What keeps the operator from being ready.
#[derive(Debug)]
struct Missing {
    /// Empty for nothing.
    what: String,
    /// When being ready ends by itself, and what is missing then.
    until: Option<(Instant, String)>,
}

/// Whether the operator does, or stands by for, what it is asked to do; and what is missing.
#[derive(Clone)]
pub struct Ready(Arc<Mutex<Missing>>);

impl Default for Ready {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Missing { what: "starting".to_owned(), until: None })))
    }
}

impl Ready {
    fn put(&self, what: &str, until: Option<(Instant, String)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Missing { what: what.to_owned(), until };
    }

    /// From now on.
    pub fn set(&self) {
        self.put("", None);
    }

    /// For a while, unless it is said again; then this is missing.
    pub fn set_for(&self, time: Duration, then: &str) {
        self.put("", Some((Instant::now() + time, then.to_owned())));
    }

    /// Not any more, for this is missing.
    pub fn clear(&self, what: &str) {
        self.put(what, None);
    }

    /// Names what is missing, where something is; does not end being ready.
    pub fn want(&self, what: &str) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, then)) = &mut missing.until {
            what.clone_into(then);
        } else if !missing.what.is_empty() {
            what.clone_into(&mut missing.what);
        }
    }

    /// What is missing, if anything is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &missing.until {
            Some((until, then)) if Instant::now() > *until => Some(then.clone()),
            _ => Some(missing.what.clone()).filter(|what| !what.is_empty()),
        }
    }
}

/// Whether the process lives: each of its loops says so now and then, and resources that wait are worked on.
#[derive(Default)]
pub struct Health {
    beats: Mutex<BTreeMap<&'static str, (Instant, Duration)>>,
    work: Mutex<Work>,
}

/// The work that waits.
#[derive(Default)]
struct Work {
    /// How many resources wait.
    waiting: usize,
    /// When anything was last done for one; `None` before that.
    last: Option<Instant>,
}

impl Health {
    /// The loop turns, and says so again within this time.
    pub fn beat(&self, who: &'static str, within: Duration) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.insert(who, (Instant::now(), within));
    }

    /// Who has not said so in time, or that nothing is done for those who wait.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let stalled = || self.stalled_for().filter(|time| *time > STALL);
        let stall = || Some(format!("resources wait, and nothing was done for {} s", stalled()?.as_secs()));
        self.silent().or_else(stall)
    }

    fn silent(&self) -> Option<String> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |(who, (at, within)): (&&str, &(Instant, Duration))| {
            let silence = at.elapsed();
            (silence > *within).then(|| format!("{who} has not turned for {} s", silence.as_secs()))
        };
        beats.iter().find_map(silent)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was done for a resource.
    pub fn work_done(&self) {
        self.work().last = Some(Instant::now());
    }

    /// So many resources wait for a reconcile.
    pub fn set_waiting(&self, waiting: usize) {
        let mut work = self.work();
        // The first that waits begins to wait now.
        if waiting < work.waiting || work.waiting == 0 {
            work.last = Some(Instant::now());
        }
        work.waiting = waiting;
    }

    /// For how long nothing was done although resources wait; `None` where none waits.
    fn stalled_for(&self) -> Option<Duration> {
        let work = self.work();
        work.last.filter(|_| work.waiting > 0).map(|last| last.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_ready_for_a_while_ends_by_itself_and_says_what_is_missing() {
        let ready = Ready::default();
        assert_eq!(ready.missing().as_deref(), Some("starting"));
        ready.want("the lease");
        assert_eq!(ready.missing().as_deref(), Some("the lease"));
        ready.set_for(Duration::from_mins(1), "later");
        ready.want("another look at the lease");
        assert_eq!(ready.missing(), None);
        ready.set_for(Duration::ZERO, "later");
        ready.want("another look at the lease");
        assert_eq!(ready.missing().as_deref(), Some("another look at the lease"));
        ready.set();
        ready.want("nothing");
        assert_eq!(ready.missing(), None);
        ready.clear("work");
        assert_eq!(ready.missing().as_deref(), Some("work"));
    }

    #[test]
    fn a_loop_that_does_not_turn_is_named() {
        let health = Health::default();
        assert_eq!(health.silent(), None);
        health.beat("one", Duration::from_mins(1));
        assert_eq!(health.silent(), None);
        health.beat("two", Duration::ZERO);
        assert_eq!(health.silent().as_deref(), Some("two has not turned for 0 s"));
        health.beat("two", Duration::from_mins(1));
        assert_eq!(health.silent(), None);
    }

    #[test]
    fn a_stall_is_counted_from_when_something_waits_and_nothing_is_done() {
        let health = Health::default();
        assert_eq!(health.stalled_for(), None);
        health.set_waiting(1);
        health.set_waiting(2);
        std::thread::sleep(Duration::from_millis(20));
        let stalled = health.stalled_for().unwrap();
        assert!(stalled >= Duration::from_millis(20));
        health.work_done();
        assert!(health.stalled_for().unwrap() < stalled);
        health.set_waiting(0);
        assert_eq!(health.stalled_for(), None);
    }
}
