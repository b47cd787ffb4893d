//! How far the deletion of a resource has got, and when it is checked again.
//!
//! Guarantee: however often a reconcile is triggered, and however many objects are left, checking takes fewer than two requests
//! a second on average. Objects that are being deleted are watched, so that their end is noticed at once; that takes no
//! requests.

use crate::install::remains::Remaining;
use crate::object::ObjectKey;
use crate::object::pods::Pods;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// For each request that looking took.
const EACH: Duration = Duration::from_millis(600);
/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest there is without a reason.
const LONGEST: Duration = Duration::from_secs(30);
/// So often a look is not put off, when it may well be the last one.
const EARLY: u8 = 3;

/// An object that is waited for.
pub(super) struct Awaited {
    pub api_version: String,
    pub uid: String,
    pub is_labelled: bool,
}

/// How far a deletion is.
#[derive(Default)]
pub(super) enum Phase {
    /// It was asked for, and nothing is deleted yet.
    #[default]
    Asked,
    /// Nothing is deleted while this revision is in use, by other pods than the resource's own.
    Held { revision: String, own: Vec<Pods> },
    /// Objects are being deleted since then; these are waited for.
    Deleting { began: Instant, awaited: BTreeMap<ObjectKey, Awaited> },
}

/// What moves a deletion on.
pub(super) enum Move<'a> {
    /// It begins, or begins anew: it is only to be tried, or is not any more.
    Begin { is_dry_run: bool },
    /// A control plane of this revision is in use: its users are watched from now on.
    Hold(String, Vec<Pods>),
    /// Nothing holds it up any more, and these objects are to go.
    Delete(Vec<&'a Remaining>),
}

/// See the module.
#[derive(Default)]
pub(super) struct Deletion {
    pub phase: Phase,
    pub next: Option<Instant>,
    looks: u32,
    early: u8,
    is_insisted: bool,
    is_dry_run: bool,
}

impl Deletion {
    /// Whether this is the first that is heard of it.
    pub(super) fn is_new(&self) -> bool {
        self.next.is_none()
    }

    /// Whether nothing was looked at yet since objects are being deleted.
    pub(super) fn is_first_look(&self) -> bool {
        self.looks == 0
    }

    /// Whether it is only to be tried, as the resource says now. When that changes all begins anew.
    pub(super) fn set_dry_run(&mut self, is_dry_run: bool) {
        if self.is_dry_run != is_dry_run {
            self.advance(Move::Begin { is_dry_run });
        }
    }

    /// Somebody insists: the first time that is heard, nothing is put off.
    pub(super) fn insist(&mut self) -> bool {
        !std::mem::replace(&mut self.is_insisted, true)
    }

    /// The one function that moves a deletion from one phase to the next.
    pub(super) fn advance(&mut self, to: Move<'_>) {
        self.phase = match to {
            Move::Begin { is_dry_run } => {
                *self = Self { is_dry_run, ..Self::default() };
                Phase::Asked
            }
            Move::Hold(revision, own) => Phase::Held { revision, own },
            Move::Delete(objects) => {
                let began = self.began().unwrap_or_else(|| {
                    (self.looks, self.early) = (0, 0);
                    Instant::now()
                });
                let awaited = |object: &Remaining| Awaited {
                    api_version: object.api_version.clone(),
                    uid: object.uid.clone(),
                    is_labelled: object.is_labelled,
                };
                let awaited = objects.into_iter().map(|object| (object.key.clone(), awaited(object))).collect();
                Phase::Deleting { began, awaited }
            }
        };
    }

    /// Whether a control plane that is in use holds it up.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held { .. })
    }

    /// Since when objects are being deleted, if they are.
    pub(super) fn began(&self) -> Option<Instant> {
        match self.phase {
            Phase::Deleting { began, .. } => Some(began),
            Phase::Asked | Phase::Held { .. } => None,
        }
    }

    /// Sets when to look again, after a look that took so many requests. `least` is the shortest pause.
    pub(super) fn pause(&mut self, requests: u32, least: Duration) -> Duration {
        let backoff = FIRST.saturating_mul(2_u32.saturating_pow(self.looks)).min(LONGEST);
        self.looks = self.looks.saturating_add(1);
        let pause = backoff.max(least).max(EACH.saturating_mul(requests));
        self.next = Instant::now().checked_add(pause);
        pause
    }

    pub fn look_early(&mut self) -> bool {
        self.early = self.early.saturating_add(1);
        self.early <= EARLY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_costs_less_than_two_requests_a_second() {
        for requests in [1, 17, 400] {
            let mut deletion = Deletion::default();
            let pauses: Vec<Duration> = (0..8).map(|_| deletion.pause(requests, Duration::ZERO)).collect();
            assert!(pauses.iter().all(|pause| f64::from(requests) / pause.as_secs_f64() < 2.0), "{pauses:?}");
            assert!(pauses.is_sorted(), "{pauses:?}");
        }
        let mut deletion = Deletion::default();
        assert_eq!(deletion.pause(1, Duration::ZERO), FIRST, "what goes soon is noticed soon");
        assert_eq!(deletion.pause(1, LONGEST), LONGEST);
    }

    #[test]
    fn a_deletion_begins_anew_when_it_is_no_longer_only_tried() {
        let mut deletion = Deletion::default();
        deletion.set_dry_run(true);
        deletion.pause(1, LONGEST);
        deletion.set_dry_run(true);
        assert!(!deletion.is_new());
        deletion.set_dry_run(false);
        assert!(deletion.is_new(), "nothing is put off");
    }

    #[test]
    fn a_look_that_may_be_the_last_is_not_put_off_for_ever() {
        let mut deletion = Deletion::default();
        let early: Vec<bool> = (0..5).map(|_| deletion.look_early()).collect();
        assert_eq!(early, [true, true, true, false, false]);
        deletion.advance(Move::Delete(vec![]));
        assert!(deletion.look_early(), "the deletion itself has its own");
    }
}
