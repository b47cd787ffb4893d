//! `fmt.Sprintf`.

use super::super::value::Value;
use super::output::{Flags, Printer};
use super::text::decode_rune;

/// Go's bound on widths, precisions and argument numbers.
const TOO_LARGE: usize = 1_000_000;

/// `fmt.Sprintf(format, values...)`.
#[must_use]
pub fn printf(format: &[u8], values: &[Value]) -> Vec<u8> {
    let mut run = Run { format, at: 0, values, next: 0, reordered: false, good: true, printer: Printer::default() };
    while run.at < format.len() {
        let rest = run.rest();
        let literal = rest.iter().position(|b| *b == b'%').unwrap_or(rest.len());
        run.printer.out.extend_from_slice(rest.get(..literal).unwrap_or_default());
        run.at += literal;
        if run.at < format.len() {
            run.at += 1;
            run.verb();
        }
    }
    run.extra();
    run.printer.out
}

/// The state of one call.
struct Run<'a> {
    format: &'a [u8],
    at: usize,
    values: &'a [Value],
    /// The argument to print next.
    next: usize,
    /// An argument number was used.
    reordered: bool,
    /// The argument numbers of this verb are fine.
    good: bool,
    printer: Printer,
}

impl<'a> Run<'a> {
    fn rest(&self) -> &'a [u8] {
        self.format.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.rest().first() == Some(&byte);
        self.at += usize::from(taken);
        taken
    }

    fn verb(&mut self) {
        self.printer.flags = Flags::default();
        self.good = true;
        self.flags();
        let mut numbered = self.argument_number();
        self.width(&mut numbered);
        self.precision(&mut numbered);
        if !numbered {
            self.argument_number();
        }
        let Some((verb, width)) = decode_rune(self.rest()) else {
            self.printer.out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        self.at += width;
        if verb == '%' {
            self.printer.out.push(b'%');
        } else if !self.good {
            self.complain(verb, b"(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            if matches!(verb, 'v' | 'w') {
                let flags = &mut self.printer.flags;
                flags.go_syntax = std::mem::replace(&mut flags.sharp, false);
                flags.plus = false;
            }
            self.printer.argument(value, verb);
            self.next += 1;
        } else {
            self.complain(verb, b"(MISSING)");
        }
    }

    fn complain(&mut self, verb: char, text: &[u8]) {
        self.printer.out.extend_from_slice(b"%!");
        self.printer.rune(verb);
        self.printer.out.extend_from_slice(text);
    }

    fn flags(&mut self) {
        loop {
            let flags = &mut self.printer.flags;
            match self.format.get(self.at) {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = true,
                Some(b'+') => flags.plus = true,
                Some(b'-') => flags.minus = true,
                Some(b' ') => flags.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    fn width(&mut self, numbered: &mut bool) {
        if self.take(b'*') {
            let width = self.star();
            let flags = &mut self.printer.flags;
            flags.width = width.map(i64::unsigned_abs).and_then(|w| usize::try_from(w).ok());
            match width {
                None => self.printer.out.extend_from_slice(b"%!(BADWIDTH)"),
                Some(..0) => {
                    flags.minus = true;
                    flags.zero = false;
                }
                Some(_) => {}
            }
            *numbered = false;
            return;
        }
        self.printer.flags.width = self.number();
        // `%[3]2d`: the number must stand right before the verb.
        if *numbered && self.printer.flags.width.is_some() {
            self.good = false;
        }
    }

    fn precision(&mut self, numbered: &mut bool) {
        if self.rest().len() < 2 || !self.take(b'.') {
            return;
        }
        if *numbered {
            self.good = false;
        }
        *numbered = self.argument_number();
        if !self.take(b'*') {
            self.printer.flags.precision = Some(self.number().unwrap_or(0));
            return;
        }
        let precision = self.star().and_then(|p| usize::try_from(p).ok());
        self.printer.flags.precision = precision;
        if precision.is_none() {
            self.printer.out.extend_from_slice(b"%!(BADPREC)");
        }
        *numbered = false;
    }

    /// A width or precision taken from the arguments.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Int(i) | Value::Int64(i) => *i,
            Value::Uint64(u) => i64::try_from(*u).ok()?,
            _ => return None,
        };
        (number.unsigned_abs() <= TOO_LARGE as u64).then_some(number)
    }

    /// Decimal digits; too many are not a number.
    fn number(&mut self) -> Option<usize> {
        let digits = self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        let text = self.rest().get(..digits)?;
        let mut number = 0usize;
        for byte in text {
            if number > TOO_LARGE {
                // Go gives up at once and takes the rest of the format for the verb's end.
                self.at = self.format.len();
                return None;
            }
            number = number * 10 + usize::from(byte - b'0');
        }
        self.at += digits;
        (digits > 0).then_some(number)
    }

    /// `[n]`, and whether it was there.
    fn argument_number(&mut self) -> bool {
        if self.rest().first() != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let close = self.rest().iter().position(|b| *b == b']').filter(|_| self.rest().len() >= 3);
        let inner = close.and_then(|close| self.rest().get(1..close));
        let number = inner
            .filter(|i| i.len() <= 7 && i.iter().all(u8::is_ascii_digit))
            .and_then(|i| std::str::from_utf8(i).ok()?.parse::<usize>().ok());
        self.at += close.map_or(1, |close| close + 1);
        match number {
            Some(n) if (1..=self.values.len()).contains(&n) => {
                self.next = n - 1;
                true
            }
            other => {
                self.good = false;
                other.is_some()
            }
        }
    }

    /// What was left over.
    fn extra(&mut self) {
        let Some(left) = self.values.get(self.next..).filter(|left| !left.is_empty() && !self.reordered) else {
            return;
        };
        self.printer.flags = Flags::default();
        self.printer.out.extend_from_slice(b"%!(EXTRA ");
        for (i, value) in left.iter().enumerate() {
            if i > 0 {
                self.printer.out.extend_from_slice(b", ");
            }
            if !matches!(value, Value::Nil) {
                self.printer.out.extend_from_slice(value.type_name().as_bytes());
                self.printer.out.push(b'=');
            }
            self.printer.argument(value, 'v');
        }
        self.printer.out.push(b')');
    }
}
