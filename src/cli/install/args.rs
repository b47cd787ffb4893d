//! The flags of `install` and `upgrade`.

use super::super::cluster::ClusterArgs;
use super::super::duration;
use super::super::manifest::SpecArgs;
use super::super::output::ListFormat;
use clap::Args;
use std::time::Duration;

/// What the help of `install` ends with.
pub const INSTALL_EXAMPLES: &str = "\
Examples:
  istio-operator install --set profile=demo
  istio-operator install -f spec.yaml --dry-run         # what would change; -o json for programs
  istio-operator install -f spec.yaml -y --verify
  istio-operator install -f spec.yaml -r canary         # beside the control plane that is there
  istio-operator install -f spec.yaml -i mesh           # in that namespace";

/// What the help of `upgrade` ends with.
pub const UPGRADE_EXAMPLES: &str = "\
Examples:
  istio-operator upgrade plan -f spec.yaml --to 1.30.3  # what it would change, without a cluster
  istio-operator upgrade -f spec.yaml -d 1.30.3 --dry-run
  istio-operator upgrade -d 1.30.3 -y                   # what was installed, by its record";

#[allow(clippy::struct_excessive_bools)] // they are flags, independent of one another
#[derive(Args)]
pub struct InstallArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Do not ask before anything is changed.
    #[arg(short = 'y', long)]
    pub(super) skip_confirmation: bool,
    /// Print what would happen to each object, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print the result of --dry-run as data, or as a table. As without it, the exit code is 1 if something would fail.
    #[arg(short, long, value_enum, requires = "dry_run", hide_short_help = true)]
    pub(super) output: Option<ListFormat>,
    /// How long each component may take to become ready.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    pub(super) readiness_timeout: Duration,
    /// Check the installation when it is complete, as `verify-install` does.
    #[arg(long)]
    pub(super) verify: bool,
    /// Go back to an older release than the one that is installed.
    #[arg(long, hide_short_help = true)]
    pub(super) allow_downgrade: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
