//! Random text, bytes, numbers and orders, all drawn from [`Ambient::entropy`].
//!
//! Guarantees: draws are uniform (values beyond the largest multiple of the range are drawn again), so a caller who
//! gives a secure source gets secure secrets, and one who gives a fixed source gets the same text each time.

use super::args::{fixed, int, text};
use super::base::base64;
use super::go_text::runes;
use crate::gotmpl::Type::{Int, String as GoString};
use crate::gotmpl::{Ambient, Function, Value};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;

/// The longest text that the functions make; Go stops only where memory ends.
const MAX_LENGTH: usize = 1 << 26;

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("randAlphaNum", &[Int], |ambient, a| draw_text(ambient, int(a, 0), |b| b.is_ascii_alphanumeric())),
    fixed("randAlpha", &[Int], |ambient, a| draw_text(ambient, int(a, 0), |b| b.is_ascii_alphabetic())),
    fixed("randNumeric", &[Int], |ambient, a| draw_text(ambient, int(a, 0), |b| b.is_ascii_digit())),
    fixed("randAscii", &[Int], |ambient, a| draw_text(ambient, int(a, 0), |b| (b' '..=b'~').contains(&b))),
    fixed("randBytes", &[Int], |ambient, a| draw_bytes(ambient, int(a, 0))),
    fixed("randInt", &[Int, Int], |ambient, a| draw_int(ambient, int(a, 0), int(a, 1))),
    fixed("shuffle", &[GoString], |ambient, a| Ok(Value::string(shuffled(ambient, text(a, 0))))),
    fixed("uuidv4", &[], |ambient, _| Ok(Value::string(uuid(ambient)))),
];

/// Fills a buffer from the caller's source.
pub(crate) fn fill(ambient: &Ambient, buffer: &mut [u8]) {
    (ambient.entropy.borrow_mut())(buffer);
}

/// The caller's source of randomness, in the form that cryptography takes.
pub(crate) struct Source<'a>(pub(crate) &'a Ambient);

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

/// A uniform number from 0 up to, but without, `bound`; 0 for a bound of 0.
fn below(ambient: &Ambient, bound: u64) -> u64 {
    let uneven = u64::MAX.checked_rem(bound).map_or(0, |rest| (rest + 1) % bound);
    loop {
        let mut bytes = [0; 8];
        fill(ambient, &mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        if drawn <= u64::MAX - uneven {
            return drawn.checked_rem(bound).unwrap_or(0);
        }
    }
}

/// A length as asked for: what is negative is nothing.
fn length(count: i64) -> Result<usize, String> {
    match usize::try_from(count) {
        Ok(n) if n > MAX_LENGTH => Err(format!("a random text of {n} characters is too long (max {MAX_LENGTH})")),
        Ok(n) => Ok(n),
        Err(_) => Ok(0),
    }
}

/// A text of so many characters out of those that `wanted` names.
fn draw_text(ambient: &Ambient, count: i64, wanted: fn(u8) -> bool) -> Result<Value, String> {
    let alphabet: Vec<u8> = (0..=127).filter(|b| wanted(*b)).collect();
    let mut out = Vec::new();
    for _ in 0..length(count)? {
        let index = usize::try_from(below(ambient, alphabet.len() as u64)).unwrap_or(0);
        out.extend(alphabet.get(index));
    }
    Ok(Value::string(out))
}

/// So many bytes, in base64.
fn draw_bytes(ambient: &Ambient, count: i64) -> Result<Value, String> {
    // Go panics where it makes the buffer.
    if !(0..1 << 48).contains(&count) {
        return Err("runtime error: makeslice: len out of range".to_owned());
    }
    let mut bytes = vec![0; length(count)?];
    fill(ambient, &mut bytes);
    Ok(Value::string(base64(&bytes)))
}

/// A number from `min` up to, but without, `max`; the range wraps around as Go's integers do.
fn draw_int(ambient: &Ambient, min: i64, max: i64) -> Result<Value, String> {
    match u64::try_from(max.wrapping_sub(min)) {
        Ok(range) if range > 0 => Ok(Value::Int(min.wrapping_add(below(ambient, range).cast_signed()))),
        _ => Err("invalid argument to Intn".to_owned()),
    }
}

/// The characters in a random order (Fisher and Yates).
fn shuffled(ambient: &Ambient, s: &[u8]) -> String {
    let mut chars: Vec<char> = runes(s).into_iter().map(|(c, _)| c).collect();
    for last in (1..chars.len()).rev() {
        let other = usize::try_from(below(ambient, last as u64 + 1)).unwrap_or(last);
        chars.swap(last, other);
    }
    chars.into_iter().collect()
}

/// A UUID of version 4 (RFC 9562, 5.4).
fn uuid(ambient: &Ambient) -> String {
    let mut bytes = [0; 16];
    fill(ambient, &mut bytes);
    let bits = u128::from_be_bytes(bytes);
    let bits = bits & !(0xf << 76) | 0x4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|range| hex.get(range).unwrap_or_default()).join("-")
}
