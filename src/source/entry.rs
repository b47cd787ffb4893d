//! The entries of a tar archive: what a header and those that extend it say, with nothing taken on trust.
//!
//! The crate `tar` reads long names into memory however long they are, so extending headers are read here, within limits.

use super::archive_error::ArchiveError;
use super::limits::Limits;
use super::stream::Fault;
use std::io::Read;
use tar::EntryType;

/// Bytes of a pax header, which says of a file whatever somebody has thought of.
const LONGEST_EXTENSION: u64 = 64 << 10;

/// An entry.
pub(super) struct Entry {
    /// Its path, checked.
    pub(super) segments: Vec<String>,
    /// What it is.
    pub(super) kind: EntryKind,
    /// Bytes of its content.
    pub(super) size: u64,
}

/// What an entry is.
pub(super) enum EntryKind {
    File,
    Directory,
    /// A link, a device: named for the error.
    Other(&'static str),
}

/// What extending headers have said of the next entry.
pub(super) struct Headers {
    longest: u64,
    path: Option<Vec<u8>>,
    is_sparse: bool,
    size: Option<u64>,
}

impl Headers {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { longest: limits.path_bytes as u64, path: None, is_sparse: false, size: None }
    }

    /// The entry that a header is of; `None` if it only extends the next one, or belongs to no entry.
    pub(super) fn entry(
        &mut self,
        raw: &mut tar::Entry<'_, impl Read>,
        fault: &Fault,
    ) -> Result<Option<Entry>, ArchiveError> {
        let header = raw.header().clone();
        let size = header.entry_size().map_err(|error| ArchiveError::Broken(error.to_string()))?;
        match header.entry_type() {
            EntryType::GNULongName => {
                let name = read(raw, size, ("bytes in a path", self.longest + 1), fault)?;
                self.path = Some(until_nul(&name).to_vec());
                return Ok(None);
            }
            EntryType::XHeader => {
                let text = read(raw, size, ("bytes in a pax header", LONGEST_EXTENSION), fault)?;
                self.extend(&text)?;
                return Ok(None);
            }
            // A link's target, which nobody follows; what holds for all entries, such as a comment.
            EntryType::GNULongLink | EntryType::XGlobalHeader => return Ok(None),
            _ => {}
        }
        let path = self.path.take().unwrap_or_else(|| header.path_bytes().into_owned());
        let (said, is_sparse) = (self.size.take(), std::mem::take(&mut self.is_sparse));
        let shown = String::from_utf8_lossy(&path).chars().take(200).collect::<String>();
        if said.is_some_and(|said| said != size) {
            return Err(ArchiveError::Path { path: shown, problem: "has two sizes" });
        }
        if path.len() as u64 > self.longest {
            return Err(ArchiveError::TooMuch { what: "bytes in a path", limit: self.longest });
        }
        let segments = segments(&path).map_err(|problem| ArchiveError::Path { path: shown, problem })?;
        let kind = if is_sparse { EntryKind::Other("a sparse file") } else { kind(header.entry_type(), &path) };
        Ok(Some(Entry { segments, kind, size }))
    }

    /// Takes what a pax header says: records of length, key and value.
    fn extend(&mut self, text: &[u8]) -> Result<(), ArchiveError> {
        let broken = || ArchiveError::Broken("a pax header cannot be read".to_owned());
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.iter().take(12).take_while(|b| b.is_ascii_digit()).count();
            let number = rest.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
            let record = number.and_then(|length| rest.get(..length)).ok_or_else(broken)?;
            let pair = record.get(digits + 1..).and_then(|pair| pair.strip_suffix(b"\n")).ok_or_else(broken)?;
            let at = pair.iter().position(|b| *b == b'=').ok_or_else(broken)?;
            let (key, value) = pair.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or_else(broken)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
            rest = rest.get(record.len()..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Reads what extends a header: so many bytes, of at most so many of these.
fn read(
    raw: &mut impl Read,
    size: u64,
    (what, limit): (&'static str, u64),
    fault: &Fault,
) -> Result<Vec<u8>, ArchiveError> {
    if size > limit {
        return Err(ArchiveError::TooMuch { what, limit });
    }
    let mut bytes = vec![];
    raw.take(size).read_to_end(&mut bytes).map_err(|error| fault.explain(&error))?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(ArchiveError::Truncated) }
}

fn kind(kind: EntryType, path: &[u8]) -> EntryKind {
    match kind {
        // Old archives have folders as files whose names end in a slash.
        EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => EntryKind::Directory,
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Other("a symbolic link"),
        EntryType::Link => EntryKind::Other("a hard link"),
        EntryType::Char | EntryType::Block => EntryKind::Other("a device"),
        EntryType::Fifo => EntryKind::Other("a named pipe"),
        EntryType::GNUSparse => EntryKind::Other("a sparse file"),
        _ => EntryKind::Other("something of an unknown kind"),
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// The segments of a path that names the same file everywhere; otherwise, what is wrong with it.
fn segments(path: &[u8]) -> Result<Vec<String>, &'static str> {
    let text = std::str::from_utf8(path).map_err(|_| "is not UTF-8")?;
    if text.starts_with('/') {
        return Err("is absolute");
    }
    if text.chars().any(char::is_control) {
        return Err("has control characters");
    }
    let mut segments = vec![];
    for segment in text.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        let drive = segment.as_bytes();
        match segment {
            ".." => return Err("leads out of the archive"),
            _ if segment.contains('\\') => return Err("has a backslash"),
            _ if matches!(drive, [letter, b':', ..] if letter.is_ascii_alphabetic()) => return Err("names a drive"),
            _ => segments.push(segment.to_owned()),
        }
    }
    Ok(segments)
}

/// The path that an entry of a later layer of an image removes from the earlier ones: its own with `.wh.` before the name, or
/// all of the folder with `.wh..wh..opq` in it (OCI image specification, "Whiteouts").
pub(super) fn removed_path(segments: &[String]) -> Option<String> {
    let (name, folder) = segments.split_last()?;
    match name.strip_prefix(".wh.")? {
        ".wh..opq" => Some(folder.join("/")),
        name => Some([folder, &[name.to_owned()]].concat().join("/")),
    }
}

/// Where the package of a path lies, and the path in it: below `profiles` or `charts`, in `manifests` or at most one folder
/// deep.
pub(super) fn package_path(segments: &[String]) -> Option<(&[String], &[String])> {
    let is_part = |at: usize| {
        let name = segments.get(at).map(String::as_str);
        let above = at.checked_sub(1).and_then(|at| segments.get(at)).map(String::as_str);
        matches!(name, Some("profiles" | "charts")) && (at <= 1 || above == Some("manifests"))
    };
    let at = (0..segments.len()).find(|at| is_part(*at))?;
    segments.split_at_checked(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let refused: &[(&[u8], &str)] = &[
            (b"/etc/passwd", "absolute"),
            (b"a/../../b", "leads out"),
            (b"..", "leads out"),
            (b"a\\..\\b", "backslash"),
            (b"C:/a", "drive"),
            (b"a/c:b", "drive"),
            (b"a\nb", "control"),
            (b"a\0b", "control"),
            (b"\xff", "UTF-8"),
        ];
        for (path, word) in refused {
            let problem = segments(path).unwrap_err();
            assert!(problem.contains(word), "{path:?}: {problem}");
        }
        assert_eq!(segments(b"./a//b/./c.yaml").unwrap(), ["a", "b", "c.yaml"]);
        assert_eq!(segments(b"a..b/...").unwrap(), ["a..b", "..."]);
    }

    #[test]
    fn a_package_is_found_wherever_its_manifests_lie() {
        let found = |path: &str| {
            let segments = segments(path.as_bytes()).unwrap();
            package_path(&segments).map(|(package, path)| (package.join("/"), path.join("/")))
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(found("istio-1.30.3/manifests/profiles/a.yaml"), pair("istio-1.30.3/manifests", "profiles/a.yaml"));
        assert_eq!(
            found("var/lib/istio/manifests/charts/a/charts/b"),
            pair("var/lib/istio/manifests", "charts/a/charts/b")
        );
        assert_eq!(found("./profiles/a.yaml"), pair("", "profiles/a.yaml"));
        assert_eq!(found("package/charts/a"), pair("package", "charts/a"));
        for other in ["istio-1.30.3/samples/charts/a", "istio-1.30.3/manifests/helm-profiles/a", "bin/istioctl", ""] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_pax_header_is_read_record_by_record() {
        let mut headers = Headers::new(&Limits::default());
        headers.extend(b"30 mtime=1700000000.000000000\n18 path=a/b=c.yaml\n11 size=12\n").unwrap_err();
        headers.extend(b"17 path=a/b=c.yaml\n").unwrap_err();
        headers.extend(b"18 path=a/b=c.yaml\n11 size=12\n").unwrap_err();
        let record = |key: &str, value: &str| {
            let length = key.len() + value.len() + 3;
            let length = (length + 2).max(length + (length + 2).to_string().len());
            format!("{length} {key}={value}\n")
        };
        let text = record("path", "folder/b=c.yaml") + &record("size", "1234567") + &record("comment", "something");
        headers.extend(text.as_bytes()).unwrap();
        assert_eq!((headers.path.as_deref(), headers.size), (Some(&b"folder/b=c.yaml"[..]), Some(1_234_567)));
    }
}
