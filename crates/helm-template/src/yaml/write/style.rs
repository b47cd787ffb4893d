//! How a string is written: plain, in single or double quotes, or as a literal block.
//!
//! In: the string and whether it is a simple key. Out: a [`Style`]. The rules are those of the emitters of yaml.v2 and
//! yaml.v3, which differ only in the handling of TAB and in one spelling of octal numbers.

use super::Dialect;
use crate::ascii;
use crate::yaml::scalar::{Scalar, is_base_60, resolve};

/// The four ways to write a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// Longest key in bytes that is written as `key: value`; longer ones take the `? key` form.
const SIMPLE_KEY: usize = 128;

/// Whether a key fits the `key: value` form.
pub(super) fn is_simple_key(key: &str) -> bool {
    key.len() <= SIMPLE_KEY && !key.contains(is_break)
}

/// What characters of a string rule out.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact about the text")]
struct Traits {
    leading_blank: bool,
    trailing_blank: bool,
    break_then_space: bool,
    space_then_break: bool,
    breaks: bool,
    tabs: bool,
    unprintable: bool,
    indicators: bool,
}

/// The style for a string; `key` if it is written as a simple key.
pub(super) fn choose(text: &str, key: bool, dialect: Dialect) -> Style {
    if text.contains('\n') {
        return if !key && is_block_allowed(text, dialect) { Style::Literal } else { Style::Double };
    }
    if !reads_back_as_text(text, dialect) {
        return Style::Double;
    }
    let traits = Traits::of(text, dialect);
    if traits.plain_allowed() {
        Style::Plain
    } else if traits.single_allowed() {
        Style::Single
    } else {
        Style::Double
    }
}

fn is_block_allowed(text: &str, dialect: Dialect) -> bool {
    if ascii::is_printable(text) {
        return !text.ends_with(' ') && !text.contains(" \n");
    }
    Traits::of(text, dialect).block_allowed()
}

fn reads_back_as_text(text: &str, dialect: Dialect) -> bool {
    resolve(text) == Scalar::Text && !is_base_60(text) && !(dialect == Dialect::V3 && is_signed_octal(text))
}

/// `0o-7` and `0o+7`, which yaml.v3 alone reads as numbers.
fn is_signed_octal(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let digits = plain.strip_prefix("0o").and_then(|rest| rest.strip_prefix(['-', '+']));
    digits.is_some_and(|digits| u64::from_str_radix(digits, 8).is_ok_and(|n| i64::try_from(n).is_ok()))
}

impl Traits {
    fn of(text: &str, dialect: Dialect) -> Self {
        let mut traits = Self { indicators: text.starts_with("---") || text.starts_with("..."), ..Self::default() };
        let mut previous = None;
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c.is_ascii_alphanumeric() {
                previous = Some(c);
                continue;
            }
            let next = rest.as_str().chars().next();
            traits.indicators |= is_indicator(c, previous, next);
            if c == '\t' && dialect == Dialect::V3 {
                traits.tabs = true;
            } else if !is_printable(c) {
                traits.unprintable = true;
            }
            if c == ' ' {
                traits.leading_blank |= previous.is_none();
                traits.trailing_blank |= next.is_none();
                traits.break_then_space |= previous.is_some_and(is_break);
            } else if is_break(c) {
                traits.breaks = true;
                traits.space_then_break |= previous == Some(' ');
            }
            previous = Some(c);
        }
        traits
    }

    fn plain_allowed(&self) -> bool {
        !(self.leading_blank || self.trailing_blank || self.breaks || self.indicators) && self.single_allowed()
    }

    fn single_allowed(&self) -> bool {
        !(self.break_then_space || self.space_then_break || self.tabs || self.unprintable)
    }

    fn block_allowed(&self) -> bool {
        !(self.trailing_blank || self.space_then_break || self.unprintable)
    }
}

/// Whether a character cannot stand in a plain scalar at this place.
fn is_indicator(c: char, previous: Option<char>, next: Option<char>) -> bool {
    let blank_follows = next.is_none_or(is_blank);
    match (c, previous) {
        ('#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`', None) => true,
        ('?' | '-', None) | (':', _) => blank_follows,
        ('#', Some(before)) => is_blank(before) || is_break(before) || before == '\0',
        _ => false,
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Line breaks as the emitters see them.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Characters that need no escape. Everything above U+FFFF is escaped.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}') && c != '\u{FEFF}'
}
