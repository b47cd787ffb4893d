//! Why a release package cannot be had.

use super::archive_error::ArchiveError;
use super::digest::Digest;
use super::location::LocationError;
use super::policy::Refusal;
use crate::cluster::proxy_rules::ProxyError;
use crate::failure::{Retry, causes};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a release package cannot be had. Addresses in it have neither user nor query.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The text is not a location.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Nobody has allowed it.
    #[error("release package {0}")]
    Refused(#[from] Refusal),
    /// There is no connection.
    #[error("release package {address}: cannot be reached: {cause}; check the address, the network and HTTPS_PROXY")]
    Unreachable {
        /// What was asked.
        address: String,
        /// Why.
        #[source]
        cause: Unreached,
    },
    /// The server cannot be trusted.
    #[error("release package {address}: no trusted connection: {cause}; give the server's CA with --ca-bundle")]
    Tls {
        /// What was asked.
        address: String,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// It took too long.
    #[error("release package {address}: {what} took longer than {limit:?}")]
    TimedOut {
        /// What was asked.
        address: String,
        /// What was waited for.
        what: &'static str,
        /// How long at most.
        limit: Duration,
    },
    /// It came to an end before its end.
    #[error("release package {address}: the connection was lost after {bytes} bytes: {cause}")]
    Interrupted {
        /// What was asked.
        address: String,
        /// How much had come.
        bytes: u64,
        /// Why.
        #[source]
        cause: Interruption,
    },
    /// The server will not say.
    #[error("release package {address}: the server answered {status}")]
    Status {
        /// What was asked.
        address: String,
        /// What it answered.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server knows of no such thing.
    #[error("release package {address}: there is none (the server answered {status}); check the address")]
    Absent {
        /// What was asked.
        address: String,
        /// What it answered.
        status: u16,
    },
    /// The server wants to know who asks, or does not want this one to have it.
    #[error("release package {address}: access denied: {cause}; check the pull credentials")]
    Denied {
        /// What was asked.
        address: String,
        /// What it answered.
        #[source]
        cause: Denial,
    },
    /// A redirect that is not followed.
    #[error("release package {address}: {problem}")]
    Redirect {
        /// What was asked.
        address: String,
        /// What is wrong with where it leads.
        problem: String,
    },
    /// A registry that does not do what registries do, or has something else.
    #[error("release package {address}: {problem}")]
    Registry {
        /// What was asked.
        address: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// Something else than was wanted.
    #[error("release package {address}: its digest is {found}, not {expected}{}", if *is_pin { "; check who changed it, then change the pin" } else { "" })]
    Digest {
        /// What was asked.
        address: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
        /// Whether the location says what it should be; otherwise the registry does.
        is_pin: bool,
    },
    /// The archive is broken, dangerous, or another's.
    #[error("release package {address}: {cause}")]
    Archive {
        /// Where it came from.
        address: String,
        /// Why.
        cause: ArchiveError,
    },
    /// A directory that is not a release package.
    #[error("release package {}: {problem}; it must be a directory with profiles/ and charts/, or with manifests/ that has them", path.display())]
    Directory {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An archive on disk that cannot be read.
    #[error("release package {}: {cause}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Something else than the version of a release.
    #[error("release {version:?} is not a valid version; write one such as 1.30.3")]
    Version {
        /// As it was asked for.
        version: String,
    },
    /// A release that nobody has.
    #[error("release {version:?}: {problem}")]
    Release {
        /// As it was asked for.
        version: String,
        /// What is wrong.
        problem: String,
    },
    /// Another release than was asked for.
    #[error("release package {address}: it is of release {found}, not {expected}; check the location")]
    OtherRelease {
        /// Where it came from.
        address: String,
        /// As it was asked for.
        expected: String,
        /// As its default profile says.
        found: String,
    },
    /// The cache cannot be used.
    #[error("release package cache {}: {cause}; it must be a folder that can be written (see --cache-dir)", path.display())]
    Cache {
        /// Where it is.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// No certificates to check servers with.
    #[error("certificates to check servers with: {problem}")]
    Certificates {
        /// What is wrong.
        problem: String,
    },
    /// A proxy that cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Credentials that cannot be read.
    #[error("pull credentials: {problem}; they must be a kubernetes.io/dockerconfigjson document")]
    Credentials {
        /// What is wrong.
        problem: String,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// Nobody answers, or what answers is no server of HTTP.
    #[error("{}", causes(.0.as_ref()))]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// The same, on the way through a proxy.
    #[error("by the proxy {name}: {}", causes(source.as_ref()))]
    ByProxy {
        /// Its host.
        name: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is nothing that it could be asked by.
    #[error(transparent)]
    Runtime(io::Error),
    /// What asked has ended.
    #[error("the thread that fetches it has ended before its work")]
    Thread,
}

/// Why an answer came to an end before its end.
#[derive(Debug, thiserror::Error)]
pub enum Interruption {
    /// The connection was lost.
    #[error("{}", causes(.0))]
    Lost(#[from] hyper::Error),
    /// The server, which had not said how long it is, has closed the connection in the middle of it.
    #[error("the archive ends too early")]
    Truncated,
}

/// How a server says that it does not let us have something.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// By its status.
    #[error("the server answered {0}")]
    Status(u16),
    /// It wants to know who asks, and we have nothing to say.
    #[error("the server answered 401 and there are no credentials for it")]
    NoCredentials,
}

impl SourceError {
    /// When it is tried again. What somebody else can change without a trace here is looked at again later: servers, folders,
    /// and archives that are not what they should be.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Location(_) | Self::Version { .. } | Self::Refused(_) => Retry::OnChange,
            _ => Retry::Backoff,
        }
    }

    /// Whether the same may work in a moment, so that it is tried again at once.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Interrupted { .. } => true,
            Self::Digest { is_pin, .. } => !is_pin,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Whether what was there before will do meanwhile.
    pub(super) fn is_outage(&self) -> bool {
        self.is_transient() || matches!(self, Self::Tls { .. } | Self::Proxy(_) | Self::Certificates { .. })
    }

    /// One word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Location(_) | Self::Version { .. } => "ReleaseLocationInvalid",
            Self::Refused(_) => "ReleaseRefused",
            Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Certificates { .. }
            | Self::Proxy(_) => "ReleaseUnreachable",
            Self::Absent { .. } | Self::Release { .. } => "ReleaseNotFound",
            Self::OtherRelease { .. } => "ReleaseVersionMismatch",
            Self::Denied { .. } | Self::Credentials { .. } => "ReleaseAccessDenied",
            Self::Digest { .. } => "ReleaseDigestMismatch",
            Self::Archive { .. } | Self::Registry { .. } => "ReleaseBroken",
            Self::Directory { .. } | Self::File { .. } | Self::Cache { .. } => "ReleaseUnreadable",
        }
    }
}
