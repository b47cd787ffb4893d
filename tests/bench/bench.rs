//! Figures of speed and memory, printed; nothing is asserted. `make bench` runs all of it on the release binary; names
//! after `--` choose parts, and `ISTIO_OPERATOR` names another binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

mod commands;
#[path = "../controlplane/mod.rs"]
mod controlplane;
mod functions;
mod generate;
mod operator;
mod scale;

use std::path::{Path, PathBuf};
use std::time::Duration;

type Part = fn(&Path) -> anyhow::Result<()>;

/// The last measures nothing, and runs only where it is chosen.
const PARTS: [(&str, Part); 5] = [
    ("generate", generate::run),
    ("commands", commands::run),
    ("operator", operator::run),
    ("scale", scale::run),
    ("functions", functions::write),
];

fn main() {
    let given = std::env::var_os("ISTIO_OPERATOR").map(PathBuf::from);
    let binary = given.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/istio-operator").into());
    if !binary.exists() {
        eprintln!("{} is not there; run `make build` first", binary.display());
        std::process::exit(1);
    }
    let size = std::fs::metadata(&binary).map(|m| m.len()).unwrap_or_default();
    println!("binary: {:.1} MiB", mib(size));
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = chosen.iter().find(|chosen| !PARTS.iter().any(|(name, _)| name == chosen)) {
        eprintln!("{unknown} is not a part; there are {}", PARTS.map(|(name, _)| name).join(", "));
        std::process::exit(1);
    }
    let is_chosen = |name: &str| {
        if chosen.is_empty() { name != "functions" } else { chosen.iter().any(|chosen| chosen == name) }
    };
    for (name, run) in PARTS.iter().filter(|(name, _)| is_chosen(name)) {
        if let Err(error) = run(&binary) {
            eprintln!("{name}: {error:#}");
            std::process::exit(1);
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// `min 1.0 ms, median 2.0 ms, max 3.0 ms`
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |i: usize| times[i].as_secs_f64() * 1000.0;
    format!("min {:.1} ms, median {:.1} ms, max {:.1} ms", at(0), at(times.len() / 2), at(times.len() - 1))
}
