//! Containers that listen on ports that the proxy beside them needs.

use super::finding::{Check, Finding, Level};
use crate::cluster::pages::collect;
use crate::cluster::{Cluster, ClusterError};
use crate::controller::{RUNNING, points_to};
use crate::inject::why_not_injected;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;

/// The ports of a proxy.
const RESERVED: [i32; 11] = [15000, 15001, 15004, 15006, 15008, 15009, 15020, 15021, 15053, 15090, 15099];
/// The container of the proxy itself.
const PROXY: &str = "istio-proxy";

pub(super) async fn check(cluster: &Cluster) -> Check {
    let findings = match find(cluster).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::unknown("whether pods listen on ports of the proxy", &error)],
    };
    Check::new("Ports", "no container of an injected namespace listens on one of the proxy", findings)
}

async fn find(cluster: &Cluster) -> Result<Vec<Finding>, ClusterError> {
    let mut injected = BTreeSet::new();
    let take = |namespace: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
        if points_to(namespace).is_some() {
            injected.insert(namespace.name.clone().unwrap_or_default());
        }
    };
    cluster.for_each("v1", "Namespace", ("", ""), take).await?;
    let mut findings = vec![];
    for namespace in &injected {
        let api: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace);
        findings.extend(collect(&api, &ListParams::default().fields(RUNNING), "Pod", |pod| judge(&pod)).await?);
    }
    Ok(findings)
}

fn judge(pod: &Pod) -> Vec<Finding> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers).filter(|container| container.name != PROXY);
    let place = format!("Pod {}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    let ports = containers.flat_map(|container| {
        container.ports.iter().flatten().map(move |port| (container.name.as_str(), port.container_port))
    });
    let told = |(container, port)| {
        let message = format!("container {container} listens on port {port}, which is one of the proxy's");
        Finding::new(Level::Warning, &place, message)
    };
    let found: Vec<Finding> = ports.filter(|(_, port)| RESERVED.contains(port)).map(told).collect();
    if found.is_empty() || has_proxy(pod) || !is_left_without(pod) { found } else { vec![] }
}

fn has_proxy(pod: &Pod) -> bool {
    let spec = pod.spec.iter();
    let containers = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    containers.into_iter().any(|container| container.name == PROXY)
}

/// Whether a pod is not injected, nor will be when it is made anew.
fn is_left_without(pod: &Pod) -> bool {
    serde_json::to_value(pod).is_ok_and(|pod| why_not_injected(&pod).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn pod(labels: &Value, spec: &Value) -> Pod {
        from_value(json!({"metadata": {"namespace": "a", "name": "b", "labels": labels}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_port_of_the_proxy_is_the_proxys_alone() {
        let container = |name: &str, port: i32| json!({"name": name, "ports": [{"containerPort": port}]});
        let containers = [container("app", 8080), container("other", 15090), container(PROXY, 15090)];
        let found = judge(&pod(&json!({}), &json!({"containers": containers})));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object, "Pod a/b");
        assert!(found[0].message.starts_with("container other listens on port 15090"), "{found:?}");
    }

    #[test]
    fn a_pod_that_gets_no_proxy_may_listen_on_its_ports() {
        let app = json!({"name": "app", "ports": [{"containerPort": 15090}]});
        let plain = json!({"containers": [app]});
        assert_eq!(judge(&pod(&json!({}), &plain)).len(), 1, "it gets one when it is made anew");
        let declines = json!({"sidecar.istio.io/inject": "false"});
        assert!(judge(&pod(&declines, &plain)).is_empty());
        assert!(judge(&pod(&json!({}), &json!({"hostNetwork": true, "containers": [app]}))).is_empty());
        let proxied = json!({"initContainers": [{"name": PROXY}], "containers": [app]});
        assert_eq!(judge(&pod(&declines, &proxied)).len(), 1, "it has one all the same");
    }
}
