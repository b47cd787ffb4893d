//! Containers that listen on ports that the proxy beside them needs.

use super::finding::{Check, Finding, Level};
use crate::cluster::{Cluster, ClusterError};
use crate::controller::{RUNNING, points_to};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;

/// The ports of a proxy.
const RESERVED: [i32; 11] = [15000, 15001, 15004, 15006, 15008, 15009, 15020, 15021, 15053, 15090, 15099];
/// The container of the proxy itself.
const PROXY: &str = "istio-proxy";
/// How many pods are read at once.
const PAGE: u32 = 500;

pub(super) async fn check(cluster: &Cluster) -> Check {
    let findings = match find(cluster).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::unknown("whether pods listen on ports of the proxy", &error)],
    };
    Check { name: "Ports", well: "no container of an injected namespace listens on one of the proxy".into(), findings }
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
        let mut params = ListParams::default().fields(RUNNING).limit(PAGE);
        loop {
            let page = api.list(&params).await.map_err(|error| ClusterError::of("list", &"Pod", error))?;
            findings.extend(page.items.iter().flat_map(judge));
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => params = params.continue_token(&next),
                None => break,
            }
        }
    }
    Ok(findings)
}

fn judge(pod: &Pod) -> Vec<Finding> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers).filter(|container| container.name != PROXY);
    let place = format!("Pod {}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    let ports = containers.flat_map(|container| {
        container.ports.iter().flatten().map(move |port| (container.name.as_str(), port.container_port))
    });
    ports
        .filter(|(_, port)| RESERVED.contains(port))
        .map(|(container, port)| {
            let message = format!("container {container} listens on port {port}, which is one of the proxy's");
            Finding::new(Level::Warning, &place, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_port_of_the_proxy_is_the_proxys_alone() {
        let container = |name: &str, port: i32| json!({"name": name, "ports": [{"containerPort": port}]});
        let containers = [container("app", 8080), container("other", 15090), container(PROXY, 15090)];
        let pod: Pod =
            from_value(json!({"metadata": {"namespace": "a", "name": "b"}, "spec": {"containers": containers}}))
                .unwrap();
        let found = judge(&pod);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object, "Pod a/b");
        assert!(found[0].message.starts_with("container other listens on port 15090"), "{found:?}");
    }
}
