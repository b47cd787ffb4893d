//! Asks the API server who uses a revision at this moment: before anything is deleted, watches that may be behind are not
//! enough.
//!
//! Guarantee: a revision counts as unused only after every pod and every namespace has been read. Memory does not grow with
//! their number.

use super::metadata::{INJECTED, PROXY_LABEL, RUNNING, Said, is_of, label, points_to, said_by};
use crate::api::component::Component;
use crate::cluster::{Cluster, ClusterError};
use crate::object::labels::{self, TAG};
use crate::object::pods::Pods;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// Says that a pod wants, or does not want, a proxy.
const INJECT: &str = "sidecar.istio.io/inject";
/// Says that a namespace is in the ambient mesh.
const MODE: &str = "istio.io/dataplane-mode";
/// Says that the traffic of a pod goes through the ambient mesh.
const REDIRECTION: &str = "ambient.istio.io/redirection";
/// Pods of a gateway that istiod made for a Gateway resource.
pub const GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";
/// So many users are named.
const NAMED: usize = 20;
/// So many of them in a sentence.
const TOLD: usize = 3;

/// Who uses a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// How many pods have a proxy of it, or are in its ambient mesh.
    pub pods: usize,
    /// How many namespaces have it inject their pods.
    pub namespaces: usize,
    /// The first few users: `Namespace shop`, then `Tag prod`, then `Pod shop/cart`.
    pub names: Vec<String>,
    /// The tags by which it is used.
    pub tags: Vec<String>,
    /// Whether other clusters may use it, of which nothing is known here.
    pub is_external: bool,
    /// How many requests it took to find out.
    pub requests: u32,
}

impl InUse {
    /// Whether nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods == 0 && self.namespaces == 0 && !self.is_external
    }

    /// The first few, and how many more.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_external && self.pods == 0 && self.namespaces == 0 {
            return "other clusters, which this one cannot see".to_owned();
        }
        let names: Vec<&str> = self.names.iter().take(TOLD).map(String::as_str).collect();
        let all = self.pods.saturating_add(self.namespaces).saturating_add(self.tags.len());
        match all.saturating_sub(names.len()) {
            0 => names.join("; "),
            more => format!("{}; and {more} more", names.join("; ")),
        }
    }
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

/// How many lists [`users_of`] reads at most where each has one page: tags, namespaces, pods with the label of a proxy, and all.
pub const LISTS: u32 = 4;

/// The users of a revision, but for the pods of these workloads. Pods that have ended, or whose namespace is ending, use
/// nothing.
///
/// # Errors
/// Pods, namespaces or webhooks cannot be listed: it is not known who uses it.
pub async fn users_of(cluster: &Cluster, revision: &str, except: &[Pods]) -> Result<InUse, ClusterError> {
    let mut search = Search { revision, except, ..Search::default() };
    let webhooks = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration");
    let mut requests = cluster.for_each(webhooks.0, webhooks.1, (TAG, ""), |tag| search.take_tag(tag)).await?;
    requests += cluster.for_each("v1", "Namespace", ("", ""), |namespace| search.take_namespace(namespace)).await?;
    requests += cluster.for_each("v1", "Pod", (PROXY_LABEL, RUNNING), |pod| search.take_pod(pod)).await?;
    if search.is_empty() {
        // The label may be missing, as annotations cannot be selected by: before "nobody" is said every pod is looked at.
        requests += cluster.for_each("v1", "Pod", ("", RUNNING), |pod| search.take_pod(pod)).await?;
    }
    Ok(InUse { requests, ..search.answer() })
}

/// The users of a control plane: those of its revision, and where its istiod serves other clusters, those.
///
/// # Errors
/// As above.
pub async fn users_of_plane(
    cluster: &Cluster,
    revision: &str,
    except: &[Pods],
    is_external: bool,
) -> Result<InUse, ClusterError> {
    Ok(InUse { is_external, ..users_of(cluster, revision, except).await? })
}

/// The pods with proxies of a revision that were made before a moment, but for those of these workloads: where a control plane
/// moves to another namespace, those are what the old one is still needed by.
///
/// # Errors
/// Pods cannot be listed: it is not known who uses it.
pub async fn users_before(
    cluster: &Cluster,
    revision: &str,
    except: &[Pods],
    moment: Timestamp,
) -> Result<InUse, ClusterError> {
    let mut search = Search { revision, except, ..Search::default() };
    let mut take = |pod: &ObjectMeta| {
        if pod.creation_timestamp.as_ref().is_none_or(|time| time.0 <= moment) {
            search.take_pod(pod);
        }
    };
    let requests = cluster.for_each("v1", "Pod", ("", RUNNING), &mut take).await?;
    Ok(InUse { requests, ..search.answer() })
}

/// Who names a tag: namespaces, and running pods of their own accord. Whose pods have a proxy of its revision is another
/// matter: they keep it.
///
/// # Errors
/// Pods or namespaces cannot be listed: it is not known who names it.
pub async fn users_of_tag(cluster: &Cluster, tag: &str) -> Result<InUse, ClusterError> {
    let mut search = Search { revision: tag, ..Search::default() };
    let mut take = |namespace: &ObjectMeta| {
        if points_to(namespace) == Some(tag) {
            search.take_namespace(namespace);
        }
    };
    let mut requests = cluster.for_each("v1", "Namespace", ("", ""), &mut take).await?;
    let selector = format!("{}={tag}", labels::REVISION);
    requests += cluster
        .for_each("v1", "Pod", (&selector, RUNNING), |pod| {
            let (namespace, name) = (pod.namespace.as_deref(), pod.name.as_deref());
            search.pods.take(|| format!("Pod {}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()));
        })
        .await?;
    Ok(InUse { requests, ..search.answer() })
}

/// What has been found so far.
#[derive(Default)]
struct Search<'a> {
    revision: &'a str,
    except: &'a [Pods],
    /// All tags of the revision.
    tags: BTreeSet<String>,
    used_tags: BTreeSet<String>,
    /// The namespaces that are ending.
    ending: BTreeSet<String>,
    namespaces: Found,
    pods: Found,
}

#[derive(Default)]
struct Found {
    count: usize,
    names: Vec<String>,
}

impl Found {
    fn take(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(name());
        }
    }
}

impl Search<'_> {
    fn is_empty(&self) -> bool {
        self.pods.count == 0 && self.namespaces.count == 0
    }

    fn take_tag(&mut self, webhook: &ObjectMeta) {
        if label(webhook, labels::REVISION) == self.revision {
            self.tags.insert(label(webhook, TAG).to_owned());
        }
    }

    /// Whether a label means the revision, by its own name or by a tag, which is a used one from now on.
    fn is_meant(&mut self, name: &str) -> bool {
        if self.tags.contains(name) {
            self.used_tags.insert(name.to_owned());
            return true;
        }
        name == self.revision
    }

    fn take_namespace(&mut self, namespace: &ObjectMeta) {
        let name = namespace.name.as_deref().unwrap_or_default();
        if namespace.deletion_timestamp.is_some() {
            self.ending.insert(name.to_owned());
            return;
        }
        // The ambient mesh is of one revision, and a namespace in it need not say of which.
        let is_ambient = label(namespace, MODE) == "ambient";
        if points_to(namespace).map_or(is_ambient, |revision| self.is_meant(revision)) {
            self.namespaces.take(|| format!("Namespace {name}"));
        }
    }

    fn take_pod(&mut self, pod: &ObjectMeta) {
        let namespace = pod.namespace.as_deref().unwrap_or_default();
        if self.ending.contains(namespace) || self.except.iter().any(|workload| is_of(pod, workload)) {
            return;
        }
        if self.is_used_by(pod) {
            self.pods.take(|| format!("Pod {namespace}/{}", pod.name.as_deref().unwrap_or_default()));
        }
    }

    fn is_used_by(&mut self, pod: &ObjectMeta) -> bool {
        let name = match said_by(pod) {
            Said::Revision(revision) => return revision == self.revision,
            Said::Name(name) => name,
        };
        match (label(pod, labels::REVISION), is_ambient(pod)) {
            ("", true) => true,
            (_, false) if !has_proxy(pod) => false,
            _ => self.is_meant(&name),
        }
    }

    fn answer(self) -> InUse {
        let tags: Vec<String> = self.used_tags.into_iter().collect();
        let by_tags = tags.iter().map(|tag| format!("Tag {tag}"));
        let names = self.namespaces.names.into_iter().chain(by_tags).chain(self.pods.names).take(NAMED).collect();
        InUse { pods: self.pods.count, namespaces: self.namespaces.count, names, tags, is_external: false, requests: 0 }
    }
}

fn annotation<'a>(pod: &'a ObjectMeta, name: &str) -> &'a str {
    pod.annotations.as_ref().and_then(|all| all.get(name)).map_or("", String::as_str)
}

fn is_ambient(pod: &ObjectMeta) -> bool {
    annotation(pod, REDIRECTION) == "enabled"
}

/// Whether a pod that the injector's own words are not found on has a proxy, or would have one if there was an injector: a
/// label tells, and whoever may write a pod may take one of them away.
fn has_proxy(pod: &ObjectMeta) -> bool {
    let is_labelled = [PROXY_LABEL, GATEWAY].iter().any(|name| !label(pod, name).is_empty());
    let is_control_plane = label(pod, "app") == "istiod"
        || [Component::Pilot, Component::Cni].iter().any(|c| label(pod, labels::COMPONENT) == c.name());
    let asks = !label(pod, labels::REVISION).is_empty() || label(pod, INJECT) == "true";
    let declines = [label(pod, INJECT), annotation(pod, INJECT)].contains(&"false");
    is_labelled || !annotation(pod, INJECTED).is_empty() || (asks && !declines && !is_control_plane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn meta(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn pod(labels: &Value, annotations: &Value) -> ObjectMeta {
        meta(json!({"name": "cart", "namespace": "shop", "labels": labels, "annotations": annotations}))
    }

    fn search(revision: &str) -> Search<'_> {
        Search { revision, ..Search::default() }
    }

    fn uses(revision: &str, pod: &ObjectMeta) -> bool {
        let mut search = search(revision);
        search.take_tag(&meta(json!({"name": "t", "labels": {"istio.io/tag": "prod", "istio.io/rev": "canary"}})));
        search.take_pod(pod);
        !search.is_empty()
    }

    #[test]
    fn a_pod_with_a_proxy_is_a_user_however_it_shows() {
        let status = |revision: &str| json!({INJECTED: json!({"revision": revision}).to_string()});
        let table = [
            ("default", json!({}), status("default"), true),
            ("default", json!({}), status("canary"), false),
            ("canary", json!({"istio.io/rev": "other"}), status("canary"), true),
            ("default", json!({}), json!({INJECTED: "no JSON"}), true),
            ("default", json!({PROXY_LABEL: "cart"}), json!({}), true),
            ("canary", json!({"istio.io/rev": "canary"}), json!({}), true),
            ("canary", json!({"istio.io/rev": "prod"}), json!({}), true),
            ("default", json!({"istio.io/rev": "canary"}), json!({}), false),
            ("canary", json!({"istio.io/rev": "canary", INJECT: "false"}), json!({}), false),
            ("canary", json!({"istio.io/rev": "canary", "app": "istiod"}), json!({}), false),
            ("default", json!({GATEWAY: "gw"}), json!({}), true),
            ("default", json!({INJECT: "true"}), json!({}), true),
            ("canary", json!({}), json!({REDIRECTION: "enabled"}), true),
            ("canary", json!({"app": "cart"}), json!({}), false),
        ];
        for (revision, labels, annotations, is_user) in table {
            assert_eq!(uses(revision, &pod(&labels, &annotations)), is_user, "{revision} {labels} {annotations}");
        }
    }

    #[test]
    fn what_ends_with_its_namespace_is_no_user() {
        let mut search = search("default");
        let labels = json!({"istio-injection": "enabled"});
        let ending = json!({"name": "shop", "labels": labels, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        search.take_namespace(&meta(ending));
        search.take_pod(&pod(&json!({PROXY_LABEL: "cart"}), &json!({})));
        assert!(search.is_empty());
    }

    #[test]
    fn the_users_are_told_namespaces_and_tags_first() {
        let mut search = search("canary");
        search.take_tag(&meta(json!({"name": "t", "labels": {"istio.io/tag": "prod", "istio.io/rev": "canary"}})));
        search.take_tag(&meta(json!({"name": "u", "labels": {"istio.io/tag": "idle", "istio.io/rev": "canary"}})));
        search.take_namespace(&meta(json!({"name": "shop", "labels": {"istio.io/rev": "prod"}})));
        search.take_namespace(&meta(json!({"name": "other", "labels": {"istio.io/rev": "idler"}})));
        for n in 0..100 {
            let labels = json!({PROXY_LABEL: "cart", "istio.io/rev": "canary"});
            search.take_pod(&meta(json!({"name": format!("cart-{n}"), "namespace": "shop", "labels": labels})));
        }
        let users = search.answer();
        assert_eq!((users.pods, users.namespaces, users.tags.clone()), (100, 1, vec!["prod".to_owned()]));
        assert_eq!(users.names.len(), NAMED, "they do not grow with the cluster");
        assert_eq!(users.to_string(), "Namespace shop; Tag prod; Pod shop/cart-0; and 99 more");
        assert_eq!(InUse::default().summary(), "");
    }

    #[test]
    fn a_namespace_in_the_ambient_mesh_uses_what_may_be_its_revision() {
        let mut search = search("canary");
        search.take_namespace(&meta(json!({"name": "a", "labels": {MODE: "ambient"}})));
        search.take_namespace(&meta(json!({"name": "b", "labels": {MODE: "ambient", "istio.io/rev": "stable"}})));
        assert_eq!(search.answer().names, ["Namespace a"]);
    }
}
