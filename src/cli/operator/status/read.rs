//! What is known of resources and of what they have.

use super::super::super::cluster::Connected;
use super::super::super::lease::{Leases, Operator, Operators, work_on};
use super::super::super::resources::{self, Summary};
use super::super::super::revision::found::{Use, Uses};
use super::orphans::{self, Orphans};
use crate::api::status::{Condition, HeldRevision, InstallStatus, Phase};
use crate::cluster::{Cluster, value_of};
use crate::install::provenance::component_of;
use crate::install::readiness::{Readiness, is_checked, readiness, reason};
use crate::object::inventory::{self, Entry};
use crate::object::{Object, ObjectKey, OwnerId};
use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often it is drawn again where nothing changes: ages grow, and Leases expire. What seldom changes is read anew as often.
pub(super) const FRAME: Duration = Duration::from_secs(15);
/// How many objects are read at once.
const AT_ONCE: usize = 16;

/// All resources that are asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    /// `None` where it is not known.
    pub(super) operators: Option<Vec<Operator>>,
    pub(super) resources: Vec<Resource>,
    /// What there is of resources that are not; nothing where one is asked for by its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) orphans: Vec<Orphans>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) orphans_unknown: Option<String>,
}

impl State {
    /// Whether a resource has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.resources.iter().any(|resource| resource.status == Some(Phase::Error.name()))
    }

    /// Whether there are resources, and all are as they should be.
    pub(super) fn is_well(&self) -> bool {
        !self.resources.is_empty() && self.resources.iter().all(|resource| resource.is_healthy)
    }
}

/// A resource, and what it has.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) revision: String,
    pub(super) profile: String,
    pub(super) version: Option<String>,
    pub(super) status: Option<&'static str>,
    /// Whether it is HEALTHY, and that of its present spec.
    #[serde(skip)]
    pub(super) is_healthy: bool,
    pub(super) message: Option<String>,
    pub(super) age: String,
    /// What is to be known of it before all that its status says.
    pub(super) remarks: Vec<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) components: Vec<Component>,
    pub(super) objects: Vec<Piece>,
    pub(super) held: Vec<HeldRevision>,
    /// Who uses its revision; `None` where it is not known.
    pub(super) used_by: Option<Use>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) used_by_unknown: Option<String>,
}

/// A component, as the status tells.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) status: Option<&'static str>,
    pub(super) version: Option<String>,
    pub(super) error: Option<String>,
}

/// How an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Health {
    Ready,
    Waiting,
    Failed,
    Missing,
    Unknown,
}

/// An object of a resource.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Piece {
    pub(super) object: String,
    pub(super) component: Option<&'static str>,
    pub(super) health: Health,
    pub(super) reason: Option<String>,
    /// Whether it can be anything else than there.
    #[serde(skip)]
    pub(super) is_checked: bool,
}

/// Reads it all, once or again and again: what seldom changes is read anew after a while.
#[derive(Default)]
pub(super) struct Reader {
    leases: Leases,
    around: Option<(Instant, Around)>,
    /// Objects that were there, and can be nothing else.
    there: BTreeMap<(ObjectKey, String), (Instant, Piece)>,
}

/// What is of no resource; or why it is not known.
struct Around {
    operators: Operators,
    uses: Result<Uses, String>,
    /// `None` where it was not asked for.
    orphans: Option<Result<Vec<Orphans>, String>>,
}

impl Reader {
    /// The resources of a cluster, of a namespace, or of a name.
    ///
    /// # Errors
    /// The resources cannot be listed.
    pub(super) fn read(
        &mut self,
        connected: &Connected,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> anyhow::Result<State> {
        let cluster = &connected.cluster;
        let mut all = connected.wait(resources::list(cluster, namespace))?;
        let owners: BTreeSet<OwnerId> = all.iter().filter(|one| !one.is_record).map(|one| one.id.clone()).collect();
        let records: Vec<OwnerId> = all.iter().filter(|one| one.is_record).map(|one| one.id.clone()).collect();
        all.retain(|resource| !resource.is_record && name.is_none_or(|name| resource.id.name == name));
        self.there.retain(|_, (since, _)| since.elapsed() < FRAME);
        let around = match self.around.take().filter(|(since, _)| since.elapsed() < FRAME) {
            Some(around) => around,
            None => {
                (Instant::now(), self.look_around(connected, namespace, name.is_none().then_some((&owners, &records))))
            }
        };
        let mut told = vec![];
        for resource in all {
            let mut one = connected.wait(self.told_of(cluster, resource));
            one.remarks.extend(work_on(&around.1.operators, &one.revision).remark());
            match &around.1.uses {
                Ok(uses) => one.used_by = Some(uses.of(&one.revision)),
                Err(why) => one.used_by_unknown = Some(why.clone()),
            }
            told.push(one);
        }
        let operators = around.1.operators.as_ref().ok().cloned();
        let (orphans, orphans_unknown) = match around.1.orphans.clone() {
            None => (vec![], None),
            Some(Ok(orphans)) => (orphans, None),
            Some(Err(why)) => (vec![], Some(why)),
        };
        self.around = Some(around);
        Ok(State { operators, resources: told, orphans, orphans_unknown })
    }

    /// `all` are all resources, and all records, where what others have left is asked for.
    fn look_around(
        &mut self,
        connected: &Connected,
        namespace: Option<&str>,
        all: Option<(&BTreeSet<OwnerId>, &Vec<OwnerId>)>,
    ) -> Around {
        let cluster = &connected.cluster;
        let (operators, uses) = connected.wait(async { tokio::join!(self.leases.look(cluster), Uses::read(cluster)) });
        let orphans = all.map(|(owners, records)| connected.wait(orphans::read(cluster, namespace, owners, records)));
        let orphans = orphans.map(|found| found.map_err(|error| error.to_string()));
        Around { operators, uses: uses.map_err(|error| error.to_string()), orphans }
    }

    async fn pieces(&mut self, cluster: &Cluster, inventory: BTreeMap<ObjectKey, Entry>) -> Vec<Piece> {
        let there = &self.there;
        let reads = inventory.into_iter().map(|(key, entry)| async move {
            let id = (key, entry.uid.clone());
            match there.get(&id) {
                Some((_, piece)) => (id, piece.clone()),
                None => (id.clone(), piece(cluster, id.0, entry).await),
            }
        });
        let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        let is_there = |piece: &Piece| piece.health == Health::Ready && !piece.is_checked;
        for (id, piece) in read.iter().filter(|(_, piece)| is_there(piece)) {
            self.there.entry(id.clone()).or_insert_with(|| (Instant::now(), piece.clone()));
        }
        read.into_iter().map(|(_, piece)| piece).collect()
    }

    async fn told_of(&mut self, cluster: &Cluster, resource: Summary) -> Resource {
        let status = InstallStatus::read(&resource.status);
        let components = status.component_status.unwrap_or_default().into_iter();
        let components = components.map(|(name, component)| Component {
            name,
            status: component.status.map(Phase::name),
            version: component.version,
            error: component.error,
        });
        let objects = self.pieces(cluster, inventory::of_status(&resource.status)).await;
        let mut remarks = resource.remarks;
        if status.status.is_none() {
            remarks.push("no operator has reported its status yet".to_owned());
        }
        if let Some(observed) = status.observed_generation.filter(|observed| *observed < resource.generation) {
            remarks.push(format!("the status is of generation {observed}, the spec of {}", resource.generation));
        }
        let is_present = status.observed_generation.is_none_or(|observed| observed >= resource.generation);
        Resource {
            remarks,
            is_healthy: status.status == Some(Phase::Healthy) && is_present,
            revision: resource.revision,
            profile: resource.profile,
            version: status.version,
            status: status.status.map(Phase::name),
            message: status.message.filter(|message| !message.is_empty()),
            age: resource.created.map(|created| age(created, Timestamp::now())).unwrap_or_default(),
            conditions: status.conditions.unwrap_or_default(),
            components: components.collect(),
            objects,
            held: status.held.unwrap_or_default(),
            used_by: None,
            used_by_unknown: None,
            namespace: resource.id.namespace,
            name: resource.id.name,
        }
    }
}

async fn piece(cluster: &Cluster, key: ObjectKey, entry: Entry) -> Piece {
    let is_checked = is_checked(&key.group, &key.kind);
    let mut piece = Piece { object: key.to_string(), component: None, health: Health::Ready, reason: None, is_checked };
    let wrong = |health: Health, why: String, piece: Piece| Piece { health, reason: Some(why), ..piece };
    let live = match cluster.get(&entry.api_version, &key).await {
        Ok(Some(live)) => live,
        Ok(None) => return wrong(Health::Missing, "is not there".into(), piece),
        Err(error) => return wrong(Health::Unknown, error.to_string(), piece),
    };
    piece.component = component_of(&live).map(|component| component.info().name);
    if live.uid().as_deref() != Some(&entry.uid) {
        return wrong(Health::Missing, "another object of its name is there".into(), piece);
    }
    match readiness(&key.group, &key.kind, &live, None) {
        Readiness::Ready => piece,
        Readiness::Failed(why) => wrong(Health::Failed, why, piece),
        Readiness::Waiting(why) => {
            let object = Object::new(value_of(&live)).ok();
            let pod = match object.filter(|object| object.group() == "apps") {
                Some(object) => reason::why_not_ready(cluster, &object).await,
                None => None,
            };
            let why = pod.map_or_else(|| why.clone(), |pod| format!("{why}: {pod}"));
            wrong(Health::Waiting, why, piece)
        }
    }
}

/// How long ago something was, in its largest unit.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let told = ["2026-01-03T00:00:01Z", "2026-01-02T23:59:01Z", "2026-01-02T22:30:00Z", "2026-01-01T06:00:00Z"]
            .map(|then| age(then.parse().unwrap(), now));
        assert_eq!(told, ["0s", "59s", "90m", "42h"]);
        assert_eq!(age("2025-12-31T00:00:00Z".parse().unwrap(), now), "3d");
    }
}
