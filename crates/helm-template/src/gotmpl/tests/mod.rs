//! Templates against the answers recorded from the real `helm template`, and what only this implementation has:
//! budgets and limits.

mod limits;
mod world;

use super::*;
use world::World;

/// A template file defining `t`, and what Helm made of `{{ include "t" . }}`.
#[derive(Debug)]
struct Recorded {
    text: String,
    answer: Result<String, String>,
}

fn recorded() -> Vec<Recorded> {
    let files = [include_str!("outputs.json"), include_str!("errors.json")];
    let rows: Vec<serde_json::Value> =
        files.iter().flat_map(|file| serde_json::from_str::<Vec<serde_json::Value>>(file).unwrap()).collect();
    let field = |row: &serde_json::Value, name: &str| row.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    rows.iter()
        .map(|row| Recorded {
            text: field(row, "text").unwrap(),
            answer: field(row, "output").ok_or_else(|| field(row, "error").unwrap()),
        })
        .collect()
}

#[test]
fn every_recorded_template_gives_what_helm_gives() {
    let rows = recorded();
    let wrong = limits::on_a_big_stack(move || {
        let world = World::new();
        let differs = |row: &Recorded| {
            let ours = world.render(&row.text);
            (ours != row.answer).then(|| format!("{}\n  helm {:?}\n  ours {ours:?}", row.text, row.answer))
        };
        rows.iter().filter_map(differs).collect::<Vec<_>>()
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn parsed_templates_can_be_shared_by_threads() {
    fn shareable<T: Send + Sync>(_: &T) {}
    shareable(&World::new().set);
}

#[test]
fn what_a_clone_parses_is_not_seen_by_the_original() {
    let mut set = TemplateSet::new("gotmpl", Functions::new().into());
    set.parse("a", "A").unwrap();
    let mut clone = set.clone();
    clone.parse("b", "B").unwrap();
    clone.parse("a", "A2").unwrap();
    assert!(clone.contains("b") && !set.contains("b"));
    let world = World::new();
    assert_eq!(execute(&set, "a", Value::Nil, &world.context()).unwrap(), b"A");
    assert_eq!(execute(&clone, "a", Value::Nil, &world.context()).unwrap(), b"A2");
    clone.parse("a", " {{/* nothing */}} ").unwrap();
    assert_eq!(execute(&clone, "a", Value::Nil, &world.context()).unwrap(), b"A2");
}

#[test]
fn an_unknown_template_is_named_with_its_set() {
    let world = World::new();
    let error = execute(&world.set, "no\"pe", Value::Nil, &world.context()).unwrap_err();
    assert_eq!(error.to_string(), r#"template: no template "no\"pe" associated with template "gotpl""#);
}

#[test]
fn a_failed_execution_tells_where_it_began_and_why_it_ended() {
    let world = World::new();
    let mut set = world.set.clone();
    set.parse("f", "\n  {{ include \"d\" . }}{{ define \"d\" }}{{ fail \"no good\" }}{{ end }}").unwrap();
    let error = execute(&set, "f", Value::Nil, &world.context()).unwrap_err();
    assert_eq!(error.location().unwrap().to_string(), "f:2:5");
    assert_eq!(error.abort_message(), Some("no good"));
    assert_eq!(error.innermost().failure().unwrap().template, "d");
}
