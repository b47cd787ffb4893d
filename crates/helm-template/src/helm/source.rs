//! Where the files of a chart come from: a directory, a `.tgz` archive, or memory.
//!
//! In: a path or bytes. Out: [`ChartFile`]s named relative to the chart with `/`, byte order marks removed, in name
//! order. Guarantees: no name leaves the chart, no file is larger than 5 MiB, a chart has at most 100 MiB in 50000 files. What
//! archives within an archive unpack to counts too, and so does what a directory holds, links followed.

use super::ignore::Rules;
use bytes::{Buf, Bytes};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The largest file of a chart, in bytes.
pub const MAX_FILE: u64 = 5 * 1024 * 1024;
/// The largest unpacked archive, in bytes.
pub const MAX_ARCHIVE: u64 = 100 * 1024 * 1024;

/// The most files of a chart, its subcharts' included.
const MAX_FILES: usize = 50_000;

/// How often `.helmignore`'s rules may be held against files.
const MAX_COMPARISONS: usize = 500_000;

/// What may still be read of a chart.
#[derive(Debug)]
pub struct Room {
    bytes: u64,
    files: usize,
    comparisons: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: MAX_ARCHIVE, files: MAX_FILES, comparisons: MAX_COMPARISONS }
    }
}

impl Room {
    /// Counts a file.
    fn take(&mut self, bytes: u64) -> Result<(), SourceError> {
        self.bytes = self.bytes.checked_sub(bytes).filter(|left| *left > 0).ok_or(SourceError::TooLarge)?;
        self.files = self.files.checked_sub(1).ok_or(SourceError::TooManyFiles)?;
        Ok(())
    }
}

/// The byte order mark.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// One file of a chart.
#[derive(Debug, Clone)]
pub struct ChartFile {
    /// Path relative to the chart, parts separated by `/`.
    pub name: String,
    /// Content, shared by all copies.
    pub data: Bytes,
}

impl ChartFile {
    /// A file, its byte order mark removed.
    #[must_use]
    pub fn new(name: impl Into<String>, data: impl Into<Bytes>) -> Self {
        let mut data = data.into();
        if data.starts_with(MARK) {
            data.advance(MARK.len());
        }
        Self { name: name.into(), data }
    }
}

/// Why the files of a chart could not be read; the texts are Helm's.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path cannot be opened.
    #[error("{op} {}: {}", path.display(), os_text(error))]
    Open {
        /// The failed call, as Go names it.
        op: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// A link that leads nowhere.
    #[error("error evaluating symlink {}: lstat {}: {}", path.display(), target.display(), os_text(error))]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// The ignore file is wrong.
    #[error(transparent)]
    Ignore(#[from] super::ignore::IgnoreError),
    /// A socket, device or pipe inside a chart.
    #[error("cannot load irregular file {} as it has file mode type bits set", .0.display())]
    Irregular(PathBuf),
    /// A file over [`MAX_FILE`] in a directory.
    #[error("chart file {0:?} is larger than the maximum file size {MAX_FILE}")]
    FileTooLarge(String),
    /// More than [`MAX_ARCHIVE`] in all.
    #[error("decompressed chart is larger than the maximum file size {MAX_ARCHIVE}")]
    TooLarge,
    /// More than `MAX_FILES`.
    #[error("the chart has more than {MAX_FILES} files; keep what is not part of it out of its directory")]
    TooManyFiles,
    /// More than `MAX_COMPARISONS`.
    #[error(".helmignore has too many rules for so many files; use fewer of either")]
    TooManyRules,
    /// Anything wrong with an archive.
    #[error("{0}")]
    Archive(String),
}

impl SourceError {
    /// Whether reading the same path again may succeed though nobody changes what is there: the system could not answer, for
    /// want of descriptors or memory, or because a disk or a file server is away. For all else the files must change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Open { error, .. } | Self::Link { error, .. } => !is_about_the_file(error.kind()),
            Self::Ignore(_)
            | Self::Irregular(_)
            | Self::FileTooLarge(_)
            | Self::TooLarge
            | Self::TooManyFiles
            | Self::TooManyRules
            | Self::Archive(_) => false,
        }
    }
}

/// Whether the system says what the path is, and not that it cannot say.
fn is_about_the_file(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::FileTooLarge
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidData
            | ErrorKind::Unsupported
    )
}

/// A system error as Go words it: lower case, without the number.
#[must_use]
pub fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Files, and what Helm would log while reading them.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The files.
    pub files: Vec<ChartFile>,
    /// Log lines.
    pub warnings: Vec<String>,
}

/// Reads a chart from a directory or an archive file.
///
/// # Errors
/// What cannot be read, and what breaks a limit.
pub fn read_path(path: &Path, room: &mut Room) -> Result<Loaded, SourceError> {
    let kind = fs::metadata(path).map_err(|error| SourceError::Open { op: "stat", path: path.into(), error })?;
    if kind.is_dir() { read_directory(path, room) } else { read_archive_file(path, kind.len(), room) }
}

fn read_archive_file(path: &Path, length: u64, room: &mut Room) -> Result<Loaded, SourceError> {
    if length > MAX_ARCHIVE {
        return Err(SourceError::TooLarge);
    }
    let bytes = fs::read(path).map_err(|error| SourceError::Open { op: "open", path: path.into(), error })?;
    if !bytes.starts_with(b"\x1F\x8B\x08") {
        let name = path.display();
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        return Err(SourceError::Archive(if is_yaml {
            format!("file '{name}' seems to be a YAML file, but expected a gzipped archive")
        } else {
            format!("file '{name}' does not appear to be a gzipped archive; got '{}'", content_type(&bytes))
        }));
    }
    Ok(Loaded { files: read_archive(&bytes, room)?, warnings: Vec::new() })
}

/// The two answers of Go's content sniffing that matter here.
fn content_type(bytes: &[u8]) -> &'static str {
    let head = bytes.get(..512).unwrap_or(bytes);
    let binary = |b: &u8| matches!(b, 0..=8 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F);
    // Go looks at a buffer of 512 bytes that is filled up with zeros.
    if head.len() < 512 || head.iter().any(binary) { "application/octet-stream" } else { "text/plain; charset=utf-8" }
}

fn read_directory(path: &Path, room: &mut Room) -> Result<Loaded, SourceError> {
    let path = std::path::absolute(path).map_err(|error| SourceError::Open { op: "stat", path: path.into(), error })?;
    let rules = Rules::parse(&String::from_utf8_lossy(&read_ignore_file(path.join(".helmignore"))?))?;
    let mut loaded = Loaded::default();
    // Helm starts at `root/`, so a root that is itself a link is followed silently.
    walk(&path, "", &rules, &mut loaded, room)?;
    Ok(loaded)
}

/// The content of an ignore file, empty if there is none. One that cannot be read is an error, lest what it keeps out gets in.
fn read_ignore_file(path: PathBuf) -> Result<Vec<u8>, SourceError> {
    match fs::metadata(&path) {
        Ok(file) if file.len() > MAX_FILE => Err(SourceError::FileTooLarge(".helmignore".to_owned())),
        Ok(file) => {
            // Go opens a directory, and fails when it reads.
            let op = if file.is_dir() { "read" } else { "open" };
            fs::read(&path).map_err(|error| SourceError::Open { op, path, error })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(SourceError::Open { op: "stat", path, error }),
    }
}

/// Adds what lies in a directory, in name order, following links.
fn walk(dir: &Path, prefix: &str, rules: &Rules, loaded: &mut Loaded, room: &mut Room) -> Result<(), SourceError> {
    let failed = |path: &Path, op| {
        let path = path.to_owned();
        move |error| SourceError::Open { op, path, error }
    };
    let mut names = fs::read_dir(dir)
        .map_err(failed(dir, "open"))?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed(dir, "open"))?;
    names.sort();
    for name in names {
        let path = dir.join(&name);
        let relative = format!("{prefix}{}", name.to_string_lossy());
        let mut kind = fs::symlink_metadata(&path).map_err(failed(&path, "lstat"))?;
        if kind.is_symlink() {
            let target = fs::canonicalize(&path).map_err(|error| {
                let target = fs::read_link(&path).map_or_else(|_| path.clone(), |target| dir.join(target));
                SourceError::Link { path: path.clone(), target, error }
            })?;
            loaded.warnings.push(format!(
                "walk.go:75: found symbolic link in path: {} resolves to {}. Contents of linked file included and used",
                path.display(),
                target.display()
            ));
            kind = fs::metadata(&target).map_err(failed(&target, "lstat"))?;
        }
        room.comparisons = room.comparisons.checked_sub(rules.cost(&relative)).ok_or(SourceError::TooManyRules)?;
        if rules.ignores(&relative, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            // Links may lead round and round.
            room.take(0)?;
            walk(&path, &format!("{relative}/"), rules, loaded, room)?;
            continue;
        }
        if !kind.is_file() {
            return Err(SourceError::Irregular(path));
        }
        if kind.len() > MAX_FILE {
            return Err(SourceError::FileTooLarge(name.to_string_lossy().into_owned()));
        }
        room.take(kind.len())?;
        loaded.files.push(ChartFile::new(relative, fs::read(&path).map_err(failed(&path, "open"))?));
    }
    Ok(())
}

/// Unpacks a gzipped tar archive in memory; the first part of every name is dropped.
///
/// # Errors
/// A name that leaves the chart, a broken archive, or one over the limits.
pub fn read_archive(bytes: &[u8], room: &mut Room) -> Result<Vec<ChartFile>, SourceError> {
    let wrong = |e: std::io::Error| SourceError::Archive(archive_text(bytes, &e));
    // Padding and headers count too, so that an archive of nothing but headers ends as well.
    let unzipped = flate2::read::MultiGzDecoder::new(bytes).take(room.bytes + room.files as u64 * 1024);
    let mut archive = tar::Archive::new(Names { archive: unzipped, header: Vec::new(), content: 0 });
    let mut files = Vec::new();
    for entry in archive.entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if raw.ends_with('/') {
            continue;
        }
        let name = inner_name(&raw).map_err(SourceError::Archive)?;
        let size = entry.header().size().map_err(wrong)?;
        if size > room.bytes {
            return Err(SourceError::TooLarge);
        }
        if size > MAX_FILE {
            return Err(SourceError::Archive(format!(
                "decompressed chart file {raw:?} is larger than the maximum file size {MAX_FILE}"
            )));
        }
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(wrong)?;
        room.take((data.len() + name.len()) as u64)?;
        // Without the room that it grew into.
        files.push(ChartFile::new(name, data.into_boxed_slice()));
    }
    if files.is_empty() { Err(SourceError::Archive("no files in chart archive".to_owned())) } else { Ok(files) }
}

/// The bytes of an archive, in which no name is longer than any path: the reader of archives takes names into memory as
/// they are, before anybody sees them.
struct Names<R> {
    archive: R,
    /// What there is of the header being read.
    header: Vec<u8>,
    /// Bytes up to the next header.
    content: u64,
}

impl<R: Read> Read for Names<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.archive.read(buffer)?;
        self.check(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

impl<R> Names<R> {
    fn check(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        const HEADER: usize = 512;
        const LONGEST: u64 = 64 << 10;
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.content).unwrap_or(usize::MAX).min(bytes.len());
            self.content -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let taken = bytes.len().min(HEADER - self.header.len());
            let (part, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
            self.header.extend_from_slice(part);
            bytes = rest;
            if self.header.len() < HEADER {
                continue;
            }
            let header = tar::Header::from_byte_slice(&self.header);
            let (kind, size) = (header.entry_type(), header.entry_size().unwrap_or(0));
            let names = kind.is_gnu_longname() || kind.is_gnu_longlink();
            if size > LONGEST && (names || kind.is_pax_global_extensions() || kind.is_pax_local_extensions()) {
                return Err(std::io::Error::other(format!("a name in the archive is longer than {LONGEST} bytes")));
            }
            self.content = size.checked_next_multiple_of(HEADER as u64).unwrap_or(u64::MAX);
            self.header.clear();
        }
        Ok(())
    }
}

/// What Go says of a broken archive.
fn archive_text(bytes: &[u8], error: &std::io::Error) -> String {
    let text = error.to_string();
    if bytes.is_empty() {
        "EOF".to_owned()
    } else if bytes.len() < 10 || error.kind() == ErrorKind::UnexpectedEof || text.contains("incomplete") {
        "unexpected EOF".to_owned()
    } else if !bytes.starts_with(b"\x1F\x8B") {
        "gzip: invalid header".to_owned()
    } else {
        text
    }
}

/// The name inside the chart of a name in an archive.
fn inner_name(raw: &str) -> Result<String, String> {
    let delimiter = if raw.contains('\\') { '\\' } else { '/' };
    let (first, rest) = raw.split_once(delimiter).unwrap_or((raw, ""));
    let name = rest.replace(delimiter, "/");
    if name.starts_with('/') {
        return Err("chart illegally contains absolute paths".to_owned());
    }
    let name = clean(&name);
    if name.is_empty() {
        return Err(format!("chart illegally contains content outside the base directory: {raw:?}"));
    }
    if name.starts_with("..") {
        return Err("chart illegally references parent directory".to_owned());
    }
    let mut chars = name.chars();
    if chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.as_str().starts_with(":/") {
        return Err("chart contains illegally named files".to_owned());
    }
    if first == "Chart.yaml" {
        return Err("chart yaml not in base directory".to_owned());
    }
    Ok(name)
}

/// Go's `path.Clean` for a relative path, but with an empty text instead of `.`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(names: &[&str]) -> Vec<u8> {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(1);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, &b"x"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn the_first_part_of_a_name_is_dropped() {
        let files =
            read_archive(&archive(&["c/Chart.yaml", "/values.yaml", "c\\templates\\a"]), &mut Room::default()).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["Chart.yaml", "values.yaml", "templates/a"]);
    }

    #[test]
    fn what_the_system_could_not_answer_may_be_asked_again() {
        for (kind, retryable) in [
            (ErrorKind::Interrupted, true),
            (ErrorKind::OutOfMemory, true),
            (ErrorKind::StaleNetworkFileHandle, true),
            (ErrorKind::Other, true),
            (ErrorKind::NotFound, false),
            (ErrorKind::PermissionDenied, false),
            (ErrorKind::InvalidInput, false),
        ] {
            let open = SourceError::Open { op: "open", path: "c".into(), error: kind.into() };
            let link = SourceError::Link { path: "c".into(), target: "d".into(), error: kind.into() };
            assert_eq!([open, link].map(|e| e.is_retryable()), [retryable; 2], "{kind:?}");
        }
        assert!(!SourceError::TooManyFiles.is_retryable());
    }

    #[test]
    fn an_ignore_file_that_cannot_be_read_is_no_empty_one() {
        let chart = tempfile::tempdir().unwrap();
        let ignore = chart.path().join(".helmignore");
        assert!(read_ignore_file(ignore.clone()).unwrap().is_empty());
        fs::create_dir(&ignore).unwrap();
        let error = read_path(chart.path(), &mut Room::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("read {}: is a directory", ignore.display()));
    }

    #[test]
    fn names_that_leave_the_chart_are_refused() {
        for (name, want) in [
            ("../../x", "chart illegally references parent directory"),
            ("./../../x", "chart illegally references parent directory"),
            ("\\..\\..\\foo", "chart illegally references parent directory"),
            ("./.", "chart illegally contains content outside the base directory: \"./.\""),
            ("missing", "chart illegally contains content outside the base directory: \"missing\""),
            ("//foo", "chart illegally contains absolute paths"),
            ("\\\\foo", "chart illegally contains absolute paths"),
            ("/./c://foo", "chart contains illegally named files"),
        ] {
            assert_eq!(read_archive(&archive(&[name]), &mut Room::default()).unwrap_err().to_string(), want, "{name}");
        }
    }
}
