//! Flags: no `--set` makes its parser panic, neither ours nor Helm's.
#![no_main]

use helm_template::helm::strvals::{self, Kind};
use istio_operator::spec::set::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse_line(text);
    let mut values = serde_json::Map::new();
    let _ = strvals::apply(Kind::Typed, text, &mut values);
});
