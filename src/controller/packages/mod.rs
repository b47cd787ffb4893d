//! The release packages of resources: which one a resource gets (`choice`), and opening it.
//!
//! Guarantees: nothing is fetched, and no folder read, that the flags of the operator do not allow; a fetch holds up its
//! resource for some seconds at most; few packages are held in memory; one that has changed on disk is read again.

mod choice;
mod error;
mod fetches;
pub(super) mod installed;

pub(super) use choice::MISSING;
pub use error::PackageError;

use crate::cluster::Cluster;
use crate::object::ObjectKey;
use crate::release::{Package, RELEASE};
use crate::source::releases::Releases;
use crate::source::{self, Credentials, Fetched, Location, Source, SourceError};
use crate::spec::request::NamedPackage;
use fetches::Fetches;
use k8s_openapi::ByteString;
use kube::api::DynamicObject;
use std::sync::{Arc, Mutex, PoisonError};

/// How many packages stay open beside the built-in one: the two between which an upgrade moves.
const OPEN: usize = 2;

/// Where packages come from.
#[derive(Clone, Debug, Default)]
pub struct PackageConfig {
    /// The cache, what may be fetched, and how.
    pub source: source::Settings,
    /// Where the package of a version is.
    pub releases: Releases,
    /// The release of resources that do not say one and have nothing installed; `None` for the built-in one.
    pub default_release: Option<String>,
    /// Namespace and name of the Secret with credentials for registries.
    pub pull_secret: Option<(String, String)>,
}

/// A package that was opened.
struct Opened {
    location: Location,
    /// The release that it was opened as.
    release: Option<String>,
    /// See [`Fetched::fingerprint`].
    fingerprint: Option<u64>,
    package: Arc<Package>,
}

/// Opens packages.
pub struct Packages {
    builtin: Arc<Package>,
    fetches: Fetches,
    config: PackageConfig,
    /// The one that was used last is the last.
    opened: Mutex<Vec<Opened>>,
}

impl Packages {
    /// Those that `config` allows, beside the built-in one.
    #[must_use]
    pub fn new(builtin: Package, config: PackageConfig) -> Self {
        let fetches = Fetches::new(Source::new(config.source.clone()));
        Self { builtin: Arc::new(builtin), fetches, config, opened: Mutex::default() }
    }

    /// The package of that name.
    ///
    /// # Errors
    /// It may not be fetched, cannot be, or is broken.
    pub async fn open(&self, cluster: &Cluster, named: &NamedPackage) -> Result<Arc<Package>, PackageError> {
        let (location, release) = match named {
            NamedPackage::Release(version) if version == RELEASE => return Ok(Arc::clone(&self.builtin)),
            NamedPackage::Release(version) => (self.config.releases.locate(version)?, Some(version.as_str())),
            NamedPackage::Location(text) => (text.parse::<Location>().map_err(SourceError::from)?, None),
        };
        // What is in the cache never changes; a directory may.
        let is_fixed = location.as_directory().is_none();
        if let Some(package) = self.opened(&location, release, None).filter(|_| is_fixed) {
            return Ok(package);
        }
        let fetched = self.fetch(cluster, &location).await?;
        let fingerprint = fetched.fingerprint;
        if let Some(package) = self.opened(&location, release, fingerprint).filter(|_| !is_fixed) {
            return Ok(package);
        }
        if let Some(release) = release {
            fetched.check_release(&location, release)?;
        }
        let open = move || Package::open(&fetched.directory.clone()).map(|package| package.holding(fetched));
        let package = tokio::task::spawn_blocking(open).await.map_err(|_| PackageError::Interrupted)??;
        let (package, release) = (Arc::new(package), release.map(str::to_owned));
        self.keep(Opened { location, release, fingerprint, package: Arc::clone(&package) });
        Ok(package)
    }

    /// The release of resources that do not say one and have nothing installed.
    #[must_use]
    pub fn default_release(&self) -> String {
        self.config.default_release.clone().unwrap_or_else(|| RELEASE.to_owned())
    }

    fn opened(&self, location: &Location, release: Option<&str>, fingerprint: Option<u64>) -> Option<Arc<Package>> {
        let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|opened| {
            let is_same = opened.location == *location && opened.release.as_deref() == release;
            is_same && opened.fingerprint == fingerprint
        })?;
        let found = all.remove(at);
        let package = Arc::clone(&found.package);
        all.push(found);
        Some(package)
    }

    fn keep(&self, opened: Opened) {
        let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.location != opened.location);
        if all.len() >= OPEN {
            all.remove(0);
        }
        all.push(opened);
    }

    async fn fetch(&self, cluster: &Cluster, location: &Location) -> Result<Fetched, PackageError> {
        if let Some(cached) = self.fetches.cached(location).await? {
            return Ok(cached);
        }
        let credentials = self.credentials(cluster).await?;
        self.fetches.fetch(location, credentials).await
    }

    /// What is shown to registries.
    async fn credentials(&self, cluster: &Cluster) -> Result<Credentials, PackageError> {
        const KEY: &str = ".dockerconfigjson";
        let Some((namespace, name)) = &self.config.pull_secret else { return Ok(Credentials::default()) };
        let key = ObjectKey {
            group: String::new(),
            kind: "Secret".to_owned(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let missing = |what: &'static str| PackageError::PullSecret { secret: format!("{namespace}/{name}"), what };
        let secret: DynamicObject = cluster.get("v1", &key).await?.ok_or_else(|| missing("it does not exist"))?;
        let document = secret.data.pointer(&format!("/data/{KEY}")).cloned().unwrap_or_default();
        let document: ByteString = serde_json::from_value(document)
            .map_err(|_| missing("it has no .dockerconfigjson; its type must be kubernetes.io/dockerconfigjson"))?;
        Ok(Credentials::from_docker_config(&document.0)?)
    }
}
