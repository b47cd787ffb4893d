//! The order of objects: of `manifest generate`'s output, which is upstream's, and of an apply.

use super::Object;

/// Upstream's score of an object (release 1.17, `object.DefaultObjectOrder`), misspellings included: what is not named here
/// has 1000, Deployments too.
fn score(group: &str, kind: &str) -> i32 {
    match (group, kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => -1000,
        ("", "ServiceAccount") | ("rbac.authorization.k8s.io", "ClusterRole") => 1,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => 2,
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => 3,
        ("config.istio.io" | "security.istio.io" | "authentication.istio.io" | "networking.istio.io", _) => 4,
        ("", "ConfigMap") => 100,
        ("autoscaling", "HorizontalPodAutoscaler") => 1001,
        ("", "Service") => 10000,
        _ => 1000,
    }
}

/// Sorts as `manifest generate` prints: by score, group, kind, name; equal ones stay in their order.
pub fn sort_for_output(objects: &mut [Object]) {
    objects.sort_by_cached_key(|o| {
        (score(o.group(), o.kind()), o.group().to_owned(), o.kind().to_owned(), o.name().to_owned())
    });
}

/// The step of an apply in which an object is written; objects of one step do not depend on each other.
///
/// Istio's own resources come before the webhook that validates them, so that an installation never waits for a webhook
/// that nobody serves yet; what pods need comes before the workloads.
#[must_use]
pub fn apply_step(object: &Object) -> usize {
    match (object.group(), object.kind()) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", _) => 1,
        ("" | "rbac.authorization.k8s.io", "ServiceAccount" | "ConfigMap" | "Secret" | "ClusterRole" | "Role") => 2,
        (group, _) if group.ends_with(".istio.io") => 2,
        ("admissionregistration.k8s.io", _) => 4,
        _ => 3,
    }
}

/// The number of [`apply_step`]s.
pub const APPLY_STEPS: usize = 5;
