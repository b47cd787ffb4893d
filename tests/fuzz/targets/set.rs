//! Flags: no `--set` makes its parser panic.
#![no_main]

use istio_operator::spec::set::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse_line(text);
});
