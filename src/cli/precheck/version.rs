//! Whether Kubernetes is new enough for a release, and the release for the control plane that is there.

use super::finding::{Check, Finding, Level};
use crate::cluster::ClusterError;
use crate::release::Package;
use crate::spec::switches::{Release, skipped_minors};

/// A control plane that is there.
pub(super) struct Installed {
    /// Its Deployment.
    pub object: String,
    /// The release that it says it is of, if it does.
    pub release: Option<String>,
}

pub(super) fn kubernetes(minor: Option<u32>, package: &Package) -> Check {
    let release = package.release();
    let (_, _, oldest) = package.switches().offline_kubernetes();
    let findings = match (minor, oldest.parse::<u32>()) {
        (Some(minor), Ok(oldest)) if minor < oldest => {
            let message =
                format!("the Kubernetes version 1.{minor} is not supported by Istio {release}; it needs 1.{oldest}");
            vec![Finding::new(Level::Error, "", message)]
        }
        (Some(_), Ok(_)) => vec![],
        _ => vec![Finding::new(Level::Unknown, "", "the API server does not say which version it is of")],
    };
    let now = minor.map(|minor| minor.to_string()).unwrap_or_default();
    Check::new("Kubernetes", format!("1.{now} is supported by Istio {release}"), findings)
}

/// A control plane is never moved to an older release, and minor releases are not to be skipped.
pub(super) fn control_plane(
    installed: &Result<Option<Installed>, ClusterError>,
    package: &Package,
    revision: &str,
) -> Check {
    let mut well = format!("there is none of revision {revision} yet");
    let findings = match installed {
        Err(error) => vec![Finding::unknown("which release is installed", error)],
        Ok(None) => vec![],
        Ok(Some(Installed { object, release: None })) => {
            vec![Finding::new(Level::Unknown, object, "is there, and nothing tells which release it is of")]
        }
        Ok(Some(Installed { object, release: Some(release) })) => {
            well = format!("{object} of release {release} can become {}", package.release());
            step(release, &package.release()).map(|(level, why)| Finding::new(level, object, why)).into_iter().collect()
        }
    };
    Check::new("Control plane", well, findings)
}

/// What is wrong with a step from one release to another, or may be.
fn step(from: &str, to: &str) -> Option<(Level, String)> {
    let (Some(old), Some(new)) = (Release::of_tag(from), Release::of_tag(to)) else {
        return Some((Level::Unknown, format!("is of release {from}; whether that is older than {to} is not known")));
    };
    if new < old {
        let why = format!("is of release {from}, and a control plane is not moved to an older one ({to})");
        return Some((Level::Error, why));
    }
    let skipped = skipped_minors(from, to).len();
    let why = || {
        format!("is of release {from}; {to} skips {skipped} minor releases, and proxies may be one older than istiod")
    };
    (skipped > 0).then(|| (Level::Warning, why()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kubernetes_is_an_error_and_one_that_does_not_say_is_unknown() {
        let package = Package::embedded().unwrap();
        let level = |minor| kubernetes(minor, &package).findings.first().map(|finding| finding.level);
        let found = [Some(22), Some(23), Some(40), None].map(level);
        assert_eq!(found, [Some(Level::Error), None, None, Some(Level::Unknown)]);
    }

    #[test]
    fn a_control_plane_whose_release_nothing_tells_is_there_all_the_same() {
        let package = Package::embedded().unwrap();
        let level = |release: Option<Option<&str>>| {
            let there = |release: Option<&str>| Installed { object: "x".into(), release: release.map(str::to_owned) };
            let check = control_plane(&Ok(release.map(there)), &package, "default");
            check.findings.first().map(|finding| finding.level)
        };
        let found = [None, Some(None), Some(Some("1.17.8"))].map(level);
        assert_eq!(found, [None, Some(Level::Unknown), None]);
    }

    #[test]
    fn a_step_back_is_an_error_and_a_skipped_release_a_warning() {
        let table = [
            ("1.17.8", "1.17.8", None),
            ("1.17.8", "1.18.0", None),
            ("1.17.8", "1.19.0", Some(Level::Warning)),
            ("1.18.7", "1.17.8", Some(Level::Error)),
            ("latest", "1.17.8", Some(Level::Unknown)),
        ];
        for (from, to, expected) in table {
            assert_eq!(step(from, to).map(|(level, _)| level), expected, "{from} {to}");
        }
    }
}
