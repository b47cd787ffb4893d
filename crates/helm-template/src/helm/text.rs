//! Small pieces of Go's formatting that the texts of Helm need.

use crate::gotmpl::{Value, format};
use std::num::{IntErrorKind, ParseIntError};

fn printf(verb: &str, value: Value) -> String {
    String::from_utf8_lossy(&format::printf(verb.as_bytes(), &[value])).into_owned()
}

/// A Go string literal (`%q`).
#[must_use]
pub fn quoted(s: &str) -> String {
    String::from_utf8_lossy(&format::quote(s.as_bytes())).into_owned()
}

/// A Go rune literal (`%q` of a rune).
#[must_use]
pub fn quoted_rune(c: char) -> String {
    printf("%q", Value::Int(i64::from(u32::from(c))))
}

/// Go's `unicode.IsPrint`.
#[must_use]
pub fn is_print(c: char) -> bool {
    format::is_print(c)
}

/// What `%v` prints.
#[must_use]
pub fn plain(value: &Value) -> String {
    printf("%v", value.clone())
}

/// What `%t` prints, which Helm uses for values of any type.
#[must_use]
pub fn as_boolean(value: &Value) -> String {
    printf("%t", value.clone())
}

/// A text that is not a whole number, as Go's `strconv.Atoi` tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strconv.Atoi: parsing {}: {}", quoted(text), Self::go_text(*kind))]
pub struct NotInteger {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub kind: IntErrorKind,
}

impl NotInteger {
    fn go_text(kind: IntErrorKind) -> &'static str {
        match kind {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        }
    }
}

/// Go's `strconv.Atoi`.
///
/// # Errors
/// The text is not a whole number, or one of more than 64 bits.
pub fn atoi(text: &str) -> Result<i64, NotInteger> {
    text.parse().map_err(|e: ParseIntError| NotInteger { text: text.to_owned(), kind: *e.kind() })
}
