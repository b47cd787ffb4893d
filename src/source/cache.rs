//! The cache: packages by the digest of what they were unpacked from.
//!
//! ```text
//! packages/sha256-…/package.json   what it is, and every file with its size and digest
//! packages/sha256-…/profiles, charts
//! packages/new-…, old-…            on their way in or out; each with a lock that its process holds
//! locations/….json                 which package a location had (see `index`)
//! versions/….json                  which package somebody has fetched to be that of a version
//! ```
//!
//! Guarantees: what has not the right name is not a package, and gets its name in one step, complete and on disk; what was changed
//! since is found out when it is opened, and is not used; several processes may use a cache at once, and none removes what
//! another uses or is unpacking. Whoever may write the cache can forge a package: the digests are against accidents.

use super::archive::{Written, sync_folders};
use super::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const RECORD: &str = "package.json";
/// Of a record; another one is of another version of the operator.
const FORMAT: u32 = 1;
/// Records name thousands of files at most.
const LONGEST_RECORD: u64 = 8 << 20;

/// What a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`FORMAT`].
    format: u32,
    /// Of the archive, or of the image's manifest.
    pub digest: Digest,
    /// What the digest is of.
    pub kind: PackageKind,
    /// The release, as its default profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it came from first, without what may be secret.
    pub location: String,
    /// Every file, by its path.
    pub files: BTreeMap<String, Written>,
}

/// What the digest of a package is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// The archive file.
    Archive,
    /// The manifest of an artifact or image.
    Image,
}

impl Record {
    pub(super) fn new(
        digest: Digest,
        kind: PackageKind,
        version: Option<String>,
        location: String,
        files: BTreeMap<String, Written>,
    ) -> Self {
        Self { format: FORMAT, digest, kind, version, location, files }
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|written| written.size).sum()
    }
}

/// A package of the cache, checked; nobody removes it while this lives.
#[derive(Debug)]
pub struct CachedPackage {
    /// The folder with `profiles/` and `charts/`.
    pub directory: PathBuf,
    /// What it is.
    pub record: Record,
    /// When it was used last.
    pub used: Option<SystemTime>,
    _lock: File,
}

/// What is in a cache.
#[derive(Debug, Default)]
pub struct Listing {
    /// The packages.
    pub packages: Vec<CachedPackage>,
    /// What has the name of a package and is not to be used, and why.
    pub unusable: Vec<(PathBuf, String)>,
}

/// A folder that a package is unpacked into; it goes with this, unless it is put in its place.
pub(super) struct Staging {
    pub(super) folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// A folder with packages. It need not be there yet.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The one in a folder.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        self.packages().join(format!("sha256-{}", digest.hex()))
    }

    /// The package with a digest, if it is there and as it was when it came.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn open(&self, digest: &Digest) -> io::Result<Option<CachedPackage>> {
        let directory = self.place(digest);
        let lock = match File::open(directory.join(RECORD)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        lock.lock_shared()?;
        // Read by its name once more: it may have been on its way out.
        let used = lock.metadata()?.modified().ok();
        let Some(record) = read_record(&directory).filter(|record| record.digest == *digest) else { return Ok(None) };
        if !is_intact(&directory, &record)? {
            tracing::warn!(package = %directory.display(), "the cached release package was changed, it is fetched again");
            return Ok(None);
        }
        Ok(Some(CachedPackage { directory, record, used, _lock: lock }))
    }

    /// Notes that a package is used now; a cache that cannot be written is used all the same.
    pub(super) fn note_use(&self, digest: &Digest) {
        let file = OpenOptions::new().append(true).open(self.place(digest).join(RECORD));
        let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// A folder to unpack into. Removes what dead processes have left.
    pub(super) fn stage(&self) -> io::Result<Staging> {
        fs::create_dir_all(self.packages())?;
        let _changing = self.lock()?;
        self.sweep()?;
        let name = format!("new-{}", random_name()?);
        let (folder, lock_path) = (self.packages().join(&name), self.packages().join(format!("{name}.lock")));
        let lock = OpenOptions::new().write(true).create_new(true).open(&lock_path)?;
        lock.lock()?;
        let staging = Staging { folder, lock_path, _lock: lock };
        fs::create_dir(&staging.folder)?;
        Ok(staging)
    }

    /// Puts a package in its place. If another process was quicker, its package is as good.
    pub(super) fn keep(&self, staging: &Staging, record: &Record) -> io::Result<Option<CachedPackage>> {
        let text = serde_json::to_vec_pretty(record)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(staging.folder.join(RECORD))?;
        file.write_all(&text)?;
        file.sync_all()?;
        File::open(&staging.folder)?.sync_all()?;
        let place = self.place(&record.digest);
        let _changing = self.lock()?;
        if place.symlink_metadata().is_ok() {
            if let Some(there) = self.open(&record.digest)? {
                return Ok(Some(there));
            }
            self.take_away(&place)?;
        }
        fs::rename(&staging.folder, &place)?;
        File::open(self.packages())?.sync_all()?;
        self.open(&record.digest)
    }

    /// All packages, checked; and what has the name of one and was changed, or cannot be read.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for digest in self.digests()? {
            match self.open(&digest) {
                Ok(Some(package)) => listing.packages.push(package),
                Ok(None) => listing.unusable.push((self.place(&digest), "it is not as it was unpacked".to_owned())),
                Err(error) => listing.unusable.push((self.place(&digest), error.to_string())),
            }
        }
        Ok(listing)
    }

    /// The digests of packages, as the names in their folder say.
    pub(super) fn digests(&self) -> io::Result<Vec<Digest>> {
        let digest = |name: &String| Digest::from_hex(name.strip_prefix("sha256-")?).ok();
        Ok(names(&self.packages())?.iter().filter_map(digest).collect())
    }

    /// When a package was used last.
    pub(super) fn last_use(&self, digest: &Digest) -> io::Result<SystemTime> {
        self.place(digest).join(RECORD).metadata()?.modified()
    }

    /// Removes a package that is whole, that nobody has open, and that was not used since. Whoever calls it holds the lock.
    pub(super) fn remove(&self, digest: &Digest, used: SystemTime) -> io::Result<bool> {
        let place = self.place(digest);
        let record_file = File::open(place.join(RECORD))?;
        // Whoever opens it waits for this lock, and then finds that it is gone.
        if !is_free(&record_file)? || record_file.metadata()?.modified()? != used {
            return Ok(false);
        }
        let Some(record) = read_record(&place).filter(|record| record.digest == *digest) else { return Ok(false) };
        if !is_intact(&place, &record)? {
            return Ok(false);
        }
        let version = record.version.as_deref().unwrap_or("unknown");
        tracing::debug!(package = %digest, version, location = record.location, "removing a release package from the cache");
        self.take_away(&place)?;
        Ok(true)
    }

    /// Makes a place free: in one step, whatever then becomes of what was there.
    fn take_away(&self, place: &Path) -> io::Result<()> {
        let away = self.packages().join(format!("old-{}", random_name()?));
        fs::rename(place, &away)?;
        if away.symlink_metadata()?.is_dir() { fs::remove_dir_all(&away) } else { fs::remove_file(&away) }
    }

    /// Held for moments only, around what changes which folders there are.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.packages().join(".lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Removes what is on its way in or out and whose process is no more. Whoever calls it holds the lock.
    fn sweep(&self) -> io::Result<()> {
        for name in names(&self.packages())? {
            let path = self.packages().join(&name);
            let lock = self.packages().join(format!("{name}.lock"));
            let is_left = match name.strip_suffix(".lock") {
                Some(of) if of.starts_with("new-") => !self.packages().join(of).exists() && is_free_at(&path)?,
                _ => name.starts_with("old-") || (name.starts_with("new-") && is_free_at(&lock)?),
            };
            if is_left {
                tracing::debug!(path = %path.display(), "removing what an interrupted process has left");
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
                let _ = fs::remove_file(&lock);
            }
        }
        Ok(())
    }
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, OpenOptions::new())
}

/// The same of a file that only its owner may read.
pub(super) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    replace_with(path, bytes, options)
}

fn replace_with(path: &Path, bytes: &[u8], mut options: OpenOptions) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let new = folder.join(format!(".{}", random_name()?));
    let mut file = options.write(true).create_new(true).open(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.and_then(|()| sync_folders(folder))
}

/// Opens a file, and nothing that never ends or that waits for somebody, such as a named pipe.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("it is not a file")) }
}

/// Reads a file that is not longer than this.
pub(super) fn read_bounded(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = vec![];
    open_file(path)?.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {longest} bytes")));
    }
    Ok(bytes)
}

fn read_record(directory: &Path) -> Option<Record> {
    let bytes = read_bounded(&directory.join(RECORD), LONGEST_RECORD).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|record: &Record| record.format == FORMAT)
}

/// Whether a folder has the files of a record, and no others.
fn is_intact(directory: &Path, record: &Record) -> io::Result<bool> {
    let mut open = vec![(directory.to_owned(), String::new())];
    let mut found = 0;
    while let Some((folder, below)) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { return Ok(false) };
            let (path, kind) = (format!("{below}{name}"), entry.file_type()?);
            match record.files.get(&path) {
                _ if path == RECORD => {}
                None if kind.is_dir() => open.push((entry.path(), format!("{path}/"))),
                Some(written) if kind.is_file() && is_same(&entry.path(), written)? => found += 1,
                _ => return Ok(false),
            }
        }
    }
    Ok(found == record.files.len())
}

fn is_same(path: &Path, written: &Written) -> io::Result<bool> {
    let mut file = File::open(path)?;
    Ok(file.metadata()?.len() == written.size && Digest::of_reader(&mut file)? == (written.sha256, written.size))
}

/// Whether no process holds a file.
fn is_free(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_free_at(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => is_free(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The names in a folder, in order; none if it is not there.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Whether a name is one of those under which files are written before they have their own.
pub(super) fn is_begun(name: &str) -> bool {
    let digits = name.strip_prefix('.').unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn random_name() -> io::Result<String> {
    use ring::rand::SecureRandom;
    let mut random = [0_u8; 8];
    let made = ring::rand::SystemRandom::new().fill(&mut random);
    made.map_err(|_| io::Error::other("there is no randomness"))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

#[cfg(test)]
mod tests;
