//! Why a resource cannot have its release package.

use crate::cluster::ClusterError;
use crate::failure::Retry;
use crate::release::ReleaseError;
use crate::source::SourceError;

/// Why a resource cannot have its release package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// It cannot be fetched, or may not.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is fetched, and that takes its time.
    #[error("release package {0}: it is being fetched")]
    Fetching(String),
    /// It is not a package, or is broken.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The Secret with the credentials cannot be used.
    #[error("pull credentials: Secret {secret}: {what}")]
    PullSecret {
        /// Namespace and name.
        secret: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The API server cannot be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The process ends.
    #[error("opening the release package did not finish")]
    Interrupted,
}

impl PackageError {
    /// When it is tried again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Source(error) => error.retry(),
            _ => Retry::Backoff,
        }
    }

    /// One word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Source(error) => error.reason(),
            Self::Release(error) => error.reason(),
            Self::PullSecret { .. } => "ReleaseAccessDenied",
            Self::Fetching(_) => "Waiting",
            Self::Cluster(error) => error.reason(),
            Self::Interrupted => "Interrupted",
        }
    }

    /// Whether nobody has it, as far as is known.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        use SourceError::{Absent, OtherRelease, Release};
        matches!(self, Self::Source(Release { .. } | Absent { .. } | OtherRelease { .. }))
    }
}
