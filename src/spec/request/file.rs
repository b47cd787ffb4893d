//! A file with an IstioOperator resource: which of its objects it is, and what is wrong beside its spec.

use super::error::RequestError;
use super::gateways;
use crate::api::schema::Table;
use crate::api::text::describe;
use crate::api::{API_VERSION, KIND, suggest};
use crate::spec::problem::{Kind as ProblemKind, Problem};
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
        let is_resource = |object: &Document| object.value.get("kind").is_some_and(|kind| kind == KIND);
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

/// The one IstioOperator resource of a file; other objects beside it are ignored.
///
/// # Errors
/// Text that is not valid YAML, that has no resource or several, and everything wrong beside its spec.
pub(super) fn read(name: &str, text: &str, switches: &Switches) -> Result<Document, RequestError> {
    let mut document = resource(name, objects(name, text, switches)?, switches)?;
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

/// The resource among the objects of a file.
fn resource(name: &str, objects: Vec<Document>, switches: &Switches) -> Result<Document, RequestError> {
    let mut found = None;
    let mut others = vec![];
    for document in objects {
        let Some(kind) = document.value.get("kind").and_then(Value::as_str) else {
            return Err(RequestError::NoKind { file: name.into(), line: document.line, hint: hint(&document.value) });
        };
        match kind {
            KIND if found.is_some() => return Err(RequestError::Several(name.into())),
            KIND => found = Some(document),
            _ => others.push(document),
        }
    }
    match found {
        Some(document) => match path::text(&document.value, "/apiVersion") {
            Some(version) if version != API_VERSION && !version.is_empty() && !switches.is_upstream => {
                let place = positions::nearest(&document.spans, "apiVersion");
                Err(RequestError::OtherVersion { file: name.into(), place, found: version.to_owned() })
            }
            _ => Ok(document),
        },
        // The release's own command line looks at no kind.
        None if switches.is_upstream && !others.is_empty() => Ok(others.remove(0)),
        None => Err(other_kind(name, &others)),
    }
}

/// What a file holds instead.
fn other_kind(file: &str, others: &[Document]) -> RequestError {
    let Some(first) = others.first() else { return RequestError::NoResource(file.into()) };
    let text = |pointer: &str| path::text(&first.value, pointer).unwrap_or_default();
    let (kind, version) = (text("/kind"), text("/apiVersion"));
    let of = if version.is_empty() { String::new() } else { format!(" of {version}") };
    let more = match others.len() - 1 {
        0 => String::new(),
        1 => " (and one more object)".to_owned(),
        more => format!(" (and {more} more objects)"),
    };
    let hint = match (kind, version.split_once('/').map_or("", |(group, _)| group)) {
        ("List", _) => "; write the resource alone, as `kubectl get istiooperator NAME -o yaml` prints it".to_owned(),
        (_, "sailoperator.io") => "; the resources of the Sail Operator say other things in another form".to_owned(),
        _ => suggest::hint(kind, [KIND]),
    };
    let place = positions::nearest(&first.spans, "kind");
    RequestError::OtherKind { file: file.into(), place, found: format!("{kind:?}{of}{more}"), hint }
}

/// What a document without a kind may be meant for.
fn hint(document: &Value) -> &'static str {
    let fields = crate::api::schema::spec();
    let is_spec = |map: &Map<String, Value>| map.keys().any(|key| fields.field(key).is_some());
    match document.as_object() {
        Some(map) if !map.contains_key("spec") && is_spec(map) => {
            "; this looks like a spec alone: write it below `spec:`"
        }
        _ => "",
    }
}

/// A problem with its place.
fn problem(file: &str, place: Position, path: &str, message: String) -> Problem {
    let location = Some(format!("{file}:{}:{}", place.line, place.column));
    Problem { path: path.to_owned(), message, location, kind: ProblemKind::Form }
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
    let metadata: Vec<&str> = metadata.fields().iter().chain(metadata.removed()).map(|field| field.name).collect();
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
    fn a_file_of_something_else_says_what_it_is_where_and_what_is_wanted() {
        let refused = |text: &str| read("f.yaml", text, &Switches::default()).err().map(|error| error.to_string());
        let wanted = "not an IstioOperator resource (apiVersion: install.istio.io/v1alpha1, kind: IstioOperator)";
        for (text, place, told) in [
            ("apiVersion: sailoperator.io/v1\nkind: Istio\nspec: {}\n", "2:1", "\"Istio\" of sailoperator.io/v1"),
            ("# x\napiVersion: apps/v1\nkind: Deployment\nspec: {}\n", "3:1", "\"Deployment\" of apps/v1"),
            ("kind: List\nitems:\n- kind: IstioOperator\n", "1:1", "kubectl get istiooperator NAME -o yaml"),
            ("kind: Istiooperator\nspec: {}\n", "1:1", "(did you mean \"IstioOperator\"?)"),
            ("kind: A\n---\nkind: B\nspec: {}\n", "1:1", "\"A\" (and one more object)"),
        ] {
            let message = refused(text).unwrap();
            assert!(message.starts_with(&format!("f.yaml:{place}: is ")), "{message}");
            assert!(message.contains(told) && message.contains(wanted), "{message}");
        }
        for (text, told) in [
            ("kind: IstioOperator\napiVersion: apps/v1\n", "f.yaml:2:1: apiVersion: \"apps/v1\" is not that of an"),
            ("apiVersion: install.istio.io/v1alpha2\nkind: IstioOperator\n", "f.yaml:1:1: apiVersion: "),
            ("\nprofile: demo\n", "this looks like a spec alone: write it below `spec:`"),
            ("apiVersion: install.istio.io/v1alpha1\nspec: {}\n", "f.yaml:1: the document has no kind"),
            ("[a]\n", "f.yaml:1: the document has no kind"),
            ("# nothing\n", "f.yaml: holds no IstioOperator resource"),
        ] {
            let message = refused(text).unwrap();
            assert!(message.contains(told), "{message}");
        }
        for text in [
            "kind: IstioOperator\n",
            "apiVersion: ''\nkind: IstioOperator\n",
            "apiVersion: v1\nkind: Namespace\n---\nkind: IstioOperator\n---\nkind: ConfigMap\n",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
        let upstream = Switches { is_upstream: true, ..Switches::default() };
        assert!(read("f.yaml", "kind: Foo\nspec: {profile: demo}\n", &upstream).is_ok());
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
