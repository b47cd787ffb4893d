//! Kubernetes objects as the pipeline makes them: JSON with a kind and a name.

pub mod inventory;
pub mod labels;
pub mod manifests;
pub mod order;

use serde_json::{Map, Value};
use std::fmt;

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

/// A Kubernetes object with a kind and a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Value);

impl Object {
    /// Takes JSON that has `apiVersion`, `kind` and `metadata.name`.
    ///
    /// # Errors
    /// What it lacks.
    pub fn new(value: Value) -> Result<Self, ObjectError> {
        let Value::Object(map) = &value else {
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
        Ok(Self(value))
    }

    /// The JSON.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The JSON, to change; kind and name must stay.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// The JSON.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
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
        let metadata = self.0.get_mut("metadata")?.as_object_mut()?;
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        if labels.is_null() {
            *labels = Value::Object(Map::new());
        }
        labels.as_object_mut()
    }
}
