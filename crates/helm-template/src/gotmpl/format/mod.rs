//! Go's `fmt`: the print functions, every verb of `Printf`, and `%q`.
//!
//! In: values. Out: bytes. Guarantee: never fails; a wrong verb or argument gives Go's `%!v(…)` texts, and values that
//! contain themselves (which end a Go program) are cut off.

mod float;
mod number;
mod output;
mod printer;
mod printf;
mod text;

pub use float::{float, float_with};
pub use printf::printf;
pub use text::{decode_rune, is_print, quote, quote_ascii};

use super::value::Value;
use output::Printer;

/// `fmt.Sprint`: a blank between two operands of which neither is a string.
#[must_use]
pub fn print(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    let mut after_string = true;
    for (i, value) in values.iter().enumerate() {
        let is_string = matches!(value, Value::String(_));
        if i > 0 && !is_string && !after_string {
            printer.out.push(b' ');
        }
        printer.argument(value, 'v');
        after_string = is_string;
    }
    printer.out
}

/// `fmt.Sprintln`: blanks between all operands and a newline at the end.
#[must_use]
pub fn println(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            printer.out.push(b' ');
        }
        printer.argument(value, 'v');
    }
    printer.out.push(b'\n');
    printer.out
}

/// `%v` of one value.
#[must_use]
pub fn display(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    display_to(value, &mut out);
    out
}

/// Appends `%v` of one value.
pub fn display_to(value: &Value, out: &mut Vec<u8>) {
    let mut printer = Printer { out: std::mem::take(out), ..Printer::default() };
    printer.argument(value, 'v');
    *out = printer.out;
}
