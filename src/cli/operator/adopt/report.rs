//! What taking over would change: who installed each object, which fields become the operator's, and whose pods restart.

use super::super::super::resources::installers;
use crate::api::text::escape;
use crate::cluster::{Cluster, ClusterError};
use crate::diff::{Selection, change_of, summary};
use crate::install::Plan;
use crate::install::fields;
use crate::install::forecast::{Fate, Forecast};
use crate::object::{ObjectKey, OwnerId, labels};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many objects are read at once.
const AT_ONCE: usize = 16;
/// So many fields are named for a person.
const NAMED: usize = 5;
/// Labels and annotations that say nothing but who installed an object.
const MARKS: [(&str, &str); 6] = [
    ("labels", labels::MANAGED),
    ("labels", labels::COMPONENT),
    ("labels", labels::VERSION),
    ("labels", labels::OWNER_NAME),
    ("labels", labels::OWNER_NAMESPACE),
    ("annotations", "kubectl.kubernetes.io/last-applied-configuration"),
];

/// The whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    resource: String,
    objects: Vec<Piece>,
    /// Workloads whose pods are replaced.
    restarts: Vec<String>,
    /// Objects that the API server does not take, or does not say of.
    pub(super) unknown: Vec<String>,
}

/// An object.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    object: String,
    /// `none`, `create`, `change`, `ignored`, `foreign` or `unknown`.
    change: &'static str,
    /// Who installed it, as it tells itself.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    installed_by: BTreeSet<String>,
    /// The fields that become the operator's, by whose they are now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    taken_over: BTreeMap<String, Vec<String>>,
    /// The fields that get other values, or go; those that say nothing but who installed it are the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    restarts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Report {
    /// # Errors
    /// Objects cannot be read.
    pub(super) async fn new(
        cluster: &Cluster,
        owner: &OwnerId,
        plan: &Plan,
        forecasts: Vec<Forecast>,
    ) -> Result<Self, ClusterError> {
        let versions: BTreeMap<ObjectKey, &str> =
            plan.manifests().objects().map(|object| (object.key(), object.api_version())).collect();
        let pieces = forecasts.into_iter().map(|forecast| {
            let version = versions.get(&forecast.key).copied().unwrap_or("v1");
            piece(cluster, version, forecast)
        });
        let objects: Vec<Piece> = stream::iter(pieces).buffered(AT_ONCE).try_collect().await?;
        let named = |is: fn(&Piece) -> bool| objects.iter().filter(|p| is(p)).map(|p| p.object.clone()).collect();
        let (restarts, unknown) = (named(|piece| piece.restarts), named(|piece| piece.change == "unknown"));
        Ok(Self { resource: owner.to_string(), restarts, unknown, objects })
    }
}

async fn piece(cluster: &Cluster, api_version: &str, forecast: Forecast) -> Result<Piece, ClusterError> {
    let Forecast { key, fate, .. } = forecast;
    let mut piece = of_fate(&key, fate);
    if !["none", "change", "ignored", "foreign"].contains(&piece.change) {
        return Ok(piece);
    }
    let live = match cluster.get(api_version, &key).await {
        Err(error) if error.is_absent() => None,
        other => other?,
    };
    if let Some(live) = live {
        piece.installed_by = installers(&live);
        if matches!(piece.change, "none" | "change") && key.kind != "Namespace" {
            piece.taken_over = fields::handed_over_by(&live).into_iter().collect();
        }
    }
    Ok(piece)
}

fn of_fate(key: &ObjectKey, fate: Fate) -> Piece {
    let piece = Piece { object: key.to_string(), change: "none", ..Piece::default() };
    let why = |change, reason: String, piece: Piece| Piece { change, reason: Some(reason), ..piece };
    match fate {
        Fate::Create(_) => Piece { change: "create", ..piece },
        Fate::Change(changed) => {
            let sides = [Some(changed.before), Some(changed.after)];
            let Some(found) = change_of(key, sides, &Selection::default()) else { return piece };
            let restarts = found.replaces_pods();
            let mut changed: Vec<String> = found.fields.into_iter().map(|field| field.path).collect();
            changed.sort_by_key(|path| is_mark(path));
            Piece { change: "change", changed, restarts, ..piece }
        }
        // Nothing is deleted.
        Fate::Same | Fate::Delete(_) => piece,
        Fate::Ignored => why("ignored", format!("it is annotated {}", crate::api::IGNORE), piece),
        Fate::Foreign(other) | Fate::Conflict(other, _) => {
            why("foreign", format!("it belongs to IstioOperator {other}"), piece)
        }
        // What another user is refused, the operator may do.
        Fate::Refused(refused) => why("unknown", refused.why, piece),
        Fate::Unknown(error) => why("unknown", error.to_string(), piece),
    }
}

/// Whether a field says nothing but who installed the object.
fn is_mark(path: &str) -> bool {
    let is = |map: &str, name: &str| path.strip_prefix(&format!(".metadata.{map}.")) == Some(escape(name).as_str());
    MARKS.iter().any(|(map, name)| is(map, name))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "IstioOperator {} would have {} objects:", self.resource, self.objects.len())?;
        let is_told = |piece: &&Piece| piece.change != "none" || !piece.taken_over.is_empty();
        let mut told: Vec<&Piece> = self.objects.iter().filter(is_told).collect();
        told.sort_by_key(|piece| piece.weight());
        for piece in told {
            writeln!(f, "{}", piece.told())?;
        }
        let others = self.objects.iter().filter(|piece| !is_told(piece)).count();
        if others > 0 {
            writeln!(f, "{others} objects stay as they are.")?;
        }
        match self.restarts.as_slice() {
            [] => writeln!(f, "No pod restarts."),
            all => writeln!(f, "Pods restart of: {}", all.join(", ")),
        }
    }
}

impl Piece {
    /// Where it stands among the others: what a person has to know comes first.
    fn weight(&self) -> u8 {
        match self.change {
            "unknown" => 0,
            _ if self.restarts => 1,
            "change" if self.changed.iter().any(|path| !is_mark(path)) => 2,
            "create" | "ignored" | "foreign" => 3,
            _ => 4,
        }
    }

    /// In which fields it changes, in words.
    fn told_changes(&self) -> String {
        let (marks, others): (Vec<&str>, Vec<&str>) = self.changed.iter().map(String::as_str).partition(|p| is_mark(p));
        match (others.as_slice(), marks.len()) {
            ([], _) => "changes in nothing but who has installed it".to_owned(),
            (others, 0) => format!("changes in {}", summary(others, NAMED)),
            (others, _) => format!("changes in {}, and in who has installed it", summary(others, NAMED)),
        }
    }

    fn told(&self) -> String {
        let mut parts = vec![];
        if !self.installed_by.is_empty() {
            let all: Vec<&str> = self.installed_by.iter().map(String::as_str).collect();
            parts.push(format!("written by {}", all.join(", ")));
        }
        parts.extend(
            self.taken_over
                .iter()
                .map(|(manager, fields)| format!("{} fields of {manager} become the operator's", fields.len())),
        );
        match self.change {
            "create" => parts.push("is created".to_owned()),
            "change" => parts.push(self.told_changes()),
            "ignored" | "foreign" => parts.push("is left alone".to_owned()),
            "unknown" => parts.push("is unknown".to_owned()),
            _ => {}
        }
        if self.restarts {
            parts.push("its pods restart".to_owned());
        }
        parts.extend(self.reason.clone());
        format!("  {}: {}", self.object, parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::fields::Effect;
    use kube::api::DynamicObject;
    use serde_json::{Value, from_value, json};

    fn key(group: &str, kind: &str) -> ObjectKey {
        ObjectKey { group: group.into(), kind: kind.into(), namespace: "a".into(), name: "b".into() }
    }

    #[test]
    fn pods_restart_where_their_template_changes() {
        let workload = |image: &str, replicas: i64| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "b", "namespace": "a"},
                "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})
        };
        let fate = |after: Value| Fate::Change(Box::new(Effect { before: workload("x", 1), after }));
        let of = |after| of_fate(&key("apps", "Deployment"), fate(after));
        let scaled = of(workload("x", 2));
        assert_eq!(
            (scaled.change, scaled.restarts, scaled.changed),
            ("change", false, vec![".spec.replicas".to_owned()])
        );
        assert!(of(workload("y", 1)).restarts);
    }

    #[test]
    fn who_installed_an_object_is_told_by_its_marks_and_managers() {
        let live: DynamicObject =
            from_value(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b", "namespace": "a",
            "annotations": {"meta.helm.sh/release-name": "istiod", "meta.helm.sh/release-namespace": "istio-system"},
            "labels": {labels::OWNER_NAME: "main", labels::OWNER_NAMESPACE: "mesh"},
            "managedFields": [{"manager": "helm", "operation": "Update"},
                {"manager": "kubelet", "operation": "Update", "subresource": "status"}]}}))
            .unwrap();
        let told: Vec<String> = installers(&live).into_iter().collect();
        assert_eq!(told, ["Helm release istio-system/istiod", "IstioOperator mesh/main", "helm"]);
    }

    #[test]
    fn what_says_who_installed_an_object_is_told_after_what_changes() {
        let object = |value: &str, labels: Value| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b", "namespace": "a", "labels": labels},
                "spec": {"type": value}})
        };
        let of = |value: &str| {
            let (before, after) =
                (object("x", json!({})), object(value, json!({labels::OWNER_NAME: "main", "app": "y"})));
            of_fate(&key("", "Service"), Fate::Change(Box::new(Effect { before, after })))
        };
        let changed = of("z");
        assert_eq!(changed.changed.last().unwrap(), ".metadata.labels.install\\.operator\\.istio\\.io/owning-resource");
        let expected = "changes in .spec.type, .metadata.labels.app, and in who has installed it";
        assert_eq!(changed.told_changes(), expected);
        let marked = Piece {
            changed: changed.changed.into_iter().rev().take(1).collect(),
            change: "change",
            ..Piece::default()
        };
        assert_eq!(marked.told_changes(), "changes in nothing but who has installed it");
        assert!(of("z").weight() < marked.weight());
    }

    #[test]
    fn the_report_names_what_changes_hands_and_counts_the_rest() {
        let piece = |object: &str, change| Piece { object: object.into(), change, ..Piece::default() };
        let taken_over = BTreeMap::from([("istioctl".to_owned(), vec![".a".to_owned(), ".b".to_owned()])]);
        let report = Report {
            resource: "ns/main".into(),
            objects: vec![
                Piece { taken_over, ..piece("Service a", "none") },
                piece("Role c", "none"),
                piece("Role b", "create"),
            ],
            restarts: vec![],
            unknown: vec![],
        };
        let expected = "IstioOperator ns/main would have 3 objects:\n  Role b: is created\n  \
                        Service a: 2 fields of istioctl become the operator's\n1 objects stay as they are.\nNo pod restarts.\n";
        assert_eq!(report.to_string(), expected);
    }
}
