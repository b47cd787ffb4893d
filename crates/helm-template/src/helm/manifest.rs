//! From rendered files to the text that `helm template` prints: documents, hooks, order.
//!
//! In: rendered files by path. Out: manifests and hooks in Helm's order of kinds, and their text. A document is only
//! read for its head; its bytes stay as they are.

use super::decode::{self, Decoder, Place};
use super::text;
use memchr::memmem;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Kinds in the order in which Helm installs them; all others follow by name.
pub const INSTALL_ORDER: [&str; 36] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

const HOOK: &str = "helm.sh/hook";
const EVENTS: [&str; 10] = [
    "pre-install",
    "post-install",
    "pre-delete",
    "post-delete",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "test",
    "test-success",
];

/// A document of a rendered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file it comes from.
    pub path: String,
    /// `kind`, empty for none.
    pub kind: String,
    /// The document.
    pub content: String,
}

/// A document with the annotation `helm.sh/hook`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The document.
    pub manifest: Manifest,
    /// Whether one of its events is a test.
    pub is_test: bool,
}

/// Everything a chart renders to, in the order in which Helm installs it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Manifests {
    /// Documents without a hook annotation.
    pub manifests: Vec<Manifest>,
    /// Documents with one.
    pub hooks: Vec<Hook>,
    /// What Helm logs.
    pub warnings: Vec<String>,
}

/// A document of which Helm cannot read kind and annotations; the text is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {path}: {problem}")]
pub struct ManifestError {
    /// The rendered file that it stands in.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Splits rendered files, given by path, into documents and sorts them. Partials and blank files are passed over; notes
/// must not be among them.
///
/// # Errors
/// The first document whose kind and annotations cannot be read.
pub fn sort<'f>(files: impl IntoIterator<Item = (&'f String, &'f String)>) -> Result<Manifests, ManifestError> {
    let mut sorted = Manifests::default();
    for (path, content) in files {
        let base = path.rsplit('/').next().unwrap_or(path);
        if base.starts_with('_') || content.trim().is_empty() {
            continue;
        }
        for document in split(content) {
            sorted.add(path, document).map_err(|problem| ManifestError { path: path.clone(), problem })?;
        }
    }
    sorted.manifests.sort_by(|a, b| rank(&a.kind).cmp(&rank(&b.kind)));
    sorted.hooks.sort_by(|a, b| rank(&a.manifest.kind).cmp(&rank(&b.manifest.kind)));
    Ok(sorted)
}

fn rank(kind: &str) -> (usize, &str) {
    INSTALL_ORDER.iter().position(|k| *k == kind).map_or((usize::MAX, kind), |at| (at, ""))
}

impl Manifests {
    /// What `helm template` prints: manifests, then hooks, each with the line that names its file. [`Printed`] lets CRDs and
    /// hooks be chosen.
    #[must_use]
    pub fn to_text(&self) -> String {
        Printed { crds: Vec::new(), manifests: &self.manifests, hooks: self.hooks.iter().collect() }.text()
    }

    fn add(&mut self, path: &str, content: String) -> Result<(), String> {
        let head = Head::read(&content)?;
        let manifest = Manifest { path: path.to_owned(), kind: head.kind, content };
        let Some(events) = head.annotations.get(HOOK) else {
            self.manifests.push(manifest);
            return Ok(());
        };
        let names: Vec<String> = events.split(',').map(|e| e.trim().to_lowercase()).collect();
        if names.iter().all(|name| EVENTS.contains(&name.as_str())) {
            let is_test = names.iter().any(|name| name.starts_with("test"));
            self.hooks.push(Hook { manifest, is_test });
        } else {
            let events = text::quoted(events);
            self.warnings.push(format!("manifest_sorter.go:199: info: skipping unknown hook: {events}"));
        }
        Ok(())
    }
}

/// What Helm reads of a document.
#[derive(Default)]
struct Head {
    kind: String,
    annotations: BTreeMap<String, String>,
}

impl Head {
    fn read(document: &str) -> Result<Self, String> {
        const METADATA: &str =
            r#"struct { Name string "json:\"name\""; Annotations map[string]string "json:\"annotations\"" }"#;
        let value = decode::yaml(document.as_bytes())?;
        let mut d = Decoder::default();
        let mut head = Self::default();
        let mut unused = String::new();
        let at = |field| Place { structure: "SimpleHead", path: "", field };
        for (key, value) in d.root(&value, "releaseutil.SimpleHead") {
            match key.to_lowercase().as_str() {
                "apiversion" => d.text(value, at("apiVersion"), &mut unused),
                "kind" => d.text(value, at("kind"), &mut head.kind),
                "metadata" => {
                    for (key, value) in d.structure(value, at("metadata"), METADATA).into_iter().flatten() {
                        let at = |field| Place { structure: "", path: "metadata.", field };
                        match key.to_lowercase().as_str() {
                            "name" => d.text(value, at("name"), &mut unused),
                            "annotations" => d.text_map(value, at("annotations"), &mut head.annotations),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        d.finish()?;
        Ok(head)
    }
}

/// Splits a text into its documents as Helm does: at `---` at the start of a line, the blanks around it included, empty
/// pieces dropped, each piece trimmed.
#[must_use]
pub fn split(text: &str) -> Vec<String> {
    pieces(text).into_iter().map(str::to_owned).collect()
}

/// The same, as parts of the text.
#[must_use]
pub fn pieces(text: &str) -> Vec<&str> {
    const SPACE: [char; 5] = ['\t', '\n', '\u{c}', '\r', ' '];
    let text = text.trim();
    let mut pieces = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(at) = next_dashes(text, from) {
        let before = text.get(start..at).unwrap_or_default();
        // The newline must not belong to the separator before.
        if at > 0 && !before.ends_with('\n') {
            from = at + 1;
            continue;
        }
        pieces.push(before.trim_end_matches(SPACE));
        let rest = text.get(at + 3..).unwrap_or_default();
        start = text.len() - rest.trim_start_matches(SPACE).len();
        from = start;
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces.into_iter().filter(|piece| !piece.is_empty()).map(str::trim).collect()
}

/// Where three dashes begin, at `from` or after it.
fn next_dashes(text: &str, from: usize) -> Option<usize> {
    let at = memmem::find(text.as_bytes().get(from..)?, b"---")?;
    Some(from + at)
}

/// A document with the line that names its file.
#[must_use]
pub fn document(path: &str, content: &str) -> String {
    format!("---\n# Source: {path}\n{content}\n")
}

/// What is printed of a chart: CRDs, manifests, hooks.
#[derive(Debug, Default)]
pub struct Printed<'a> {
    /// CRD files by their full path, if they are wanted.
    pub crds: Vec<(String, &'a [u8])>,
    /// The manifests.
    pub manifests: &'a [Manifest],
    /// The hooks that are wanted.
    pub hooks: Vec<&'a Hook>,
}

impl Printed<'_> {
    /// The text of `helm template`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (path, data) in &self.crds {
            out.push_str(&document(path, &String::from_utf8_lossy(data)));
        }
        for manifest in self.manifests {
            out.push_str(&document(&manifest.path, &manifest.content));
        }
        let mut text = format!("{}\n", out.trim());
        for hook in &self.hooks {
            text.push_str(&document(&hook.manifest.path, &hook.manifest.content));
        }
        text
    }
}

/// Why documents cannot be chosen by `--show-only`; the text is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShowOnlyError {
    /// A pattern matches no template, or only templates that print nothing.
    #[error("could not find template {0} in chart")]
    NoTemplate(String),
}

/// `--show-only`: the documents of a printed text whose path below the chart matches a pattern, pattern by pattern.
///
/// # Errors
/// A pattern that matches nothing.
pub fn show_only(text: &str, patterns: &[String]) -> Result<String, ShowOnlyError> {
    let documents = split(text);
    let mut out = String::new();
    for pattern in patterns {
        let mut missing = true;
        for document in &documents {
            let path = source_path(document);
            if path.is_some_and(|path| super::glob::matches_path(pattern, path).unwrap_or(false)) {
                let _ = write!(out, "---\n{document}\n");
                missing = false;
            }
        }
        if missing {
            return Err(ShowOnlyError::NoTemplate(pattern.clone()));
        }
    }
    Ok(out)
}

/// The path after the chart's name in `# Source: chart/path`.
fn source_path(document: &str) -> Option<&str> {
    document.match_indices("# Source: ").find_map(|(at, mark)| {
        let rest = document.get(at + mark.len()..)?;
        let (chart, path) = rest.split_once('/')?;
        let line = path.split('\n').next()?;
        (!chart.is_empty() && !line.is_empty()).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_split_at_separators_like_helms() {
        for (text, want) in [
            ("a: 1\n---\nb: 2", &["a: 1", "b: 2"][..]),
            ("---\na: 1", &["a: 1"]),
            ("a\n--- # c\nb", &["a", "# c\nb"]),
            ("a\n---kind: Z", &["a", "kind: Z"]),
            ("a\n---\n---\nb", &["a", "---\nb"]),
            ("a\n---\n---", &["a", "---"]),
            ("a: |\n  ---\n  x", &["a: |\n  ---\n  x"]),
            ("a\r\n---\r\nb\r\nc", &["a", "b\r\nc"]),
            ("a\n\n  \n---\n   b", &["a", "b"]),
            ("", &[]),
        ] {
            assert_eq!(split(text), want, "{text:?}");
        }
    }

    #[test]
    fn kinds_are_sorted_and_hooks_apart() {
        let files = BTreeMap::from([
            (
                "c/templates/a.yaml".to_owned(),
                "kind: Zed\n---\nkind: Service\n---\n# nothing\n---\nkind: Abc".to_owned(),
            ),
            (
                "c/templates/b.yaml".to_owned(),
                "kind: Namespace\n---\nkind: Job\nmetadata: {annotations: {helm.sh/hook: 'Post-Install , test'}}"
                    .to_owned(),
            ),
            ("c/templates/c.yaml".to_owned(), "kind: Pod\nmetadata: {annotations: {helm.sh/hook: bogus}}".to_owned()),
        ]);
        let sorted = sort(&files).unwrap();
        let kinds: Vec<_> = sorted.manifests.iter().map(|m| m.kind.as_str()).collect();
        assert_eq!(kinds, ["Namespace", "Service", "", "Abc", "Zed"]);
        assert_eq!(
            sorted.hooks.iter().map(|h| (h.manifest.kind.as_str(), h.is_test)).collect::<Vec<_>>(),
            [("Job", true)]
        );
        assert_eq!(sorted.warnings, ["manifest_sorter.go:199: info: skipping unknown hook: \"bogus\""]);
    }

    #[test]
    fn show_only_repeats_and_complains() {
        let text = document("c/templates/a.yaml", "a: 1") + &document("c/templates/d/b.yaml", "b: 1");
        let only = |patterns: &[&str]| show_only(&text, &patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(only(&["templates/d/*", "templates/d/b.yaml"]).unwrap().matches("b: 1").count(), 2);
        assert_eq!(only(&["templates/x"]).unwrap_err().to_string(), "could not find template templates/x in chart");
    }
}
