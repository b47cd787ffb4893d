//! What a person asks for: an IstioOperator resource, or files and `--set` flags that are merged to one.

mod duplicate;
mod error;
mod file;
pub mod gateways;
mod origin;
mod overrides;
mod package;

use crate::spec::exact;
use crate::spec::merge::overlay_layer;
use crate::spec::patch;
use crate::spec::path::Path;
use crate::spec::place::{self, Place};
use crate::spec::set;
use crate::spec::switches::Switches;
use serde_json::{Map, Value, json};

pub use duplicate::Duplicate;
pub use error::{FlagError, RequestError};
pub use origin::Origin;
pub use overrides::Override;
pub use package::{NamedPackage, named_package};

/// A spec as it was asked for, with where each field was written.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Name and namespace of the resource, and whatever else its metadata says.
    pub metadata: Value,
    /// The spec as the user wrote it; an object, possibly empty.
    pub spec: Value,
    /// Where it came from.
    pub origin: Origin,
    /// Keys that a file has twice in one map.
    pub duplicates: Vec<Duplicate>,
    /// Whether such keys are errors, and not only worth a warning.
    pub is_strict: bool,
}

/// From a resource of a cluster. A missing spec is an empty one.
#[must_use]
pub fn from_resource(resource: &Value) -> Request {
    let mut spec = match resource.get("spec") {
        None | Some(Value::Null) => json!({}),
        Some(spec) => spec.clone(),
    };
    gateways::remove_null_items(&mut spec);
    let pick = |field: &str| resource.pointer(&format!("/metadata/{field}")).cloned().unwrap_or_default();
    let metadata = json!({"name": pick("name"), "namespace": pick("namespace")});
    Request { metadata, spec, ..Request::default() }
}

/// From files, as (name, text), merged from left to right, and then `--set` arguments in order, for the built-in release.
///
/// # Errors
/// The first problem of the input's form; its content is checked when it is resolved.
pub fn from_files(files: &[(String, String)], sets: &[String]) -> Result<Request, RequestError> {
    from_files_for(files, sets, &Switches::default())
}

/// The same for a release with these switches.
///
/// # Errors
/// As above.
pub fn from_files_for(
    files: &[(String, String)],
    sets: &[String],
    switches: &Switches,
) -> Result<Request, RequestError> {
    let mut merged = None;
    let mut origin = Origin::default();
    let mut duplicates = vec![];
    for (name, text) in files {
        let document = file::read(name, text, switches)?;
        duplicates.extend(Duplicate::of(name, &document.duplicates));
        let overlay = json!({
            "metadata": document.value.get("metadata").cloned().unwrap_or_else(|| json!({})),
            "spec": document.value.get("spec").cloned().unwrap_or_else(|| json!({})),
        });
        merged = Some(match merged {
            None => overlay,
            Some(below) => {
                let merged = overlay_layer(below, &overlay, switches);
                merged.map_err(|cause| RequestError::Merge { file: name.clone(), cause })?
            }
        });
        origin.add_file(name, document);
    }
    let mut merged = merged.unwrap_or_else(|| json!({"spec": {}}));
    for flag in sets.iter().filter(|_| switches.is_upstream) {
        let wrong = |cause: FlagError| RequestError::Set { flag: flag.clone(), cause: Box::new(cause) };
        exact::flags::set(&mut merged, flag, switches).map_err(|e| wrong(e.into()))?;
        if let Ok((path, _)) = set::parse_line(flag) {
            origin.add_flag(flag, set::below_spec(path));
        }
    }
    for flag in sets.iter().filter(|_| !switches.is_upstream) {
        let wrong = |cause: FlagError| RequestError::Set { flag: flag.clone(), cause: Box::new(cause) };
        let (path, value) = set::parse_line(flag).map_err(|e| wrong(e.into()))?;
        let path = set::below_spec(path);
        let value = set::as_text(flag, &path, value, switches.described_minor());
        if is_no_section(flag, &path) {
            continue;
        }
        if let Some(several) = gateways::ambiguous(&merged, &path) {
            return Err(wrong(several.into()));
        }
        patch::write(&mut merged, &path, value, patch::Mode::Set).map_err(|e| wrong(e.into()))?;
        origin.add_flag(flag, path);
    }
    origin.finish(&merged);
    let take = |field: &str| merged.get(field).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    Ok(Request { metadata: take("metadata"), spec: take("spec"), origin, duplicates, is_strict: false })
}

/// Whether files and `--set` arguments can be understood, as far as no release differs in it: before the package of one is
/// fetched.
///
/// # Errors
/// The first problem that every release has with them.
pub fn check_form(files: &[(String, String)], sets: &[String], is_upstream: bool) -> Result<(), RequestError> {
    // The release that refuses least.
    let switches = Switches { is_upstream, ..Switches::default() };
    files.iter().try_for_each(|(name, text)| file::read(name, text, &switches).map(drop))?;
    // The release's own command line has a syntax of its own.
    sets.iter().filter(|_| !is_upstream).try_for_each(|flag| {
        let wrong = |error: set::SetError| RequestError::Set { flag: flag.clone(), cause: Box::new(error.into()) };
        set::parse_line(flag).map(drop).map_err(wrong)
    })
}

/// Whether a flag sets a section to null, which leaves it as it is. A null of a single value is the text `null`, as upstream
/// takes it.
fn is_no_section(flag: &str, path: &Path) -> bool {
    let is_null = flag.split_once('=').is_some_and(|(_, value)| value.trim() == "null");
    is_null && matches!(place::at(path), Place::Section | Place::Enabled)
}
