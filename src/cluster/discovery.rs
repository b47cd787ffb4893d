//! Which kinds the API server serves, and what it is.

use super::error::ClusterError;
use super::retry::read;
use kube::Client;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type Found = (ApiResource, bool);

/// The kinds asked for so far. Kinds that are not served are asked for again: a CRD may bring them.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    found: Arc<Mutex<HashMap<(String, String), Found>>>,
}

impl Kinds {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, found: Arc::default() }
    }

    /// How a kind is addressed, and whether it is namespaced.
    ///
    /// # Errors
    /// The kind is not served, or the API server cannot be asked.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Found, ClusterError> {
        let id = (api_version.to_owned(), kind.to_owned());
        if let Some(found) = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(found.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let unknown = || ClusterError::UnknownKind { api_version: api_version.into(), kind: kind.into() };
        match read(|| discovery::pinned_kind(&self.client, &gvk)).await {
            Ok((resource, capabilities)) => {
                let found = (resource, capabilities.scope == Scope::Namespaced);
                self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(id, found.clone());
                Ok(found)
            }
            Err(kube::Error::Discovery(_)) => Err(unknown()),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(unknown()),
            Err(e) => Err(ClusterError::of("discover", &kind, e)),
        }
    }

    /// Has a kind asked for again.
    pub fn forget(&self, api_version: &str, kind: &str) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).remove(&(api_version.to_owned(), kind.to_owned()));
    }

    /// Has all kinds asked for again: the API server is another one, which may serve other versions of them.
    pub fn forget_all(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
