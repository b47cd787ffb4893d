//! Changes as a person reads them.

use super::{Change, ObjectChange, is_below};
use helm_template::{json, yaml};
use serde_json::Value;
use similar::TextDiff;

/// So many fields of an object are named in a table.
const NAMED: usize = 3;

/// A unified diff of the objects as YAML, each with its key; `context` lines around what differs.
#[must_use]
pub fn unified(changes: &[ObjectChange], context: usize) -> String {
    // An object that the emitter refuses (a control character in it) is shown as JSON: as nothing it would not differ.
    let yaml = |object: &Value| yaml::to_string(object).unwrap_or_else(|| json::to_string_pretty(object) + "\n");
    let text = |object: Option<&Value>| object.map(yaml).unwrap_or_default();
    let mut all = String::new();
    for change in changes {
        let [before, after] = [change.before(), change.after()].map(text);
        let name = |is_there: bool| if is_there { change.key.to_string() } else { "/dev/null".to_owned() };
        let (from, to) = (name(change.change != Change::Create), name(change.change != Change::Delete));
        let diff = TextDiff::from_lines(&before, &after);
        all.push_str(&diff.unified_diff().context_radius(context).header(&from, &to).to_string());
    }
    all
}

/// A table with a line for each object.
#[must_use]
pub fn table(changes: &[ObjectChange]) -> String {
    let rows: Vec<_> =
        changes.iter().map(|change| (change.change.name(), change.key.to_string(), told(change))).collect();
    let width = rows.iter().map(|(_, name, _)| name.chars().count()).max().unwrap_or_default().max("OBJECT".len());
    let line = |(change, name, fields): (&str, &str, &str)| {
        format!("{change:<7} {name:<width$}  {fields}").trim_end().to_owned() + "\n"
    };
    let rows = rows.iter().map(|(change, name, fields)| line((change, name, fields)));
    std::iter::once(line(("CHANGE", "OBJECT", "FIELDS"))).chain(rows).collect()
}

fn told(change: &ObjectChange) -> String {
    let paths: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
    summary(&paths, NAMED)
}

/// Where installers and charts write of whom and what an object is.
const LABELS: &str = ".metadata.labels";

/// The first few of some paths, and how many more there are. Labels come last, for they tell least.
#[must_use]
pub fn summary(paths: &[&str], named: usize) -> String {
    let is_label = |path: &&&str| path.contains(LABELS);
    let (labels, others): (Vec<&str>, Vec<&str>) = paths.iter().partition(is_label);
    let first: Vec<&str> = others.into_iter().chain(labels).take(named).collect();
    match paths.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

/// Whether all of some paths are of labels.
#[must_use]
pub fn are_labels(paths: &[String]) -> bool {
    !paths.is_empty() && paths.iter().all(|path| is_below(path, LABELS))
}
