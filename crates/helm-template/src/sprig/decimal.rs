//! Decimal arithmetic as `shopspring/decimal` does it for `addf`, `subf`, `mulf` and `divf`.
//!
//! In: finite floats, by their shortest text. Out: the float nearest to the exact decimal result; only quotients are
//! rounded, half away from zero at 16 places.

use crate::number::format_float_g;
use std::cmp::Ordering;

/// Places after the point of a quotient.
const DIVISION_PLACES: usize = 16;

/// `digits` (most significant first, no leading zeros; empty is 0) times ten to the power `-scale`.
#[derive(Clone, Debug)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    scale: usize,
}

impl Decimal {
    /// The decimal that the shortest text of a float stands for.
    pub(crate) fn from_float(f: f64) -> Result<Self, String> {
        if !f.is_finite() {
            return Err(format!("Cannot create a Decimal from {}", format_float_g(f)));
        }
        // Never an exponent: `Display` of floats writes all digits.
        let text = format!("{}", f.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        Ok(Self { negative: f < 0.0, digits: stripped(digits), scale: fraction.len() })
    }

    /// The nearest float.
    pub(crate) fn to_float(&self) -> f64 {
        let digits: String = self.digits.iter().map(|d| char::from(b'0' + d)).collect();
        if digits.is_empty() {
            return 0.0;
        }
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{digits}e-{}", self.scale).parse().unwrap_or(f64::NAN)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.scaled(scale), other.scaled(scale));
        if self.negative == other.negative {
            return Self { negative: self.negative, digits: sum(&a, &b), scale };
        }
        match compare(&a, &b) {
            Ordering::Less => Self { negative: other.negative, digits: difference(&b, &a), scale },
            _ => Self { negative: self.negative, digits: difference(&a, &b), scale },
        }
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        self.add(&Self { negative: !other.negative, ..other.clone() })
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        let mut product = Vec::new();
        for d in &self.digits {
            product.push(0);
            product = sum(&stripped(product), &times_digit(&other.digits, *d));
        }
        Self { negative: self.negative != other.negative, digits: product, scale: self.scale + other.scale }
    }

    pub(crate) fn div(&self, other: &Self) -> Result<Self, String> {
        if other.digits.is_empty() {
            return Err("decimal division by 0".to_owned());
        }
        // One place more than wanted would not do for exact halves, so the remainder decides.
        let mut numerator = self.digits.clone();
        numerator.resize(numerator.len() + other.scale + DIVISION_PLACES, 0);
        let mut denominator = other.digits.clone();
        denominator.resize(denominator.len() + self.scale, 0);
        let (mut digits, rest) = quotient(&numerator, &denominator);
        if compare(&sum(&rest, &rest), &denominator) != Ordering::Less {
            digits = sum(&digits, &[1]);
        }
        Ok(Self { negative: self.negative != other.negative, digits, scale: DIVISION_PLACES })
    }

    fn scaled(&self, scale: usize) -> Vec<u8> {
        let mut digits = self.digits.clone();
        if !digits.is_empty() {
            digits.resize(digits.len() + scale - self.scale, 0);
        }
        digits
    }
}

fn stripped(digits: Vec<u8>) -> Vec<u8> {
    digits.into_iter().skip_while(|d| *d == 0).collect()
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let length = a.len().max(b.len());
    let mut out = Vec::with_capacity(length + 1);
    let (mut left, mut right) = (a.iter().rev(), b.iter().rev());
    let mut carry = 0;
    for _ in 0..length {
        let digit = left.next().unwrap_or(&0) + right.next().unwrap_or(&0) + carry;
        out.push(digit % 10);
        carry = digit / 10;
    }
    out.push(carry);
    out.reverse();
    stripped(out)
}

/// `a - b` for `a >= b`.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(a.len());
    let mut right = b.iter().rev();
    let mut borrow = 0;
    for digit in a.iter().rev() {
        let taken = right.next().unwrap_or(&0) + borrow;
        borrow = u8::from(*digit < taken);
        out.push(digit + 10 * borrow - taken);
    }
    out.reverse();
    stripped(out)
}

fn times_digit(a: &[u8], digit: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(a.len() + 1);
    let mut carry = 0;
    for d in a.iter().rev() {
        let value = d * digit + carry;
        out.push(value % 10);
        carry = value / 10;
    }
    out.push(carry);
    out.reverse();
    stripped(out)
}

/// Long division: quotient and remainder.
fn quotient(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut out = Vec::with_capacity(a.len());
    let mut rest: Vec<u8> = Vec::new();
    for digit in a {
        if !rest.is_empty() || *digit != 0 {
            rest.push(*digit);
        }
        let mut count = 0;
        while compare(&rest, b) != Ordering::Less {
            rest = difference(&rest, b);
            count += 1;
        }
        out.push(count);
    }
    (stripped(out), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calc(a: f64, b: f64, f: fn(&Decimal, &Decimal) -> Decimal) -> f64 {
        f(&Decimal::from_float(a).unwrap(), &Decimal::from_float(b).unwrap()).to_float()
    }

    #[test]
    fn results_are_exact_in_decimal() {
        let exact = |a: f64, want: f64| assert!((a - want).abs() < f64::EPSILON * want.abs().min(1e-9), "{a} {want}");
        exact(calc(0.1, 0.2, Decimal::add), 0.3);
        exact(calc(0.3, 0.4, Decimal::sub), -0.1);
        exact(calc(1.1, -1.1, Decimal::mul), -1.21);
        exact(calc(1e21, 1.0, Decimal::add), 1e21);
        exact(calc(2.0, 3.0, |a, b| a.div(b).unwrap()), 0.666_666_666_666_666_7);
        exact(calc(-1.0, -8.0, |a, b| a.div(b).unwrap()), 0.125);
    }

    #[test]
    fn a_division_by_zero_is_an_error() {
        let (one, zero) = (Decimal::from_float(1.0).unwrap(), Decimal::from_float(0.0).unwrap());
        assert_eq!(one.div(&zero).unwrap_err(), "decimal division by 0");
    }
}
