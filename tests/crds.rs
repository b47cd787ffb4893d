//! The definitions of the Istio kinds say what those of release 1.17.8 say.
//!
//! A definition is flattened to facts: every path of every version with its type and rules, columns, names, labels. What is
//! compared is their digest (`crds/facts.sha256`), so that descriptions and layout are ours, and nothing else is. Where the
//! facts themselves lie beside the repository, a difference is shown path by path.
//!
//! `crds/good` has objects that a server with the definitions accepts, `crds/bad` such that it refuses, each with
//! `# refused: <words of the error>` as its first line.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use helm_template::yaml::{Duplicates, parse_documents, parse_strict};
use istio_operator::object::Object;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What every digest is named by: definition, and version or `-` for what all versions share.
type Part = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name without extension and text of each file of a folder, in order.
fn files(folder: &str, extension: &str) -> BTreeMap<String, String> {
    let files: BTreeMap<_, _> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(!files.is_empty(), "{folder} has no {extension} files");
    files
}

/// The definitions, by name. That of IstioOperator is generated from the API's types and has tests of its own.
fn definitions() -> BTreeMap<String, Value> {
    files("charts/base/crds", "yaml")
        .into_iter()
        .filter(|(name, _)| !name.starts_with("istiooperators."))
        .map(|(name, text)| {
            let definition = parse_strict(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(definition["metadata"]["name"], name.as_str(), "a file is named after its definition");
            (name, definition)
        })
        .collect()
}

/// Every path below a schema with its type, or with `[type, rules]` where there are rules.
fn flatten(schema: &Value, path: &str, facts: &mut Map<String, Value>) {
    let mut rules = schema.as_object().unwrap_or_else(|| panic!("{path}: not a schema")).clone();
    rules.remove("description");
    let kind = rules.remove("type").unwrap_or_else(|| panic!("{path}: no type"));
    for (name, property) in rules.remove("properties").as_ref().and_then(Value::as_object).into_iter().flatten() {
        flatten(property, &format!("{path}.{name}"), facts);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(element) = rules.remove(key) {
            flatten(&element, &format!("{path}{mark}"), facts);
        }
    }
    let path = if path.is_empty() { "." } else { path };
    facts.insert(path.into(), if rules.is_empty() { kind } else { json!([kind, rules]) });
}

/// The facts of a definition by version, and under `-` those that all versions share.
fn facts_of_definition(definition: &Value) -> BTreeMap<String, Value> {
    let (metadata, spec) = (&definition["metadata"], &definition["spec"]);
    let shared = json!({
        "annotations": metadata["annotations"], "labels": metadata["labels"],
        "group": spec["group"], "names": spec["names"], "scope": spec["scope"],
    });
    let mut facts = BTreeMap::from([("-".to_owned(), shared)]);
    for version in spec["versions"].as_array().unwrap() {
        let mut schema = Map::new();
        flatten(&version["schema"]["openAPIV3Schema"], "", &mut schema);
        let columns = version.get("additionalPrinterColumns").cloned().unwrap_or_else(|| json!([]));
        let found = json!({
            "columns": columns, "schema": schema,
            "served": version["served"], "storage": version["storage"], "subresources": version["subresources"],
        });
        facts.insert(version["name"].as_str().unwrap().into(), found);
    }
    facts
}

/// The same from a file of recorded facts.
fn facts_of_record(record: &Value) -> BTreeMap<String, Value> {
    let mut shared = record.as_object().unwrap().clone();
    let versions = shared.remove("versions").unwrap();
    let mut facts = BTreeMap::from([("-".to_owned(), Value::Object(shared))]);
    facts.extend(versions.as_object().unwrap().clone());
    facts
}

/// JSON text with sorted keys and no blanks, whatever order the maps are kept in.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let fields: Vec<_> = sorted.into_iter().map(|(k, v)| format!("{}:{}", json!(k), canonical(v))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

fn digest(facts: &Value) -> String {
    Sha256::digest(canonical(facts)).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Lines of `definition<TAB>version<TAB>digest`.
fn recorded_digests() -> BTreeMap<Part, String> {
    include_str!("crds/facts.sha256")
        .lines()
        .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [name, version, digest] => ((name.into(), version.into()), digest.into()),
            _ => panic!("facts.sha256: {line:?} has not three columns"),
        })
        .collect()
}

/// Paths at which two trees of facts differ, one line for each.
fn differences(at: &str, want: &Value, got: &Value) -> Vec<String> {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => a
            .keys()
            .chain(b.keys())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .flat_map(|key| differences(&format!("{at} {key}"), &want[key.as_str()], &got[key.as_str()]))
            .collect(),
        _ if want == got => Vec::new(),
        _ => vec![format!("{at}: release {want}, here {got}")],
    }
}

/// Differences to the facts themselves, where they lie beside the repository.
fn explain(name: &str, version: &str, got: &Value) -> String {
    let record: PathBuf = root().join("../shared/crds-1.17.8").join(format!("{name}.json"));
    let Ok(text) = fs::read_to_string(record) else {
        return String::new();
    };
    let record: Value = serde_json::from_str(&text).unwrap();
    let want = facts_of_record(&record).remove(version).unwrap_or(Value::Null);
    differences("", &want, got).iter().map(|line| format!("\n   {line}")).collect::<Vec<_>>().concat()
}

#[test]
fn the_definitions_say_what_release_1_17_8_says() {
    let mut recorded = recorded_digests();
    let mut wrong = Vec::new();
    for (name, definition) in definitions() {
        for (version, facts) in facts_of_definition(&definition) {
            let found = digest(&facts);
            let want = recorded.remove(&(name.clone(), version.clone()));
            if want.as_ref() != Some(&found) {
                let want = want.as_deref().unwrap_or("nothing");
                wrong.push(format!("{name}\t{version}\t{found}, not {want}{}", explain(&name, &version, &facts)));
            }
        }
    }
    wrong.extend(recorded.into_keys().map(|(name, version)| format!("{name}\t{version}: missing")));
    assert!(wrong.is_empty(), "definitions that differ from release 1.17.8:\n{}", wrong.join("\n"));
}

#[test]
fn a_type_rule_or_column_changes_the_digest_and_a_description_does_not() {
    let definition = definitions().remove("virtualservices.networking.istio.io").unwrap();
    let of = |definition: &Value| digest(&facts_of_definition(definition)["v1beta1"]);
    let spec = "/spec/versions/1/schema/openAPIV3Schema/properties/spec";
    let with = |path: &str, value: Value| {
        let mut changed = definition.clone();
        *changed.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value;
        of(&changed)
    };
    let before = of(&definition);
    assert_eq!(before, with(&format!("{spec}/description"), json!("other words")));
    for (path, value) in [
        (format!("{spec}/properties/hosts/items/type"), json!("integer")),
        (format!("{spec}/properties/http/items/properties/redirect/oneOf/1"), json!({"required": ["uri"]})),
        ("/spec/versions/1/additionalPrinterColumns/0/name".into(), json!("Gateway")),
        ("/spec/versions/1/storage".into(), json!(true)),
    ] {
        assert_ne!(before, with(&path, value), "{path}");
    }
}

#[test]
fn every_version_describes_its_kind_and_its_spec() {
    for (name, definition) in definitions() {
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let kind = &version["schema"]["openAPIV3Schema"];
            for schema in [kind, &kind["properties"]["spec"]] {
                let text = schema["description"].as_str().unwrap_or_else(|| panic!("{name} {}", version["name"]));
                assert!(text.ends_with('.'), "{name}: {text}");
            }
        }
    }
}

/// (kind, apiVersion) of each document, by file.
fn documents(folder: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    files(folder, "yaml")
        .into_iter()
        .map(|(name, yaml)| {
            let documents =
                parse_documents(&yaml, Duplicates::Refuse).unwrap_or_else(|e| panic!("{folder}/{name}: {e}"));
            (name, documents.iter().map(|d| (text(&d.value["kind"]), text(&d.value["apiVersion"]))).collect())
        })
        .collect()
}

#[test]
fn every_version_has_a_good_object_and_every_kind_three_bad_ones() {
    let (good, bad) = (documents("tests/crds/good"), documents("tests/crds/bad"));
    for (name, definition) in definitions() {
        let spec = &definition["spec"];
        let plural = name.split('.').next().unwrap();
        let kind = spec["names"]["kind"].as_str().unwrap();
        let group = spec["group"].as_str().unwrap();
        let mut versions: BTreeSet<String> = BTreeSet::new();
        for version in spec["versions"].as_array().unwrap() {
            versions.insert(format!("{group}/{}", version["name"].as_str().unwrap()));
        }
        let of_kind = |objects: &[(String, String)]| -> BTreeSet<String> {
            assert!(objects.iter().all(|(k, _)| k == kind), "{plural}: another kind than {kind}");
            objects.iter().map(|(_, version)| version.clone()).collect()
        };
        assert_eq!(of_kind(&good[plural]), versions, "good {plural}");
        assert!(of_kind(&bad[plural]).is_subset(&versions), "bad {plural}");
        assert!(bad[plural].len() >= 3, "bad {plural}");
    }
}

#[test]
fn every_bad_object_begins_with_the_words_of_its_refusal() {
    for (name, text) in files("tests/crds/bad", "yaml") {
        for object in text.split("---\n") {
            let words = object.lines().next().and_then(|line| line.strip_prefix("# refused: "));
            assert!(words.is_some_and(|words| words.len() > 10), "{name}: {object}");
        }
    }
}

#[test]
fn definitions_are_written_as_they_are_printed() {
    let own = root().join("crds/istiooperators.install.istio.io.yaml");
    let texts = files("charts/base/crds", "yaml").into_values().chain([fs::read_to_string(own).unwrap()]);
    for text in texts {
        let written = Object::from_written(&text).unwrap();
        let mut read = Object::new(parse_strict(&text).unwrap()).unwrap();
        assert!(read.to_yaml().unwrap() == text, "{} is written differently; write it as printed", written.key());
        assert_eq!((written.key(), written.is_crd(), written.value()), (read.key(), true, read.value()));
        assert_eq!(written, read);
        read.labels_mut().unwrap().insert("a".into(), "b".into());
        let mut changed = written.clone();
        changed.labels_mut().unwrap().insert("a".into(), "b".into());
        assert_eq!(changed.to_yaml(), read.to_yaml());
    }
}
