//! What a check finds.

use crate::cluster::ClusterError;
use serde::Serialize;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Level {
    /// Worth knowing.
    Note,
    /// It could not be looked at.
    Unknown,
    /// It may do harm.
    Warning,
    /// It is in the way.
    Error,
}

/// Something that was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub level: Level,
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// In a sentence.
    pub message: String,
}

impl Finding {
    /// Of a level, about an object or about none.
    pub(super) fn new(level: Level, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level, object: object.into(), message: message.into() }
    }

    /// What could not be found out, and why.
    pub(super) fn unknown(what: &str, error: &ClusterError) -> Self {
        Self::new(Level::Unknown, "", format!("it is not known {what}: {error}"))
    }
}

/// A check, and what it found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    pub name: &'static str,
    /// What is well; empty where anything was found.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub well: String,
    pub findings: Vec<Finding>,
}

impl Check {
    /// Of its findings; `well` is what is so if there are none.
    pub(super) fn new(name: &'static str, well: impl Into<String>, findings: Vec<Finding>) -> Self {
        let well = if findings.is_empty() { well.into() } else { String::new() };
        Self { name, well, findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn what_is_well_is_said_only_where_nothing_was_found() {
        let check = |findings| to_value(Check::new("Ports", "all are free", findings)).unwrap();
        assert_eq!(check(vec![]), json!({"name": "Ports", "well": "all are free", "findings": []}));
        let found = check(vec![Finding::new(Level::Note, "", "one is taken")]);
        assert_eq!(found, json!({"name": "Ports", "findings": [{"level": "note", "message": "one is taken"}]}));
    }
}
