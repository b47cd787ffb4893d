//! Unpacking: of an archive that streams by, what a release package needs is written to a folder.
//!
//! In: the layers of an archive, one after the other, gzip or plain tar. Out: `profiles/` and `charts/` in the folder, and
//! what was written. Guarantees: nothing is written elsewhere, no link is made or followed, and memory does not grow with
//! the archive.

use super::archive_error::ArchiveError;
use super::digest::Digest;
use super::entry::{Entry, EntryKind, Headers, package_path, removed_path};
use super::limits::Limits;
use super::stream::{Bounded, Fault};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its bytes.
    pub size: u64,
    /// Their digest.
    pub sha256: Digest,
}

/// What unpacks an archive's layers into a folder.
pub(super) struct Unpacker {
    folder: PathBuf,
    limits: Limits,
    /// By path below the folder.
    files: BTreeMap<String, Written>,
    kept_bytes: u64,
    stream_bytes: u64,
    entries: u64,
    /// Where in the archive the package lies.
    package: Option<String>,
}

impl Unpacker {
    /// Into a folder that is empty.
    pub(super) fn new(folder: PathBuf, limits: Limits) -> Self {
        let files = BTreeMap::new();
        Self { folder, limits, files, kept_bytes: 0, stream_bytes: 0, entries: 0, package: None }
    }

    /// Unpacks a layer, to the end of what can be read. A file of an earlier layer is replaced.
    pub(super) fn layer(&mut self, mut from: impl Read, fault: &Fault) -> Result<(), ArchiveError> {
        let mut first = vec![];
        let read = (&mut from).take(512).read_to_end(&mut first);
        read.map_err(|error| fault.explain(&error))?;
        let whole = BufReader::with_capacity(64 << 10, Cursor::new(first.clone()).chain(from));
        let mut whole: Box<dyn Read> = match first.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(whole)),
            _ if first.get(257..262) == Some(b"ustar") => Box::new(whole),
            other => return Err(ArchiveError::NoArchive(what_it_is(other))),
        };
        let left = self.limits.stream_bytes.saturating_sub(self.stream_bytes);
        let mut bounded = Bounded::new(&mut whole, left, fault.clone(), self.too_long());
        let unpacked = self.entries(&mut bounded, fault);
        // What comes after the last entry counts, and is checked, like all else.
        let rest = unpacked.and_then(|()| {
            io::copy(&mut bounded, &mut io::sink()).map_err(|error| fault.explain(&error))?;
            Ok(())
        });
        self.stream_bytes += bounded.come();
        rest
    }

    fn too_long(&self) -> ArchiveError {
        ArchiveError::TooMuch { what: "bytes when decompressed", limit: self.limits.stream_bytes }
    }

    fn entries(&mut self, tar: &mut impl Read, fault: &Fault) -> Result<(), ArchiveError> {
        let mut archive = tar::Archive::new(tar);
        let mut headers = Headers::new(&self.limits);
        let mut seen = BTreeSet::new();
        for raw in archive.entries().map_err(|error| fault.explain(&error))?.raw(true) {
            let mut raw = raw.map_err(|error| fault.explain(&error))?;
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(ArchiveError::TooMuch { what: "entries", limit: self.limits.entries });
            }
            // What is too long is not read to find that out.
            if raw.size() > self.limits.stream_bytes {
                return Err(self.too_long());
            }
            if let Some(entry) = headers.entry(&mut raw, fault)? {
                self.entry(&entry, &mut raw, &mut seen, fault)?;
            }
        }
        Ok(())
    }

    /// Keeps an entry, if it is of a package.
    fn entry(
        &mut self,
        entry: &Entry,
        data: &mut impl Read,
        seen: &mut BTreeSet<String>,
        fault: &Fault,
    ) -> Result<(), ArchiveError> {
        if let Some(removed) = removed_path(&entry.segments) {
            return self.remove(&removed, seen);
        }
        let Some((package, path)) = package_path(&entry.segments) else { return Ok(()) };
        let shown = || entry.segments.join("/");
        match entry.kind {
            EntryKind::Directory => return Ok(()),
            EntryKind::Other(kind) => return Err(ArchiveError::Kind { path: shown(), kind }),
            EntryKind::File => {}
        }
        let first = self.package.get_or_insert_with(|| package.join("/"));
        if *first != package.join("/") {
            return Err(ArchiveError::TwoPackages { first: first.clone(), second: package.join("/") });
        }
        if path.len() > self.limits.depth {
            return Err(ArchiveError::TooMuch { what: "folders in one another", limit: self.limits.depth as u64 });
        }
        let path = path.join("/");
        if !seen.insert(path.clone()) {
            return Err(ArchiveError::Twice { path: shown() });
        }
        let written = self.write(&path, entry.size, data, fault)?;
        self.files.insert(path, written);
        Ok(())
    }

    /// Removes what earlier layers have written at or below a path of the archive.
    fn remove(&mut self, removed: &str, seen: &BTreeSet<String>) -> Result<(), ArchiveError> {
        let Some(package) = self.package.clone() else { return Ok(()) };
        let is_removed = |path: &String| {
            let whole = if package.is_empty() { path.clone() } else { format!("{package}/{path}") };
            let rest = whole.strip_prefix(removed);
            !seen.contains(path)
                && rest.is_some_and(|rest| removed.is_empty() || rest.is_empty() || rest.starts_with('/'))
        };
        let gone: Vec<String> = self.files.keys().filter(|path| is_removed(path)).cloned().collect();
        for path in gone {
            let file = self.folder.join(&path);
            fs::remove_file(&file).map_err(|cause| ArchiveError::Write { path: file.clone(), cause })?;
            // A file may come where a folder was; one that is not empty stays.
            let above = file.ancestors().skip(1).take_while(|folder| **folder != self.folder);
            above.take_while(|folder| fs::remove_dir(folder).is_ok()).for_each(drop);
            self.kept_bytes -= self.files.remove(&path).map_or(0, |written| written.size);
        }
        if self.files.is_empty() {
            self.package = None;
        }
        Ok(())
    }

    fn write(&mut self, path: &str, size: u64, data: &mut impl Read, fault: &Fault) -> Result<Written, ArchiveError> {
        let limits = &self.limits;
        let replaced = self.files.get(path).map(|written| written.size);
        if replaced.is_none() && self.files.len() >= limits.files {
            return Err(ArchiveError::TooMuch { what: "files in profiles/ and charts/", limit: limits.files as u64 });
        }
        if size > limits.file_bytes {
            return Err(ArchiveError::TooMuch { what: "bytes in a file", limit: limits.file_bytes });
        }
        self.kept_bytes = self.kept_bytes - replaced.unwrap_or_default() + size;
        if self.kept_bytes > limits.kept_bytes {
            return Err(ArchiveError::TooMuch { what: "bytes in profiles/ and charts/", limit: limits.kept_bytes });
        }
        let file = self.folder.join(path);
        let mut out = create(&file, path, replaced.is_some())?;
        let wrong = |cause| ArchiveError::Write { path: file.clone(), cause };
        let (mut hasher, mut written) = (Sha256::new(), 0);
        let mut buffer = vec![0_u8; 32 << 10];
        loop {
            let read = data.read(&mut buffer).map_err(|error| fault.explain(&error))?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            out.write_all(bytes).map_err(wrong)?;
            written += bytes.len() as u64;
        }
        if written != size {
            return Err(ArchiveError::Truncated);
        }
        out.sync_all().map_err(wrong)?;
        Ok(Written { size, sha256: Digest::of_hasher(hasher) })
    }

    /// What was written.
    ///
    /// # Errors
    /// It is not a package.
    pub(super) fn finish(self) -> Result<BTreeMap<String, Written>, ArchiveError> {
        for part in ["profiles", "charts"] {
            let has = |path: &String| path.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'));
            if !self.files.keys().any(has) {
                return Err(ArchiveError::NoPackage(part));
            }
        }
        sync_folders(&self.folder).map_err(|cause| ArchiveError::Write { path: self.folder, cause })?;
        Ok(self.files)
    }
}

/// Opens a file that is not there yet, or that an earlier layer has written.
fn create(file: &Path, path: &str, is_replaced: bool) -> Result<File, ArchiveError> {
    let wrong = |cause: io::Error| match cause.kind() {
        // A file stands where a folder is to be, or the other way round.
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            ArchiveError::Twice { path: path.to_owned() }
        }
        _ => ArchiveError::Write { path: file.to_owned(), cause },
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    if is_replaced {
        fs::remove_file(file).map_err(wrong)?;
    }
    OpenOptions::new().write(true).create_new(true).open(file).map_err(wrong)
}

/// Has the disk keep which files are in a folder and in those below it.
pub(super) fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

/// What something is that is not an archive.
fn what_it_is(first: &[u8]) -> &'static str {
    let starts = |with: &[u8]| first.starts_with(with);
    match first {
        [] => "empty",
        _ if starts(&[0x28, 0xb5, 0x2f, 0xfd]) => "zstd, which is not supported; compress it with gzip",
        _ if starts(b"BZh") => "bzip2, which is not supported; compress it with gzip",
        _ if starts(&[0xfd, b'7', b'z', b'X', b'Z']) => "xz, which is not supported; compress it with gzip",
        _ if starts(b"PK") => "zip, which is not supported; take the .tar.gz of the release",
        _ if first.trim_ascii_start().starts_with(b"<") => "a web page; check the address",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests;
