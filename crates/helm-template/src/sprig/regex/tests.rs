//! Patterns with what Helm made of them.

use crate::gotmpl::{Usage, Value};

#[test]
fn patterns_mean_what_they_mean_in_go() {
    crate::sprig::testing::check(include_str!("../testdata/regex.txt"));
}

/// On a stack as large as the rendering thread's: without optimisation the regex compiler needs more than a test has.
#[test]
fn deep_nesting_ends_in_an_error_and_not_in_a_stack_overflow() {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(check_deep_nesting);
    thread.unwrap().join().unwrap();
}

fn check_deep_nesting() {
    let usage = Usage::default();
    let nested = |depth: usize, close: &str| format!("{}a{}", "(".repeat(depth), close.repeat(depth));
    for (depth, close) in [(199, ")"), (99, ")*"), (99, ")*?"), (199, "|b)")] {
        let compiled = super::Pattern::compile(&usage, nested(depth, close).as_bytes());
        assert!(compiled.is_ok_and(|p| matches!(p.matches(b"a"), Ok(Value::Bool(true)))), "{close}");
        let refused = super::Pattern::compile(&usage, nested(depth + 1, close).as_bytes()).err().unwrap_or_default();
        assert!(refused.starts_with("error parsing regexp: expression nests too deeply: `(("), "{refused}");
    }
    assert!(super::Pattern::compile(&usage, "(".repeat(100_000).as_bytes()).is_err());
    assert!(super::Pattern::compile(&usage, "[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn a_pattern_that_grows_too_large_is_an_error() {
    let usage = Usage::default();
    let pattern = r"(?:\pL{1000}|\pN{1000}){1}".repeat(40);
    let refused = super::Pattern::compile(&usage, pattern.as_bytes()).err().unwrap_or_default();
    assert!(refused.starts_with("error parsing regexp: expression too large: `"), "{refused}");
}
