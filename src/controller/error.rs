//! Why a reconcile failed, and why the controller cannot run.

use crate::cluster::ClusterError;
use crate::controller::packages::PackageError;
use crate::install::Failure;
use crate::install::remains::DeleteError;
use crate::object::ObjectError;
use crate::render::RenderError;

/// Why a reconcile could not finish. All of these may pass, and are tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A request failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The release package cannot be had.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The release package cannot be read, or rendering ran out of time.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Objects could not be written or deleted.
    #[error("{}", texts(.0))]
    Install(Vec<Failure>),
    /// What the resource installed could not be deleted.
    #[error(transparent)]
    Delete(#[from] DeleteError),
    /// The record of the installation has no name.
    #[error("the record of the installation {0}")]
    Record(#[from] ObjectError),
    /// Rendering was cut short by the end of the process.
    #[error("rendering did not finish")]
    Interrupted,
}

impl ReconcileError {
    /// One word for it, that of the stage which failed.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Package(error) => error.reason(),
            Self::Render(error) => error.reason(),
            Self::Install(failures) => failures.first().map_or("Failed", |failure| failure.error.reason()),
            Self::Delete(error) => error.reason(),
            Self::Cluster(error) => error.reason(),
            Self::Record(_) => "InvalidRecord",
            Self::Interrupted => "Interrupted",
        }
    }

    /// What the status says of it, of a resource that is rendered from this release.
    #[must_use]
    pub fn told(&self, release: &str) -> String {
        match self {
            Self::Cluster(error) => match error.missing_permissions() {
                Some(missing) => {
                    with_grant(&format!("the operator lacks permissions: {}", missing.join("; ")), release)
                }
                None => error.to_string(),
            },
            _ => self.to_string(),
        }
    }
}

/// What is missing, and the command that grants it.
pub(super) fn with_grant(missing: &str, release: &str) -> String {
    format!("{missing}; grant them: istio-operator role -d {release} | kubectl apply -f -")
}

fn texts(failures: &[Failure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The API server cannot be asked what it is.
    #[error("cannot reach the API server: {0}")]
    Unreachable(#[from] Box<kube::Error>),
    /// There is no CRD of IstioOperator.
    #[error(
        "IstioOperator is not defined in this cluster; define it: istio-operator crd | kubectl apply --server-side -f -"
    )]
    Undefined,
    /// What is installed cannot be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The built-in or given charts are broken.
    #[error(transparent)]
    Package(#[from] crate::release::ReleaseError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Retry;
    use crate::install::InstallError;
    use crate::release::ReleaseError;
    use crate::source::SourceError;
    use crate::spec::problem::{Kind, Problem};
    use crate::spec::resolve::ResolveError;
    use std::sync::Arc;

    fn refused(code: u16, message: &str) -> ClusterError {
        let status = kube::core::Status::failure(message, "").with_code(code);
        ClusterError::of("apply", &"a", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn the_word_of_a_stage_is_that_of_the_reconcile() {
        let secret = || PackageError::PullSecret { secret: "ns/pull".into(), what: "is not there" };
        let broken = || ReleaseError::Read { path: "x".into(), cause: std::io::ErrorKind::NotFound.into() };
        let problem = |kind| Problem { path: "spec".into(), message: "m".into(), location: None, kind };
        let invalid = |kind| RenderError::from(ResolveError::Invalid(vec![problem(kind)]));
        let location = "ftp://x".parse::<crate::source::Location>().unwrap_err();
        let of =
            |error: InstallError| ReconcileError::Install(vec![Failure { component: None, error: Arc::new(error) }]);
        let table: [(ReconcileError, &str); 15] = [
            (refused(429, "").into(), "TooManyRequests"),
            (PackageError::from(refused(403, "no")).into(), "Forbidden"),
            (PackageError::from(SourceError::from(location)).into(), "ReleaseLocationInvalid"),
            (secret().into(), "ReleaseAccessDenied"),
            (PackageError::from(broken()).into(), "ReleaseUnreadable"),
            (RenderError::from(broken()).into(), "ReleaseUnreadable"),
            (invalid(Kind::Content).into(), "InvalidSpec"),
            (invalid(Kind::Unreadable).into(), "UnreadableProfile"),
            (RenderError::Component(vec![]).into(), "RenderFailed"),
            (RenderError::Overlay(vec![]).into(), "InvalidOverlay"),
            (RenderError::Duplicate(vec![]).into(), "DuplicateObject"),
            (of(InstallError::Conflict(vec![])), "Conflict"),
            (of(refused(422, "spec: wrong").into()), "Rejected"),
            (of(refused(403, "no").into()), "Forbidden"),
            (ReconcileError::Interrupted, "Interrupted"),
        ];
        for (error, reason) in table {
            assert_eq!(error.reason(), reason, "{error:?}");
        }
    }

    #[test]
    fn what_a_person_has_to_change_is_not_tried_again_before() {
        let problem = |kind| Problem { path: "spec".into(), message: "m".into(), location: None, kind };
        let invalid = |kind| RenderError::from(ResolveError::Invalid(vec![problem(kind)])).retry();
        let broken = || ReleaseError::Read { path: "x".into(), cause: std::io::ErrorKind::NotFound.into() };
        let location = "ftp://x".parse::<crate::source::Location>().unwrap_err();
        for (error, retry, expected) in [
            ("a location", PackageError::from(SourceError::from(location)).retry(), Retry::OnChange),
            ("a package", PackageError::from(broken()).retry(), Retry::Backoff),
            ("a package, when rendered", RenderError::from(broken()).retry(), Retry::Backoff),
            ("a spec", invalid(Kind::Content), Retry::OnChange),
            ("a file of a profile", invalid(Kind::Unreadable), Retry::Backoff),
            ("an overlay", RenderError::Overlay(vec![]).retry(), Retry::OnChange),
            ("an object twice", RenderError::Duplicate(vec![]).retry(), Retry::OnChange),
            ("a conflict", InstallError::Conflict(vec![]).retry(), Retry::Backoff),
            ("an object", InstallError::from(refused(422, "spec: wrong")).retry(), Retry::OnChange),
            ("a permission", InstallError::from(refused(403, "no")).retry(), Retry::Backoff),
        ] {
            assert_eq!(retry, expected, "{error}");
        }
    }

    #[test]
    fn a_missing_permission_is_told_with_the_command_that_grants_it() {
        let message =
            "pods is forbidden: User \"x\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
        let told = ReconcileError::from(refused(403, message)).told("1.30.3");
        let grant = "grant them: istio-operator role -d 1.30.3 | kubectl apply -f -";
        assert_eq!(told, format!("the operator lacks permissions: list pods; {grant}"));
    }
}
