//! Which fields merge in which way: tables for `IstioOperator` trees and for Kubernetes objects.

use crate::api::schema::{self, Merge, Type};
use serde_json::Value;

/// Says which rule holds for which field.
pub trait MergeSchema {
    /// The rule for the field at this path: keys from the root on, items of lists not counted
    /// (`spec.template.spec.containers.env`).
    fn rule(&self, path: &[&str]) -> Merge;

    /// Whether a null of the patch removes what the base has at this path.
    fn null_removes(&self, _path: &[&str], _base: &Value) -> bool {
        true
    }
}

/// Path, rule; `*` stands for any one key.
type Entry = (&'static [&'static str], Merge);

/// Layers of an `IstioOperator`: profile, files, flags.
///
/// Keys that this table does not know merge like any map, also where upstream Istio fails because its schema lacks them.
/// A null where the base has a map or a list is an emptied section (`components:`), and means nothing; so does a null where
/// the base says whether something is installed. Otherwise a forgotten line would remove a control plane.
#[derive(Debug, Clone, Copy, Default)]
pub struct IstioOperatorSchema;

impl MergeSchema for IstioOperatorSchema {
    fn rule(&self, path: &[&str]) -> Merge {
        let Some((&"spec", path)) = path.split_first() else { return Merge::Merge };
        let spec = Type::Message(schema::spec());
        let mut at = Some(&spec);
        let mut rule = Merge::Merge;
        for key in path {
            while let Some(Type::List(inner)) = at {
                at = Some(inner);
            }
            (at, rule) = match at {
                Some(Type::Message(message)) => match message.layer(key) {
                    Some(field) => (Some(&field.kind).filter(|_| !field.unchecked), field.merge),
                    None => return Merge::Merge,
                },
                Some(Type::Map(inner)) => (Some(&**inner), Merge::Merge),
                _ => return Merge::Merge,
            };
        }
        rule
    }

    fn null_removes(&self, path: &[&str], base: &Value) -> bool {
        !base.is_object() && !base.is_array() && path.last() != Some(&"enabled")
    }
}

/// Layers of maps without a schema: lists are replaced, and a null says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainSchema;

impl MergeSchema for PlainSchema {
    fn rule(&self, _path: &[&str]) -> Merge {
        Merge::Merge
    }

    fn null_removes(&self, _path: &[&str], _base: &Value) -> bool {
        false
    }
}

/// Kubernetes objects: workloads, services, autoscalers, webhooks, service accounts.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkloadSchema;

/// Disruption budgets: what is no workload's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetSchema;

impl MergeSchema for BudgetSchema {
    fn rule(&self, path: &[&str]) -> Merge {
        if path == ["spec", "selector"] { Merge::Replace } else { WorkloadSchema.rule(path) }
    }
}

/// Ends of paths; the first entry that fits holds. From the patch strategies of `k8s.io/api`.
const KUBERNETES: &[Entry] = &[
    (&["containers", "ports"], Merge::Key("containerPort")),
    (&["initContainers", "ports"], Merge::Key("containerPort")),
    (&["*", "env"], Merge::Key("name")),
    (&["*", "volumeMounts"], Merge::Key("mountPath")),
    (&["*", "volumeDevices"], Merge::Key("devicePath")),
    (&["spec", "containers"], Merge::Key("name")),
    (&["spec", "initContainers"], Merge::Key("name")),
    (&["spec", "ephemeralContainers"], Merge::Key("name")),
    (&["spec", "volumes"], Merge::Key("name")),
    (&["spec", "imagePullSecrets"], Merge::Key("name")),
    (&["spec", "topologySpreadConstraints"], Merge::Key("topologyKey")),
    (&["spec", "hostAliases"], Merge::Key("ip")),
    (&["spec", "schedulingGates"], Merge::Key("name")),
    (&["spec", "resourceClaims"], Merge::Key("name")),
    (&["status", "conditions"], Merge::Key("type")),
    (&["metadata", "ownerReferences"], Merge::Key("uid")),
    (&["metadata", "finalizers"], Merge::Set),
];

/// Whole paths.
const KUBERNETES_TOP: &[Entry] = &[
    // The Service; a container's ports stand deeper.
    (&["spec", "ports"], Merge::Key("port")),
    (&["webhooks"], Merge::Key("name")),
    (&["secrets"], Merge::Key("name")),
];

impl MergeSchema for WorkloadSchema {
    fn rule(&self, path: &[&str]) -> Merge {
        let ends = |end: &[&str]| {
            path.len() >= end.len()
                && path.iter().rev().zip(end.iter().rev()).all(|(part, end)| *end == "*" || part == end)
        };
        let whole = KUBERNETES_TOP.iter().find(|(entry, _)| *entry == path);
        let end = || KUBERNETES.iter().find(|(entry, _)| ends(entry));
        whole.or_else(end).map_or(Merge::Merge, |(_, rule)| *rule)
    }
}
