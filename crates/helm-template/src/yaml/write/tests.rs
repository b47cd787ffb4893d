use serde_json::{Value, json};

use super::{MAX_DEPTH, to_string, to_string_pretty};

/// Value, `toYaml` and `toYamlPretty` as Helm 3.22 wrote them (both cut off the final newline, and give the empty text
/// on an error).
const GOLDEN: &str = include_str!("golden.json");

/// All numbers as floats, as values files give them.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(floats).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, floats(value))).collect()),
        other => other,
    }
}

fn template_text(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
}

#[test]
fn every_value_is_written_as_helm_writes_it() {
    let rows: Vec<(Value, String, String)> = serde_json::from_str(GOLDEN).expect("golden rows");
    assert!(rows.len() >= 250);
    for (value, plain, pretty) in rows {
        let value = floats(value);
        assert_eq!(template_text(to_string(&value)), plain, "toYaml of {value}");
        assert_eq!(template_text(to_string_pretty(&value)), pretty, "toYamlPretty of {value}");
    }
}

#[test]
fn integers_stay_exact() {
    let value = json!([9_007_199_254_740_993_i64, u64::MAX, i64::MIN, 1_000_000]);
    assert_eq!(
        to_string(&value).as_deref(),
        Some("- 9007199254740993\n- 18446744073709551615\n- -9223372036854775808\n- 1000000\n")
    );
}

#[test]
fn keys_that_the_round_trip_cannot_take_give_nothing() {
    let with_key = |key: String| to_string(&Value::Object([(key, json!(1))].into_iter().collect()));
    assert!(with_key("x".repeat(1022)).is_some());
    assert!(with_key("x".repeat(1023)).is_none());
    assert!(with_key("\"".repeat(511)).is_some());
    assert!(with_key("\"".repeat(512)).is_none());
    assert!(with_key("a\u{85}b".to_owned()).is_none());
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(to_string(&nested(200)).is_some());
    assert!(to_string(&nested(MAX_DEPTH + 1)).is_none());
}

#[test]
fn next_line_characters_fold_on_the_way() {
    for (text, written) in
        [("a\u{85}b", "a b\n"), ("a \u{85} b", "a b\n"), ("a\u{85}\u{85}b", "|-\n  a\n  b\n"), ("a\u{85}", "'a '\n")]
    {
        assert_eq!(to_string(&json!(text)).as_deref(), Some(written), "{text:?}");
    }
    assert_eq!(to_string(&json!("a\u{85}--- b")), None);
}
