//! The version of the API server, read again from time to time: the cluster may be upgraded while the operator runs, and what
//! is rendered depends on it.

use super::index::Index;
use crate::cluster::Cluster;
use crate::render::ClusterInfo;
use k8s_openapi::apimachinery::pkg::version::Info;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often the version is read when nothing happens.
const EVERY: Duration = Duration::from_mins(10);
/// How often it is read at most.
const PAUSE: Duration = Duration::from_secs(10);

/// See the module; clones share it.
#[derive(Clone, Default)]
pub(super) struct ClusterVersion(Arc<Mutex<ClusterInfo>>);

impl ClusterVersion {
    /// As the API server says it is.
    pub fn new(version: Info) -> Self {
        Self(Arc::new(Mutex::new(cluster_info(version))))
    }

    /// As they were last read.
    pub fn get(&self) -> ClusterInfo {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what was read; says whether it is something new.
    fn set(&self, version: Info) -> bool {
        let now = cluster_info(version);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.version != now.version;
        *known = now;
        is_new
    }

    /// Keeps them current, for ever: when a watch has come back, for it may have been ended by an upgrade, and from time to
    /// time. When the version is another, all kinds are asked for again, and all resources looked at.
    pub async fn follow(self, cluster: Cluster, index: Index) {
        loop {
            sleep(PAUSE).await;
            // Elapsed or not, it is time.
            let _ = timeout(EVERY, index.interrupted()).await;
            match cluster.client().apiserver_version().await {
                Ok(version) => {
                    let name = version.git_version.clone();
                    if self.set(version) {
                        tracing::info!(kubernetes = name, "the API server has another version");
                        cluster.kinds().forget_all();
                        index.wake_all();
                    }
                }
                // It stays what it was.
                Err(error) => tracing::debug!(%error, "cannot read the version of the API server"),
            }
        }
    }
}

fn cluster_info(version: Info) -> ClusterInfo {
    ClusterInfo { version: Some((version.git_version, version.major, version.minor)), ..ClusterInfo::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(minor: &str) -> Info {
        Info { git_version: format!("v1.{minor}.0"), major: "1".into(), minor: minor.into(), ..Info::default() }
    }

    #[test]
    fn another_version_of_the_api_server_is_taken_over_once() {
        let cluster_info = ClusterVersion::new(version("32"));
        let shared = cluster_info.clone();
        assert!(!cluster_info.set(version("32")), "the same");
        assert!(cluster_info.set(version("33")));
        assert!(!cluster_info.set(version("33")), "known already");
        assert_eq!(shared.get().version, Some(("v1.33.0".into(), "1".into(), "33".into())));
    }
}
