//! `kube-inject` with the ConfigMaps of a cluster, and whether the API server takes what comes out.

use crate::controlplane::{ControlPlane, Options};
use crate::lab::{binary, file};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const SPEC: &str = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: main}\n\
                    spec: {profile: minimal, revision: canary}\n";

fn run(args: &[&str], kubeconfig: &std::ffi::OsStr) -> (String, String) {
    let output = Command::new(binary()).args(args).env("KUBECONFIG", kubeconfig).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_cluster_gives_the_same_as_its_spec_and_takes_the_result() {
    let plane = ControlPlane::start_with(&Options { without_kwok: true, ..Options::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let spec = write("spec.yaml", SPEC);
    let inject = |kubeconfig: &std::ffi::OsStr, objects: &Path, args: &[&str]| {
        run(&[&["kube-inject", "-f", &objects.to_string_lossy()], args].concat(), kubeconfig)
    };
    let (manifests, _) = run(&["manifest", "generate", "-f", &spec], "none".as_ref());
    let maps = parse_documents(&manifests, Duplicates::Refuse).unwrap().into_iter().map(|d| d.value);
    // What is asked for: the configuration, and the Deployment for its environment.
    let asked_for = |o: &Value| o["kind"] == "ConfigMap" || o["kind"] == "Deployment";
    let maps: Vec<String> = maps.filter(asked_for).map(|o| o.to_string()).collect();
    plane.kubectl(&["create", "namespace", "istio-system"]).unwrap();

    let golden = file("tests/inject/golden");
    let (none, error) = inject(plane.kubeconfig(), &golden.join("sidecar.yaml"), &["-r", "canary"]);
    assert!(
        none.is_empty() && error.contains("there is no ConfigMap istio-system/istio-sidecar-injector-canary"),
        "{error}"
    );
    plane.kubectl(&["apply", "--server-side", "-f", &write("maps.yaml", &maps.join("\n---\n"))]).unwrap();

    for name in ["market", "edge"] {
        plane.kubectl(&["create", "namespace", name]).unwrap();
    }
    for name in ["sidecar", "gateway", "grpc"] {
        let objects = golden.join(format!("{name}.yaml"));
        let (asked, error) = inject(plane.kubeconfig(), &objects, &["-r", "canary"]);
        assert_eq!(error, "", "{name}");
        let (offline, _) = inject("none".as_ref(), &objects, &["--operatorFileName", &spec]);
        assert_eq!(asked, offline, "{name}");
        // Strictly: no field is unknown, none is of another type.
        let result = write("injected.yaml", &asked);
        plane.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", &result]).unwrap();
    }

    // A tag is as good as its revision, and the tag `default` is what nobody names.
    let objects = golden.join("sidecar.yaml");
    let (none, error) = inject(plane.kubeconfig(), &objects, &["-r", "prod"]);
    assert!(
        none.is_empty() && error.contains("there is no ConfigMap istio-system/istio-sidecar-injector-prod"),
        "{error}"
    );
    for tag in ["prod", "default"] {
        let labels = json!({"istio.io/rev": "canary", "istio.io/tag": tag});
        let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": format!("istio-revision-tag-{tag}"), "labels": labels}});
        plane.kubectl(&["apply", "-f", &write("tag.yaml", &hook.to_string())]).unwrap();
    }
    let (of_revision, _) = inject(plane.kubeconfig(), &objects, &["-r", "canary"]);
    for args in [&["-r", "prod"][..], &[]] {
        assert_eq!(inject(plane.kubeconfig(), &objects, args), (of_revision.clone(), String::new()), "{args:?}");
    }
}
