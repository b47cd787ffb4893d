//! Waiting for a Deployment that was applied, by a watch.

use crate::cluster::watch_metadata::Pauses;
use crate::cluster::{Cluster, told};
use crate::install::readiness::{Readiness, readiness, reason};
use crate::object::Object;
use anyhow::bail;
use futures::StreamExt;
use kube::Error::Api as Answer;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Error, watch_object};
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// Waits until a Deployment is ready; `tell` hears what is missing whenever that is seen.
///
/// # Errors
/// It is not ready in time, its controller has given up, or nobody may watch it; with what its pods say.
pub(super) async fn wait_until_ready(
    cluster: &Cluster,
    deployment: &Object,
    patience: Duration,
    tell: impl Fn(String),
) -> anyhow::Result<()> {
    let kind = cluster.resource(deployment.api_version(), deployment.kind()).await?;
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().clone(), deployment.namespace(), &kind);
    let mut missing = "it has not been seen".to_owned();
    let note = |why: String| {
        missing.clone_from(&why);
        tell(why);
    };
    let (when, why) = match timeout(patience, follow(api, deployment.name(), note)).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(why)) => (String::new(), why),
        Err(_) => (format!(" after {patience:?}"), missing),
    };
    let pod = reason::why_not_ready(cluster, deployment).await.map(|why| format!(" ({why})")).unwrap_or_default();
    bail!("{} is not ready{when}: {why}{pod}", deployment.key())
}

async fn follow(api: Api<DynamicObject>, name: &str, mut note: impl FnMut(String)) -> Result<(), String> {
    let mut seen = pin!(watch_object(api, name).backoff(Pauses::default()));
    let mut is_under_way = false;
    while let Some(live) = seen.next().await {
        match live.map(|live| live.map(|live| readiness("apps", "Deployment", &live, None))) {
            Ok(Some(Readiness::Ready)) => return Ok(()),
            Ok(Some(Readiness::Failed(why))) if is_under_way => return Err(why),
            // An earlier attempt has failed; this one is yet to begin.
            Ok(Some(Readiness::Failed(why))) => note(why),
            Ok(Some(Readiness::Waiting(why))) => {
                is_under_way = true;
                note(why);
            }
            Ok(None) => note("it is gone".to_owned()),
            Err(Error::InitialListFailed(Answer(no)) | Error::WatchStartFailed(Answer(no))) if no.code == 403 => {
                return Err(no.message);
            }
            Err(error) => note(told(&error)),
        }
    }
    Err("its watch has ended".to_owned())
}
