//! Injection of a text of objects: what has pods is injected and written again, all other objects stay as they are, byte for
//! byte, also those of kinds that nobody knows. What is not an object is an error.

use super::{InjectError, Installation, Outcome, inject, types, workload};
use crate::spec::positions;
use helm_template::yaml::{self, Duplicates, Spans};

use serde_json::Value;

/// A text of objects, injected.
#[derive(Debug, Default)]
pub struct Injected {
    /// The objects, each followed by `---`.
    pub text: String,
    /// Which objects with pods are not injected, and why.
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

/// The documents of a stream with the number of lines before each; text that is only white space does not count.
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
    let documents = yaml::parse_documents(text, Duplicates::LastWins).map_err(|e| {
        let place = format!("{file}:{}:{}", e.line + lines_before, e.column);
        vec![at(place, InjectError::Document { message: e.message })]
    })?;
    // A document may have comments only.
    let Some(document) = documents.into_iter().next().filter(|d| !d.value.is_null()) else { return Ok(None) };
    let mut work = Work { file, lines_before, spans: &document.spans, installation, warnings };
    let object = work.inject(&document.value, "")?;
    let written = |object| {
        yaml::to_string(&object).ok_or_else(|| {
            let message = "a key or a text in it cannot be written as YAML".to_owned();
            vec![at(format!("{file}:{}:1", lines_before + 1), InjectError::Document { message })]
        })
    };
    object.map(written).transpose()
}

/// The injection of one document.
struct Work<'w> {
    file: &'w str,
    lines_before: usize,
    spans: &'w Spans,
    installation: &'w Installation,
    warnings: &'w mut Vec<String>,
}

impl Work<'_> {
    /// What becomes of the object at a path, or none if it stays.
    fn inject(&mut self, object: &Value, path: &str) -> Result<Option<Value>, Vec<InjectError>> {
        if !workload::is_object(object) {
            let message = "this is not a Kubernetes object: it must have apiVersion and kind".to_owned();
            return Err(self.located(vec![InjectError::Document { message }], object, path));
        }
        if workload::is_list(object) {
            return self.list(object, path).map(Some);
        }
        let outcome = inject(object, self.installation).map_err(|errors| self.located(errors, object, path))?;
        Ok(match outcome {
            Outcome::Untouched => None,
            Outcome::Injected(object) => Some(object),
            Outcome::Skipped(object, reason) => {
                self.warnings.push(format!("skipping injection: {reason}"));
                Some(object)
            }
        })
    }

    /// A list with its items injected, and those of the lists in it.
    fn list(&mut self, list: &Value, path: &str) -> Result<Value, Vec<InjectError>> {
        let mut shaped = types::shape("List", list)
            .map_err(|misfits| self.located(misfits.into_iter().map(InjectError::Object).collect(), list, path))?;
        let mut errors = vec![];
        if let Some(items) = shaped.get_mut("items").and_then(Value::as_array_mut) {
            for (i, item) in items.iter_mut().enumerate() {
                match self.inject(item, &below(path, &format!("items[{i}]"))) {
                    Ok(Some(injected)) => *item = injected,
                    Ok(None) => {}
                    Err(found) => errors.extend(found),
                }
            }
        }
        if errors.is_empty() { Ok(Value::Object(shaped)) } else { Err(errors) }
    }

    /// Errors with `file:line:column` of what is wrong in the object at a path, or of the nearest place to it.
    fn located(&self, errors: Vec<InjectError>, object: &Value, path: &str) -> Vec<InjectError> {
        let locate = |error: InjectError| {
            let inner = match &error {
                InjectError::Object(misfit) => misfit.path.clone(),
                other => {
                    other.annotation().and_then(|name| workload::annotation_path(object, name)).unwrap_or_default()
                }
            };
            let position = positions::nearest(self.spans, &below(path, &inner));
            let (line, column) = (position.line + self.lines_before, position.column);
            let name =
                Some(named(object)).filter(|name| !name.is_empty()).map_or_else(String::new, |n| format!(": {n}"));
            let place = format!("{}:{line}:{column}{name}", self.file);
            InjectError::At { place, source: Box::new(error) }
        };
        errors.into_iter().map(locate).collect()
    }
}

/// A path below another; either may be empty.
fn below(path: &str, inner: &str) -> String {
    let dot = if path.is_empty() || inner.is_empty() { "" } else { "." };
    format!("{path}{dot}{inner}")
}

fn named(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("/kind"), text("/metadata/name")).trim_end().to_owned()
}
