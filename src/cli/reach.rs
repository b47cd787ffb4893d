//! A cluster that need not answer, for commands that go on without it.

use super::cluster::ConnectArgs;
use crate::cluster::Cluster;
use crate::cluster::connect::{self, Choice, Way};
use crate::cluster::fence::Fence;
use crate::cluster::outage::Outage;
use anyhow::anyhow;
use std::sync::Arc;
use std::time::Duration;

/// The door to the cluster; nobody has knocked yet.
///
/// # Errors
/// No kubeconfig leads to one, or it cannot be used.
pub(super) async fn door(args: &ConnectArgs, connect_timeout: Duration) -> anyhow::Result<Cluster> {
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
