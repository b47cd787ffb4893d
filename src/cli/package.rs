//! The release package that a command works with: the built-in one, or one from anywhere.

use super::duration;
use super::progress::{Bar, Lines};
use crate::release::{Package, RELEASE};
use crate::source::progress::Silent;
use crate::source::releases::{Releases, Template, UPSTREAM, is_version};
use crate::source::{
    Credentials, Fetched, Location, Policy, Progress, Refresh, RenderCache, Settings, Source, Timeouts,
};
use crate::spec::request::NamedPackage;
use anyhow::Context;
use clap::Args;
use std::io::IsTerminal;
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
    #[arg(short = 'd', long, visible_alias = "charts", value_name = "LOCATION|VERSION")]
    pub(super) manifests: Option<String>,
    #[command(flatten)]
    fetch: FetchArgs,
}

impl PlaceArgs {
    /// The same as those flags.
    pub(super) fn new(cache_dir: Option<PathBuf>, package_dir: Vec<PathBuf>) -> Self {
        Self { cache_dir, package_dir }
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

impl FetchArgs {
    /// Where a release is.
    pub(super) fn locate(&self, version: &str) -> anyhow::Result<Location> {
        let template = self.release_source.clone().map_or_else(|| UPSTREAM.parse(), Ok)?;
        let releases = Releases { package_dirs: self.places.package_dir.clone(), template: Some(template) };
        Ok(releases.locate(version)?)
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
        let fetched = fetched?;
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
        let flag = self.manifests.as_ref().filter(|text| !text.is_empty()).map(|text| {
            // A directory that is called like a version was named by its path before versions could be.
            let is_release = is_version(text) && !Path::new(text).exists();
            if is_release { NamedPackage::Release(text.clone()) } else { NamedPackage::Location(text.clone()) }
        });
        let (location, release) = match flag.or(named) {
            None => return Ok(Package::embedded()?),
            Some(NamedPackage::Release(version)) if version == RELEASE => return Ok(Package::embedded()?),
            Some(NamedPackage::Release(version)) => (self.fetch.locate(&version)?, Some(version)),
            Some(NamedPackage::Location(text)) => (text.parse::<Location>()?, None),
        };
        if let (Some(path), None) = (location.as_directory(), &release) {
            return Ok(self.keeping_renders(Package::open(path)?));
        }
        let fetched = self.fetch.fetch(&location, release.as_deref(), Refresh::IfAbsent)?;
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
        let found = if location.is_remote() { self.fetch.source()?.cached(&location)? } else { None };
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
