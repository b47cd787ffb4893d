//! What can go wrong with a request.

use super::permissions;
use super::refusal::{self, Refusal};

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server does not serve the kind.
    #[error("the API server does not know kind {kind} of {api_version}")]
    UnknownKind {
        /// `group/version`
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// The API server refused, or could not be reached.
    #[error("{act} {object}: {}", brief(source))]
    Request {
        /// What was tried.
        act: &'static str,
        /// On what.
        object: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
}

/// The API server's own words, without the wrapping of the client.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl ClusterError {
    pub(crate) fn of(act: &'static str, object: &impl ToString, source: kube::Error) -> Self {
        Self::Request { act, object: object.to_string(), source: Box::new(source) }
    }

    /// The HTTP status, where the API server answered.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::UnknownKind { .. } => None,
        }
    }

    /// The permissions that were missing, such as `patch leases.coordination.k8s.io`; `None` if it failed otherwise.
    #[must_use]
    pub fn missing_permissions(&self) -> Option<Vec<String>> {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if status.code == 403 => permissions::missing(&status.message),
                _ => None,
            },
            Self::UnknownKind { .. } => None,
        }
    }

    /// Whether the object, or its kind, is not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::UnknownKind { .. }) || self.code() == Some(404)
    }

    /// What can be expected of the same request another time.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::UnknownKind { .. } => Refusal::Passing,
            Self::Request { source, .. } => refusal::of(source),
        }
    }
}
