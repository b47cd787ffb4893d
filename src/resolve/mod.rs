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
use validate::Problem;

/// Why a request cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The profile cannot be had.
    #[error(transparent)]
    Profile(#[from] profile::ProfileError),
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

/// How strictly a spec is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Every problem is an error.
    Full,
    /// What can be tolerated becomes a warning (`--force`).
    Forced,
}

/// Resolves a request.
///
/// # Errors
/// See [`ResolveError`]; an invalid spec with all its problems.
pub fn resolve(request: &Request, profiles: &Profiles, strictness: Strictness) -> Result<Resolved, ResolveError> {
    let mut warnings = vec![];
    let mut problems = validate::check_spec(&request.spec, &request.origin);
    settle(&mut problems, strictness, &mut warnings)?;

    let profile = text(&request.spec, "/profile").filter(|p| !p.is_empty()).unwrap_or("default").to_owned();
    let base = profiles.load(&profile)?;
    let user =
        json!({ "spec": translate::reverse_translate(&request.spec).map_err(|p| ResolveError::Invalid(vec![p]))? });
    let mut document = overlay_iop(base, &user)
        .map_err(|e| ResolveError::Merge { profile: profile.clone(), message: e.to_string() })?;
    if let Some(metadata) = request.metadata.as_object().filter(|m| !m.is_empty()) {
        crate::tree::merge::merge_patch(&mut document, &json!({ "metadata": metadata }));
    }
    enablement::apply_legacy(&request.spec, &mut document).map_err(|p| ResolveError::Invalid(vec![p]))?;
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("profile".into(), profile.clone().into());
    }
    let spec = document.get("spec").cloned().unwrap_or_default();

    let mut problems = validate::check_merged(&spec, &request.origin);
    settle(&mut problems, strictness, &mut warnings)?;
    let deprecated = validate::deprecations(&spec);
    warnings.extend(deprecated);

    let components = components::enabled(&spec);
    let namespace = components::default_namespace(&spec);
    let namespace = if namespace.is_empty() { "istio-system".to_owned() } else { namespace };
    let revision = text(&spec, "/revision").unwrap_or_default().to_owned();
    Ok(Resolved { document, components, namespace, revision, profile, warnings })
}

/// Ends the resolution where there are problems that count.
fn settle(problems: &mut Vec<Problem>, strictness: Strictness, warnings: &mut Vec<String>) -> Result<(), ResolveError> {
    if strictness == Strictness::Forced {
        let (tolerable, fatal): (Vec<_>, _) = std::mem::take(problems).into_iter().partition(|p| p.is_tolerable);
        *problems = fatal;
        warnings.extend(tolerable.iter().map(ToString::to_string));
    }
    if problems.is_empty() { Ok(()) } else { Err(ResolveError::Invalid(std::mem::take(problems))) }
}

/// The string at a JSON pointer.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
