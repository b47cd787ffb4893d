//! What templates may ask of the machine that they run on: time, time zone and randomness.
//!
//! Two hosts are ready-made: [`Host::system`] is the machine itself, and [`Host::fixed`] always answers the same, so that a
//! render can be repeated byte for byte. Nothing else in the library reads a clock, a random source or the environment
//! for the sake of a template.

use super::usage::{Budgets, Usage};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Fills a buffer with random bytes.
pub type Entropy = Box<dyn FnMut(&mut [u8])>;

/// What a function may ask of the machine: the only source of time and randomness in templates; and the count of what the
/// render has used.
///
/// ```
/// use helm_template::gotmpl::Host;
///
/// // Noon of 1 March 2024 in Berlin, but with the randomness of the system.
/// let host = Host { now: || (1_709_290_800, 0), timezone: "Europe/Berlin".to_owned(), ..Host::system() };
/// ```
pub struct Host {
    /// Seconds and nanoseconds since 1970.
    pub now: fn() -> (i64, u32),
    /// IANA name of the local time zone, for `date`.
    pub timezone: String,
    /// Fills a buffer with random bytes.
    pub entropy: RefCell<Entropy>,
    /// What the render has used, and may use. The Helm engine puts the budgets of the render here.
    pub usage: Usage,
}

impl Host {
    /// The clock of the system, its source of secure randomness, and the time zone of the variable `TZ` or else UTC.
    #[must_use]
    pub fn system() -> Self {
        use ring::rand::SecureRandom as _;
        let random = ring::rand::SystemRandom::new();
        let entropy: Entropy = Box::new(move |buffer| {
            // The system's source does not fail once it has started; the name that a chart draws is not a secret.
            let _ = random.fill(buffer);
        });
        let timezone = std::env::var("TZ").ok().filter(|zone| !zone.is_empty()).unwrap_or_else(|| "UTC".to_owned());
        Self { now: system_time, timezone, entropy: entropy.into(), usage: Usage::default() }
    }

    /// The same answers in every render: 1 January 1970 in UTC, and bytes that look random but are not secret. With it the
    /// same chart and values always give the same output, "random" passwords and certificates included.
    #[must_use]
    pub fn fixed() -> Self {
        let mut state = 0_u64;
        let entropy: Entropy = Box::new(move |buffer| {
            // SplitMix64. A constant would keep a search for primes going for ever.
            for chunk in buffer.chunks_mut(8) {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                chunk.iter_mut().zip((mixed ^ (mixed >> 31)).to_le_bytes()).for_each(|(to, from)| *to = from);
            }
        });
        Self { now: || (0, 0), timezone: "UTC".to_owned(), entropy: entropy.into(), usage: Usage::default() }
    }

    /// The same host at the beginning of a render with these budgets.
    #[must_use]
    pub fn with_budgets(self, budgets: Budgets) -> Self {
        Self { usage: Usage::new(budgets), ..self }
    }
}

fn system_time() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(host: &Host) -> [u8; 20] {
        let mut bytes = [0; 20];
        (host.entropy.borrow_mut())(&mut bytes);
        bytes
    }

    #[test]
    fn a_fixed_host_answers_the_same_each_time_and_the_system_does_not() {
        assert_eq!(draw(&Host::fixed()), draw(&Host::fixed()));
        let fixed = Host::fixed();
        assert_ne!(draw(&fixed), draw(&fixed));
        assert_ne!(draw(&Host::system()), draw(&Host::system()));
        assert!((Host::system().now)().0 > 1_700_000_000);
    }
}
