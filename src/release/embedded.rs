//! The profiles and charts that are built in: the repository's folders `profiles/` and `charts/`, links followed.
//!
//! Each chart is complete there, so that Helm can render it from its folder; a file that charts share is in one of them, and
//! a link in the others.

use helm_template::helm::chart::{Chart, ChartError};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::Path;

static CHARTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/charts");
static PROFILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/profiles");

/// Files of a chart that only Helm needs: the operator checks values itself, and shows no notes.
const FOR_HELM: &[&str] = &["README.md", "templates/NOTES.txt", "values.schema.json"];

/// The chart in this folder below `charts/`, as the operator renders it.
pub(super) fn chart(name: &str) -> Result<Chart, ChartError> {
    let folder = CHARTS.get_dir(name).map(files).unwrap_or_default();
    let below = folder.into_iter().filter_map(|(path, text)| Some((path.strip_prefix(name)?.strip_prefix('/')?, text)));
    Chart::from_memory(below.filter(|(path, _)| !FOR_HELM.contains(path)))
}

/// All files of the built-in package, by their path in its directory.
pub(super) fn package() -> BTreeMap<String, &'static [u8]> {
    let roots = [("profiles", &PROFILES), ("charts", &CHARTS)];
    let below = |(root, dir)| files(dir).into_iter().map(move |(path, text)| (format!("{root}/{path}"), text));
    roots.into_iter().flat_map(below).collect()
}

/// The profiles' texts, by name.
pub(super) fn profiles() -> BTreeMap<String, String> {
    let texts = PROFILES.files().filter_map(|f| Some((profile_name(f.path())?, f.contents_utf8()?.to_owned())));
    texts.collect()
}

/// The files of a folder and of the folders in it, by their whole path.
fn files(folder: &'static Dir<'static>) -> BTreeMap<&'static str, &'static [u8]> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder];
    while let Some(dir) = open.pop() {
        open.extend(dir.dirs());
        files.extend(dir.files().filter_map(|file| Some((file.path().to_str()?, file.contents()))));
    }
    files
}

/// The name of the profile in a file; `None` if the file is not a profile.
pub(super) fn profile_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str()?.strip_suffix(".yaml").map(str::to_owned)
}
