//! The chart of `config/helm`, with the real Helm: installed, upgraded and removed, and over upstream's operator.

use crate::controlplane::binaries;
use crate::deploy::{DEPLOYMENT, run_as_deployed, upstreams, wait_for_pods};
use crate::lab::{Lab, file};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/istiooperators.install.istio.io";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";

/// Helm against a lab's cluster.
struct Helm {
    binary: PathBuf,
    home: tempfile::TempDir,
}

impl Helm {
    /// Where Helm is, or can be built; else the test has nothing to do.
    fn find() -> Option<Self> {
        let found = std::env::var_os("HELM_BIN").map(PathBuf::from).map_or_else(|| binaries::find("helm"), Ok);
        let binary = found.inspect_err(|why| eprintln!("not tested with Helm: {why:#}")).ok()?;
        Some(Self { binary, home: tempfile::tempdir().unwrap() })
    }

    /// Runs a command of the release `istio-operator`, with the chart of this repository where none is given.
    fn run(&self, lab: &Lab, command: &str, chart: Option<&Path>, args: &[&str]) -> String {
        let own = file("config/helm/istio-operator");
        let mut helm = Command::new(&self.binary);
        helm.args([command, "istio-operator"]);
        if command != "uninstall" {
            helm.arg(chart.unwrap_or(&own));
        }
        helm.args(["-n", "istio-operator", "--timeout=90s"]).args(args);
        helm.env("KUBECONFIG", lab.plane().kubeconfig()).env("HOME", self.home.path());
        let output = helm.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {command} {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn wait_for_role(lab: &Lab) {
    // The role of the operator is made of others by a controller.
    lab.kubectl(&["wait", "--for=jsonpath={.rules[40]}", "--timeout=30s", "clusterrole/istio-operator"]);
}

fn deployed(lab: &Lab) -> Value {
    lab.get(DEPLOYMENT).unwrap()
}

#[test]
#[ignore = "long: `make test-all`"]
fn helm_installs_upgrades_and_removes_it_and_nothing_else() {
    let Some(helm) = Helm::find() else { return };
    let lab = Lab::empty();
    lab.kubectl(&["create", "namespace", "istio-system"]);
    lab.kubectl(&["create", "namespace", "istio-operator"]);
    lab.kubectl(&["label", "namespace", "istio-operator", "pod-security.kubernetes.io/enforce=restricted"]);
    let notes = helm.run(&lab, "install", None, &["--wait"]);
    assert!(!notes.contains("was there already"), "{notes}");
    wait_for_pods(&lab, 2);
    wait_for_role(&lab);
    lab.wait_established(&["crd/istiooperators.install.istio.io"]);
    lab.log_in_as_operator();
    lab.watch_over(run_as_deployed(&lab, &deployed(&lab), 0));
    // The lab fails where a right is missing: this operator may write resources in istio-system only.
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(lab.terminate_operator(), Some(0));

    // Upgraded, to one with packages from an image.
    let image =
        "packages.volumes[0].name=release-1-30,packages.volumes[0].image.reference=registry.example/packages:1.30.3";
    let before = deployed(&lab);
    let notes = helm.run(&lab, "upgrade", None, &["--wait", "--set", image, "--set", "crd.annotations.by=helm"]);
    assert!(!notes.contains("was there already"), "{notes}");
    let after = deployed(&lab);
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    let volumes = after["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    assert!(
        volumes.iter().any(|volume| volume["image"]["reference"] == "registry.example/packages:1.30.3"),
        "{volumes:?}"
    );
    assert_eq!(lab.get(CRD).unwrap()["metadata"]["annotations"]["by"], "helm", "definitions are upgraded too");
    wait_for_pods(&lab, 2);
    // Whatever the values can add is something that the API server knows.
    lab.kubectl(&["create", "namespace", "team"]);
    let values = file("tests/deploy/values.yaml");
    let none = "serviceMonitor.enabled=false,prometheusRule.enabled=false";
    let all =
        helm.run(&lab, "template", None, &["-f", &values.to_string_lossy(), "--set", none, "--kube-version=1.35.0"]);
    assert!(all.matches("\nkind: ").count() > 15, "{all}");
    lab.apply_with(&["--dry-run=server", "--validate=strict"], &all);
    lab.watch_over(run_as_deployed(&lab, &after, 1));
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(lab.terminate_operator(), Some(0));

    // Removed: what is installed runs on, and the next one takes it up.
    let istiod = lab.deployment("istiod").unwrap()["metadata"]["uid"].clone();
    helm.run(&lab, "uninstall", None, &["--wait"]);
    assert_eq!((lab.get(DEPLOYMENT), lab.get(ROLE)), (None, None));
    assert!(lab.get(CRD).is_some() && lab.iop("main").is_some());
    helm.run(&lab, "install", None, &["--wait"]);
    wait_for_role(&lab);
    lab.log_in_as_operator();
    lab.watch_over(run_as_deployed(&lab, &deployed(&lab), 2));
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(lab.deployment("istiod").unwrap()["metadata"]["uid"], istiod);
    lab.delete("main");
    assert_eq!(lab.deployment("istiod"), None);
}

/// A chart with upstream's operator, as one that was installed with Helm has it.
fn upstreams_chart(folder: &Path) {
    let items = upstreams()["items"].as_array().unwrap().clone();
    let items = items.into_iter().filter(|item| item["kind"] != "Namespace");
    let templates = folder.join("templates");
    std::fs::create_dir(&templates).unwrap();
    std::fs::write(folder.join("Chart.yaml"), "{apiVersion: v1, name: istio-operator, version: 1.7.0}").unwrap();
    for (number, item) in items.enumerate() {
        std::fs::write(templates.join(format!("{number}.yaml")), item.to_string()).unwrap();
    }
}

#[test]
#[ignore = "long: `make test-all`"]
fn helm_puts_it_in_the_place_of_upstreams_operator() {
    let Some(helm) = Helm::find() else { return };
    // It has a definition already, which is not Helm's.
    let lab = Lab::without_operator();
    let folder = tempfile::tempdir().unwrap();
    upstreams_chart(folder.path());
    let theirs = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(theirs.path(), upstreams().to_string()).unwrap();
    // What the lab has of it.
    let roles = ["delete", "clusterroles,clusterrolebindings", "--field-selector=metadata.name=istio-operator"];
    let others = ["delete", "clusterroles", "-l", "install.istio.io/aggregate-to-operator"];
    for (round, is_helms) in [true, false].into_iter().enumerate() {
        lab.kubectl(&["delete", "namespace", "istio-operator", "--timeout=60s"]);
        lab.kubectl(&roles);
        lab.kubectl(&others);
        let definition = lab.get(CRD).unwrap();
        let notes = if is_helms {
            lab.kubectl(&["create", "namespace", "istio-operator"]);
            helm.run(&lab, "install", Some(folder.path()), &[]);
            helm.run(&lab, "upgrade", None, &["--wait"])
        } else {
            lab.kubectl(&["create", "-f", &theirs.path().to_string_lossy()]);
            helm.run(&lab, "install", None, &["--wait", "--take-ownership"])
        };
        assert!(notes.contains("was there already and is not of this release"), "{notes}");
        assert_eq!(lab.get(CRD).unwrap()["metadata"]["generation"], definition["metadata"]["generation"]);
        let deployment = deployed(&lab);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "istio-operator:0.1.0");
        assert_eq!(container["command"], json!(["/istio-operator"]));
        wait_for_role(&lab);
        lab.log_in_as_operator();
        let operator = run_as_deployed(&lab, &deployment, round);
        let lease = "/apis/coordination.k8s.io/v1/namespaces/istio-operator/leases/istio-operator-lock";
        assert_eq!(lab.get(lease).unwrap()["spec"]["holderIdentity"], format!("pod-{round}"));
        assert_eq!(operator.terminate().unwrap().code(), Some(0));
        helm.run(&lab, "uninstall", None, &["--wait"]);
        assert!(lab.get(DEPLOYMENT).is_none() && lab.get(CRD).is_some());
    }
}
