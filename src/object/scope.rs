//! Which kinds are namespaced, and which are cluster-scoped.

/// Cluster-scoped kinds, by group; `*` stands for all of a group.
const CLUSTER: &[(&str, &[&str])] = &[
    ("", &["Namespace", "Node", "PersistentVolume"]),
    ("admissionregistration.k8s.io", &["*"]),
    ("apiextensions.k8s.io", &["*"]),
    ("apiregistration.k8s.io", &["*"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["*"]),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("networking.k8s.io", &["IngressClass"]),
    ("node.k8s.io", &["*"]),
    ("policy", &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("scheduling.k8s.io", &["*"]),
    ("security.openshift.io", &["SecurityContextConstraints"]),
    ("storage.k8s.io", &["StorageClass", "CSIDriver", "CSINode", "VolumeAttachment"]),
];

/// Groups whose other kinds are all namespaced.
const NAMESPACED: &[&str] = &[
    "",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions.istio.io",
    "gateway.networking.k8s.io",
    "install.istio.io",
    "k8s.cni.cncf.io",
    "monitoring.coreos.com",
    "networking.istio.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "security.istio.io",
    "telemetry.istio.io",
];

/// Whether a kind is namespaced; `None` for a kind that is not known here.
#[must_use]
pub fn is_namespaced(group: &str, kind: &str) -> Option<bool> {
    let kinds = CLUSTER.iter().find(|(g, _)| *g == group).map_or(&[][..], |(_, kinds)| kinds);
    if kinds.iter().any(|k| *k == "*" || *k == kind) {
        return Some(false);
    }
    NAMESPACED.contains(&group).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_group_too() {
        for (group, kind, is) in [
            ("", "ServiceAccount", Some(true)),
            ("", "Namespace", Some(false)),
            ("networking.istio.io", "Gateway", Some(true)),
            ("gateway.networking.k8s.io", "GatewayClass", Some(false)),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", Some(false)),
            ("rbac.authorization.k8s.io", "RoleBinding", Some(true)),
            ("example.com", "Namespace", None),
        ] {
            assert_eq!(is_namespaced(group, kind), is, "{group} {kind}");
        }
    }
}
