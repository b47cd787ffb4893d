//! The proxies of a revision, read from a cluster.

use crate::cluster::{Cluster, ClusterError};
use crate::object::labels::{DEFAULT, REVISION, TAG};
use crate::object::manifests::Manifests;
use crate::object::pods::{Pods, image_tag, pods_of};
use crate::upgrade::{Proxies, Proxy};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use std::collections::BTreeSet;

/// Every pod with a proxy has it.
const PROXY_LABEL: &str = "service.istio.io/canonical-name";
/// Written by the injector, with the revision of the proxy.
const INJECTED: &str = "sidecar.istio.io/status";
/// The container.
const CONTAINER: &str = "istio-proxy";
/// Pods that have ended have no proxy.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";
/// How many pods are read at once.
const PAGE: u32 = 500;

/// The proxies of a revision, but for those of the workloads of these manifests, which are replaced with them.
pub(super) async fn of_revision(cluster: &Cluster, revision: &str, own: &[&Manifests]) -> Proxies {
    match read(cluster, revision, own).await {
        Ok(found) => Proxies::Known(found),
        Err(error) => Proxies::Unknown(error),
    }
}

/// All proxies, each with the revision or tag that it says it is of.
///
/// # Errors
/// Pods cannot be listed; why.
pub(super) async fn all(cluster: &Cluster) -> Result<Vec<(String, Proxy)>, String> {
    let mut found = vec![];
    let take = |pod: &Pod| {
        found.push((
            revision_of(pod),
            Proxy { namespace: pod.namespace().unwrap_or_default(), version: version_of(pod) },
        ));
    };
    for_each(cluster, take).await?;
    Ok(found)
}

async fn read(cluster: &Cluster, revision: &str, own: &[&Manifests]) -> Result<Vec<Proxy>, String> {
    let names = names_of(cluster, revision).await.map_err(|error| error.to_string())?;
    let workloads = own.iter().flat_map(|manifests| manifests.objects()).filter(|object| object.group() == "apps");
    let own: Vec<Pods> = workloads.filter_map(|object| pods_of(object.namespace(), &object.value())).collect();
    let mut found = vec![];
    let take = |pod: &Pod| {
        if names.contains(&revision_of(pod)) && !own.iter().any(|workload| is_of(pod, workload)) {
            found.push(Proxy { namespace: pod.namespace().unwrap_or_default(), version: version_of(pod) });
        }
    };
    for_each(cluster, take).await?;
    Ok(found)
}

/// Hands over every pod with a proxy, page by page.
async fn for_each(cluster: &Cluster, mut take: impl FnMut(&Pod)) -> Result<(), String> {
    let api: Api<Pod> = Api::all(cluster.client().clone());
    let mut params = ListParams::default().labels(PROXY_LABEL).fields(RUNNING).limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(|error| match error {
            kube::Error::Api(status) => status.message,
            other => other.to_string(),
        })?;
        page.items.iter().for_each(&mut take);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(()),
        }
    }
}

/// The revision, and its tags.
async fn names_of(cluster: &Cluster, revision: &str) -> Result<BTreeSet<String>, ClusterError> {
    let mut names = BTreeSet::from([revision.to_owned()]);
    let of = format!("{TAG},{REVISION}={revision}");
    let (api_version, kind) = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration");
    cluster
        .for_each(api_version, kind, (&of, ""), |webhook| {
            names.extend(webhook.labels.iter().flatten().filter(|(name, _)| *name == TAG).map(|(_, tag)| tag.clone()));
        })
        .await?;
    Ok(names)
}

/// The revision or tag that a pod says it is of.
fn revision_of(pod: &Pod) -> String {
    let said = pod.annotations().get(INJECTED).and_then(|text| {
        let status: serde_json::Value = serde_json::from_str(text).ok()?;
        status.get("revision")?.as_str().map(str::to_owned)
    });
    let label = || pod.labels().get(REVISION).cloned();
    said.or_else(label).filter(|revision| !revision.is_empty()).unwrap_or_else(|| DEFAULT.to_owned())
}

fn is_of(pod: &Pod, (namespace, selector): &Pods) -> bool {
    pod.meta().namespace.as_ref() == Some(namespace)
        && selector.iter().all(|(name, value)| pod.labels().get(name) == Some(value))
}

/// The tag of the proxy's image.
fn version_of(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let image = all.into_iter().find(|container: &&Container| container.name == CONTAINER)?.image.as_ref()?;
    image_tag(image).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(labels: &serde_json::Value, annotations: &serde_json::Value, image: &str) -> Pod {
        let proxy = json!({"name": CONTAINER, "image": image});
        let value = json!({"metadata": {"name": "a", "namespace": "ns", "labels": labels, "annotations": annotations},
            "spec": {"containers": [{"name": "app", "image": "x:1"}], "initContainers": [proxy]}});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_proxy_is_of_the_revision_that_injected_it_and_of_its_images_tag() {
        let injected = json!({INJECTED: "{\"revision\": \"canary\"}"});
        let one = pod(&json!({REVISION: "prod"}), &injected, "localhost:5000/proxyv2:1.30.3-distroless@sha256:00");
        assert_eq!((revision_of(&one), version_of(&one)), ("canary".to_owned(), Some("1.30.3-distroless".to_owned())));
        let labelled = pod(&json!({REVISION: "prod"}), &json!({}), "localhost:5000/proxyv2");
        assert_eq!((revision_of(&labelled), version_of(&labelled)), ("prod".to_owned(), None));
        assert_eq!(revision_of(&pod(&json!({}), &json!({INJECTED: "no JSON"}), "x")), DEFAULT);
    }
}
