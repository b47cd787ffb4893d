use serde_json::{Value, json};

use super::{Duplicates, Position, Step, parse, parse_documents, parse_helm, parse_helm_map, parse_strict};
use crate::json::{Html, to_string_with};

/// Text, and the JSON text that Helm 3.22 gave for `fromYaml`, which holds `{"Error":…}` for an error.
const GOLDEN: &str = include_str!("golden.json");

#[test]
fn every_text_is_read_as_helm_reads_it() {
    let rows: Vec<(String, String)> = serde_json::from_str(GOLDEN).expect("golden rows");
    assert!(rows.len() >= 130);
    for (text, expected) in rows {
        let value = match parse_helm_map(&text) {
            Ok(map) => Value::Object(map),
            Err(error) => json!({"Error": error.to_string()}),
        };
        assert_eq!(to_string_with(&value, Html::Raw, None), expected, "{text:?}");
    }
}

#[test]
fn helm_gets_floats_and_others_get_integers() {
    assert_eq!(parse_helm("[1, 1.5]"), Ok(json!([1.0, 1.5])));
    assert_eq!(
        parse("[1, 1.5, 9007199254740993, 18446744073709551615]"),
        Ok(json!([1, 1.5, 9_007_199_254_740_993_i64, u64::MAX]))
    );
    assert_eq!(parse(""), Ok(Value::Null));
}

#[test]
fn errors_name_line_and_column() {
    for (text, expected) in [
        ("a: 1\nb: c: d\n", "line 2, column 5: mapping values are not allowed in this context"),
        ("a:\n  b: 1\n c: 2\n", "line 3, column 2: did not find expected key"),
        ("a: *x\n", "line 1, column 4: unknown anchor 'x' referenced"),
        ("a:\n\tb: 1\n", "line 2, column 1: found character that cannot start any token"),
        ("  a: 1\nb: 2\n", "line 2, column 1: this line belongs to nothing above it; check its indentation"),
        ("x:\n  - .inf\n", "line 2, column 5: number +Inf has no place in a configuration; quote it if text is meant"),
        ("a: 1\n~: 2\n", "line 2, column 1: a map key is missing or null; quote it if null is its name"),
        ("a: \u{1}", "control characters are not allowed"),
    ] {
        assert_eq!(parse(text).map_err(|e| e.to_string()), Err(expected.to_owned()), "{text:?}");
    }
}

#[test]
fn duplicate_keys_count_last_or_are_refused() {
    let text = "a: 1\nb:\n  c: 1\n  c: 2\n";
    assert_eq!(parse(text), Ok(json!({"a": 1, "b": {"c": 2}})));
    let error = parse_strict(text).expect_err("duplicate").to_string();
    assert_eq!(error, "line 4, column 3: key \"c\" is already set in this map; remove one");
    let merged = "x: &x {a: 1}\nz:\n  <<: *x\n  a: 2\n";
    assert_eq!(parse_strict(merged), Ok(json!({"x": {"a": 1}, "z": {"a": 2}})));
}

#[test]
fn documents_come_with_lines_and_positions() {
    let text = "# head\n---\na: 1\n---\n---\nspec:\n  list:\n  - name: x\n    v: 1\n  - name: w\n  \"k.e\": {z: 1}\n";
    let documents = parse_documents(text, Duplicates::Refuse).expect("documents");
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].value, json!({"a": 1}));
    assert_eq!((documents[0].line, documents[1].line), (3, 6));
    let spans = &documents[1].spans;
    let list = [Step::Key("spec"), Step::Key("list")];
    let below = |more: &[Step<'static>]| [&list, more].concat();
    for (path, line, column) in [
        (vec![], 6, 1),
        (vec![Step::Key("spec")], 6, 1),
        (below(&[]), 7, 3),
        (below(&[Step::Index(0)]), 8, 5),
        (below(&[Step::Index(0), Step::Key("v")]), 9, 5),
        (below(&[Step::Entry { key: "name", value: "w" }, Step::Key("name")]), 10, 5),
        (vec![Step::Key("spec"), Step::Key("k.e"), Step::Key("z")], 11, 11),
    ] {
        assert_eq!(spans.find(path.clone()), Some(Position { line, column }), "{path:?}");
    }
    assert_eq!(spans.find([Step::Key("spec"), Step::Key("nope")]), None);
    assert_eq!(spans.nearest(below(&[Step::Index(7), Step::Key("x")])), Position { line: 7, column: 3 });
}

#[test]
fn positions_are_found_through_aliases_and_merges() {
    let documents = parse_documents("x: &x\n  a: 1\nz:\n  <<: *x\n  b: *x\n", Duplicates::LastWins).expect("documents");
    let spans = &documents[0].spans;
    let (z, a, b) = (Step::Key("z"), Step::Key("a"), Step::Key("b"));
    assert_eq!(spans.find([z, a]), Some(Position { line: 2, column: 3 }));
    assert_eq!(spans.find([z, b, a]), Some(Position { line: 2, column: 3 }));
}

#[test]
fn aliases_have_a_budget() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        let line = format!("a{level}: &a{level} [{items}]\n");
        bomb += &line;
    }
    let error = parse(&bomb).expect_err("bomb");
    assert_eq!(error.message, "document contains excessive aliasing");
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
    assert_eq!(parse(&long).expect_err("long").message, "document contains excessive aliasing");
    let error = parse("a: &a [*a]\n").expect_err("loop");
    assert_eq!(error.message, "anchor 'a' value contains itself");
}

#[test]
fn nesting_is_limited() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        assert!(parse(&(open.repeat(200) + "x" + &close.repeat(200))).is_ok() || open == "? ", "{open}");
        let error = parse(&open.repeat(100_000)).expect_err("too deep");
        assert_eq!(error.message, "exceeded max depth of 256", "{open}");
    }
}

#[test]
fn half_documents_do_not_panic() {
    let text = "%TAG !e! tag:e,2000:\n---\na: &x !!str \"q\\u0041\\\n  w\" # c\n'k': {b: [1, ? c, d: *x]}\n? - |+2\n   t\n\n: >-\n f\n...\n\u{85}\u{2028}";
    let ends: Vec<usize> = text.char_indices().map(|(index, _)| index).collect();
    for start in &ends {
        for end in ends.iter().filter(|end| *end >= start) {
            let _ = parse_helm(&text[*start..*end]);
            let _ = parse_documents(&text[*start..*end], Duplicates::Refuse);
        }
    }
}
