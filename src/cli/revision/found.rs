//! What there is of each revision in a cluster.

use super::super::cluster::Connected;
use super::super::resources::{self, Summary};
use super::super::tag::webhooks::{Webhooks, label};
use super::super::users::Users;
use crate::api::component::Component;
use crate::api::status::InstallStatus;
use crate::cluster::{Cluster, ClusterError};
use crate::controller::GATEWAY;
use crate::install::installed_release;
use crate::install::provenance;
use crate::object::labels::{COMPONENT, REVISION, TAG};
use crate::object::manifests::revision_label;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A revision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    #[serde(rename = "revision")]
    pub name: String,
    pub tags: Vec<String>,
    /// `None` where they cannot be listed.
    pub resources: Option<Vec<Resource>>,
    pub control_planes: Vec<Workload>,
    pub webhooks: Vec<String>,
    pub gateways: Vec<Workload>,
    /// The namespaces whose new pods it injects.
    pub namespaces: Option<Vec<String>>,
    /// The pods with a proxy of it.
    pub pods: Option<Vec<String>>,
}

/// An IstioOperator resource of a revision.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    pub namespace: String,
    pub name: String,
    pub profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Whether it is the record of an installation, or annotated to be left alone.
    pub is_left_alone: bool,
}

/// A Deployment of a revision.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    pub ready: i64,
    pub wanted: i64,
}

impl Workload {
    fn of(live: &DynamicObject) -> Self {
        let number = |pointer: &str| live.data.pointer(pointer).and_then(Value::as_i64);
        Self {
            namespace: live.namespace().unwrap_or_default(),
            name: live.name_any(),
            release: installed_release::of_istiod(live),
            ready: number("/status/readyReplicas").unwrap_or_default(),
            wanted: number("/spec/replicas").unwrap_or(1),
        }
    }
}

/// All revisions of a cluster, and what could not be found out.
pub struct Found {
    pub revisions: Vec<Revision>,
    pub unknown: Vec<String>,
}

/// What a cluster has; without what may not be read.
struct Read {
    hooks: Webhooks,
    deployments: Vec<DynamicObject>,
    resources: Option<Vec<Summary>>,
    users: Option<Users>,
    unknown: Vec<String>,
}

impl Found {
    /// Of a cluster.
    ///
    /// # Errors
    /// Webhooks or control planes cannot be listed, by which revisions are known.
    pub fn read(connected: &Connected) -> Result<Self, ClusterError> {
        let read = connected.wait(read(&connected.cluster))?;
        Ok(Self { revisions: read.revisions(), unknown: read.unknown })
    }

    /// A revision, by its name or a tag.
    pub fn get(&self, name: &str) -> Option<&Revision> {
        let by_name = self.revisions.iter().find(|revision| revision.name == name);
        by_name.or_else(|| self.revisions.iter().find(|revision| revision.tags.iter().any(|tag| tag == name)))
    }
}

async fn read(cluster: &Cluster) -> Result<Read, ClusterError> {
    let by = |selector: &'static str| cluster.list("apps/v1", "Deployment", None, selector);
    let (hooks, revised, istiods, gateways, resources, users) = tokio::join!(
        Webhooks::read(cluster),
        by(REVISION),
        by("app=istiod"),
        by(GATEWAY),
        resources::list(cluster, None),
        Users::read(cluster),
    );
    let mut unknown = vec![];
    let mut take = |error: ClusterError| unknown.push(error.to_string());
    let resources = resources.map_err(&mut take).ok();
    let users = users.map_err(&mut take).ok();
    let mut deployments: BTreeMap<String, DynamicObject> = BTreeMap::new();
    for live in [revised?, istiods?, gateways?].into_iter().flatten() {
        deployments.insert(format!("{}/{}", live.namespace().unwrap_or_default(), live.name_any()), live);
    }
    Ok(Read { hooks: hooks?, deployments: deployments.into_values().collect(), resources, users, unknown })
}

/// Whether a Deployment is of a gateway: by its label, as Helm's and istiod's own have it, or by its name as upstream tells.
fn is_gateway(live: &DynamicObject) -> bool {
    let said = Component::from_name(label(live, COMPONENT));
    said.map_or_else(|| live.name_any().contains("gateway") || !label(live, GATEWAY).is_empty(), Component::is_gateways)
}

fn is_istiod(live: &DynamicObject) -> bool {
    label(live, "app") == "istiod"
}

fn revision_of(live: &DynamicObject) -> &str {
    revision_label(provenance::revision_of(live))
}

impl Read {
    fn revisions(&self) -> Vec<Revision> {
        let mut names = self.hooks.revisions();
        names.extend(self.deployments.iter().filter(|live| is_istiod(live)).map(|live| revision_of(live).to_owned()));
        // A tag may stand for a revision that is not there any more.
        names.extend(self.hooks.of_tags().map(|hook| label(hook, REVISION).to_owned()).filter(|name| !name.is_empty()));
        names.iter().map(|name| self.revision(name, &names)).collect()
    }

    fn revision(&self, name: &str, all: &BTreeSet<String>) -> Revision {
        let names = Names::of(&self.hooks, name, all);
        let used = self.users.as_ref().map(|users| names.users(users));
        let workloads = |is: fn(&DynamicObject) -> bool| -> Vec<Workload> {
            let own = self.deployments.iter().filter(|live| is(live) && revision_of(live) == name);
            own.map(Workload::of).collect()
        };
        let own = |resource: &&Summary| resource.revision == name;
        Revision {
            name: name.to_owned(),
            resources: self.resources.as_ref().map(|all| all.iter().filter(own).map(told).collect()),
            control_planes: workloads(is_istiod),
            webhooks: self.hooks.of_revision(name).map(ResourceExt::name_any).collect(),
            gateways: workloads(is_gateway),
            tags: names.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            namespaces: used.as_ref().map(|used| used.namespaces.clone()),
            pods: used.map(|used| used.pods),
        }
    }
}

/// By which names a revision is used.
struct Names<'a> {
    revision: &'a str,
    /// Those that stand for it, in order.
    tags: Vec<&'a str>,
    by_namespace: Vec<&'a str>,
    by_pod: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Of one of all these revisions.
    fn of(hooks: &'a Webhooks, revision: &'a str, all: &BTreeSet<String>) -> Self {
        let of_it = hooks.of_tags().filter(|hook| label(hook, REVISION) == revision);
        let tags: BTreeSet<&str> = of_it.map(|hook| label(hook, TAG)).collect();
        let is_tag = hooks.of_tag(revision).next().is_some();
        // Where a tag is called as a revision is, new pods are the tag's, and those that run say whose they are.
        let by_namespace = tags.iter().copied().chain((!is_tag).then_some(revision)).collect();
        let by_pod = tags.iter().copied().filter(|tag| !all.contains(*tag)).chain([revision]).collect();
        Self { revision, tags: tags.into_iter().collect(), by_namespace, by_pod }
    }

    fn users(&self, users: &Users) -> Use {
        Use {
            tags: self.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            namespaces: users.namespaces(self.by_namespace.iter().copied()),
            pods: users.pods(self.revision, self.by_pod.iter().copied()),
        }
    }
}

/// Who uses a revision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    pub tags: Vec<String>,
    pub namespaces: Vec<String>,
    /// Told as their number.
    #[serde(serialize_with = "count")]
    pub pods: Vec<String>,
}

fn count<S: Serializer>(all: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    all.len().serialize(serializer)
}

/// Who uses which revision.
pub struct Uses {
    hooks: Webhooks,
    users: Users,
}

impl Uses {
    /// Of a cluster.
    ///
    /// # Errors
    /// Webhooks, namespaces or pods cannot be listed.
    pub async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let (hooks, users) = tokio::try_join!(Webhooks::read(cluster), Users::read(cluster))?;
        Ok(Self { hooks, users })
    }

    /// Of a revision, whether or not it is there.
    pub fn of(&self, revision: &str) -> Use {
        Names::of(&self.hooks, revision, &self.hooks.revisions()).users(&self.users)
    }
}

fn told(resource: &Summary) -> Resource {
    Resource {
        profile: resource.profile.clone(),
        status: InstallStatus::read(&resource.status).status.map(crate::api::status::Phase::name),
        is_left_alone: resource.is_left_alone,
        namespace: resource.id.namespace.clone(),
        name: resource.id.name.clone(),
    }
}
