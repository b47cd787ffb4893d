//! What there is of Istio in a cluster, to be deleted: by the labels that upstream's operator and `istioctl`, this operator, and Helm
//! put on what they install.

use super::super::remaining::is_shared;
use crate::api::component::{ALL, Component};
use crate::api::{API_VERSION, INSTALLED_STATE, KIND, annotations};
use crate::cluster::{Cluster, ClusterError, is_ours};
use crate::install::remains::{Fate, Remaining};
use crate::install::tags::{self, Ending};
use crate::install::{INITIAL_KINDS, is_never_deleted, summary};
use crate::object::labels::{self, COMPONENT, REVISION, UNNAMED, is_name_of};
use crate::object::manifests::{Manifests, revision_label};
use crate::object::{Object, ObjectKey, OwnerId};
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many lists and reads are under way at once.
const AT_ONCE: usize = 32;

/// Kinds that installers have used besides those that are known of from the start.
const MORE_KINDS: [(&str, &str); 6] = [
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "StatefulSet"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
];

/// By which labels everything of Istio is found: those of upstream's installers and of this one; those of its charts with Helm, from
/// release 1.24 on, and before.
const OF_ISTIO: [&str; 3] = [
    COMPONENT,
    "app.kubernetes.io/part-of=istio",
    "release,app in (istiod,istio-reader,istio-pilot,sidecar-injector,istio-base)",
];

/// Of these some have nothing but the revision that they are of.
const WEBHOOKS: [(&str, &str); 2] = [
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
];

/// The groups of Istio's own definitions.
const GROUPS: [&str; 5] =
    ["extensions.istio.io", "install.istio.io", "networking.istio.io", "security.istio.io", "telemetry.istio.io"];

/// All definitions.
const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");

/// Why objects stay.
const ANNOTATED: &str = "they are annotated install.istio.io/prune=false";
const UNCOUNTED: &str = "it is not known whether something of them is annotated so, and would go with them";
const HAVE_ANNOTATED: &str = "something of them is annotated so, and would go with them";
const OF_OTHERS: &str = "they are those of another resource";
const NOT_INSTALLED: &str = "nothing on them says that an installer of Istio made them";
const NEVER_DELETED: &str = "with them would go what others made of them";

/// What there is.
#[derive(Default)]
pub(super) struct Found {
    /// What is to be deleted, or is being deleted.
    pub to_delete: BTreeMap<ObjectKey, Remaining>,
    /// What stays, by the reason why.
    pub stays: BTreeMap<&'static str, BTreeSet<String>>,
    /// What no installer made and goes with its definition: of each kind how many in which namespace, the empty one for what has
    /// none.
    pub resources: BTreeMap<String, Counts>,
    /// Of which kinds it is not known what there is, and why.
    pub uncounted: Vec<String>,
}

/// How many objects there are, by namespace.
pub(super) type Counts = BTreeMap<String, usize>;

impl Found {
    /// The Deployments of control planes that go.
    pub fn control_planes(&self) -> impl Iterator<Item = &Remaining> {
        self.to_delete.values().filter(|one| one.key.kind == "Deployment" && one.is_of_control_plane())
    }

    fn take(&mut self, one: Remaining) {
        match one.fate {
            Fate::Kept => self.keep(ANNOTATED, &one.key),
            _ => drop(self.to_delete.insert(one.key.clone(), one)),
        }
    }

    fn keep(&mut self, why: &'static str, key: &ObjectKey) {
        self.stays.entry(why).or_default().insert(key.to_string());
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.to_delete.is_empty() && self.stays.is_empty()
    }
}

fn is_kept(metadata: &ObjectMeta) -> bool {
    metadata.annotations.as_ref().is_some_and(annotations::is_kept)
}

/// Everything of Istio.
///
/// # Errors
/// A kind cannot be listed: what cannot be seen would be left behind.
pub(super) async fn everything(cluster: &Cluster) -> Result<Found, ClusterError> {
    let kinds = || kinds().filter(|(_, kind)| *kind != DEFINITIONS.1);
    let mut lists: Vec<_> = kinds().flat_map(|kind| OF_ISTIO.map(|labels| (kind, labels))).collect();
    lists.extend(WEBHOOKS.map(|kind| (kind, REVISION)));
    lists.push(((API_VERSION, KIND), ""));
    let mut found = list_all(cluster, lists).await?;
    definitions(cluster, &mut found).await?;
    Ok(found)
}

/// The definitions of Istio's own kinds. One of which something is annotated to stay stays too.
async fn definitions(cluster: &Cluster, found: &mut Found) -> Result<(), ClusterError> {
    let (api_version, kind) = DEFINITIONS;
    let all = cluster.list(api_version, kind, None, "").await?;
    let group_of = |crd: &DynamicObject| crd.name_any().split_once('.').map_or_else(String::new, |(_, g)| g.to_owned());
    let own = all.iter().filter(|crd| GROUPS.contains(&group_of(crd).as_str()));
    let reads = own.map(async |crd| {
        let (group, (version, kind)) = (group_of(crd), served(&crd.data));
        let take = |of: &mut OfKind, object: &ObjectMeta| of.take(&group, kind, object);
        let resources = match cluster.fold(&format!("{group}/{version}"), kind, take).await {
            Err(error) if error.is_absent() => Ok(OfKind::default()),
            other => other,
        };
        (Remaining::of(api_version, DEFINITIONS.1, crd), kind.to_owned(), resources)
    });
    for (crd, kind, resources) in join_all(reads).await {
        let OfKind { kept, counts } = match resources {
            Ok(resources) => resources,
            Err(error) => {
                found.uncounted.push(error.to_string());
                found.keep(UNCOUNTED, &crd.key);
                continue;
            }
        };
        for key in &kept {
            found.keep(ANNOTATED, key);
        }
        if !kept.is_empty() || crd.fate == Fate::Kept {
            let why = if kept.is_empty() { ANNOTATED } else { HAVE_ANNOTATED };
            found.keep(why, &crd.key);
            continue;
        }
        found.take(crd);
        // Resources of an operator are told by name.
        if kind != KIND && !counts.is_empty() {
            found.resources.insert(kind, counts);
        }
    }
    Ok(())
}

/// What there is of a kind. Of most objects no more is kept than that there is one more.
#[derive(Default)]
struct OfKind {
    /// What is annotated to stay.
    kept: Vec<ObjectKey>,
    /// What no installer made.
    counts: Counts,
}

impl OfKind {
    fn take(&mut self, group: &str, kind: &str, object: &ObjectMeta) {
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        if is_kept(object) {
            self.kept.push(ObjectKey {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: named(&object.namespace),
                name: named(&object.name),
            });
        }
        if !object.labels.as_ref().is_some_and(|labels| labels.contains_key(COMPONENT)) {
            *self.counts.entry(named(&object.namespace)).or_default() += 1;
        }
    }
}

/// What goes of a kind, in words: `12 VirtualServices in 3 namespaces (shop; …)`.
pub(super) fn counted(kind: &str, counts: &Counts) -> String {
    let count: usize = counts.values().sum();
    let kinds = match kind.strip_suffix('y') {
        _ if count == 1 => kind.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    let names: Vec<&String> = counts.keys().filter(|namespace| !namespace.is_empty()).collect();
    match names.as_slice() {
        [] => format!("{count} {kinds}"),
        [one] => format!("{count} {kinds} in namespace {one}"),
        all => format!("{count} {kinds} in {} namespaces ({})", all.len(), summary(all)),
    }
}

/// A version that is served of what a definition defines, and the kind.
fn served(crd: &Value) -> (&str, &str) {
    let mut versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let version = versions.find(|version| version.get("served").is_some_and(|is| is == true));
    let name = version.and_then(|version| version.get("name")?.as_str()).unwrap_or_default();
    (name, crd.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default())
}

/// The control plane of a revision with its gateways, and the records of its installation; what all revisions share stays.
///
/// # Errors
/// As above.
pub(super) async fn of_revision(cluster: &Cluster, revision: &str) -> Result<Found, ClusterError> {
    let components = ALL.iter().filter(|component| **component != Component::Base).map(|component| component.name());
    let labels = format!("{REVISION}={revision},{COMPONENT} in ({})", components.collect::<Vec<_>>().join(","));
    let lists = kinds().filter(|(_, kind)| *kind != DEFINITIONS.1).map(|kind| (kind, labels.as_str()));
    // A webhook that validates is of the base, and without its istiod would refuse all configuration.
    let of_revision = format!("{REVISION}={revision}");
    let webhooks = WEBHOOKS.map(|kind| (kind, of_revision.as_str()));
    let lists = lists.chain(webhooks);
    let mut found = list_all(cluster, lists.collect()).await?;
    records(cluster, revision, None, &mut found).await?;
    Ok(found)
}

/// What there is of components that all revisions share.
///
/// # Errors
/// As above.
pub(super) async fn of_shared_components(cluster: &Cluster) -> Result<Found, ClusterError> {
    let components = ALL.iter().filter(|component| is_shared(**component)).map(|component| component.name());
    let labels = format!("{REVISION},{COMPONENT} in ({})", components.collect::<Vec<_>>().join(","));
    list_all(cluster, kinds().filter(|(_, kind)| *kind != DEFINITIONS.1).map(|kind| (kind, labels.as_str())).collect())
        .await
}

/// What manifests of a resource have in the cluster, but for the base, and what is of another revision; the tags that lead to it;
/// and the records of the revision. A name alone says nothing: what nobody installed, or somebody else, stays.
///
/// # Errors
/// As above.
pub(super) async fn of_manifests(
    cluster: &Cluster,
    manifests: &Manifests,
    owner: &OwnerId,
) -> Result<Found, ClusterError> {
    let revision = manifests.revision_label();
    let parts = manifests.parts.iter().filter(|part| part.component != Component::Base);
    let read = parts.flat_map(|part| &part.objects).map(|object: &Object| async move {
        match cluster.get(object.api_version(), &object.key()).await {
            Err(error) if error.is_absent() => Ok(None),
            other => Ok(other?.map(|live| (object, live))),
        }
    });
    let live: Vec<Option<(&Object, DynamicObject)>> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    let mut found = Found::default();
    for (object, live) in live.into_iter().flatten() {
        let one = Remaining::of(object.api_version(), object.kind(), &live);
        if !one.revision.is_empty() && one.revision != revision {
            continue;
        }
        match why_it_stays(&live, object.kind(), owner) {
            Some(why) => found.keep(why, &one.key),
            None => found.take(one),
        }
    }
    let mut ending = Ending::default();
    for one in found.to_delete.values() {
        ending.add(&one.key, one.component, &one.revision);
    }
    for kind in tags::KINDS.into_iter().filter(|_| !ending.is_empty()) {
        for tag in ending.tags(cluster, kind).await? {
            found.take(Remaining::of(kind.0, kind.1, &tag));
        }
    }
    records(cluster, revision, Some(owner), &mut found).await?;
    Ok(found)
}

/// Why an object that a resource wants is not deleted with it, if it is not.
fn why_it_stays(live: &DynamicObject, kind: &str, owner: &OwnerId) -> Option<&'static str> {
    match labels::owner_of(live.labels()) {
        _ if is_never_deleted(kind) => Some(NEVER_DELETED),
        Some(of) if !is_owners(owner, &of) => Some(OF_OTHERS),
        _ if !is_ours(&live.metadata) && !live.labels().contains_key(COMPONENT) => Some(NOT_INSTALLED),
        _ => None,
    }
}

/// Whether what says that it is of `of` is a resource's.
fn is_owners(owner: &OwnerId, of: &OwnerId) -> bool {
    // Who installs without a name makes it nobody's in particular.
    of.namespace == owner.namespace && is_name_of(owner, &of.name) || of.name == UNNAMED
}

/// Adds the records of installations of a revision: those of one resource, or all.
async fn records(
    cluster: &Cluster,
    revision: &str,
    owner: Option<&OwnerId>,
    found: &mut Found,
) -> Result<(), ClusterError> {
    let all = cluster.list(API_VERSION, KIND, None, "").await?;
    // A record that is nobody's in particular goes with the control plane that it is of.
    let goes = found.to_delete.values().any(|one| one.component == Some(Component::Pilot));
    let is_meant = |record: &DynamicObject, owner: &OwnerId| match labels::owner_of(record.labels()) {
        Some(of) => is_owners(owner, &of) && (goes || of.name != UNNAMED || owner.name.is_empty()),
        None => goes,
    };
    let of = |record: &DynamicObject| {
        let said = record.data.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
        revision_label(said) == revision && owner.is_none_or(|owner| is_meant(record, owner))
    };
    let records = all.iter().filter(|one| one.name_any().starts_with(INSTALLED_STATE) && of(one));
    records.for_each(|one| found.take(Remaining::of(API_VERSION, KIND, one)));
    Ok(())
}

fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    INITIAL_KINDS.iter().copied().chain(MORE_KINDS).filter(|(_, kind)| *kind != KIND)
}

async fn list_all(cluster: &Cluster, lists: Vec<((&str, &str), &str)>) -> Result<Found, ClusterError> {
    let lists = lists.into_iter().map(|((api_version, kind), labels)| async move {
        let live = match cluster.list(api_version, kind, None, labels).await {
            Err(error) if error.is_absent() => vec![],
            other => other?,
        };
        Ok::<_, ClusterError>(live.iter().map(|live| Remaining::of(api_version, kind, live)).collect::<Vec<_>>())
    });
    let all: Vec<Vec<Remaining>> = stream::iter(lists).buffered(AT_ONCE).try_collect().await?;
    let mut found = Found::default();
    all.into_iter().flatten().for_each(|one| found.take(one));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn what_has_only_the_name_of_something_installed_stays() {
        let object = |manager: &str, labels: Value| -> DynamicObject {
            let managers = json!([{"manager": manager, "operation": "Apply"}]);
            let metadata = json!({"name": "istio", "labels": labels, "managedFields": managers});
            from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap()
        };
        let of = |name: &str| json!({labels::OWNER_NAME: name, labels::OWNER_NAMESPACE: "ns"});
        let owner = OwnerId::new("ns", "main");
        let table = [
            ("kubectl", json!({}), "ConfigMap", Some(NOT_INSTALLED)),
            ("kubectl", json!({COMPONENT: "Pilot"}), "ConfigMap", None),
            ("istio-operator", json!({}), "ConfigMap", None),
            ("istio-operator", json!({}), "Namespace", Some(NEVER_DELETED)),
            ("istio-operator", of("main"), "CustomResourceDefinition", Some(NEVER_DELETED)),
            ("istio-operator", of("main"), "ConfigMap", None),
            ("istio-operator", of("unknown"), "ConfigMap", None),
            ("istio-operator", of("second"), "ConfigMap", Some(OF_OTHERS)),
        ];
        for (manager, labels, kind, why) in table {
            let live = object(manager, labels.clone());
            assert_eq!(why_it_stays(&live, kind, &owner), why, "{manager} {labels} {kind}");
        }
    }

    #[test]
    fn what_goes_of_a_kind_is_told_with_its_namespaces() {
        let counts =
            |of: &[(&str, usize)]| of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Counts>();
        for (kind, of, expected) in [
            ("VirtualService", vec![("a", 10), ("b", 1), ("c", 1)], "12 VirtualServices in 3 namespaces (a; b; c)"),
            ("Gateway", vec![("shop", 1)], "1 Gateway in namespace shop"),
            ("ServiceEntry", vec![("a", 1), ("b", 1)], "2 ServiceEntries in 2 namespaces (a; b)"),
            ("Sidecar", vec![("", 2)], "2 Sidecars"),
            (
                "Sidecar",
                "a b c d".split(' ').map(|name| (name, 1)).collect(),
                "4 Sidecars in 4 namespaces (a; b; c; and 1 more)",
            ),
        ] {
            assert_eq!(counted(kind, &counts(&of)), expected);
        }
    }

    #[test]
    fn what_no_installer_made_of_a_kind_is_counted_by_namespace() {
        let object = |namespace: &str, labels: Value, annotations: Value| -> ObjectMeta {
            from_value(json!({"name": "x", "namespace": namespace, "labels": labels, "annotations": annotations}))
                .unwrap()
        };
        let mut of = OfKind::default();
        for (namespace, labels, annotations) in [
            ("a", json!({}), json!({})),
            ("a", json!({"app": "x"}), json!({})),
            ("istio-system", json!({COMPONENT: "Pilot"}), json!({})),
            ("b", json!({}), json!({"install.istio.io/prune": "false"})),
        ] {
            of.take("networking.istio.io", "Gateway", &object(namespace, labels, annotations));
        }
        assert_eq!(of.counts, Counts::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
        assert_eq!(of.kept.len(), 1);
    }

    #[test]
    fn a_definition_says_what_can_be_listed() {
        let versions = json!([{"name": "v1alpha1", "served": false}, {"name": "v1", "served": true}]);
        assert_eq!(served(&json!({"spec": {"versions": versions, "names": {"kind": "Gateway"}}})), ("v1", "Gateway"));
    }
}
