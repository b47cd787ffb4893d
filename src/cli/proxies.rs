//! The proxies of a revision, read from a cluster.

use crate::cluster::pages::collect;
use crate::cluster::{Cluster, ClusterError};
use crate::controller::{PROXY_LABEL, RUNNING, Said, is_of, said_by};
use crate::install::webhooks::{API_VERSION, KIND};
use crate::object::labels::{REVISION, TAG};
use crate::object::manifests::Manifests;
use crate::object::pods::{Pods, image_tag, pods_of};
use crate::upgrade::{Proxies, Proxy};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;

/// The container.
const CONTAINER: &str = "istio-proxy";

/// The proxies of a revision, but for those of the workloads of these manifests, which are replaced with them.
pub(super) async fn of_revision(cluster: &Cluster, revision: &str, own: &[&Manifests]) -> Proxies {
    match read(cluster, revision, own).await {
        Ok(found) => Proxies::Known(found),
        Err(error) => Proxies::Unknown(error.to_string()),
    }
}

/// All proxies, each with the revision or tag that it says it is of.
///
/// # Errors
/// Pods cannot be listed.
pub(super) async fn all(cluster: &Cluster) -> Result<Vec<(String, Proxy)>, ClusterError> {
    list(cluster, |pod| Some((said_by(&pod.metadata).name().to_owned(), proxy_of(pod)))).await
}

async fn read(cluster: &Cluster, revision: &str, own: &[&Manifests]) -> Result<Vec<Proxy>, ClusterError> {
    let tags = tags_of(cluster, revision).await?;
    let workloads = own.iter().flat_map(|manifests| manifests.objects()).filter(|object| object.group() == "apps");
    let own: Vec<Pods> = workloads.filter_map(|object| pods_of(object.namespace(), &object.value())).collect();
    let is_own = |pod: &Pod| own.iter().any(|workload| is_of(&pod.metadata, workload));
    list(cluster, |pod| (is_of_revision(pod, revision, &tags) && !is_own(pod)).then(|| proxy_of(pod))).await
}

/// What is made of every pod with a proxy.
async fn list<T>(cluster: &Cluster, make: impl Fn(&Pod) -> Option<T>) -> Result<Vec<T>, ClusterError> {
    let api: Api<Pod> = Api::all(cluster.client().clone());
    let params = ListParams::default().labels(PROXY_LABEL).fields(RUNNING);
    collect(&api, &params, "Pod", |pod| make(&pod)).await
}

async fn tags_of(cluster: &Cluster, revision: &str) -> Result<BTreeSet<String>, ClusterError> {
    let (mut tags, of) = (BTreeSet::new(), format!("{TAG},{REVISION}={revision}"));
    cluster
        .for_each(API_VERSION, KIND, (&of, ""), |webhook| {
            tags.extend(webhook.labels.as_ref().and_then(|labels| labels.get(TAG)).cloned());
        })
        .await?;
    Ok(tags)
}

fn is_of_revision(pod: &Pod, revision: &str, tags: &BTreeSet<String>) -> bool {
    match said_by(&pod.metadata) {
        Said::Revision(said) => said == revision,
        Said::Name(said) => said == revision || tags.contains(&said),
    }
}

fn proxy_of(pod: &Pod) -> Proxy {
    Proxy { namespace: pod.namespace().unwrap_or_default(), version: version_of(pod) }
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
        const INJECTED: &str = "sidecar.istio.io/status";
        let injected = |revision: &str| json!({INJECTED: json!({"revision": revision}).to_string()});
        let tags = BTreeSet::from(["default".to_owned(), "prod".to_owned()]);
        let is_canarys = |pod: &Pod| is_of_revision(pod, "canary", &tags);
        let one =
            pod(&json!({REVISION: "prod"}), &injected("canary"), "localhost:5000/proxyv2:1.30.3-distroless@sha256:00");
        assert_eq!((is_canarys(&one), version_of(&one)), (true, Some("1.30.3-distroless".to_owned())));
        let labelled = pod(&json!({REVISION: "prod"}), &json!({}), "localhost:5000/proxyv2");
        assert_eq!((is_canarys(&labelled), version_of(&labelled)), (true, None));
        assert!(is_canarys(&pod(&json!({}), &json!({INJECTED: "no JSON"}), "x")), "by the tag default");
        assert!(!is_canarys(&pod(&json!({}), &injected("default"), "x")), "of the unnamed revision, not of the tag");
    }
}
