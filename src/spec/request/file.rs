//! A file with an IstioOperator resource: which of its objects it is, and what is wrong beside its spec.

use super::error::RequestError;
use super::gateways;
use crate::api::schema::Table;
use crate::api::suggest;
use crate::api::text::describe;
use crate::spec::problem::{Kind, Problem};
use crate::spec::switches::Switches;
use crate::spec::{path, positions};
use helm_template::yaml::{Document, Duplicates, Position, parse_documents};
use serde_json::{Map, Value, json};
use std::ops::Range;

/// What releases refuse in a file though its meaning is clear, by their minor numbers: it is refused only where their own
/// behaviour is wanted.
struct Refused(Range<u32>);

/// A resource without `apiVersion`.
const NO_VERSION: Refused = Refused(19..24);
/// Another object beside the resource.
const OTHER_OBJECTS: Refused = Refused(24..u32::MAX);
/// The status of a resource that was read from a cluster.
const STATUS: Refused = Refused(24..u32::MAX);

impl Refused {
    fn holds(&self, switches: &Switches) -> bool {
        switches.is_upstream && self.0.contains(&switches.release.minor)
    }
}

/// The objects of a file. Upstream takes a file without any for an empty resource; here it is a mistake.
fn objects(name: &str, text: &str, switches: &Switches) -> Result<Vec<Document>, RequestError> {
    let parse = |text: &str| {
        let documents = parse_documents(text, Duplicates::LastWins);
        documents.map_err(|cause| RequestError::Yaml { file: name.into(), cause })
    };
    let mut objects: Vec<_> = parse(text)?.into_iter().filter(|d| !d.value.is_null()).collect();
    if switches.is_upstream {
        let is_resource = |object: &Document| object.value.get("kind").is_some_and(|kind| kind == crate::api::KIND);
        if objects.iter().filter(|o| is_resource(o)).count() > 1 || (objects.len() > 1 && OTHER_OBJECTS.holds(switches))
        {
            return Err(RequestError::Several(name.into()));
        }
        // What stands behind another object is not found.
        if objects.is_empty() || (objects.len() > 1 && !objects.first().is_some_and(is_resource)) {
            return parse(EMPTY);
        }
        objects.truncate(1);
    }
    Ok(objects)
}

/// A resource that says nothing.
const EMPTY: &str = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n";

/// The one IstioOperator resource of a file; other objects in it are ignored.
///
/// # Errors
/// Text that is no YAML, no resource or several, and everything wrong beside its spec.
pub(super) fn read(name: &str, text: &str, switches: &Switches) -> Result<Document, RequestError> {
    let mut found = None;
    let mut other = None;
    for document in objects(name, text, switches)? {
        let Some(kind) = document.value.get("kind").and_then(Value::as_str) else {
            return Err(RequestError::NoKind(name.into(), document.line));
        };
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
    let mut wrong = wrong_fields(name, &document, switches);
    if !switches.is_upstream {
        document.value.get_mut("spec").into_iter().for_each(gateways::remove_null_items);
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
const TOP: [&str; 5] = ["status", "apiVersion", "kind", "metadata", "spec"];
/// The fields that hold a string, and those that hold a map of strings.
const TEXTS: [&str; 4] = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
const TEXT_MAPS: [&str; 2] = ["/metadata/labels", "/metadata/annotations"];

/// Unknown fields beside the spec, and those of a wrong type, each with its position. A field of the spec that is indented
/// too little is one of them.
fn wrong_fields(file: &str, document: &Document, switches: &Switches) -> Vec<Problem> {
    let mut found = unknown_fields(file, document, switches);
    if NO_VERSION.holds(switches) && path::text(&document.value, "/apiVersion").is_none() {
        let place = positions::nearest(&document.spans, "kind");
        found.push(problem(file, place, "apiVersion", "must be install.istio.io/v1alpha1, and is missing".into()));
    }
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

fn unknown_fields(file: &str, document: &Document, switches: &Switches) -> Vec<Problem> {
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
    let known = TOP.get(usize::from(STATUS.holds(switches))..).unwrap_or_default();
    let mut found = check(Some(&document.value), "", known);
    found.extend(check(document.value.get("metadata"), "metadata", &metadata));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::from_files;

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

    #[test]
    fn what_a_release_refuses_in_a_file_is_refused_where_that_is_wanted() {
        let accepted = |text: &str, tag: &str, is_upstream: bool| {
            let switches = Switches { is_upstream, ..Switches::of_package(Some(tag), &std::iter::empty()) };
            read("f.yaml", text, &switches).is_ok()
        };
        let head = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n";
        for (text, plain, [r17, r20, r30]) in [
            (head.to_owned(), true, [true, true, true]),
            ("kind: IstioOperator\n".to_owned(), true, [true, false, true]),
            (format!("{head}---\napiVersion: v1\nkind: ConfigMap\n"), true, [true, true, false]),
            (format!("{head}status: {{}}\n"), true, [true, true, false]),
            ("# nothing\n".to_owned(), false, [true, true, true]),
        ] {
            for (tag, exactly) in [("1.17.8", r17), ("1.20.8", r20), ("1.30.3", r30)] {
                assert_eq!(accepted(&text, tag, false), plain, "{tag}: {text}");
                assert_eq!(accepted(&text, tag, true), exactly, "{tag} exactly: {text}");
            }
        }
    }
}
