//! Changes as a person reads them.

use super::{Change, ObjectChange};
use helm_template::yaml;
use serde_json::Value;
use similar::TextDiff;

/// So many fields of an object are named in a table.
const NAMED: usize = 3;

/// A unified diff of the objects as YAML, each with its key; `context` lines around what differs.
#[must_use]
pub fn unified(changes: &[ObjectChange], context: usize) -> String {
    let text = |object: Option<&Value>| object.and_then(yaml::to_string).unwrap_or_default();
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
    let named: Vec<&str> = change.fields.iter().take(NAMED).map(|field| field.path.as_str()).collect();
    match change.fields.len().saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}
