//! Numbers: integer arithmetic on int64, decimal arithmetic on floats, rounding and sequences.

use super::args::{at, fixed, from, int, text, variadic};
use super::cast::{IntError, parse_int, to_float, to_int64};
use super::decimal::Decimal;
use crate::gotmpl::Type::{Any, Float, Int, String};
use crate::gotmpl::format::display;
use crate::gotmpl::{Function, List, ListKind, Value};

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("atoi", &[String], |_, a| {
        Ok(Value::Int(match parse_int(text(a, 0), 10) {
            Ok(n) | Err(IntError::Range(n)) => n,
            Err(IntError::Syntax) => 0,
        }))
    }),
    fixed("int", &[Any], |_, a| Ok(Value::Int(to_int64(at(a, 0))))),
    fixed("int64", &[Any], |_, a| Ok(Value::Int64(to_int64(at(a, 0))))),
    fixed("float64", &[Any], |_, a| Ok(Value::Float(to_float(at(a, 0))))),
    fixed("toDecimal", &[Any], |_, a| Ok(Value::Int64(parse_int(&display(at(a, 0)), 8).unwrap_or(0)))),
    variadic("add", &[], Any, |_, a| Ok(fold(0, a, i64::wrapping_add))),
    fixed("add1", &[Any], |_, a| Ok(Value::Int64(to_int64(at(a, 0)).wrapping_add(1)))),
    fixed("sub", &[Any, Any], |_, a| Ok(fold(to_int64(at(a, 0)), from(a, 1), i64::wrapping_sub))),
    variadic("mul", &[Any], Any, |_, a| Ok(fold(to_int64(at(a, 0)), from(a, 1), i64::wrapping_mul))),
    fixed("div", &[Any, Any], |_, a| divide(a, i64::wrapping_div)),
    fixed("mod", &[Any, Any], |_, a| divide(a, i64::wrapping_rem)),
    variadic("max", &[Any], Any, |_, a| Ok(fold(to_int64(at(a, 0)), from(a, 1), i64::max))),
    variadic("biggest", &[Any], Any, |_, a| Ok(fold(to_int64(at(a, 0)), from(a, 1), i64::max))),
    variadic("min", &[Any], Any, |_, a| Ok(fold(to_int64(at(a, 0)), from(a, 1), i64::min))),
    variadic("addf", &[], Any, |_, a| decimals(&Value::Float(0.0), a, |x, y| Ok(x.add(y)))),
    fixed("add1f", &[Any], |_, a| decimals(at(a, 0), &[Value::Float(1.0)], |x, y| Ok(x.add(y)))),
    variadic("subf", &[Any], Any, |_, a| decimals(at(a, 0), from(a, 1), |x, y| Ok(x.sub(y)))),
    variadic("mulf", &[Any], Any, |_, a| decimals(at(a, 0), from(a, 1), |x, y| Ok(x.mul(y)))),
    variadic("divf", &[Any], Any, |_, a| decimals(at(a, 0), from(a, 1), Decimal::div)),
    variadic("maxf", &[Any], Any, |_, a| {
        Ok(extreme(a, |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { x.max(y) }))
    }),
    variadic("minf", &[Any], Any, |_, a| {
        Ok(extreme(a, |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { x.min(y) }))
    }),
    fixed("ceil", &[Any], |_, a| Ok(Value::Float(to_float(at(a, 0)).ceil()))),
    fixed("floor", &[Any], |_, a| Ok(Value::Float(to_float(at(a, 0)).floor()))),
    variadic("round", &[Any, Int], Float, |_, a| Ok(round(a))),
    fixed("until", &[Int], |_, a| {
        let end = int(a, 0);
        steps(0, end, if end < 0 { -1 } else { 1 }).map(ints)
    }),
    fixed("untilStep", &[Int, Int, Int], |_, a| steps(int(a, 0), int(a, 1), int(a, 2)).map(ints)),
    variadic("seq", &[], Int, |_, a| seq(a)),
];

fn fold(start: i64, rest: &[Value], f: fn(i64, i64) -> i64) -> Value {
    Value::Int64(rest.iter().fold(start, |sum, v| f(sum, to_int64(v))))
}

fn divide(args: &[Value], f: fn(i64, i64) -> i64) -> Result<Value, std::string::String> {
    match to_int64(at(args, 1)) {
        0 => Err("runtime error: integer divide by zero".to_owned()),
        divisor => Ok(Value::Int64(f(to_int64(at(args, 0)), divisor))),
    }
}

type DecimalStep = fn(&Decimal, &Decimal) -> Result<Decimal, std::string::String>;

/// Goes through the decimal text of every float, so that 0.1 + 0.2 is 0.3.
fn decimals(start: &Value, rest: &[Value], f: DecimalStep) -> Result<Value, std::string::String> {
    let mut sum = Decimal::from_float(to_float(start))?;
    for v in rest {
        sum = f(&sum, &Decimal::from_float(to_float(v))?)?;
    }
    Ok(Value::Float(sum.to_float()))
}

fn extreme(args: &[Value], f: fn(f64, f64) -> f64) -> Value {
    let start = to_float(at(args, 0));
    Value::Float(from(args, 1).iter().fold(start, |best, v| f(best, to_float(v))))
}

/// The signed fraction decides, so that -1.5 goes down to -2 but 1.5 goes up to 2.
fn round(args: &[Value]) -> Value {
    let round_on = args.get(2).map_or(0.5, to_float);
    let power = 10.0_f64.powf(to_float(at(args, 1)));
    let digit = power * to_float(at(args, 0));
    let rounded = if digit.fract() >= round_on { digit.ceil() } else { digit.floor() };
    Value::Float(rounded / power)
}

/// The numbers from start towards the end, which is excluded; none if the step leads away from it.
fn steps(start: i64, end: i64, step: i64) -> Result<Vec<i64>, std::string::String> {
    /// Go has no limit but memory.
    const MAX: u64 = 1 << 26;
    if step == 0 || (end < start) != (step < 0) {
        return Ok(Vec::new());
    }
    if start.abs_diff(end) / step.unsigned_abs() > MAX {
        return Err(format!("{start} to {end} in steps of {step} is too long a list; use a smaller range"));
    }
    let next = |n: &i64| n.checked_add(step).filter(|n| if step > 0 { *n < end } else { *n > end });
    Ok(std::iter::successors((start != end).then_some(start), next).collect())
}

fn ints(numbers: Vec<i64>) -> Value {
    Value::List(List::new(ListKind::Ints, numbers.into_iter().map(Value::Int).collect()))
}

/// `seq LAST`, `seq FIRST LAST` or `seq FIRST STEP LAST`, the last number included.
fn seq(args: &[Value]) -> Result<Value, std::string::String> {
    let toward = |first: i64, last: i64| if last < first { -1 } else { 1 };
    let numbers = match args.len() {
        1 => {
            let (last, step) = (int(args, 0), toward(1, int(args, 0)));
            steps(1, last.wrapping_add(step), step)?
        }
        2 => {
            let (first, last) = (int(args, 0), int(args, 1));
            let step = toward(first, last);
            steps(first, last.wrapping_add(step), step)?
        }
        3 => {
            let (first, step, last) = (int(args, 0), int(args, 1), int(args, 2));
            if last < first && step > 0 {
                return Ok(Value::string(""));
            }
            steps(first, last.wrapping_add(toward(first, last)), step)?
        }
        _ => Vec::new(),
    };
    let texts: Vec<_> = numbers.iter().map(i64::to_string).collect();
    Ok(Value::string(texts.join(" ")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_come_out_as_in_helm() {
        crate::sprig::testing::check(include_str!("testdata/math.txt"));
    }
}
