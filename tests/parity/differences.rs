//! Where two trees differ: a line `path: expected -> got` for each place, as few as say it.
//!
//! Elements of a list are paired by their names, or from both ends: one that was put in between is one line. A structure
//! that was held in a string (`~`, see `canonical`) is at the path of the string.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What is shown of a value.
const LONGEST_VALUE: usize = 160;

/// The places where two trees differ.
pub fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut lines = vec![];
    compare(Some(expected), Some(got), "", &mut lines);
    lines
}

fn compare(expected: Option<&Value>, got: Option<&Value>, path: &str, lines: &mut Vec<String>) {
    match (expected, got) {
        _ if expected == got => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                compare(a.get(key), b.get(key), &below(path, key), lines);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => match (names(a), names(b)) {
            (Some(x), Some(y)) if !x.is_empty() && !y.is_empty() => compare_by_name((a, &x), (b, &y), path, lines),
            _ => compare_by_place(a, b, path, lines),
        },
        _ => {
            let (expected, got) = shorten(&text(expected), &text(got));
            lines.push(format!("{}: {expected} -> {got}", if path.is_empty() { "." } else { path }));
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if key == "~" {
        path.to_owned()
    } else if key.contains(['.', '[', '"']) {
        format!("{path}[{key:?}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The names of a list's elements, if all have one of their own.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<&str> = list.iter().map(|element| element.get("name")?.as_str()).collect::<Option<_>>()?;
    (names.iter().collect::<BTreeSet<_>>().len() == names.len()).then_some(names)
}

fn compare_by_name((a, x): (&[Value], &[&str]), (b, y): (&[Value], &[&str]), path: &str, lines: &mut Vec<String>) {
    let element = |list: &'_ [Value], names: &[&str], name: &str| -> Option<Value> {
        names.iter().position(|n| *n == name).map(|at| list[at].clone())
    };
    for name in x.iter().chain(y.iter().filter(|name| !x.contains(name))) {
        compare(element(a, x, name).as_ref(), element(b, y, name).as_ref(), &format!("{path}[name:{name}]"), lines);
    }
    let shared = |names: &[&str], others: &[&str]| -> Vec<String> {
        names.iter().filter(|name| others.contains(name)).map(ToString::to_string).collect()
    };
    let (before, after) = (shared(x, y), shared(y, x));
    if before != after {
        lines.push(format!("{path}: in the order {} -> {}", before.join(", "), after.join(", ")));
    }
}

fn compare_by_place(a: &[Value], b: &[Value], path: &str, lines: &mut Vec<String>) {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    for i in head..a.len().max(b.len()) - tail {
        let of = |list: &'_ [Value]| list[..list.len() - tail].get(i).cloned();
        compare(of(a).as_ref(), of(b).as_ref(), &format!("{path}[{i}]"), lines);
    }
}

fn text(value: Option<&Value>) -> String {
    let held = |map: &Map<String, Value>| map.get("~").filter(|_| map.len() == 1).map(ToString::to_string);
    match value {
        None => "nothing".to_owned(),
        Some(value) => value.as_object().and_then(held).unwrap_or_else(|| value.to_string()),
    }
}

/// Long texts from shortly before where they differ.
fn shorten(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let start = if a.len().max(b.len()) > LONGEST_VALUE { same.saturating_sub(LONGEST_VALUE / 4) } else { 0 };
    let cut = |text: &str| {
        let mut shown: String = text.chars().skip(start).take(LONGEST_VALUE).collect();
        if start > 0 {
            shown.insert(0, '…');
        }
        if text.chars().count() > start + LONGEST_VALUE {
            shown.push('…');
        }
        shown
    };
    (cut(a), cut(b))
}
