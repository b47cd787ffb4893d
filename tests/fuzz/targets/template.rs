//! Templates: no text makes the engine panic, and every render ends within its budgets.
#![no_main]

use helm_template::gotmpl::{Ambient, Usage};
use helm_template::gotmpl::function::Entropy;
use helm_template::helm::{Capabilities, Chart, ParsedChart, ReleaseOptions, Surroundings};
use libfuzzer_sys::fuzz_target;

fn ambient() -> Ambient {
    let entropy: Entropy = Box::new(|bytes| bytes.fill(7));
    Ambient { now: || (0, 0), timezone: "UTC".to_owned(), entropy: entropy.into(), usage: Usage::default() }
}

fuzz_target!(|text: &str| {
    let files = [("Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}"), ("templates/a", text)];
    let Ok(chart) = Chart::from_memory(files.map(|(name, text)| (name, text.as_bytes()))) else { return };
    let values = serde_json::json!({"a": {"b": [1, "x", null]}, "c": "text", "d": 2.5});
    let values = values.as_object().cloned().unwrap_or_default();
    let release = ReleaseOptions::install("r", "ns");
    let _ = ParsedChart::new(chart).render(&values, &release, &Capabilities::default(), &Surroundings::offline(&ambient));
});
