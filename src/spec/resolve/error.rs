//! Why a request cannot be resolved.

use crate::failure::Retry;
use crate::spec::merge::MergeError;
use crate::spec::problem::{self, Kind, Problem};

/// Why a request cannot be resolved. Every message holds that of its cause.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The spec and the profile do not fit together.
    #[error("the spec cannot be merged with profile {profile}: {cause}")]
    Merge {
        /// The profile.
        profile: String,
        /// What does not fit.
        cause: MergeError,
    },
    /// The spec is wrong.
    #[error("{}", problem::list(.0))]
    Invalid(Vec<Problem>),
}

impl ResolveError {
    /// What is wrong, in one word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Merge { .. } => "ConflictingProfile",
            Self::Invalid(_) if self.retry() == Retry::Backoff => "UnreadableProfile",
            Self::Invalid(_) => "InvalidSpec",
        }
    }

    /// Whether the same spec may be resolved another time: where nothing but a file that cannot be read is in the way.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Invalid(problems) if problems.iter().all(|p| p.kind == Kind::Unreadable) => Retry::Backoff,
            Self::Invalid(_) | Self::Merge { .. } => Retry::OnChange,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_cannot_be_read_is_tried_again() {
        let problem = |kind| Problem { path: "spec".into(), message: "m".into(), location: None, kind };
        let retry = |kinds: &[Kind]| ResolveError::Invalid(kinds.iter().map(|kind| problem(*kind)).collect()).retry();
        assert_eq!(retry(&[Kind::Unreadable]), Retry::Backoff);
        assert_eq!(retry(&[Kind::Unreadable, Kind::Form]), Retry::OnChange);
        assert_eq!(retry(&[Kind::Content]), Retry::OnChange);
    }
}
