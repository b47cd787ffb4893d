//! `bug-report`: everything that explains a fault, in one archive.
//!
//! What cannot be had is named in the archive, and never a reason to have none.

mod archive;
mod collect;
mod redact;

use super::duration;
use super::input::Outcome;
use super::package::PackageArgs;
use super::reach::{self, ReachArgs};
use anyhow::Context;
use archive::{Archive, Summary};
use clap::Args;
use collect::Collection;
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::Instant;

/// What `--help` ends with.
const EXAMPLES: &str = "\
The archive has the IstioOperator resources with their statuses, what they come to, the installed
objects, the pods of the operator, of istiod, of gateways and of CNI with their logs, events, and
versions. Values of Secrets, private keys, tokens and passwords are taken out; redacted.txt says
where. missing.txt says what could not be had, and why. Look at it before you give it away.

Examples:
  istio-operator bug-report
  istio-operator bug-report --since 1h --include istio-system,istio-operator -o report.tar.gz";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BugReportArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// The archive (default: istio-operator-bug-report-TIME.tar.gz). It must not be there yet.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only logs and events that are not older (default: all).
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    since: Option<Duration>,
    /// Only what is in these namespaces (default: all).
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    include: Vec<String>,
    /// Nothing of these namespaces.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    exclude: Vec<String>,
    /// How many MiB of text there may be.
    #[arg(long, value_name = "MIB", default_value_t = 200)]
    max_size: u64,
    /// How many MiB of one log there may be.
    #[arg(long, value_name = "MIB", default_value_t = 10)]
    max_log_size: u64,
    /// How long it may take.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    timeout: Duration,
    #[command(flatten)]
    package: PackageArgs,
}

/// Which namespaces are looked at.
#[derive(Clone)]
struct Scope {
    include: BTreeSet<String>,
    exclude: BTreeSet<String>,
}

impl Scope {
    fn of(args: &BugReportArgs) -> Self {
        let set = |names: &[String]| {
            names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        Self { include: set(&args.include), exclude: set(&args.exclude) }
    }

    fn includes(&self, namespace: &str) -> bool {
        (self.include.is_empty() || self.include.contains(namespace)) && !self.exclude.contains(namespace)
    }

    /// The namespace, where it is one alone: who may see no other is not asked to list all.
    fn only(&self) -> Option<&str> {
        self.include.first().filter(|_| self.include.len() == 1).map(String::as_str)
    }
}

pub(super) fn run(args: &BugReportArgs, out: &mut dyn Write) -> Outcome {
    let now = Timestamp::now();
    let named = || PathBuf::from(format!("istio-operator-bug-report-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")));
    let path = args.output.clone().unwrap_or_else(named);
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let failed = || format!("write {}", path.display());
    let mut archive = Archive::begin(&path, args.max_size.saturating_mul(1 << 20), seconds).with_context(failed)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(collect(args, &mut archive)).with_context(failed)?;
    let Summary { files, redacted, problems } = archive.end().with_context(failed)?;
    for problem in &problems {
        eprintln!("Missing: {problem}");
    }
    writeln!(out, "{}: {files} files, {redacted} places redacted, {} parts missing", path.display(), problems.len())?;
    Ok(0)
}

async fn collect(args: &BugReportArgs, archive: &mut Archive) -> std::io::Result<()> {
    let until = Instant::now() + args.timeout;
    match reach::door(&args.reach, Duration::from_secs(10)).await {
        Ok(cluster) => Collection { args, scope: Scope::of(args), cluster, archive, until }.all().await,
        Err(error) => {
            archive.miss("the cluster", &format!("{error:#}"));
            archive.text("versions.txt", &format!("istio-operator {}\n", env!("CARGO_PKG_VERSION")))
        }
    }
}
