//! Which package a location had when it was last asked for, so that a restart needs no network.

use super::cache::{Cache, names, read_bounded, replace};
use super::digest::Digest;
use super::location::Location;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const LONGEST: u64 = 64 << 10;

/// What is known of a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// It, without what may be secret.
    pub location: String,
    /// Of the package it had.
    pub digest: Digest,
    /// How to ask whether it has another one now.
    #[serde(default)]
    pub validators: Validators,
}

/// What a server, or the disk, says of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validators {
    /// The header ETag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The header Last-Modified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// Of a file: its size, and when it was changed, in nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<(u64, u64)>,
}

fn folder(cache: &Cache) -> PathBuf {
    cache.root().join("locations")
}

fn place(cache: &Cache, location: &Location) -> PathBuf {
    folder(cache).join(format!("{}.json", location.key()))
}

fn read(path: &Path) -> Option<Known> {
    serde_json::from_slice(&read_bounded(path, LONGEST).ok()?).ok()
}

/// What is known of a location; what cannot be read is not known.
pub(super) fn known(cache: &Cache, location: &Location) -> Option<Known> {
    read(&place(cache, location)).filter(|known| known.location == location.redacted())
}

/// Notes what a location has.
pub(super) fn note(cache: &Cache, location: &Location, digest: Digest, validators: Validators) -> io::Result<()> {
    let new = Known { location: location.redacted(), digest, validators };
    if known(cache, location).as_ref() == Some(&new) {
        return Ok(());
    }
    let _changing = cache.lock()?;
    for left in names(&folder(cache))?.iter().filter(|name| name.starts_with('.')) {
        // What an interrupted process has left: whoever writes has the lock.
        let _ = fs::remove_file(folder(cache).join(left));
    }
    replace(&place(cache, location), &serde_json::to_vec_pretty(&new)?)
}

fn place_of_version(cache: &Cache, version: &str) -> Option<PathBuf> {
    // Whatever a version is, its file lies in the folder.
    let is_name = super::releases::is_version(version);
    is_name.then(|| cache.root().join("versions").join(format!("{version}.json")))
}

/// The package that somebody has fetched to be that of a version, from wherever it came; what cannot be read does not count.
pub(super) fn of_version(cache: &Cache, version: &str) -> Option<Known> {
    read(&place_of_version(cache, version)?)
}

/// Notes that a package is that of its version from now on.
pub(super) fn note_version(cache: &Cache, version: &str, location: String, digest: Digest) -> io::Result<()> {
    let Some(place) = place_of_version(cache, version) else { return Ok(()) };
    let new = Known { location, digest, validators: Validators::default() };
    if read(&place).as_ref() == Some(&new) {
        return Ok(());
    }
    let _changing = cache.lock()?;
    replace(&place, &serde_json::to_vec_pretty(&new)?)
}

/// Forgets what led to packages that are no more. Whoever calls it holds the lock of the cache.
pub(super) fn forget(cache: &Cache, gone: &[Digest]) {
    for folder in [folder(cache), cache.root().join("versions")] {
        // What stays leads to nothing, and whoever follows it finds that out.
        for name in names(&folder).unwrap_or_default() {
            let path = folder.join(name);
            if read(&path).is_some_and(|known| gone.contains(&known.digest)) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// All that is known.
///
/// # Errors
/// The cache cannot be read.
pub fn all_known(cache: &Cache) -> io::Result<Vec<Known>> {
    let folder = folder(cache);
    let files = names(&folder)?.into_iter().map(|name| folder.join(name));
    Ok(files.filter(|path| path.extension().is_some_and(|end| end == "json")).filter_map(|path| read(&path)).collect())
}
