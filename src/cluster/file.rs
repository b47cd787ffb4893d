//! Small files with credentials or CA certificates, read as a whole and up to a limit.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// More than any certificate, key or token has.
pub(super) const SMALL: u64 = 4 << 20;

/// Whatever a path leads to, which may wait for somebody.
///
/// # Errors
/// It cannot be read, or has more bytes than `most`.
pub(super) fn read(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")))
}

/// The same of text.
///
/// # Errors
/// As above, or it is not valid UTF-8.
pub(super) fn read_text(path: impl AsRef<Path>, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8"))
}

/// A small file that may be read as often as one likes.
///
/// # Errors
/// As above, or it is a pipe, a device or the like.
pub(super) fn read_again(path: &str) -> io::Result<Vec<u8>> {
    if is_stream(path) {
        return Err(io::Error::other("it is not a regular file"));
    }
    read(path, SMALL)
}

/// Whether it is a pipe, a device or the like, which may be read once only.
pub(super) fn is_stream(path: &str) -> bool {
    !path.is_empty() && fs::metadata(path).is_ok_and(|told| !told.is_file() && !told.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_never_ends_is_given_up_and_never_read_twice() {
        assert_eq!(read("/dev/zero", 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(is_stream("/dev/null") && !is_stream("/dev") && !is_stream("") && !is_stream("/nowhere"));
        assert!(read_again("/dev/null").unwrap_err().to_string().contains("not a regular file"));
        assert_eq!(read("/dev/null", 0).unwrap(), b"");
    }
}
