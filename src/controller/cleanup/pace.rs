//! How often a deletion is looked at: what is remembered of it between passes.
//!
//! Guarantee: however often a pass is woken, and however much there is to look at, looking costs less than two requests a
//! second in the long run. What is waited for is watched, so that its end is noticed at once; that costs nothing.

use super::super::usage::Pods;
use super::super::{Context, Memory};
use super::guard;
use crate::install::remains::Remaining;
use crate::object::ObjectKey;
use crate::object::OwnerId;
use std::collections::{BTreeMap, BTreeSet};
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
struct Asked {
    api_version: String,
    uid: String,
    is_labelled: bool,
}

/// See the module.
#[derive(Default)]
pub(in crate::controller) struct Deletion {
    /// Since when objects are deleted.
    pub(super) began: Option<Instant>,
    /// What is waited for.
    asked: BTreeMap<ObjectKey, Asked>,
    /// The revision that holds it up, with the pods that do not count.
    held: Option<(String, Vec<Pods>)>,
    next: Option<Instant>,
    looks: u32,
    early: u8,
    is_insisted: bool,
}

/// What is to be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing yet.
    In(Duration),
    /// Everything.
    All,
    /// Only what is waited for.
    At(BTreeSet<ObjectKey>),
}

impl Deletion {
    /// Whether this is the first that is heard of it.
    pub(super) fn is_new(&self) -> bool {
        self.next.is_none()
    }

    /// Whether nothing was looked at yet since it began.
    pub(super) fn is_first_look(&self) -> bool {
        self.looks == 0
    }

    /// Somebody insists: the first time that is heard, nothing is put off.
    pub(super) fn insist(&mut self) -> bool {
        !std::mem::replace(&mut self.is_insisted, true)
    }

    /// Nothing goes while this revision is in use; it is looked at after a while, and as soon as nobody seems to use it.
    pub(super) fn hold(&mut self, revision: String, own: Vec<Pods>) {
        self.held = Some((revision, own));
    }

    /// Whether a control plane that is in use holds it up.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Objects are deleted from now on.
    pub(super) fn begin(&mut self) {
        self.held = None;
        if self.began.is_none() {
            (self.began, self.looks, self.early) = (Some(Instant::now()), 0, 0);
        }
    }

    /// From now on these objects are waited for.
    pub(super) fn wait_for<'a>(&mut self, objects: impl Iterator<Item = &'a Remaining>) {
        let asked = |object: &Remaining| Asked {
            api_version: object.api_version.clone(),
            uid: object.uid.clone(),
            is_labelled: object.is_labelled,
        };
        self.asked = objects.map(|object| (object.key.clone(), asked(object))).collect();
    }

    /// Sets when to look again, after a look that took so many requests. `least` is the shortest pause.
    pub(super) fn pause(&mut self, requests: u32, least: Duration) -> Duration {
        let backoff = FIRST.saturating_mul(2_u32.saturating_pow(self.looks)).min(LONGEST);
        self.looks = self.looks.saturating_add(1);
        let pause = backoff.max(least).max(EACH.saturating_mul(requests));
        self.next = Instant::now().checked_add(pause);
        pause
    }

    fn look_early(&mut self) -> bool {
        self.early = self.early.saturating_add(1);
        self.early <= EARLY
    }
}

/// What a pass that was woken is to look at.
pub(super) fn due(context: &Context, id: &OwnerId, memory: &mut Memory) -> Look {
    let deletion = &mut memory.deletion;
    let Some(next) = deletion.next else { return Look::All };
    let left = next.saturating_duration_since(Instant::now());
    if let Some((revision, own)) = &deletion.held {
        let is_due = left.is_zero() || (guard::seems_unused(context, id, revision, own) && deletion.look_early());
        return if is_due { Look::All } else { Look::In(left) };
    }
    let there: BTreeSet<ObjectKey> = deletion
        .asked
        .iter()
        .filter(|(key, asked)| may_be_there(context, key, asked))
        .map(|(k, _)| k.clone())
        .collect();
    let has_ended = there.is_empty() && !deletion.asked.is_empty();
    match left.is_zero() || (has_ended && deletion.look_early()) {
        true if there.is_empty() => Look::All,
        true => Look::At(there),
        false => Look::In(left),
    }
}

fn may_be_there(context: &Context, key: &ObjectKey, asked: &Asked) -> bool {
    let is_watched = asked.is_labelled && context.index.is_complete(&asked.api_version, &key.kind);
    !is_watched || context.index.get(key).is_some_and(|known| known.uid == asked.uid)
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
    fn a_look_that_may_be_the_last_is_not_put_off_for_ever() {
        let mut deletion = Deletion::default();
        let early: Vec<bool> = (0..5).map(|_| deletion.look_early()).collect();
        assert_eq!(early, [true, true, true, false, false]);
        deletion.begin();
        assert!(deletion.look_early(), "the deletion itself has its own");
    }
}
