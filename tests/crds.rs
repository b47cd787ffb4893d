//! The definitions of the Istio kinds say what those of release 1.17.8 say.
//!
//! A definition is flattened to facts: every path of every version with its type and rules, columns, names, labels. They are
//! compared with those in `crds/facts`, so that descriptions and layout are ours, and nothing else is. `make goldens` writes
//! the facts of our definitions where those of release 1.17.8 are the same.
//!
//! `crds/good` has objects that a server with the definitions accepts, `crds/bad` such that it refuses, each with
//! `# refused: <words of the error>` as its first line.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "parity/differences.rs"]
mod differences;

use differences::differences;
use helm_template::yaml::{Duplicates, parse_documents, parse_strict, to_string_pretty};
use istio_operator::object::Object;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the expected facts are.
const FACTS: &str = "tests/crds/facts";

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

/// The facts of a definition.
fn facts_of(definition: &Value) -> Value {
    let (metadata, spec) = (&definition["metadata"], &definition["spec"]);
    let mut versions = Map::new();
    for version in spec["versions"].as_array().unwrap() {
        let mut schema = Map::new();
        flatten(&version["schema"]["openAPIV3Schema"], "", &mut schema);
        let columns = version.get("additionalPrinterColumns").cloned().unwrap_or_else(|| json!([]));
        let facts = json!({
            "columns": columns, "schema": schema,
            "served": version["served"], "storage": version["storage"], "subresources": version["subresources"],
        });
        versions.insert(version["name"].as_str().unwrap().into(), facts);
    }
    json!({
        "annotations": metadata["annotations"], "labels": metadata["labels"],
        "group": spec["group"], "names": spec["names"], "scope": spec["scope"], "versions": versions,
    })
}

/// Text of facts: what a version has as an earlier one has it stands there only.
fn to_text(facts: &Value) -> String {
    let mut shorter = facts.clone();
    let mut seen: Vec<(String, Value)> = Vec::new();
    for (name, version) in shorter["versions"].as_object_mut().unwrap() {
        for part in ["columns", "schema"] {
            match seen.iter().find(|(_, other)| *other == version[part]) {
                Some((first, _)) => version[part] = json!(format!("as {first}")),
                None => seen.push((name.clone(), version[part].clone())),
            }
        }
    }
    let text = to_string_pretty(&shorter).unwrap();
    assert_eq!(from_text(&text), *facts);
    text
}

/// The facts of a text of [`to_text`].
fn from_text(text: &str) -> Value {
    let mut facts = parse_strict(text).unwrap();
    let versions = facts["versions"].clone();
    for version in facts["versions"].as_object_mut().unwrap().values_mut() {
        for part in ["columns", "schema"] {
            if let Some(first) = version[part].as_str().and_then(|text| text.strip_prefix("as ")) {
                version[part] = versions[first][part].clone();
            }
        }
    }
    facts
}

/// Where the facts of a definition are not those expected, with the definition's file; nothing where they are.
fn mismatch(name: &str, expected: Option<&Value>, facts: &Value) -> Option<String> {
    let places = match expected {
        Some(expected) => differences(expected, facts),
        None => vec!["there are no facts of it".to_owned()],
    };
    (!places.is_empty()).then(|| format!("\n  charts/base/crds/{name}.yaml\n    {}", places.join("\n    ")))
}

#[test]
fn the_definitions_say_what_release_1_17_8_says() {
    let mut texts = files(FACTS, "yaml");
    let mut wrong = String::new();
    for (name, definition) in definitions() {
        let expected = texts.remove(&name);
        wrong.extend(mismatch(&name, expected.map(|text| from_text(&text)).as_ref(), &facts_of(&definition)));
    }
    wrong.extend(texts.into_keys().map(|name| format!("\n  charts/base/crds/{name}.yaml is missing")));
    assert!(
        wrong.is_empty(),
        "definitions that differ from release 1.17.8 ({FACTS}), as `path: expected -> got`:{wrong}\n\
         if release 1.17.8 says the same as here: make goldens RECORDED=FOLDER (CONTRIBUTING.md, Goldens)"
    );
}

#[test]
fn the_expected_facts_are_written_as_make_goldens_writes_them() {
    for (name, text) in files(FACTS, "yaml") {
        assert!(to_text(&from_text(&text)) == text, "{FACTS}/{name}.yaml");
    }
}

/// The facts in a folder of definitions, as YAML, or of facts, as JSON.
fn recorded_facts(folder: &Path) -> BTreeMap<String, Value> {
    let mut recorded = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        for document in parse_documents(&text, Duplicates::Refuse).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
        {
            let value = document.value;
            if value["kind"] != json!("CustomResourceDefinition") {
                recorded.insert(file.file_stem().unwrap().to_str().unwrap().to_owned(), value);
            } else if value["spec"]["group"] != json!("install.istio.io") {
                recorded.insert(value["metadata"]["name"].as_str().unwrap().to_owned(), facts_of(&value));
            }
        }
    }
    recorded
}

#[test]
#[ignore = "writes files: `make goldens`"]
fn facts_are_written_where_the_recorded_definitions_say_what_ours_say() {
    let folder =
        PathBuf::from(std::env::var_os("RECORDED").expect("RECORDED is what `make goldens` was given")).join("crds");
    if !folder.is_dir() {
        println!("crds: {} is not a folder: the facts stay as they are", folder.display());
        return;
    }
    let recorded = recorded_facts(&folder);
    let (definitions, mut wrong) = (definitions(), String::new());
    for file in files(FACTS, "yaml").into_keys().filter(|name| !definitions.contains_key(name)) {
        fs::remove_file(root().join(FACTS).join(file + ".yaml")).unwrap();
    }
    for (name, definition) in &definitions {
        let facts = facts_of(definition);
        match mismatch(name, recorded.get(name), &facts) {
            Some(difference) => wrong += &difference,
            None => fs::write(root().join(FACTS).join(format!("{name}.yaml")), to_text(&facts)).unwrap(),
        }
    }
    assert!(wrong.is_empty(), "definitions that are not what was recorded, whose facts stay as they are:{wrong}");
    println!("crds: all {} definitions are equal to what was recorded; their facts are written", definitions.len());
}

#[test]
fn a_changed_type_rule_or_column_changes_the_facts_but_no_description() {
    let definition = definitions().remove("virtualservices.networking.istio.io").unwrap();
    let of = |definition: &Value| facts_of(definition)["versions"]["v1beta1"].clone();
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
    for text in files("charts/base/crds", "yaml").into_values() {
        let written = Object::from_written(text.clone()).unwrap();
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
