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

const PARTS: [(&str, Part); 4] =
    [("generate", generate::run), ("commands", commands::run), ("operator", operator::run), ("scale", scale::run)];

/// Not measured, but only where it is chosen.
const OTHERS: [(&str, Part); 1] = [("functions", functions::write)];

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
    let is_chosen = |name: &str| chosen.iter().any(|c| c == name);
    let parts = PARTS.iter().filter(|(name, _)| chosen.is_empty() || is_chosen(name));
    for (name, run) in parts.chain(OTHERS.iter().filter(|(name, _)| is_chosen(name))) {
        if let Err(error) = run(&binary) {
            eprintln!("{name} cannot be measured: {error:#}");
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
