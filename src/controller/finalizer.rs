//! Removes the finalizer, which keeps a deleted resource until everything it installed is gone.

use super::context::Context;
use crate::cluster::received::ObservedResource;
use crate::cluster::{Cluster, ClusterError};

/// Removes the finalizer and leaves everything as it is.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn remove_finalizer(resource: &ObservedResource, context: &Context) -> Result<(), ClusterError> {
    if take_finalizer(&context.cluster, resource).await? {
        context.forget(&resource.id());
    }
    Ok(())
}

/// Takes our finalizer, and no other one, off a resource. Gives `false` where there is another of its name by now, which is left as
/// it is.
///
/// # Errors
/// What the API server says, but for the absence of the resource; also that others change it again and again.
pub async fn take_finalizer(cluster: &Cluster, resource: &ObservedResource) -> Result<bool, ClusterError> {
    const TRIES: u32 = 4;
    let id = resource.id();
    let mut patch = resource.patch_without_finalizer();
    for attempt in 1..=TRIES {
        let Some(next) = patch.take() else { break };
        match cluster.patch_owner(&id, next).await {
            Ok(()) => break,
            Err(error) if error.is_absent() => break,
            // Somebody else's finalizer went meanwhile, or the resource itself did, and there is another of its name.
            Err(error) if attempt < TRIES && matches!(error.code(), Some(409 | 422)) => {
                let seen = cluster.owner(&id).await?;
                if seen.as_ref().is_some_and(|seen| seen.uid() != resource.uid()) {
                    return Ok(false);
                }
                patch = seen.and_then(|seen| seen.patch_without_finalizer());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
