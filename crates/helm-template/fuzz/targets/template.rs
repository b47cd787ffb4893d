//! Templates: no text makes the engine panic, and every render ends within its budgets.
#![no_main]

use helm_template::{Capabilities, Chart, ParsedChart, ReleaseOptions, RenderError, RenderOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let files = [("Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}"), ("templates/a", text)];
    let Ok(chart) = Chart::from_memory(files.map(|(name, text)| (name, text.to_owned()))) else { return };
    let values = serde_json::json!({"a": {"b": [1, "x", null]}, "c": "text", "d": 2.5});
    let values = values.as_object().cloned().unwrap_or_default();
    let release = ReleaseOptions::install("r", "ns");
    let chart = ParsedChart::new(chart);
    let result = chart.render(&values, &release, &Capabilities::default(), &RenderOptions::fixed());
    assert!(!matches!(result, Err(failed) if matches!(failed.problem, RenderError::Panicked)));
});
