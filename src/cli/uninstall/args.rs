//! The flags of `uninstall`.

use super::super::cluster::ClusterArgs;
use super::super::duration;
use super::super::manifest::SpecArgs;
use clap::Args;
use std::time::Duration;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator uninstall --revision canary   # the control plane of a revision, with its gateways
  istio-operator uninstall -f spec.yaml        # what a spec renders to, except the base
  istio-operator uninstall --purge             # everything of Istio, its CRDs too

Namespaces and add-ons stay. What is annotated install.istio.io/prune=false stays, too.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct UninstallArgs {
    #[command(flatten)]
    pub(super) spec: SpecArgs,
    /// Remove everything of Istio, of every revision and of every installer, CRDs and their resources too.
    #[arg(long)]
    pub(super) purge: bool,
    /// Do not ask before anything is deleted.
    #[arg(short = 'y', long)]
    pub(super) skip_confirmation: bool,
    /// Print what would be deleted, and delete nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How long to wait until everything that is deleted is gone.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
}
