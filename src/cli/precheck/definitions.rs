//! Whether the CRDs that are there fit those of a release, and whose they are.

use super::super::resources::other_owners;
use super::finding::{Check, Finding, Level};
use crate::cluster::{Cluster, ClusterError};
use crate::object::{Object, ObjectKey, labels};
use crate::release::Package;
use crate::render::{self, ClusterInfo};
use crate::spec::request;
use crate::spec::resolve::Strictness;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const API_VERSION: &str = "apiextensions.k8s.io/v1";
const KIND: &str = "CustomResourceDefinition";
/// How many are read at once.
const AT_ONCE: usize = 8;
/// The CRD of the Gateway API's gateways, and where it says which version of the API it is of.
const GATEWAYS: (&str, &str) = ("gateways.gateway.networking.k8s.io", "gateway.networking.k8s.io/bundle-version");

/// A CRD of a release, and the versions that it has.
pub(super) struct Wanted {
    name: String,
    versions: BTreeSet<String>,
    /// Those of them that are served.
    served: BTreeSet<String>,
}

/// The CRDs of a release.
///
/// # Errors
/// Its charts are broken.
pub(super) fn wanted(package: &Package) -> anyhow::Result<Vec<Wanted>> {
    let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": {"profile": "minimal"}});
    let request = request::from_resource(&resource);
    let manifests = render::build(&request, &ClusterInfo::default(), package, Strictness::TakenOver)?;
    let wanted = |object: &Object| Wanted {
        name: object.name().to_owned(),
        versions: versions(&object.value(), |_| true),
        served: versions(&object.value(), is_served),
    };
    Ok(manifests.objects().filter(|object| object.is_crd()).map(wanted).collect())
}

fn is_served(version: &Value) -> bool {
    version.get("served") != Some(&Value::Bool(false))
}

fn versions(definition: &Value, is_meant: fn(&Value) -> bool) -> BTreeSet<String> {
    let all = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    all.filter(|version| is_meant(version))
        .filter_map(|version| version.get("name")?.as_str().map(str::to_owned))
        .collect()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        group: "apiextensions.k8s.io".into(),
        kind: KIND.into(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

pub(super) async fn check(cluster: &Cluster, package: &Package, wanted: &[Wanted]) -> Check {
    let reads = wanted.iter().map(|one| async move { (one, cluster.get(API_VERSION, &key(&one.name)).await) });
    let found: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut findings = vec![];
    let mut unknown: Option<ClusterError> = None;
    for (one, live) in found {
        match live {
            Ok(Some(live)) => findings.extend(judge(one, &live, &package.release())),
            Ok(None) => {}
            Err(error) => unknown = Some(error),
        }
    }
    findings.extend(unknown.map(|error| Finding::unknown("whether all CRDs fit", &error)));
    let well = format!("{} of Istio {} are there or can be made", wanted.len(), package.release());
    Check::new("CRDs", well, findings)
}

/// What is wrong with a CRD that is there.
fn judge(wanted: &Wanted, live: &DynamicObject, release: &str) -> Vec<Finding> {
    let object = format!("{KIND} {}", wanted.name);
    let mut findings = vec![];
    let lacks =
        |all: BTreeSet<String>, wanted: &BTreeSet<String>| -> Vec<String> { all.difference(wanted).cloned().collect() };
    let stored = live.data.pointer("/status/storedVersions").and_then(Value::as_array).into_iter().flatten();
    let stored = lacks(stored.filter_map(|version| version.as_str().map(str::to_owned)).collect(), &wanted.versions);
    let served = lacks(versions(&live.data, is_served), &wanted.served);
    if !stored.is_empty() {
        let message = format!(
            "objects may be stored in version {}, which that of Istio {release} lacks, so that the API server refuses it: \
             write all of them anew, then take the version out of status.storedVersions",
            stored.join(", ")
        );
        findings.push(Finding::new(Level::Error, &object, message));
    } else if !served.is_empty() {
        let message = format!(
            "has version {}, which that of Istio {release} lacks: whoever uses it could not any more",
            served.join(", ")
        );
        findings.push(Finding::new(Level::Warning, &object, message));
    }
    if live.metadata.deletion_timestamp.is_some() {
        findings.push(Finding::new(Level::Error, &object, "is being deleted, with all objects of its kind"));
    }
    let owner = labels::owner_of(live.labels()).is_none().then(|| other_owners(live).next()).flatten();
    findings.extend(owner.map(|owner| {
        let message = format!("is of {owner}, which would write it too");
        Finding::new(Level::Warning, &object, message)
    }));
    findings
}

/// Whether there is the Gateway API.
pub(super) async fn gateways(cluster: &Cluster) -> Check {
    let (name, annotation) = GATEWAYS;
    let mut well = "it is there".to_owned();
    let findings = match cluster.get(API_VERSION, &key(name)).await {
        Ok(Some(live)) => {
            if let Some(version) = live.annotations().get(annotation) {
                well = format!("{version} is there");
            }
            vec![]
        }
        Ok(None) => vec![Finding::new(
            Level::Note,
            "",
            "it is not there; its CRDs are needed for Gateway and HTTPRoute resources of gateway.networking.k8s.io, and for \
             nothing else",
        )],
        Err(error) => vec![Finding::unknown("whether it is there", &error)],
    };
    Check::new("Gateway API", well, findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn levels(metadata: &Value, served: &[&str], stored: &[&str]) -> Vec<Level> {
        let version = |name: &&str| match name.strip_prefix('-') {
            Some(name) => json!({"name": name, "served": false}),
            None => json!({"name": name, "served": true}),
        };
        let versions: Vec<Value> = served.iter().map(version).collect();
        let live = from_value(json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata,
            "spec": {"versions": versions}, "status": {"storedVersions": stored}}))
        .unwrap();
        let versions: BTreeSet<String> = ["v1", "v1beta1"].map(str::to_owned).into();
        let wanted = Wanted { name: "a".into(), served: versions.clone(), versions };
        judge(&wanted, &live, "1.17.8").into_iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_definition_fits_if_it_loses_no_version_and_is_nobody_elses() {
        let plain = json!({"name": "a"});
        assert_eq!(levels(&plain, &["v1beta1"], &["v1beta1"]), []);
        assert_eq!(levels(&plain, &["v1", "v2"], &["v1"]), [Level::Warning]);
        assert_eq!(levels(&plain, &["v1", "-v2"], &["v1"]), [], "nobody can use it as it is");
        assert_eq!(levels(&plain, &["v1", "v1alpha1"], &["v1", "v1alpha1"]), [Level::Error]);
        let helms = json!({"name": "a", "annotations": {"meta.helm.sh/release-name": "base"}});
        assert_eq!(levels(&helms, &["v1"], &["v1"]), [Level::Warning]);
        let ours = json!({"name": "a", "annotations": {"meta.helm.sh/release-name": "base"},
            "labels": {labels::OWNER_NAME: "main", labels::OWNER_NAMESPACE: "istio-system"}});
        assert_eq!(levels(&ours, &["v1"], &["v1"]), [], "it was taken over");
        let going = json!({"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(levels(&going, &["v1"], &["v1"]), [Level::Error]);
    }

    #[test]
    fn the_definitions_of_a_release_have_versions() {
        let all = wanted(&Package::embedded().unwrap()).unwrap();
        assert!(all.len() > 10 && all.iter().all(|one| !one.versions.is_empty()), "{}", all.len());
    }
}
