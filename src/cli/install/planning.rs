//! What is to be done in a cluster for manifests: what goes, what stays since its control plane is in use, and what the API server
//! says would become of each object. Nothing is written.

use super::super::remaining::{Kept, Remaining};
use super::neighbours::Resources;
use crate::api::component::Component;
use crate::cluster::{Cluster, ClusterError};
use crate::controller::{self, InUse};
use crate::install::forecast::Forecast;
use crate::install::remains::is_external;
use crate::install::{self, Candidate, Draft, Engine, Others, Plan, State, installed_state};
use crate::object::manifests::Manifests;
use crate::object::pods::Pods;
use crate::object::{ObjectKey, OwnerId};
use std::collections::{BTreeMap, BTreeSet};

/// A plan, and what comes of it.
pub struct Planned {
    /// What is to be done.
    pub plan: Plan,
    /// What is known of the objects.
    pub state: State,
    /// What the API server says would become of each object.
    pub forecasts: Vec<Forecast>,
    /// What stays although nobody wants it any more.
    pub staying: Vec<Staying>,
    /// The `group/version` of what nobody wants any more.
    pub versions: BTreeMap<ObjectKey, String>,
    /// What stays since other revisions want it: a line for each reason.
    pub shared: Vec<String>,
}

/// A control plane that stays.
pub struct Staying {
    /// Its istiod.
    pub istiod: ObjectKey,
    /// All of it that stays.
    pub keys: BTreeSet<ObjectKey>,
    /// Why.
    pub why: String,
}

/// Plans what comes of manifests of a resource. With `is_one_revision` only what is of their revision goes.
///
/// # Errors
/// The cluster cannot be asked.
pub async fn plan(
    engine: &Engine<'_>,
    owner: &OwnerId,
    mut manifests: Manifests,
    mut state: State,
    is_one_revision: bool,
) -> anyhow::Result<Planned> {
    let revision = manifests.revision_label().to_owned();
    let own = manifests.pods();
    let record_name = installed_state::name(&owner.name, &manifests.revision);
    let record = installed_state::record((&owner.namespace, &owner.name), &record_name, &mut manifests)?;
    let draft = Draft::new(engine, manifests, record).await;
    let mut candidates = draft.candidates(engine, owner, &mut state).await?;
    candidates.retain(|one| !is_one_revision || one.revision.as_ref() == Some(&revision));
    let kept = if is_one_revision && !candidates.is_empty() {
        let remaining = Remaining::beside(engine.cluster, &revision, |_| false).await?;
        remaining.keep(candidates.iter().map(|one| (&one.key, one.component)))
    } else {
        Kept::default()
    };
    candidates.retain(|one| !kept.keys.contains(&one.key));
    let versions = candidates.iter().map(|one| (one.key.clone(), one.entry.api_version.clone())).collect();
    let mut staying = in_use(engine.cluster, &candidates, &revision, &own).await;
    let stays = staying.iter().map(|one| install::Kept { keys: one.keys.clone(), manifests: None });
    let plan = draft.plan(engine, candidates, stays.collect()).await?;
    // What is replaced does not stay with the rest.
    for (one, kept) in staying.iter_mut().zip(plan.kept()) {
        one.keys.clone_from(&kept.keys);
    }
    let forecasts = engine.forecast(owner, &plan, &state).await?;
    Ok(Planned { plan, state, forecasts, staying, versions, shared: kept.lines })
}

/// What all other resources of the cluster have that an operator reconciles.
///
/// # Errors
/// They, or what they have, cannot be listed.
pub async fn others_of(cluster: &Cluster, owner: &OwnerId) -> Result<impl Others + use<>, ClusterError> {
    // No label names a revision so: those of every one are meant.
    const NO_REVISION: &str = "";
    Resources::read(cluster).await?.neighbours(cluster, NO_REVISION, owner).await
}

/// The control planes that are not deleted although they are not wanted any more, since somebody uses them, or since that is not
/// known. What does not say its revision is taken for a part of each, and an istiod for one of the revision `own_revision`.
async fn in_use(cluster: &Cluster, candidates: &[Candidate], own_revision: &str, own: &[Pods]) -> Vec<Staying> {
    let is_istiod =
        |one: &&Candidate| one.key.kind == "Deployment" && one.component.is_none_or(Component::is_control_plane);
    let mut planes: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for istiod in candidates.iter().filter(is_istiod) {
        planes.entry(istiod.revision.as_deref().unwrap_or(own_revision)).or_default().push(istiod);
    }
    let mut found = vec![];
    for (revision, istiods) in planes {
        let Some(istiod) = istiods.first().map(|istiod| istiod.key.clone()) else { continue };
        let why = match users_of(cluster, revision, &istiods, own).await {
            Ok(users) if users.is_empty() => continue,
            Ok(users) => format!("is in use, by {users}"),
            Err(error) => format!("may be in use: {error}"),
        };
        let stays = |one: &&Candidate| {
            !one.component.is_some_and(Component::is_gateways) && one.revision.as_ref().is_none_or(|of| of == revision)
        };
        let keys = candidates.iter().filter(stays).map(|one| one.key.clone()).collect();
        found.push(Staying { istiod, keys, why });
    }
    found
}

async fn users_of(
    cluster: &Cluster,
    revision: &str,
    istiods: &[&Candidate],
    own: &[Pods],
) -> Result<InUse, ClusterError> {
    let mut serves_others = false;
    for istiod in istiods {
        let live = cluster.get(&istiod.entry.api_version, &istiod.key).await?;
        serves_others |= live.is_some_and(|live| is_external(&live.data));
    }
    controller::users_of_plane(cluster, revision, own, serves_others).await
}
