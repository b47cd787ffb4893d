//! `manifest generate` as a whole process. Where `ISTIOCTL` names a binary of istioctl 1.17, it runs in turn with ours.

use super::{mib, spread};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 21;

/// What is measured, as arguments after `manifest generate`.
pub const CASES: &[&[&str]] = &[
    &["--set", "profile=demo"],
    &["--set", "profile=demo", "--set", "values.base.enableIstioConfigCRDs=false"],
    &["--set", "profile=default"],
    &["--set", "profile=empty"],
];

pub fn run(ours: &Path) -> anyhow::Result<()> {
    let peer = std::env::var_os("ISTIOCTL");
    let programs = [Some(ours), peer.as_deref().map(Path::new)];
    let programs: Vec<&Path> = programs.into_iter().flatten().collect();
    for case in CASES {
        let mut times = vec![vec![]; programs.len()];
        for _ in 0..RUNS {
            for (program, times) in programs.iter().zip(&mut times) {
                times.push(generate(program, case)?);
            }
        }
        println!("manifest generate {}", case.join(" "));
        for (program, times) in programs.iter().zip(&mut times) {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            println!("  {name}: {}; peak {}", spread(times), peak(program, case));
        }
    }
    Ok(())
}

pub fn generate(program: &Path, args: &[&str]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut command = Command::new(program);
    let status = command.args(["manifest", "generate"]).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    anyhow::ensure!(status?.success(), "{} manifest generate {args:?} failed", program.display());
    Ok(start.elapsed())
}

/// The peak of resident memory, as the system counted it.
fn peak(program: &Path, args: &[&str]) -> String {
    let mut time = Command::new("/usr/bin/time");
    let out =
        time.args(["-f", "%M"]).arg(program).args(["manifest", "generate"]).args(args).stdout(Stdio::null()).output();
    match out.map(|o| String::from_utf8_lossy(&o.stderr).lines().last().and_then(|l| l.trim().parse::<u64>().ok())) {
        Ok(Some(kib)) => format!("{:.1} MiB", mib(kib * 1024)),
        _ => "unknown (install GNU time)".into(),
    }
}
