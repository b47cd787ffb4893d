//! Packages in directories: where in one the profiles and charts are, that no link leads out, and which release it is.

use super::cache::read_bounded;
use super::error::SourceError;
use super::policy::Policy;
use crate::release::{FOLDERS, Package};
use helm_template::yaml::{Duplicates, parse_documents};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// A default profile that is longer is not read for its tag.
const LONGEST_PROFILE: u64 = 256 << 10;
/// More than any package has.
const MOST_ENTRIES: usize = 20_000;

/// A package in a directory.
pub(super) struct Found {
    /// The folder with `profiles/` and `charts/`.
    pub(super) directory: PathBuf,
    /// How many files it has.
    pub(super) files: usize,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Of their names, sizes and times: as long as it is the same, so is the package.
    pub(super) fingerprint: u64,
}

/// Finds the package of a directory: in it, or in its folder `manifests`.
pub(super) fn find(path: &Path, policy: &Policy) -> Result<Found, SourceError> {
    policy.check_real_path(path)?;
    let wrong = |problem: String| SourceError::Directory { path: path.to_owned(), problem };
    fs::read_dir(path).map_err(|error| wrong(error.to_string()))?;
    let directory = Package::root(path);
    if !FOLDERS.iter().all(|part| directory.join(part).is_dir()) {
        return Err(wrong("it has none of these".to_owned()));
    }
    let mut found = Found { directory, files: 0, bytes: 0, fingerprint: 0 };
    for part in FOLDERS {
        let part = found.directory.join(part);
        policy.check_real_path(&part)?;
        count(&part, policy, &mut found).map_err(|error| match error {
            Unreadable::Refused(refusal) => SourceError::Refused(refusal),
            Unreadable::Io(error) => wrong(error.to_string()),
        })?;
    }
    Ok(found)
}

enum Unreadable {
    Refused(super::policy::Refusal),
    Io(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Counts the files of a folder, links followed as whoever renders them will, unless they lead out of what may be read.
fn count(folder: &Path, policy: &Policy, found: &mut Found) -> Result<(), Unreadable> {
    let mut open = vec![folder.to_owned()];
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            seen += 1;
            if seen > MOST_ENTRIES {
                return Err(
                    io::Error::other(format!("it has more than {MOST_ENTRIES} files, or links in a circle")).into()
                );
            }
            if entry.file_type()?.is_symlink() {
                policy.check_real_path(&entry.path()).map_err(Unreadable::Refused)?;
            }
            let metadata = match fs::metadata(entry.path()) {
                Ok(metadata) => metadata,
                // A link to nothing is of no consequence before somebody reads it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            if metadata.is_dir() {
                open.push(entry.path());
            } else if metadata.is_file() {
                let mut hasher = DefaultHasher::new();
                (entry.path(), metadata.len(), metadata.modified().ok()).hash(&mut hasher);
                found.files += 1;
                found.bytes += metadata.len();
                // Folders are read in no order.
                found.fingerprint = found.fingerprint.wrapping_add(hasher.finish());
            } else {
                let problem = format!("{} is neither a file nor a folder", entry.path().display());
                return Err(io::Error::other(problem).into());
            }
        }
    }
    Ok(())
}

/// The release of a package, as its default profile says; `None` if it does not.
pub(super) fn version(directory: &Path) -> Option<String> {
    let text = read_bounded(&directory.join("profiles/default.yaml"), LONGEST_PROFILE).ok()?;
    let documents = parse_documents(std::str::from_utf8(&text).ok()?, Duplicates::LastWins).ok()?;
    let tag = documents.first()?.value.pointer("/spec/tag")?.as_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    Some(tag).filter(|tag| !tag.is_empty() && tag.len() <= 128 && tag.chars().all(is_plain)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &Path) {
        for (path, text) in
            [("profiles/default.yaml", "spec:\n  tag: 1.30.3\n"), ("charts/base/Chart.yaml", "name: base\n")]
        {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }

    #[test]
    fn a_package_is_found_in_a_directory_or_in_its_manifests() {
        let dir = tempfile::tempdir().unwrap();
        package(&dir.path().join("release/manifests"));
        for path in ["release", "release/manifests"] {
            let found = find(&dir.path().join(path), &Policy::unrestricted()).unwrap();
            assert_eq!(found.directory, dir.path().join("release/manifests"));
            assert_eq!((found.files, found.bytes), (2, 31));
            assert_eq!(version(&found.directory).as_deref(), Some("1.30.3"));
        }
        for (path, word) in
            [("", "none of these"), ("nowhere", "No such file"), ("release/manifests/charts/base", "none")]
        {
            let error = find(&dir.path().join(path), &Policy::unrestricted()).err().unwrap().to_string();
            assert!(error.contains(word) && error.contains("profiles/ and charts/"), "{error}");
        }
    }

    #[test]
    fn a_link_in_a_package_must_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let packages = dir.path().join("packages");
        package(&packages.join("a"));
        fs::write(dir.path().join("secret"), "x").unwrap();
        let policy = Policy { package_dirs: vec![packages.clone()], ..Policy::default() };
        std::os::unix::fs::symlink("default.yaml", packages.join("a/profiles/same.yaml")).unwrap();
        assert_eq!(find(&packages.join("a"), &policy).unwrap().files, 3);
        std::os::unix::fs::symlink(dir.path().join("secret"), packages.join("a/profiles/secret.yaml")).unwrap();
        let error = find(&packages.join("a"), &policy).err().unwrap().to_string();
        assert!(error.contains("secret.yaml is a link that leads out"), "{error}");
        assert!(find(&packages.join("a"), &Policy::unrestricted()).is_ok());
        std::os::unix::fs::symlink(packages.join("a"), packages.join("a/charts/circle")).unwrap();
        let error = find(&packages.join("a"), &Policy::unrestricted()).err().unwrap().to_string();
        assert!(error.contains("circle") || error.contains("Too many levels"), "{error}");
    }

    #[test]
    fn a_default_profile_without_a_plain_tag_has_no_version() {
        let dir = tempfile::tempdir().unwrap();
        package(dir.path());
        for text in
            ["spec: {}", "spec:\n  tag: 1\n", "spec:\n  tag: \"a\\e[1m\"\n", ": : :", "- a", "spec:\n  tag: ''\n"]
        {
            fs::write(dir.path().join("profiles/default.yaml"), text).unwrap();
            assert_eq!(version(dir.path()), None, "{text}");
        }
    }
}
