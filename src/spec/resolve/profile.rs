//! Profiles: named specs, each but `default` a difference from `default`.

use super::texts;
use crate::api::suggest;
use crate::failure::Retry;
use crate::spec::merge::{MergeError, overlay_iop, remove_nulls};
use crate::spec::positions;
use crate::spec::problem::Problem;
use crate::spec::request::Duplicate;
use crate::spec::switches::Switches;
use helm_template::yaml::{self, YamlError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// The profiles of a release, by name, as text.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    texts: BTreeMap<String, String>,
    /// Where they come from, for messages; empty for the built-in ones.
    source: String,
    /// What differs in their release.
    switches: Switches,
    /// `default`, parsed: every other one is merged over it.
    default: OnceLock<Profile>,
}

/// A profile, merged over `default`.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The whole document.
    pub document: Value,
    /// Keys that stand twice in its files.
    pub duplicates: Vec<Duplicate>,
    /// Numbers in its files that were meant as texts.
    pub problems: Vec<Problem>,
}

/// Why a profile cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is none of this name.
    #[error("unknown profile {name:?}{hint}: choose one of {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest known ones, as the end of a sentence.
        hint: String,
        /// All there are.
        known: String,
    },
    /// Its file cannot be read.
    #[error("failed to read profile {path}: {cause}")]
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// It is not valid YAML.
    #[error("profile {name}: {cause}")]
    Yaml {
        /// The name.
        name: String,
        /// Why.
        cause: YamlError,
    },
    /// It cannot be merged over `default`.
    #[error("profile {name}: {cause}")]
    Merge {
        /// The name.
        name: String,
        /// Why.
        cause: MergeError,
    },
}

impl ProfileError {
    /// Whether it may be had another time.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreadable { .. } => Retry::Backoff,
            Self::Unknown { .. } | Self::Yaml { .. } | Self::Merge { .. } => Retry::OnChange,
        }
    }
}

impl Profiles {
    /// From names and texts.
    #[must_use]
    pub fn new(texts: BTreeMap<String, String>, source: &str) -> Self {
        Self { texts, source: source.into(), switches: Switches::default(), default: OnceLock::new() }
    }

    /// The same, of a release with these switches.
    #[must_use]
    pub fn with_switches(self, switches: Switches) -> Self {
        Self { switches, ..self }
    }

    /// What differs in their release.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// The tag of images that `default` has; none if that is not text.
    #[must_use]
    pub fn tag(&self) -> Option<String> {
        let default = self.load("default").ok()?.document;
        default.pointer("/spec/tag")?.as_str().map(str::to_owned)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// A profile merged over `default`, as a whole document without nulls. A name with `/` or `.` is the path of a file, whose
    /// `default.yaml` lies beside it; releases from 1.24 on take none.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn load(&self, name: &str) -> Result<Profile, ProfileError> {
        let mut profile = self.read(name)?;
        remove_nulls(&mut profile.document);
        Ok(profile)
    }

    fn read(&self, name: &str) -> Result<Profile, ProfileError> {
        if name.contains(['/', '.']) && !(self.switches.is_upstream && self.switches.is_since_124()) {
            return load_file(name);
        }
        let name = if name.is_empty() { "default" } else { name };
        let parse = |name: &str| parse(&format!("{}profiles/{name}.yaml", self.folder()), self.text(name)?);
        let base = match self.default.get() {
            Some(base) => base.clone(),
            None => parse("default").map(|base| self.default.get_or_init(|| base).clone())?,
        };
        if name == "default" { Ok(base) } else { merge_profile(base, parse(name)?, name) }
    }

    /// The package's folder, as the beginning of a path.
    fn folder(&self) -> String {
        if self.source.is_empty() { String::new() } else { format!("{}/", self.source.trim_end_matches('/')) }
    }

    fn text(&self, name: &str) -> Result<&str, ProfileError> {
        self.texts.get(name).map(String::as_str).ok_or_else(|| ProfileError::Unknown {
            name: name.into(),
            hint: match name {
                "external" if self.names().any(|known| known == "remote") => {
                    " (release 1.22 removed it; use remote)".to_owned()
                }
                _ => suggest::hint(name, self.names()),
            },
            known: format!(
                "{}{}",
                self.names().collect::<Vec<_>>().join(", "),
                if self.source.is_empty() { String::new() } else { format!(" (of {})", self.source) }
            ),
        })
    }
}

fn load_file(path: &str) -> Result<Profile, ProfileError> {
    let read = |path: &Path| {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|cause| ProfileError::Unreadable { path: shown.clone(), cause })?;
        parse(&shown, &text)
    };
    let path = Path::new(path);
    let profile = read(path)?;
    if path.file_name().is_some_and(|n| n == "default.yaml") {
        return Ok(profile);
    }
    let base = read(&path.with_file_name("default.yaml"))?;
    merge_profile(base, profile, &path.display().to_string())
}

fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
    let document = yaml::parse_document(text);
    let document = document.map_err(|cause| ProfileError::Yaml { name: file.to_owned(), cause })?;
    let Some(mut document) = document else { return Ok(Profile::default()) };
    let spans = &document.spans;
    let problems = document.value.get_mut("spec").map(|spec| {
        texts::settle(spec, &|path| positions::text(spans, path).map(str::to_owned)).into_iter().map(|problem| {
            let at = positions::nearest(spans, &problem.path);
            Problem { location: Some(format!("{file}:{}:{}", at.line, at.column)), ..problem }
        })
    });
    Ok(Profile {
        problems: problems.into_iter().flatten().collect(),
        duplicates: Duplicate::of(file, &document.duplicates),
        document: document.value,
    })
}

fn merge_profile(mut base: Profile, profile: Profile, name: &str) -> Result<Profile, ProfileError> {
    base.document = overlay_iop(base.document, &profile.document)
        .map_err(|cause| ProfileError::Merge { name: name.into(), cause })?;
    base.duplicates.extend(profile.duplicates);
    base.problems.extend(profile.problems);
    Ok(base)
}
