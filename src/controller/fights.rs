//! Fields that somebody changes back again and again.
//!
//! A repair is made at once. The same field of the same object repaired many times in a row is a fight with another
//! manager, which neither side wins: from then on we repair at a slow pace, and say whom we fight.

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
    /// A burst that a person never comes to, and a controller within seconds.
    fn default() -> Self {
        Self { burst: 30, interval: Duration::from_secs(5) }
    }
}

impl RepairLimits {
    /// How far repairs may be ahead of their pace.
    fn lead(self) -> Duration {
        self.interval.saturating_mul(self.burst.saturating_sub(1))
    }
}

/// A fight is over when nothing had to be repaired for this long.
const PEACE: Duration = Duration::from_mins(2);

/// A fight, or what may become one.
pub(super) struct Fight {
    /// The fields that were repaired last.
    pub fields: Vec<String>,
    /// The managers who had changed them.
    pub by: Vec<String>,
    /// When repairs at our pace would have come as far as we are.
    due: Instant,
    /// The last repair that used up what may be done at once.
    contested: Option<Instant>,
}

/// The repairs of late.
#[derive(Default)]
pub(super) struct Fights(HashMap<ObjectKey, Fight>);

impl Fights {
    /// How long a repair of these fields has to wait; `None` for not at all.
    pub fn wait(&self, key: &ObjectKey, fields: &[String], limits: RepairLimits, now: Instant) -> Option<Duration> {
        let fight = self.0.get(key).filter(|f| f.is_of(fields))?;
        let wait = fight.due.saturating_duration_since(now).saturating_sub(limits.lead());
        (!wait.is_zero()).then_some(wait)
    }

    /// Takes down a repair of what these managers had changed.
    pub fn repaired(&mut self, key: &ObjectKey, fields: &[String], by: &[String], limits: RepairLimits, now: Instant) {
        let before = self.0.remove(key).filter(|f| f.is_of(fields));
        let due = before.as_ref().map_or(now, |f| f.due.max(now)) + limits.interval;
        let contested = if due - now > limits.lead() { Some(now) } else { before.and_then(|f| f.contested) };
        self.0.insert(key.clone(), Fight { fields: fields.to_vec(), by: by.to_vec(), due, contested });
    }

    /// The fights that are on, by object.
    pub fn on(&self, now: Instant) -> Vec<(&ObjectKey, &Fight)> {
        let mut on: Vec<_> = self.0.iter().filter(|(_, f)| f.peace(now).is_some()).collect();
        on.sort_by_key(|(key, _)| *key);
        on
    }

    /// When the first fight that is on will be over if nothing happens.
    pub fn next_peace(&self, now: Instant) -> Option<Duration> {
        self.0.values().filter_map(|f| f.peace(now)).min()
    }
}

impl Fight {
    fn is_of(&self, fields: &[String]) -> bool {
        fields.iter().any(|f| self.fields.contains(f))
    }

    /// How long it will go on if nothing happens; `None` where it is over, or was none.
    fn peace(&self, now: Instant) -> Option<Duration> {
        PEACE.checked_sub(now.saturating_duration_since(self.contested?)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RepairLimits {
        RepairLimits::default()
    }

    fn key() -> ObjectKey {
        ObjectKey { group: String::new(), kind: "Service".into(), namespace: String::new(), name: "x".into() }
    }

    fn fields(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[test]
    fn a_field_that_is_changed_back_again_and_again_is_repaired_at_a_slow_pace() {
        let (mut fights, mut now, mut waits) = (Fights::default(), Instant::now(), vec![]);
        for _ in 0..limits().burst + 3 {
            let wait = fights.wait(&key(), &fields("a"), limits(), now).unwrap_or_default();
            waits.push(wait);
            now += wait;
            fights.repaired(&key(), &fields("a"), &[], limits(), now);
        }
        let (free, slowed) = waits.split_at(limits().burst as usize);
        assert!(free.iter().all(Duration::is_zero), "{free:?}");
        assert_eq!(slowed, [limits().interval; 3]);
        assert_eq!(fights.on(now).len(), 1);
        assert_eq!(fights.wait(&key(), &fields("b"), limits(), now), None, "another field is another matter");
    }

    #[test]
    fn a_person_who_edits_now_and_then_fights_nobody() {
        let (mut fights, mut now) = (Fights::default(), Instant::now());
        for _ in 0..1000 {
            now += limits().interval;
            assert_eq!(fights.wait(&key(), &fields("a"), limits(), now), None);
            fights.repaired(&key(), &fields("a"), &[], limits(), now);
        }
        assert!(fights.on(now).is_empty());
    }

    #[test]
    fn a_fight_ends_when_nobody_fights_any_more() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        (0..limits().burst).for_each(|_| fights.repaired(&key(), &fields("a"), &[], limits(), now));
        assert!(fights.next_peace(now) == Some(PEACE) && fights.wait(&key(), &fields("a"), limits(), now).is_some());
        let later = now + PEACE;
        assert!(fights.on(later).is_empty() && fights.next_peace(later).is_none());
        assert_eq!(fights.wait(&key(), &fields("a"), limits(), later), None);
    }
}
