//! What has to be known before the first reconcile: the version of the API server, the objects each resource wants, and the
//! objects that exist.

use super::cluster_version::ClusterVersion;
use super::context::Config;
use super::error::RunError;
use super::index::{FailingWatch, Index};
use super::ownership::{Ownership, Wants};
use super::reach;
use super::usage::Users;
use crate::api::status::InstallStatus;
use crate::cluster::outage::is_caused_by_outage;
use crate::cluster::received::{ObservedResource, Received};
use crate::cluster::status_text::{read_status, unknown_part};
use crate::cluster::{Cluster, ClusterError};
use crate::object::inventory;
use crate::object::{ObjectKey, OwnerId};
use crate::process::metrics::Metrics;
use kube::Client;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is known when it begins.
pub(super) struct Started {
    pub cluster: Cluster,
    pub version: ClusterVersion,
    pub ownership: Arc<Ownership>,
    /// Resources whose present spec has yet to be read.
    pub unread: BTreeSet<OwnerId>,
    pub index: Index,
    /// The resources whose objects change.
    pub changes: mpsc::UnboundedReceiver<OwnerId>,
    pub users: Users,
}

/// Finds it out, however long that takes; `None` when told to stop.
pub(super) async fn start(
    client: Client,
    namespaces: &[Option<String>],
    config: &Config,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Option<Started> {
    let cluster = Cluster::new(client.clone());
    let version = retry_until_ready(stop, || async {
        let version = client.apiserver_version().await;
        version.map_err(|error| ClusterError::of("read", &"the version of the API server", error))
    });
    let version = version.await?;
    tracing::info!(kubernetes = version.git_version, "connected");
    let version = ClusterVersion::new(version);
    let ownership = Arc::new(Ownership::default());
    let load = || load_wants(&cluster, &ownership, namespaces, &config.privileged);
    let unread = retry_until_ready(stop, load).await?;
    let (index, changes) = Index::new(cluster.clone(), Arc::clone(&ownership), Arc::clone(metrics));
    index.watch_from_the_start();
    let users = Users::new(index.clone());
    users.watch(cluster.client());
    tokio::spawn(version.clone().follow(cluster.clone(), index.clone()));
    let known = futures::future::join(index.complete(), users.tags_known());
    let (failing, ()) = stop.run_until_cancelled(known).await?;
    for FailingWatch { api_version, kind, error, .. } in failing {
        tracing::warn!(api_version, kind, %error, "beginning without knowing what there is of this kind");
    }
    Some(Started { cluster, version, ownership, unread, index, changes, users })
}

/// Asks until there is an answer, later each time; `None` when told to stop. Who starts while the API server is away does
/// not give up, for whoever starts it again after that waits longer; and an API server that has just started refuses what
/// it allows a moment later.
async fn retry_until_ready<T, E: std::error::Error + 'static, F: Future<Output = Result<T, E>>>(
    stop: &CancellationToken,
    ask: impl Fn() -> F,
) -> Option<T> {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(10);
    let mut pause = FIRST;
    loop {
        match stop.run_until_cancelled(ask()).await? {
            Ok(answer) => return Some(answer),
            Err(error) if is_caused_by_outage(&error) => {
                tracing::debug!(%error, ?pause, "cannot start yet, trying again");
            }
            Err(error) => tracing::warn!(%error, ?pause, "cannot start yet, trying again"),
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await?;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Before the first reconcile of any resource it has to be known what the others have, lest one deletes what another shares.
/// Returns the resources whose present spec has yet to be read.
async fn load_wants(
    cluster: &Cluster,
    ownership: &Ownership,
    namespaces: &[Option<String>],
    privileged: &reach::Privileged,
) -> Result<BTreeSet<OwnerId>, RunError> {
    let mut unread = BTreeSet::new();
    for namespace in namespaces {
        let make = |received: Received| load_wants_of(&received.into_observed(), ownership, privileged);
        let found = cluster.each_owner(namespace.as_deref(), make).await;
        unread.extend(found.map_err(|error| match error {
            // It may come later.
            error if error.is_absent() => RunError::Undefined,
            error => error.into(),
        })?);
    }
    Ok(unread)
}

/// Records what a resource is known to have. Returns it where it may want something.
fn load_wants_of(
    resource: &ObservedResource,
    ownership: &Ownership,
    privileged: &reach::Privileged,
) -> Option<OwnerId> {
    let (status, id) = (read_status(&resource.status), resource.id());
    if let Some(lost) = unknown_part(&resource.status) {
        tracing::warn!(resource = %id, lost, "a part of the status cannot be read: what only it says that the resource has is not known");
    }
    // Whoever may write a status must not thereby keep what is others' from being deleted.
    let may_have = |key: &ObjectKey| privileged.includes(&id.namespace) || key.namespace == id.namespace;
    let claim = Wants {
        since: resource.created_at(),
        version: InstallStatus::read(&status).version.unwrap_or_default(),
        revision: resource.revision().to_owned(),
        keys: inventory::of_status(&status).into_keys().filter(may_have).collect(),
        ..Wants::default()
    };
    ownership.set(&id, Some(claim));
    let wants_something = !resource.is_being_deleted() && !resource.is_left_alone();
    wants_something.then_some(id)
}
