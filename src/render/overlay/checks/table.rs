//! The kinds, and what must stand where in their objects.

use super::place::Found;
use super::place::Want::{self, Bool, Map, Maps, Port, Quantity, Scalar, Strings, Text, Texts, Whole, Word};
use super::relations;
use serde_json::Value;

/// A place, whether something must stand there, and what.
pub(super) type Row = (&'static str, bool, Want);

/// Says what is wrong with several places of an object together.
type Relation = fn(&Value, &mut Found);

/// Objects of some kinds.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) kinds: &'static [&'static str],
    /// Rows below places of the object.
    pub(super) rows: &'static [(&'static str, &'static [Row])],
    pub(super) relations: &'static [Relation],
}

const MOST: i64 = i32::MAX as i64;
const NEEDED: bool = true;
const FREE: bool = false;

/// Every object.
pub(super) const ANY: &[Row] = &[
    ("metadata", NEEDED, Map),
    ("metadata.labels", FREE, Strings),
    ("metadata.annotations", FREE, Strings),
    ("metadata.namespace", FREE, Text),
    ("metadata.finalizers", FREE, Texts),
];

const METADATA: &[Row] = &[("labels", FREE, Strings), ("annotations", FREE, Strings)];

const POD: &[Row] = &[
    ("containers", NEEDED, Maps),
    ("initContainers", FREE, Maps),
    ("volumes", FREE, Maps),
    ("volumes[].name", NEEDED, Text),
    ("nodeSelector", FREE, Strings),
    ("tolerations", FREE, Maps),
    ("affinity", FREE, Map),
    ("topologySpreadConstraints", FREE, Maps),
    ("imagePullSecrets", FREE, Maps),
    ("hostAliases", FREE, Maps),
    ("securityContext", FREE, Map),
    ("dnsConfig", FREE, Map),
    ("serviceAccountName", FREE, Text),
    ("priorityClassName", FREE, Text),
    ("hostname", FREE, Text),
    ("nodeName", FREE, Text),
    ("schedulerName", FREE, Text),
    ("restartPolicy", FREE, Word(&["Always", "OnFailure", "Never"])),
    ("dnsPolicy", FREE, Word(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"])),
    ("hostNetwork", FREE, Bool),
    ("hostPID", FREE, Bool),
    ("hostIPC", FREE, Bool),
    ("shareProcessNamespace", FREE, Bool),
    ("automountServiceAccountToken", FREE, Bool),
    ("terminationGracePeriodSeconds", FREE, Whole(0, MOST)),
];

const PROTOCOLS: Want = Word(&["TCP", "UDP", "SCTP"]);

const CONTAINER: &[Row] = &[
    ("name", NEEDED, Text),
    ("image", NEEDED, Text),
    ("imagePullPolicy", FREE, Word(&["Always", "Never", "IfNotPresent"])),
    ("command", FREE, Texts),
    ("args", FREE, Texts),
    ("workingDir", FREE, Text),
    ("ports", FREE, Maps),
    ("ports[].containerPort", NEEDED, Whole(1, 65535)),
    ("ports[].hostPort", FREE, Whole(0, 65535)),
    ("ports[].name", FREE, Text),
    ("ports[].protocol", FREE, PROTOCOLS),
    ("env", FREE, Maps),
    ("env[].name", NEEDED, Text),
    ("env[].value", FREE, Text),
    ("env[].valueFrom", FREE, Map),
    ("envFrom", FREE, Maps),
    ("resources", FREE, Map),
    ("resources.limits", FREE, Map),
    ("resources.requests", FREE, Map),
    ("resources.limits.*", FREE, Quantity),
    ("resources.requests.*", FREE, Quantity),
    ("volumeMounts", FREE, Maps),
    ("volumeMounts[].name", NEEDED, Text),
    ("volumeMounts[].mountPath", NEEDED, Text),
    ("volumeMounts[].readOnly", FREE, Bool),
    ("livenessProbe", FREE, Map),
    ("readinessProbe", FREE, Map),
    ("startupProbe", FREE, Map),
    ("readinessProbe.httpGet.port", NEEDED, Port),
    ("readinessProbe.tcpSocket.port", NEEDED, Port),
    ("lifecycle", FREE, Map),
    ("securityContext", FREE, Map),
    ("securityContext.capabilities", FREE, Map),
    ("securityContext.privileged", FREE, Bool),
    ("securityContext.runAsUser", FREE, Whole(0, MOST)),
    ("securityContext.runAsGroup", FREE, Whole(0, MOST)),
    ("securityContext.runAsNonRoot", FREE, Bool),
];

const WORKLOAD: &[Row] = &[
    ("spec", NEEDED, Map),
    ("spec.replicas", FREE, Whole(0, MOST)),
    ("spec.minReadySeconds", FREE, Whole(0, MOST)),
    ("spec.revisionHistoryLimit", FREE, Whole(0, MOST)),
    ("spec.paused", FREE, Bool),
    ("spec.strategy", FREE, Map),
    ("spec.strategy.type", FREE, Word(&["Recreate", "RollingUpdate"])),
    ("spec.strategy.rollingUpdate", FREE, Map),
    ("spec.strategy.rollingUpdate.maxSurge", FREE, Scalar),
    ("spec.strategy.rollingUpdate.maxUnavailable", FREE, Scalar),
    ("spec.updateStrategy", FREE, Map),
    ("spec.updateStrategy.type", FREE, Word(&["OnDelete", "RollingUpdate"])),
    ("spec.selector", NEEDED, Map),
    ("spec.selector.matchLabels", FREE, Strings),
    ("spec.selector.matchExpressions", FREE, Maps),
    ("spec.template", NEEDED, Map),
    ("spec.template.metadata", NEEDED, Map),
    ("spec.template.spec", NEEDED, Map),
];

const SERVICE: &[Row] = &[
    ("spec", NEEDED, Map),
    ("spec.type", FREE, Word(&["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])),
    ("spec.ports", FREE, Maps),
    ("spec.ports[].port", NEEDED, Whole(1, 65535)),
    ("spec.ports[].targetPort", FREE, Port),
    ("spec.ports[].nodePort", FREE, Whole(0, 65535)),
    ("spec.ports[].name", FREE, Text),
    ("spec.ports[].appProtocol", FREE, Text),
    ("spec.ports[].protocol", FREE, PROTOCOLS),
    ("spec.selector", FREE, Strings),
    ("spec.clusterIP", FREE, Text),
    ("spec.externalName", FREE, Text),
    ("spec.loadBalancerIP", FREE, Text),
    ("spec.loadBalancerSourceRanges", FREE, Texts),
    ("spec.externalIPs", FREE, Texts),
    ("spec.externalTrafficPolicy", FREE, Word(&["Cluster", "Local"])),
    ("spec.internalTrafficPolicy", FREE, Word(&["Cluster", "Local"])),
    ("spec.sessionAffinity", FREE, Word(&["ClientIP", "None"])),
    ("spec.publishNotReadyAddresses", FREE, Bool),
    ("spec.healthCheckNodePort", FREE, Whole(0, 65535)),
];

const AUTOSCALER: &[Row] = &[
    ("spec", NEEDED, Map),
    ("spec.scaleTargetRef", NEEDED, Map),
    ("spec.scaleTargetRef.kind", NEEDED, Text),
    ("spec.scaleTargetRef.name", NEEDED, Text),
    ("spec.maxReplicas", NEEDED, Whole(1, MOST)),
    ("spec.minReplicas", FREE, Whole(0, MOST)),
    ("spec.metrics", FREE, Maps),
    ("spec.metrics[].type", NEEDED, Text),
    ("spec.behavior", FREE, Map),
];

const BUDGET: &[Row] = &[
    ("spec", NEEDED, Map),
    ("spec.minAvailable", FREE, Scalar),
    ("spec.maxUnavailable", FREE, Scalar),
    ("spec.selector", FREE, Map),
    ("spec.selector.matchLabels", FREE, Strings),
];

const BINDING: &[Row] = &[
    ("roleRef", NEEDED, Map),
    ("roleRef.kind", NEEDED, Text),
    ("roleRef.name", NEEDED, Text),
    ("roleRef.apiGroup", FREE, Text),
    ("subjects", FREE, Maps),
    ("subjects[].kind", NEEDED, Text),
    ("subjects[].name", NEEDED, Text),
    ("subjects[].namespace", FREE, Text),
];

const ROLE: &[Row] = &[
    ("rules", FREE, Maps),
    ("rules[].verbs", NEEDED, Texts),
    ("rules[].apiGroups", FREE, Texts),
    ("rules[].resources", FREE, Texts),
    ("rules[].resourceNames", FREE, Texts),
    ("rules[].nonResourceURLs", FREE, Texts),
];

const WEBHOOKS: &[Row] = &[
    ("webhooks", FREE, Maps),
    ("webhooks[].name", NEEDED, Text),
    ("webhooks[].clientConfig", NEEDED, Map),
    ("webhooks[].clientConfig.url", FREE, Text),
    ("webhooks[].clientConfig.service", FREE, Map),
    ("webhooks[].clientConfig.service.name", NEEDED, Text),
    ("webhooks[].clientConfig.service.namespace", NEEDED, Text),
    ("webhooks[].clientConfig.service.port", FREE, Whole(1, 65535)),
    ("webhooks[].sideEffects", NEEDED, Word(&["None", "NoneOnDryRun", "Some", "Unknown"])),
    ("webhooks[].admissionReviewVersions", NEEDED, Texts),
    ("webhooks[].failurePolicy", FREE, Word(&["Fail", "Ignore"])),
    ("webhooks[].timeoutSeconds", FREE, Whole(1, 30)),
    ("webhooks[].rules", FREE, Maps),
    ("webhooks[].namespaceSelector", FREE, Map),
    ("webhooks[].objectSelector", FREE, Map),
];

/// The rows of a pod whose spec stands at a place, given as literals.
macro_rules! pod_at {
    ($place:literal) => {
        &[
            ($place, POD),
            (concat!($place, ".containers[]"), CONTAINER),
            (concat!($place, ".initContainers[]"), CONTAINER),
        ]
    };
}

/// Kinds of one group with rows of the object itself.
const fn of(
    group: &'static str,
    kinds: &'static [&'static str],
    rows: &'static [(&'static str, &'static [Row])],
) -> Kind {
    Kind { group, kinds, rows, relations: &[] }
}

const fn related(kind: Kind, relations: &'static [Relation]) -> Kind {
    Kind { relations, ..kind }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
const WORKLOADS: &[&str] = &["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"];

/// All kinds that are known here; a kind may have several entries.
pub(super) const KINDS: &[Kind] = &[
    related(of("apps", WORKLOADS, &[("", WORKLOAD), ("spec.template.metadata", METADATA)]), &[relations::selector]),
    related(of("apps", WORKLOADS, pod_at!("spec.template.spec")), &[relations::template_pod]),
    related(of("batch", &["Job"], pod_at!("spec.template.spec")), &[relations::template_pod]),
    related(of("batch", &["CronJob"], pod_at!("spec.jobTemplate.spec.template.spec")), &[relations::cron_pod]),
    related(of("", &["Pod"], pod_at!("spec")), &[relations::pod]),
    related(of("", &["Service"], &[("", SERVICE)]), &[relations::service]),
    related(of("autoscaling", &["HorizontalPodAutoscaler"], &[("", AUTOSCALER)]), &[relations::autoscaler]),
    related(of("policy", &["PodDisruptionBudget"], &[("", BUDGET)]), &[relations::budget]),
    related(of(RBAC, &["ClusterRoleBinding"], &[("", BINDING)]), &[relations::cluster_subjects]),
    of(RBAC, &["RoleBinding"], &[("", BINDING)]),
    of(RBAC, &["Role", "ClusterRole"], &[("", ROLE)]),
    related(of("admissionregistration.k8s.io", ADMISSION, &[("", WEBHOOKS)]), &[relations::webhooks]),
    of(
        "",
        &["ConfigMap"],
        &[("", &[("data", FREE, Strings), ("binaryData", FREE, Strings), ("immutable", FREE, Bool)])],
    ),
    of("", &["Secret"], &[("", &[("data", FREE, Strings), ("stringData", FREE, Strings), ("type", FREE, Text)])]),
    of("", &["ServiceAccount"], &[("", &[("imagePullSecrets", FREE, Maps), ("secrets", FREE, Maps)])]),
    of("", &["ResourceQuota"], &[("", &[("spec.hard", FREE, Map), ("spec.hard.*", FREE, Quantity)])]),
    of("networking.istio.io", &["EnvoyFilter"], &[("", &[("spec", FREE, Map), ("spec.configPatches", FREE, Maps)])]),
];
