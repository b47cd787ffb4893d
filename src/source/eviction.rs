//! What a cache does not keep: the packages that were used longest ago, beyond a number of them.
//!
//! Guarantees: no package is removed that is open, in this process or another one; nothing is removed but whole packages
//! that a cache has unpacked, and what led to them.

use super::cache::Cache;
use super::digest::Digest;
use super::index;
use std::io;
use std::time::SystemTime;

/// Removes packages until so many are left, or those that are left are in use.
///
/// # Errors
/// The cache cannot be read, or not be changed.
pub(super) fn evict(cache: &Cache, most: usize) -> io::Result<()> {
    let used = |digest: Digest| Some((cache.last_use(&digest).ok()?, digest));
    let mut all: Vec<(SystemTime, Digest)> = cache.digests()?.into_iter().filter_map(used).collect();
    let excess = all.len().saturating_sub(most);
    if excess == 0 {
        return Ok(());
    }
    let _changing = cache.lock()?;
    all.sort_by_key(|(used, _)| *used);
    let mut gone = vec![];
    for (used, digest) in all {
        if gone.len() == excess {
            break;
        }
        match cache.remove(&digest, used) {
            Ok(true) => gone.push(digest),
            Ok(false) => {}
            Err(error) => tracing::warn!(package = %digest, %error, "a release package stays in the cache"),
        }
    }
    index::forget(cache, &gone);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::archive::Written;
    use super::super::cache::{CachedPackage, PackageKind, Record};
    use super::super::index::{Validators, known, note, note_version, of_version};
    use super::super::location::Location;
    use super::*;
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::time::Duration;

    fn kept(cache: &Cache, text: &str, age: u64) -> CachedPackage {
        let staging = cache.stage().unwrap();
        let file = staging.folder.join("profiles/default.yaml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        let written = Written { size: text.len() as u64, sha256: Digest::of(text.as_bytes()) };
        let files = BTreeMap::from([("profiles/default.yaml".to_owned(), written)]);
        let version = Some(text.to_owned());
        let location = format!("/{text}.tgz");
        let record = Record::new(Digest::of(text.as_bytes()), PackageKind::Archive, version, location, files);
        let package = cache.keep(&staging, &record).unwrap().unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        File::options().append(true).open(package.directory.join("package.json")).unwrap().set_modified(used).unwrap();
        package
    }

    fn versions(cache: &Cache) -> Vec<String> {
        let mut all: Vec<_> = cache.list().unwrap().packages.into_iter().filter_map(|p| p.record.version).collect();
        all.sort();
        all
    }

    #[test]
    fn the_packages_that_were_used_longest_ago_go_and_those_in_use_stay() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("cache"));
        evict(&cache, 0).unwrap();
        let in_use = kept(&cache, "1.20.0", 500);
        let changed = kept(&cache, "1.21.0", 400).directory;
        fs::write(changed.join("profiles/mine.yaml"), "x").unwrap();
        for (version, age) in [("1.22.0", 300), ("1.23.0", 200), ("1.24.0", 100)] {
            let package = kept(&cache, version, age);
            let location: Location = format!("/{version}.tgz").parse().unwrap();
            note(&cache, &location, package.record.digest, Validators::default()).unwrap();
            note_version(&cache, version, location.redacted(), package.record.digest).unwrap();
        }
        let folder = changed.parent().unwrap().to_owned();
        fs::create_dir(folder.join("somebody-elses")).unwrap();
        evict(&cache, 5).unwrap();
        assert_eq!(versions(&cache), ["1.20.0", "1.22.0", "1.23.0", "1.24.0"]);
        evict(&cache, 3).unwrap();
        assert_eq!(versions(&cache), ["1.20.0", "1.24.0"], "the changed one counts, and stays");
        let location: Location = "/1.23.0.tgz".parse().unwrap();
        assert!(known(&cache, &location).is_none() && of_version(&cache, "1.23.0").is_none());
        assert!(of_version(&cache, "1.24.0").is_some());
        evict(&cache, 0).unwrap();
        assert_eq!(versions(&cache), ["1.20.0"]);
        assert!(in_use.directory.join("profiles/default.yaml").exists());
        assert!(changed.join("profiles/mine.yaml").exists() && folder.join("somebody-elses").exists());
        drop(in_use);
        evict(&cache, 0).unwrap();
        assert_eq!(versions(&cache), <[String; 0]>::default());
    }
}
