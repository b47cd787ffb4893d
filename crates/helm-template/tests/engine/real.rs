//! Answers of the real Helm, and what both sides share.

use super::cases::{Answer, Case, chart_files, unwrap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The Kubernetes version that all charts see.
pub const KUBE_VERSION: &str = "1.35.0";

/// The real Helm: that of `HELM_BIN`, else the one that lies with the control plane's binaries.
pub fn binary() -> PathBuf {
    std::env::var_os("HELM_BIN").map_or_else(|| super::binaries::find("helm").expect("Helm is there"), PathBuf::from)
}

/// What the real Helm makes of a case.
pub fn answer(helm: &Path, case: &Case) -> Answer {
    in_directory(case, |dir| {
        let output = Command::new(helm)
            .args(["template", "rel"])
            .arg(dir)
            .args(["--kube-version", KUBE_VERSION])
            .args(expand(case.args.as_deref().unwrap_or_default(), dir))
            .env("TZ", "UTC")
            // To collect garbage is a quarter of its work, and each run is short.
            .env("GOGC", "400")
            .env("HOME", dir)
            .output()
            .expect("Helm can be started");
        if case.args.is_some() {
            return command_answer(dir, &output.stdout, &output.stderr);
        }
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            return unwrap(Ok(&stdout));
        }
        let error = stderr.strip_prefix("Error: ").unwrap_or(&stderr).trim_end_matches('\n');
        unwrap(Err(error.strip_suffix("\n\nUse --debug flag to render out invalid YAML").unwrap_or(error)))
    })
}

/// `$DIR` in an argument is the chart's directory.
pub fn expand(args: &[String], dir: &Path) -> Vec<String> {
    args.iter().map(|arg| arg.replace("$DIR", &dir.display().to_string())).collect()
}

/// The answer of a command, without the place where the chart happened to lie.
pub fn command_answer(dir: &Path, stdout: &[u8], stderr: &[u8]) -> Answer {
    let place = dir.display().to_string();
    let clean = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.replace(&place, "$DIR").into_bytes(),
        Err(_) => bytes.to_vec(),
    };
    Answer::Command { stdout: clean(stdout), stderr: clean(stderr) }
}

/// Writes the chart of a case to a directory, runs the code there, and removes the directory.
pub fn in_directory<T>(case: &Case, run: impl FnOnce(&Path) -> T) -> T {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("engine-{}-{number}", std::process::id()));
    for (name, text) in chart_files(case) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("a directory can be made");
        std::fs::write(&path, text).expect("a file can be written");
    }
    let result = run(&dir);
    std::fs::remove_dir_all(&dir).expect("the directory can be removed");
    result
}
