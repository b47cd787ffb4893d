//! The stages put together: from a request to manifests. Pure but for reading a package from disk when a spec names one.

mod embedded;

use crate::component::{ALL, Component};
use crate::object::labels::{self, Owner};
use crate::object::manifests::{Manifests, Part};
use crate::object::{Object, ObjectKey};
use crate::overlay::{self, Notice, OverlayError, effects};
use crate::render::{self, ComponentChart, RenderError};
use crate::request::{self, Origin, Request};
use crate::resolve::profile::Profiles;
use crate::resolve::{self, Enabled, ResolveError, Resolved, Strictness};
use helm_template::helm::chart::{Chart, ChartError};
use helm_template::threads;
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Two components render the same objects.
    #[error("{}", join(.0))]
    Twice(Vec<Twice>),
}

/// An object that is rendered twice and differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} and {} both render {object}, and differently; give them different names or namespaces", .places[0], .places[1])]
pub struct Twice {
    /// The object.
    pub object: String,
    /// What renders it.
    pub places: [String; 2],
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

    /// The release: that of the built-in charts, or the tag that a release package stamps on its default profile.
    #[must_use]
    pub fn release(&self) -> String {
        let stamped = || {
            let default = self.profiles.load("default").ok()?;
            resolve::text(&default.document, "/spec/tag")
                .filter(|tag| tag.starts_with(|c: char| c.is_ascii_digit()))
                .map(str::to_owned)
        };
        self.directory.as_ref().and_then(|_| stamped()).unwrap_or_else(|| RELEASE.to_owned())
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
    build_resolved(resolved, request, facts, package)
}

/// Everything a resolved request comes to, without owner labels.
fn build_resolved(
    resolved: Resolved,
    request: &Request,
    facts: &ClusterFacts,
    package: &Package,
) -> Result<Manifests, PipelineError> {
    let capabilities = render::capabilities(facts.version.as_ref());
    let made = threads::map(&resolved.components, |enabled| {
        let chart = package.chart(enabled.component)?;
        let mut objects = render::render(enabled, &chart, &capabilities).map_err(|e| PipelineError::Render(vec![e]))?;
        let before =
            if is_set_by_user(&request.spec, enabled) { objects.iter().map(Object::digest).collect() } else { vec![] };
        let notices = overlay::apply(enabled, &mut objects).map_err(PipelineError::Overlay)?;
        let changed = objects.iter().zip(before).filter(|(object, before)| object.digest() != *before);
        let changed = changed.map(|(object, _)| object.key()).collect();
        Ok((objects, notices, changed))
    });
    let mut notices = effects::without(resolved.spec(), &resolved.components);
    let mut made = collect(&resolved.components, made, &request.origin)?;
    notices.extend(made.iter_mut().flat_map(|m| std::mem::take(&mut m.notices)));
    let mut warnings = resolved.warnings.clone();
    warnings.extend(notices.iter().map(|n| n.located(&request.origin)));
    let text = |pointer: &str| resolve::text(resolved.spec(), pointer).unwrap_or_default().to_owned();
    let manifests = Manifests {
        changed: made.iter_mut().flat_map(|m| std::mem::take(&mut m.changed)).collect(),
        parts: join_parts(made)?,
        network: text("/values/global/network"),
        version: tag(resolved.spec()),
        release: package.release(),
        namespace: resolved.namespace,
        profile: resolved.profile,
        revision: resolved.revision,
        warnings,
        spec: resolved.document.get("spec").cloned().unwrap_or_default(),
    };
    Ok(manifests)
}

/// Whether the user's own spec has `k8s` settings or overlays of a component, beside those of its profile.
fn is_set_by_user(spec: &Value, enabled: &Enabled) -> bool {
    let settings = spec.get("components").and_then(|components| components.get(enabled.component.facts().field));
    let has_k8s = |settings: &Value| settings.get("k8s").is_some_and(|k8s| !k8s.is_null());
    match settings {
        Some(Value::Array(gateways)) => {
            gateways.iter().any(|gateway| resolve::text(gateway, "/name") == Some(&enabled.name) && has_k8s(gateway))
        }
        Some(settings) => has_k8s(settings),
        None => false,
    }
}

/// What one component, or one gateway, comes to.
struct Made {
    component: Component,
    /// Where it is written.
    place: String,
    objects: Vec<Object>,
    notices: Vec<Notice>,
    /// What the user's settings and overlays have changed.
    changed: BTreeSet<ObjectKey>,
}

/// The objects of a component, what there is to know of them, and which of them the user's settings have changed.
type Rendered = Result<(Vec<Object>, Vec<Notice>, BTreeSet<ObjectKey>), PipelineError>;

/// What all components come to, or the problems of all.
fn collect(components: &[Enabled], results: Vec<Rendered>, origin: &Origin) -> Result<Vec<Made>, PipelineError> {
    let (mut made, mut render_errors, mut overlay_errors) = (vec![], vec![], vec![]);
    for (enabled, result) in components.iter().zip(results) {
        match result {
            Ok((objects, notices, changed)) => {
                let place = overlay::place(enabled);
                made.push(Made { component: enabled.component, place, objects, notices, changed });
            }
            Err(PipelineError::Render(errors)) => render_errors.extend(errors),
            Err(PipelineError::Overlay(errors)) => overlay_errors.extend(errors.into_iter().map(|e| e.located(origin))),
            Err(other) => return Err(other),
        }
    }
    if !render_errors.is_empty() {
        return Err(PipelineError::Render(render_errors));
    }
    if overlay_errors.is_empty() { Ok(made) } else { Err(PipelineError::Overlay(overlay_errors)) }
}

/// The tag of the control plane's images.
fn tag(spec: &Value) -> String {
    let tags = ["/values/pilot/tag", "/components/pilot/tag", "/values/global/tag", "/tag"];
    let found = tags.iter().filter_map(|p| spec.pointer(p)).find(|t| !t.is_null() && *t != "");
    found.map(|t| t.as_str().map_or_else(|| t.to_string(), str::to_owned)).unwrap_or_default()
}

/// Joins what belongs to one component, without objects that are rendered twice and alike (a chart may give its definitions
/// as files and as templates).
fn join_parts(made: Vec<Made>) -> Result<Vec<Part>, PipelineError> {
    let mut first: BTreeMap<ObjectKey, (&str, &Object)> = BTreeMap::new();
    let mut twice = vec![];
    let mut kept = vec![];
    for (place, object) in made.iter().flat_map(|m| m.objects.iter().map(|o| (m.place.as_str(), o))) {
        match first.entry(object.key()) {
            Entry::Vacant(entry) => {
                entry.insert((place, object));
                kept.push(true);
                continue;
            }
            Entry::Occupied(entry) if entry.get().1 == object => {}
            Entry::Occupied(entry) => twice
                .push(Twice { object: entry.key().to_string(), places: [entry.get().0.to_owned(), place.to_owned()] }),
        }
        kept.push(false);
    }
    if !twice.is_empty() {
        return Err(PipelineError::Twice(twice));
    }
    let mut kept = kept.into_iter();
    let mut parts: BTreeMap<Component, Part> = BTreeMap::new();
    for Made { component, objects, .. } in made {
        let part = parts.entry(component).or_insert(Part { component, objects: vec![] });
        part.objects.extend(objects.into_iter().filter(|_| kept.next() == Some(true)));
    }
    Ok(parts.into_values().collect())
}

/// Everything a resource comes to, labelled as its.
///
/// # Errors
/// See [`PipelineError`].
pub fn from_resource(resource: &Value, facts: &ClusterFacts, package: &Package) -> Result<Manifests, PipelineError> {
    let request = request::from_resource(resource);
    let manifests = build(&request, facts, package, Strictness::TakenOver)?;
    Ok(labelled(manifests, resource))
}

/// Everything the spec of a record comes to, labelled as that of the resource it is the record of; see
/// [`resolve::resolved`]. `resource` has the resource's name and namespace, and the record's spec.
///
/// # Errors
/// See [`PipelineError`].
pub fn from_record(resource: &Value, facts: &ClusterFacts, package: &Package) -> Result<Manifests, PipelineError> {
    let request = request::from_resource(resource);
    let named = named_package(&request)?;
    let resolved = resolve::resolved(serde_json::json!({"spec": resource.get("spec")}));
    let manifests = build_resolved(resolved, &request, facts, named.as_ref().unwrap_or(package))?;
    Ok(labelled(manifests, resource))
}

fn labelled(mut manifests: Manifests, resource: &Value) -> Manifests {
    let text = |pointer: &str| resolve::text(resource, pointer).unwrap_or_default().to_owned();
    let owner = Owner {
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        revision: manifests.revision.clone(),
        version: manifests.release.clone(),
    };
    for part in &mut manifests.parts {
        for object in &mut part.objects {
            labels::label(object, &owner, part.component);
        }
    }
    manifests
}
