//! The reader's error: for people with line and column, for Helm in the words of Go.

use super::source::Mark;
use super::spans::Position;

/// Why a text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*line, *column))]
pub struct YamlError {
    /// Line from 1; 0 if the error belongs to no place.
    pub line: usize,
    /// Column from 1; 0 if the error belongs to no place.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    go: Go,
}

/// How Go words the same error.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Go {
    /// `yaml: line N: message`, without a line if 0.
    Yaml(usize),
    /// Another text from the step that makes JSON of YAML.
    Json(String),
}

/// Why Helm could not read a text; the texts are those that Helm prints after its own prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelmYamlError {
    /// The text is not valid YAML, as in
    /// `error converting YAML to JSON: yaml: line 3: mapping values are not allowed in this context`.
    #[error("{}", .0.go_text())]
    Yaml(#[from] YamlError),
    /// The text is not a map; the value is what it is.
    #[error(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {0} into Go value of type \
         map[string]interface {{}}"
    )]
    NoMap(&'static str),
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!("line {line}, column {column}: ") }
}

impl YamlError {
    /// A limit of this reader is exceeded.
    pub(super) fn limit(message: String) -> Self {
        Self { line: 0, column: 0, message, go: Go::Yaml(0) }
    }

    /// A mistake within a token.
    pub(super) fn scanner(mark: Mark, problem: &str) -> Self {
        let line = if mark.line == 0 { 0 } else { mark.line + 1 };
        Self { go: Go::Yaml(line), ..Self::at(mark.position(), problem.to_owned()) }
    }

    /// A mistake in the order of tokens. yaml.v2 names the line before.
    pub(super) fn parser(mark: Mark, problem: &str) -> Self {
        Self { go: Go::Yaml(mark.line), ..Self::at(mark.position(), problem.to_owned()) }
    }

    /// A mistake in the characters of the text.
    pub(super) fn reader(problem: &str) -> Self {
        Self::limit(problem.to_owned())
    }

    /// A mistake at a place for which yaml.v2 gives no line.
    pub(super) fn at(position: Position, message: String) -> Self {
        Self { line: position.line, column: position.column, message, go: Go::Yaml(0) }
    }

    /// A mistake that Go finds in a later step and words differently.
    pub(super) fn in_json(position: Position, message: String, go: String) -> Self {
        Self { line: position.line, column: position.column, message, go: Go::Json(go) }
    }

    /// The text of the error as `sigs.k8s.io/yaml` gives it.
    pub(super) fn go_text(&self) -> String {
        let detail = match &self.go {
            Go::Yaml(0) => format!("yaml: {}", self.message),
            Go::Yaml(line) => format!("yaml: line {line}: {}", self.message),
            Go::Json(text) => text.clone(),
        };
        format!("error converting YAML to JSON: {detail}")
    }
}
