//! Metrics, conditions, reasons and annotations: the documents name all that the code has, and nothing else.

use crate::{code, read};
use regex::Regex;
use std::collections::BTreeSet;

/// What stands in code in the first column of a document's tables.
fn first_column(document: &str) -> BTreeSet<String> {
    let text = read(document);
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

/// What a pattern's only group finds in the code of files whose path contains this.
fn found(within: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let files = code().into_iter().filter(|(path, _)| path.to_string_lossy().contains(within));
    let texts: Vec<String> = files.map(|(_, text)| text).collect();
    texts.iter().flat_map(|text| pattern.captures_iter(text)).map(|found| found[1].to_owned()).collect()
}

fn assert_same(what: &str, documented: &BTreeSet<String>, there: &BTreeSet<String>) {
    let missing: Vec<_> = there.difference(documented).collect();
    let invented: Vec<_> = documented.difference(there).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{what}: not documented {missing:?}, not there {invented:?}");
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let registered = r#"\.(?:counters?|gauges?|durations|labelled_durations)(?:::<[^>]*>)?\(\s*"([a-z_]+)""#;
    let there = found("src/process/metrics", registered);
    assert!(there.len() > 25, "{there:?}");
    let documented = first_column("docs/reference/metrics.md");
    let registered = |name: &String| match name.strip_suffix("_total") {
        // The library ends counters so, and nothing else.
        Some(counter) if !there.contains(name) => counter.to_owned(),
        _ => name.clone(),
    };
    let documented = documented.iter().map(registered);
    assert_same("metrics", &documented.collect(), &there);
}

/// All that errors answer when they are asked for their reason.
fn reasons_of_errors() -> BTreeSet<String> {
    let word = Regex::new(r#""([A-Z][A-Za-z]+)""#).unwrap();
    let constants = Regex::new(r#"const REQUEST_FAILED: &str = "([A-Za-z]+)""#).unwrap();
    let mut found = BTreeSet::new();
    for (_, text) in code() {
        let answers = ["fn reason(&self) -> &'static str {", "fn reason_of_code(code: u16) -> &'static str {"];
        let bodies = answers.iter().flat_map(|begin| text.split(begin).skip(1));
        // They end where the next function begins.
        let bodies = bodies.map(|body| body.split(" fn ").next().unwrap().split("\nfn ").next().unwrap());
        found.extend(bodies.flat_map(|body| word.captures_iter(body)).map(|found| found[1].to_owned()));
        found.extend(constants.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

#[test]
fn every_condition_is_documented_with_its_reasons() {
    let status = code().into_iter().find(|(path, _)| path.ends_with("controller/status.rs")).unwrap().1;
    let list = status.split("OUR_CONDITIONS: [&str;").nth(1).unwrap().split("];").next().unwrap();
    let mut types: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    types.insert("InUse".to_owned());
    let text = read("docs/reference/conditions.md");
    let (conditions, reasons) = text.split_once("\n## Reasons").unwrap();
    let column = |part: &str| -> BTreeSet<String> {
        let rows = part.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
    };
    assert_same("conditions", &column(conditions), &types);
    // Reasons stand in the code as texts; those of the whole resource all in one table of it, those of errors where they say so.
    let all: String = code()
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().contains("src/controller"))
        .map(|(_, text)| text)
        .collect();
    let of_errors = reasons_of_errors();
    let documented = column(reasons);
    for reason in &documented {
        let is_there = all.contains(&format!("\"{reason}\"")) || of_errors.contains(reason);
        assert!(is_there, "{reason} is not a reason in the code");
    }
    let of_events = column(reasons.split_once("\n## Reasons of events").unwrap().1);
    // What is only for want of an error, and what is not told as one.
    let never_told = ["Failed", "Waiting"].map(ToOwned::to_owned);
    let missing: Vec<_> = of_errors.iter().filter(|r| !of_events.contains(*r) && !never_told.contains(r)).collect();
    assert!(missing.is_empty(), "reasons of errors that no event is documented to have: {missing:?}");
    let table =
        status.split("fn row(&self) -> Row {").nth(1).unwrap().split("Row { phase, ready, beside }").next().unwrap();
    let pattern = Regex::new(r#"\("(?:True|False|Unknown|Reconciling|Stalled)", "([A-Za-z]+)"\)"#).unwrap();
    for found in pattern.captures_iter(table) {
        assert!(documented.contains(&found[1]), "the reason {} is not documented", &found[1]);
    }
    // Those that have a name stand where it is used.
    let constant = Regex::new(r#"const ([A-Z_]+): &str = ("[A-Z][A-Za-z]+");"#).unwrap();
    let names: Vec<(Regex, String)> = constant
        .captures_iter(&all)
        .map(|found| (Regex::new(&format!(r"(?:[a-z_]+::)*\b{}\b", &found[1])).unwrap(), found[2].to_owned()))
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    let all = names.iter().fold(all, |text, (name, reason)| name.replace_all(&text, reason).into_owned());
    let events =
        Regex::new(r#"(?:reason: |Blocked\(|note\(|leave_behind\(|Usage::Of\([A-Za-z()]+, )"([A-Z][A-Za-z]+)""#)
            .unwrap();
    for found in events.captures_iter(&all) {
        assert!(documented.contains(&found[1]), "the reason {} is not documented", &found[1]);
    }
}

#[test]
fn every_annotation_of_resources_is_documented() {
    let there = found("src/", r#""(install\.istio\.io/[A-Za-z-]+)""#);
    // Neither annotations of resources, nor for people.
    let others = ["install.istio.io/v1alpha1", "install.istio.io/aggregate-to-operator"].map(ToOwned::to_owned);
    let there: BTreeSet<String> = there.difference(&BTreeSet::from(others)).cloned().collect();
    assert!(there.len() > 8, "{there:?}");
    let documented = first_column("docs/reference/annotations.md");
    let own = documented.into_iter().filter(|name| name.starts_with("install.istio.io/")).collect();
    assert_same("annotations", &own, &there);
}

#[test]
fn every_annotation_of_pods_is_documented() {
    let there = found("src/inject", r#""((?:[a-z]+\.)*istio\.io/[A-Za-z-]+)""#);
    assert!(there.len() > 20, "{there:?}");
    let documented = first_column("docs/reference/annotations.md");
    let missing: Vec<_> = there.iter().filter(|name| !documented.contains(*name)).collect();
    assert!(missing.is_empty(), "not documented: {missing:?}");
}
