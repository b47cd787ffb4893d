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
    execute(&set, "f", Value::Nil, &world.context())
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

#[test]
fn what_is_too_large_is_refused_before_it_is_made() {
    let text = r#"{{ "x" }}{{ $s := "0123456789" }}{{ range 60 }}{{ $s = print $s $s }}{{ end }}"#;
    let error = on_a_big_stack(move || run_with(text, Budgets::default()).unwrap_err().to_string());
    assert!(
        error.starts_with("template: f:1:55: executing \"f\" at <print $s $s>: this would make more than"),
        "{error}"
    );
    assert!(error.ends_with("build less, or in smaller charts"), "{error}");
}

#[test]
fn loops_end_by_the_work_they_take() {
    let budgets = Budgets { work: 10_000, ..Budgets::default() };
    assert!(message("{{ range 1000 }}{{ print 1 }}{{ end }}", budgets).contains("more than 10000 units of work"));
    assert!(run_with("{{ range 10 }}{{ print 1 }}{{ end }}", budgets).is_ok());
}

#[test]
fn one_budget_serves_all_templates_of_a_render() {
    let world = World::with(Budgets { output: 10, ..Budgets::default() });
    let mut set = world.set.clone();
    set.parse("a", "123456").unwrap();
    assert!(execute(&set, "a", Value::Nil, &world.context()).is_ok());
    assert!(execute(&set, "a", Value::Nil, &world.context()).is_err());
}

#[test]
fn values_deeper_than_the_stack_are_dropped() {
    let mut value = Value::Nil;
    for _ in 0..1_000_000 {
        value = Value::list(vec![Value::map([("a", value)])]);
    }
    drop(value);
}

#[test]
fn templates_of_too_many_nodes_are_refused() {
    let mut set = World::new().set.clone();
    let text = "{{ 1 }}".repeat(75_000);
    assert!(set.parse("a", &text).is_ok());
    let error = set.parse("b", &text).unwrap_err();
    assert_eq!(error.message, "more than 300000 actions, operands and texts in all templates; write fewer");
}
