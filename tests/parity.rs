//! What release 1.17.8 makes of 96 inputs, object by object.
//!
//! `tests/parity/render/CASE` is rendered, `refuse/CASE` must be refused with an error that holds every line of
//! `mention.txt`, and the workloads of `inject/CASE` get their proxies. What must come out are the case's goldens (see
//! `goldens`), compared by meaning (see `canonical`). They are our own objects, written by `make goldens` where those that
//! release 1.17.8 printed are the same. `CASE=text` picks the cases whose name holds the text.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "parity/canonical.rs"]
mod canonical;
#[path = "parity/differences.rs"]
mod differences;
#[path = "parity/goldens.rs"]
mod goldens;
#[path = "parity/report.rs"]
mod report;

use canonical::Kind;
use differences::differences;
use goldens::{Golden, Goldens, Objects, add_definitions, objects};
use report::{Case, Finding, fail_on, lines, root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const FOLDERS: [(&str, Kind); 2] = [("render", Kind::Manifest), ("inject", Kind::Workload)];

/// What all goldens may take.
const MOST_BYTES: usize = 3 << 20;

fn folder(name: &str) -> PathBuf {
    root().join("tests/parity").join(name)
}

fn cases(folder: &'static str) -> Vec<Case> {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let names = fs::read_dir(self::folder(folder)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<Case> = names.map(|name| Case { folder, name }).collect();
    assert!(!cases.is_empty(), "no cases of {folder}");
    cases.retain(|case| format!("{folder}/{}", case.name).contains(&wanted));
    cases.sort_by(|a, b| goldens::rank(&a.name).cmp(&goldens::rank(&b.name)));
    cases
}

/// Does the work for every case, on all cores; what was found in the order of the cases.
fn on_all<T: Send>(cases: &[Case], work: impl Fn(&Case) -> T + Sync) -> Vec<(&Case, T)> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let result = work(case);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_iter().map(|(at, result)| (&cases[at], result)).collect()
}

/// Fails with all that the work finds.
fn check(cases: &[Case], work: impl Fn(&Case) -> Vec<Finding> + Sync) {
    let found = on_all(cases, work);
    let found = found.into_iter().flat_map(|(case, found)| found.into_iter().map(move |f| (case, f))).collect();
    fail_on("some cases do not give what they must", found);
}

/// The objects that a case gives.
fn rendered(case: &Case, kind: Kind) -> Result<Objects, Finding> {
    let output = case.run(None);
    if output.status.success() {
        Ok(objects(&String::from_utf8(output.stdout).unwrap(), kind))
    } else {
        Err(Finding::new(format!("the command fails: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// What differs between what a case gives and what it must.
fn mismatches(expected: &Objects, got: &Objects) -> Vec<(String, Finding)> {
    let mut found = vec![];
    for key in expected.keys().chain(got.keys()).collect::<BTreeSet<_>>() {
        let finding = match (expected.get(key), got.get(key)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(_), None) => Finding::new(format!("{key} is missing")),
            (None, _) => Finding::new(format!("{key} is one too many")),
            (Some(a), Some(b)) => Finding { lines: differences(a, b), ..Finding::new(format!("{key} differs")) },
        };
        found.push((key.clone(), finding));
    }
    found
}

fn values(goldens: &BTreeMap<String, Golden>) -> Objects {
    goldens.iter().map(|(key, golden)| (key.clone(), golden.value.clone())).collect()
}

fn check_objects(folder: &'static str, kind: Kind) {
    let all: Goldens = goldens::read(&self::folder(folder), kind);
    check(&cases(folder), |case| {
        let list = Some(format!("{}/expected.txt", case.name));
        let Some(goldens) = all.get(&case.name) else {
            return vec![Finding { golden: list, ..Finding::new("there are no goldens of it") }];
        };
        let with_golden = |(key, finding): (String, Finding)| {
            let golden = goldens.get(&key).map(|golden| golden.file.clone()).or_else(|| list.clone());
            Finding { golden, ..finding }
        };
        match rendered(case, kind) {
            Ok(got) => mismatches(&values(goldens), &got).into_iter().map(with_golden).collect(),
            Err(failed) => vec![failed],
        }
    });
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
        let output = case.run(None);
        let (printed, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let mut wrong = vec![];
        // What is no `path=value` is invalid usage, whatever the spec is.
        let is_use = error.contains("must be path=value");
        if output.status.code() != Some(if is_use { 2 } else { 1 }) {
            wrong.push(Finding::new(format!("it must be refused, and ended with {}", output.status)));
        }
        if printed.contains("kind:") {
            wrong.push(Finding::new("objects are printed, though the spec is bad"));
        }
        for word in case.lines("mention.txt") {
            if !error.contains(&word) {
                wrong.push(Finding::new(format!("the error does not name {word:?}: {}", error.trim())));
            }
        }
        wrong
    });
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
        let (built_in, other) = (case.run(None), case.run(Some(&package)));
        let same = built_in.stdout == other.stdout && other.status.success();
        let error = String::from_utf8_lossy(&other.stderr);
        if same {
            vec![]
        } else {
            vec![Finding::new(format!("what `istio-operator package` wrote gives something else {error}"))]
        }
    });
}

#[test]
fn every_expected_object_is_stored_once_as_make_goldens_writes_it() {
    let mut bytes = 0;
    for (folder, kind) in FOLDERS {
        let folder = self::folder(folder);
        let goldens = goldens::read(&folder, kind);
        let wanted = goldens::files(&goldens.iter().map(|(case, g)| (case.clone(), values(g))).collect(), kind);
        let standing = goldens::standing(&folder);
        for name in wanted.keys().chain(standing.keys()) {
            let file = folder.join(name);
            assert!(wanted.get(name) == standing.get(name), "{} is not as `make goldens` writes it", file.display());
        }
        bytes += standing.values().map(String::len).sum::<usize>();
    }
    assert!(bytes <= MOST_BYTES, "the goldens take {bytes} bytes, more than {MOST_BYTES}");
}

/// The objects that were recorded of a case, for the same input.
fn record(case: &Case, kind: Kind, recorded: &Path) -> Result<Option<Objects>, Finding> {
    let dir = recorded.join(case.folder).join(&case.name);
    let Ok(manifest) = fs::read_to_string(dir.join("expected.yaml")) else { return Ok(None) };
    for input in ["input.yaml", "set.txt", "operator.yaml"] {
        let other = fs::read_to_string(dir.join(input));
        if other.is_ok() && other.ok() != fs::read_to_string(root().join(case.path()).join(input)).ok() {
            return Err(Finding::new(format!("it was recorded for another {input}")));
        }
    }
    let mut objects = objects(&manifest, kind);
    add_definitions(&mut objects, lines(&dir.join("crds.txt")));
    Ok(Some(objects))
}

/// The new goldens of a case: what it gives, if that is what was recorded. Nothing where nothing was recorded.
fn verified(case: &Case, kind: Kind, recorded: &Path) -> Result<Option<Objects>, Vec<Finding>> {
    let Some(expected) = record(case, kind, recorded).map_err(|f| vec![f])? else { return Ok(None) };
    let got = rendered(case, kind).map_err(|f| vec![f])?;
    let found: Vec<Finding> = mismatches(&expected, &got).into_iter().map(|(_, finding)| finding).collect();
    if found.is_empty() { Ok(Some(got)) } else { Err(found) }
}

#[test]
#[ignore = "writes files: `make goldens`"]
fn goldens_are_written_where_the_recorded_objects_are_ours() {
    let recorded = PathBuf::from(std::env::var_os("RECORDED").expect("RECORDED names the folder of what was recorded"));
    let (mut wrong, mut all_equal) = (vec![], 0);
    let all = FOLDERS.map(|(folder, kind)| (cases(folder), folder, kind)); // the findings point to them
    for (cases, folder, kind) in &all {
        let mut goldens: BTreeMap<String, Objects> =
            goldens::read(&self::folder(folder), *kind).iter().map(|(case, g)| (case.clone(), values(g))).collect();
        // Of a case that is gone nothing stays.
        goldens.retain(|case, _| root().join("tests/parity").join(folder).join(case).join("input.yaml").exists());
        let mut equal = 0;
        for (case, result) in on_all(cases, |case| verified(case, *kind, &recorded)) {
            match result {
                Ok(Some(objects)) => {
                    equal += 1;
                    goldens.insert(case.name.clone(), objects);
                }
                Ok(None) if goldens.contains_key(&case.name) => {}
                Ok(None) => wrong.push((case, Finding::new("nothing is recorded of it, and it has no goldens"))),
                Err(found) => wrong.extend(found.into_iter().map(|f| (case, f))),
            }
        }
        all_equal += equal;
        goldens::write(&self::folder(folder), &goldens, *kind);
        println!(
            "{folder}: {equal} of {} cases are equal to what was recorded; their goldens are written",
            cases.len()
        );
    }
    fail_on("some cases do not give what was recorded: their goldens stay as they were", wrong);
    assert!(all_equal > 0, "there is no render/CASE/expected.yaml in {}", recorded.display());
}

#[test]
fn a_difference_is_told_at_its_place_and_nowhere_else() {
    let container = |name: &str, image: &str| json!({"name": name, "image": image});
    let named = |containers: &[Value]| json!({"spec": {"containers": containers}});
    let (a, b) = (container("a", "x"), container("b", "x"));
    for (expected, got, places) in [
        (json!({"a": 1}), json!({"a": 1}), &[][..]),
        (json!({"spec": {"replicas": 1}}), json!({"spec": {"replicas": 2}}), &["spec.replicas: 1 -> 2"]),
        (json!({"l": {"istio.io/rev": "x"}}), json!({}), &[r#"l: {"istio.io/rev":"x"} -> nothing"#]),
        (json!({"l": {"istio.io/rev": "x"}}), json!({"l": {}}), &[r#"l["istio.io/rev"]: "x" -> nothing"#]),
        // What was put in between is all that differs.
        (json!(["a", "b", "c"]), json!(["a", "x", "b", "c"]), &[r#"[1]: nothing -> "x""#]),
        (
            named(&[a.clone(), b.clone()]),
            named(&[b.clone(), a.clone()]),
            &["spec.containers: in the order a, b -> b, a"],
        ),
        (
            named(&[a.clone(), b.clone()]),
            named(&[container("b", "y")]),
            &[
                r#"spec.containers[name:a]: {"image":"x","name":"a"} -> nothing"#,
                r#"spec.containers[name:b].image: "x" -> "y""#,
            ],
        ),
        // What a string holds is at the string's place.
        (json!({"mesh": {"~": {"a": 1}}}), json!({"mesh": {"~": {"a": 2}}}), &["mesh.a: 1 -> 2"]),
        (json!({"mesh": {"~": {"a": 1}}}), json!({"mesh": "a"}), &[r#"mesh: {"a":1} -> "a""#]),
    ] {
        assert_eq!(differences(&expected, &got), places);
    }
}
