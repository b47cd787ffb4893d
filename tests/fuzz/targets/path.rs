//! Overlay paths: no path makes a patch panic, whatever it is applied to.
#![no_main]

use istio_operator::spec::patch::{Mode, apply};
use istio_operator::spec::path::Path;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(path) = Path::parse(text) else { return };
    for mode in [Mode::Overlay, Mode::Set] {
        let mut object = json!({"a": {"b": [{"name": "x", "c": [1, 2]}, "plain"]}, "d": null});
        let _ = apply(&mut object, &path, json!({"name": "y"}), mode);
    }
});
