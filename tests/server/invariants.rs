//! What holds of every cluster at rest.

use crate::lab::Lab;
use futures::{StreamExt, stream};
use istio_operator::cluster::Cluster;
use istio_operator::object::Object;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What does not make an object another one.
const BOOKKEEPING: [&str; 3] = ["managedFields", "resourceVersion", "generation"];

const HOOK: &str = "MutatingWebhookConfiguration";

/// Checks them.
pub struct Invariants<'a> {
    lab: &'a Lab,
    cluster: Cluster,
    package: Package,
}

impl<'a> Invariants<'a> {
    /// Of a lab's cluster.
    pub fn of(lab: &'a Lab) -> Self {
        Self { lab, cluster: Cluster::new(lab.client().clone()), package: Package::embedded().unwrap() }
    }

    /// Waits until they hold for these resources, and there is nothing of any other; says what does not when time is up.
    pub fn wait(&self, what: &str, names: &[&str]) {
        let begun = Instant::now();
        self.lab.wait(&format!("{what}: all to be as it should"), || self.check(names));
        println!("{what}: as it should be after {:.1?}", begun.elapsed());
    }

    fn check(&self, names: &[&str]) -> Result<(), String> {
        let mut wanted = BTreeSet::new();
        let mut objects = vec![];
        for name in names {
            let resource = self.lab.iop(name).ok_or_else(|| format!("{name} is not there"))?;
            phase_is(&resource, "HEALTHY")?;
            // The first has the tag `default`, and its own webhook selects nothing.
            let gives_default_tag = wanted.is_empty();
            let version = Some(("v1.33.0".into(), "1".into(), "33".into()));
            let manifests =
                render::from_resource(&resource, &ClusterInfo { version, gives_default_tag }, &self.package);
            let mut manifests = manifests.map_err(|e| e.to_string())?;
            wanted.extend(manifests.keys().iter().map(ToString::to_string));
            for part in &mut manifests.parts {
                part.objects.retain(|object| object.kind() != HOOK || object.name() != "istio-sidecar-injector");
            }
            objects.extend(manifests.parts.into_iter().flat_map(|part| part.objects));
        }
        self.nothing_is_missing_or_left(&wanted)?;
        self.nothing_differs(objects)
    }

    /// Definitions stay for ever.
    fn nothing_is_missing_or_left(&self, wanted: &BTreeSet<String>) -> Result<(), String> {
        let owned = self.lab.owned();
        let missing: Vec<_> = wanted.iter().filter(|key| !owned.contains_key(*key)).collect();
        let is_left = |key: &&String| !wanted.contains(*key) && !key.starts_with("CustomResourceDefinition ");
        let left: Vec<_> = owned.keys().filter(is_left).collect();
        if missing.is_empty() && left.is_empty() { Ok(()) } else { Err(format!("missing {missing:?}, left {left:?}")) }
    }

    /// An apply of what is desired, tried and not done, would change nothing.
    pub fn nothing_differs(&self, objects: Vec<Object>) -> Result<(), String> {
        let tries = objects.into_iter().map(|object| async move {
            let (key, failed) = (object.key(), |e| format!("{e}"));
            let live = self.cluster.get(object.api_version(), &key).await.map_err(failed)?;
            let live = content(&live.ok_or_else(|| format!("{key} is not there"))?);
            let applied = content(&self.cluster.apply(&object, true).await.map_err(failed)?);
            if live == applied { Ok(()) } else { Err(format!("{key} is {live:#} and should be {applied:#}")) }
        });
        let results: Vec<_> = self.lab.block_on(stream::iter(tries).buffer_unordered(8).collect());
        results.into_iter().collect()
    }
}

fn content(object: &kube::api::DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    let metadata = value["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| !BOOKKEEPING.contains(&name.as_str()));
    value
}

/// All of it is in this phase, each component healthy, and that is said of what the resource asks for now.
pub fn phase_is(resource: &Value, phase: &str) -> Result<(), String> {
    let status = &resource["status"];
    let components = status["componentStatus"].as_object().into_iter().flatten();
    let is_true = status["status"] == phase
        && status["observedGeneration"] == resource["metadata"]["generation"]
        && components.into_iter().all(|(_, component)| component["status"] == "HEALTHY");
    if is_true { Ok(()) } else { Err(format!("the status is {status}")) }
}

/// The ReplicaSets with pods of each Deployment, by uid: others mean that its pods were started anew.
pub fn running(lab: &Lab) -> BTreeMap<String, BTreeSet<String>> {
    let all = lab.get("/apis/apps/v1/namespaces/istio-system/replicasets").unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut running: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for set in all["items"].as_array().unwrap().iter().filter(|set| set["status"]["replicas"] != 0) {
        let deployment = text(&set["metadata"]["ownerReferences"][0]["name"]);
        running.entry(deployment).or_default().insert(text(&set["metadata"]["uid"]));
    }
    running
}
