//! The configuration of injection in an installation: the content of its two ConfigMaps.

use super::error::InjectError;
use super::functions::Environment;
use super::mesh::Mesh;
use super::templates::Templates;
use crate::spec::path::scalar_text;
use helm_template::yaml;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The templates and the configuration that pods of one revision are injected with.
#[derive(Clone)]
pub struct Installation {
    pub(super) templates: Templates,
    pub(super) default_templates: Vec<String>,
    pub(super) aliases: BTreeMap<String, Vec<String>>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) values: Value,
    pub(super) mesh: Mesh,
    pub(super) revision: String,
    pub(super) environment: Environment,
}

impl Installation {
    /// From the texts `config` and `values` of the ConfigMap `istio-sidecar-injector`, the text `mesh` of the ConfigMap
    /// `istio`, and the revision, empty for the default one.
    ///
    /// # Errors
    /// Everything that cannot be read, template by template.
    pub fn new(config: &str, values: &str, mesh: &str, revision: &str) -> Result<Self, Vec<InjectError>> {
        let mut errors = vec![];
        let wrong = |what: &'static str| move |message: String| InjectError::Configuration { what, message };
        let mesh = Mesh::parse(mesh).map_err(|e| errors.push(wrong("mesh configuration")(e))).ok();
        let values = read(values).map_err(|e| errors.push(wrong("values")(e))).ok();
        let config = read(config).map_err(|e| errors.push(wrong("injection configuration")(e))).unwrap_or_default();
        let templates = texts(&config, "templates").map_err(wrong("injection configuration"));
        let templates = match templates.map_err(|e| vec![e]).and_then(|texts| Templates::parse(&texts)) {
            Ok(templates) => Some(templates),
            Err(found) => {
                errors.extend(found);
                None
            }
        };
        let (Some(mesh), Some(values), Some(templates), []) = (mesh, values, templates, errors.as_slice()) else {
            return Err(errors);
        };
        let default_templates = Some(names(config.get("defaultTemplates"))).filter(|n| !n.is_empty());
        let aliases = config.get("aliases").and_then(Value::as_object).into_iter().flatten();
        Ok(Self {
            templates,
            default_templates: default_templates.unwrap_or_else(|| vec!["sidecar".to_owned()]),
            aliases: aliases.map(|(name, others)| (name.clone(), names(Some(others)))).collect(),
            annotations: texts(&config, "injectedAnnotations").unwrap_or_default(),
            values: Value::Object(values),
            mesh,
            revision: Some(revision).filter(|r| !r.is_empty()).unwrap_or("default").to_owned(),
            environment: Environment::new(),
        })
    }

    /// Sets the environment variables of the injector, which templates can read; there are none otherwise.
    #[must_use]
    pub fn with_environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = variables.into_iter().collect();
        self
    }

    /// The text of a value, empty where there is none.
    pub(super) fn value(&self, pointer: &str) -> String {
        self.values.pointer(pointer).filter(|v| !v.is_null()).and_then(scalar_text).unwrap_or_default()
    }

    /// Whether a value is true.
    pub(super) fn is_set(&self, pointer: &str) -> bool {
        self.values.pointer(pointer) == Some(&Value::Bool(true))
    }
}

fn read(text: &str) -> Result<Map<String, Value>, String> {
    match yaml::parse(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("must be a map".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The texts of a map below a key.
fn texts(config: &Map<String, Value>, key: &str) -> Result<BTreeMap<String, String>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => {
            let text = |(name, value): (&String, &Value)| match scalar_text(value) {
                Some(text) if !value.is_null() => Ok((name.clone(), text)),
                _ => Err(format!("{key}.{name} must be text")),
            };
            map.iter().map(text).collect()
        }
        Some(_) => Err(format!("{key} must be a map")),
    }
}

/// The texts of a list.
fn names(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let config = "templates:\n  a: '{{ nope }}'\n  b: '{{ if }}'\n";
        let errors = Installation::new(config, "[1]", "defaultConfig: {statusPort: x}", "").err().unwrap();
        let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for part in ["mesh configuration: defaultConfig.statusPort", "values: must be a map", "a:1:", "b:1:"] {
            assert!(words.iter().any(|w| w.contains(part)), "{part} in {words:?}");
        }
    }
}
