//! Where release packages come from: a [`Location`] becomes a directory with `profiles/` and `charts/`.
//!
//! In: a location, what may be fetched (a [`Policy`]), a [`Cache`]. Out: a [`Fetched`] directory, or a [`SourceError`].
//! Guarantees: what the policy does not allow is neither asked nor read, after redirects too; every wait and every size has
//! a limit; memory does not grow with an archive; nothing is written outside the cache; and a directory is given only if
//! every file in it is as it was unpacked.

mod address;
mod archive;
mod archive_error;
pub mod cache;
mod credentials;
pub mod digest;
mod directory;
mod entry;
pub mod error;
mod eviction;
pub mod index;
mod limits;
pub mod location;
pub mod policy;
pub mod progress;
mod reference;
mod registry;
pub mod releases;
mod renders;
mod resolve;
mod stream;
mod thread;
mod transport;
mod web;
mod workspace;

pub use self::archive::Written;
pub use self::archive_error::ArchiveError;
pub use self::cache::Cache;
pub use self::credentials::Credentials;
pub use self::error::SourceError;
use self::error::Unreached;
pub use self::limits::{Limits, Timeouts};
pub use self::location::Location;
pub use self::policy::{AllowedPrefix, Policy};
pub use self::progress::Progress;
pub use self::reference::ReferenceError;
pub use self::releases::Releases;
pub use self::renders::RenderCache;

use self::cache::{CachedPackage, PackageKind};
use self::digest::Digest;
use self::index::Validators;
use self::location::Kind;
use self::reference::Reference;
use self::registry::Registry;
use self::transport::{Transport, in_time, within};
use self::web::{Get, Web};
use self::workspace::{Watch, Workspace};
use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, UNIX_EPOCH};
use url::Url;

/// How long is waited for what was given up: moments, unless the disk hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// How packages are fetched.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of the cache; it need not be there.
    pub cache_dir: PathBuf,
    /// What may be fetched.
    pub policy: Policy,
    /// A file with certificates in PEM that servers are checked with, beside the system's.
    pub ca_bundle: Option<PathBuf>,
    /// How much an archive may hold.
    pub limits: Limits,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// How many packages the cache keeps, those in use among them; `None` for all.
    pub most_cached: Option<usize>,
}

/// Whether a location without a pin is asked what it has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// No: what it had before will do.
    #[default]
    IfAbsent,
    /// Yes; if it cannot be reached, what it had before will do.
    Always,
}

/// What a package came from this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It lies where the location says.
    Directory,
    /// It was in the cache.
    Cache,
    /// It was fetched, or read from an archive.
    Fetched,
}

/// A package that can be opened.
#[derive(Debug)]
pub struct Fetched {
    /// The folder with `profiles/` and `charts/`.
    pub directory: PathBuf,
    /// Of the archive, or of the image's manifest; a directory has none.
    pub digest: Option<Digest>,
    /// The release, as its default profile says.
    pub version: Option<String>,
    /// How many files it has.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What the files of a directory are like; as long as it is the same, so is the package. An archive has its digest.
    pub fingerprint: Option<u64>,
    /// What it came from.
    pub origin: Origin,
    /// Why this is what the location had before, rather than what it has now.
    pub stale: Option<SourceError>,
    /// While this lives, nobody removes it from the cache.
    _package: Option<CachedPackage>,
}

impl Fetched {
    /// Whether it is of the release that was asked for. One that does not say, and a build of that release (`1.30.3-x` for
    /// `1.30.3`), will do.
    ///
    /// # Errors
    /// It is of another one.
    pub fn check_release(&self, location: &Location, expected: &str) -> Result<(), SourceError> {
        let is_other = |found: &&String| {
            let rest = found.strip_prefix(expected);
            let is_pre = |rest: &str| ["-alpha", "-beta", "-rc"].iter().any(|pre| rest.starts_with(pre));
            !rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with(['-', '+']) && !is_pre(rest)))
        };
        let Some(found) = self.version.as_ref().filter(is_other) else { return Ok(()) };
        let (address, expected, found) = (location.redacted(), expected.to_owned(), found.clone());
        Err(SourceError::OtherRelease { address, expected, found })
    }

    fn cached(package: CachedPackage, origin: Origin, stale: Option<SourceError>) -> Self {
        Self {
            directory: package.directory.clone(),
            digest: Some(package.record.digest),
            version: package.record.version.clone(),
            files: package.record.files.len(),
            bytes: package.record.bytes(),
            fingerprint: None,
            origin,
            stale,
            _package: Some(package),
        }
    }
}

/// What a location came to over the network.
enum Update {
    /// The same as before.
    Same,
    New(Box<CachedPackage>, Validators),
}

/// Fetches packages.
#[derive(Debug)]
pub struct Source {
    settings: Settings,
    cache: Cache,
    /// One fetch of a location at a time: the others find what it brings.
    under_way: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    unfinished: thread::Unfinished,
}

impl Source {
    /// One with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let cache = Cache::new(settings.cache_dir.clone());
        Self { settings, cache, under_way: Mutex::default(), unfinished: thread::Unfinished::default() }
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The package of a location: from the cache if it is there, otherwise from where it is. May be dropped at any time.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn fetch(
        &self,
        location: &Location,
        refresh: Refresh,
        credentials: &Credentials,
        progress: &Arc<dyn Progress>,
    ) -> Result<Fetched, SourceError> {
        self.settings.policy.check(location)?;
        if let Kind::Directory(path) = location.kind() {
            let limit = self.settings.timeouts.total;
            return in_time(limit, location.redacted(), "reading it", self.directory(path)).await?;
        }
        let turn = self.turn(location);
        let _turn = turn.lock().await;
        let Lookup { package, validators, is_settled } = self.look_up(location, refresh).await?;
        let known = match package {
            Some(package) if is_settled => return Ok(self.used(package, Origin::Cache, None)),
            other => other,
        };
        let digest = known.as_ref().map(|package| package.record.digest);
        match (self.update(location, digest, validators, credentials, progress).await, known) {
            (Ok(Update::New(package, validators)), _) => {
                self.note(location, package.record.digest, validators).await;
                self.evict().await;
                Ok(self.used(*package, Origin::Fetched, None))
            }
            (Ok(Update::Same), Some(package)) => Ok(self.used(package, Origin::Cache, None)),
            (Err(error), Some(package)) if error.is_outage() => Ok(self.used(package, Origin::Cache, Some(error))),
            (Err(error), _) => Err(error),
            (Ok(Update::Same), None) => Err(SourceError::Registry {
                address: location.redacted(),
                problem: "the server says that nothing has changed, without having been asked".to_owned(),
            }),
        }
    }

    /// The same for whoever may wait. It may be called anywhere, in a runtime too.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn fetch_blocking(
        &self,
        location: &Location,
        refresh: Refresh,
        credentials: &Credentials,
        progress: &Arc<dyn Progress>,
    ) -> Result<Fetched, SourceError> {
        let failed = |cause| SourceError::Unreachable { address: location.redacted(), cause };
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| failed(Unreached::Runtime(error)))?;
            runtime.block_on(self.fetch(location, refresh, credentials, progress))
        };
        let done = std::thread::scope(|scope| scope.spawn(work).join());
        // What was given up in the middle removes what it has unpacked; a process may end after this.
        self.unfinished.wait(PATIENCE);
        done.unwrap_or_else(|_| Err(failed(Unreached::Thread)))
    }

    /// The package of a location, if the cache has it. Talks to nobody; reads the disk at once.
    ///
    /// # Errors
    /// The policy refuses it, or the cache cannot be read.
    pub fn cached(&self, location: &Location) -> Result<Option<Fetched>, SourceError> {
        self.settings.policy.check(location)?;
        if let Kind::Archive(path, _) | Kind::Directory(path) = location.kind() {
            self.settings.policy.check_real_path(path)?;
        }
        let found = look_up(&self.cache, location, Refresh::IfAbsent).map_err(|cause| self.broken_cache(cause))?;
        let package = found.package.filter(|_| found.is_settled);
        Ok(package.map(|package| self.used(package, Origin::Cache, None)))
    }

    fn used(&self, package: CachedPackage, origin: Origin, stale: Option<SourceError>) -> Fetched {
        self.cache.note_use(&package.record.digest);
        Fetched::cached(package, origin, stale)
    }

    fn broken_cache(&self, cause: io::Error) -> SourceError {
        SourceError::Cache { path: self.settings.cache_dir.clone(), cause }
    }

    fn turn(&self, location: &Location) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, turn| turn.strong_count() > 0);
        let key = location.key();
        if let Some(turn) = under_way.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        under_way.insert(key, Arc::downgrade(&turn));
        turn
    }

    async fn directory(&self, path: &Path) -> Result<Fetched, SourceError> {
        let (policy, owned) = (self.settings.policy.clone(), path.to_owned());
        let found = thread::run("find", move || {
            let found = directory::find(&owned, &policy)?;
            let version = directory::version(&found.directory);
            Ok::<_, SourceError>((found, version))
        });
        let (found, version) = found.await.map_err(|cause| SourceError::File { path: path.to_owned(), cause })??;
        Ok(Fetched {
            directory: found.directory,
            digest: None,
            version,
            files: found.files,
            bytes: found.bytes,
            fingerprint: Some(found.fingerprint),
            origin: Origin::Directory,
            stale: None,
            _package: None,
        })
    }

    async fn look_up(&self, location: &Location, refresh: Refresh) -> Result<Lookup, SourceError> {
        let (cache, location, policy) = (self.cache.clone(), location.clone(), self.settings.policy.clone());
        let found = thread::run("look up", move || {
            if let Kind::Archive(path, _) = location.kind() {
                policy.check_real_path(path)?;
            }
            Ok(look_up(&cache, &location, refresh))
        });
        let found = found.await.map_err(|cause| self.broken_cache(cause))?;
        found.map_err(SourceError::Refused)?.map_err(|cause| self.broken_cache(cause))
    }

    async fn note(&self, location: &Location, digest: Digest, validators: Validators) {
        let (cache, location) = (self.cache.clone(), location.clone());
        let noted = thread::run("note", move || index::note(&cache, &location, digest, validators));
        if let Err(error) = noted.await.and_then(|noted| noted) {
            // The package is there all the same; only a restart will have to ask for it again.
            tracing::warn!(%error, "the location of a release package cannot be noted in the cache");
        }
    }

    /// Removes what the cache need not keep, beside the package that has just come: that is in use.
    async fn evict(&self) {
        let Some(most) = self.settings.most_cached else { return };
        let cache = self.cache.clone();
        let evicted = thread::run("evict", move || eviction::evict(&cache, most));
        if let Err(error) = evicted.await.and_then(|evicted| evicted) {
            tracing::warn!(%error, "the cache of release packages cannot be kept small");
        }
    }

    /// The package that somebody has fetched to be that of a version, from wherever, if the cache has it; and where it came from.
    /// Talks to nobody.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn of_version(&self, version: &str) -> Result<Option<(String, Fetched)>, SourceError> {
        let Some(known) = index::of_version(&self.cache, version) else { return Ok(None) };
        let package = self.cache.open(&known.digest).map_err(|cause| self.broken_cache(cause))?;
        Ok(package.map(|package| (known.location, self.used(package, Origin::Cache, None))))
    }

    /// Notes that what a location had is the package of its version from now on, where it says one.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn note_version(&self, location: &Location, fetched: &Fetched) -> Result<(), SourceError> {
        let (Some(version), Some(digest)) = (&fetched.version, fetched.digest) else { return Ok(()) };
        let noted = index::note_version(&self.cache, version, location.redacted(), digest);
        noted.map_err(|cause| self.broken_cache(cause))
    }

    /// Asks a location what it has.
    async fn update(
        &self,
        location: &Location,
        known: Option<Digest>,
        validators: Validators,
        credentials: &Credentials,
        progress: &Arc<dyn Progress>,
    ) -> Result<Update, SourceError> {
        let Settings { timeouts, policy, ca_bundle, .. } = &self.settings;
        let transport = Transport::new(ca_bundle.as_deref(), timeouts);
        let mut web = Web { transport, policy, timeouts, home: None };
        match location.kind() {
            Kind::Directory(path) => {
                Err(SourceError::Directory { path: path.clone(), problem: "it is a directory".to_owned() })
            }
            Kind::Archive(path, pin) => {
                let work = self.archive(location, path, *pin, progress);
                in_time(timeouts.total, location.redacted(), "reading it", work).await?
            }
            Kind::Web(url, pin) => {
                let work = web.retry(&**progress, async || {
                    self.download(&web, location, (url, *pin), &validators, &**progress).await
                });
                within(timeouts.total, url, "all of it", Box::pin(work)).await?
            }
            Kind::Image(reference) => {
                let wrong = |error: url::ParseError| SourceError::Registry {
                    address: location.redacted(),
                    problem: error.to_string(),
                };
                let api = reference.api().map_err(wrong)?;
                web.home = Some(address::origin(&api));
                let basic = credentials.of(reference);
                let work = web.retry(&**progress, async || {
                    let registry = Registry::new(&web, reference, api.clone(), basic.clone());
                    self.pull(registry, location, reference, known, &**progress).await
                });
                within(timeouts.total, &api, "all of it", Box::pin(work)).await?
            }
        }
    }

    /// Reads an archive of the disk.
    async fn archive(
        &self,
        location: &Location,
        path: &Path,
        pin: Option<Digest>,
        progress: &Arc<dyn Progress>,
    ) -> Result<Update, SourceError> {
        // Before it is read: what changes meanwhile is read once more the next time.
        let validators = Validators { file: stamp(path), ..Validators::default() };
        let workspace = Workspace::open(&self.cache, &self.settings.limits, &self.unfinished).await?;
        let (workspace, found) = workspace.read(path, Arc::clone(progress)).await?;
        check_pin(location, pin, found)?;
        let package = workspace.keep(&self.cache, found, PackageKind::Archive, location.redacted()).await?;
        Ok(Update::New(Box::new(package), validators))
    }

    /// Fetches an archive of a web server, unless it is what it was.
    async fn download(
        &self,
        web: &Web<'_>,
        location: &Location,
        (url, pin): (&Url, Option<Digest>),
        known: &Validators,
        progress: &dyn Progress,
    ) -> Result<Update, SourceError> {
        let get = Get::new(url)
            .accepting("application/gzip, application/octet-stream, */*")
            .with(IF_NONE_MATCH, known.etag.as_deref())
            .with(IF_MODIFIED_SINCE, known.last_modified.as_deref());
        let answer = web.get(get).await?;
        match answer.status().as_u16() {
            200 => {}
            304 => return Ok(Update::Same),
            _ => return Err(answer.failure()),
        }
        let header = |name| answer.header(name).filter(|text| text.len() < 1024);
        let validators = Validators { etag: header(&ETAG), last_modified: header(&LAST_MODIFIED), file: None };
        let workspace = Workspace::open(&self.cache, &self.settings.limits, &self.unfinished).await?;
        let watch = Watch { patience: web.timeouts.read, progress, before: 0, total: None };
        let (workspace, found) = workspace.receive(answer, watch).await?;
        check_pin(location, pin, found)?;
        let package = workspace.keep(&self.cache, found, PackageKind::Archive, location.redacted()).await?;
        Ok(Update::New(Box::new(package), validators))
    }

    /// Fetches the layers of an artifact or image, unless it is what it was.
    async fn pull(
        &self,
        mut registry: Registry<'_>,
        location: &Location,
        reference: &Reference,
        known: Option<Digest>,
        progress: &dyn Progress,
    ) -> Result<Update, SourceError> {
        let artifact = registry.artifact().await?;
        if known == Some(artifact.digest) {
            return Ok(Update::Same);
        }
        let address = || format!("oci://{reference}");
        let mut workspace = Workspace::open(&self.cache, &self.settings.limits, &self.unfinished).await?;
        let total = artifact.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
        workspace.admit(Some(total)).map_err(|cause| SourceError::Archive { address: address(), cause })?;
        let mut before = 0;
        for layer in &artifact.layers {
            let answer = registry.layer(layer).await?;
            let patience = self.settings.timeouts.read;
            let watch = Watch { patience, progress, before, total: Some(total) };
            let (next, found) = workspace.receive(answer, watch).await?;
            if found != layer.digest {
                let expected = layer.digest;
                return Err(SourceError::Digest { address: address(), expected, found, is_pin: false });
            }
            (workspace, before) = (next, before + layer.size);
        }
        let (kind, location) = (PackageKind::Image, location.redacted());
        let package = workspace.keep(&self.cache, artifact.digest, kind, location).await?;
        Ok(Update::New(Box::new(package), Validators::default()))
    }
}

fn check_pin(location: &Location, pin: Option<Digest>, found: Digest) -> Result<(), SourceError> {
    match pin.filter(|pin| *pin != found) {
        Some(expected) => Err(SourceError::Digest { address: location.redacted(), expected, found, is_pin: true }),
        None => Ok(()),
    }
}

/// What the cache has for a location.
#[derive(Default)]
struct Lookup {
    package: Option<CachedPackage>,
    /// What to ask for a newer one with.
    validators: Validators,
    /// Whether nobody need be asked.
    is_settled: bool,
}

fn look_up(cache: &Cache, location: &Location, refresh: Refresh) -> io::Result<Lookup> {
    let kind = match location.kind() {
        Kind::Image(_) => PackageKind::Image,
        _ => PackageKind::Archive,
    };
    let open = |digest: Digest| Ok(cache.open(&digest)?.filter(|package| package.record.kind == kind));
    let known = index::known(cache, location);
    let pinned: io::Result<_> = location.pin().map(open).transpose();
    // The digest of an index is not that of the manifest it leads to: only the location tells which one that is.
    let is_own = |digest: Digest| kind == PackageKind::Image || location.pin().is_none_or(|pin| pin == digest);
    let package = match (pinned?.flatten(), &known) {
        (None, Some(known)) if is_own(known.digest) => open(known.digest)?,
        (pinned, _) => pinned,
    };
    let Some(package) = package else { return Ok(Lookup::default()) };
    let validators = known.map(|known| known.validators).unwrap_or_default();
    let is_settled = match location.kind() {
        _ if location.pin().is_some() => true,
        Kind::Archive(path, _) => validators.file.is_some() && validators.file == stamp(path),
        _ => refresh == Refresh::IfAbsent,
    };
    Ok(Lookup { package: Some(package), validators, is_settled })
}

/// Size and time of a file, by which a change shows.
fn stamp(path: &Path) -> Option<(u64, u64)> {
    let metadata = path.metadata().ok()?;
    let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), u64::try_from(time.as_nanos()).ok()?))
}
