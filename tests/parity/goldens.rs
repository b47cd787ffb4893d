//! The goldens: the objects that every case must give, each stored once.
//!
//! `CASE/expected.txt` names a file for each object of the case, relative to the case's folder: one of its own `expected/`,
//! or one of another case's that gives the same object. A file is `KIND.NAMESPACE.NAME.yaml` (without a namespace
//! `KIND.NAME.yaml`) and holds the canonical form; of custom resource definitions there is a list of names.

use crate::canonical::{Kind, canonical, to_text};
use helm_template::yaml::{Duplicates, parse_documents, parse_strict};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Objects by `KIND.NAMESPACE.NAME`, in canonical form.
pub type Objects = BTreeMap<String, Arc<Value>>;

/// By case; a case without goldens is absent.
pub type Goldens = BTreeMap<String, BTreeMap<String, Golden>>;

/// An expected object.
pub struct Golden {
    /// Relative to the folder of the cases.
    pub file: String,
    pub value: Arc<Value>,
}

/// Where the names of the definitions are.
pub const DEFINITIONS: &str = "CustomResourceDefinition";

/// What begins so has the files that others share, in this order; a reader looks there first.
const PLAIN_CASES: [&str; 3] = ["profile-default", "profile-", "simple"];

/// The order of cases: plain ones first.
pub fn rank(case: &str) -> (usize, &str) {
    (PLAIN_CASES.iter().position(|plain| case.starts_with(plain)).unwrap_or(PLAIN_CASES.len()), case)
}

/// The objects of a manifest.
pub fn objects(yaml: &str, kind: Kind) -> Objects {
    let (mut objects, mut definitions) = (Objects::new(), BTreeSet::new());
    for document in parse_documents(yaml, Duplicates::Refuse).unwrap_or_else(|e| panic!("{e}")) {
        let value = document.value;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let parts = [text("/kind"), text("/metadata/namespace"), text("/metadata/name")];
        if parts[0] == DEFINITIONS {
            assert!(definitions.insert(parts[2].to_owned()), "{} twice", parts[2]);
            continue;
        }
        let key = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        assert!(!key.contains(['/', ':', '\\']), "{key} cannot be a file's name");
        assert!(objects.insert(key.clone(), canonical(&value, kind).into()).is_none(), "{key} twice");
    }
    add_definitions(&mut objects, definitions);
    objects
}

/// Adds the names of definitions to those of the objects.
pub fn add_definitions(objects: &mut Objects, names: impl IntoIterator<Item = String>) {
    let mut all: BTreeSet<String> = names.into_iter().collect();
    let there = objects.remove(DEFINITIONS);
    let there = there.iter().filter_map(|list| list.as_array()).flatten().filter_map(Value::as_str);
    all.extend(there.map(str::to_owned));
    if !all.is_empty() {
        objects.insert(DEFINITIONS.into(), json!(all).into());
    }
}

/// Reads the goldens of all cases in a folder.
pub fn read(folder: &Path, kind: Kind) -> Goldens {
    let (mut goldens, mut values) = (Goldens::new(), BTreeMap::<String, Arc<Value>>::new());
    for case in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = case.file_name().unwrap().to_str().unwrap();
        let Ok(list) = fs::read_to_string(case.join("expected.txt")) else { continue };
        let mut objects = BTreeMap::new();
        for line in list.lines() {
            let file = line.strip_prefix("../").map_or_else(|| format!("{name}/{line}"), str::to_owned);
            let value = values.entry(file.clone()).or_insert_with(|| {
                let text = fs::read_to_string(folder.join(&file))
                    .unwrap_or_else(|e| panic!("{}/expected.txt: {line}: {e}", case.display()));
                canonical(&parse_strict(&text).unwrap_or_else(|e| panic!("{file}: {e}")), kind).into()
            });
            let key = file.rsplit('/').next().and_then(|last| last.strip_suffix(".yaml")).unwrap();
            objects.insert(key.to_owned(), Golden { value: value.clone(), file });
        }
        goldens.insert(name.to_owned(), objects);
    }
    goldens
}

/// The files that hold the objects of all cases: their texts by their names, relative to the folder of the cases.
pub fn files(cases: &BTreeMap<String, Objects>, kind: Kind) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut owners = BTreeMap::<(&str, String), &str>::new();
    let mut ordered: Vec<&String> = cases.keys().collect();
    ordered.sort_by_key(|case| rank(case));
    for case in ordered {
        let mut list = String::new();
        for (key, value) in &cases[case] {
            let owner = *owners.entry((key, value.to_string())).or_insert(case);
            let file = format!("expected/{key}.yaml");
            if owner == case {
                files.insert(format!("{case}/{file}"), to_text(value, kind));
                let _ = writeln!(list, "{file}");
            } else {
                let _ = writeln!(list, "../{owner}/{file}");
            }
        }
        files.insert(format!("{case}/expected.txt"), list);
    }
    files
}

/// The files that stand in a folder of cases, as [`files`] has them.
pub fn standing(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for case in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let own = fs::read_dir(case.join("expected")).into_iter().flatten().map(|entry| entry.unwrap().path());
        for file in own.chain([case.join("expected.txt")]) {
            if let Ok(text) = fs::read_to_string(&file) {
                files.insert(file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), text);
            }
        }
    }
    files
}

/// Makes the files of a folder those of the cases.
pub fn write(folder: &Path, cases: &BTreeMap<String, Objects>, kind: Kind) {
    let (files, standing) = (files(cases, kind), standing(folder));
    for name in standing.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, text) in files.iter().filter(|(name, text)| standing.get(*name) != Some(text)) {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}
