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
    /// One word for it, by the stage that failed.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Package(error) => error.reason(),
            Self::Render(error) => error.reason(),
            Self::Install(failures) => failures.first().map_or("Failed", |failure| failure.error.reason()),
            Self::Delete(error) => error.reason(),
            Self::Cluster(_) | Self::Record(_) | Self::Interrupted => "Failed",
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

    #[test]
    fn a_missing_permission_is_told_with_the_command_that_grants_it() {
        let message =
            "pods is forbidden: User \"x\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
        let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
        let error = ClusterError::of("list", &"pods", kube::Error::Api(Box::new(status)));
        let told = ReconcileError::from(error).told("1.30.3");
        let grant = "grant them: istio-operator role -d 1.30.3 | kubectl apply -f -";
        assert_eq!(told, format!("the operator lacks permissions: list pods; {grant}"));
    }
}
