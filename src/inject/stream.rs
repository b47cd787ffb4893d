//! Injection of a text of objects: what has pods is injected and written anew, everything else stays as it is, byte for byte.

use super::{InjectError, Installation, Outcome, inject, types, workload};
use crate::tree::yaml_read::{self, Duplicates, Spans};
use crate::tree::yaml_write;
use serde_json::Value;

/// A text of objects, injected.
#[derive(Debug, Default)]
pub struct Injected {
    /// The objects, each followed by `---`.
    pub text: String,
    /// Which objects are not injected that could be, and why.
    pub warnings: Vec<String>,
}

/// Injects every object of a text; `file` names it in errors.
///
/// # Errors
/// Everything that is wrong, object by object.
pub fn inject_text(file: &str, text: &str, installation: &Installation) -> Result<Injected, Vec<InjectError>> {
    let mut injected = Injected::default();
    let mut errors = vec![];
    for (line, document) in documents(text) {
        match inject_document(file, line, document, installation, &mut injected.warnings) {
            Ok(Some(text)) => injected.text.push_str(&text),
            Ok(None) => injected.text.push_str(document),
            Err(found) => errors.extend(found),
        }
        let end = if injected.text.is_empty() || injected.text.ends_with('\n') { "---\n" } else { "\n---\n" };
        injected.text.push_str(end);
    }
    if errors.is_empty() { Ok(injected) } else { Err(errors) }
}

/// The documents of a stream with the number of lines before each; text that is only white space is none.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = vec![];
    let (mut begin, mut at, mut first) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---").map(str::trim_start);
        let separates = line.starts_with("---") && rest.is_some_and(|r| r.trim().is_empty() || r.starts_with('#'));
        if separates {
            found.push((first, text.get(begin..at).unwrap_or_default()));
            (begin, first) = (at + line.len(), number + 1);
        }
        at += line.len();
    }
    found.push((first, text.get(begin..).unwrap_or_default()));
    found.retain(|(_, document)| !document.trim().is_empty());
    found
}

/// The new text of a document, or none for one that stays.
fn inject_document(
    file: &str,
    lines_before: usize,
    text: &str,
    installation: &Installation,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Vec<InjectError>> {
    let at = |place: String, source: InjectError| InjectError::At { place, source: Box::new(source) };
    let documents = yaml_read::parse_documents(text, Duplicates::LastWins).map_err(|e| {
        let place = format!("{file}:{}:{}", e.line + lines_before, e.column);
        vec![at(place, InjectError::Document { message: e.message })]
    })?;
    let Some(document) = documents.into_iter().next() else { return Ok(None) };
    let place = |path: &str| place(file, lines_before, &document.spans, path);
    let mut inner = |object: &Value, path: &str| -> Result<Option<Value>, Vec<InjectError>> {
        let located = |error: InjectError| {
            let path = match &error {
                InjectError::Object(misfit) if path.is_empty() => misfit.path.clone(),
                InjectError::Object(misfit) => format!("{path}.{}", misfit.path),
                _ => path.to_owned(),
            };
            at(format!("{}: {}", place(&path), named(object)), error)
        };
        let outcome = inject(object, installation);
        Ok(match outcome.map_err(|errors| errors.into_iter().map(located).collect::<Vec<_>>())? {
            Outcome::Untouched => None,
            Outcome::Injected(object) => Some(object),
            Outcome::Skipped(object, reason) => {
                warnings.push(format!("skipping injection: {reason}"));
                Some(object)
            }
        })
    };
    let object = if workload::is_list(&document.value) {
        Some(list(&document.value, inner)?)
    } else {
        inner(&document.value, "")?
    };
    let written = |object| {
        yaml_write::to_string(&object).ok_or_else(|| {
            let message = "a key or a text in it cannot be written as YAML".to_owned();
            vec![at(place(""), InjectError::Document { message })]
        })
    };
    object.map(written).transpose()
}

/// A list with its items injected.
fn list(
    list: &Value,
    mut inject: impl FnMut(&Value, &str) -> Result<Option<Value>, Vec<InjectError>>,
) -> Result<Value, Vec<InjectError>> {
    let mut shaped =
        types::shape("List", list).map_err(|m| m.into_iter().map(InjectError::Object).collect::<Vec<_>>())?;
    let mut errors = vec![];
    if let Some(items) = shaped.get_mut("items").and_then(Value::as_array_mut) {
        for (i, item) in items.iter_mut().enumerate() {
            match inject(item, &format!("items[{i}]")) {
                Ok(Some(injected)) => *item = injected,
                Ok(None) => {}
                Err(found) => errors.extend(found),
            }
        }
    }
    if errors.is_empty() { Ok(Value::Object(shaped)) } else { Err(errors) }
}

/// `file:line:column` of what is at a path, or nearest to it.
fn place(file: &str, lines_before: usize, spans: &Spans, path: &str) -> String {
    let position = spans.nearest(path);
    format!("{file}:{}:{}", position.line + lines_before, position.column)
}

fn named(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("/kind"), text("/metadata/name")).trim_end().to_owned()
}
