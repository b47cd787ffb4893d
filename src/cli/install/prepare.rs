//! From what is wanted to a plan: who else writes, what may not be done, what goes, and what stays since it is in use.

use super::super::cluster::Connected;
use super::args::InstallArgs;
use super::neighbours::{Neighbours, Resources};
use super::wanted::Wanted;
use crate::api::IGNORE_RECONCILE;
use crate::api::component::Component;
use crate::controller;
use crate::install::forecast::Forecast;
use crate::install::plan::{Draft, Kept, Plan};
use crate::install::{Candidate, Engine, NoCache, Silent, State, downgrade, installed_state};
use crate::object::OwnerId;
use crate::object::pods::{Pods, pods_of};
use anyhow::{Context, bail};
use std::collections::BTreeSet;

/// What is to be done.
pub(super) struct Prepared {
    pub owner: OwnerId,
    pub plan: Plan,
    pub state: State,
    pub neighbours: Neighbours,
    /// What the API server says would become of each object.
    pub forecasts: Vec<Forecast>,
    /// Resources whose objects are taken over, since that is forced.
    pub taken: Vec<OwnerId>,
    /// What stays although nobody wants it any more, and why.
    pub kept: Vec<String>,
}

/// Makes the plan; nothing is written.
///
/// # Errors
/// Somebody else writes the same objects, an older release would be installed, or the cluster cannot be asked.
pub(super) async fn prepare(args: &InstallArgs, connected: &Connected, wanted: Wanted) -> anyhow::Result<Prepared> {
    let Wanted { owner, mut manifests, allowed_downgrade, .. } = wanted;
    let cluster = &connected.cluster;
    let revision = manifests.revision_label().to_owned();
    let (taken, neighbours) = other_writers(args.spec.force, connected, &owner, &revision).await?;
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
    let own: Vec<Pods> = manifests
        .objects()
        .filter(|object| object.group() == "apps")
        .filter_map(|object| pods_of(object.namespace(), &object.value()))
        .collect();
    let record_name = installed_state::name(&owner.name, &manifests.revision);
    let record = installed_state::record((&owner.namespace, &owner.name), &record_name, &mut manifests)?;
    let draft = Draft::new(&engine, manifests, record).await;
    let mut candidates = draft.candidates(&engine, &owner, &mut state).await?;
    // An installation with another revision is another one, though the files are the same.
    candidates.retain(|candidate| candidate.revision.as_ref() == Some(&revision));
    let (kept, told) = keep_in_use(connected, &candidates, &revision, &own).await;
    let plan = draft.plan(&engine, candidates, vec![kept]).await?;
    let forecasts = engine.forecast(&owner, &plan, &state).await?;
    Ok(Prepared { owner, plan, state, neighbours, forecasts, taken, kept: told })
}

/// The resources of the cluster that want the same revision or have the same name, whose objects are taken over; and what all
/// others have.
///
/// # Errors
/// There is one and nobody says `--force`, or it is not known whether there is one.
async fn other_writers(
    is_forced: bool,
    connected: &Connected,
    owner: &OwnerId,
    revision: &str,
) -> anyhow::Result<(Vec<OwnerId>, Neighbours)> {
    let resources = match Resources::read(&connected.cluster).await {
        Err(error) if error.is_absent() => return Ok((vec![], Neighbours::default())),
        Err(_) if is_forced => return Ok((vec![], Neighbours::default())),
        other => other.context(
            "it is not known whether an operator installs the same from an IstioOperator resource; with --force this goes on all \
             the same",
        )?,
    };
    let same: Vec<OwnerId> = resources.same(revision, Some(owner)).into_iter().cloned().collect();
    if let Some(first) = same.first().filter(|_| !is_forced) {
        bail!(
            "IstioOperator {first} in the cluster is of revision {revision} or of this name, and an operator reconciles it: it would \
             undo what is installed here. Change that resource instead; or annotate it {IGNORE_RECONCILE}=true, so that its operator \
             leaves it alone, or add --force to have both write"
        );
    }
    let neighbours = resources.neighbours(&connected.cluster, revision, owner).await?;
    Ok((same, neighbours))
}

/// What is not deleted although it is not wanted any more, since somebody uses the control plane that it is of, or since that is
/// not known; and what to tell.
async fn keep_in_use(
    connected: &Connected,
    candidates: &[Candidate],
    revision: &str,
    own: &[Pods],
) -> (Kept, Vec<String>) {
    let is_istiod =
        |one: &Candidate| one.key.kind == "Deployment" && one.component.is_none_or(Component::is_control_plane);
    let Some(istiod) = candidates.iter().find(|one| is_istiod(one)) else { return (Kept::default(), vec![]) };
    let why = match controller::users_of(&connected.cluster, revision, own).await {
        Ok(users) if users.is_empty() => return (Kept::default(), vec![]),
        Ok(users) => format!("is in use, by {users}"),
        Err(error) => format!("may be in use: {error}"),
    };
    let stays = |one: &&Candidate| !one.component.is_some_and(Component::is_gateways);
    let keys: BTreeSet<_> = candidates.iter().filter(stays).map(|one| one.key.clone()).collect();
    let told = format!("{} and all that it needs, since its control plane {why}", istiod.key);
    (Kept { keys, manifests: None }, vec![told])
}
