//! Why an archive is not a release package.

use std::io;
use std::path::PathBuf;

/// Why an archive is not a release package.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Neither gzip nor tar.
    #[error("neither a gzip nor a tar archive, but {0}")]
    NoArchive(&'static str),
    /// Broken, or cut off.
    #[error("the archive is broken: {0}")]
    Broken(String),
    /// It ends before its end.
    #[error("the archive ends too early; it was not stored or sent to its end")]
    Truncated,
    /// More than is allowed.
    #[error("the archive has more than {limit} {what}")]
    TooMuch {
        /// What it has too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// A path that leads elsewhere, or that is not valid on every system.
    #[error("the archive has an entry with the path {path:?}, which {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What is neither a file nor a folder.
    #[error("the archive has {path:?} as {kind}; profiles and charts must be files and folders")]
    Kind {
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A file that is there twice.
    #[error("the archive has {path:?} twice, or both as file and as folder")]
    Twice {
        /// Its path.
        path: String,
    },
    /// Two packages.
    #[error("the archive has two release packages, in {first:?} and in {second:?}; give one with a single one")]
    TwoPackages {
        /// Where the first is.
        first: String,
        /// Where the second is.
        second: String,
    },
    /// No package.
    #[error("the archive has no {0}/ in manifests/, so it is not a release of Istio")]
    NoPackage(&'static str),
    /// The disk refuses.
    #[error("write {}: {cause}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why it was not.
        cause: io::Error,
    },
    /// Nobody waits for it any more.
    #[error("it was given up")]
    GivenUp,
}
