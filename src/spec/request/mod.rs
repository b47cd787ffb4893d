//! What a person asks for: an IstioOperator resource, or files and `--set` flags that are merged to one.

mod duplicate;
mod error;
mod file;
pub mod gateways;
mod origin;
mod overrides;

use crate::api::RELEASE;
use crate::spec::exact;
use crate::spec::merge::overlay_layer;
use crate::spec::patch;
use crate::spec::path;
use crate::spec::path::Path;
use crate::spec::place::{self, Place};
use crate::spec::set;
use crate::spec::switches::Switches;
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Map, Value, json};

pub use duplicate::Duplicate;
pub use error::{FlagError, RequestError};
pub use origin::Origin;
pub use overrides::Override;

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

/// A release package as a person names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamedPackage {
    /// By its version, with the annotation `install.istio.io/release`.
    Release(String),
    /// By where it is, with `spec.installPackagePath`.
    Location(String),
}

impl NamedPackage {
    /// The one that a resource names.
    #[must_use]
    pub fn of_resource(resource: &Value) -> Option<Self> {
        let release = path::text(resource, &format!("/metadata/annotations/{}", RELEASE.replace('/', "~1")));
        Self::of(release, resource.get("spec"))
    }

    /// The one that the annotation of a resource names, or else its spec.
    #[must_use]
    pub fn of(annotation: Option<&str>, spec: Option<&Value>) -> Option<Self> {
        let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let location = || path::text(spec?, &format!("/{PACKAGE_PATH}")).and_then(filled).map(Self::Location);
        annotation.and_then(filled).map(Self::Release).or_else(location)
    }
}

/// The field of the spec that names a release package.
const PACKAGE_PATH: &str = "installPackagePath";

/// The release package that files and `--set` arguments name, before anything else is known of them; the last one counts.
#[must_use]
pub fn named_package(files: &[(String, String)], sets: &[String]) -> Option<NamedPackage> {
    let in_file = |text: &str| {
        let documents = parse_documents(text, Duplicates::LastWins).ok()?;
        documents.iter().rev().find_map(|document| NamedPackage::of_resource(&document.value))
    };
    let in_flag = |flag: &String| {
        let (path, value) = flag.split_once('=')?;
        let path = path.trim();
        (path.strip_prefix("spec.").unwrap_or(path) == PACKAGE_PATH).then(|| value.trim().to_owned())
    };
    let found = sets.iter().rev().find_map(in_flag).filter(|path| !path.is_empty()).map(NamedPackage::Location);
    found.or_else(|| files.iter().rev().find_map(|(_, text)| in_file(text)))
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
        let value = if switches.is_since_124() { set::as_text_since_124(flag, &path, value) } else { value };
        if is_no_section(flag, &path) {
            continue;
        }
        if let Some(message) = gateways::ambiguous(&merged, &path) {
            return Err(wrong(FlagError::Ambiguous(message)));
        }
        patch::write(&mut merged, &path, value, patch::Mode::Set).map_err(|e| wrong(e.into()))?;
        origin.add_flag(flag, path);
    }
    origin.finish(&merged);
    let take = |field: &str| merged.get(field).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    Ok(Request { metadata: take("metadata"), spec: take("spec"), origin, duplicates, is_strict: false })
}

/// Whether a flag sets a section to null, which leaves it as it is. A null of a single value is the text `null`, as upstream
/// takes it.
fn is_no_section(flag: &str, path: &Path) -> bool {
    let is_null = flag.split_once('=').is_some_and(|(_, value)| value.trim() == "null");
    is_null && matches!(place::at(path), Place::Section | Place::Enabled)
}
