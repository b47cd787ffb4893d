//! Which namespaces and pods use which revisions and tags, read in one go.

use crate::cluster::{Cluster, ClusterError};
use crate::controller::{PROXY_LABEL, RUNNING, Said, points_to, said_by};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

/// Namespaces and pods by the revision or tag that they name.
#[derive(Debug, Default)]
pub(super) struct Users {
    namespaces: BTreeMap<String, BTreeSet<String>>,
    pods: BTreeMap<Said, BTreeSet<String>>,
}

impl Users {
    /// Of a cluster.
    ///
    /// # Errors
    /// Namespaces or pods cannot be listed.
    pub(super) async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let mut users = Self::of_namespaces(cluster).await?;
        cluster.for_each("v1", "Pod", (PROXY_LABEL, RUNNING), |pod| users.take_pod(pod)).await?;
        Ok(users)
    }

    /// The same without pods.
    ///
    /// # Errors
    /// Namespaces cannot be listed.
    pub(super) async fn of_namespaces(cluster: &Cluster) -> Result<Self, ClusterError> {
        let mut users = Self::default();
        cluster.for_each("v1", "Namespace", ("", ""), |namespace| users.take_namespace(namespace)).await?;
        Ok(users)
    }

    fn take_namespace(&mut self, namespace: &ObjectMeta) {
        if let Some(name) = points_to(namespace) {
            self.namespaces.entry(name.to_owned()).or_default().insert(namespace.name.clone().unwrap_or_default());
        }
    }

    fn take_pod(&mut self, pod: &ObjectMeta) {
        let place =
            format!("{}/{}", pod.namespace.as_deref().unwrap_or_default(), pod.name.as_deref().unwrap_or_default());
        self.pods.entry(said_by(pod)).or_default().insert(place);
    }

    /// The namespaces whose new pods one of these names injects.
    pub(super) fn namespaces<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        together(names.into_iter().filter_map(|name| self.namespaces.get(name)))
    }

    /// The pods with a proxy of a revision, as `namespace/name`: by the injector's word, or else by a label that says one of these
    /// names.
    pub(super) fn pods<'a>(&self, revision: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let said = names.into_iter().map(|name| Said::Name(name.to_owned()));
        let said = said.chain([Said::Revision(revision.to_owned())]);
        together(said.filter_map(|said| self.pods.get(&said)))
    }
}

fn together<'a>(found: impl Iterator<Item = &'a BTreeSet<String>>) -> Vec<String> {
    found.flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn users_are_told_by_the_name_that_they_say() {
        let mut users = Users::default();
        for (name, labels) in [
            ("shop", json!({"istio.io/rev": "prod"})),
            ("bank", json!({"istio.io/rev": "canary"})),
            ("old", json!({"istio-injection": "enabled"})),
            ("off", json!({"istio-injection": "disabled"})),
        ] {
            users.take_namespace(&from_value(json!({"name": name, "labels": labels})).unwrap());
        }
        let pod = json!({"name": "cart", "namespace": "shop", "labels": {"istio.io/rev": "prod"}});
        // A list that begins again hands over what it has handed over already.
        for _ in 0..2 {
            users.take_pod(&from_value(pod.clone()).unwrap());
        }
        assert_eq!(users.namespaces(["canary", "prod"]), ["bank", "shop"]);
        assert_eq!(users.namespaces(["default"]), ["old"]);
        assert_eq!(users.pods("canary", ["prod", "default"]), ["shop/cart"]);
        let status = json!({"sidecar.istio.io/status": "{\"revision\":\"prod\"}"});
        let pod = json!({"name": "till", "namespace": "shop", "annotations": status});
        users.take_pod(&from_value(pod).unwrap());
        assert_eq!(users.pods("canary", ["prod"]), ["shop/cart"], "an injector says no tag");
        assert_eq!(users.pods("prod", []), ["shop/till"]);
    }
}
