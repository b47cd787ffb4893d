//! What a person asks for: an IstioOperator resource, or files and `--set` flags that are merged to one.

mod duplicate;
mod error;
pub mod gateways;
mod origin;
mod overrides;

use crate::api::schema::Table;
use crate::api::suggest;
use crate::api::text::describe;
use crate::spec::exact;
use crate::spec::merge::overlay_layer;
use crate::spec::patch;
use crate::spec::path::Path;
use crate::spec::place::{self, Place};
use crate::spec::problem::{Kind, Problem};
use crate::spec::set;
use crate::spec::switches::Switches;
use crate::spec::{path, positions};
use helm_template::yaml::{Document, Duplicates, Position, parse_documents};
use serde_json::{Map, Value, json};

pub use duplicate::Duplicate;
pub use error::{FlagError, RequestError};
pub use origin::Origin;
pub use overrides::Override;

/// A spec as it was asked for, with where each field was written.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Name and namespace of the resource, and whatever else its metadata says.
    pub metadata: Value,
    /// The spec as the user wrote it; an object, possibly empty.
    pub spec: Value,
    /// Where it came from.
    pub origin: Origin,
    /// Keys that a file has twice in one map.
    pub duplicates: Vec<Duplicate>,
    /// Whether such keys are errors, and not only worth a warning.
    pub is_strict: bool,
}

/// From a resource of a cluster. A missing spec is an empty one.
#[must_use]
pub fn from_resource(resource: &Value) -> Request {
    let mut spec = match resource.get("spec") {
        None | Some(Value::Null) => json!({}),
        Some(spec) => spec.clone(),
    };
    gateways::remove_null_items(&mut spec);
    let pick = |field: &str| resource.pointer(&format!("/metadata/{field}")).cloned().unwrap_or_default();
    let metadata = json!({"name": pick("name"), "namespace": pick("namespace")});
    Request { metadata, spec, ..Request::default() }
}

/// From files, as (name, text), merged from left to right, and then `--set` arguments in order, for the built-in release.
///
/// # Errors
/// The first problem of the input's form; its content is checked when it is resolved.
pub fn from_files(files: &[(String, String)], sets: &[String]) -> Result<Request, RequestError> {
    from_files_for(files, sets, &Switches::default())
}

/// The release package that files and `--set` arguments name, before anything else is known of them; the last one counts.
#[must_use]
pub fn package_path(files: &[(String, String)], sets: &[String]) -> Option<String> {
    const FIELD: &str = "installPackagePath";
    let in_file = |text: &str| {
        let documents = parse_documents(text, Duplicates::LastWins).ok()?;
        let found = documents.iter().rev().find_map(|d| path::text(&d.value, &format!("/spec/{FIELD}")));
        found.map(str::to_owned)
    };
    let in_flag = |flag: &String| {
        let (path, value) = flag.split_once('=')?;
        let path = path.trim();
        (path.strip_prefix("spec.").unwrap_or(path) == FIELD).then(|| value.trim().to_owned())
    };
    let found = sets.iter().rev().find_map(in_flag);
    found.or_else(|| files.iter().rev().find_map(|(_, text)| in_file(text))).filter(|path| !path.is_empty())
}

/// The same for a release with these switches.
///
/// # Errors
/// As above.
pub fn from_files_for(
    files: &[(String, String)],
    sets: &[String],
    switches: &Switches,
) -> Result<Request, RequestError> {
    let mut merged = None;
    let mut origin = Origin::default();
    let mut duplicates = vec![];
    for (name, text) in files {
        if switches.is_upstream && is_empty(text) {
            continue;
        }
        let document = read_resource(name, text, switches)?;
        duplicates.extend(Duplicate::of(name, &document.duplicates));
        let overlay = json!({
            "metadata": document.value.get("metadata").cloned().unwrap_or_else(|| json!({})),
            "spec": document.value.get("spec").cloned().unwrap_or_else(|| json!({})),
        });
        merged = Some(match merged {
            None => overlay,
            Some(below) => {
                let merged = overlay_layer(below, &overlay, switches);
                merged.map_err(|cause| RequestError::Merge { file: name.clone(), cause })?
            }
        });
        origin.add_file(name, document);
    }
    let mut merged = merged.unwrap_or_else(|| json!({"spec": {}}));
    for flag in sets.iter().filter(|_| switches.is_upstream) {
        let wrong = |cause: FlagError| RequestError::Set { flag: flag.clone(), cause: Box::new(cause) };
        exact::flags::set(&mut merged, flag, switches).map_err(|e| wrong(e.into()))?;
        if let Ok((path, _)) = set::parse_line(flag) {
            origin.add_flag(flag, set::below_spec(path));
        }
    }
    for flag in sets.iter().filter(|_| !switches.is_upstream) {
        let wrong = |cause: FlagError| RequestError::Set { flag: flag.clone(), cause: Box::new(cause) };
        let (path, value) = set::parse_line(flag).map_err(|e| wrong(e.into()))?;
        let path = set::below_spec(path);
        let value = if switches.is_since_124() { set::as_text_since_124(flag, &path, value) } else { value };
        if is_no_section(flag, &path) {
            continue;
        }
        if let Some(message) = gateways::ambiguous(&merged, &path) {
            return Err(wrong(FlagError::Ambiguous(message)));
        }
        patch::write(&mut merged, &path, value, patch::Mode::Set).map_err(|e| wrong(e.into()))?;
        origin.add_flag(flag, path);
    }
    origin.finish(&merged);
    let take = |field: &str| merged.get(field).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    Ok(Request { metadata: take("metadata"), spec: take("spec"), origin, duplicates, is_strict: false })
}

/// Whether a flag sets a section to null, which leaves it as it is. A null of a single value is the text `null`, as upstream
/// takes it.
fn is_no_section(flag: &str, path: &Path) -> bool {
    let is_null = flag.split_once('=').is_some_and(|(_, value)| value.trim() == "null");
    is_null && matches!(place::at(path), Place::Section | Place::Enabled)
}

/// Whether a file has nothing but comments.
fn is_empty(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line == "---" || line.starts_with('#'))
}

/// The one IstioOperator resource of a file; other objects in it are ignored.
fn read_resource(name: &str, text: &str, switches: &Switches) -> Result<Document, RequestError> {
    let documents =
        parse_documents(text, Duplicates::LastWins).map_err(|cause| RequestError::Yaml { file: name.into(), cause })?;
    let mut found = None;
    let mut other = None;
    let mut counted = 0;
    for document in documents.into_iter().filter(|d| !d.value.is_null()) {
        let Some(kind) = document.value.get("kind").and_then(Value::as_str) else {
            return Err(RequestError::NoKind(name.into(), document.line));
        };
        if switches.is_upstream {
            counted += usize::from(kind == crate::api::KIND || switches.is_since_124());
            if counted > 1 {
                return Err(RequestError::Several(name.into()));
            }
            // It reads the first one, whatever it is.
            found = found.or(Some(document));
            continue;
        }
        match kind {
            crate::api::KIND if found.is_some() => return Err(RequestError::Several(name.into())),
            crate::api::KIND => found = Some(document),
            // Upstream takes any kind; so do we where nothing else can be meant.
            _ if document.value.get("spec").is_some() => other = other.or(Some(document)),
            _ => {}
        }
    }
    let mut document = found.or(other).ok_or_else(|| RequestError::NoResource(name.into()))?;
    for field in ["spec", "metadata"] {
        let part = document.value.get(field).cloned().unwrap_or_default();
        if part.is_null() {
            if let Some(map) = document.value.as_object_mut() {
                map.insert(field.into(), json!({}));
            }
        } else if !part.is_object() {
            return Err(RequestError::NotAMap(name.into(), field));
        }
    }
    if let Some(spec) = document.value.get_mut("spec") {
        gateways::remove_null_items(spec);
    }
    let mut wrong = wrong_fields(name, &document);
    if !switches.is_upstream {
        wrong.extend(twins(name, &document));
    }
    if wrong.is_empty() { Ok(document) } else { Err(RequestError::Fields(wrong)) }
}

/// A problem with its place.
fn problem(file: &str, place: Position, path: &str, message: String) -> Problem {
    let location = Some(format!("{file}:{}:{}", place.line, place.column));
    Problem { path: path.to_owned(), message, location, kind: Kind::Form }
}

/// Gateways of the same name and namespace, of which one would be lost in the merge.
fn twins(file: &str, document: &Document) -> Vec<Problem> {
    let message = |twins: gateways::Twins| {
        let (first, second) =
            (positions::nearest(&document.spans, &twins.first), positions::nearest(&document.spans, &twins.second));
        let there = format!("{file}:{}:{}", first.line, first.column);
        problem(file, second, &twins.second, twins.message(&there))
    };
    document.value.get("spec").map(gateways::twins).unwrap_or_default().into_iter().map(message).collect()
}

/// The fields of a resource.
const TOP: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
/// The fields that hold a string, and those that hold a map of strings.
const TEXTS: [&str; 4] = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
const TEXT_MAPS: [&str; 2] = ["/metadata/labels", "/metadata/annotations"];

/// Unknown fields beside the spec, and those of a wrong type, each with its position. A field of the spec that is indented
/// too little is one of them.
fn wrong_fields(file: &str, document: &Document) -> Vec<Problem> {
    let mut found = unknown_fields(file, document);
    let mut check = |path: &str, fits: bool, wanted: &str, value: &Value| {
        if !fits && !value.is_null() {
            let place = positions::nearest(&document.spans, path);
            let described = describe(value);
            let quoted = positions::text(&document.spans, path).filter(|_| wanted == "a string" && !value.is_object());
            let advice = quoted.map(|text| format!("; write it in quotes: {text:?}")).unwrap_or_default();
            found.push(problem(file, place, path, format!("must be {wanted}, not {described}{advice}")));
        }
    };
    let fields = |pointers: &'static [&str]| {
        pointers.iter().filter_map(|p| Some((p.trim_start_matches('/').replace('/', "."), document.value.pointer(p)?)))
    };
    for (path, value) in fields(&TEXTS) {
        check(&path, value.is_string(), "a string", value);
    }
    for (path, value) in fields(&TEXT_MAPS) {
        check(&path, value.is_object(), "a map", value);
        for (key, inner) in value.as_object().into_iter().flatten() {
            check(&path::join(&path, key), inner.is_string(), "a string", inner);
        }
    }
    found
}

fn unknown_fields(file: &str, document: &Document) -> Vec<Problem> {
    let metadata = Table::Kubernetes.message("ObjectMeta");
    let metadata: Vec<&str> = metadata.fields.iter().chain(&metadata.removed).map(|field| field.name).collect();
    let check = |value: Option<&Value>, at: &str, known: &[&str]| -> Vec<Problem> {
        let keys = value.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let unknown = keys.filter(|key| !known.contains(&key.as_str()));
        let message = |key: &String| {
            let path = path::join(at, key);
            let path = path.strip_prefix('.').unwrap_or(&path);
            let place = positions::nearest(&document.spans, path);
            let hint = suggest::hint(key, known.iter().copied());
            problem(file, place, path, format!("unknown field {key:?}{hint}"))
        };
        unknown.map(message).collect()
    };
    let mut found = check(Some(&document.value), "", TOP);
    found.extend(check(document.value.get("metadata"), "metadata", &metadata));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_the_spec_is_checked_with_its_place() {
        let refused = |text: &str| match from_files(&[("f.yaml".into(), text.into())], &[]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        let wrong =
            "apiVersion: 2\nkind: IstioOperator\nmetadata:\n  labels: {a: 1, b.c: true}\n  annotations: []\n  foo: x\n";
        let expected = "f.yaml:6:3: metadata.foo: unknown field \"foo\"; \
                        f.yaml:1:1: apiVersion: must be a string, not the number 2; write it in quotes: \"2\"; \
                        f.yaml:4:12: metadata.labels.a: must be a string, not the number 1; write it in quotes: \"1\"; \
                        f.yaml:4:18: metadata.labels.b\\.c: must be a string, not true; write it in quotes: \"true\"; \
                        f.yaml:5:3: metadata.annotations: must be a map, not a list";
        assert_eq!(refused(wrong), expected);
        for right in [
            "kind: IstioOperator\nmetadata: {name: null, labels: {a: null, b: \"1\"}, creationTimestamp: null}\n",
            "kind: IstioOperator\nmetadata: {clusterName: c, managedFields: [], selfLink: /x, generation: 2}\n",
        ] {
            assert_eq!(refused(right), "");
        }
        let misspelt = "kind: IstioOperator\nmetadata:\n  anotations: {}\n";
        let advice = "f.yaml:3:3: metadata.anotations: unknown field \"anotations\" (did you mean \"annotations\"?)";
        assert_eq!(refused(misspelt), advice);
    }
}
