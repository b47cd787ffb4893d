//! The definitions: what the API server accepts, refuses and keeps.

use crate::lab::{Lab, binary, file};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const OPERATORS: &str = "/apis/install.istio.io/v1alpha1/namespaces/istio-system/istiooperators";

const PROFILES: [&str; 9] =
    ["ambient", "default", "demo", "empty", "external", "minimal", "openshift", "preview", "remote"];

#[test]
fn the_definition_of_istio_operator_keeps_whatever_upstreams_did() {
    let lab = Lab::without_operator();
    for (name, spec) in [
        (
            "unknown-fields",
            json!({
                "unknown": {"deep": [{"er": null}]},
                "components": {
                    "pilot": {"unknown": 1, "k8s": {"unknown": [], "resources": {"unknown": {"a": 1}},
                        "affinity": {"nodeAffinity": {"unknown": {"b": [null]}}}, "strategy": {"rollingUpdate": {"unknown": 1}}}},
                    "ingressGateways": [{"name": "a", "unknown": "x", "k8s": {"service": {"unknown": 1, "ports": [{"unknown": 1}]}}}],
                    "unknown": {"enabled": true},
                },
                "meshConfig": {"unknown": {"a": {"b": 1}}}, "values": {"unknown": {"a": [1, "2", null]}},
                "unvalidatedValues": {"a": {"b": null}}, "addonComponents": {"x": {"enabled": false, "unknown": 1}},
            }),
        ),
        (
            "nulls",
            json!({
                "profile": null, "hub": null, "tag": null, "meshConfig": null, "values": null,
                "components": {"base": null, "pilot": {"enabled": null, "k8s": null}, "cni": {"k8s": {"env": null, "hpaSpec": null,
                    "overlays": null, "resources": {"limits": null}}}, "ingressGateways": null,
                    "egressGateways": [{"name": "a", "label": null, "k8s": {"service": {"ports": null}}}]},
            }),
        ),
        (
            "forms",
            json!({
                "tag": 1.17, "components": {
                    "pilot": {"tag": 17, "k8s": {"replicaCount": "2", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
                        "hpaSpec": {"minReplicas": "1", "maxReplicas": 5}, "strategy": {"rollingUpdate": {"maxSurge": "100%",
                        "maxUnavailable": 1}}}},
                    "egressGateways": [{"name": "a", "k8s": {"service": {"ports": [{"port": "80", "targetPort": "http"},
                        {"port": 81, "targetPort": 8081}]}}}],
                },
            }),
        ),
        (
            "overlays",
            json!({"components": {"pilot": {"k8s": {"overlays": [{"apiVersion": "apps/v1", "kind": "Deployment",
            "name": "istiod", "patches": [{"path": "a.b", "value": {"x": 1}}, {"path": "c", "value": null},
            {"path": "d", "value": 1}, {"path": "e"}]}]}}}}),
        ),
    ] {
        let resource = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator",
            "metadata": {"name": name, "namespace": "istio-system"}, "spec": spec});
        let answer = lab.request("POST", OPERATORS, &resource).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(answer["spec"], spec, "{name}: not kept as sent");
        assert_eq!(lab.iop(name).unwrap()["spec"], spec, "{name}: not stored as sent");
    }
    // Every profile is such a resource, but for a name.
    for profile in PROFILES {
        let dump = Command::new(binary()).args(["profile", "dump", profile]).output().unwrap();
        let mut resource = value(&String::from_utf8(dump.stdout).unwrap());
        resource["metadata"]["name"] = profile.into();
        lab.apply_with(&["--dry-run=server", "--validate=strict"], &resource.to_string());
    }
}

#[test]
fn the_definitions_of_istio_accept_what_is_right_and_refuse_what_is_wrong() {
    let lab = Lab::without_operator();
    let definitions = file("charts/base/crds");
    lab.kubectl(&["apply", "--server-side", "-f", &definitions.to_string_lossy()]);
    lab.wait_established(&["-f", &definitions.to_string_lossy()]);
    let mut accepted = 0;
    let mut folders = vec![file("tests/crds/good")];
    let tutorial = file("../shared/seed-yaml");
    if tutorial.exists() {
        folders.push(tutorial);
    } else {
        eprintln!("the manifests of a tutorial are not beside the repository: only those of tests/crds/good are taken");
    }
    for (place, document) in folders.iter().flat_map(|f| documents(f)) {
        let answer = create(&lab, &value(&document));
        assert!(answer.is_ok(), "{place}: refused: {}\n{document}", answer.unwrap_err());
        accepted += 1;
    }
    assert!(accepted >= 14, "only {accepted} documents");
    for (place, document) in documents(&file("tests/crds/bad")) {
        let named = document
            .lines()
            .find_map(|l| l.strip_prefix("# refused: "))
            .unwrap_or_else(|| panic!("{place}: no reason"));
        match create(&lab, &value(&document)) {
            Ok(_) => panic!("{place}: accepted\n{document}"),
            Err(why) => assert!(why.contains(named), "{place}: refused with other words: {why}\n{document}"),
        }
    }
}

/// The documents of all files of a folder, with where they are.
fn documents(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let mut found = vec![];
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "yaml")) {
        let text = std::fs::read_to_string(path).unwrap();
        let parts = text.split("\n---\n").enumerate().filter(|(_, part)| part.contains("kind:"));
        found.extend(parts.map(|(n, part)| (format!("{} document {}", path.display(), n + 1), part.to_owned())));
    }
    assert!(!found.is_empty(), "{} is empty", folder.display());
    found
}

fn value(document: &str) -> Value {
    parse_documents(document, Duplicates::Refuse).unwrap().into_iter().map(|d| d.value).find(|v| !v.is_null()).unwrap()
}

/// Asks the API server to create an object, strictly and without storing it.
fn create(lab: &Lab, object: &Value) -> Result<Value, String> {
    let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap().to_lowercase());
    let plural = match kind.strip_suffix('y') {
        // A gateway is not an entry.
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{kind}s"),
    };
    let group = if version.contains('/') { "apis" } else { "api" };
    let path = format!("/{group}/{version}/namespaces/default/{plural}?dryRun=All&fieldValidation=Strict");
    lab.request("POST", &path, object).map_err(|e| match e {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    })
}
