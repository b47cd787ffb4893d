//! What release 1.17.8 makes of 96 inputs, object by object.
//!
//! `tests/parity/render/CASE` is rendered, `refuse/CASE` must be refused with an error that holds every line of
//! `mention.txt`, and the workloads of `inject/CASE` get their proxies. What must come out stands in
//! `tests/parity/digests.txt`: a digest per object (see `canonical`), and the names of the definitions. Where the recorded
//! manifests themselves lie beside the repository (`../shared/parity/1.17.8`), a mismatch is shown path by path, and
//! `UPDATE=1` writes the digests anew from them. `CASE=text` picks the cases whose name holds the text.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "parity/canonical.rs"]
mod canonical;

use canonical::{Kind, canonical, differences, digest};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Objects by `apiVersion Kind namespace/name`, in canonical form; definitions are null.
type Objects = BTreeMap<String, Value>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

/// Where the recorded manifests lie, if they do.
fn records() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/parity/1.17.8");
    dir.is_dir().then_some(dir)
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join(kind)).unwrap().map(|e| e.unwrap().path()).collect();
    cases.retain(|c| c.to_string_lossy().contains(&wanted));
    cases.sort();
    assert!(!cases.is_empty() || !wanted.is_empty(), "no cases of {kind}");
    cases
}

fn name(case: &Path) -> String {
    let parts: Vec<_> = case.iter().rev().take(2).map(|p| p.to_string_lossy().into_owned()).collect();
    format!("{}/{}", parts[1], parts[0])
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|l| !l.trim().is_empty()).map(str::to_owned).collect()
}

/// Runs the command that the case is about, with the built-in package or another one.
fn run(case: &Path, package: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    command.env_remove("KUBECONFIG");
    let input = case.join("input.yaml");
    if case.join("operator.yaml").exists() {
        command.arg("kube-inject").arg("-f").arg(input).arg("--operatorFileName").arg(case.join("operator.yaml"));
    } else {
        command.args(["manifest", "generate", "-f"]).arg(input);
        for line in lines(&case.join("set.txt")) {
            command.arg("--set").arg(line);
        }
        if let Some(package) = package {
            command.arg("--manifests").arg(package);
        }
    }
    command.output().unwrap()
}

fn objects(yaml: &str, kind: Kind) -> Objects {
    let mut objects = Objects::new();
    for document in parse_documents(yaml, Duplicates::Refuse).unwrap_or_else(|e| panic!("{e}")) {
        let value = document.value;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = format!(
            "{} {} {}/{}",
            text("/apiVersion"),
            text("/kind"),
            text("/metadata/namespace"),
            text("/metadata/name")
        );
        let is_definition = text("/kind") == "CustomResourceDefinition";
        let form = if is_definition { Value::Null } else { canonical(&value, kind) };
        assert!(objects.insert(key.clone(), form).is_none(), "{key} twice");
    }
    objects
}

/// The digests of a case, by object; `definition` for definitions.
fn digests(objects: &Objects) -> BTreeMap<String, String> {
    let of = |value: &Value| if value.is_null() { "definition".to_owned() } else { digest(value) };
    objects.iter().map(|(key, value)| (key.clone(), of(value))).collect()
}

fn recorded_digests() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::<String, BTreeMap<String, String>>::new();
    for line in lines(&root().join("digests.txt")) {
        let [case, key, digest] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?} is no digest") };
        all.entry(case.to_owned()).or_default().insert(key.to_owned(), digest.to_owned());
    }
    all
}

/// The recorded objects of a case.
fn record(case: &str, kind: Kind) -> Option<Objects> {
    let dir = records()?.join(case);
    let mut recorded = objects(&fs::read_to_string(dir.join("expected.yaml")).ok()?, kind);
    for name in lines(&dir.join("crds.txt")).iter().flat_map(|l| l.split_whitespace()) {
        recorded.insert(format!("apiextensions.k8s.io/v1 CustomResourceDefinition /{name}"), Value::Null);
    }
    Some(recorded)
}

/// What differs between what a case gives and what it must.
fn mismatches(case: &Path, kind: Kind, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let output = run(case, None);
    if !output.status.success() {
        return vec![format!("{}: {}", name(case), String::from_utf8_lossy(&output.stderr).trim())];
    }
    let got = objects(&String::from_utf8(output.stdout).unwrap(), kind);
    let digests = digests(&got);
    let record = record(&name(case), kind);
    let keys: BTreeSet<&String> = wanted.keys().chain(digests.keys()).collect();
    let mut mismatches = vec![];
    for key in keys {
        let what = match (wanted.get(key), digests.get(key)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(_), None) => "is missing".to_owned(),
            (None, _) => "is one too many".to_owned(),
            _ => match record.as_ref().and_then(|r| r.get(key)) {
                Some(recorded) => format!("differs:\n{}", differences(recorded, &got[key])),
                None => "differs (the recorded manifests, which are not here, would tell where)".to_owned(),
            },
        };
        mismatches.push(format!("{}: {key} {what}", name(case)));
    }
    mismatches
}

/// Does the work for every case, on all cores, and fails with all that was found.
fn check(cases: &[PathBuf], work: impl Fn(&Path) -> Vec<String> + Sync) {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    found.lock().unwrap_or_else(PoisonError::into_inner).extend(work(case));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} mismatches:\n{}", found.len(), found.join("\n"));
}

fn check_objects(folder: &str, kind: Kind) {
    let all = recorded_digests();
    let cases = cases(folder);
    let none = BTreeMap::new();
    check(&cases, |case| mismatches(case, kind, all.get(&name(case)).unwrap_or(&none)));
}

#[test]
fn every_accepted_spec_gives_the_recorded_objects() {
    check_objects("render", Kind::Manifest);
}

#[test]
fn every_workload_gets_the_recorded_proxy() {
    check_objects("inject", Kind::Workload);
}

#[test]
fn every_bad_spec_is_refused_with_an_error_that_names_the_mistake() {
    check(&cases("refuse"), |case| {
        let output = run(case, None);
        let (printed, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let mut wrong = vec![];
        if output.status.code() != Some(1) {
            wrong.push(format!("{}: ended with {}", name(case), output.status));
        }
        if printed.contains("kind:") {
            wrong.push(format!("{}: printed objects", name(case)));
        }
        for word in lines(&case.join("mention.txt")) {
            if !error.contains(&word) {
                wrong.push(format!("{}: the error does not name {word:?}: {error}", name(case)));
            }
        }
        wrong
    });
}

#[test]
fn one_spec_gives_the_same_bytes_twice() {
    let case = root().join("render/profile-demo");
    assert!(run(&case, None).stdout == run(&case, None).stdout);
}

#[test]
fn a_package_in_a_directory_gives_what_the_built_in_one_gives() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("package");
    let export =
        |to: &Path| Command::new(env!("CARGO_BIN_EXE_istio-operator")).arg("package").arg(to).output().unwrap();
    assert!(export(&package).status.success());
    assert_eq!(export(&package).status.code(), Some(1), "a directory that is there is not written over");
    check(&cases("render"), |case| {
        let (built_in, other) = (run(case, None), run(case, Some(&package)));
        let same = built_in.stdout == other.stdout && other.status.success();
        let error = String::from_utf8_lossy(&other.stderr).into_owned();
        if same { vec![] } else { vec![format!("{}: differs {error}", name(case))] }
    });
}

#[test]
fn the_digests_are_those_of_the_recorded_manifests() {
    let Some(records) = records() else {
        eprintln!("the recorded manifests are not here: their digests are taken as they stand");
        return;
    };
    let mut text = String::new();
    for (folder, kind) in [("render", Kind::Manifest), ("inject", Kind::Workload)] {
        for case in cases(folder) {
            let case = name(&case);
            let objects =
                record(&case, kind).unwrap_or_else(|| panic!("{case} is not recorded in {}", records.display()));
            for (key, digest) in digests(&objects) {
                let _ = writeln!(text, "{case}\t{key}\t{digest}");
            }
        }
    }
    let file = root().join("digests.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let stands = fs::read_to_string(&file).unwrap();
    assert!(std::env::var_os("CASE").is_some() || stands == text, "run with UPDATE=1 to write {}", file.display());
}
