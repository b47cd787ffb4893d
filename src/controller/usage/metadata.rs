//! Which revision a pod or a namespace uses, by its labels and annotations.

use crate::object::labels::{self, DEFAULT, INJECTION};
use crate::object::pods::Pods;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Every pod with a proxy has it: sidecars and gateways.
pub const PROXY_LABEL: &str = "service.istio.io/canonical-name";
/// Written by the injector, with the revision of the proxy.
pub(super) const INJECTED: &str = "sidecar.istio.io/status";
/// Selects pods by their fields: those that are still there but have ended need nothing.
pub const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

pub(super) fn label<'a>(object: &'a ObjectMeta, name: &str) -> &'a str {
    object.labels.as_ref().and_then(|l| l.get(name)).map_or("", String::as_str)
}

/// The revision or tag that injects the pods of a namespace, if one does. `istio-injection` goes before a revision.
#[must_use]
pub fn points_to(namespace: &ObjectMeta) -> Option<&str> {
    if namespace.deletion_timestamp.is_some() {
        return None;
    }
    match label(namespace, INJECTION) {
        "enabled" => Some(DEFAULT),
        "" => Some(label(namespace, labels::REVISION)).filter(|revision| !revision.is_empty()),
        _ => None,
    }
}

/// What a pod with a proxy says it is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// The injector's word: a revision, whatever tag led there, and whatever a tag of its name stands for by now.
    Revision(String),
    /// A label's: a revision or a tag; `default` where there is none.
    Name(String),
}

impl Said {
    /// What is said.
    #[must_use]
    pub fn name(&self) -> &str {
        let (Self::Revision(name) | Self::Name(name)) = self;
        name
    }
}

/// Which revision or tag a pod with a proxy says it is of.
#[must_use]
pub fn said_by(pod: &ObjectMeta) -> Said {
    let or_default = |name: &str| if name.is_empty() { DEFAULT } else { name }.to_owned();
    match injected_by(pod) {
        Some(revision) => Said::Revision(or_default(&revision)),
        None => Said::Name(or_default(label(pod, labels::REVISION))),
    }
}

/// The revision that a pod's proxy is of, where the injector says it.
fn injected_by(pod: &ObjectMeta) -> Option<String> {
    let status: Value = serde_json::from_str(pod.annotations.as_ref()?.get(INJECTED)?).ok()?;
    status.get("revision")?.as_str().map(str::to_owned)
}

/// Whether a pod is one of these.
#[must_use]
pub fn is_of(pod: &ObjectMeta, (namespace, selector): &Pods) -> bool {
    pod.namespace.as_ref() == Some(namespace) && selector.iter().all(|(name, value)| label(pod, name) == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
        let said = |labels, annotations| said_by(&meta(labels, annotations));
        assert_eq!(said(&[("istio.io/rev", "other")], &injected), Said::Revision("canary".into()));
        assert_eq!(said(&[], &[(INJECTED, r#"{"revision":""}"#)]), Said::Revision(DEFAULT.into()));
        assert_eq!(said(&[("istio.io/rev", "other")], &[]), Said::Name("other".into()));
        assert_eq!(said(&[], &[(INJECTED, "no JSON")]), Said::Name(DEFAULT.into()));
    }

    #[test]
    fn the_pods_of_a_workload_are_told_by_namespace_and_labels() {
        let workload: Pods = ("ns".into(), BTreeMap::from([("app".into(), "gateway".into())]));
        assert!(is_of(&meta(&[("app", "gateway"), ("x", "y")], &[]), &workload));
        assert!(!is_of(&meta(&[("app", "other")], &[]), &workload));
        assert!(!is_of(&meta(&[("app", "gateway")], &[]), &("other".into(), workload.1.clone())));
    }
}
