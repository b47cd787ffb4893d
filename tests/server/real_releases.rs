//! Upgrades from release to release of Istio, with the unmodified packages of the releases, on a machine that has them.
//!
//! Under exactly the permissions of `config/rbac`: a lab fails where one is missing.

use crate::lab::{Lab, touched};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

const WORKLOADS: [&str; 3] = ["istiod", "istio-ingressgateway", "istio-egressgateway"];
/// From the built-in release to the newest, three minors at a time.
const STEPS: [&str; 4] = ["1.20.8", "1.23.6", "1.26.8", "1.30.3"];

/// The folder with a package per version, if all that are needed are there; see CONTRIBUTING.md.
pub fn packages(needed: &[&str]) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    let folder = cache.join("istio-operator/releases");
    let missing: Vec<_> = needed.iter().filter(|version| !folder.join(version).exists()).collect();
    if missing.is_empty() {
        return Some(folder);
    }
    eprintln!("{} does not have {missing:?}: upgrades between real releases are not tested", folder.display());
    None
}

/// A lab whose operator finds packages in a folder.
fn start(folder: &std::path::Path) -> Lab {
    let lab = Lab::without_operator();
    lab.watch_over(lab.start_another("operator", &["--package-dir", folder.to_str().unwrap()]));
    lab
}

/// A resource of a release.
fn resource(name: &str, release: &str, spec: &Value) -> String {
    json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator",
        "metadata": {"name": name, "namespace": "istio-system", "annotations": {"install.istio.io/release": release}},
        "spec": spec})
    .to_string()
}

/// Waits until a resource is HEALTHY with a release, and gives the workloads that had no ready pod meanwhile.
fn gaps_until(lab: &Lab, name: &str, release: &str, watched: &[&'static str]) -> BTreeSet<&'static str> {
    let mut gaps = BTreeSet::new();
    lab.wait(&format!("{name} to be of {release}"), || {
        gaps.extend(watched.iter().filter(|name| {
            let deployment = lab.deployment(name).unwrap_or_default();
            deployment["status"]["readyReplicas"].as_i64().is_none_or(|ready| ready < 1)
        }));
        let status = lab.iop(name).unwrap()["status"].clone();
        let is_done = status["status"] == "HEALTHY" && status["version"] == release;
        if is_done { Ok(()) } else { Err(status.to_string()) }
    });
    gaps
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_control_plane_goes_from_1_17_to_1_30_without_a_gap() {
    let Some(folder) = packages(&STEPS) else { return };
    let lab = start(&folder);
    let spec = json!({"profile": "demo"});
    let definition = || {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/istiooperators.install.istio.io";
        lab.get(path).unwrap()["spec"].take()
    };
    let own = definition();
    lab.apply_with(&[], &resource("main", "1.17.8", &spec));
    gaps_until(&lab, "main", "1.17.8", &[]);
    for release in STEPS {
        lab.apply_with(&[], &resource("main", release, &spec));
        let gaps = gaps_until(&lab, "main", release, &WORKLOADS);
        assert!(gaps.is_empty(), "{gaps:?} had no ready pod on the way to {release}");
        let before = lab.owned_at_rest();
        lab.annotate("main", &format!("install.istio.io/reconcile-requested-at={release}"));
        lab.wait("the request", || {
            let handled = lab.iop("main").unwrap()["status"]["lastHandledReconcileAt"].clone();
            if handled == release { Ok(()) } else { Err(handled.to_string()) }
        });
        assert!(touched(&before, &lab.owned_at_rest()).is_empty(), "{release} does not come to rest");
        assert!(definition() == own, "{release} has changed the operator's own definition");
    }
    let filters = lab.kubectl(&["get", "envoyfilters", "-A", "-o", "name"]);
    assert_eq!(filters.trim(), "", "the filters of older releases are gone");
    let validators = lab.kubectl(&["get", "validatingwebhookconfigurations", "-o", "json"]);
    let validators: Value = serde_json::from_str(&validators).unwrap();
    for hook in validators["items"].as_array().unwrap().iter().flat_map(|v| v["webhooks"].as_array().unwrap()) {
        let service = &hook["clientConfig"]["service"];
        let (namespace, name) = (service["namespace"].as_str().unwrap(), service["name"].as_str().unwrap());
        assert!(lab.get(&format!("/api/v1/namespaces/{namespace}/services/{name}")).is_some(), "{name} is gone");
    }
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_upgrade_of_releases_survives_kills() {
    let Some(folder) = packages(&STEPS) else { return };
    let lab = start(&folder);
    let spec = json!({"profile": "demo"});
    lab.apply_with(&[], &resource("main", "1.17.8", &spec));
    gaps_until(&lab, "main", "1.17.8", &[]);
    for (round, release) in ["1.23.6", "1.30.3"].into_iter().enumerate() {
        lab.apply_with(&[], &resource("main", release, &spec));
        for kill in 0..4_u64 {
            // Somewhere in the middle: an upgrade takes some seconds.
            std::thread::sleep(std::time::Duration::from_millis(150 + 377 * (kill + round as u64)));
            lab.kill_operator();
            let name = format!("operator-{round}-{kill}");
            lab.watch_over(lab.start_another(&name, &["--package-dir", folder.to_str().unwrap()]));
        }
        let gaps = gaps_until(&lab, "main", release, &WORKLOADS);
        assert!(gaps.is_empty(), "{gaps:?} had no ready pod on the way to {release}");
    }
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_new_release_beside_the_old_one_takes_namespaces_one_by_one() {
    let Some(folder) = packages(&["1.30.3"]) else { return };
    let lab = start(&folder);
    lab.apply_with(&[], &resource("old", "1.17.8", &json!({"profile": "minimal"})));
    gaps_until(&lab, "old", "1.17.8", &[]);
    for namespace in ["shop", "bank"] {
        lab.kubectl(&["create", "namespace", namespace]);
        lab.kubectl(&["label", "namespace", namespace, "istio-injection=enabled"]);
        lab.run_with_sidecar(namespace, "cart", "default");
    }
    lab.apply_with(&[], &resource("new", "1.30.3", &json!({"profile": "minimal", "revision": "new"})));
    let gaps = gaps_until(&lab, "new", "1.30.3", &["istiod"]);
    assert!(gaps.is_empty(), "the old istiod had a gap");
    lab.wait_for_status_of("old", "HEALTHY", &[]);
    for namespace in ["shop", "bank"] {
        lab.kubectl(&["label", "namespace", namespace, "istio-injection-", "istio.io/rev=new", "--overwrite"]);
        lab.kubectl(&["delete", "pods", "-n", namespace, "--all"]);
        lab.run_with_sidecar(namespace, "basket", "new");
        assert!(lab.deployment("istiod").is_some() && lab.deployment("istiod-new").is_some());
    }
    lab.kubectl(&["delete", "iop", "old", "-n", "istio-system", "--timeout=60s"]);
    assert!(lab.deployment("istiod").is_none());
    gaps_until(&lab, "new", "1.30.3", &["istiod-new"]);
    let crd = lab.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io").unwrap();
    assert_eq!(crd["metadata"]["labels"]["operator.istio.io/version"], "1.30.3");
}
