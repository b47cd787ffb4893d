//! From a request to manifests: it is resolved, each component's chart is rendered, and `k8s` settings and overlays are
//! applied to the objects.
//!
//! In: a [`Request`], what is known of the cluster, a release [`Package`]. Out: [`Manifests`], or the problems of all components
//! at once. Pure. Which package a spec gets is for the caller to find
//! out ([`NamedPackage`](crate::spec::request::NamedPackage)).

pub mod addon;
pub mod chart;
pub mod overlay;

use self::chart::ComponentError;
use self::overlay::{Notice, OverlayError, effects};
use crate::api::annotations::problems_of_resource;
use crate::api::component::Component;
use crate::failure::Retry;
use crate::object::labels::{self, Owner};
use crate::object::manifests::{Manifests, Part};
use crate::object::{Object, ObjectKey, OwnerId};
use crate::release::{Package, ReleaseError};
use crate::spec::path::text;
use crate::spec::request::{self, Origin, Request};
use crate::spec::resolve::{self, Enabled, ResolveError, Resolved, Strictness};
use helm_template::threads;
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterInfo {
    /// Git version, major and minor of Kubernetes; `None` without a cluster.
    pub version: Option<(String, String, String)>,
    /// Whether the control plane has the revision tag `default` although the spec does not list it (see
    /// `install::default_revision`).
    pub gives_default_tag: bool,
}

/// Why a request cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The release package cannot be used.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The request cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Components cannot be rendered.
    #[error("{}", join(.0))]
    Component(Vec<ComponentError>),
    /// `k8s` settings or overlays do not fit the rendered objects.
    #[error("{}", join(.0))]
    Overlay(Vec<OverlayError>),
    /// Two components render the same objects.
    #[error("{}", join(.0))]
    Duplicate(Vec<DuplicateObject>),
}

impl RenderError {
    /// When it is tried again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Release(error) => error.retry(),
            Self::Resolve(error) => error.retry(),
            Self::Component(errors) if errors.iter().all(|error| error.retry() == Retry::Backoff) => Retry::Backoff,
            Self::Component(_) | Self::Overlay(_) | Self::Duplicate(_) => Retry::OnChange,
        }
    }

    /// What is wrong, in one word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Release(error) => error.reason(),
            Self::Resolve(error) => error.reason(),
            Self::Component(_) => "RenderFailed",
            Self::Overlay(_) => "InvalidOverlay",
            Self::Duplicate(_) => "DuplicateObject",
        }
    }
}

/// An object that is rendered twice, with different content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} and {} both render {object}, and differently; give them different names or namespaces", .places[0], .places[1])]
pub struct DuplicateObject {
    /// The object.
    pub object: String,
    /// What renders it.
    pub places: [String; 2],
}

fn join<T: ToString>(errors: &[T]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Resolves a request.
///
/// # Errors
/// See [`RenderError`].
pub fn resolve(request: &Request, package: &Package, strictness: Strictness) -> Result<Resolved, RenderError> {
    Ok(resolve::resolve(request, package.profiles(), strictness)?)
}

/// The manifests of a request, without owner labels.
///
/// # Errors
/// See [`RenderError`]; problems of all components at once.
pub fn build(
    request: &Request,
    cluster_info: &ClusterInfo,
    package: &Package,
    strictness: Strictness,
) -> Result<Manifests, RenderError> {
    let resolved = resolve::resolve(request, package.profiles(), strictness)?;
    if let Some((_, _, minor)) = cluster_info.version.as_ref().filter(|_| !package.switches().is_since_124())
        && let Some(problem) = resolve::validate::check_cluster(resolved.spec(), minor, &request.origin)
    {
        return Err(ResolveError::Invalid(vec![problem]).into());
    }
    build_resolved(resolved, request, cluster_info, package)
}

/// The manifests of a resolved request, without owner labels.
fn build_resolved(
    mut resolved: Resolved,
    request: &Request,
    cluster_info: &ClusterInfo,
    package: &Package,
) -> Result<Manifests, RenderError> {
    // What only commands print is what the charts make of the spec.
    let is_default_unasked =
        cluster_info.version.is_some() && resolved.take_default_tag(cluster_info.gives_default_tag);
    let switches = resolved.switches();
    let capabilities = chart::capabilities(cluster_info.version.as_ref(), switches);
    let made = threads::map(resolved.components(), |enabled| {
        let loaded = package.chart(enabled.component)?;
        let (mut objects, warnings) =
            chart::render(enabled, &loaded, &capabilities, switches).map_err(|e| RenderError::Component(vec![e]))?;
        let before =
            if is_set_by_user(&request.spec, enabled) { objects.iter().map(Object::digest).collect() } else { vec![] };
        let mut notices = overlay::apply(enabled, &mut objects, switches).map_err(RenderError::Overlay)?;
        notices.extend(warnings.into_iter().map(|warning| Notice::new(overlay::place(enabled), warning)));
        let changed = objects.iter().zip(before).filter(|(object, before)| object.digest() != *before);
        let changed = changed.map(|(object, _)| object.key()).collect();
        Ok((objects, notices, changed))
    });
    let mut notices = effects::without(resolved.spec(), resolved.components(), switches);
    let mut made = collect(resolved.components(), made, &request.origin)?;
    if is_default_unasked {
        let objects = made.iter_mut().flat_map(|made| &mut made.objects);
        objects.filter(|object| object.kind() == "MutatingWebhookConfiguration").for_each(Object::mark_default);
    }
    notices.extend(made.iter_mut().flat_map(|m| std::mem::take(&mut m.notices)));
    let mut warnings = resolved.warnings().to_vec();
    warnings.extend(notices.iter().map(|n| n.located(&request.origin)));
    warnings.extend(not_understood(&request.metadata));
    let manifests = Manifests {
        changed: made.iter_mut().flat_map(|m| std::mem::take(&mut m.changed)).collect(),
        parts: join_parts(made)?,
        network: resolved.network().to_owned(),
        version: resolved.version().to_owned(),
        is_external: resolved.is_external(),
        is_default_unasked,
        release: package.release(),
        namespace: resolved.namespace().to_owned(),
        profile: resolved.profile().to_owned(),
        revision: resolved.revision().to_owned(),
        warnings,
        spec: resolved.into_document().get_mut("spec").map(Value::take).unwrap_or_default(),
    };
    Ok(manifests)
}

/// What is not understood among the annotations of a file; of a resource in the cluster its status tells.
fn not_understood(metadata: &Value) -> Vec<String> {
    let given = metadata.get("annotations").and_then(Value::as_object).into_iter().flatten();
    let texts = given.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    problems_of_resource(&texts.collect())
}

/// Whether the user's own spec has `k8s` settings or overlays of a component, beside those of its profile.
fn is_set_by_user(spec: &Value, enabled: &Enabled) -> bool {
    let settings = spec.get("components").and_then(|components| components.get(enabled.component.info().field));
    let has_k8s = |settings: &Value| settings.get("k8s").is_some_and(|k8s| !k8s.is_null());
    match settings {
        Some(Value::Array(gateways)) => {
            gateways.iter().any(|gateway| text(gateway, "/name") == Some(&enabled.name) && has_k8s(gateway))
        }
        Some(settings) => has_k8s(settings),
        None => false,
    }
}

/// The rendered objects of one component, or of one gateway.
struct Made {
    component: Component,
    /// Where it is written.
    place: String,
    objects: Vec<Object>,
    notices: Vec<Notice>,
    /// What the user's settings and overlays have changed.
    changed: BTreeSet<ObjectKey>,
}

/// The objects of a component, the notices about them, and which of them the user's settings have changed.
type Rendered = Result<(Vec<Object>, Vec<Notice>, BTreeSet<ObjectKey>), RenderError>;

/// The rendered objects of all components, or the problems of all.
fn collect(components: &[Enabled], results: Vec<Rendered>, origin: &Origin) -> Result<Vec<Made>, RenderError> {
    let (mut made, mut render_errors, mut overlay_errors) = (vec![], vec![], vec![]);
    for (enabled, result) in components.iter().zip(results) {
        match result {
            Ok((objects, notices, changed)) => {
                let place = overlay::place(enabled);
                made.push(Made { component: enabled.component, place, objects, notices, changed });
            }
            Err(RenderError::Component(errors)) => render_errors.extend(errors),
            Err(RenderError::Overlay(errors)) => overlay_errors.extend(errors.into_iter().map(|e| e.located(origin))),
            Err(other) => return Err(other),
        }
    }
    if !render_errors.is_empty() {
        return Err(RenderError::Component(render_errors));
    }
    if overlay_errors.is_empty() { Ok(made) } else { Err(RenderError::Overlay(overlay_errors)) }
}

/// Joins the objects of each component. Of objects that are rendered twice with the same content, one is kept (a chart
/// may have its CRDs as files and as templates).
fn join_parts(made: Vec<Made>) -> Result<Vec<Part>, RenderError> {
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
            Entry::Occupied(entry) => twice.push(DuplicateObject {
                object: entry.key().to_string(),
                places: [entry.get().0.to_owned(), place.to_owned()],
            }),
        }
        kept.push(false);
    }
    if !twice.is_empty() {
        return Err(RenderError::Duplicate(twice));
    }
    let mut kept = kept.into_iter();
    let mut parts: BTreeMap<Component, Part> = BTreeMap::new();
    for Made { component, objects, .. } in made {
        let part = parts.entry(component).or_insert(Part { component, objects: vec![] });
        part.objects.extend(objects.into_iter().filter(|_| kept.next() == Some(true)));
    }
    Ok(parts.into_values().collect())
}

/// The manifests of a resource, with its owner labels.
///
/// # Errors
/// See [`RenderError`].
pub fn from_resource(
    resource: &Value,
    cluster_info: &ClusterInfo,
    package: &Package,
) -> Result<Manifests, RenderError> {
    let request = request::from_resource(resource);
    let manifests = build(&request, cluster_info, package, Strictness::TakenOver)?;
    Ok(labelled(manifests, &owner_of(resource)))
}

/// The manifests of the spec of a record, with the owner labels of the resource that it is the record of; see
/// [`Resolved::of_record`]. `resource` has the resource's name and namespace, and the record's spec.
///
/// # Errors
/// See [`RenderError`].
pub fn from_record(resource: &Value, cluster_info: &ClusterInfo, package: &Package) -> Result<Manifests, RenderError> {
    let request = request::from_resource(resource);
    let resolved = Resolved::of_record(serde_json::json!({"spec": resource.get("spec")}), *package.switches());
    let manifests = build_resolved(resolved, &request, cluster_info, package)?;
    Ok(labelled(manifests, &owner_of(resource)))
}

fn owner_of(resource: &Value) -> OwnerId {
    let text = |pointer: &str| text(resource, pointer).unwrap_or_default();
    OwnerId::new(text("/metadata/namespace"), text("/metadata/name"))
}

/// Manifests with the labels of the resource that they are of.
#[must_use]
pub fn labelled(mut manifests: Manifests, owner: &OwnerId) -> Manifests {
    let owner = Owner {
        name: owner.name.clone(),
        namespace: owner.namespace.clone(),
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
