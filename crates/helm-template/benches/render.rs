//! How fast charts are rendered, and YAML is read and written. Figures are printed; nothing is asserted but that the real
//! Helm, if there is one, prints the same.
//!
//! `cargo bench -p helm-template --features cli`; a first argument that is a number says how often each is done.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a benchmark fails so

use helm_template::yaml::{Duplicates, parse_documents};
use helm_template::{Capabilities, Chart, ParsedChart, ReleaseOptions, RenderOptions, Rendered, threads, yaml};
use serde_json::{Map, Value};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/shop");
const RELEASE: &str = "my-shop";
const OURS: &str = env!("CARGO_BIN_EXE_helm-template");

fn main() {
    let times = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(200);
    // As a program that renders often would: on a thread whose stack is deep enough.
    threads::with_stack(threads::DEEP, || library(times)).unwrap().unwrap();
    processes((times / 10).max(1));
}

/// Rendering and YAML within this process.
fn library(times: usize) {
    let cold = measure(times, || render(&ParsedChart::new(Chart::load(Path::new(CHART)).unwrap())));
    let chart = ParsedChart::new(Chart::load(Path::new(CHART)).unwrap());
    let warm = measure(times, || render(&chart));
    let sorted = render(&chart).manifests().unwrap();
    let text = sorted.to_text();
    println!("chart: {} objects, {} KiB of manifests", sorted.manifests.len() + sorted.hooks.len(), text.len() >> 10);
    println!("load, parse, render:   {}", spread(&cold));
    println!("render, parsed before: {}", spread(&warm));

    let read = measure(times, || parse_documents(&text, Duplicates::LastWins).unwrap());
    println!("read YAML:             {}, {}", spread(&read), speed(text.len(), &read));
    let documents = parse_documents(&text, Duplicates::LastWins).unwrap();
    let write = || documents.iter().map(|document| yaml::to_string(&document.value).unwrap()).collect::<Vec<_>>();
    let length = write().iter().map(String::len).sum();
    let written = measure(times, write);
    println!("write YAML:            {}, {}", spread(&written), speed(length, &written));
}

fn render(chart: &ParsedChart) -> Rendered {
    let release = ReleaseOptions::install(RELEASE, "default");
    chart.render(&Map::<String, Value>::new(), &release, &Capabilities::default(), &RenderOptions::fixed()).unwrap()
}

/// Whole processes: `helm template` and `helm-template`.
fn processes(times: usize) {
    let ours = measure(times, || template(Path::new(OURS), &[]));
    println!("helm-template:         {}", spread(&ours));
    let Some(helm) = real_helm() else {
        println!("helm template:         no Helm here; name one with HELM_BIN");
        return;
    };
    assert_eq!(template(Path::new(OURS), &[]), template(&helm, &["template"]), "Helm prints something else");
    let theirs = measure(times, || template(&helm, &["template"]));
    println!("helm template:         {}, {:.1} times as long", spread(&theirs), median(&theirs) / median(&ours));
}

fn template(program: &Path, command: &[&str]) -> String {
    let output =
        Command::new(program).args(command).args([RELEASE, CHART, "--kube-version", "1.35.0"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `HELM_BIN`, or one that the tests have built.
fn real_helm() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("HELM_BIN") {
        return Some(given.into());
    }
    let caches =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let folders = std::fs::read_dir(caches.join("istio-operator")).ok()?;
    folders.filter_map(|folder| Some(folder.ok()?.path().join("helm"))).find(|path| path.is_file())
}

fn measure<T>(times: usize, mut work: impl FnMut() -> T) -> Vec<Duration> {
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let begin = Instant::now();
            black_box(work());
            begin.elapsed()
        })
        .collect();
    taken.sort();
    taken
}

/// In milliseconds.
fn median(taken: &[Duration]) -> f64 {
    taken[taken.len() / 2].as_secs_f64() * 1000.0
}

fn spread(taken: &[Duration]) -> String {
    format!("min {:.2} ms, median {:.2} ms", taken[0].as_secs_f64() * 1000.0, median(taken))
}

#[allow(clippy::cast_precision_loss)]
fn speed(bytes: usize, taken: &[Duration]) -> String {
    format!("{:.0} MB/s", bytes as f64 / 1000.0 / median(taken))
}
