//! The objects of a file, or of all files of a directory.

use crate::object::Object;
use anyhow::{Context, bail};
use helm_template::helm::manifest;
use helm_template::yaml;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Ends of the names of files with manifests.
const ENDS: [&str; 3] = ["yaml", "yml", "json"];

/// The objects of a file, `-` for stdin, or of the files of a directory and of those in it.
///
/// # Errors
/// A file cannot be read, or holds something else; a directory without any.
pub(super) fn read(path: &str) -> anyhow::Result<Vec<Object>> {
    if path != "-" && Path::new(path).is_dir() {
        let files = files(Path::new(path))?;
        if files.is_empty() {
            bail!("{path} has no files that end in .yaml, .yml or .json");
        }
        let mut all = vec![];
        for file in files {
            all.extend(read(&file.to_string_lossy())?);
        }
        return Ok(all);
    }
    let (name, text) = super::super::input::read_input(path)?;
    let mut objects = vec![];
    for document in manifest::split(&text) {
        let value = yaml::parse(&document).with_context(|| format!("{name}: not YAML"))?;
        collect(value, &mut objects).with_context(|| name.clone())?;
    }
    Ok(objects)
}

/// An object, or those of a list of objects such as `kubectl get` prints.
fn collect(value: Value, objects: &mut Vec<Object>) -> anyhow::Result<()> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value.get("items") {
        _ if value.is_null() => {}
        Some(Value::Array(items)) if is_list => items.iter().try_for_each(|item| collect(item.clone(), objects))?,
        _ => objects.push(Object::new(value).map_err(|error| anyhow::anyhow!("a document {error}"))?),
    }
    Ok(())
}

/// The files below a directory, in the order of their names. Links to directories are not followed.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut open, mut found) = (vec![directory.to_owned()], vec![]);
    while let Some(directory) = open.pop() {
        let failed = || format!("read {}", directory.display());
        for entry in std::fs::read_dir(&directory).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().with_context(failed)?);
            let is_manifest = path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDS.contains(&end));
            if kind.is_dir() {
                open.push(path);
            } else if is_manifest && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
