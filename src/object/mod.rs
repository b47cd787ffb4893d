//! Kubernetes objects as the pipeline makes them: JSON with a kind and a name.

pub mod labels;
pub mod manifests;
pub mod order;

use crate::tree::{yaml_read, yaml_write};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What tells one object from another in a cluster; the version is left out on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The API group, empty for the core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
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

/// Why a document is no Kubernetes object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ObjectError {
    /// A map is needed.
    #[error("not an object but {0}")]
    NotAMap(&'static str),
    /// A field every object has.
    #[error("has no {0}")]
    Missing(&'static str),
}

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
        ("metadata.name", map.get("metadata").and_then(|m| m.get("name"))),
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

/// Definitions are most of what is printed and never change on the way: they stay text until somebody looks inside.
#[derive(Clone, Debug)]
enum Form {
    Tree(Value),
    Text(Arc<Text>),
}

#[derive(Debug)]
struct Text {
    yaml: String,
    /// `apiVersion`, `kind` and `metadata`.
    head: Value,
    tree: OnceLock<Value>,
}

impl Text {
    fn read(&self) -> Value {
        yaml_read::parse(&self.yaml).unwrap_or_default()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Text(a), Form::Text(b)) if a.yaml == b.yaml => true,
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

    /// Takes YAML that is written as [`Object::to_yaml`] writes it, whose `spec` comes after what every object has. Only
    /// what stands before is looked at now.
    ///
    /// # Errors
    /// What it lacks.
    pub fn from_written(yaml: &str) -> Result<Self, ObjectError> {
        let head = yaml.split_once("\nspec:").map_or(yaml, |(head, _)| head);
        let head = yaml_read::parse(head).map_err(|_| ObjectError::NotAMap("broken YAML"))?;
        check(&head)?;
        Ok(Self(Form::Text(Arc::new(Text { yaml: yaml.to_owned(), head, tree: OnceLock::new() }))))
    }

    /// The JSON.
    #[must_use]
    pub fn value(&self) -> &Value {
        match &self.0 {
            Form::Tree(value) => value,
            Form::Text(text) => text.tree.get_or_init(|| text.read()),
        }
    }

    /// The JSON, to change; kind and name must stay.
    pub fn value_mut(&mut self) -> &mut Value {
        if let Form::Text(text) = &self.0 {
            self.0 = Form::Tree(text.read());
        }
        match &mut self.0 {
            Form::Tree(value) => value,
            Form::Text(_) => unreachable!("made a tree above"),
        }
    }

    /// The YAML; `None` where its emitter refuses a key.
    #[must_use]
    pub fn to_yaml(&self) -> Option<String> {
        match &self.0 {
            Form::Tree(value) => yaml_write::to_string(value),
            Form::Text(text) => Some(text.yaml.clone()),
        }
    }

    /// `apiVersion`, `kind` and `metadata` at least.
    fn head(&self) -> &Value {
        match &self.0 {
            Form::Tree(value) => value,
            Form::Text(text) => &text.head,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.head().pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `group/version`, or `v1`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// The API group, empty for the core.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// The namespace, empty where there is none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
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

    /// Whether it defines a custom resource.
    #[must_use]
    pub fn is_crd(&self) -> bool {
        self.kind() == "CustomResourceDefinition"
    }

    /// The labels, made when absent.
    pub fn labels_mut(&mut self) -> Option<&mut Map<String, Value>> {
        let metadata = self.value_mut().get_mut("metadata")?.as_object_mut()?;
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        if labels.is_null() {
            *labels = Value::Object(Map::new());
        }
        labels.as_object_mut()
    }
}
