//! From what is wanted to a plan: who else writes, and what may not be done.

use super::super::cluster::Connected;
use super::args::InstallArgs;
use super::neighbours::{Neighbours, Resources};
use super::planning::{Planned, plan};
use super::wanted::Wanted;
use super::{rivals, takeover};
use crate::api::IGNORE_RECONCILE;
use crate::install::{Engine, NoCache, Silent, State, downgrade};
use crate::object::OwnerId;
use anyhow::{Context, bail};

/// What is to be done.
pub(super) struct Prepared {
    pub owner: OwnerId,
    pub planned: Planned,
    pub neighbours: Neighbours,
    /// Whose objects are taken over: a line for each former owner.
    pub takeovers: Vec<String>,
    /// What others have and this would write, if there is anything, and what to do.
    pub in_the_way: Option<String>,
}

/// Makes the plan; nothing is written.
///
/// # Errors
/// Somebody else writes the same objects, an older release would be installed, or the cluster cannot be asked.
pub(super) async fn prepare(args: &InstallArgs, connected: &Connected, wanted: Wanted) -> anyhow::Result<Prepared> {
    let Wanted { owner, manifests, allowed_downgrade, .. } = wanted;
    let cluster = &connected.cluster;
    let revision = manifests.revision_label().to_owned();
    let neighbours = other_writers(args.spec.force, connected, &owner, &revision).await?;
    let engine = Engine { cluster, cache: &NoCache, others: &neighbours, listener: &Silent };
    let mut state = State::default();
    let allowed_downgrade = if args.allow_downgrade { Some(manifests.release.clone()) } else { allowed_downgrade };
    if let Some(found) = downgrade::forbid(&engine, &mut state, &manifests, allowed_downgrade.as_deref()).await? {
        bail!(
            "{} is of release {}, and this is release {}: a control plane is not moved to an older release; name {} or newer with \
             -d, or add --allow-downgrade",
            found.key,
            found.live,
            found.at_hand,
            found.live
        );
    }
    // An installation with another revision is another one, though the files are the same.
    let mut planned = plan(&engine, &owner, manifests, state, true).await?;
    let takeovers = takeover::lines(cluster, &owner, &planned.plan, &planned.forecasts).await?;
    let Planned { plan, state, forecasts, .. } = &mut planned;
    let in_the_way = rivals::found(&engine, &owner, (plan, state), forecasts).await?;
    Ok(Prepared { owner, planned, neighbours, takeovers, in_the_way })
}

/// What the other resources of the cluster have, but for those that want the same revision or have the same name: their objects
/// are taken over.
///
/// # Errors
/// There is such a one and nobody says `--force`, or it is not known whether there is one.
async fn other_writers(
    is_forced: bool,
    connected: &Connected,
    owner: &OwnerId,
    revision: &str,
) -> anyhow::Result<Neighbours> {
    let resources = Resources::read(&connected.cluster).await.context(
        "whether an operator installs the same from an IstioOperator resource is known only to who may list \
         istiooperators.install.istio.io in all namespaces",
    )?;
    if let Some(first) = resources.same(revision, Some(owner)).first().filter(|_| !is_forced) {
        bail!(
            "IstioOperator {first} in the cluster is of revision {revision} or of this name, and an operator reconciles it: it would \
             undo what is installed here. Change that resource instead; or annotate it {IGNORE_RECONCILE}=true, so that its operator \
             leaves it alone, or add --force to have both write"
        );
    }
    Ok(resources.neighbours(&connected.cluster, revision, owner).await?)
}
