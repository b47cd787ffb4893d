//! The release package that a person asks for.

use crate::api::RELEASE;
use crate::api::annotations::without_v;
use crate::spec::path;
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::Value;

/// A release package as a person names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamedPackage {
    /// By its version, with the annotation `install.istio.io/release`; without the `v` that many write before it.
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
        annotation.and_then(filled).map(|text| Self::Release(without_v(&text).to_owned())).or_else(location)
    }
}

/// The field of the spec that names a release package.
const PACKAGE_PATH: &str = "installPackagePath";

/// The release package that files and `--set` arguments name, before anything else is known of them; the last one counts.
#[must_use]
pub fn named_package(files: &[(String, String)], sets: &[String]) -> Option<NamedPackage> {
    let in_file = |text: &str| {
        // Most name none, and are read once more when it is known what for.
        if !text.contains(PACKAGE_PATH) && !text.contains(RELEASE) {
            return None;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_have_a_v_before_it() {
        for (text, version) in
            [("1.30.3", "1.30.3"), (" v1.30.3 ", "1.30.3"), ("vx", "vx"), ("v", "v"), ("latest", "latest")]
        {
            let expected = NamedPackage::Release(version.to_owned());
            assert_eq!(NamedPackage::of(Some(text), None), Some(expected), "{text}");
        }
        assert_eq!(NamedPackage::of(Some(" "), None), None);
    }
}
