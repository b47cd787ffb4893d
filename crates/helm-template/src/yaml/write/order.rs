//! The natural order in which the YAML emitters write keys.
//!
//! Rune by rune; at the first difference letters compare by code point, other characters come before letters, and runs
//! of digits compare as numbers. The order of yaml.v2 is not a total one (`10 < 1a < 2 < 10`), for which the standard
//! sort may panic; hence the small merge sort here, which gives some order for any comparison.

use std::borrow::Cow;

/// Sorts entries by key. `after_digits` selects the rule of yaml.v3 for a letter against a non-letter after a digit.
pub(super) fn sort_by_key<V>(entries: &mut Vec<(Cow<'_, str>, V)>, after_digits: bool) {
    if entries.is_sorted_by(|(a, _), (b, _)| !less(b, a, after_digits)) {
        return;
    }
    let mut right = entries.split_off(entries.len() / 2);
    sort_by_key(entries, after_digits);
    sort_by_key(&mut right, after_digits);
    let mut merged = Vec::with_capacity(entries.len() + right.len());
    let mut right = right.into_iter().peekable();
    for left in entries.drain(..) {
        while let Some(entry) = right.next_if(|entry| less(&entry.0, &left.0, after_digits)) {
            merged.push(entry);
        }
        merged.push(left);
    }
    merged.extend(right);
    *entries = merged;
}

fn less(a: &str, b: &str, after_digits: bool) -> bool {
    let shared: usize = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum();
    let (prefix, a_rest) = a.split_at(shared);
    let b_rest = b.get(shared..).unwrap_or("");
    let (Some(x), Some(y)) = (a_rest.chars().next(), b_rest.chars().next()) else {
        return a_rest.is_empty() && !b_rest.is_empty();
    };
    match (is_letter(x), is_letter(y)) {
        (true, true) => return x < y,
        (false, false) => {}
        (x_letter, y_letter) => {
            let after_digit = after_digits && prefix.ends_with(is_digit);
            return if after_digit { x_letter } else { y_letter };
        }
    }
    // Digits shared so far make a zero count: 100 and 1000 differ, 00 and 000 do not.
    let shared_number = (x == '0' || y == '0') && prefix.chars().rev().take_while(|c| is_digit(*c)).any(|c| c != '0');
    let start = i64::from(shared_number);
    let (a_number, a_length) = digit_run(a_rest, start);
    let (b_number, b_length) = digit_run(b_rest, start);
    (a_number, a_length, x) < (b_number, b_length, y)
}

/// Value of the leading digits, counted on from `start`, and how many there are.
fn digit_run(text: &str, start: i64) -> (i64, usize) {
    text.chars().take_while(|c| is_digit(*c)).fold((start, 0), |(value, count), c| {
        let digit = i64::from(u32::from(c)) - i64::from(u32::from('0'));
        (value.wrapping_mul(10).wrapping_add(digit), count + 1)
    })
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic()
}

fn is_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { c.is_numeric() && !c.is_alphabetic() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_natural_order() {
        let expected =
            "|_x|1|2|10|A10|B|a|a b|a-b|a.b|a/b|a_b|a1|a01|a9|a10|aB|ab|b|true|é".split('|').collect::<Vec<_>>();
        let mut entries: Vec<_> = expected.iter().rev().map(|k| (Cow::Borrowed(*k), ())).collect();
        sort_by_key(&mut entries, false);
        assert_eq!(entries.iter().map(|(k, ())| k.as_ref()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_circular_order_does_not_panic() {
        let mut entries: Vec<_> = (0..200)
            .flat_map(|i| [format!("{i}"), format!("{i}a"), format!("a{i}")])
            .map(|k| (Cow::Owned(k), ()))
            .collect();
        sort_by_key(&mut entries, false);
        assert_eq!(entries.len(), 600);
    }
}
