//! Who still needs a revision of the control plane: the pods whose proxies were made for it, and the namespaces whose new
//! pods would be. Only metadata is read.
//!
//! The status says whether anybody does, from watches ([`watch`]) that may be a moment behind; what is about to be deleted
//! is asked for once more ([`users_of`]).

mod asked;
pub(super) mod unused;
pub(super) mod watch;

pub(in crate::controller) use asked::{InUse, users_before, users_of, users_of_tag};
pub(super) use unused::settle;
pub(super) use watch::{Usage, Use, Users};

use crate::api::component::Component;
use crate::object::labels::{self, DEFAULT, INJECTION};
use crate::object::manifests::Manifests;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::collections::BTreeMap;

/// Every pod with a proxy has it: sidecars and gateways.
const PROXY_LABEL: &str = "service.istio.io/canonical-name";
/// Written by the injector, with the revision of the proxy.
const INJECTED: &str = "sidecar.istio.io/status";
/// Pods that are still there but have ended need nothing.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// A workload's pods: its namespace and the labels it selects by.
pub(super) type Pods = (String, BTreeMap<String, String>);

fn label<'a>(object: &'a ObjectMeta, name: &str) -> &'a str {
    object.labels.as_ref().and_then(|l| l.get(name)).map_or("", String::as_str)
}

/// The revision or tag that injects the pods of a namespace, if one does. `istio-injection` goes before a revision.
fn points_to(namespace: &ObjectMeta) -> Option<&str> {
    if namespace.deletion_timestamp.is_some() {
        return None;
    }
    match label(namespace, INJECTION) {
        "enabled" => Some(DEFAULT),
        "" => Some(label(namespace, labels::REVISION)).filter(|revision| !revision.is_empty()),
        _ => None,
    }
}

fn revision_of(pod: &ObjectMeta) -> String {
    match injected_by(pod).unwrap_or_else(|| label(pod, labels::REVISION).to_owned()) {
        none if none.is_empty() => DEFAULT.to_owned(),
        revision => revision,
    }
}

/// The revision that a pod's proxy is of, where the injector says it.
fn injected_by(pod: &ObjectMeta) -> Option<String> {
    let status: Value = serde_json::from_str(pod.annotations.as_ref()?.get(INJECTED)?).ok()?;
    status.get("revision")?.as_str().map(str::to_owned)
}

fn is_of(pod: &ObjectMeta, (namespace, selector): &Pods) -> bool {
    pod.namespace.as_ref() == Some(namespace) && selector.iter().all(|(name, value)| label(pod, name) == value)
}

/// A control plane that a resource wants: its revision as labels name it, and the pods of the resource's own workloads.
pub(super) struct ControlPlane {
    pub revision: String,
    pub own: Vec<Pods>,
    /// Whether other clusters use it, too, which this one does not tell.
    pub is_external: bool,
}

/// The control plane among what a resource wants.
pub(super) fn control_plane(manifests: &Manifests) -> Option<ControlPlane> {
    manifests.parts.iter().find(|part| part.component == Component::Pilot)?;
    let revision = manifests.revision_label().to_owned();
    let own = workloads(manifests).collect();
    let is_external = manifests.is_external;
    Some(ControlPlane { revision, own, is_external })
}

/// The pods of all workloads.
pub(super) fn workloads(manifests: &Manifests) -> impl Iterator<Item = Pods> {
    let workloads = manifests.objects().filter(|object| object.group() == "apps");
    workloads.filter_map(|object| pods_of(object.namespace(), &object.value()))
}

/// The pods of a workload in a namespace, by its selector.
pub(super) fn pods_of(namespace: &str, workload: &Value) -> Option<Pods> {
    let selector = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object)?;
    let labels = selector.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some((namespace.to_owned(), labels.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn meta(labels: Pairs<'_>, annotations: Pairs<'_>) -> ObjectMeta {
        let map = |pairs: Pairs<'_>| Some(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        ObjectMeta {
            namespace: Some("ns".into()),
            labels: map(labels),
            annotations: map(annotations),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_namespace_points_to_a_revision_by_its_name_a_tag_or_as_the_default() {
        let table: &[(Pairs, Option<&str>)] = &[
            (&[("istio.io/rev", "canary")], Some("canary")),
            (&[("istio-injection", "enabled")], Some("default")),
            (&[("istio-injection", "enabled"), ("istio.io/rev", "canary")], Some("default")),
            (&[("istio-injection", "disabled"), ("istio.io/rev", "canary")], None),
            (&[], None),
        ];
        for (labels, revision) in table {
            assert_eq!(points_to(&meta(labels, &[])), *revision, "{labels:?}");
        }
    }

    #[test]
    fn a_pod_is_of_the_revision_that_injected_it() {
        let injected = [(INJECTED, r#"{"containers":["istio-proxy"],"revision":"canary"}"#)];
        assert_eq!(revision_of(&meta(&[("istio.io/rev", "other")], &injected)), "canary");
        assert_eq!(revision_of(&meta(&[("istio.io/rev", "other")], &[])), "other");
        assert_eq!(revision_of(&meta(&[], &[(INJECTED, "no JSON")])), DEFAULT);
    }

    #[test]
    fn the_pods_of_a_workload_are_told_by_namespace_and_labels() {
        let workload: Pods = ("ns".into(), BTreeMap::from([("app".into(), "gateway".into())]));
        assert!(is_of(&meta(&[("app", "gateway"), ("x", "y")], &[]), &workload));
        assert!(!is_of(&meta(&[("app", "other")], &[]), &workload));
        assert!(!is_of(&meta(&[("app", "gateway")], &[]), &("other".into(), workload.1.clone())));
    }
}
