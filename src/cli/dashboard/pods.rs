//! Which pod serves a page.

use crate::cluster::brief;
use crate::object::labels::REVISION;
use anyhow::{anyhow, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use std::collections::BTreeSet;

/// A pod that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub name: String,
    /// Which it is, and which others it could have been.
    pub told: String,
}

/// A pod that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    namespace: String,
    which: Which,
}

#[derive(Debug)]
enum Which {
    Named(String),
    Labelled { title: &'static str, selector: String },
}

impl Wanted {
    /// The pod that `NAME` or `NAME.NAMESPACE` says; the namespace is for the former.
    ///
    /// # Errors
    /// Something else than a pod is named.
    pub(super) fn named(pod: &str, namespace: String) -> anyhow::Result<Self> {
        let pod = pod.strip_prefix("pod/").unwrap_or(pod);
        ensure!(
            !pod.contains('/'),
            "{pod} is not a valid name of a pod; for one of a Deployment, name its labels with -l"
        );
        // Names of pods may have dots in them, those of namespaces none.
        let (name, namespace) = match pod.rsplit_once('.') {
            Some((name, of)) if !name.is_empty() && !of.is_empty() => (name.to_owned(), of.to_owned()),
            _ => (pod.to_owned(), namespace),
        };
        Ok(Self { namespace, which: Which::Named(name) })
    }

    /// One of those with these labels.
    pub(super) fn labelled(title: &'static str, selector: &str, namespace: String) -> Self {
        Self { namespace, which: Which::Labelled { title, selector: selector.to_owned() } }
    }

    /// Where it is.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Which it is: of several one that is ready.
    ///
    /// # Errors
    /// There is none, or that cannot be found out.
    pub(super) async fn find(&self, client: &Client) -> anyhow::Result<Found> {
        let (title, selector) = match &self.which {
            Which::Named(name) => {
                return Ok(Found { name: name.clone(), told: format!("Pod {}/{name}", self.namespace) });
            }
            Which::Labelled { title, selector } => (title, selector),
        };
        let namespace = &self.namespace;
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pods = api
            .list(&ListParams::default().labels(selector))
            .await
            .map_err(|error| anyhow!("look for {title} pods: {}", brief(&error)))?;
        if let Some(found) = choose(&pods.items, namespace) {
            return Ok(found);
        }
        match pods.items.first() {
            Some(pod) => {
                bail!("no {title} pods found that run: {} in namespace {namespace} is {}", pod.name_any(), phase(pod))
            }
            None => bail!("no {title} pods found with {selector} in namespace {namespace}; name another one with -n"),
        }
    }
}

/// Of several pods one that runs and is ready, if there is one.
fn choose(pods: &[Pod], namespace: &str) -> Option<Found> {
    let running = pods.iter().filter(|pod| phase(pod) == "Running" && pod.metadata.deletion_timestamp.is_none());
    let running: Vec<&Pod> = running.collect();
    let pod = running.iter().max_by_key(|pod| is_ready(pod))?;
    let name = pod.name_any();
    let revision = |pod: &Pod| pod.labels().get(REVISION).cloned();
    let all: BTreeSet<String> = running.iter().filter_map(|pod| revision(pod)).collect();
    let told = match revision(pod).filter(|_| all.len() > 1) {
        Some(own) => {
            let others = all.into_iter().filter(|other| *other != own).collect::<Vec<_>>().join(", ");
            format!("Pod {namespace}/{name} of revision {own}; there is also {others}: choose with -r")
        }
        None => format!("Pod {namespace}/{name}"),
    };
    Some(Found { name, told })
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_of_several_pods_is_shown_is_told() {
        let pod = |name: &str, revision: &str| {
            let value = serde_json::json!({
                "metadata": {"name": name, "labels": {REVISION: revision}}, "status": {"phase": "Running"},
            });
            serde_json::from_value::<Pod>(value).unwrap()
        };
        let told = |pods: &[Pod]| choose(pods, "mesh").map(|found| found.told);
        assert_eq!(told(&[pod("a", "one"), pod("b", "one")]).unwrap(), "Pod mesh/b");
        let both = told(&[pod("a", "one"), pod("b", "two")]).unwrap();
        assert_eq!(both, "Pod mesh/b of revision two; there is also one: choose with -r");
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn a_pod_is_named_with_or_without_its_namespace() {
        let named = |pod: &str| {
            let wanted = Wanted::named(pod, "default".to_owned()).unwrap();
            match wanted.which {
                Which::Named(name) => (name, wanted.namespace),
                Which::Labelled { .. } => unreachable!(),
            }
        };
        for (pod, name, namespace) in [
            ("a-1", "a-1", "default"),
            ("a-1.shop", "a-1", "shop"),
            ("pod/a.b.shop", "a.b", "shop"),
            ("a.", "a.", "default"),
        ] {
            assert_eq!(named(pod), (name.to_owned(), namespace.to_owned()));
        }
        let no = Wanted::named("deploy/a", "default".to_owned()).unwrap_err().to_string();
        assert!(no.contains("-l"), "{no}");
    }
}
