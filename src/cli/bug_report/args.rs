//! The flags of `bug-report`.

use super::super::cluster::ConnectArgs;
use super::super::duration;
use super::super::package::PackageArgs;
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` ends with.
const EXAMPLES: &str = "\
The archive has the IstioOperator resources with their statuses, what they render to, the installed
objects, the pods of the operator, of istiod, of gateways and of CNI with their logs, events, and
versions. Values of Secrets, private keys, tokens and passwords are taken out; redacted.txt says
where. missing.txt says what could not be had, and why. Look at it before you give it away.

Examples:
  istio-operator bug-report
  istio-operator bug-report --since 1h --include istio-system,istio-operator -o report.tar.gz";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BugReportArgs {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
    /// The archive (default: istio-operator-bug-report-TIME.tar.gz), which must not be there yet; `-` is stdout.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Directory to write the archive to, under its own name.
    #[arg(long, alias = "output-dir", value_name = "DIR", conflicts_with = "output", hide_short_help = true)]
    pub(super) dir: Option<PathBuf>,
    /// Only logs and events that are not older (default: all).
    #[arg(long, alias = "duration", value_name = "DURATION", value_parser = duration::parse)]
    pub(super) since: Option<Duration>,
    /// Only what is in these namespaces (default: all).
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    pub(super) include: Vec<String>,
    /// Nothing from these namespaces.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    pub(super) exclude: Vec<String>,
    /// How many MiB of text there may be.
    #[arg(long, value_name = "MIB", default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_size: u64,
    /// How many MiB of one log there may be.
    #[arg(long, value_name = "MIB", default_value_t = 10)]
    pub(super) max_log_size: u64,
    /// How long it may take.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) package: PackageArgs,
}

/// Which namespaces are looked at.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) include: BTreeSet<String>,
    pub(super) exclude: BTreeSet<String>,
}

impl Scope {
    pub(super) fn of(args: &BugReportArgs) -> Self {
        let set = |names: &[String]| {
            names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        Self { include: set(&args.include), exclude: set(&args.exclude) }
    }

    /// The namespaces that are both wanted and not wanted.
    pub(super) fn contradicts(&self) -> Vec<&str> {
        self.include.intersection(&self.exclude).map(String::as_str).collect()
    }

    pub(super) fn includes(&self, namespace: &str) -> bool {
        (self.include.is_empty() || self.include.contains(namespace)) && !self.exclude.contains(namespace)
    }

    /// The namespaces to ask for one by one, since whoever may see those may perhaps list no others; `None` are all at once.
    pub(super) fn named(&self) -> Vec<Option<String>> {
        if self.include.is_empty() {
            vec![None]
        } else {
            self.include.difference(&self.exclude).cloned().map(Some).collect()
        }
    }
}
