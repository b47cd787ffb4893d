//! Random text, bytes, numbers and orders, all drawn from [`Host::entropy`].
//!
//! Guarantees: draws are uniform (values beyond the largest multiple of the range are drawn again). With a secure
//! source the results are secure secrets; with a fixed source they are the same each time.

use super::args::{fixed, int, text};
use super::base::base64;
use super::go_text::runes;
use crate::gotmpl::Type::{Int, String as GoString};
use crate::gotmpl::{Function, Host, Value};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;

/// The longest text that the functions return; Go has no limit but memory.
const MAX_LENGTH: usize = 1 << 26;

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("randAlphaNum", &[Int], |host, a| draw_text(host, int(a, 0), |b| b.is_ascii_alphanumeric())),
    fixed("randAlpha", &[Int], |host, a| draw_text(host, int(a, 0), |b| b.is_ascii_alphabetic())),
    fixed("randNumeric", &[Int], |host, a| draw_text(host, int(a, 0), |b| b.is_ascii_digit())),
    fixed("randAscii", &[Int], |host, a| draw_text(host, int(a, 0), |b| (b' '..=b'~').contains(&b))),
    fixed("randBytes", &[Int], |host, a| draw_bytes(host, int(a, 0))),
    fixed("randInt", &[Int, Int], |host, a| draw_int(host, int(a, 0), int(a, 1))),
    fixed("shuffle", &[GoString], |host, a| Ok(Value::string(shuffled(host, text(a, 0))))),
    fixed("uuidv4", &[], |host, _| Ok(Value::string(uuid(host)))),
];

/// Fills a buffer from the caller's source.
pub(crate) fn fill(host: &Host, buffer: &mut [u8]) {
    (host.entropy.borrow_mut())(buffer);
}

/// The caller's source of randomness as the random number generator that RustCrypto's crates take.
pub(crate) struct Source<'a>(pub(crate) &'a Host);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        fill(self.0, &mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        fill(self.0, &mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        fill(self.0, buffer);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

/// A uniform number below `bound`; 0 for a bound of 0.
fn below(host: &Host, bound: u64) -> u64 {
    let uneven = u64::MAX.checked_rem(bound).map_or(0, |rest| (rest + 1) % bound);
    loop {
        let mut bytes = [0; 8];
        fill(host, &mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        if drawn <= u64::MAX - uneven {
            return drawn.checked_rem(bound).unwrap_or(0);
        }
    }
}

/// A requested length; a negative one is 0.
fn length(count: i64) -> Result<usize, String> {
    match usize::try_from(count) {
        Ok(n) if n > MAX_LENGTH => Err(format!("a random text of {n} characters is too long (max {MAX_LENGTH})")),
        Ok(n) => Ok(n),
        Err(_) => Ok(0),
    }
}

/// A text of `count` characters for which `wanted` holds.
fn draw_text(host: &Host, count: i64, wanted: fn(u8) -> bool) -> Result<Value, String> {
    let alphabet: Vec<u8> = (0..=127).filter(|b| wanted(*b)).collect();
    let mut out = Vec::new();
    for _ in 0..length(count)? {
        let index = usize::try_from(below(host, alphabet.len() as u64)).unwrap_or(0);
        out.extend(alphabet.get(index));
    }
    Ok(Value::string(out))
}

/// `count` random bytes, in base64.
fn draw_bytes(host: &Host, count: i64) -> Result<Value, String> {
    // Go panics when it allocates the buffer.
    if !(0..1 << 48).contains(&count) {
        return Err("runtime error: makeslice: len out of range".to_owned());
    }
    let mut bytes = vec![0; length(count)?];
    fill(host, &mut bytes);
    Ok(Value::string(base64(&bytes)))
}

/// A number from `min` up to but not including `max`; the range wraps around as Go's integers do.
fn draw_int(host: &Host, min: i64, max: i64) -> Result<Value, String> {
    match u64::try_from(max.wrapping_sub(min)) {
        Ok(range) if range > 0 => Ok(Value::Int(min.wrapping_add(below(host, range).cast_signed()))),
        _ => Err("invalid argument to Intn".to_owned()),
    }
}

/// The characters in a random order (Fisher and Yates).
fn shuffled(host: &Host, s: &[u8]) -> String {
    let mut chars: Vec<char> = runes(s).map(|(c, _)| c).collect();
    for last in (1..chars.len()).rev() {
        let other = usize::try_from(below(host, last as u64 + 1)).unwrap_or(last);
        chars.swap(last, other);
    }
    chars.into_iter().collect()
}

/// A UUID of version 4 (RFC 9562, 5.4).
fn uuid(host: &Host) -> String {
    let mut bytes = [0; 16];
    fill(host, &mut bytes);
    let bits = u128::from_be_bytes(bytes);
    let bits = bits & !(0xf << 76) | 0x4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|range| hex.get(range).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gotmpl::Usage;
    use crate::sprig::testing::check;
    use std::cell::RefCell;

    /// Which characters a text may have.
    type Wanted = fn(u8) -> bool;

    /// Bytes of a small fixed sequence.
    fn host() -> Host {
        let mut next = 0_u8;
        let entropy = move |buffer: &mut [u8]| {
            for byte in buffer {
                next = next.wrapping_mul(5).wrapping_add(113);
                *byte = next;
            }
        };
        Host {
            now: || (0, 0),
            timezone: "UTC".to_owned(),
            entropy: RefCell::new(Box::new(entropy)),
            usage: Usage::default(),
        }
    }

    #[test]
    fn what_is_not_random_is_what_helm_makes_of_it() {
        check(include_str!("testdata/random.txt"));
    }

    #[test]
    fn texts_have_the_length_and_the_characters_asked_for() {
        let host = host();
        let cases: [(&str, Wanted); 4] = [
            ("randAlphaNum", |b| b.is_ascii_alphanumeric()),
            ("randAlpha", |b| b.is_ascii_alphabetic()),
            ("randNumeric", |b| b.is_ascii_digit()),
            ("randAscii", |b| (32..127).contains(&b)),
        ];
        for (name, wanted) in cases {
            let function = crate::sprig::function(name).expect("a function");
            let Ok(Value::String(s)) = (function.call)(&host, &[Value::Int(200)]) else { panic!("no text") };
            assert!(s.as_bytes().len() == 200 && s.as_bytes().iter().all(|b| wanted(*b)), "{name}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_all_of_it() {
        let host = host();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let Ok(Value::Int(n)) = draw_int(&host, -2, 3) else { panic!("no number") };
            seen.insert(n);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
    }

    #[test]
    fn a_uuid_says_its_version_and_variant() {
        let id = uuid(&host());
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
    }

    #[test]
    fn shuffling_keeps_the_characters() {
        let mut sorted: Vec<char> = shuffled(&host(), "sorted-é".as_bytes()).chars().collect();
        sorted.sort_unstable();
        assert_eq!(sorted.into_iter().collect::<String>(), "-deorsté");
    }

    #[test]
    fn a_text_longer_than_memory_is_refused() {
        assert!(draw_text(&host(), i64::MAX, |_| true).is_err());
    }
}
