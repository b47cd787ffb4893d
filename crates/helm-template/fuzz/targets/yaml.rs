//! YAML: no text makes a reader panic, and what was read is written and read as itself.
#![no_main]

use helm_template::yaml::{Duplicates, parse, parse_documents, parse_helm, to_string};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse_helm(text);
    let _ = parse_documents(text, Duplicates::Refuse);
    if let Ok(value) = parse(text)
        && let Some(written) = to_string(&value)
    {
        assert!(parse(&written).is_ok(), "{written:?}");
    }
});
