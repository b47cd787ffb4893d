//! Release packages: the profiles and charts of one release of Istio.
//!
//! In: nothing (the built-in release) or a directory. Out: a [`Package`], whose charts are parsed when they are first needed
//! and then kept. Guarantee: what cannot be read is a [`ReleaseError`], never an empty profile or chart.

pub mod addons;
mod embedded;
pub mod renders;

use crate::api::component::{ALL, Component};
use crate::failure::Retry;
use crate::object::{self, Object, ReadError, Reading};
use crate::spec::resolve::profile::Profiles;
use crate::spec::switches::{self, Switches};
use helm_template::helm::chart::{Chart, ChartError};
use helm_template::helm::{ParsedChart, RenderFailed};
use helm_template::{Budgets, Capabilities, ReleaseOptions, RenderOptions};
use renders::{ChartDigest, Files, Renders};
use serde_json::{Map, Value};
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The release that the built-in charts are equal to; also the value of the version label.
pub const RELEASE: &str = "1.17.8";

/// Why a release package cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It cannot be read.
    #[error("release package {}: {cause}; it must be a directory with profiles/ and charts/", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It cannot be written.
    #[error("release package {}: {cause}", path.display())]
    Write {
        /// Where it should be written.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// One of its charts is missing or broken.
    #[error("chart {name}: {cause}")]
    Chart {
        /// Its folder below `charts/`.
        name: &'static str,
        /// Why.
        cause: Box<ChartError>,
    },
    /// A file in a chart's folder `crds/` does not hold Kubernetes objects.
    #[error("component {component}: {file}: {cause}")]
    Crd {
        /// The component.
        component: Component,
        /// The file in its chart.
        file: String,
        /// Why.
        cause: ReadError,
    },
}

impl ReleaseError {
    /// When it is tried again: always, also where [`ChartError::is_retryable`] says that only another chart helps. Nothing
    /// tells the operator of a change of a package's files: a disk may come back, and a package that is missing or broken may be
    /// replaced by another of its name.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Backoff
    }

    /// What is wrong, in one word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Write { .. } => "ReleaseUnreadable",
            Self::Chart { .. } | Self::Crd { .. } => "ReleaseBroken",
        }
    }
}

/// The chart of a component: read once, rendered many times.
pub struct ComponentChart {
    /// The chart; its templates are parsed at the first render.
    pub chart: ParsedChart,
    /// The CRDs in its folder `crds/`.
    pub crds: Vec<Object>,
    /// Where its renders are kept, if they are.
    renders: Option<(Arc<dyn Renders>, ChartDigest)>,
}

impl ComponentChart {
    /// The rendered files, by path: from an earlier render that depended on the same, if they are kept. One spec always renders
    /// to the same bytes.
    ///
    /// # Errors
    /// What the engine says, also that it took longer than `patience`.
    pub fn render(
        &self,
        values: &Map<String, Value>,
        release: &ReleaseOptions,
        capabilities: &Capabilities,
        patience: Duration,
    ) -> Result<Files, RenderFailed> {
        // All that a render depends on is below, or in its name; how long it may take only decides whether there is one.
        let budgets = Budgets { time: Some(patience), ..Budgets::default() };
        let options = RenderOptions { budgets, ..RenderOptions::fixed() };
        let render = || Ok(self.chart.render(values, release, capabilities, &options)?.files);
        let Some((renders, digest)) = &self.renders else { return render() };
        let values_text = Value::Object(values.clone()).to_string();
        let name = digest.name(&[&values_text, &format!("{release:?}"), &format!("{capabilities:?}")]);
        if let Some(found) = renders.find(&name) {
            return Ok(found);
        }
        let files = render()?;
        renders.keep(&name, &files);
        Ok(files)
    }
}

/// Reads the CRDs of a chart, in the order of their files. With `written`, their YAML is
/// as [`Object::to_yaml`] writes it, and stays text.
fn read_crds(component: Component, chart: &Chart, written: bool) -> Result<Vec<Object>, ReleaseError> {
    let mut files: Vec<_> = chart.own_crds().map(|f| (f.name.clone(), f.data.clone())).collect();
    files.sort();
    let mut crds = vec![];
    for (file, data) in files {
        let wrong = |source| ReleaseError::Crd { component, file: file.clone(), cause: source };
        if written {
            crds.push(Object::from_written(data).map_err(|e| wrong(e.into()))?);
        } else {
            crds.extend(object::read_as(data, Reading::default()).map_err(wrong)?);
        }
    }
    Ok(crds)
}

/// What differs in the release of a package in a directory.
fn detect(root: &Path, tag: Option<&str>) -> Switches {
    let mut paths: Vec<String> = switches::FOLDERS
        .iter()
        .filter(|folder| root.join(folder).is_dir())
        .map(|folder| (*folder).to_owned())
        .collect();
    for folder in switches::folders_of_numbered() {
        let names = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        paths.extend(names.filter_map(|entry| Some(format!("{folder}/{}", entry.file_name().to_str()?))));
    }
    Switches::of_package(tag, &paths.iter().map(String::as_str))
}

/// The folders of a package.
pub const FOLDERS: [&str; 2] = ["profiles", "charts"];

/// Profiles and charts of one release; charts are parsed when they are first needed.
pub struct Package {
    profiles: Profiles,
    directory: Option<PathBuf>,
    charts: [OnceLock<Arc<ComponentChart>>; ALL.len()],
    renders: Option<Arc<dyn Renders>>,
    #[expect(dead_code, reason = "its end is what counts")]
    holder: Option<Box<dyn Any + Send + Sync>>,
}

impl Package {
    /// The built-in package.
    ///
    /// # Errors
    /// Never with the files we ship.
    pub fn embedded() -> Result<Self, ReleaseError> {
        let profiles = Profiles::new(embedded::profiles(), "");
        Ok(Self { profiles, directory: None, charts: Default::default(), holder: None, renders: None })
    }

    /// Writes the built-in package to a new directory, to be changed and then opened.
    ///
    /// # Errors
    /// The directory exists already, or cannot be written.
    pub fn export(path: &Path) -> Result<(), ReleaseError> {
        let wrong = |e: std::io::Error| ReleaseError::Write { path: path.to_owned(), cause: e };
        std::fs::create_dir(path).map_err(wrong)?;
        for (name, text) in embedded::package() {
            let file = path.join(name);
            file.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(wrong)?;
            std::fs::write(file, text).map_err(wrong)?;
        }
        Ok(())
    }

    /// The package in a directory with `profiles/` and `charts/`, or with `manifests/` that has them.
    ///
    /// # Errors
    /// The profiles in the directory cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReleaseError> {
        let wrong = |e: std::io::Error| ReleaseError::Read { path: path.into(), cause: e };
        let root = Self::root(path);
        let mut texts = BTreeMap::new();
        for entry in std::fs::read_dir(root.join("profiles")).map_err(wrong)? {
            let file = entry.map_err(wrong)?.path();
            if let Some(name) = embedded::profile_name(&file) {
                texts.insert(name, std::fs::read_to_string(&file).map_err(wrong)?);
            }
        }
        let profiles = Profiles::new(texts, &root.display().to_string());
        let switches = detect(&root, profiles.tag().as_deref());
        let profiles = profiles.with_switches(switches);
        Ok(Self { profiles, directory: Some(root), charts: Default::default(), holder: None, renders: None })
    }

    /// The folder with `profiles/` and `charts/`: of an unpacked release that is its `manifests/`.
    #[must_use]
    pub fn root(path: &Path) -> PathBuf {
        let below = path.join("manifests");
        let is_release = !path.join("profiles").is_dir() && below.join("profiles").is_dir();
        if is_release { below } else { path.to_owned() }
    }

    /// The same, which keeps `holder` as long as it lives: what keeps its directory from being removed.
    #[must_use]
    pub fn holding(self, holder: impl Any + Send + Sync) -> Self {
        Self { holder: Some(Box::new(holder)), ..self }
    }

    /// The same, which keeps what its large charts render to.
    #[must_use]
    pub fn keeping_renders(self, renders: Arc<dyn Renders>) -> Self {
        Self { renders: Some(renders), ..self }
    }

    /// The same, exactly as the release's own command line behaves, also where it loses what a user wrote.
    #[must_use]
    pub fn as_upstream(self, is_upstream: bool) -> Self {
        let switches = Switches { is_upstream, ..*self.switches() };
        Self { profiles: self.profiles.with_switches(switches), ..self }
    }

    /// Its directory; `None` for the built-in package.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// What differs in this release.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        self.profiles.switches()
    }

    /// The profiles.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// The release: `spec.tag` of the default profile if it begins with a digit, as release packages have it; otherwise, and
    /// for the built-in package, that of the built-in charts.
    #[must_use]
    pub fn release(&self) -> String {
        let stamped = || self.profiles.tag().filter(|tag| tag.starts_with(|c: char| c.is_ascii_digit()));
        self.directory.as_ref().and_then(|_| stamped()).unwrap_or_else(|| RELEASE.to_owned())
    }

    /// The chart of a component.
    ///
    /// # Errors
    /// It is missing or broken.
    pub fn chart(&self, component: Component) -> Result<Arc<ComponentChart>, ReleaseError> {
        let slot = ALL.iter().position(|c| *c == component).and_then(|i| self.charts.get(i));
        if let Some(chart) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(chart));
        }
        let name = component.info().chart;
        let broken = |source: ChartError| ReleaseError::Chart { name, cause: Box::new(source) };
        let chart = match &self.directory {
            Some(directory) => Chart::load(&directory.join("charts").join(name)),
            None => embedded::chart(name),
        };
        let chart = chart.map_err(broken)?;
        let crds = read_crds(component, &chart, self.directory.is_none())?;
        let renders = self.renders.as_ref().and_then(|renders| Some((Arc::clone(renders), ChartDigest::of(&chart)?)));
        let chart = Arc::new(ComponentChart { chart: ParsedChart::new(chart), crds, renders });
        if chart.renders.is_some() {
            // It is a megabyte that is seldom asked for twice, and then what it renders to is kept.
            return Ok(chart);
        }
        Ok(slot.map_or_else(|| Arc::clone(&chart), |slot| Arc::clone(slot.get_or_init(|| Arc::clone(&chart)))))
    }
}
