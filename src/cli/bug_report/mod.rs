//! `bug-report`: collects what is needed to explain a problem into one archive.
//!
//! What cannot be read is named in the archive, and never a reason to make none.

mod archive;
mod args;
mod collect;
mod log;
mod redact;

use super::cluster::{SILENCE, ask, door};
use super::input::{Outcome, wrong_use};
use crate::cluster::told;
use crate::render::ClusterInfo;
use anyhow::{Context, anyhow};
use archive::{Archive, Summary, Target};
pub(super) use args::BugReportArgs;
use args::Scope;
use collect::Collection;
use k8s_openapi::jiff::Timestamp;
use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use tokio::runtime::Builder;
use tokio::time::Instant;

pub(super) fn run(args: &BugReportArgs, out: &mut dyn Write) -> Outcome {
    if let [namespace, ..] = Scope::of(args).contradicts().as_slice() {
        return Ok(wrong_use(&format!("namespace {namespace} is both in --include and in --exclude")));
    }
    let now = Timestamp::now();
    let named = || PathBuf::from(format!("istio-operator-bug-report-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")));
    let path = args.output.clone().unwrap_or_else(|| args.dir.as_deref().unwrap_or(Path::new("")).join(named()));
    let failed = || format!("write {}", path.display());
    let target = Target::of(&path).with_context(failed)?;
    let is_stdout = matches!(target, Target::Stdout);
    if is_stdout && stdout().is_terminal() {
        return Ok(wrong_use("an archive is nothing for a terminal: name a file with -o, or send stdout to one"));
    }
    let ended = write(args, &target, now);
    if ended.is_err() {
        target.discard();
    }
    let (Summary { files, redacted, problems }, collected) = ended.with_context(failed)?;
    match &collected {
        // One reason is enough where it is that of all.
        Err(error) => eprintln!("Error: {}", told(error.as_ref())),
        Ok(()) => problems.iter().for_each(|problem| eprintln!("Missing: {problem}")),
    }
    let summary =
        format!("{}: {files} files, {redacted} places redacted, {} parts missing", path.display(), problems.len());
    if is_stdout {
        eprintln!("{summary}");
    } else {
        writeln!(out, "{summary}")?;
    }
    Ok(u8::from(collected.is_err()))
}

/// Writes the archive. What is collected may be nothing of the cluster, and why.
fn write(args: &BugReportArgs, target: &Target, now: Timestamp) -> std::io::Result<(Summary, anyhow::Result<()>)> {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let mut archive = Archive::begin(target, args.max_size.saturating_mul(1 << 20), seconds)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let collected = runtime.block_on(collect(args, &mut archive));
    // What is still being fetched or rendered when time is up is not waited for.
    runtime.shutdown_background();
    let collected = collected?;
    Ok((archive.end(target)?, collected))
}

/// Collects what can be had. Only what keeps the archive from being written is an error; within it is why there is nothing of the
/// cluster.
async fn collect(args: &BugReportArgs, archive: &mut Archive) -> std::io::Result<anyhow::Result<()>> {
    let until = Instant::now() + args.timeout;
    let reached = async {
        let (cluster, address) = door(&args.connect.choice(), SILENCE).await?;
        let patience = tokio::time::timeout_at(until, ask(&cluster, &address)).await;
        let late = |_| anyhow!("the API server {address} did not answer until time was up (--timeout)");
        anyhow::Ok((cluster, patience.map_err(late).flatten()))
    };
    match reached.await {
        Ok((cluster, Ok(info))) => Collection::new(args, cluster, archive, until).all(&info).await,
        // Who refuses one answer may give others.
        Ok((cluster, Err(error))) if error.is::<kube::Error>() => {
            archive.miss("the version of the API server", &told(error.as_ref()));
            Collection::new(args, cluster, archive, until).all(&ClusterInfo::default()).await
        }
        Ok((_, Err(error))) | Err(error) => {
            archive.miss("the cluster", &told(error.as_ref()));
            archive.text("versions.txt", &collect::versions(None))?;
            Ok(Err(error))
        }
    }
}
