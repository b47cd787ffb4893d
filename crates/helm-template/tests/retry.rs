//! Which failed renders are worth another try.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

use helm_template::gotmpl::Exhausted;
use helm_template::helm::{Lookup, LookupError};
use helm_template::{Budgets, Capabilities, Chart, ParsedChart, ReleaseOptions, RenderError, RenderOptions};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

fn failure(files: &[(&str, &str)], values: &Value, options: &RenderOptions) -> RenderError {
    let metadata = ("Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}");
    let files = files.iter().chain([&metadata]).map(|(name, text)| (*name, (*text).to_owned()));
    let chart = ParsedChart::new(Chart::from_memory(files).unwrap());
    let release = ReleaseOptions::install("r", "ns");
    let values = values.as_object().unwrap();
    chart.render(values, &release, &Capabilities::default(), options).unwrap_err().problem
}

fn with(budgets: Budgets) -> RenderOptions {
    RenderOptions { budgets, ..RenderOptions::fixed() }
}

#[test]
fn who_ran_out_of_time_may_try_again() {
    let options = with(Budgets { time: Some(Duration::ZERO), ..Budgets::default() });
    let large: Vec<_> = (0..3000).map(|i| json!({"name": format!("n{i}"), "value": "x".repeat(100)})).collect();
    for (text, in_templates) in [
        ("{{ range 1000000 }}{{ end }}", true),
        // Functions report errors as texts.
        ("{{ regexReplaceAll \"(a|b)*c\" (repeat 100000 \"ab\") \"x\" }}", true),
        ("{{ tpl \"{{ include \\\"t\\\" . }}\" . }}{{ define \"t\" }}{{ range 1000000 }}{{ end }}{{ end }}", true),
    ] {
        let problem = failure(&[("templates/a", text)], &json!({}), &options);
        assert_eq!(problem.exhausted(), Some(Exhausted::Time(Duration::ZERO)), "{text}: {problem}");
        assert!(problem.is_retryable() && problem.in_templates() == in_templates, "{text}");
    }
    let problem = failure(&[("templates/a", "")], &json!({"l": large, "m": large}), &options);
    assert!(matches!(problem, RenderError::Preparation { .. }), "{problem}");
    assert!(problem.is_retryable() && !problem.in_templates());
    assert!(problem.to_string().ends_with("the render takes longer than 0 seconds; make the templates do less"));
}

#[test]
fn two_renders_of_a_process_may_differ_in_their_time() {
    let (hasty, patient) = (Budgets { time: Some(Duration::ZERO), ..Budgets::default() }, Budgets::default());
    let files = [("templates/a", "{{ range 100000 }}{{ end }}{{ fail \"the end\" }}")];
    assert!(failure(&files, &json!({}), &with(hasty)).is_retryable());
    let problem = failure(&files, &json!({}), &with(patient));
    assert!(matches!(problem, RenderError::Aborted { .. }), "{problem}");
    assert!(RenderOptions::default().budgets.time.is_some() && RenderOptions::fixed().budgets.time.is_none());
}

#[test]
fn only_another_chart_or_other_values_help_against_the_rest() {
    let small = with(Budgets { work: 100_000, ..Budgets::default() });
    let schema = r#"{"required":["q"]}"#;
    for files in [
        &[("templates/a", "{{ range 1000000 }}{{ end }}")][..],
        &[("templates/a", "{{ fail \"no\" }}")],
        &[("templates/a", "{{ if }}")],
        &[("templates/a", "{{ .Values.a.b.c }}")],
        &[("values.schema.json", schema)],
    ] {
        let problem = failure(files, &json!({}), &small);
        assert!(!problem.is_retryable(), "{problem}");
    }
}

struct Cluster(fn(String) -> LookupError);

impl Lookup for Cluster {
    fn lookup(&self, _: &str, kind: &str, _: &str, name: &str) -> Result<Map<String, Value>, LookupError> {
        Err(self.0(format!("no answer about {kind} {name}")))
    }
}

#[test]
fn a_cluster_that_does_not_answer_may_be_asked_again() {
    for (error, retryable) in [(LookupError::Unavailable as fn(_) -> _, true), (LookupError::Refused, false)] {
        let options = RenderOptions { lookup: Arc::new(Cluster(error)), ..RenderOptions::fixed() };
        let problem = failure(&[("templates/a", "{{ lookup \"v1\" \"Pod\" \"ns\" \"p\" }}")], &json!({}), &options);
        assert_eq!(problem.is_retryable(), retryable);
        let want = "error calling lookup: no answer about Pod p";
        assert!(problem.to_string().ends_with(want), "{problem}");
    }
}
