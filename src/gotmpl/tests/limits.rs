//! Budgets, and input made to exhaust.

use super::super::*;
use super::world::World;

/// Runs on a thread with the stack that [`Budgets`] asks for.
pub(super) fn on_a_big_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(256 << 20).spawn(run).unwrap().join().unwrap()
}

fn run_with(text: &str, budgets: Budgets) -> Result<Vec<u8>, ExecError> {
    let world = World::with(budgets);
    let mut set = world.set.clone();
    set.parse("f", text).unwrap();
    execute(&set, "f", Value::Nil, &world.environment())
}

fn message(text: &'static str, budgets: Budgets) -> String {
    on_a_big_stack(move || run_with(text, budgets).unwrap_err().innermost().to_string())
}

#[test]
fn loops_end_by_the_iteration_budget() {
    let budgets = Budgets { iterations: 1000, ..Budgets::default() };
    let text = "{{ range 1000000000 }}{{ end }}";
    assert!(
        message(text, budgets).ends_with("more than 1000 loop passes and template calls; make the template do less")
    );
}

#[test]
fn output_ends_by_its_budget() {
    let budgets = Budgets { output: 10, ..Budgets::default() };
    assert!(message("12345{{ print 678901 }}", budgets).contains("more than 10 bytes of output"));
    assert!(run_with("12345{{ print 67890 }}", budgets).is_ok());
}

#[test]
fn endless_recursion_ends_by_a_budget() {
    let text = "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    assert!(message(text, Budgets::default()).contains("is nested more than 30000 deep"));
    let budgets = Budgets { depth: 100, ..Budgets::default() };
    assert!(message(text, budgets).ends_with("exceeded maximum template depth (100)"));
}

#[test]
fn the_nesting_budget_fits_the_stack_it_asks_for() {
    // The costliest frames: functions inside parentheses inside blocks.
    let text = r#"{{ define "r" }}{{ if true }}{{ with 1 }}{{ range 1 }}{{ print (print (tpl "{{ include \"r\" . }}" 1)) }}{{ end }}{{ end }}{{ end }}{{ end }}{{ tpl "{{ include \"r\" . }}" . }}"#;
    let error = message(text, Budgets::default());
    assert!(error.contains("nested reference name") || error.contains("nested more than"), "{error}");
    let text = r#"{{ define "r" }}{{ if true }}{{ with 1 }}{{ range 1 }}{{ print (print (len (printf "%s" (template_ .)))) }}{{ end }}{{ end }}{{ end }}{{ end }}"#;
    assert!(World::new().set.clone().parse("f", text).is_err());
}

#[test]
fn a_thousand_nested_inclusions_pass() {
    let text = r#"{{ define "r" }}{{ if lt (int .) 1000 }}{{ with . }}{{ include "r" (add . 1) | upper }}{{ end }}{{ else }}end{{ end }}{{ end }}{{ include "r" 1 }}"#;
    assert_eq!(on_a_big_stack(move || run_with(text, Budgets::default()).unwrap()), b"END");
}

#[test]
fn deeply_nested_source_is_refused() {
    for text in [
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        "{{ if 1 }}".repeat(100_000),
        "{{ if 1 }}{{ else if 1 }}".to_owned() + &"{{ else if 1 }}".repeat(100_000),
        "{{ block \"x\" . }}".repeat(100_000),
    ] {
        let error = World::new().set.clone().parse("f", &text).unwrap_err();
        assert_eq!(error.message, "max expression depth exceeded");
    }
    let fine = format!("{{{{ {}1{} }}}}", "(".repeat(150), ")".repeat(150));
    assert!(World::new().set.clone().parse("f", &fine).is_ok());
}

#[test]
fn a_value_that_contains_itself_can_be_printed() {
    let text = r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ print $d | len }}"#;
    assert!(run_with(text, Budgets::default()).is_ok());
}
