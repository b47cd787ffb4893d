//! `Chart.yaml`: the description of a chart, its reading and its validation with Helm's texts.

use super::decode::{Decoder, Place, yaml};
use super::text;
use crate::sprig::semver::Version;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What `Chart.yaml` says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// `name`
    pub name: String,
    /// `home`
    pub home: String,
    /// `sources`
    pub sources: Vec<String>,
    /// `version`
    pub version: String,
    /// `description`
    pub description: String,
    /// `keywords`
    pub keywords: Vec<String>,
    /// `maintainers`; `None` for a null entry, which validation refuses.
    pub maintainers: Vec<Option<Maintainer>>,
    /// `icon`
    pub icon: String,
    /// `apiVersion`
    pub api_version: String,
    /// `condition`
    pub condition: String,
    /// `tags`
    pub tags: String,
    /// `appVersion`
    pub app_version: String,
    /// `deprecated`
    pub deprecated: bool,
    /// `annotations`
    pub annotations: BTreeMap<String, String>,
    /// `kubeVersion`
    pub kube_version: String,
    /// `dependencies`; an absent list and an empty one differ in how subcharts are treated.
    pub dependencies: Option<Vec<Option<Dependency>>>,
    /// `type`
    pub kind: String,
}

/// An entry of `maintainers`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// `name`
    pub name: String,
    /// `email`
    pub email: String,
    /// `url`
    pub url: String,
}

/// An entry of `dependencies`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// `name`; replaced by the alias once dependencies are processed.
    pub name: String,
    /// `version`: a range
    pub version: String,
    /// `repository`
    pub repository: String,
    /// `condition`: value paths, separated by commas
    pub condition: String,
    /// `tags`
    pub tags: Vec<String>,
    /// Set while dependencies are processed.
    pub enabled: bool,
    /// `import-values`
    pub import_values: Vec<Value>,
    /// `alias`
    pub alias: String,
}

impl Metadata {
    /// Reads `Chart.yaml` (or `requirements.yaml`) over what is there already.
    ///
    /// # Errors
    /// Broken YAML, or a value of the wrong type.
    pub fn read(&mut self, data: &[u8]) -> Result<(), String> {
        let value = yaml(data)?;
        let mut decoder = Decoder::default();
        for (key, value) in decoder.root(&value, "chart.Metadata") {
            self.read_field(&mut decoder, &key.to_lowercase(), value);
        }
        decoder.finish()
    }

    fn read_field(&mut self, d: &mut Decoder, key: &str, value: &Value) {
        let at = |field| Place { structure: "Metadata", path: "", field };
        match key {
            "name" => d.text(value, at("name"), &mut self.name),
            "home" => d.text(value, at("home"), &mut self.home),
            "sources" => d.texts(value, at("sources"), &mut self.sources),
            "version" => d.text(value, at("version"), &mut self.version),
            "description" => d.text(value, at("description"), &mut self.description),
            "keywords" => d.texts(value, at("keywords"), &mut self.keywords),
            "maintainers" => {
                if let Some(items) = d.list(value, at("maintainers"), "[]*chart.Maintainer") {
                    self.maintainers.resize(items.len(), None);
                    for (item, slot) in items.iter().zip(&mut self.maintainers) {
                        Maintainer::read(d, item, slot);
                    }
                }
            }
            "icon" => d.text(value, at("icon"), &mut self.icon),
            "apiversion" => d.text(value, at("apiVersion"), &mut self.api_version),
            "condition" => d.text(value, at("condition"), &mut self.condition),
            "tags" => d.text(value, at("tags"), &mut self.tags),
            "appversion" => d.text(value, at("appVersion"), &mut self.app_version),
            "deprecated" => d.boolean(value, at("deprecated"), &mut self.deprecated),
            "annotations" => d.text_map(value, at("annotations"), &mut self.annotations),
            "kubeversion" => d.text(value, at("kubeVersion"), &mut self.kube_version),
            "dependencies" if value.is_null() => self.dependencies = None,
            "dependencies" => {
                if let Some(items) = d.list(value, at("dependencies"), "[]*chart.Dependency") {
                    let list = self.dependencies.get_or_insert_default();
                    list.resize(items.len(), None);
                    for (item, slot) in items.iter().zip(list) {
                        Dependency::read(d, item, slot);
                    }
                }
            }
            "type" => d.text(value, at("type"), &mut self.kind),
            _ => {}
        }
    }

    /// What a copy takes, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        const EACH: usize = 100;
        let texts = |list: &[String]| list.iter().map(|text| EACH + text.len()).sum::<usize>();
        let maintainers = self.maintainers.iter().flatten();
        let maintainers = maintainers.map(|m| 10 * EACH + m.name.len() + m.email.len() + m.url.len()).sum::<usize>();
        let annotations = self.annotations.iter().map(|(key, text)| 2 * EACH + key.len() + text.len()).sum::<usize>();
        let own = [&self.description, &self.home, &self.icon, &self.condition, &self.tags, &self.app_version];
        let own = own.iter().map(|text| EACH + text.len()).sum::<usize>();
        (texts(&self.sources) + texts(&self.keywords) + maintainers + annotations + own) as u64
    }

    /// Cleans the texts and checks the whole.
    ///
    /// # Errors
    /// The first rule that is broken, as `validation: …`.
    pub fn validate(&mut self) -> Result<(), String> {
        self.sanitise();
        self.check_identity().map_err(|problem| format!("validation: {problem}"))?;
        for maintainer in &mut self.maintainers {
            let Some(m) = maintainer else {
                return Err("validation: maintainers must not contain empty or null nodes".to_owned());
            };
            for field in [&mut m.name, &mut m.email, &mut m.url] {
                *field = sanitised(field);
            }
        }
        let mut seen = BTreeSet::new();
        for dependency in self.dependencies.iter_mut().flatten() {
            let Some(d) = dependency else {
                return Err("validation: dependencies must not contain empty or null nodes".to_owned());
            };
            d.validate()?;
            let key = if d.alias.is_empty() { &d.name } else { &d.alias };
            if !seen.insert(key.clone()) {
                return Err(format!("validation: more than one dependency with name or alias {}", text::quoted(key)));
            }
        }
        Ok(())
    }

    fn sanitise(&mut self) {
        let texts = [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ];
        for field in texts.into_iter().chain(&mut self.sources).chain(&mut self.keywords) {
            *field = sanitised(field);
        }
    }

    fn check_identity(&self) -> Result<(), String> {
        let name = &self.name;
        let quoted = text::quoted;
        if self.api_version.is_empty() {
            Err("chart.metadata.apiVersion is required".to_owned())
        } else if name.is_empty() {
            Err("chart.metadata.name is required".to_owned())
        } else if name == "." || name == ".." {
            Err(format!("chart.metadata.name {} is not allowed", quoted(name)))
        } else if name.contains('/') && name != "/" {
            Err(format!("chart.metadata.name {} is invalid", quoted(name)))
        } else if self.version.is_empty() {
            Err("chart.metadata.version is required".to_owned())
        } else if Version::parse(&self.version).is_err() {
            Err(format!("chart.metadata.version {} is invalid", quoted(&self.version)))
        } else if !matches!(self.kind.as_str(), "" | "application" | "library") {
            Err("chart.metadata.type must be application or library".to_owned())
        } else {
            Ok(())
        }
    }
}

impl Maintainer {
    fn read(d: &mut Decoder, value: &Value, slot: &mut Option<Self>) {
        let place = Place { structure: "Metadata", path: "", field: "maintainers" };
        if value.is_null() {
            *slot = None;
            return;
        }
        let target = slot.get_or_insert_default();
        for (key, value) in d.structure(value, place, "chart.Maintainer").into_iter().flatten() {
            let at = |field| Place { structure: "Maintainer", path: "maintainers.", field };
            match key.to_lowercase().as_str() {
                "name" => d.text(value, at("name"), &mut target.name),
                "email" => d.text(value, at("email"), &mut target.email),
                "url" => d.text(value, at("url"), &mut target.url),
                _ => {}
            }
        }
    }
}

impl Dependency {
    fn read(d: &mut Decoder, value: &Value, slot: &mut Option<Self>) {
        let place = Place { structure: "Metadata", path: "", field: "dependencies" };
        if value.is_null() {
            *slot = None;
            return;
        }
        let target = slot.get_or_insert_default();
        for (key, value) in d.structure(value, place, "chart.Dependency").into_iter().flatten() {
            let at = |field| Place { structure: "Dependency", path: "dependencies.", field };
            match key.to_lowercase().as_str() {
                "name" => d.text(value, at("name"), &mut target.name),
                "version" => d.text(value, at("version"), &mut target.version),
                "repository" => d.text(value, at("repository"), &mut target.repository),
                "condition" => d.text(value, at("condition"), &mut target.condition),
                "tags" => d.texts(value, at("tags"), &mut target.tags),
                "enabled" => d.boolean(value, at("enabled"), &mut target.enabled),
                "alias" => d.text(value, at("alias"), &mut target.alias),
                "import-values" => {
                    if let Some(items) = d.list(value, at("import-values"), "[]interface {}") {
                        target.import_values = items.to_vec();
                    }
                }
                _ => {}
            }
        }
    }

    fn validate(&mut self) -> Result<(), String> {
        let texts = [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition];
        for field in texts.into_iter().chain(&mut self.tags) {
            *field = sanitised(field);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.alias.chars().all(plain) {
            Ok(())
        } else {
            let name = text::quoted(&self.name);
            Err(format!("validation: dependency {name} has disallowed characters in the alias"))
        }
    }
}

/// White space becomes a blank, and what cannot be printed is dropped.
fn sanitised(raw: &str) -> String {
    let blanked = raw.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    blanked.filter(|c| text::is_print(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Metadata, String> {
        let mut metadata = Metadata { api_version: "v1".to_owned(), ..Metadata::default() };
        metadata.read(text.as_bytes())?;
        metadata.validate()?;
        Ok(metadata)
    }

    #[test]
    fn scalars_become_text_and_keys_have_no_case() {
        let m =
            read("NAME: no\nversion: 1\nappVersion: 1.10\nkeywords: [1, yes]\nannotations: {a: 2, b: null}").unwrap();
        assert_eq!((m.name.as_str(), m.version.as_str(), m.app_version.as_str()), ("false", "1", "1.1"));
        assert_eq!(m.keywords, ["1", "true"]);
        assert_eq!(
            m.annotations.into_iter().collect::<Vec<_>>(),
            [("a".into(), "2".into()), ("b".into(), String::new())]
        );
    }

    #[test]
    fn mismatches_are_told_as_go_tells_them() {
        let prefix = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ";
        for (text, want) in [
            ("name: [a]", "array into Go struct field Metadata.name of type string"),
            ("keywords: a", "string into Go struct field Metadata.keywords of type []string"),
            ("keywords: [[a]]", "array into Go struct field Metadata.keywords of type string"),
            ("maintainers: [a]", "string into Go struct field Metadata.maintainers of type chart.Maintainer"),
            ("dependencies: [{name: [a]}]", "array into Go struct field Dependency.dependencies.name of type string"),
            ("annotations: x", "string into Go struct field Metadata.annotations of type map[string]string"),
            ("[a]", "array into Go value of type chart.Metadata"),
        ] {
            assert_eq!(read(text).unwrap_err(), format!("{prefix}{want}"), "{text}");
        }
    }

    #[test]
    fn the_first_broken_rule_is_reported() {
        for (text, want) in [
            ("", "chart.metadata.name is required"),
            ("name: a/b", "chart.metadata.name \"a/b\" is invalid"),
            ("name: a", "chart.metadata.version is required"),
            ("{name: a, version: abc}", "chart.metadata.version \"abc\" is invalid"),
            ("{name: a, version: 1, type: x}", "chart.metadata.type must be application or library"),
            (
                "{name: a, version: 1, dependencies: [{name: b}, {name: c, alias: b}]}",
                "more than one dependency with name or alias \"b\"",
            ),
            (
                "{name: a, version: 1, dependencies: [{name: b, alias: a.b}]}",
                "dependency \"b\" has disallowed characters in the alias",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), format!("validation: {want}"), "{text}");
        }
    }
}
