//! `bug-report`: everything that explains a fault, in one archive.
//!
//! What cannot be had is named in the archive, and never a reason to have none.

mod archive;
mod args;
mod collect;
mod log;
mod redact;

use super::cluster::{SILENCE, door};
use super::input::Outcome;
use anyhow::Context;
use archive::{Archive, Summary};
pub(super) use args::BugReportArgs;
use args::Scope;
use collect::Collection;
use k8s_openapi::jiff::Timestamp;
use std::io::Write;
use std::path::PathBuf;
use tokio::runtime::Builder;
use tokio::time::Instant;

pub(super) fn run(args: &BugReportArgs, out: &mut dyn Write) -> Outcome {
    let now = Timestamp::now();
    let named = || PathBuf::from(format!("istio-operator-bug-report-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")));
    let path = args.output.clone().unwrap_or_else(named);
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let failed = || format!("write {}", path.display());
    let mut archive = Archive::begin(&path, args.max_size.saturating_mul(1 << 20), seconds).with_context(failed)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let collected = runtime.block_on(collect(args, &mut archive));
    // What is still being fetched or rendered when time is up is not waited for.
    runtime.shutdown_background();
    let ended = collected.and_then(|()| archive.end());
    if ended.is_err() {
        // Half of it is of no use, and would be in the way of the next.
        let _ = std::fs::remove_file(&path);
    }
    let Summary { files, redacted, problems } = ended.with_context(failed)?;
    for problem in &problems {
        eprintln!("Missing: {problem}");
    }
    writeln!(out, "{}: {files} files, {redacted} places redacted, {} parts missing", path.display(), problems.len())?;
    Ok(0)
}

async fn collect(args: &BugReportArgs, archive: &mut Archive) -> std::io::Result<()> {
    let until = Instant::now() + args.timeout;
    match door(&args.connect.choice(), SILENCE).await {
        Ok((cluster, _)) => Collection { args, scope: Scope::of(args), cluster, archive, until }.all().await,
        Err(error) => {
            archive.miss("the cluster", &format!("{error:#}"));
            archive.text("versions.txt", &format!("istio-operator {}\n", env!("CARGO_PKG_VERSION")))
        }
    }
}
