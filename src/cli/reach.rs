//! A cluster that need not answer, for commands that go on without it.

use crate::cluster::Cluster;
use crate::cluster::connect::{self, Choice, Way};
use crate::cluster::fence::Fence;
use crate::cluster::outage::Outage;
use anyhow::anyhow;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which cluster.
#[derive(Args, Clone, Default)]
pub(super) struct ReachArgs {
    /// Kubeconfig file (default: KUBECONFIG, or ~/.kube/config, or the service account of the pod).
    #[arg(short = 'c', long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig (default: its current one).
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// The door to the cluster; nobody has knocked yet.
///
/// # Errors
/// No kubeconfig leads to one, or it cannot be used.
pub(super) async fn door(args: &ReachArgs, connect_timeout: Duration) -> anyhow::Result<Cluster> {
    let choice = Choice { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() };
    // Its text has all of its causes already.
    let mut access = connect::find_as(&choice).await.map_err(|error| anyhow!("{error}"))?;
    access.connect_timeout = Some(connect_timeout);
    let way = Way {
        count: Arc::new(|_| {}),
        in_flight: 16,
        per_second: 200,
        silence: Duration::from_mins(1),
        fence: Fence::default(),
        outage: Outage::default(),
    };
    Ok(Cluster::new(connect::for_work(access, &way)?))
}
