//! The stages put together: from a request to manifests. Pure but for reading a package from disk when a spec names one.

mod embedded;

use crate::component::{ALL, Component};
use crate::helm::chart::{Chart, ChartError};
use crate::object::labels::{self, Owner};
use crate::object::manifests::{Manifests, Part};
use crate::object::{Object, ObjectKey};
use crate::overlay::{self, OverlayError};
use crate::parallel;
use crate::render::{self, ComponentChart, RenderError};
use crate::request::{self, Request};
use crate::resolve::profile::Profiles;
use crate::resolve::{self, ResolveError, Resolved, Strictness};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The release that the built-in charts are equal to; also the value of the version label.
pub const RELEASE: &str = "1.17.8";

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// Git version, major and minor of Kubernetes; `None` without a cluster.
    pub version: Option<(String, String, String)>,
}

/// Why a request comes to nothing.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A package cannot be read.
    #[error("package {path}: {message}")]
    Package {
        /// Its path.
        path: String,
        /// Why.
        message: String,
    },
    /// A chart of the package is missing or broken.
    #[error("chart {name}: {source}")]
    Chart {
        /// Its folder below `charts/`.
        name: &'static str,
        /// Why.
        source: Box<ChartError>,
    },
    /// The request cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Components cannot be rendered.
    #[error("{}", join(.0))]
    Render(Vec<RenderError>),
    /// Settings or overlays do not fit.
    #[error("{}", join(.0))]
    Overlay(Vec<OverlayError>),
    /// Two components render the same object.
    #[error("{0}, and differently; give them different names or namespaces")]
    Twice(String),
}

fn join<T: ToString>(errors: &[T]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Profiles and charts of one release; charts are parsed when they are first needed.
pub struct Package {
    profiles: Profiles,
    directory: Option<PathBuf>,
    charts: [OnceLock<Arc<ComponentChart>>; ALL.len()],
}

impl Package {
    /// The built-in one.
    ///
    /// # Errors
    /// Never with the files we ship.
    pub fn embedded() -> Result<Self, PipelineError> {
        Ok(Self { profiles: Profiles::new(embedded::profiles(), ""), directory: None, charts: Default::default() })
    }

    /// Writes the built-in one to a directory that is not there yet, to be changed and opened.
    ///
    /// # Errors
    /// The directory is there, or cannot be written.
    pub fn export(path: &Path) -> Result<(), PipelineError> {
        let wrong =
            |e: std::io::Error| PipelineError::Package { path: path.display().to_string(), message: e.to_string() };
        std::fs::create_dir(path).map_err(wrong)?;
        for (name, text) in embedded::package() {
            let file = path.join(name);
            file.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(wrong)?;
            std::fs::write(file, text).map_err(wrong)?;
        }
        Ok(())
    }

    /// The one in a directory with `profiles/` and `charts/`; the built-in one for none.
    ///
    /// # Errors
    /// The directory has no profiles.
    pub fn open(path: Option<&str>) -> Result<Self, PipelineError> {
        let Some(path) = path.filter(|p| !p.is_empty()) else { return Self::embedded() };
        let wrong = |e: std::io::Error| PipelineError::Package {
            path: path.into(),
            message: format!("{e}; it must be a directory with profiles/ and charts/"),
        };
        let mut texts = BTreeMap::new();
        for entry in std::fs::read_dir(Path::new(path).join("profiles")).map_err(wrong)? {
            let file = entry.map_err(wrong)?.path();
            if let Some(name) = profile_name(&file) {
                texts.insert(name, std::fs::read_to_string(&file).map_err(wrong)?);
            }
        }
        let profiles = Profiles::new(texts, path);
        Ok(Self { profiles, directory: Some(path.into()), charts: Default::default() })
    }

    /// The profiles.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    fn chart(&self, component: Component) -> Result<Arc<ComponentChart>, PipelineError> {
        let slot = ALL.iter().position(|c| *c == component).and_then(|i| self.charts.get(i));
        if let Some(chart) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(chart));
        }
        let name = component.facts().chart;
        let broken = |source: ChartError| PipelineError::Chart { name, source: Box::new(source) };
        let chart = match &self.directory {
            Some(directory) => Chart::load(&directory.join("charts").join(name)),
            None => embedded::chart(name),
        };
        let chart = chart.map_err(broken)?;
        let definitions = render::read_definitions(component, &chart, self.directory.is_none());
        let definitions = definitions.map_err(|e| PipelineError::Render(vec![e]))?;
        let chart = Arc::new(ComponentChart::new(chart, definitions));
        Ok(slot.map_or_else(|| Arc::clone(&chart), |slot| Arc::clone(slot.get_or_init(|| Arc::clone(&chart)))))
    }
}

fn profile_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str()?.strip_suffix(".yaml").map(str::to_owned)
}

/// The package that a spec or a flag names; `None` for the given one.
fn named_package(request: &Request) -> Result<Option<Package>, PipelineError> {
    match resolve::text(&request.spec, "/installPackagePath").filter(|p| !p.is_empty()) {
        Some(path) => Package::open(Some(path)).map(Some),
        None => Ok(None),
    }
}

/// Resolves a request.
///
/// # Errors
/// See [`PipelineError`].
pub fn resolve(request: &Request, package: &Package, strictness: Strictness) -> Result<Resolved, PipelineError> {
    let named = named_package(request)?;
    Ok(resolve::resolve(request, named.as_ref().unwrap_or(package).profiles(), strictness)?)
}

/// Everything a request comes to, without owner labels.
///
/// # Errors
/// See [`PipelineError`]; problems of all components at once.
pub fn build(
    request: &Request,
    facts: &ClusterFacts,
    package: &Package,
    strictness: Strictness,
) -> Result<Manifests, PipelineError> {
    let named = named_package(request)?;
    let package = named.as_ref().unwrap_or(package);
    let resolved = resolve::resolve(request, package.profiles(), strictness)?;
    if let Some((_, _, minor)) = facts.version.as_ref().filter(|_| package.profiles().is_described())
        && let Some(problem) = resolve::validate::check_cluster(resolved.spec(), minor, &request.origin)
    {
        return Err(ResolveError::Invalid(vec![problem]).into());
    }
    let capabilities = render::capabilities(facts.version.as_ref());
    let made = parallel::map(&resolved.components, |enabled| {
        let chart = package.chart(enabled.component)?;
        let mut objects = render::render(enabled, &chart, &capabilities).map_err(|e| PipelineError::Render(vec![e]))?;
        overlay::apply(enabled, &mut objects).map_err(PipelineError::Overlay)?;
        Ok(objects)
    });
    let mut parts: BTreeMap<Component, Part> = BTreeMap::new();
    let (mut render_errors, mut overlay_errors) = (vec![], vec![]);
    for (enabled, objects) in resolved.components.iter().zip(made) {
        match objects {
            Ok(objects) => {
                let empty = Part { component: enabled.component, objects: vec![] };
                parts.entry(enabled.component).or_insert(empty).objects.extend(objects);
            }
            Err(PipelineError::Render(errors)) => render_errors.extend(errors),
            Err(PipelineError::Overlay(errors)) => overlay_errors.extend(errors),
            Err(other) => return Err(other),
        }
    }
    if !render_errors.is_empty() {
        return Err(PipelineError::Render(render_errors));
    }
    if !overlay_errors.is_empty() {
        return Err(PipelineError::Overlay(overlay_errors));
    }
    let text = |pointer: &str| resolve::text(resolved.spec(), pointer).unwrap_or_default().to_owned();
    let mut manifests = Manifests {
        parts: parts.into_values().collect(),
        network: text("/values/global/network"),
        version: tag(resolved.spec()),
        namespace: resolved.namespace,
        profile: resolved.profile,
        revision: resolved.revision,
        warnings: resolved.warnings,
        spec: resolved.document.get("spec").cloned().unwrap_or_default(),
    };
    drop_copies(&mut manifests.parts)?;
    Ok(manifests)
}

/// The tag of the control plane's images.
fn tag(spec: &Value) -> String {
    let tags = ["/values/pilot/tag", "/components/pilot/tag", "/values/global/tag", "/tag"];
    let found = tags.iter().filter_map(|p| spec.pointer(p)).find(|t| !t.is_null() && *t != "");
    found.map(|t| t.as_str().map_or_else(|| t.to_string(), str::to_owned)).unwrap_or_default()
}

/// Drops objects that are rendered twice and alike (a chart may give its definitions as files and as templates).
fn drop_copies(parts: &mut [Part]) -> Result<(), PipelineError> {
    let mut first: BTreeMap<ObjectKey, (Component, &Object)> = BTreeMap::new();
    let mut kept = vec![];
    let path = |component: Component| format!("spec.components.{}", component.facts().field);
    for (component, object) in parts.iter().flat_map(|p| p.objects.iter().map(|o| (p.component, o))) {
        match first.entry(object.key()) {
            Entry::Vacant(entry) => drop(entry.insert((component, object))),
            Entry::Occupied(entry) if entry.get().1 == object => {
                kept.push(false);
                continue;
            }
            Entry::Occupied(entry) => {
                let (object, other) = (entry.key(), path(entry.get().0));
                return Err(PipelineError::Twice(format!("{object} is made by {other} and by {}", path(component))));
            }
        }
        kept.push(true);
    }
    let mut kept = kept.into_iter();
    for part in parts {
        part.objects.retain(|_| kept.next() == Some(true));
    }
    Ok(())
}

/// Everything a resource comes to, labelled as its.
///
/// # Errors
/// See [`PipelineError`].
pub fn from_resource(resource: &Value, facts: &ClusterFacts, package: &Package) -> Result<Manifests, PipelineError> {
    let request = request::from_resource(resource);
    let mut manifests = build(&request, facts, package, Strictness::TakenOver)?;
    let text = |pointer: &str| resolve::text(resource, pointer).unwrap_or_default().to_owned();
    let owner = Owner {
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        revision: manifests.revision.clone(),
        version: RELEASE.into(),
    };
    for part in &mut manifests.parts {
        for object in &mut part.objects {
            labels::label(object, &owner, part.component);
        }
    }
    Ok(manifests)
}
