//! Arbitrary trees and texts.

use proptest::prelude::*;
use serde_json::{Map, Value};

/// A number; floats have a fraction, since one without reads as a whole number.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|n| Value::from(f64::from(n) + 0.25)),
        prop::sample::select(vec![0_i64, 1, -1, 80, 65_536]).prop_map(Value::from),
    ]
}

/// Text that YAML, templates or flags may trip over.
pub fn text() -> impl Strategy<Value = String> {
    let traps = [
        "",
        " ",
        "a",
        "yes",
        "no",
        "null",
        "~",
        "true",
        "1",
        "0x10",
        "1e3",
        "1_000",
        "0777",
        "12:30",
        ".inf",
        "2001-01-01",
        "a: b",
        "- a",
        "#",
        "a #b",
        "'",
        "\"",
        "|",
        ">",
        "&a",
        "*a",
        "!!int",
        "%",
        "@",
        "`",
        "{{ .x }}",
        "a\nb",
        "a\n",
        "\n",
        "\ta",
        "a ",
        " a",
        "é",
        "🦀",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\0",
        "\u{7f}",
        "10.0.0.0/8",
        "*",
        "---",
        "...",
        "=",
        "<<",
    ];
    prop_oneof![
        3 => prop::sample::select(traps.to_vec()).prop_map(str::to_owned),
        2 => "[a-z]{0,6}",
        1 => any::<String>(),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![any::<bool>().prop_map(Value::from), number(), text().prop_map(Value::from)]
}

/// A tree; its maps have few different keys, so that two trees meet. `nulls` says whether it may hold null.
pub fn tree(nulls: bool) -> impl Strategy<Value = Value> {
    let leaf = if nulls { prop_oneof![1 => Just(Value::Null), 5 => leaf()].boxed() } else { leaf().boxed() };
    leaf.prop_recursive(4, 40, 4, |inner| {
        let key = prop::sample::select(vec!["a", "b", "c", "name"]);
        prop_oneof![
            2 => prop::collection::vec((key, inner.clone()), 0..4).prop_map(object),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

pub fn object(entries: Vec<(&str, Value)>) -> Value {
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// A text put together from pieces that mean something, and some that mean nothing.
pub fn soup(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}
