//! Which kinds the API server serves, and what it is.

use super::error::ClusterError;
use super::retry::read;
use kube::Client;
use kube::api::ApiResource;
use kube::core::GroupVersion;
use kube::discovery::{self, Scope};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

type Found = (ApiResource, bool);

/// The kinds of the versions asked for so far. Kinds that are not served are asked for again: a CRD may bring them.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    found: Arc<Mutex<HashMap<(String, String), Found>>>,
    /// Versions that are being asked for: who wants to know of one waits for the answer.
    asking: Arc<Mutex<HashMap<String, Arc<OnceCell<()>>>>>,
}

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
        let mut own = None;
        turn.get_or_init(|| async { own = Some(self.ask(api_version).await) }).await;
        locked(&self.asking).remove(api_version);
        if own.is_none() && self.known(&id).is_none() {
            // Who asked has failed, or has asked before there was the kind.
            own = Some(self.ask(api_version).await);
        }
        own.unwrap_or(Ok(())).map_err(|error| ClusterError::of("discover", &kind, error))?;
        let unknown = || ClusterError::UnknownKind { api_version: api_version.into(), kind: kind.into() };
        self.known(&id).ok_or_else(unknown)
    }

    /// Notes the kinds of a version; none where it is not served.
    async fn ask(&self, api_version: &str) -> Result<(), kube::Error> {
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
                Ok(())
            }
            Err(kube::Error::Discovery(_)) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use kube::client::Body;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// An API server that serves Deployments from the second request on, and fails at the first where it is told to.
    fn kinds(fails: bool) -> (Kinds, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&asked);
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let number = counting.fetch_add(1, Relaxed);
            let kind = json!({"name": "deployments", "singularName": "", "namespaced": true, "kind": "Deployment", "verbs": []});
            let served = if number == 0 { vec![] } else { vec![kind] };
            let list = json!({"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": served});
            let code = if fails && number == 0 { 403 } else { 200 };
            async move {
                tokio::task::yield_now().await;
                http::Response::builder().status(code).body(Body::from(list.to_string().into_bytes()))
            }
        });
        (Kinds::new(Client::new(service, "default")), asked)
    }

    #[tokio::test]
    async fn who_asks_while_another_does_waits_for_the_answer() {
        let (kinds, asked) = kinds(false);
        assert!(matches!(kinds.find("apps/v1", "Deployment").await, Err(ClusterError::UnknownKind { .. })));
        let found = join_all((0..20).map(|_| kinds.find("apps/v1", "Deployment"))).await;
        assert!(
            found
                .into_iter()
                .all(|found| found.is_ok_and(|(kind, is_namespaced)| kind.plural == "deployments" && is_namespaced))
        );
        assert_eq!(asked.load(Relaxed), 2);
        kinds.forget("apps/v1", "Deployment");
        assert!(kinds.find("apps/v1", "Deployment").await.is_ok());
        assert_eq!((asked.load(Relaxed), locked(&kinds.asking).len()), (3, 0));
    }

    #[tokio::test]
    async fn what_one_could_not_find_out_others_ask_for_themselves() {
        for fails in [false, true] {
            let (kinds, _) = kinds(fails);
            let found = join_all((0..4).map(|_| kinds.find("apps/v1", "Deployment"))).await;
            let is_found: Vec<bool> = found.iter().map(Result::is_ok).collect();
            assert_eq!(is_found, [false, true, true, true], "{fails}");
        }
    }
}
