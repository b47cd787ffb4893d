//! Fetches, each on a thread of its own: it may take minutes, and a reconcile has seconds.
//!
//! Guarantees: a location is fetched by one thread at a time, however many resources ask; a reconcile waits for a fetch that it
//! has begun, and for no other; and why a fetch failed is told, also when nobody waited for its end.

use super::PackageError;
use crate::source::progress::Silent;
use crate::source::{Credentials, Fetched, Location, Progress, Refresh, Source, SourceError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a reconcile waits for a fetch. One that takes longer goes on, and is found in the cache by a later reconcile.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of fetches, by location: nothing while they go on, or why they failed when nobody waited any more.
type Known = Arc<Mutex<HashMap<Location, Option<SourceError>>>>;

/// See the module.
pub(super) struct Fetches {
    source: Arc<Source>,
    known: Known,
}

impl Fetches {
    pub(super) fn new(source: Source) -> Self {
        Self { source: Arc::new(source), known: Known::default() }
    }

    /// The package of a location, if the cache has it.
    ///
    /// # Errors
    /// It may not be had, or the cache cannot be read.
    pub(super) async fn cached(&self, location: &Location) -> Result<Option<Fetched>, PackageError> {
        let (source, location) = (Arc::clone(&self.source), location.clone());
        let look = move || source.cached(&location);
        Ok(tokio::task::spawn_blocking(look).await.map_err(|_| PackageError::Interrupted)??)
    }

    /// The package of a location that the cache does not have.
    ///
    /// # Errors
    /// It cannot be fetched, or that takes longer.
    pub(super) async fn fetch(&self, location: &Location, credentials: Credentials) -> Result<Fetched, PackageError> {
        match lock(&self.known).entry(location.clone()) {
            Entry::Occupied(known) if known.get().is_none() => {
                return Err(PackageError::Fetching(location.redacted()));
            }
            Entry::Occupied(known) => {
                if let Some(error) = known.remove() {
                    return Err(error.into());
                }
            }
            Entry::Vacant(vacant) => {
                vacant.insert(None);
            }
        }
        let (source, known, owned) = (Arc::clone(&self.source), Arc::clone(&self.known), location.clone());
        let (done, fetch) = tokio::sync::oneshot::channel();
        let work = move || {
            let silent: Arc<dyn Progress> = Arc::new(Silent);
            let fetched = source.fetch_blocking(&owned, Refresh::IfAbsent, &credentials, &silent);
            let mut known = lock(&known);
            known.remove(&owned);
            if let Err(Err(error)) = done.send(fetched) {
                known.insert(owned, Some(error));
            }
        };
        if std::thread::Builder::new().name("fetch".to_owned()).spawn(work).is_err() {
            lock(&self.known).remove(location);
            return Err(PackageError::Interrupted);
        }
        match tokio::time::timeout(PATIENCE, fetch).await {
            Ok(fetched) => Ok(fetched.map_err(|_| PackageError::Interrupted)??),
            Err(_) => Err(PackageError::Fetching(location.redacted())),
        }
    }
}

fn lock<T>(known: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
