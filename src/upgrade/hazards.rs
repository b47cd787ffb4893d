//! What may go wrong in an upgrade, as a table: when a hazard is there, and what to know of it.

use super::operators::Operators;
use super::side::Side;
use crate::api::component::Component;
use crate::api::text::join;
use crate::diff::{Change, ObjectChange, is_below};
use crate::object::manifests::Manifests;
use crate::spec::path::text;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What hazards are looked for in.
pub struct Case<'a> {
    pub(super) spec: &'a Value,
    pub(super) from: &'a Side,
    pub(super) to: &'a Side,
    pub(super) changes: &'a [ObjectChange],
    pub(super) kubernetes: Option<u32>,
    pub(super) operators: &'a Operators,
}

/// A row of the table.
pub struct Hazard {
    /// Its name.
    pub name: &'static str,
    /// Where it is there: objects, fields, or nothing more to say; `None` where it is not.
    find: fn(&Case<'_>) -> Option<Vec<String>>,
    /// What to know of it.
    pub sentence: &'static str,
}

/// A hazard that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The name of the hazard.
    pub name: &'static str,
    /// What to know of it.
    pub message: &'static str,
    /// The objects or fields that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<String>,
}

/// All hazards that are known.
pub const HAZARDS: &[Hazard] = &[
    Hazard {
        name: "KubernetesTooOld",
        find: |case| {
            let needed: u32 = case.to.switches.offline_kubernetes().2.parse().ok()?;
            let live = case.kubernetes.filter(|live| *live < needed)?;
            Some(vec![format!("the cluster has Kubernetes 1.{live}, the release needs 1.{needed}")])
        },
        sentence: "the cluster is older than the release supports: upgrade Kubernetes first",
    },
    Hazard {
        name: "OtherOperator",
        find: |case| match case.operators {
            Operators::Known(all) => found(all.clone()),
            // There is none of a later release.
            Operators::Unknown(why) => {
                (case.from.minor() < NEW_PIPELINE).then(|| vec![format!("it is not known whether one runs: {why}")])
            }
        },
        sentence: "where an in-cluster operator of Istio's own still runs, it moves every object back to its release: delete its \
                   Deployment before the upgrade, and keep the resources",
    },
    Hazard {
        name: "FirstPartyTokens",
        find: |case| {
            let is_set = text(case.spec, "/values/global/jwtPolicy") == Some("first-party-jwt");
            (case.crosses(22) && is_set).then(|| vec!["spec.values.global.jwtPolicy".to_owned()])
        },
        sentence: "from 1.22 on proxies always show third-party tokens: a cluster that issues none cannot be upgraded",
    },
    Hazard {
        name: "NamespaceMoves",
        find: |case| {
            let (old, new) = case.both()?;
            (old.namespace != new.namespace).then(|| vec![format!("from {} to {}", old.namespace, new.namespace)])
        },
        sentence: "the control plane moves to another namespace: proxies find the new istiod only after a restart (from 1.24 on only \
                   values.global.istioNamespace says the namespace)",
    },
    Hazard {
        name: "ComponentComes",
        find: |case| found(case.components_without(false)),
        sentence: "components that are not installed now come with the release: turn off what you do not want with \
                   `enabled: false` (from 1.24 on a component that the spec names is on unless it says so)",
    },
    Hazard {
        name: "ComponentGoes",
        find: |case| found(case.components_without(true)),
        sentence: "components that are installed now are not part of what the spec renders to with the release: say \
                   `enabled: true` where you want them",
    },
    Hazard {
        name: "GatewaysReplaced",
        find: |case| {
            let lists = ["ingressGateways", "egressGateways"].into_iter();
            let named = lists.filter(|list| case.spec.pointer(&format!("/components/{list}")).is_some());
            let is_upstream = case.to.switches.is_upstream && case.crosses(NEW_PIPELINE);
            found(named.filter(|_| is_upstream).map(|list| format!("spec.components.{list}")).collect())
        },
        sentence: "with --upstream-behavior a list of gateways takes the place of the profile's from 1.24 on: gateways that only the \
                   profile names are deleted",
    },
    Hazard {
        name: "NullsCount",
        find: |case| {
            let mut nulls = vec![];
            if let Some(values) = case.spec.get("values").filter(|_| case.crosses(NEW_PIPELINE)) {
                collect_nulls(values, "spec.values", &mut nulls);
            }
            found(nulls)
        },
        sentence: "from 1.24 on a null in values deletes the chart's default, where it was without effect before: remove it, or mean it",
    },
    Hazard {
        name: "SelectorChanges",
        find: |case| found(case.workloads_with(".spec.selector")),
        sentence: "the API server does not let a workload's selector change: the workload has to be deleted before it is upgraded, \
                   which leaves no pod of it for a moment",
    },
    Hazard {
        name: "VersionGone",
        find: |case| found(case.versions_gone()),
        sentence: "versions of Istio's own APIs are not served any more: convert what is stored in them before the upgrade",
    },
    Hazard {
        name: "NoDisruptionBudget",
        find: |case| found(case.lost_budgets()),
        sentence: "disruption budgets go (from 1.28 on there are none where one pod may be all there is): a node that is drained may \
                   take the only pod with it; ask for two replicas or an autoscaler with at least two",
    },
    Hazard {
        name: "TracingEnds",
        find: |case| {
            let is_tracing = |path: &str| path.starts_with(".data.mesh.defaultConfig.tracing");
            let gone = |change: &&ObjectChange| {
                change.fields.iter().any(|field| is_tracing(&field.path) && field.after.is_none())
            };
            found(case.changes.iter().filter(gone).map(|change| change.key.to_string()).collect())
        },
        sentence: "proxies send no traces to zipkin by default any more (1.22): name a provider in meshConfig and a Telemetry \
                   resource to keep them",
    },
    Hazard {
        name: "RegistryChanges",
        find: |case| {
            let (old, new) = case.both()?;
            let (old, new) = (registries(old), registries(new));
            found(new.difference(&old).cloned().collect())
        },
        sentence: "images come from another registry: nodes, mirrors and policies have to allow it, or set `hub`",
    },
    Hazard {
        name: "BehaviorChanges",
        find: |case| {
            let is_kept = ["/compatibilityVersion", "/values/compatibilityVersion"];
            let is_kept = is_kept.iter().any(|at| text(case.spec, at).is_some());
            let is_moved = case.from.minor() < case.to.minor() && case.to.minor() >= COMPATIBILITY;
            (is_moved && !is_kept && !case.is_nothing()).then(Vec::new)
        },
        sentence: "each minor release changes how istiod and proxies behave: `compatibilityVersion: 1.N` keeps the behavior of one of \
                   the last few; read the upgrade notes of all releases between",
    },
    Hazard {
        name: "CniMoves",
        find: |case| {
            let created = case.of_kind(Change::Create, "DaemonSet");
            let deleted = case.changes.iter().filter(|c| c.change == Change::Delete && c.key.kind == "DaemonSet");
            let moved = deleted.filter(|c| created.iter().any(|name| name.ends_with(&format!("/{}", c.key.name))));
            found(moved.map(|change| change.key.to_string()).collect())
        },
        sentence: "a node agent moves to another namespace: two of them are on each node until the old one is deleted",
    },
    Hazard {
        name: "CniRepairs",
        find: |case| (case.crosses(21) && case.has_always(Component::Cni)).then(Vec::new),
        sentence: "from 1.21 on the CNI agent repairs pods that started without their network rules by default, for which it needs \
                   rights on pods (values.cni.repair.repairPods)",
    },
    Hazard {
        name: "AmbientRedirection",
        find: |case| (case.crosses(21) && case.is_ambient(case.from)).then(Vec::new),
        sentence: "ambient mode redirects traffic within pods from 1.21 on: there is no way in place; take workloads out of the \
                   mesh, upgrade, and put them back",
    },
    Hazard {
        name: "AmbientHostNetwork",
        find: |case| (case.crosses(26) && case.is_ambient(case.to)).then(Vec::new),
        sentence: "from 1.26 on the CNI agent of ambient mode is not in the network of the host, unless \
                   values.cni.ambient.shareHostNetworkNamespace says so",
    },
    Hazard {
        name: "AmbientRules",
        find: |case| (case.crosses(29) && case.is_ambient(case.to)).then(Vec::new),
        sentence: "from 1.29 on the CNI agent brings the rules of running pods up to date when it starts \
                   (values.cni.ambient.reconcileIptablesOnStartup): connections may be cut at that moment",
    },
    Hazard {
        name: "AmbientNodes",
        find: |case| {
            let restarted = case.workloads_with(".spec.template").into_iter().filter(|name| name.ends_with("/ztunnel"));
            found(restarted.collect())
        },
        sentence: "the pods of ztunnel are replaced node by node: connections of ambient workloads on a node are cut then",
    },
];

/// The first minor release whose specs are maps that go to the charts.
const NEW_PIPELINE: u32 = 24;
/// The first minor release with `compatibilityVersion`.
const COMPATIBILITY: u32 = 21;

/// The hazards that are there.
pub(super) fn find(case: &Case<'_>) -> Vec<Warning> {
    let there = HAZARDS.iter().filter_map(|hazard| Some((hazard, (hazard.find)(case)?)));
    there.map(|(hazard, at)| Warning { name: hazard.name, message: hazard.sentence, at }).collect()
}

fn found(at: Vec<String>) -> Option<Vec<String>> {
    if at.is_empty() { None } else { Some(at) }
}

impl Case<'_> {
    /// Whether a change that came with that minor release lies between the two.
    fn crosses(&self, minor: u32) -> bool {
        (self.from.minor() + 1..=self.to.minor()).contains(&minor)
    }

    fn both(&self) -> Option<(&Manifests, &Manifests)> {
        Some((self.from.manifests()?, self.to.manifests()?))
    }

    /// The components that only one of the two has: the present one, or the other.
    fn components_without(&self, is_present: bool) -> Vec<String> {
        let Some((old, new)) = self.both() else { return vec![] };
        let (one, other) = if is_present { (old, new) } else { (new, old) };
        let has = |component| other.parts.iter().any(|part| part.component == component && !part.objects.is_empty());
        let only = one.parts.iter().filter(|part| !part.objects.is_empty() && !has(part.component));
        only.map(|part| part.component.name().to_owned()).collect()
    }

    fn has_always(&self, component: Component) -> bool {
        self.both().is_some_and(|(old, new)| {
            [old, new].iter().all(|manifests| manifests.parts.iter().any(|part| part.component == component))
        })
    }

    fn is_ambient(&self, side: &Side) -> bool {
        match side.manifests() {
            Some(manifests) => manifests.parts.iter().any(|part| part.component == Component::Ztunnel),
            // What it comes to is not known, only what it is called.
            None => text(self.spec, "/profile").is_some_and(|profile| profile.ends_with("ambient")),
        }
    }

    fn of_kind(&self, change: Change, kind: &str) -> Vec<String> {
        let all = self.changes.iter().filter(|one| one.change == change && one.key.kind == kind);
        all.map(|one| one.key.to_string()).collect()
    }

    /// The disruption budgets that go, but for those of workloads that go too.
    fn lost_budgets(&self) -> Vec<String> {
        let is_gone = |change: &ObjectChange, group: &str| change.change == Change::Delete && change.key.group == group;
        let goes_with = |budget: &ObjectChange| {
            let is_its = |other: &ObjectChange| {
                (&other.key.namespace, &other.key.name) == (&budget.key.namespace, &budget.key.name)
            };
            self.changes.iter().any(|other| is_gone(other, "apps") && is_its(other))
        };
        let budgets = self.changes.iter().filter(|one| one.key.kind == "PodDisruptionBudget" && is_gone(one, "policy"));
        budgets.filter(|budget| !goes_with(budget)).map(|budget| budget.key.to_string()).collect()
    }

    /// Whether neither release installs anything.
    fn is_nothing(&self) -> bool {
        let is_empty = |manifests: &Manifests| manifests.objects().next().is_none();
        self.both().is_some_and(|(old, new)| is_empty(old) && is_empty(new))
    }

    /// The workloads in which something at or below a path changes.
    fn workloads_with(&self, path: &str) -> Vec<String> {
        let workloads = self.changes.iter().filter(|one| one.change == Change::Change && one.key.group == "apps");
        let changed = workloads.filter(|one| one.fields.iter().any(|field| is_below(&field.path, path)));
        changed.map(|one| one.key.to_string()).collect()
    }

    fn versions_gone(&self) -> Vec<String> {
        let definitions = self.changes.iter().filter(|one| one.key.kind == "CustomResourceDefinition");
        let gone = |change: &ObjectChange| {
            let (old, new) = (served(change.before()), served(change.after()));
            old.difference(&new).map(|version| format!("{} {version}", change.key.name)).collect::<Vec<_>>()
        };
        // A definition that is not wanted any more is never deleted.
        definitions.filter(|one| one.change == Change::Change).flat_map(gone).collect()
    }
}

/// The versions of a definition that are served.
fn served(definition: Option<&Value>) -> BTreeSet<String> {
    let versions = definition.and_then(|d| d.pointer("/spec/versions")).and_then(Value::as_array).into_iter().flatten();
    let served = versions.filter(|version| version.get("served") == Some(&Value::Bool(true)));
    served.filter_map(|version| Some(version.get("name")?.as_str()?.to_owned())).collect()
}

fn collect_nulls(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Object(map) => map.iter().for_each(|(key, value)| collect_nulls(value, &join(path, key), found)),
        _ => {}
    }
}

/// The registries and folders that workloads get their images from.
fn registries(manifests: &Manifests) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for object in manifests.objects().filter(|object| object.group() == "apps") {
        let value = object.value();
        for list in ["containers", "initContainers"] {
            let containers = value.pointer(&format!("/spec/template/spec/{list}")).and_then(Value::as_array);
            let images = containers.into_iter().flatten().filter_map(|container| text(container, "/image"));
            found.extend(images.filter_map(|image| Some(image.rsplit_once('/')?.0.to_owned())));
        }
    }
    found
}
