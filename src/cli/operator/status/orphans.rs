//! What was installed for resources that are not there: by a command, or before a resource was deleted that left it.
//!
//! CRDs and namespaces do not count, since they always stay.

use crate::api::component::Component;
use crate::api::{INSTALLED_STATE, KIND};
use crate::cluster::{Cluster, ClusterError};
use crate::install::{INITIAL_KINDS, is_never_deleted};
use crate::object::inventory::group_of;
use crate::object::labels::{self, COMPONENT, OWNER_NAME, REVISION, UNNAMED};
use crate::object::{ObjectKey, OwnerId};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many kinds are listed at once.
const AT_ONCE: usize = 8;

/// What is there of a resource that is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Orphans {
    pub(super) namespace: String,
    /// `unknown` where a command named none.
    pub(super) name: String,
    /// The revisions of its control planes and gateways.
    pub(super) revisions: BTreeSet<String>,
    /// The records of installations.
    pub(super) records: BTreeSet<String>,
    pub(super) objects: BTreeSet<String>,
}

impl Orphans {
    /// Whether a command made it that named no resource.
    pub(super) fn is_unnamed(&self) -> bool {
        self.name == UNNAMED
    }
}

/// What is there of resources that are not among `owners`, of a namespace or of all. `records` are the records of installations, of
/// which those that `istioctl` left have no label.
///
/// # Errors
/// A kind cannot be listed.
pub(super) async fn read(
    cluster: &Cluster,
    namespace: Option<&str>,
    owners: &BTreeSet<OwnerId>,
    records: &[OwnerId],
) -> Result<Vec<Orphans>, ClusterError> {
    let lists = INITIAL_KINDS.iter().filter(|(_, kind)| !is_never_deleted(kind)).map(async |(api_version, kind)| {
        let mut found = vec![];
        let take = |object: &ObjectMeta| found.extend(one(api_version, kind, object));
        match cluster.for_each(api_version, kind, (OWNER_NAME, ""), take).await {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(found),
        }
    });
    let all: Vec<Vec<Owned>> = stream::iter(lists).buffered(AT_ONCE).try_collect().await?;
    let is_meant = |owner: &OwnerId| namespace.is_none_or(|namespace| owner.namespace == namespace);
    let all = all.into_iter().flatten().filter(|one| is_meant(&one.owner));
    Ok(gather(all.collect(), owners, records))
}

/// An object whose labels say whose it is.
struct Owned {
    owner: OwnerId,
    key: ObjectKey,
    revision: Option<String>,
}

fn one(api_version: &str, kind: &str, object: &ObjectMeta) -> Option<Owned> {
    let labels = object.labels.as_ref().filter(|_| object.deletion_timestamp.is_none())?;
    // All revisions have the base in common.
    let is_base = labels.get(COMPONENT).is_some_and(|component| component == Component::Base.name());
    Some(Owned {
        owner: labels::owner_of(labels)?,
        key: ObjectKey {
            group: group_of(api_version).to_owned(),
            kind: kind.to_owned(),
            namespace: object.namespace.clone().unwrap_or_default(),
            name: object.name.clone().unwrap_or_default(),
        },
        revision: labels.get(REVISION).filter(|_| !is_base).cloned(),
    })
}

fn gather(all: Vec<Owned>, owners: &BTreeSet<OwnerId>, records: &[OwnerId]) -> Vec<Orphans> {
    let mut found: BTreeMap<OwnerId, Orphans> = BTreeMap::new();
    let mut labelled = BTreeSet::new();
    for Owned { owner, key, revision } in all {
        let is_record = key.kind == KIND && key.name.starts_with(INSTALLED_STATE);
        if is_record {
            labelled.insert(OwnerId::new(key.namespace.as_str(), key.name.as_str()));
        }
        if owners.contains(&owner) {
            continue;
        }
        let of = found.entry(owner).or_default();
        if is_record {
            of.records.insert(key.name)
        } else {
            of.objects.insert(key.to_string())
        };
        of.revisions.extend(revision);
    }
    for record in records.iter().filter(|record| !labelled.contains(*record)) {
        let owner = OwnerId::new(record.namespace.as_str(), UNNAMED);
        found.entry(owner).or_default().records.insert(record.name.clone());
    }
    let named = |(owner, of): (OwnerId, Orphans)| Orphans { namespace: owner.namespace, name: owner.name, ..of };
    found.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn object(kind: &str, name: &str, owner: &str, component: &str, more: &Value) -> Option<Owned> {
        let mut metadata = json!({"name": name, "namespace": "ns", "labels": {OWNER_NAME: owner,
            labels::OWNER_NAMESPACE: "ns", COMPONENT: component, REVISION: "default"}});
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one(if kind == KIND { "install.istio.io/v1alpha1" } else { "v1" }, kind, &from_value(metadata).unwrap())
    }

    #[test]
    fn what_no_resource_has_is_gathered_by_the_resource_it_was_for() {
        let none = json!({});
        let all = vec![
            object("Service", "istiod", "main", "Pilot", &none),
            object("ServiceAccount", "reader", "main", "Base", &none),
            object(KIND, "installed-state-main", "main", "Pilot", &none),
            object("Service", "kept", "second", "Pilot", &none),
            object("Service", "going", "main", "Pilot", &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})),
        ];
        let records = ["installed-state-main", "installed-state"].map(|name| OwnerId::new("ns", name));
        let owners = BTreeSet::from([OwnerId::new("ns", "second")]);
        let found = gather(all.into_iter().flatten().collect(), &owners, &records);
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
        let main = Orphans {
            namespace: "ns".into(),
            name: "main".into(),
            revisions: texts(&["default"]),
            records: texts(&["installed-state-main"]),
            objects: texts(&["Service ns/istiod", "ServiceAccount ns/reader"]),
        };
        let unnamed = Orphans {
            namespace: "ns".into(),
            name: UNNAMED.into(),
            records: texts(&["installed-state"]),
            ..Orphans::default()
        };
        assert_eq!(found, [main, unnamed]);
    }
}
