//! What a person asks for: an IstioOperator resource, or files and `--set` flags that come to one.

use crate::tree::merge::overlay_iop;
use crate::tree::yaml_read::{Document, Duplicates, parse_documents};
use crate::tree::{patch, set};
use serde_json::{Map, Value, json};

/// Where a spec came from, to tell where a problem is.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    files: Vec<(String, Document)>,
}

impl Origin {
    /// `FILE:LINE:COLUMN` of a path such as `spec.components.pilot`, where it came from a file; the last file that has it
    /// counts, as its value does.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<String> {
        self.files.iter().rev().find_map(|(name, document)| {
            let at = document.spans.find(path)?;
            Some(format!("{name}:{}:{}", at.line, at.column))
        })
    }
}

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Name and namespace of the resource, and whatever else its metadata says.
    pub metadata: Value,
    /// The spec as the user wrote it; an object, possibly empty.
    pub spec: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A file is no YAML.
    #[error("{file}:{line}:{column}: {message}")]
    Yaml {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A file holds no resource.
    #[error("{0}: holds no IstioOperator resource (apiVersion: install.istio.io/v1alpha1, kind: IstioOperator)")]
    NoResource(String),
    /// A document has no kind.
    #[error("{0}:{1}: the document has no kind; an IstioOperator resource begins with apiVersion and kind")]
    NoKind(String, usize),
    /// A file holds several resources.
    #[error("{0}: contains multiple IstioOperator resources, only one per file is supported")]
    Several(String),
    /// A part of the resource is not a map.
    #[error("{0}: {1} must be a map")]
    NotAMap(String, &'static str),
    /// Files cannot be merged.
    #[error("{file}: cannot be laid over the files before it: {message}")]
    Merge {
        /// The file.
        file: String,
        /// Why.
        message: String,
    },
    /// A `--set` flag is wrong.
    #[error("--set {flag}: {message}")]
    Set {
        /// The flag's argument.
        flag: String,
        /// What is wrong.
        message: String,
    },
}

/// From a resource of a cluster. A missing spec is an empty one.
#[must_use]
pub fn from_resource(resource: &Value) -> Request {
    let spec = match resource.get("spec") {
        None | Some(Value::Null) => json!({}),
        Some(spec) => spec.clone(),
    };
    let pick = |field: &str| resource.pointer(&format!("/metadata/{field}")).cloned().unwrap_or_default();
    let metadata = json!({"name": pick("name"), "namespace": pick("namespace")});
    Request { metadata, spec, origin: Origin::default() }
}

/// From files, as (name, text), laid over each other left to right, and then `--set` arguments in order.
///
/// # Errors
/// The first problem of the input's form; its content is checked when it is resolved.
pub fn from_files(files: &[(String, String)], sets: &[String]) -> Result<Request, RequestError> {
    let mut merged = json!({"spec": {}});
    let mut origin = Origin::default();
    for (name, text) in files {
        let document = read_resource(name, text)?;
        let overlay = json!({
            "metadata": document.value.get("metadata").cloned().unwrap_or_else(|| json!({})),
            "spec": document.value.get("spec").cloned().unwrap_or_else(|| json!({})),
        });
        merged = overlay_iop(merged, &overlay)
            .map_err(|e| RequestError::Merge { file: name.clone(), message: e.to_string() })?;
        origin.files.push((name.clone(), document));
    }
    for flag in sets {
        let wrong = |message: String| RequestError::Set { flag: flag.clone(), message };
        let (path, value) = set::parse_line(flag).map_err(|e| wrong(e.to_string()))?;
        let path = set::below_spec(path);
        patch::write(&mut merged, &path, value, patch::Mode::Set).map_err(|e| wrong(e.to_string()))?;
    }
    let take = |field: &str| merged.get(field).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    Ok(Request { metadata: take("metadata"), spec: take("spec"), origin })
}

/// The one IstioOperator resource of a file; other objects around it do not matter.
fn read_resource(name: &str, text: &str) -> Result<Document, RequestError> {
    let documents = parse_documents(text, Duplicates::Refuse).map_err(|e| RequestError::Yaml {
        file: name.into(),
        line: e.line,
        column: e.column,
        message: e.message,
    })?;
    let mut found = None;
    let mut other = None;
    for document in documents.into_iter().filter(|d| !d.value.is_null()) {
        let Some(kind) = document.value.get("kind").and_then(Value::as_str) else {
            return Err(RequestError::NoKind(name.into(), document.line));
        };
        match kind {
            crate::api::KIND if found.is_some() => return Err(RequestError::Several(name.into())),
            crate::api::KIND => found = Some(document),
            // Upstream takes any kind; so do we where nothing else can be meant.
            _ if document.value.get("spec").is_some() => other = other.or(Some(document)),
            _ => {}
        }
    }
    let mut document = found.or(other).ok_or_else(|| RequestError::NoResource(name.into()))?;
    for field in ["spec", "metadata"] {
        let part = document.value.get(field).cloned().unwrap_or_default();
        if part.is_null() {
            if let Some(map) = document.value.as_object_mut() {
                map.insert(field.into(), json!({}));
            }
        } else if !part.is_object() {
            return Err(RequestError::NotAMap(name.into(), field));
        }
    }
    Ok(document)
}
