//! Figures of speed and memory, printed; nothing is asserted. `make bench` runs it on the release binary.
//!
//! A run is a whole process. Where `ISTIOCTL` names a binary of istioctl 1.17, it is run in turn with ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 21;

fn main() {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/istio-operator");
    if !std::path::Path::new(ours).exists() {
        eprintln!("{ours} is not there; run `make build` first");
        std::process::exit(1);
    }
    let size = std::fs::metadata(ours).map(|m| m.len()).unwrap_or_default();
    println!("binary: {:.1} MiB", mib(size));
    for (what, args) in [
        ("manifest generate --set profile=demo", ["manifest", "generate", "--set", "profile=demo"]),
        ("manifest generate --set profile=default", ["manifest", "generate", "--set", "profile=default"]),
        ("manifest generate --set profile=empty", ["manifest", "generate", "--set", "profile=empty"]),
    ] {
        report(what, "istio-operator", ours, &args);
        if let Ok(peer) = std::env::var("ISTIOCTL") {
            report(what, "istioctl", &peer, &args);
        }
    }
}

fn report(what: &str, name: &str, program: &str, args: &[&str]) {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run(program, args)).collect();
    times.sort();
    let [min, median, max] = [0, RUNS / 2, RUNS - 1].map(|i| times[i].as_secs_f64() * 1000.0);
    println!("{name} {what}: min {min:.1} ms, median {median:.1} ms, max {max:.1} ms; peak {}", peak(program, args));
}

fn run(program: &str, args: &[&str]) -> Duration {
    let start = Instant::now();
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "{program} {args:?} failed");
    start.elapsed()
}

/// The peak of resident memory, as the system counted it; `time` is in every Unix.
fn peak(program: &str, args: &[&str]) -> String {
    let out = Command::new("/usr/bin/time").args(["-f", "%M", program]).args(args).stdout(Stdio::null()).output();
    match out.map(|o| String::from_utf8_lossy(&o.stderr).lines().last().and_then(|l| l.trim().parse::<u64>().ok())) {
        Ok(Some(kib)) => format!("{:.1} MiB", mib(kib * 1024)),
        _ => "unknown (install GNU time)".into(),
    }
}

#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
