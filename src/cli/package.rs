//! The release package that a command works with: the built-in one, or one from anywhere.

use super::duration;
use super::input::WrongUse;
use super::progress::{Bar, Lines};
use crate::api::annotations::without_v;
use crate::release::{Package, RELEASE};
use crate::source::location::LocationError;
use crate::source::progress::Silent;
use crate::source::releases::{Releases, Template, UPSTREAM, is_minor, is_version, near};
use crate::source::{
    Cache, Credentials, Fetched, Location, Policy, Progress, Refresh, RenderCache, Settings, Source, SourceError,
    Timeouts,
};
use crate::spec::request::NamedPackage;
use anyhow::{Context, bail};
use clap::Args;
use std::collections::BTreeSet;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where `--help` lists flags that few need.
const HEADING: &str = "Release packages";

/// Where packages are kept and looked for.
#[derive(Args, Clone, Default)]
pub(super) struct PlaceArgs {
    /// Directory of the cache (default: istio-operator in $XDG_CACHE_HOME, or in ~/.cache).
    #[arg(long, value_name = "DIR", hide_short_help = true, help_heading = HEADING)]
    cache_dir: Option<PathBuf>,
    /// Directory with a release package per version, such as DIR/1.30.3. May be repeated.
    #[arg(long, value_name = "DIR", hide_short_help = true, help_heading = HEADING)]
    pub(super) package_dir: Vec<PathBuf>,
}

/// How packages are fetched.
#[derive(Args, Clone, Default)]
pub(super) struct FetchArgs {
    #[command(flatten)]
    pub(super) places: PlaceArgs,
    /// Where a version that no --package-dir has is fetched from: a location with {version} in it (default: the archives of
    /// Istio's releases at GitHub).
    #[arg(long, value_name = "TEMPLATE", hide_short_help = true, help_heading = HEADING)]
    release_source: Option<Template>,
    /// How long a fetch may take, retries included (default: 10m).
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, hide_short_help = true, help_heading = HEADING)]
    fetch_timeout: Option<Duration>,
    /// File with CA certificates in PEM to trust in addition to those of the system.
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = HEADING)]
    ca_bundle: Option<PathBuf>,
    /// File with pull credentials for registries, such as ~/.docker/config.json.
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = HEADING)]
    registry_config: Option<PathBuf>,
    /// Do not show the progress of a fetch.
    #[arg(short, long, hide_short_help = true, help_heading = HEADING)]
    quiet: bool,
}

/// The package of a command.
#[derive(Args, Clone, Default)]
pub(super) struct PackageArgs {
    /// Release package to use instead of the built-in release 1.17.8: a directory, a .tar.gz file, an https:// or oci://
    /// address, or a version such as 1.30.3.
    #[arg(short = 'd', long, visible_alias = "charts", aliases = ["release", "package"], value_name = "LOCATION|VERSION")]
    pub(super) manifests: Option<String>,
    #[command(flatten)]
    fetch: FetchArgs,
}

impl PlaceArgs {
    /// The same as those flags.
    pub(super) fn new(cache_dir: Option<PathBuf>, package_dir: Vec<PathBuf>) -> Self {
        Self { cache_dir, package_dir }
    }

    /// The releases at hand: the built-in one, those in folders for packages, those in the cache. What cannot be read has none.
    pub(super) fn versions(&self) -> Vec<String> {
        let mut all = BTreeSet::from([RELEASE.to_owned()]);
        let folders = (Releases { package_dirs: self.package_dir.clone(), template: None }).folders();
        let name = |folder: &PathBuf| Some(folder.file_name()?.to_string_lossy().into_owned());
        all.extend(folders.unwrap_or_default().iter().filter_map(name));
        let cached = self.cache_dir().ok().and_then(|folder| Cache::new(folder).list().ok()).unwrap_or_default();
        all.extend(cached.packages.into_iter().filter_map(|package| package.record.version));
        all.into_iter().collect()
    }

    pub(super) fn cache_dir(&self) -> anyhow::Result<PathBuf> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let default = || {
            let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
            cache.map(|cache| cache.join("istio-operator"))
        };
        let directory = self.cache_dir.clone().or_else(default);
        directory.context("neither XDG_CACHE_HOME nor HOME is set; name a directory with --cache-dir")
    }
}

/// What a word of the command line names.
pub(super) enum Meant {
    /// A release.
    Version(String),
    /// Where a package is.
    Location(Location),
}

impl FetchArgs {
    /// What is named by a word of the command line, of which is found out whether it is there: a version, also with a `v` before it,
    /// or a location.
    ///
    /// # Errors
    /// It is neither.
    pub(super) fn meant(&self, text: &str) -> anyhow::Result<Meant> {
        let path = Path::new(text);
        // A directory that is called like a version was named by its path before versions could be.
        if path.symlink_metadata().is_err() {
            let version = without_v(text);
            if is_version(version) {
                return Ok(Meant::Version(version.to_owned()));
            }
        }
        let location: Location = text.parse().map_err(|error: LocationError| WrongUse(error.to_string()))?;
        match location.as_directory().map(Path::metadata) {
            Some(Err(error)) if error.kind() == ErrorKind::NotFound && !text.contains('/') => Err(WrongUse(format!(
                "release package {text:?}: it is not a version, and there is no directory of that name; {}",
                self.advice(text)
            ))
            .into()),
            Some(Err(error)) if error.kind() == ErrorKind::NotFound => {
                bail!("release package {text:?}: there is no such directory; {}", self.advice(text))
            }
            Some(Ok(metadata)) if !metadata.is_dir() => bail!(
                "release package {text:?}: it is a file, and neither a .tar.gz nor a .tgz; {}; a spec is given with -f",
                self.advice(text)
            ),
            _ => Ok(Meant::Location(location)),
        }
    }

    /// What to write, and what is at hand.
    fn advice(&self, text: &str) -> String {
        let all = self.places.versions();
        let near = near(text, &all).join(", ");
        format!("name a version, a directory, a .tar.gz file, or an https:// or oci:// address; at hand are {near}")
    }

    /// The package of a release: that of a folder for packages, or else the one that was fetched to be of this version, or else what
    /// the source of releases has.
    ///
    /// # Errors
    /// Nobody has it, or it is of another release.
    pub(super) fn of_version(&self, version: &str) -> anyhow::Result<Fetched> {
        let location = self.locate(version)?;
        let is_asked_for = self.release_source.is_some() || location.as_directory().is_some();
        if !is_asked_for && let Some((_, fetched)) = self.source()?.of_version(version)? {
            return Ok(fetched);
        }
        self.fetch(&location, Some(version), Refresh::IfAbsent)
    }

    /// That a version says which patch release is meant. A source of releases that somebody names may have one that does not.
    fn check_patch(&self, version: &str) -> anyhow::Result<()> {
        if self.release_source.is_some() || !is_minor(version) {
            return Ok(());
        }
        Err(WrongUse(self.without_patch(version)).into())
    }

    fn without_patch(&self, version: &str) -> String {
        let all = self.places.versions();
        let is_of_minor = |other: &String| other.starts_with(&format!("{version}."));
        let of_minor: Vec<&str> = all.iter().filter(|other| is_of_minor(other)).map(String::as_str).collect();
        let source = self.release_source.as_ref().map_or_else(|| UPSTREAM.to_owned(), ToString::to_string);
        let at_hand = match &of_minor[..] {
            [] => format!("none of it is at hand; write one such as {version}.0, which is fetched from {source}"),
            all => format!("at hand are {}; another one is fetched from {source}", all.join(", ")),
        };
        format!("release {version:?} names no patch release; {at_hand}")
    }

    /// Where a release is.
    ///
    /// # Errors
    /// The text is not a version of a patch release.
    pub(super) fn locate(&self, version: &str) -> anyhow::Result<Location> {
        let template = self.release_source.clone().map_or_else(|| UPSTREAM.parse(), Ok)?;
        let releases = Releases { package_dirs: self.places.package_dir.clone(), template: Some(template) };
        let location = releases.locate(version)?;
        if location.as_directory().is_none() {
            self.check_patch(version)?;
        }
        Ok(location)
    }

    /// Has a package be that of its version from now on. A cache that cannot be written is told of: the package is there all the
    /// same.
    pub(super) fn note_version(&self, location: &Location, fetched: &Fetched) -> anyhow::Result<()> {
        if let Err(error) = self.source()?.note_version(location, fetched) {
            eprintln!("Warning: {error}; it is not found by its version");
        }
        Ok(())
    }

    fn source(&self) -> anyhow::Result<Source> {
        let settings = Settings {
            cache_dir: self.places.cache_dir()?,
            policy: Policy::unrestricted(),
            ca_bundle: self.ca_bundle.clone(),
            timeouts: self
                .fetch_timeout
                .map_or_else(Timeouts::default, |total| Timeouts { total, ..Timeouts::default() }),
            ..Settings::default()
        };
        Ok(Source::new(settings))
    }

    /// Fetches a package, and checks that it is of the release that was asked for, if one was.
    pub(super) fn fetch(
        &self,
        location: &Location,
        release: Option<&str>,
        refresh: Refresh,
    ) -> anyhow::Result<Fetched> {
        let credentials = match &self.registry_config {
            Some(path) => {
                let document = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
                Credentials::from_docker_config(&document)?
            }
            None => Credentials::default(),
        };
        let progress: Arc<dyn Progress> = match (self.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Arc::new(Silent),
            (false, true) => Arc::new(Bar::default()),
            (false, false) => Arc::new(Lines::default()),
        };
        let fetched = self.source()?.fetch_blocking(location, refresh, &credentials, &progress);
        drop(progress);
        let fetched = match fetched {
            Err(error @ SourceError::Absent { .. }) if release.is_some_and(is_minor) => {
                bail!("{error}; {}", self.without_patch(release.unwrap_or_default()))
            }
            other => other?,
        };
        if let Some(error) = &fetched.stale {
            eprintln!("Warning: {error}; using what was fetched before");
        }
        if let Some(release) = release {
            fetched.check_release(location, release)?;
        }
        Ok(fetched)
    }
}

impl PackageArgs {
    /// The same, but for the package: this one.
    pub(super) fn instead(&self, package: &str) -> Self {
        Self { manifests: Some(package.to_owned()), ..self.clone() }
    }

    /// The same, as if no package were named.
    pub(super) fn without_flag(&self) -> Self {
        Self { manifests: None, ..self.clone() }
    }

    /// The package of the flag, or else the one that a spec names, or else the built-in one.
    pub(super) fn open(&self, named: Option<NamedPackage>) -> anyhow::Result<Package> {
        let flag = self.manifests.as_deref().filter(|text| !text.is_empty());
        let meant = match (flag, named) {
            (Some(text), _) => self.fetch.meant(text)?,
            (None, Some(NamedPackage::Release(version))) => Meant::Version(version),
            (None, Some(NamedPackage::Location(text))) => Meant::Location(text.parse()?),
            (None, None) => return Ok(Package::embedded()?),
        };
        let fetched = match meant {
            Meant::Version(version) if version == RELEASE => return Ok(Package::embedded()?),
            Meant::Version(version) => self.fetch.of_version(&version)?,
            Meant::Location(location) => match location.as_directory() {
                Some(path) => return Ok(self.keeping_renders(Package::open(path)?)),
                None => self.fetch.fetch(&location, None, Refresh::IfAbsent)?,
            },
        };
        Ok(self.keeping_renders(Package::open(&fetched.directory.clone())?.holding(fetched)))
    }

    /// The package of the flag, or else the one that somebody else's resource names where it is at hand, or else the built-in
    /// one. Whoever wrote the resource has this machine neither ask a server nor read a path.
    pub(super) fn at_hand(&self, named: Option<NamedPackage>) -> anyhow::Result<Package> {
        let is_given = self.manifests.as_ref().is_some_and(|text| !text.is_empty());
        let (location, release) = match named.filter(|_| !is_given) {
            Some(NamedPackage::Release(version)) if version != RELEASE => (self.fetch.locate(&version)?, Some(version)),
            Some(NamedPackage::Location(text)) => (text.parse::<Location>()?, None),
            _ => return self.open(None),
        };
        if location.as_directory().is_some() && release.is_some() {
            // That of a --package-dir.
            return self.open(release.map(NamedPackage::Release));
        }
        let of_version = match &release {
            Some(version) => self.fetch.source()?.of_version(version)?.map(|(_, fetched)| fetched),
            None => None,
        };
        let found = match of_version {
            None if location.is_remote() => self.fetch.source()?.cached(&location)?,
            found => found,
        };
        let absent = || format!("its package {} is not in the cache; name it with --manifests", location.redacted());
        let found = found.with_context(absent)?;
        if let Some(release) = release {
            found.check_release(&location, &release)?;
        }
        Ok(self.keeping_renders(Package::open(&found.directory.clone())?.holding(found)))
    }

    /// The package, which keeps what its large charts render to where that can be kept.
    fn keeping_renders(&self, package: Package) -> Package {
        let kept = || {
            let program = std::env::current_exe().ok()?.metadata().ok()?;
            let built = program.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            let directory = self.fetch.places.cache_dir().ok()?.join("renders");
            Some(RenderCache::new(directory, format!("{VERSION} {} {}", program.len(), built.as_nanos())))
        };
        match kept() {
            Some(renders) => package.keeping_renders(Arc::new(renders)),
            None => package,
        }
    }
}
