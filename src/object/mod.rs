//! Kubernetes objects as they are rendered: JSON with a kind and a name.

pub mod inventory;
pub mod labels;
pub mod manifests;
pub mod order;
pub mod owner;
pub mod pods;
pub mod scope;
mod written;

pub use owner::OwnerId;

use crate::api::DEFAULT_REVISION;
use bytes::Bytes;
use helm_template::helm::manifest;
use helm_template::yaml::{self, YamlError};
use memchr::memmem;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::Utf8Error;
use written::Written;

/// What identifies an object in a cluster. The API version is not part of it: an object is the same in all versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectKey {
    /// The API group, empty for the core.
    #[serde(skip)]
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace, empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// `group/Kind`, as labels of metrics have it.
    #[must_use]
    pub fn group_kind(&self) -> String {
        format!("{}/{}", self.group, self.kind)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Why a document is not a Kubernetes object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ObjectError {
    /// It is not a map.
    #[error("is not an object but {0}")]
    NotAMap(&'static str),
    /// It lacks a field that every object has.
    #[error("has no {0}")]
    Missing(&'static str),
}

/// Why Kubernetes objects cannot be read from a text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// It is not YAML.
    #[error("not YAML: {0}")]
    Yaml(#[from] YamlError),
    /// It is no text.
    #[error("not YAML: {0}")]
    Text(#[from] Utf8Error),
    /// A document is not a Kubernetes object.
    #[error("a document {0}")]
    Object(#[from] ObjectError),
}

/// The objects of a text with any number of YAML documents; empty ones are left out.
///
/// # Errors
/// The first document that is not an object.
pub fn read_all(text: &str) -> Result<Vec<Object>, ReadError> {
    read_as(text.to_owned().into(), Reading::default())
}

/// How the text of a chart is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether a document ends with a newline, which belongs to a block of text that stands there.
    pub keeps_newline: bool,
    /// Whether an object may lack its name, which no API server takes.
    pub takes_nameless: bool,
}

/// The same, read in this way. The text lives as long as a CRD in it.
///
/// # Errors
/// As above.
pub fn read_as(text: Bytes, reading: Reading) -> Result<Vec<Object>, ReadError> {
    let mut objects = vec![];
    let text = Written::new(text)?;
    for document in manifest::pieces(&text) {
        if let Some(definition) = definition(&text, document) {
            objects.push(definition);
            continue;
        }
        let document = if reading.keeps_newline { Cow::Owned(format!("{document}\n")) } else { document.into() };
        let value = yaml::parse(&document)?;
        if value.is_null() {
            continue;
        }
        match check(&value) {
            Err(ObjectError::Missing(NAME)) if reading.takes_nameless => {}
            checked => checked?,
        }
        objects.push(Object(Form::Tree(value)));
    }
    Ok(objects)
}

/// The CRD that a document is, as text: CRDs are most of what a release has, and nobody looks into them. None for what is to be
/// read as a whole.
fn definition(whole: &Written, document: &str) -> Option<Object> {
    let is_comment = |line: &&str| line.trim().is_empty() || line.starts_with('#');
    let comments: usize = document.split_inclusive('\n').take_while(is_comment).map(str::len).sum();
    let text = document.get(comments..)?.trim_end();
    let head = head(text)?;
    let is_meant = head.lines().any(|line| line.strip_prefix("kind:").is_some_and(|kind| kind.trim() == DEFINITION));
    if !is_meant {
        return None;
    }
    Object::as_written(whole.lines(text).unwrap_or_else(|| format!("{text}\n").into())).ok()
}

/// What stands above `spec:`.
fn head(text: &str) -> Option<&str> {
    text.get(..memmem::find(text.as_bytes(), b"\nspec:")?)
}

/// The object in a text, with this head (`apiVersion`, `kind` and `metadata`) instead of the text's own.
fn read(head: &Value, yaml: &str) -> Value {
    // If the text cannot be read, the head alone: the API server refuses it, so that it is never applied as an empty object.
    let mut value = yaml::parse(yaml).unwrap_or_else(|_| head.clone());
    if let (Some(all), Some(head)) = (value.as_object_mut(), head.as_object()) {
        all.extend(head.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    value
}

const NAME: &str = "metadata.name";
const DEFINITION: &str = "CustomResourceDefinition";

/// Whether JSON is an object with a kind and a name.
fn check(value: &Value) -> Result<(), ObjectError> {
    let Value::Object(map) = value else {
        return Err(ObjectError::NotAMap(match value {
            Value::Array(_) => "a list",
            Value::Null => "null",
            _ => "a scalar",
        }));
    };
    for (field, found) in [
        ("apiVersion", map.get("apiVersion")),
        ("kind", map.get("kind")),
        (NAME, map.get("metadata").and_then(|m| m.get("name"))),
    ] {
        if found.and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(ObjectError::Missing(field));
        }
    }
    Ok(())
}

/// A Kubernetes object with a kind and a name.
#[derive(Clone, Debug)]
pub struct Object(Form);

/// CRDs are most of what is rendered and seldom looked into: they stay text, a tenth of the size of a tree.
#[derive(Clone, Debug)]
enum Form {
    Tree(Value),
    Text {
        /// `apiVersion`, `kind` and `metadata` as they are now.
        head: Value,
        /// The whole, with the head as it was.
        yaml: Written,
        /// Whether the head is no longer that of the text.
        changed: bool,
    },
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Text { head: a, yaml: x, .. }, Form::Text { head: b, yaml: y, .. }) if x == y => a == b,
            _ => self.value() == other.value(),
        }
    }
}

impl Object {
    /// Takes JSON that has `apiVersion`, `kind` and `metadata.name`.
    ///
    /// # Errors
    /// What it lacks.
    pub fn new(value: Value) -> Result<Self, ObjectError> {
        check(&value)?;
        Ok(Self(Form::Tree(value)))
    }

    /// Takes YAML in which `spec` comes after `apiVersion`, `kind` and `metadata`. Only these are read now, and [`Object::to_yaml`]
    /// gives the text as it is.
    ///
    /// # Errors
    /// What it lacks.
    pub fn from_written(yaml: impl Into<Bytes>) -> Result<Self, ObjectError> {
        Self::as_written(Written::new(yaml.into()).map_err(|_| ObjectError::NotAMap("broken YAML"))?)
    }

    fn as_written(yaml: Written) -> Result<Self, ObjectError> {
        let text: &str = &yaml;
        let head = yaml::parse(head(text).unwrap_or(text)).map_err(|_| ObjectError::NotAMap("broken YAML"))?;
        check(&head)?;
        Ok(Self(Form::Text { head, yaml, changed: false }))
    }

    /// The JSON; made anew on each call where the object is still text.
    #[must_use]
    pub fn value(&self) -> Cow<'_, Value> {
        match &self.0 {
            Form::Tree(value) => Cow::Borrowed(value),
            Form::Text { head, yaml, .. } => Cow::Owned(read(head, yaml)),
        }
    }

    /// The JSON, to change; kind and name must stay.
    pub fn value_mut(&mut self) -> &mut Value {
        if let Form::Text { head, yaml, .. } = &self.0 {
            self.0 = Form::Tree(read(head, yaml));
        }
        self.head_mut()
    }

    /// The YAML; `None` where its emitter refuses a key.
    #[must_use]
    pub fn to_yaml(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Form::Text { yaml, changed: false, .. } => Some(Cow::Borrowed(yaml)),
            _ => yaml::to_string(&self.value()).map(Cow::Owned),
        }
    }

    /// A hash to see changes of an object: equal objects have the same within one run of the program, but not across runs.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Form::Text { yaml, .. } = &self.0 {
            yaml.hash(&mut hasher);
        }
        self.head().hash(&mut hasher);
        hasher.finish()
    }

    /// `apiVersion`, `kind` and `metadata` at least.
    fn head(&self) -> &Value {
        match &self.0 {
            Form::Tree(value) | Form::Text { head: value, .. } => value,
        }
    }

    fn head_mut(&mut self) -> &mut Value {
        match &mut self.0 {
            Form::Tree(value) => value,
            Form::Text { head, changed, .. } => {
                *changed = true;
                head
            }
        }
    }

    /// The string at a path in the head, empty if there is none.
    fn text(&self, place: &[&str]) -> &str {
        // A JSON pointer would allocate strings.
        let found = place.iter().try_fold(self.head(), |value, name| value.as_object()?.get(*name));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// `group/version`, or `v1`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text(&["apiVersion"])
    }

    /// The API group, empty for the core.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text(&["kind"])
    }

    /// The namespace, empty where there is none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text(&["metadata", "namespace"])
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text(&["metadata", "name"])
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            group: self.group().into(),
            kind: self.kind().into(),
            namespace: self.namespace().into(),
            name: self.name().into(),
        }
    }

    /// Whether it is a CRD.
    #[must_use]
    pub fn is_crd(&self) -> bool {
        self.kind() == DEFINITION
    }

    /// Sets the namespace that its kind needs: this one for a namespaced object that names none, and none for a cluster-scoped
    /// object. An object of a kind that is not known here stays as it is.
    pub fn settle(&mut self, namespace: &str) {
        let wanted = match scope::is_namespaced(self.group(), self.kind()) {
            Some(true) if self.namespace().is_empty() => Some(namespace),
            Some(false) if !self.namespace().is_empty() => None,
            _ => return,
        };
        if let Some(metadata) = self.head_mut().get_mut("metadata").and_then(Value::as_object_mut) {
            match wanted {
                Some(namespace) => drop(metadata.insert("namespace".into(), namespace.into())),
                None => drop(metadata.remove("namespace")),
            }
        }
    }

    /// Annotates it as what has the revision tag `default` without having been asked to.
    pub fn mark_default(&mut self) {
        let Some(metadata) = self.head_mut().get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        let mut all = annotations.as_object().cloned().unwrap_or_default();
        all.insert(DEFAULT_REVISION.into(), "true".into());
        *annotations = all.into();
    }

    /// The labels, created if absent; `None` if there is something else than a map.
    pub fn labels_mut(&mut self) -> Option<&mut Map<String, Value>> {
        let metadata = self.head_mut().get_mut("metadata")?.as_object_mut()?;
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        if labels.is_null() {
            *labels = Value::Object(Map::new());
        }
        labels.as_object_mut()
    }
}
