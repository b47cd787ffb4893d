//! The chart engine against recorded answers of the real Helm.
//!
//! `tests/engine/*.case` holds templates and whole charts, each with what Helm printed. Every run compares our engine with
//! the recorded answers, and the recorded answers with the Helm that `tests/controlplane` builds, or with `HELM_BIN`. With
//! `UPDATE=1` they are written anew. `CASE=text` picks the cases whose title holds the text.
//!
//! Cases in which we knowingly differ are listed in `tests/engine/known-differences.txt`, with the reason.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../tests/controlplane/binaries.rs"]
mod binaries;
#[path = "engine/bombs.rs"]
mod bombs;
#[path = "engine/cases.rs"]
mod cases;
#[path = "engine/hostile.rs"]
mod hostile;
#[path = "engine/ours.rs"]
mod ours;
#[path = "engine/real.rs"]
mod real;

use cases::{Answer, Case, CaseFile};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine")
}

fn all_files() -> Vec<CaseFile> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory())
        .expect("tests/engine can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    paths.sort();
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

fn chosen(case: &Case) -> bool {
    std::env::var("CASE").map_or(true, |wanted| case.title.contains(&wanted))
}

/// Titles of cases that may differ, and why.
fn known_differences() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(directory().join("known-differences.txt")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (title, reason) = line.split_once(" :: ").expect("a line is `title :: reason`");
            (title.to_owned(), reason.to_owned())
        })
        .collect()
}

/// Runs `answer` on all chosen cases, on a few threads, and reports those that differ from the record.
fn compare(files: &[CaseFile], answer: impl Fn(&Case) -> Answer + Sync) -> Vec<(String, String)> {
    let jobs: Vec<(&CaseFile, &Case)> =
        files.iter().flat_map(|file| file.cases.iter().filter(|c| chosen(c)).map(move |case| (file, case))).collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let chunk = jobs.len().div_ceil(threads).max(1);
    let answer = &answer;
    std::thread::scope(|scope| {
        let workers: Vec<_> = jobs
            .chunks(chunk)
            .map(|jobs| {
                scope.spawn(move || {
                    let mut different = Vec::new();
                    for (file, case) in jobs {
                        let got = answer(case);
                        if Some(&got) != case.answer.as_ref() {
                            different.push((case.title.clone(), report(file, case, &got)));
                        }
                    }
                    different
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    })
}

fn report(file: &CaseFile, case: &Case, got: &Answer) -> String {
    let mut text = String::new();
    let want = case.answer.as_ref().map_or_else(|| "nothing recorded; run with UPDATE=1".to_owned(), Answer::to_text);
    let _ = write!(text, "{}: {}\nWANT {want}\nGOT  {}", file.name(), case.title, got.to_text());
    text
}

fn fail_on(different: &[(String, String)], what: &str) {
    let texts: Vec<&str> = different.iter().map(|(_, text)| text.as_str()).collect();
    assert!(texts.is_empty(), "{} cases: {what}\n\n{}", texts.len(), texts.join("\n\n"));
}

#[test]
fn our_engine_gives_the_recorded_answers() {
    let files = all_files();
    let known = known_differences();
    let different = compare(&files, ours::answer);
    for title in known.keys() {
        let listed = files.iter().flat_map(|f| &f.cases).any(|c| c.title == *title && chosen(c));
        let still = different.iter().any(|(t, _)| t == title);
        assert!(!listed || still, "{title:?} does not differ any more; take it off the list of known differences");
    }
    let unexpected: Vec<_> = different.into_iter().filter(|(title, _)| !known.contains_key(title)).collect();
    fail_on(&unexpected, "our engine differs from the recorded answer");
}

#[test]
#[ignore = "long: `make test-all`"]
fn the_record_is_what_the_real_helm_says() {
    let helm = real::binary();
    let mut files = all_files();
    if std::env::var_os("UPDATE").is_some() {
        for file in &mut files {
            for case in file.cases.iter_mut().filter(|c| chosen(c)) {
                case.answer = Some(real::answer(&helm, case));
            }
            file.write();
        }
        return;
    }
    let different = compare(&files, |case| real::answer(&helm, case));
    fail_on(&different, "the real Helm differs from the recorded answer");
}

#[test]
fn the_chart_of_examples_and_benchmarks_prints_what_the_real_helm_prints() {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts/shop");
    let print = |program: &Path, command: &[&str]| {
        let mut process = std::process::Command::new(program);
        process.args(command).arg("my-shop").arg(&chart).args(["--include-crds", "--kube-version", real::KUBE_VERSION]);
        String::from_utf8(process.output().unwrap().stdout).unwrap()
    };
    let ours = print(Path::new(env!("CARGO_BIN_EXE_helm-template")), &[]);
    assert!(ours.contains("kind: CustomResourceDefinition"), "{ours}");
    assert_eq!(ours, print(&real::binary(), &["template"]));
}

#[test]
fn titles_are_unique_and_there_are_many() {
    let files = all_files();
    let mut seen = BTreeMap::new();
    for (file, case) in files.iter().flat_map(|f| f.cases.iter().map(move |c| (f, c))) {
        if let Some(other) = seen.insert(&case.title, file.name()) {
            panic!("{:?} stands in {other} and in {}", case.title, file.name());
        }
    }
    assert!(seen.len() >= 500, "only {} cases", seen.len());
}
