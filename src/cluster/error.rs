//! What can go wrong with a request.

use super::outage::is_unreachable;
use super::permissions;
use super::refusal::{self, Refusal};
use crate::failure::{Retry, causes, causes_up_to};
use kube::core::Status;
use std::error::Error;
use std::io;

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

/// The API server's own words, without the wrapping of the client; or why there are none.
#[must_use]
pub fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("{} {}", status.code, status.reason),
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::ReadEvents(_) => format!("the answer of the API server broke off: {}", innermost(error)),
        other if is_unreachable(other) => match innermost(other).as_str() {
            IN_TIME => "the API server did not answer in time".to_owned(),
            reason => format!("the API server cannot be reached: {reason}"),
        },
        kube::Error::Service(error) => causes(error.as_ref()),
        other => causes(other),
    }
}

/// What an error and its causes are, each told once and in brief: up to the first that tells all that it came from itself.
#[must_use]
pub fn told(error: &(dyn Error + 'static)) -> String {
    causes_up_to(error, |cause| {
        if cause.is::<ClusterError>() {
            return Some(cause.to_string());
        }
        let boxed = || cause.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
        cause.downcast_ref::<kube::Error>().or_else(boxed).map(brief)
    })
}

/// What [`innermost`] says where time was up.
pub const IN_TIME: &str = "no answer in time";

/// What an error comes down to.
#[must_use]
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let is_late = last.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
    if is_late || last.is::<tokio::time::error::Elapsed>() { IN_TIME.to_owned() } else { last.to_string() }
}

impl ClusterError {
    pub(crate) fn of(act: &'static str, object: &impl ToString, source: kube::Error) -> Self {
        Self::Request { act, object: object.to_string(), source: Box::new(source) }
    }

    fn answer(&self) -> Option<&Status> {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::UnknownKind { .. } => None,
        }
    }

    /// The HTTP status, where the API server answered.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.answer().map(|status| status.code)
    }

    /// What went wrong, in one word: that of Kubernetes where the API server answered.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownKind { .. } => "UnknownKind",
            Self::Request { .. } if self.refusal() == Refusal::Denied => "Denied",
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => reason_of_code(status.code),
                other if is_unreachable(other) => "Unreachable",
                _ => REQUEST_FAILED,
            },
        }
    }

    /// When the same request is sent again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.refusal() {
            Refusal::Never => Retry::OnChange,
            Refusal::Denied | Refusal::Passing => Retry::Backoff,
        }
    }

    /// The API server's own words, without what was tried on what.
    #[must_use]
    pub fn server_message(&self) -> String {
        match self {
            Self::Request { source, .. } => brief(source),
            Self::UnknownKind { .. } => self.to_string(),
        }
    }

    /// The permissions that were missing, such as `patch leases.coordination.k8s.io`; `None` if it failed otherwise.
    #[must_use]
    pub fn missing_permissions(&self) -> Option<Vec<String>> {
        self.answer().filter(|status| status.code == 403).and_then(|status| permissions::missing(&status.message))
    }

    /// The user who lacked permissions, as the API server knows whoever asked.
    #[must_use]
    pub fn refused_user(&self) -> Option<&str> {
        self.answer().filter(|status| status.code == 403).and_then(|status| permissions::who(&status.message))
    }

    /// The namespace that something was to be created in and that is not there.
    #[must_use]
    pub fn missing_namespace(&self) -> Option<&str> {
        let told = self.answer().filter(|status| status.code == 404)?.message.strip_prefix("namespaces \"")?;
        told.strip_suffix("\" not found")
    }

    /// The webhook that was asked and said no. The answer of the API server names it in its message only.
    #[must_use]
    pub fn denying_webhook(&self) -> Option<&str> {
        let (_, named) = self.answer()?.message.split_once("admission webhook \"")?;
        named.split_once("\" denied the request").map(|(webhook, _)| webhook)
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

    /// Whether the API server has said no, so that the same request is refused again until something changes; else it was not
    /// there, or did not decide.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refusal() != Refusal::Passing || self.code() == Some(403)
    }
}

/// The word for what has none of Kubernetes.
const REQUEST_FAILED: &str = "RequestFailed";

/// The reason of the `Status` with which the API server answers by this HTTP status. It stands in the answer as well, but as a
/// text of the server's, and labels of metrics have to be few.
fn reason_of_code(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => REQUEST_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> kube::Error {
        let status = Status { message: "pods is forbidden".to_owned(), code: 403, ..Status::default() };
        kube::Error::Api(Box::new(status))
    }

    fn answered(code: u16, message: &str) -> ClusterError {
        let status = Status::failure(message, "").with_code(code);
        ClusterError::of("apply", &"a", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn an_answer_has_the_word_of_kubernetes_and_says_when_it_is_asked_again() {
        let denied = "admission webhook \"rev.validation.istio.io\" denied the request: no";
        for (code, message, reason, retry) in [
            (401, "", "Unauthorized", Retry::Backoff),
            (403, "pods is forbidden", "Forbidden", Retry::Backoff),
            (404, "namespaces \"a\" not found", "NotFound", Retry::Backoff),
            (409, "the object has been modified", "Conflict", Retry::Backoff),
            (422, "spec.replicas: Invalid value: -1", "Invalid", Retry::OnChange),
            (400, "", "BadRequest", Retry::OnChange),
            (400, denied, "Denied", Retry::Backoff),
            (429, "", "TooManyRequests", Retry::Backoff),
            (500, "etcdserver: request timed out", "InternalError", Retry::Backoff),
            (500, "failed to create typed patch object: no", "InternalError", Retry::OnChange),
            (503, "", "ServiceUnavailable", Retry::Backoff),
            (504, "", "Timeout", Retry::Backoff),
            (418, "", "RequestFailed", Retry::Backoff),
        ] {
            let error = answered(code, message);
            assert_eq!((error.reason(), error.retry()), (reason, retry), "{code} {message}");
        }
        let unknown = ClusterError::UnknownKind { api_version: "v1".into(), kind: "X".into() };
        assert_eq!((unknown.reason(), unknown.retry()), ("UnknownKind", Retry::Backoff));
        let away = ClusterError::of("get", &"a", kube::Error::Service("connection reset".into()));
        assert_eq!((away.reason(), away.retry()), ("Unreachable", Retry::Backoff));
        assert_eq!(answered(400, denied).denying_webhook(), Some("rev.validation.istio.io"));
        assert_eq!(answered(500, "failed calling webhook \"a\": Post: no").denying_webhook(), None);
    }

    #[test]
    fn what_the_client_wraps_around_a_refusal_is_not_told() {
        let error = anyhow::Error::new(ClusterError::of("list", &"pods", refused())).context("look");
        assert_eq!(told(error.as_ref()), "look: list pods: pods is forbidden");
        let error = anyhow::Error::new(refused()).context("look");
        assert_eq!(told(error.as_ref()), "look: pods is forbidden");
        assert_eq!(told(anyhow::anyhow!("b").context("a").as_ref()), "a: b");
    }

    #[test]
    fn what_is_refused_is_told_from_what_was_not_decided() {
        for (code, message, expected) in [
            (403, "pods \"a\" is forbidden: exceeded quota: q", true),
            (403, "deployments.apps \"a\" is forbidden: User \"b\" cannot patch resource", true),
            (400, "admission webhook \"a\" denied the request: no", true),
            (422, "spec.replicas: Invalid value: -1", true),
            (400, "admission webhook \"a\" does not support dry run", false),
            (500, "failed calling webhook \"a\": Post: connection refused", false),
            (404, "namespaces \"a\" not found", false),
            (500, "etcdserver: request timed out", false),
            (504, "", false),
        ] {
            assert_eq!(answered(code, message).is_refused(), expected, "{code} {message}");
        }
        assert_eq!(answered(404, "namespaces \"gw\" not found").missing_namespace(), Some("gw"));
        assert_eq!(answered(404, "services \"gw\" not found").missing_namespace(), None);
        assert_eq!(answered(422, "no").server_message(), "no");
    }

    #[test]
    fn a_server_that_is_away_is_told_in_words() {
        let away = |kind: io::ErrorKind, text: &'static str| kube::Error::Service(io::Error::new(kind, text).into());
        assert_eq!(brief(&away(io::ErrorKind::Other, "no route")), "the API server cannot be reached: no route");
        let late = away(io::ErrorKind::TimedOut, "deadline has elapsed");
        assert_eq!(brief(&late), "the API server did not answer in time");
    }
}
