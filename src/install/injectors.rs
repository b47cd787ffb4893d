//! The injection webhooks of a cluster, whoever has them, as they were a moment ago.
//!
//! Until a control plane is written, each run asks twice for them: who has the tag `default`, and who injects the same pods. After a
//! write of anything the API server answers such a list only once its cache has caught up, which takes up to 0.1 s (since
//! Kubernetes 1.31); so runs that follow each other closely share one.

use super::engine::FRESH;
use super::webhooks::{API_VERSION, KIND, is_injector};
use crate::cluster::{Cluster, ClusterError};
use crate::object::labels::REVISION;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::sync::Arc;
use std::time::Instant;

/// What was read last. Other webhooks of the kind are not kept.
#[derive(Default)]
pub struct Injectors {
    read: Option<(Instant, Arc<[DynamicObject]>)>,
}

impl Injectors {
    /// The injection webhooks that there are.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn read(&mut self, cluster: &Cluster) -> Result<Arc<[DynamicObject]>, ClusterError> {
        if let Some((since, known)) = &self.read
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(known));
        }
        self.read = None;
        let begun = Instant::now();
        let mut live = cluster.list(API_VERSION, KIND, None, "").await?;
        live.retain(|config| {
            is_labelled(config) || config.labels().contains_key(REVISION) || is_injector(&config.data)
        });
        let live: Arc<[DynamicObject]> = live.into();
        self.read = Some((begun, Arc::clone(&live)));
        Ok(live)
    }

    /// One of them is another now.
    pub(super) fn forget(&mut self) {
        self.read = None;
    }
}

/// Whether a webhook has the label that all of Istio's have that inject (releases 1.17 to 1.31).
pub(super) fn is_labelled(config: &DynamicObject) -> bool {
    config.labels().get("app").is_some_and(|app| app == "sidecar-injector")
}
