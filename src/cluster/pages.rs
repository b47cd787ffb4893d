//! Lists of metadata that may be long, page by page.
//!
//! Guarantee: memory does not grow with the number of objects; of each only a [`Meta`] is made, and only until the next page.

use super::meta::Meta;
use super::retry::read;
use super::{Cluster, ClusterError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};

/// How many objects are read at once, as kubectl does: fewer cost more requests, more cost memory on both sides.
const OBJECTS_PER_PAGE: u32 = 500;
/// How often a list is begun: a token for the next page is good for some minutes.
const ATTEMPTS: u32 = 3;

impl Cluster {
    /// Hands over the metadata of a kind's objects with these labels and fields, in all namespaces, one by one. An unknown kind
    /// has none. A list that takes too long begins again, and hands over once more what it has handed over already. Returns
    /// how many requests that took.
    ///
    /// # Errors
    /// What the API server says; some of the objects may have been handed over by then.
    pub async fn for_each(
        &self,
        api_version: &str,
        kind: &str,
        (labels, fields): (&str, &str),
        mut take: impl FnMut(&ObjectMeta) + Send,
    ) -> Result<u32, ClusterError> {
        let resource = match self.resource(api_version, kind).await {
            Ok(resource) => resource,
            Err(e) if e.is_absent() => return Ok(1),
            Err(e) => return Err(e),
        };
        let api: Api<Meta> = Api::all_with(self.client.clone(), &resource);
        let first = ListParams::default().labels(labels).fields(fields).limit(OBJECTS_PER_PAGE);
        let (mut params, mut attempt, mut requests) = (first.clone(), 1, 0);
        loop {
            requests += 1;
            let page = match read(|| api.list(&params)).await {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if status.code == 410 && attempt < ATTEMPTS => {
                    (params, attempt) = (first.clone(), attempt + 1);
                    continue;
                }
                Err(e) => return Err(ClusterError::of("list", &kind, e)),
            };
            page.items.iter().for_each(|object| take(&object.metadata));
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => params = params.continue_token(&next),
                None => return Ok(requests),
            }
        }
    }
}
