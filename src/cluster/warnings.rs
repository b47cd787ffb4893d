//! What Kubernetes' own controllers warn of an object, in events.

use super::retry::read;
use super::{Cluster, ClusterError};
use crate::object::ObjectKey;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};

/// So many are read; an object has few, since the same event is counted and not made again.
const MOST: u32 = 100;

impl Cluster {
    /// The warnings about an object that has a namespace, the oldest first.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn warnings_of(&self, key: &ObjectKey) -> Result<Vec<Event>, ClusterError> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &key.namespace);
        let fields = format!("type=Warning,involvedObject.kind={},involvedObject.name={}", key.kind, key.name);
        let params = ListParams::default().fields(&fields).limit(MOST);
        let found = read(|| api.list(&params)).await.map_err(|e| ClusterError::of("list the events of", key, e))?;
        let mut all = found.items;
        all.sort_by_key(|event| {
            let last = event.last_timestamp.as_ref().map(|time| time.0);
            last.or(event.event_time.as_ref().map(|time| time.0))
        });
        Ok(all)
    }
}
