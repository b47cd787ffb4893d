//! Lists that may be long, page by page.
//!
//! Guarantee: where only metadata is read, memory does not grow with the number of objects; of each only a [`Meta`] is made, and only
//! until the next page.

use super::meta::Meta;
use super::received::Received;
use super::retry::read;
use super::{Cluster, ClusterError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// How many objects are read at once, as kubectl does: fewer cost more requests, more cost memory on both sides.
const OBJECTS_PER_PAGE: u32 = 500;
/// The same of IstioOperator resources: the records among them are large.
pub const RESOURCES_PER_PAGE: u32 = 25;
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
        let first = ListParams::default().labels(labels).fields(fields);
        let take = |page: Vec<Meta>, _| page.iter().for_each(|object| take(&object.metadata));
        pages(&api, &first, take).await.map_err(|e| ClusterError::of("list", &kind, e))
    }

    /// Makes one thing of the metadata of all objects of a kind. A list that takes too long begins again, and so does what is made of
    /// it: nothing counts twice. Of an unknown kind nothing is made.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn fold<T: Default>(
        &self,
        api_version: &str,
        kind: &str,
        mut take: impl FnMut(&mut T, &ObjectMeta),
    ) -> Result<T, ClusterError> {
        let mut made = T::default();
        let resource = match self.resource(api_version, kind).await {
            Ok(resource) => resource,
            Err(e) if e.is_absent() => return Ok(made),
            Err(e) => return Err(e),
        };
        let api: Api<Meta> = Api::all_with(self.client.clone(), &resource);
        let take = |page: Vec<Meta>, is_first: bool| {
            if is_first {
                made = T::default();
            }
            for object in &page {
                take(&mut made, &object.metadata);
            }
        };
        pages(&api, &ListParams::default(), take).await.map_err(|e| ClusterError::of("list", &kind, e))?;
        Ok(made)
    }

    /// Makes something of each IstioOperator resource of a namespace, or of all.
    ///
    /// # Errors
    /// What the API server says: also that their kind is absent.
    pub async fn each_owner<T, I: IntoIterator<Item = T>>(
        &self,
        namespace: Option<&str>,
        make: impl FnMut(Received) -> I,
    ) -> Result<Vec<T>, ClusterError> {
        let params = ListParams::default().limit(RESOURCES_PER_PAGE);
        collect(&self.owners(namespace), &params, "IstioOperator resources", make).await
    }
}

/// Makes something of each object of a list. One that takes too long begins again, and so does what is made of it.
///
/// # Errors
/// What the API server says.
pub async fn collect<K, T, I>(
    api: &Api<K>,
    params: &ListParams,
    what: &str,
    mut make: impl FnMut(K) -> I,
) -> Result<Vec<T>, ClusterError>
where
    K: Clone + DeserializeOwned + Debug,
    I: IntoIterator<Item = T>,
{
    let mut found = vec![];
    let take = |page: Vec<K>, is_first: bool| {
        if is_first {
            found.clear();
        }
        found.extend(page.into_iter().flat_map(&mut make));
    };
    pages(api, params, take).await.map_err(|e| ClusterError::of("list", &what, e))?;
    Ok(found)
}

/// Hands over each page of a list, and whether it is the first, as it is once more where the list begins again.
async fn pages<K>(api: &Api<K>, first: &ListParams, mut take: impl FnMut(Vec<K>, bool)) -> Result<u32, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let first = ListParams { limit: first.limit.or(Some(OBJECTS_PER_PAGE)), ..first.clone() };
    let (mut params, mut attempt, mut requests) = (first.clone(), 1, 0);
    loop {
        requests += 1;
        let page = match read(|| api.list(&params)).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 410 && attempt < ATTEMPTS => {
                (params, attempt) = (first.clone(), attempt + 1);
                continue;
            }
            Err(e) => return Err(e),
        };
        take(page.items, params.continue_token.is_none());
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(requests),
        }
    }
}
