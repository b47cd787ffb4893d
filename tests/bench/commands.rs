//! `install` and `uninstall` as whole processes, each time on a cluster without Istio. Its pods are ready at once.

use super::controlplane::ControlPlane;
use super::spread;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 5;

/// What is measured, in turn.
pub const CASES: [(&str, &[&str]); 3] = [
    ("install, the demo profile", &["install", "--set", "profile=demo", "-y"]),
    ("install again, nothing to change", &["install", "--set", "profile=demo", "-y"]),
    ("uninstall --purge", &["uninstall", "--purge", "-y"]),
];

pub fn run(binary: &Path) -> Result<()> {
    let plane = ControlPlane::start()?;
    let mut times = [const { vec![] }; CASES.len()];
    for _ in 0..RUNS {
        for ((_, args), times) in CASES.iter().zip(&mut times) {
            times.push(time(binary, &plane, args)?);
        }
    }
    for ((what, _), times) in CASES.iter().zip(&mut times) {
        println!("{what}: {}", spread(times));
    }
    Ok(())
}

/// How long the command takes until it has succeeded.
pub fn time(binary: &Path, plane: &ControlPlane, args: &[&str]) -> Result<Duration> {
    let mut command = Command::new(binary);
    command.args(args).env("KUBECONFIG", plane.kubeconfig()).stdin(Stdio::null());
    let begin = Instant::now();
    let output = command.output()?;
    let took = begin.elapsed();
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}
