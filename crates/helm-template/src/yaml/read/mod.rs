//! YAML text to trees, with the YAML 1.1 rules of Go's yaml.v2.
//!
//! In: text. Out: [`Value`] trees, or an error that names line and column. Grammar and wording of errors
//! are those of libyaml, of which yaml.v2 is a port; the types of scalars come from [`scalar`](super::scalar). The text becomes
//! characters (`source`), tokens (`scanner`), nodes (`compose`), a tree (`decode`).
//!
//! | function | documents | numbers | errors |
//! |---|---|---|---|
//! | [`parse_helm`] | first | all floats, as after a JSON step | [`HelmYamlError`] |
//! | [`parse`] | first | integers stay integers | [`YamlError`] |
//! | [`parse_document`] | first, with its source positions and duplicate keys | as `parse` | [`YamlError`] |
//! | [`parse_documents`] | all, each like that | as `parse` | [`YamlError`] |
//!
//! Keys that are numbers or booleans become text (`0x10:` is the key `16`). Of duplicate keys the last wins, unless
//! [`Duplicates::Refuse`] is asked for. `<<` merges maps at its place: keys written after it win.
//!
//! Limits, so that no input exhausts stack or memory: 16 MiB of text, 500000 nodes, 256 levels (also after aliases are
//! followed), and the alias ratio of yaml.v2 with 64 MiB of text repeated through aliases.

mod compose;
mod decode;
mod error;
mod scan_property;
mod scan_scalar;
mod scanner;
mod source;
mod spans;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use compose::{Composer, Graph};
use decode::{Decoder, Numbers};
pub use error::{HelmYamlError, YamlError};
pub use spans::{Position, Spans, Step};

/// Longest accepted text in bytes.
const MAX_TEXT: usize = 16 << 20;

/// What to do when a map has the same key twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// The last one counts, as in Helm.
    #[default]
    LastWins,
    /// An error at the second one.
    Refuse,
}

/// A key that a map has twice, or `<<`, of which yaml.v2 merges both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    /// The key.
    pub key: String,
    /// Where it stands before.
    pub first: Position,
    /// Where it stands again.
    pub again: Position,
}

/// One document of a stream.
#[derive(Debug, Clone)]
pub struct Document {
    /// The tree; `Null` for an empty document.
    pub value: Value,
    /// Line (from 1) where the document's content starts.
    pub line: usize,
    /// Where each key and item stands in the text.
    pub spans: Spans,
    /// Keys that stand twice, in the order of the text; none where they are refused.
    pub duplicates: Vec<DuplicateKey>,
}

/// The first document as Helm reads it: every number a float, `Null` for an empty text.
pub fn parse_helm(text: &str) -> Result<Value, HelmYamlError> {
    Ok(first(text, Numbers::Floats, Duplicates::LastWins)?)
}

/// [`parse_helm`] into a map, as Helm reads values files: an empty text is an empty map, anything but a map an error.
pub fn parse_helm_map(text: &str) -> Result<Map<String, Value>, HelmYamlError> {
    let kind = match parse_helm(text)? {
        Value::Object(map) => return Ok(map),
        Value::Null => return Ok(Map::new()),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
    };
    Err(HelmYamlError::NoMap(kind))
}

/// The first document with integers as integers; `Null` for an empty text.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    first(text, Numbers::Typed, Duplicates::LastWins)
}

/// [`parse`] that refuses duplicate keys.
pub fn parse_strict(text: &str) -> Result<Value, YamlError> {
    first(text, Numbers::Typed, Duplicates::Refuse)
}

/// All documents of a stream, in order. Documents without content (as between two `---`) are left out.
pub fn parse_documents(text: &str, duplicates: Duplicates) -> Result<Vec<Document>, YamlError> {
    check_size(text)?;
    let mut composer = Composer::new(text);
    let mut documents = Vec::new();
    while let Some(graph) = composer.next_document()? {
        if graph.is_blank() {
            continue;
        }
        documents.push(decode(graph, duplicates)?);
    }
    Ok(documents)
}

/// The first document as [`parse`] reads it, with its positions and the keys that stand twice; none for an empty text.
pub fn parse_document(text: &str) -> Result<Option<Document>, YamlError> {
    check_size(text)?;
    let mut composer = Composer::new(text);
    let Some(graph) = composer.next_document()? else { return Ok(None) };
    composer.expect_boundary()?;
    decode(graph, Duplicates::LastWins).map(Some)
}

fn decode(graph: Graph, duplicates: Duplicates) -> Result<Document, YamlError> {
    let (value, duplicates) = Decoder::new(&graph, Numbers::Typed, duplicates).noting()?;
    let line = graph.root().position.line;
    Ok(Document { value, line, spans: Spans::new(graph), duplicates })
}

fn first(text: &str, numbers: Numbers, duplicates: Duplicates) -> Result<Value, YamlError> {
    check_size(text)?;
    let mut composer = Composer::new(text);
    let Some(graph) = composer.next_document()? else { return Ok(Value::Null) };
    if numbers == Numbers::Typed {
        composer.expect_boundary()?;
    }
    Decoder::new(&graph, numbers, duplicates).document()
}

fn check_size(text: &str) -> Result<(), YamlError> {
    if text.len() > MAX_TEXT {
        return Err(YamlError::limit(format!("text of {} bytes is longer than the limit of {MAX_TEXT}", text.len())));
    }
    Ok(())
}
