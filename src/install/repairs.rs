//! The rate at which repairs are made (a GCRA rate limiter per object).
//!
//! A repair is made at once. Where somebody changes the same field of the same object back again and again, neither side wins:
//! from then on it is repaired at a slow rate, and said who changes it.

use super::outcome::Repair;
use crate::object::ObjectKey;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the same fields of an object are repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairLimits {
    /// How many repairs are made at once.
    pub burst: u32,
    /// How long each waits for the one before from then on.
    pub interval: Duration,
}

impl Default for RepairLimits {
    fn default() -> Self {
        Self { burst: Self::BURST, interval: Self::INTERVAL }
    }
}

impl RepairLimits {
    /// A burst that a person never comes to, and a controller within seconds.
    pub const BURST: u32 = 30;
    /// Slow enough for what fights over a field to cost the API server next to nothing, and fast enough for a person to see that it
    /// is being put back.
    pub const INTERVAL: Duration = Duration::from_secs(5);

    /// How far repairs may be ahead of the slow rate.
    fn lead(self) -> Duration {
        self.interval.saturating_mul(self.burst.saturating_sub(1))
    }
}

/// A field counts as contested until nothing had to be repaired for this long.
const COOLDOWN: Duration = Duration::from_mins(2);

/// The repairs of one object.
struct Contest {
    /// The last one.
    last: Repair,
    /// When repairs at the slow rate would have come as far as we are.
    theoretical_arrival: Instant,
    /// The last repair that used up what may be done at once.
    contested: Option<Instant>,
}

/// The repairs of late.
#[derive(Default)]
pub(super) struct RepairLimiter(HashMap<ObjectKey, Contest>);

impl RepairLimiter {
    /// How long a repair of these fields has to wait; `None` for not at all.
    pub fn delay(&self, key: &ObjectKey, fields: &[String], limits: RepairLimits, now: Instant) -> Option<Duration> {
        let contest = self.0.get(key).filter(|contest| contest.is_of(fields))?;
        let early = contest.theoretical_arrival.saturating_duration_since(now);
        let delay = early.saturating_sub(limits.lead());
        (!delay.is_zero()).then_some(delay)
    }

    /// Takes down a repair.
    pub fn count(&mut self, repair: &Repair, limits: RepairLimits, now: Instant) {
        let before = self.0.remove(&repair.key).filter(|contest| contest.is_of(&repair.fields));
        let arrival = before.as_ref().map_or(now, |contest| contest.theoretical_arrival.max(now)) + limits.interval;
        let is_contested = arrival - now > limits.lead();
        let contested = if is_contested { Some(now) } else { before.and_then(|contest| contest.contested) };
        let contest = Contest { last: repair.clone(), theoretical_arrival: arrival, contested };
        self.0.insert(repair.key.clone(), contest);
    }

    /// The last repair of each object that is contested.
    pub fn contested(&self, now: Instant) -> Vec<Repair> {
        let mut contested: Vec<_> = self
            .0
            .values()
            .filter(|contest| contest.calm_after(now).is_some())
            .map(|contest| contest.last.clone())
            .collect();
        contested.sort_by(|a, b| a.key.cmp(&b.key));
        contested
    }

    /// When the first contested object is not any more, if nothing happens.
    pub fn calm_after(&self, now: Instant) -> Option<Duration> {
        self.0.values().filter_map(|contest| contest.calm_after(now)).min()
    }
}

impl Contest {
    fn is_of(&self, fields: &[String]) -> bool {
        fields.iter().any(|field| self.last.fields.contains(field))
    }

    /// How long it counts as contested if nothing happens; `None` where it does not.
    fn calm_after(&self, now: Instant) -> Option<Duration> {
        COOLDOWN.checked_sub(now.saturating_duration_since(self.contested?)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RepairLimits {
        RepairLimits::default()
    }

    fn repair(field: &str) -> Repair {
        let key =
            ObjectKey { group: String::new(), kind: "Service".into(), namespace: String::new(), name: "x".into() };
        Repair { key, fields: vec![field.to_owned()], was_deleted: false, by: vec![] }
    }

    fn delay(limiter: &RepairLimiter, field: &str, now: Instant) -> Option<Duration> {
        let Repair { key, fields, .. } = repair(field);
        limiter.delay(&key, &fields, limits(), now)
    }

    #[test]
    fn a_field_that_is_changed_back_again_and_again_is_repaired_slowly() {
        let (mut limiter, mut now, mut delays) = (RepairLimiter::default(), Instant::now(), vec![]);
        for _ in 0..limits().burst + 3 {
            let delay = delay(&limiter, "a", now).unwrap_or_default();
            delays.push(delay);
            now += delay;
            limiter.count(&repair("a"), limits(), now);
        }
        let (free, slowed) = delays.split_at(limits().burst as usize);
        assert!(free.iter().all(Duration::is_zero), "{free:?}");
        assert_eq!(slowed, [limits().interval; 3]);
        assert_eq!(limiter.contested(now).len(), 1);
        assert_eq!(delay(&limiter, "b", now), None, "another field is another matter");
    }

    #[test]
    fn a_person_who_edits_now_and_then_is_never_slowed_down() {
        let (mut limiter, mut now) = (RepairLimiter::default(), Instant::now());
        for _ in 0..1000 {
            now += limits().interval;
            assert_eq!(delay(&limiter, "a", now), None);
            limiter.count(&repair("a"), limits(), now);
        }
        assert!(limiter.contested(now).is_empty());
    }

    #[test]
    fn an_object_is_contested_no_more_when_nobody_changes_it_any_more() {
        let (mut limiter, now) = (RepairLimiter::default(), Instant::now());
        (0..limits().burst).for_each(|_| limiter.count(&repair("a"), limits(), now));
        assert!(limiter.calm_after(now) == Some(COOLDOWN) && delay(&limiter, "a", now).is_some());
        let later = now + COOLDOWN;
        assert!(limiter.contested(later).is_empty() && limiter.calm_after(later).is_none());
        assert_eq!(delay(&limiter, "a", later), None);
    }
}
