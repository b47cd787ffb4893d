//! Which kinds the API server serves, and what it is.

use super::error::ClusterError;
use super::retry::read;
use kube::Client;
use kube::api::ApiResource;
use kube::core::GroupVersion;
use kube::discovery::{self, Scope};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Found = (ApiResource, bool);

/// The kinds of the versions asked for so far. Kinds that are not served are asked for again: a CRD may bring them.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    found: Arc<Mutex<HashMap<(String, String), Found>>>,
    /// Of each version, who asks for it: all others wait for the answer.
    asking: Arc<Mutex<HashMap<String, Turn>>>,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

impl Kinds {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, found: Arc::default(), asking: Arc::default() }
    }

    /// How a kind is addressed, and whether it is namespaced.
    ///
    /// # Errors
    /// The kind is not served, or the API server cannot be asked.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Found, ClusterError> {
        let id = (api_version.to_owned(), kind.to_owned());
        if let Some(found) = self.known(&id) {
            return Ok(found);
        }
        let turn = Arc::clone(locked(&self.asking).entry(api_version.to_owned()).or_default());
        let _turn = turn.lock().await;
        if let Some(found) = self.known(&id) {
            return Ok(found);
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let wanted = GroupVersion::gv(group, version);
        match read(|| discovery::pinned_group(&self.client, &wanted)).await {
            Ok(served) => {
                // The first counts of those that have one kind.
                let kinds = served.versioned_resources(version).into_iter().rev();
                locked(&self.found).extend(kinds.map(|(resource, capabilities)| {
                    let id = (api_version.to_owned(), resource.kind.clone());
                    (id, (resource, capabilities.scope == Scope::Namespaced))
                }));
            }
            Err(kube::Error::Discovery(_)) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(e) => return Err(ClusterError::of("discover", &kind, e)),
        }
        let unknown = || ClusterError::UnknownKind { api_version: api_version.into(), kind: kind.into() };
        self.known(&id).ok_or_else(unknown)
    }

    fn known(&self, id: &(String, String)) -> Option<Found> {
        locked(&self.found).get(id).cloned()
    }

    /// Has a kind asked for again.
    pub fn forget(&self, api_version: &str, kind: &str) {
        locked(&self.found).remove(&(api_version.to_owned(), kind.to_owned()));
    }

    /// Has all kinds asked for again: the API server is another one, which may serve other versions of them.
    pub fn forget_all(&self) {
        locked(&self.found).clear();
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
