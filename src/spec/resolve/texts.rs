//! Numbers and booleans where a text is wanted, though upstream's API takes anything: tags, variables, annotations, labels.
//!
//! In: a layer of a spec, and how its scalars were written. Out: the same, where what would be printed otherwise than it was
//! written is text now (`1643215493` instead of `1.643215493e+09`), and what cannot be known any more is a problem: `1.10` was
//! read as 1.1. What is printed as it was written stays as it is.

use super::values::text_of;
use crate::spec::path::{Element, Path, join};
use crate::spec::problem::{Kind, Problem, QUOTE};
use serde_json::{Map, Value};

/// How strictly a text is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A tag: charts print it, whatever it is.
    Tag,
    /// A variable: the same, and numbers are usual.
    Variable,
    /// An annotation or a label, which charts copy and clusters take as text only.
    Entry,
}

/// Maps of texts in Helm values, whose API takes any content.
const MAPS: [(&str, Use); 11] = [
    ("env", Use::Variable),
    ("annotations", Use::Entry),
    ("podAnnotations", Use::Entry),
    ("serviceAnnotations", Use::Entry),
    ("injectedAnnotations", Use::Entry),
    ("labels", Use::Entry),
    ("podLabels", Use::Entry),
    ("deploymentLabels", Use::Entry),
    ("nodeSelector", Use::Entry),
    ("defaultNodeSelector", Use::Entry),
    ("matchLabels", Use::Entry),
];

/// Content that is not Helm's.
const FOREIGN: [&str; 3] = ["configOverride", "meshConfig", "meshNetworks"];

/// Whoever knows how the scalar at a path was written.
pub(super) type Written<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Brings the texts of a spec into the form they were written in.
pub(super) fn settle(spec: &mut Value, written: Written<'_>) -> Vec<Problem> {
    let mut settling = Settling { written, problems: vec![] };
    let Some(spec) = spec.as_object_mut() else { return vec![] };
    settling.tag(spec, "spec");
    if let Some(Value::Object(components)) = spec.get_mut("components") {
        for (name, component) in components.iter_mut() {
            if let Value::Object(component) = component {
                settling.tag(component, &join("spec.components", name));
            }
        }
    }
    for layer in ["values", "unvalidatedValues"] {
        if let Some(Value::Object(values)) = spec.get_mut(layer) {
            settling.values(values, &format!("spec.{layer}"));
        }
    }
    settling.problems
}

struct Settling<'a> {
    written: Written<'a>,
    problems: Vec<Problem>,
}

impl Settling<'_> {
    fn tag(&mut self, map: &mut Map<String, Value>, path: &str) {
        if let Some(tag) = map.get_mut("tag") {
            self.text(tag, &join(path, "tag"), Use::Tag);
        }
    }

    fn values(&mut self, map: &mut Map<String, Value>, path: &str) {
        self.tag(map, path);
        for (key, value) in map.iter_mut().filter(|(key, _)| !FOREIGN.contains(&key.as_str())) {
            let at = join(path, key);
            let texts = MAPS.iter().find(|(name, _)| name == key).map(|(_, meant)| *meant);
            match (value, texts) {
                (Value::Object(entries), Some(meant)) => {
                    for (name, entry) in entries.iter_mut() {
                        self.text(entry, &join(&at, name), meant);
                    }
                }
                (Value::Object(inner), None) => self.values(inner, &at),
                _ => {}
            }
        }
    }

    fn text(&mut self, value: &mut Value, path: &str, meant: Use) {
        if !value.is_number() && !value.is_boolean() {
            return;
        }
        let written = (self.written)(path);
        match form(value, written.as_deref(), meant) {
            Some(text) => {
                // Integers from a million on are printed with an exponent.
                if meant == Use::Entry || text != text_of(value) {
                    *value = Value::String(text);
                }
            }
            None => self.problems.push(Problem {
                path: path.to_owned(),
                message: misread(value, path, written.as_deref()),
                location: None,
                kind: Kind::Content,
            }),
        }
    }
}

/// The text that was meant, if it can be known.
fn form(value: &Value, written: Option<&str>, meant: Use) -> Option<String> {
    let shown = if value.is_f64() { text_of(value) } else { value.to_string() };
    let digits = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    };
    match written {
        // An integer of more than 64 bits.
        Some(text) if value.is_f64() && digits(text) => Some(text.to_owned()),
        Some(text) if meant == Use::Variable && text.eq_ignore_ascii_case(&shown) => Some(shown),
        Some(text) => (text == shown).then_some(shown),
        // A variable is a number more often than not, and got this one before.
        None => (!value.is_f64() || meant == Use::Variable).then_some(shown),
    }
}

/// What is wrong with a number or a boolean where a text is wanted, and what to write.
fn misread(value: &Value, path: &str, written: Option<&str>) -> String {
    let shown = if value.is_f64() { text_of(value) } else { value.to_string() };
    let kind = if value.is_boolean() { "" } else { "the number " };
    format!("must be a string, not {kind}{shown}{}", advice(value, path, written))
}

/// What to write instead of a number or a boolean, as the end of a sentence; nothing for other values.
#[must_use]
pub fn advice(value: &Value, path: &str, written: Option<&str>) -> String {
    if !value.is_number() && !value.is_boolean() {
        return String::new();
    }
    let last = Path::parse(path).ok().and_then(|p| p.elements().last().cloned());
    let place = match last {
        Some(Element::Key(key)) => format!("{key}: "),
        _ => "- ".to_owned(),
    };
    let shown = if value.is_f64() { text_of(value) } else { value.to_string() };
    match written {
        Some(text) => format!("{QUOTE}{place}{text:?}"),
        None => format!("{QUOTE}{place}{shown:?}, or as it was meant"),
    }
}

/// A problem of a flag says how to quote within a flag: the shell takes quotes of its own.
pub(super) fn in_its_place(mut problem: Problem) -> Problem {
    let flag = problem.location.as_deref().and_then(|at| at.strip_prefix("--set ")?.split_once('='));
    if let (Some((path, value)), Some((what, _))) = (flag, problem.message.split_once(QUOTE)) {
        problem.message = format!("{what}{QUOTE}--set '{}=\"{}\"'", path.trim(), value.trim());
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a tag, a variable and an annotation come to; `None` for what is refused.
    fn settled(value: &Value, written: Option<&str>) -> [Option<Value>; 3] {
        ["/tag", "/values/pilot/env/x", "/values/pilot/podAnnotations/x"].map(|pointer| {
            let nested =
                pointer.rsplit('/').filter(|k| !k.is_empty()).fold(value.clone(), |inner, key| json!({ key: inner }));
            let mut spec = nested;
            let problems = settle(&mut spec, &|_| written.map(str::to_owned));
            problems.is_empty().then(|| spec.pointer(pointer).cloned().unwrap())
        })
    }

    #[test]
    fn what_is_not_printed_as_written_becomes_text_or_is_refused() {
        let text = |text: &str| Some(json!(text));
        for (value, written, [tag, variable, entry]) in [
            (json!(12), Some("12"), [Some(json!(12)), Some(json!(12)), text("12")]),
            (json!(12), None, [Some(json!(12)), Some(json!(12)), text("12")]),
            (json!(1_643_215_493), Some("1643215493"), [text("1643215493"), text("1643215493"), text("1643215493")]),
            (json!(1_643_215_493), None, [text("1643215493"), text("1643215493"), text("1643215493")]),
            (
                json!(u64::MAX),
                None,
                [text("18446744073709551615"), text("18446744073709551615"), text("18446744073709551615")],
            ),
            (json!(1e29), Some("100000000000000000000000000000"), {
                let whole = text("100000000000000000000000000000");
                [whole.clone(), whole.clone(), whole]
            }),
            (json!(16), Some("0x10"), [None, None, None]),
            (json!(7), Some("007"), [None, None, None]),
            (json!(1000), Some("1_000"), [None, None, None]),
            (json!(1000.0), Some("1e3"), [None, None, None]),
            (json!(1.1), Some("1.10"), [None, None, None]),
            (json!(1.5), Some("1.5"), [Some(json!(1.5)), Some(json!(1.5)), text("1.5")]),
            (json!(1.5), None, [None, Some(json!(1.5)), None]),
            (json!(true), Some("true"), [Some(json!(true)), Some(json!(true)), text("true")]),
            (json!(true), Some("yes"), [None, None, None]),
            (json!(false), None, [Some(json!(false)), Some(json!(false)), text("false")]),
            (json!("1.10"), Some("1.10"), [text("1.10"), text("1.10"), text("1.10")]),
        ] {
            assert_eq!(settled(&value, written), [tag, variable, entry], "{value} {written:?}");
        }
    }

    #[test]
    fn what_is_refused_says_what_to_write() {
        let mut spec = json!({"components": {"pilot": {"tag": 1.1}}, "values": {"a": {"env": {"b.c": true}}}});
        let written = |path: &str| path.ends_with("tag").then(|| "1.10".to_owned()).or(Some("on".to_owned()));
        let found: Vec<_> = settle(&mut spec, &written).iter().map(ToString::to_string).collect();
        let expected = [
            r#"spec.components.pilot.tag: must be a string, not the number 1.1; quote it: tag: "1.10""#,
            r#"spec.values.a.env.b\.c: must be a string, not true; quote it: b.c: "on""#,
        ];
        assert_eq!(found, expected);
        let found: Vec<_> = settle(&mut json!({"tag": 1.1}), &|_| None).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [r#"spec.tag: must be a string, not the number 1.1; quote it: tag: "1.1", or as it was meant"#]
        );
    }
}
