//! What large charts rendered to before: a release from 1.24 on reads and writes all of its CRDs anew each time, which is most of
//! the time that a command takes.
//!
//! In: a chart, and all else that a render depends on. Out: a name for what it renders to, by which somebody else may keep it.
//! Guarantee: two renders have one name only if they come to the same.

use helm_template::helm::ChartFile;
use helm_template::helm::chart::Chart;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Charts of fewer bytes render as quickly as they are looked up.
const LARGE: usize = 256 << 10;

/// Rendered files by path.
pub type Files = BTreeMap<String, String>;

/// What a render is called: a SHA-256 digest of all that it depends on.
pub type Name = [u8; 32];

/// Keeps what charts render to.
pub trait Renders: Send + Sync {
    /// What is kept under a name.
    fn find(&self, name: &Name) -> Option<Files>;

    /// Keeps something, if it can.
    fn keep(&self, name: &Name, files: &Files);
}

/// What the renders of one chart depend on.
#[derive(Debug)]
pub struct ChartDigest(Name);

impl ChartDigest {
    /// Of a chart that is large enough; `None` of another.
    #[must_use]
    pub fn of(chart: &Chart) -> Option<Self> {
        let bytes: usize = chart.templates.iter().chain(&chart.files).map(|file| file.data.len()).sum();
        (bytes >= LARGE).then(|| {
            let mut hasher = Sha256::new();
            add_chart(&mut hasher, chart);
            Self(hasher.finalize().into())
        })
    }

    /// The name of what the chart renders to where all else that this depends on is `other`.
    #[must_use]
    pub fn name(&self, other: &[&str]) -> Name {
        let mut hasher = Sha256::new();
        add(&mut hasher, &self.0);
        for part in other {
            add(&mut hasher, part.as_bytes());
        }
        hasher.finalize().into()
    }
}

fn add_chart(hasher: &mut Sha256, chart: &Chart) {
    add(hasher, format!("{:?}", chart.metadata).as_bytes());
    add(hasher, Value::from(chart.values.clone()).to_string().as_bytes());
    // No schema is another thing than an empty one, which fails.
    add(hasher, &[u8::from(chart.schema.is_some())]);
    add(hasher, chart.schema.as_deref().unwrap_or_default());
    for files in [&chart.templates, &chart.files] {
        add(hasher, &files.len().to_le_bytes());
        for ChartFile { name, data } in files {
            add(hasher, name.as_bytes());
            add(hasher, data);
        }
    }
    add(hasher, &chart.dependencies.len().to_le_bytes());
    chart.dependencies.iter().for_each(|chart| add_chart(hasher, chart));
}

/// So that no two lists of parts are one text.
fn add(hasher: &mut Sha256, part: &[u8]) {
    hasher.update(part.len().to_le_bytes());
    hasher.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(text: &str, size: usize) -> Chart {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("Chart.yaml"), "apiVersion: v2\nname: large\nversion: 1.0.0\n").unwrap();
        let mut chart = Chart::load(directory.path()).unwrap();
        let data = text.repeat(size / text.len()).into();
        chart.files.push(ChartFile { name: "files/x".into(), data });
        chart
    }

    #[test]
    fn all_that_a_render_depends_on_is_in_its_name() {
        let name = |chart: &Chart, other: &[&str]| ChartDigest::of(chart).unwrap().name(other);
        let one = chart("x", LARGE);
        assert_eq!(name(&one, &["a", "b"]), name(&chart("x", LARGE), &["a", "b"]));
        let mut renamed = one.clone();
        renamed.files[0].name = "files/y".into();
        let mut moved = one.clone();
        moved.templates = std::mem::take(&mut moved.files);
        let mut with_values = one.clone();
        with_values.values.insert("a".into(), 1.into());
        let others = [renamed, moved, with_values, chart("y", LARGE), chart("x", LARGE + 1)];
        let mut names: Vec<_> = others.iter().map(|other| name(other, &["a", "b"])).collect();
        names.extend([&["ab", ""][..], &["a"], &["a", "c"]].map(|other| name(&one, other)));
        names.push(name(&one, &["a", "b"]));
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert!(ChartDigest::of(&chart("x", LARGE - 1)).is_none());
    }
}
