//! What an uninstall leaves although it is of the revision that goes: the control planes of other revisions want it.

use super::super::remaining::{Kept, Remaining};
use super::found::{Found, of_shared_components};
use crate::cluster::{Cluster, ClusterError};
use anyhow::bail;

/// Takes from what goes what the control planes of other revisions than this one want, and adds what this one wants and another one had
/// taken that is gone.
///
/// # Errors
/// What others want cannot be read.
pub(super) async fn keep(cluster: &Cluster, revision: &str, found: &mut Found) -> Result<Kept, ClusterError> {
    let remaining = Remaining::beside(cluster, revision, |key| found.to_delete.contains_key(key)).await?;
    let kept = remaining.keep(found.to_delete.iter().map(|(key, one)| (key, one.component)));
    found.to_delete.retain(|key, _| !kept.keys.contains(key));
    let shared = of_shared_components(cluster).await?.to_delete.into_iter();
    found.to_delete.extend(shared.filter(|(key, one)| remaining.is_forgotten(key, one.component, &one.revision)));
    Ok(kept)
}

/// Checks that the control plane that goes is in the namespace of the flag.
///
/// # Errors
/// It is in another one.
pub(super) fn check_namespace(flag: Option<&str>, found: &Found) -> anyhow::Result<()> {
    let Some(expected) = flag.filter(|namespace| !namespace.is_empty()) else { return Ok(()) };
    if let Some(other) = found.control_planes().find(|one| one.key.namespace != expected) {
        bail!(
            "{} is what would go, and --istioNamespace says {expected}; name its namespace, or leave the flag out",
            other.key
        );
    }
    Ok(())
}
