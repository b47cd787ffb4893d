//! Why something cannot be injected.

use super::annotation_names::TEMPLATES;
use super::types::Misfit;
use crate::spec::strategic::MergeError;
use helm_template::gotmpl::{ExecError, ParseError};
use helm_template::yaml::YamlError;

/// Why something cannot be injected.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// A part of the installation's configuration cannot be read.
    #[error("{what}: {message}")]
    Configuration {
        /// Which part.
        what: &'static str,
        /// Why.
        message: String,
    },
    /// A template cannot be parsed.
    #[error(transparent)]
    Parse(ParseError),
    /// The text of objects is not YAML.
    #[error("{message}")]
    Document {
        /// Why.
        message: String,
    },
    /// The object has a field that does not fit its kind.
    #[error("{} {}", .0.path, .0.message)]
    Object(Misfit),
    /// The object has no pod.
    #[error("{0} is missing; a {1} without it makes no pods")]
    NoPod(&'static str, &'static str),
    /// An annotation has an invalid value.
    #[error("{message}")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// Its value, and what would be valid.
        message: String,
    },
    /// What an earlier injection left cannot be read.
    #[error("annotation '{annotation}': {why}; remove it, or restore what was injected")]
    Remembered {
        /// The annotation.
        annotation: &'static str,
        /// Why.
        why: String,
    },
    /// A pod asks for a template that does not exist.
    #[error("requested template {name:?} not found; have {known}")]
    UnknownTemplate {
        /// Its name.
        name: String,
        /// The names of those that are there.
        known: String,
    },
    /// A template fails; the message is as Go words it, with file, line and column.
    #[error(transparent)]
    Execute(#[from] ExecError),
    /// There is no thread for the templates.
    #[error("no thread for the templates: {0}")]
    NoThread(#[source] std::io::Error),
    /// The thread of the templates has panicked.
    #[error("the thread of the templates panicked")]
    Panicked,
    /// What a template writes is not YAML.
    #[error("template {template}: what it wrote cannot be read: {source}: {line}")]
    Yaml {
        /// Its name.
        template: String,
        /// Why.
        source: YamlError,
        /// The line of which that is said.
        line: String,
    },
    /// What a template writes is no map.
    #[error("template {0}: what it wrote cannot be read: it is not a map with metadata and spec")]
    NoMap(String),
    /// What a template writes cannot be merged.
    #[error("what the templates wrote cannot be merged into the pod: {0}")]
    Merge(#[from] MergeError),
    /// The result is not a valid pod.
    #[error("what the templates made is not a pod: {}", words(.0))]
    Result(Vec<Misfit>),
    /// A problem and the object it is in.
    #[error("{place}: {source}")]
    At {
        /// File, line, kind and name.
        place: String,
        /// The problem.
        source: Box<InjectError>,
    },
}

impl InjectError {
    /// The annotation that the error is about, if it is about one.
    pub(super) fn annotation(&self) -> Option<&'static str> {
        match self {
            Self::Annotation { name, .. } => Some(name),
            Self::Remembered { annotation, .. } => Some(annotation),
            Self::UnknownTemplate { .. } => Some(TEMPLATES),
            _ => None,
        }
    }
}

fn words(misfits: &[Misfit]) -> String {
    misfits.iter().map(|m| format!("{} {}", m.path, m.message)).collect::<Vec<_>>().join("; ")
}
