//! What holds for any input: round trips, no panic, bounded time.
//!
//! Runs are the same every time; `PROPTEST_RNG_SEED=1` and so on take other inputs, `PROPTEST_CASES=10000` more of them.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "properties/check.rs"]
mod check;
#[path = "properties/trees.rs"]
mod trees;

use check::check;
use helm_template::{Capabilities, Chart, ParsedChart, ReleaseOptions, RenderError, RenderOptions, yaml};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Characters that Helm's own writer refuses, folds or drops, and ours with it.
fn without_odd_characters(value: Value) -> Value {
    let odd = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    match value {
        Value::String(text) => text.replace(odd, "").into(),
        Value::Array(items) => items.into_iter().map(without_odd_characters).collect(),
        Value::Object(map) => map.into_iter().map(|(key, inner)| (key, without_odd_characters(inner))).collect(),
        other => other,
    }
}

#[test]
fn a_tree_written_as_yaml_reads_as_itself() {
    check(1000, &trees::tree(true), |tree| {
        let tree = without_odd_characters(tree);
        let text = yaml::to_string(&tree).unwrap();
        prop_assert_eq!(yaml::parse(&text).map_err(|e| e.to_string()), Ok(tree), "{}", text);
        Ok(())
    });
}

const YAML: &[&str] = &[
    "a",
    "b: ",
    ": ",
    "- ",
    "? ",
    "&x ",
    "*x",
    "<<: *x",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\n  ",
    "\n    ",
    "\t",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\",
    "#",
    "!!int ",
    "!!binary ",
    "!t ",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "0x",
    "1e",
    "~",
    "yes",
    "kind: Service\n",
    "spec:\n",
    "  type: None\n",
    "\u{feff}",
    "\r",
    "\0",
    "é",
];

#[test]
fn no_yaml_makes_a_reader_panic() {
    check(2000, &trees::soup(YAML), |text| {
        let _ = yaml::parse_helm(&text);
        let documents = yaml::parse_documents(&text, yaml::Duplicates::Refuse);
        for document in documents.iter().flatten() {
            let _ = document.spans.nearest([yaml::Step::Key("a"), yaml::Step::Index(0), yaml::Step::Key("c")]);
        }
        Ok(())
    });
}

const TEMPLATES: &[&str] = &[
    "{{ ",
    " }}",
    "{{- ",
    " -}}",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define \"t\"",
    "template \"t\" .",
    "include \"t\" .",
    "block \"b\" .",
    "break",
    "continue",
    ".Values.a",
    ".Values",
    "$",
    "$x := ",
    "$x = ",
    "|",
    "(",
    ")",
    "nil",
    "true",
    "1",
    "-1",
    "1e400",
    "\"s\"",
    "`r`",
    "'c'",
    "printf \"%d %v\" ",
    "tpl ",
    "toYaml",
    "fromYaml",
    "index ",
    "slice ",
    "dict ",
    "list ",
    "set ",
    "until ",
    "repeat ",
    "trunc ",
    "substr ",
    "mul ",
    "div ",
    "mod ",
    "regexMatch ",
    "required ",
    "lookup ",
    "nindent ",
    " . ",
    ".",
    "/* c */",
    "text",
    "\n",
    "{",
    "}}",
    "{{ if .Values.a }}",
    "{{ range $i, $e := .Values.b }}",
    "{{ end }}",
    "{{ .Values.a }}",
];

#[test]
fn no_template_makes_the_engine_panic() {
    let values = json!({"a": "x", "b": [1, {"c": null}]}).as_object().unwrap().clone();
    check(1500, &trees::soup(TEMPLATES), |text| {
        let files = [("Chart.yaml", "apiVersion: v2\nname: t\nversion: 1.0.0\n"), ("templates/a.yaml", text.as_str())];
        let chart = Chart::from_memory(files.map(|(name, text)| (name, text.to_owned()))).unwrap();
        let chart = ParsedChart::new(chart);
        let release = ReleaseOptions::install("r", "n");
        let result = chart.render(&values, &release, &Capabilities::default(), &RenderOptions::fixed());
        prop_assert!(!matches!(&result, Err(e) if matches!(e.problem, RenderError::Panicked)));
        Ok(())
    });
}
