//! The library as the operator calls it, with waits that a test can sit out.

use istio_operator::failure::Retry;
use istio_operator::source::{Credentials, Fetched, Location, Policy, Progress, Refresh, Settings, Source};
use istio_operator::source::{SourceError, Timeouts};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is tried again, as it was told.
#[derive(Default)]
pub struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn retry(&self, error: &SourceError, _: Duration) {
        self.0.lock().unwrap().push(error.to_string());
    }
}

/// Someone who fetches.
pub struct Library {
    pub settings: Settings,
    pub credentials: Credentials,
    told: Arc<Told>,
}

impl Library {
    /// With a cache in a folder, anything allowed, and little patience.
    pub fn new(cache: &Path) -> Self {
        let timeouts = Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(5),
            total: Duration::from_secs(20),
            attempts: 3,
            backoff: Duration::from_millis(5),
        };
        let (cache_dir, policy) = (cache.to_owned(), Policy::unrestricted());
        let settings = Settings { cache_dir, policy, timeouts, ..Settings::default() };
        Self { settings, credentials: Credentials::default(), told: Arc::default() }
    }

    /// Allowed only what begins so.
    pub fn allowed(mut self, prefixes: &[&str]) -> Self {
        let allowed_prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        self.settings.policy = Policy { allowed_prefixes, ..Policy::default() };
        self
    }

    /// With pull credentials.
    pub fn with_credentials(mut self, document: &str) -> Self {
        self.credentials = Credentials::from_docker_config(document.as_bytes()).unwrap();
        self
    }

    pub fn source(&self) -> Source {
        Source::new(self.settings.clone())
    }

    pub fn get(&self, location: &str, refresh: Refresh) -> Result<Fetched, SourceError> {
        let location: Location = location.parse()?;
        let progress = Arc::clone(&self.told) as Arc<dyn Progress>;
        self.source().fetch_blocking(&location, refresh, &self.credentials, &progress)
    }

    pub fn fetch(&self, location: &str) -> Result<Fetched, SourceError> {
        self.get(location, Refresh::IfAbsent)
    }

    /// Fetches what is refused with these words; gives the word for it and whether it may pass.
    #[track_caller]
    pub fn fails(&self, location: &str, words: &str) -> (&'static str, bool) {
        let error = self.fetch(location).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        (error.reason(), error.retry() == Retry::Backoff)
    }

    /// What was tried again so far.
    pub fn retries(&self) -> Vec<String> {
        self.told.0.lock().unwrap().clone()
    }
}
