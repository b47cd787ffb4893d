//! The other IstioOperator resources of the cluster, which an operator reconciles: what they have is left alone, and where one is
//! of the revision that is to be installed, two would write the same objects.

use super::super::resources;
use crate::api::component::Component;
use crate::cluster::{Cluster, ClusterError};
use crate::install::{INITIAL_KINDS, Others};
use crate::object::inventory::group_of;
use crate::object::labels::{self, OWNER_NAME};
use crate::object::{ObjectKey, OwnerId};
use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The resources that an operator reconciles, with the revision of each, as labels name it.
pub struct Resources(BTreeMap<OwnerId, String>);

impl Resources {
    /// Reads them all.
    ///
    /// # Errors
    /// They cannot be listed or understood, so that nobody knows who else writes.
    pub async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let all = resources::list(cluster, None).await?.into_iter();
        Ok(Self(all.filter(|one| !one.is_left_alone).map(|one| (one.id, one.revision)).collect()))
    }

    /// Those of a revision, as labels name it, and the one of this name.
    pub fn same(&self, revision: &str, owner: Option<&OwnerId>) -> Vec<&OwnerId> {
        let is_same = |(id, of): &(&OwnerId, &String)| *of == revision || owner == Some(*id);
        self.0.iter().filter(is_same).map(|(id, _)| id).collect()
    }

    /// What those have that are not of this revision and not of this name.
    ///
    /// # Errors
    /// Objects cannot be listed.
    pub async fn neighbours(
        &self,
        cluster: &Cluster,
        revision: &str,
        owner: &OwnerId,
    ) -> Result<Neighbours, ClusterError> {
        let same = self.same(revision, Some(owner));
        let others: Vec<&OwnerId> = self.0.keys().filter(|id| !same.contains(id)).collect();
        if others.is_empty() {
            return Ok(Neighbours::default());
        }
        let lists = INITIAL_KINDS.iter().map(async |(api_version, kind)| {
            let mut found = vec![];
            let take = |object: &ObjectMeta| {
                let owner = object.labels.as_ref().and_then(labels::owner_of).filter(|owner| others.contains(&owner));
                let key = ObjectKey {
                    group: group_of(api_version).to_owned(),
                    kind: (*kind).to_owned(),
                    namespace: object.namespace.clone().unwrap_or_default(),
                    name: object.name.clone().unwrap_or_default(),
                };
                found.extend(owner.map(|owner| (key, owner)));
            };
            match cluster.for_each(api_version, kind, (OWNER_NAME, ""), take).await {
                Err(error) if !error.is_absent() => Err(error),
                _ => Ok(found),
            }
        });
        Ok(Neighbours(try_join_all(lists).await?.into_iter().flatten().collect()))
    }
}

/// The objects of other resources.
#[derive(Default)]
pub struct Neighbours(BTreeMap<ObjectKey, OwnerId>);

impl Others for Neighbours {
    fn owner_of(&self, id: &OwnerId, key: &ObjectKey, _: Component, _: Option<&OwnerId>) -> Option<OwnerId> {
        self.0.get(key).filter(|owner| *owner != id).cloned()
    }

    fn does_want(&self, other: &OwnerId, key: &ObjectKey) -> bool {
        self.0.get(key) == Some(other)
    }

    fn want(&self, id: &OwnerId, key: &ObjectKey) -> bool {
        self.0.get(key).is_some_and(|owner| owner != id)
    }

    fn are_known(&self) -> bool {
        true
    }
}
