//! Figures of speed and memory, printed; nothing is asserted. `make bench` runs it on the release binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

#[path = "../controlplane/mod.rs"]
mod controlplane;
mod generate;
mod operator;

use std::path::Path;
use std::time::Duration;

fn main() {
    let binary = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/istio-operator"));
    if !binary.exists() {
        eprintln!("{} is not there; run `make build` first", binary.display());
        std::process::exit(1);
    }
    let size = std::fs::metadata(binary).map(|m| m.len()).unwrap_or_default();
    println!("binary: {:.1} MiB", mib(size));
    generate::run(binary);
    if let Err(error) = operator::run(binary) {
        eprintln!("the operator cannot be measured: {error:#}");
        std::process::exit(1);
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
