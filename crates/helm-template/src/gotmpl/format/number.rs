//! Integers under every verb.

use super::output::{BadVerb, Printer};
use super::text::{is_print, quote_with};

impl Printer {
    /// An integer by its magnitude and sign.
    pub(super) fn integer(&mut self, magnitude: u64, negative: bool, signed: bool, verb: char) -> Result<(), BadVerb> {
        let base = match verb {
            // `%#v` of an unsigned number is hexadecimal.
            'v' if self.flags.go_syntax && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(magnitude, false, 16, 'x');
                self.flags.sharp = sharp;
                return Ok(());
            }
            'v' | 'd' => 10,
            'b' => 2,
            'o' | 'O' => 8,
            'x' | 'X' => 16,
            'c' | 'q' | 'U' => {
                self.character(magnitude, negative, verb);
                return Ok(());
            }
            _ => return Err(BadVerb),
        };
        self.digits(magnitude, negative, base, verb);
        Ok(())
    }

    fn digits(&mut self, magnitude: u64, negative: bool, base: u32, verb: char) {
        let flags = self.flags;
        if flags.precision == Some(0) && magnitude == 0 {
            return self.pad_with_blanks(b"");
        }
        let mut digits = match base {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 if verb == 'X' => format!("{magnitude:X}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let shows_sign = negative || flags.plus || flags.space;
        let least = match (flags.precision, flags.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(usize::from(shows_sign)),
            _ => 0,
        };
        if digits.len() < least {
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        let sharp = match base {
            2 => "0b",
            8 if !digits.starts_with('0') => "0",
            16 if verb == 'X' => "0X",
            16 => "0x",
            _ => "",
        };
        let sign = match () {
            () if negative => "-",
            () if flags.plus => "+",
            () if flags.space => " ",
            () => "",
        };
        let octal = if verb == 'O' { "0o" } else { "" };
        let text = format!("{sign}{octal}{}{digits}", if flags.sharp { sharp } else { "" });
        self.pad_with_blanks(text.as_bytes());
    }

    /// `%c`, `%q` and `%U`.
    fn character(&mut self, magnitude: u64, negative: bool, verb: char) {
        let known = u32::try_from(magnitude).ok().filter(|_| !negative).and_then(char::from_u32);
        let c = known.unwrap_or(char::REPLACEMENT_CHARACTER);
        match verb {
            'c' => self.pad(c.encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => {
                let quoted = quote_with(c.encode_utf8(&mut [0; 4]).as_bytes(), '\'', self.flags.plus);
                self.pad(&quoted);
            }
            _ => {
                let code = if negative { magnitude.wrapping_neg() } else { magnitude };
                let least = self.flags.precision.unwrap_or(0).max(4);
                let shown = known.filter(|c| self.flags.sharp && is_print(*c)).map(|c| format!(" '{c}'"));
                let digits = format!("{code:X}");
                let zeros = "0".repeat(least.saturating_sub(digits.len()));
                let text = format!("U+{zeros}{digits}{}", shown.unwrap_or_default());
                self.pad_with_blanks(text.as_bytes());
            }
        }
    }
}
