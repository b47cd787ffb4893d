//! Small pieces of Go's formatting that the texts of Helm need.

use crate::gotmpl::{Value, format};

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

/// Go's `strconv.Atoi`.
///
/// # Errors
/// Go's text.
pub fn atoi(s: &str) -> Result<i64, String> {
    s.parse().map_err(|e: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let problem = match e.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {problem}", quoted(s))
    })
}
