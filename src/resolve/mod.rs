//! From a request to what is installed: profile < hub and tag < detected settings < the user's spec.
//!
//! Pure: the same request, profiles and facts give the same result. Every problem of a spec is found in one go; nothing is
//! resolved from a spec with problems.

pub mod components;
pub mod enablement;
pub mod profile;
pub mod translate;
pub mod validate;
pub mod values;

use crate::component::Component;
use crate::request::Request;
use crate::tree::merge::overlay_iop;
use profile::Profiles;
use serde_json::{Value, json};
use validate::{Kind, Problem};

/// Why a request cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The spec and the profile do not fit together.
    #[error("the spec cannot be laid over profile {profile}: {message}")]
    Merge {
        /// The profile.
        profile: String,
        /// What does not fit.
        message: String,
    },
    /// The spec is wrong.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A component that is installed, with everything its rendering needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Enabled {
    /// Which.
    pub component: Component,
    /// The gateway's name, or the component's own resource name; empty where it has none.
    pub name: String,
    /// The namespace it is installed into.
    pub namespace: String,
    /// Its Helm values, before the chart's defaults.
    pub values: Value,
    /// Its `k8s` settings, null for none.
    pub k8s: Value,
}

/// A resolved request.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The resource with the fully merged spec, as `profile dump` and installed-state show it.
    pub document: Value,
    /// The components to install, in rendering order.
    pub components: Vec<Enabled>,
    /// The namespace of components that name none; `istio-system` when nothing says otherwise.
    pub namespace: String,
    /// `spec.revision`, empty for none.
    pub revision: String,
    /// The profile's name.
    pub profile: String,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Resolved {
    /// The merged spec.
    #[must_use]
    pub fn spec(&self) -> &Value {
        self.document.get("spec").unwrap_or(&Value::Null)
    }
}

/// How strictly a spec is checked; see [`Kind`].
///
/// | | Form | Content | Use | Doubt |
/// |---|---|---|---|---|
/// | [`Full`](Self::Full) | error | error | error | warning |
/// | [`Forced`](Self::Forced) | error | warning | error | warning |
/// | [`TakenOver`](Self::TakenOver) | error | error | warning | warning |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Every problem is an error, as on the command line.
    Full,
    /// What can be tolerated becomes a warning (`--force`).
    Forced,
    /// What upstream's controller accepted is accepted, as for resources of a cluster.
    TakenOver,
}

impl Strictness {
    /// Whether a problem ends the resolution.
    fn refuses(self, kind: Kind) -> bool {
        match kind {
            Kind::Form => true,
            Kind::Content => self != Self::Forced,
            Kind::Use => self != Self::TakenOver,
            Kind::Doubt => false,
        }
    }
}

/// Resolves a request.
///
/// # Errors
/// See [`ResolveError`]; an invalid spec with all its problems.
pub fn resolve(request: &Request, profiles: &Profiles, strictness: Strictness) -> Result<Resolved, ResolveError> {
    let profile = text(&request.spec, "/profile").filter(|p| !p.is_empty()).unwrap_or("default").to_owned();
    let is_described = profiles.is_described();
    let mut problems = validate::check_spec(&request.spec, &request.origin, is_described);
    let document = match merge(request, &profile, profiles) {
        Ok(document) => document,
        Err(error) => {
            // Most of what cannot be merged has the wrong form, which says more.
            match error {
                ResolveError::Invalid(more) => problems.extend(more),
                error if !problems.iter().any(|p| strictness.refuses(p.kind)) => return Err(error),
                ResolveError::Merge { .. } => {}
            }
            problems.retain(|p| strictness.refuses(p.kind));
            return Err(ResolveError::Invalid(problems));
        }
    };
    let spec = document.get("spec").cloned().unwrap_or_default();
    // The form of what was merged: what the profile brought, and where old values were carried to. A profile of another
    // release has fields that we do not know.
    let merged =
        is_described.then(|| validate::check_spec(&spec, &request.origin, true)).unwrap_or_default().into_iter();
    let content = validate::check_merged(&spec, &request.origin, is_described).into_iter();
    for problem in merged.chain(content).chain(validate::check_usage(&spec, &request.origin)) {
        if !problems.iter().any(|other| problem.repeats(other)) {
            problems.push(problem);
        }
    }
    let (fatal, tolerable): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| strictness.refuses(p.kind));
    if !fatal.is_empty() {
        return Err(ResolveError::Invalid(fatal));
    }
    let warnings = tolerable.iter().map(ToString::to_string).collect();

    let components = components::enabled(&spec);
    let namespace = components::default_namespace(&spec);
    let namespace = if namespace.is_empty() { "istio-system".to_owned() } else { namespace };
    let revision = text(&spec, "/revision").unwrap_or_default().to_owned();
    Ok(Resolved { document, components, namespace, revision, profile, warnings })
}

/// The user's spec over its profile, as a whole document.
fn merge(request: &Request, profile: &str, profiles: &Profiles) -> Result<Value, ResolveError> {
    let base = profiles.load(profile).map_err(|e| {
        let path = "spec.profile".to_owned();
        let location = request.origin.locate(&path);
        ResolveError::Invalid(vec![Problem { path, message: e.to_string(), location, kind: Kind::Form }])
    })?;
    let reversed = translate::reverse_translate(&request.spec).map_err(|p| ResolveError::Invalid(vec![p]))?;
    let mut document = overlay_iop(base, &json!({ "spec": reversed }))
        .map_err(|e| ResolveError::Merge { profile: profile.to_owned(), message: e.to_string() })?;
    if let Some(metadata) = request.metadata.as_object().filter(|m| !m.is_empty()) {
        crate::tree::merge::merge_patch(&mut document, &json!({ "metadata": metadata }));
    }
    enablement::apply_legacy(&request.spec, &mut document).map_err(|p| ResolveError::Invalid(vec![p]))?;
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("profile".into(), profile.into());
    }
    Ok(document)
}

/// The string at a JSON pointer.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
