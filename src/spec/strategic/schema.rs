//! Which fields merge in which way: tables for `IstioOperator` trees and for Kubernetes objects.

use serde_json::Value;

/// How a field of a patch meets the same field of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// Maps merge entry by entry, lists are replaced.
    Merge,
    /// Maps and lists are replaced as a whole.
    Replace,
    /// The list's maps are told apart by this entry and merged one by one.
    MergeKey(&'a str),
    /// The list's maps are told apart by their name, and by their namespace where both have one.
    Named,
    /// The list's scalars are united.
    Set,
}

/// Says which rule holds for which field.
pub trait MergeSchema {
    /// The rule for the field at this path: keys from the root on, items of lists not counted
    /// (`spec.template.spec.containers.env`).
    fn rule(&self, path: &[&str]) -> Rule<'_>;

    /// Whether a null of the patch removes what the base has at this path.
    fn null_removes(&self, _path: &[&str], _base: &Value) -> bool {
        true
    }
}

/// Path, rule; `*` stands for any one key.
type Entry = (&'static [&'static str], Rule<'static>);

/// Layers of an `IstioOperator`: profile, files, flags.
///
/// Keys that this table does not know merge like any map, also where upstream Istio fails because its schema lacks them.
/// A null where the base has a map or a list is an emptied section (`components:`), and means nothing; so does a null where
/// the base says whether something is installed. Otherwise a forgotten line would remove a control plane.
#[derive(Debug, Clone, Copy, Default)]
pub struct IstioOperatorSchema;

const GATEWAY_VALUES: &[Entry] = &[
    (&["istio-ingressgateway", "ports"], Rule::MergeKey("name")),
    (&["istio-ingressgateway", "meshExpansionPorts"], Rule::MergeKey("name")),
    (&["istio-ingressgateway", "secretVolumes"], Rule::MergeKey("name")),
    (&["istio-ingressgateway", "cpu"], Rule::Replace),
    (&["istio-egressgateway", "ports"], Rule::MergeKey("name")),
    (&["istio-egressgateway", "secretVolumes"], Rule::MergeKey("name")),
    (&["istio-egressgateway", "zvpn"], Rule::Replace),
];

const COMPONENTS: &[Entry] = &[(&["ingressGateways"], Rule::Named), (&["egressGateways"], Rule::Named)];

const MESH_CONFIG: &[Entry] = &[
    (&["extensionProviders"], Rule::MergeKey("name")),
    (&["certificates"], Rule::MergeKey("secretName")),
    (&["configSources"], Rule::MergeKey("address")),
    (&["trustDomainAliases"], Rule::Set),
    (&["defaultServiceExportTo"], Rule::Set),
    (&["defaultVirtualServiceExportTo"], Rule::Set),
    (&["defaultDestinationRuleExportTo"], Rule::Set),
    (&["defaultConfig", "tracing"], Rule::Replace),
    (&["defaultConfig", "clusterName"], Rule::Replace),
    (&["defaultConfig", "gatewayTopology"], Rule::Replace),
    (&["defaultConfig", "sds"], Rule::Replace),
    (&["defaultConfig", "certificates"], Rule::Replace),
    (&["defaultConfig", "concurrency"], Rule::Replace),
    (&["serviceSettings"], Rule::Replace),
    (&["connectTimeout"], Rule::Replace),
];

/// Where the tables apply.
const ISTIO_OPERATOR: &[(&[&str], &[Entry])] = &[
    (&["spec", "components"], COMPONENTS),
    (&["spec", "meshConfig"], MESH_CONFIG),
    (&["spec", "values", "meshConfig"], MESH_CONFIG),
    (&["spec", "values", "gateways"], GATEWAY_VALUES),
];

impl MergeSchema for IstioOperatorSchema {
    fn rule(&self, path: &[&str]) -> Rule<'_> {
        ISTIO_OPERATOR
            .iter()
            .find_map(|(prefix, table)| {
                let rest = path.strip_prefix(*prefix)?;
                table.iter().find(|(entry, _)| *entry == rest).map(|(_, rule)| *rule)
            })
            .unwrap_or(Rule::Merge)
    }

    fn null_removes(&self, path: &[&str], base: &Value) -> bool {
        !base.is_object() && !base.is_array() && path.last() != Some(&"enabled")
    }
}

/// Kubernetes objects: workloads, services, autoscalers, webhooks, service accounts.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkloadSchema;

/// Disruption budgets: what is no workload's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetSchema;

impl MergeSchema for BudgetSchema {
    fn rule(&self, path: &[&str]) -> Rule<'_> {
        if path == ["spec", "selector"] { Rule::Replace } else { WorkloadSchema.rule(path) }
    }
}

/// Ends of paths; the first entry that fits holds. From the patch strategies of `k8s.io/api`.
const KUBERNETES: &[Entry] = &[
    (&["containers", "ports"], Rule::MergeKey("containerPort")),
    (&["initContainers", "ports"], Rule::MergeKey("containerPort")),
    (&["*", "env"], Rule::MergeKey("name")),
    (&["*", "volumeMounts"], Rule::MergeKey("mountPath")),
    (&["*", "volumeDevices"], Rule::MergeKey("devicePath")),
    (&["spec", "containers"], Rule::MergeKey("name")),
    (&["spec", "initContainers"], Rule::MergeKey("name")),
    (&["spec", "ephemeralContainers"], Rule::MergeKey("name")),
    (&["spec", "volumes"], Rule::MergeKey("name")),
    (&["spec", "imagePullSecrets"], Rule::MergeKey("name")),
    (&["spec", "topologySpreadConstraints"], Rule::MergeKey("topologyKey")),
    (&["spec", "hostAliases"], Rule::MergeKey("ip")),
    (&["spec", "schedulingGates"], Rule::MergeKey("name")),
    (&["spec", "resourceClaims"], Rule::MergeKey("name")),
    (&["status", "conditions"], Rule::MergeKey("type")),
    (&["metadata", "ownerReferences"], Rule::MergeKey("uid")),
    (&["metadata", "finalizers"], Rule::Set),
];

/// Whole paths.
const KUBERNETES_TOP: &[Entry] = &[
    // The Service; a container's ports stand deeper.
    (&["spec", "ports"], Rule::MergeKey("port")),
    (&["webhooks"], Rule::MergeKey("name")),
    (&["secrets"], Rule::MergeKey("name")),
];

impl MergeSchema for WorkloadSchema {
    fn rule(&self, path: &[&str]) -> Rule<'_> {
        let ends = |end: &[&str]| {
            path.len() >= end.len()
                && path.iter().rev().zip(end.iter().rev()).all(|(part, end)| *end == "*" || part == end)
        };
        let whole = KUBERNETES_TOP.iter().find(|(entry, _)| *entry == path);
        let end = || KUBERNETES.iter().find(|(entry, _)| ends(entry));
        whole.or_else(end).map_or(Rule::Merge, |(_, rule)| *rule)
    }
}
