//! The configuration of injection in an installation: the content of its two ConfigMaps.

use super::error::InjectError;
use super::functions::Environment;
use super::injector::Injector;
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
    /// The namespace of objects that say none.
    pub(super) namespace: String,
    /// Whether all nodes of the cluster run native sidecars, `None` where nobody has asked them.
    runs_native_sidecars: Option<bool>,
}

/// The environment variable of istiod that says whether proxies are native sidecars: `true`, `false` or `auto`.
const NATIVE_SIDECARS: &str = "ENABLE_NATIVE_SIDECARS";

impl Installation {
    /// From the texts `config` and `values` of the ConfigMap `istio-sidecar-injector`, the text `mesh` of the ConfigMap
    /// `istio`, and the revision, empty for the default one.
    ///
    /// # Errors
    /// Everything that cannot be read. A template that cannot be parsed is an error of the pods that ask for it.
    pub fn new(config: &str, values: &str, mesh: &str, revision: &str) -> Result<Self, Vec<InjectError>> {
        let mut errors = vec![];
        let wrong = |what: &'static str| move |message: String| InjectError::Configuration { what, message };
        let templates = read(config).and_then(|config| Ok((Templates::parse(&texts(&config, "templates")?), config)));
        let templates = templates.map_err(|e| errors.push(wrong("injection configuration")(e))).ok();
        let injector = templates.as_ref().map_or(Injector::OLDEST, |(templates, _)| templates.injector());
        let mesh = Mesh::parse(mesh, injector).map_err(|e| errors.push(wrong("mesh configuration")(e))).ok();
        let values = read(values).map_err(|e| errors.push(wrong("values")(e))).ok();
        let (Some(mesh), Some(values), Some((templates, config))) = (mesh, values, templates) else {
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
            namespace: String::new(),
            runs_native_sidecars: None,
        })
    }

    /// Sets the environment variables of the injector, which templates can read; there are none otherwise.
    #[must_use]
    pub fn with_environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = variables.into_iter().collect();
        self
    }

    /// Sets the namespace of objects that say none.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Says whether all nodes of the cluster run native sidecars.
    #[must_use]
    pub fn with_native_sidecars(mut self, all_nodes_run_them: bool) -> Self {
        self.runs_native_sidecars = Some(all_nodes_run_them);
        self
    }

    /// Whether only the nodes of the cluster can say if proxies are native sidecars, and nobody has asked them: istiod is not told,
    /// and is of a release that asks them then. Proxies are plain containers as long as nobody does.
    #[must_use]
    pub fn lacks_nodes(&self) -> bool {
        let told = self.environment.get(NATIVE_SIDECARS).map_or("", String::as_str);
        self.injector().asks_for_nodes() && matches!(told, "" | "auto") && self.runs_native_sidecars.is_none()
    }

    /// Whether proxies are native sidecars, where a pod does not say it.
    pub(super) fn has_native_sidecars(&self) -> bool {
        match self.environment.get(NATIVE_SIDECARS).map_or("", String::as_str) {
            "true" => true,
            "" | "auto" => self.injector().asks_for_nodes() && self.runs_native_sidecars == Some(true),
            _ => false,
        }
    }

    /// The injector of the release that the templates are of.
    pub(super) fn injector(&self) -> Injector {
        self.templates.injector()
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
        let config = "templates: [a]\n";
        let errors = Installation::new(config, "[1]", "defaultConfig: {statusPort: x}", "").err().unwrap();
        let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for part in [
            "mesh configuration: defaultConfig.statusPort",
            "values: must be a map",
            "injection configuration: templates must be a map",
        ] {
            assert!(words.iter().any(|w| w.contains(part)), "{part} in {words:?}");
        }
    }

    #[test]
    fn istiod_or_else_the_nodes_say_whether_sidecars_are_native() {
        let later = "templates: {a: '{{ .NativeSidecars }}'}";
        for (config, told, nodes, lacks, native) in [
            ("templates: {}", "", None, false, false),
            ("templates: {}", "true", None, false, true),
            ("templates: {}", "auto", Some(true), false, false),
            (later, "", None, true, false),
            (later, "auto", Some(true), false, true),
            (later, "", Some(false), false, false),
            (later, "false", Some(true), false, false),
            (later, "true", Some(false), false, true),
        ] {
            let mut installation = Installation::new(config, "", "", "").unwrap();
            installation = installation.with_environment([(NATIVE_SIDECARS.to_owned(), told.to_owned())]);
            if let Some(all) = nodes {
                installation = installation.with_native_sidecars(all);
            }
            let got = (installation.lacks_nodes(), installation.has_native_sidecars());
            assert_eq!(got, (lacks, native), "{config} {told} {nodes:?}");
        }
    }
}
