//! Fields that somebody changes back again and again.
//!
//! A repair is made at once. The same field of the same object repaired many times in a row is a fight with another
//! manager, which neither side wins: from then on we wait longer before each repair, and say whom we fight.

use crate::object::ObjectKey;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Repairs of the same fields from which on it is a fight.
const ROUNDS: u32 = 5;
/// A fight is over when nothing had to be repaired for this long.
const PEACE: Duration = Duration::from_mins(10);
/// The first wait before a repair in a fight, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// A fight, or what may become one.
pub(super) struct Fight {
    /// The fields that were repaired last.
    pub fields: Vec<String>,
    /// The managers who had changed them.
    pub by: Vec<String>,
    rounds: u32,
    last: Instant,
}

/// The repairs of late.
#[derive(Default)]
pub(super) struct Fights(HashMap<ObjectKey, Fight>);

impl Fights {
    /// How long a repair of these fields has to wait; `None` for not at all.
    pub fn wait(&self, key: &ObjectKey, fields: &[String], now: Instant) -> Option<Duration> {
        let fight = self.0.get(key).filter(|f| f.rounds >= ROUNDS && f.is_of(fields) && now - f.last < PEACE)?;
        let wait = (WAIT.0 * 2_u32.pow((fight.rounds - ROUNDS).min(8))).min(WAIT.1);
        wait.checked_sub(now - fight.last).filter(|wait| !wait.is_zero())
    }

    /// Takes down a repair of what these managers had changed.
    pub fn repaired(&mut self, key: &ObjectKey, fields: &[String], by: &[String], now: Instant) {
        let before = self.0.get(key).filter(|f| f.is_of(fields) && now - f.last < PEACE).map_or(0, |f| f.rounds);
        let rounds = before.saturating_add(1);
        self.0.insert(key.clone(), Fight { fields: fields.to_vec(), by: by.to_vec(), rounds, last: now });
    }

    /// The fights that are on, by object.
    pub fn on(&self, now: Instant) -> Vec<(&ObjectKey, &Fight)> {
        let mut on: Vec<_> = self.0.iter().filter(|(_, f)| f.rounds >= ROUNDS && now - f.last < PEACE).collect();
        on.sort_by_key(|(key, _)| *key);
        on
    }

    /// When the first fight that is on will be over if nothing happens.
    pub fn next_peace(&self, now: Instant) -> Option<Duration> {
        self.on(now).iter().map(|(_, f)| PEACE.saturating_sub(now - f.last)).min()
    }
}

impl Fight {
    fn is_of(&self, fields: &[String]) -> bool {
        fields.iter().any(|f| self.fields.contains(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        ObjectKey { group: String::new(), kind: "Service".into(), namespace: String::new(), name: "x".into() }
    }

    fn fields(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[test]
    fn a_field_that_is_changed_back_again_and_again_is_repaired_more_and_more_slowly() {
        let (mut fights, mut now, mut waits) = (Fights::default(), Instant::now(), vec![]);
        for _ in 0..13 {
            let wait = fights.wait(&key(), &fields("a"), now).unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            fights.repaired(&key(), &fields("a"), &[], now);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(fights.on(now).len(), 1);
        assert_eq!(fights.wait(&key(), &fields("b"), now), None, "another field is another matter");
    }

    #[test]
    fn a_fight_ends_when_nobody_fights_any_more() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        (0..6).for_each(|_| fights.repaired(&key(), &fields("a"), &[], now));
        assert!(fights.next_peace(now) == Some(PEACE) && fights.wait(&key(), &fields("a"), now).is_some());
        let later = now + PEACE;
        assert!(fights.on(later).is_empty());
        assert_eq!(fights.wait(&key(), &fields("a"), later), None);
        fights.repaired(&key(), &fields("a"), &[], later);
        assert!(fights.on(later).is_empty(), "the count begins anew");
    }
}
