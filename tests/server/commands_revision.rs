//! `tag`, `experimental revision` and `experimental precheck`, as a person uses them on a cluster.

use crate::lab::{Lab, binary, file};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs a command as the administrator; words separated by spaces.
pub fn run(lab: &Lab, command: &str) -> Output {
    run_as(lab.plane().kubeconfig(), command)
}

/// Runs a command with a kubeconfig.
pub fn run_as(kubeconfig: &OsStr, command: &str) -> Output {
    Command::new(binary()).args(command.split(' ')).env("KUBECONFIG", kubeconfig).output().unwrap()
}

/// What a command says, which ends with this code: stdout, and stderr.
pub fn said(output: &Output, code: i32) -> (String, String) {
    let texts = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(output.status.code(), Some(code), "{}{}", texts[0], texts[1]);
    let [stdout, stderr] = texts;
    (stdout, stderr)
}

/// A kubeconfig of an account that may do nothing.
pub fn nobody(lab: &Lab, folder: &std::path::Path) -> PathBuf {
    lab.kubectl(&["create", "serviceaccount", "nobody", "-n", "default"]);
    let token = lab.kubectl(&["create", "token", "nobody", "-n", "default"]);
    let text = lab.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let file = folder.join("nobody.kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    // The API server may still know the account of that name that an earlier test had.
    let path = file.to_string_lossy();
    lab.wait("the account to be known", || {
        lab.plane().kubectl(&["--kubeconfig", &path, "get", "--raw", "/version"]).map_err(|error| format!("{error:#}"))
    });
    file
}

const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

fn hook(lab: &Lab, name: &str) -> Option<Value> {
    lab.get(&format!("{HOOKS}/{name}"))
}

/// Complaint: tags made by hand and by the operator fought over each other.
#[test]
fn a_tag_is_set_moved_listed_and_removed() {
    let lab = Lab::start();
    lab.apply_named("stable", "{profile: minimal, revision: stable, values: {revisionTags: [prod]}}");
    // The first control plane is given the tag default.
    lab.wait_for_status_of("stable", "HEALTHY", &[]);
    lab.apply_named("canary", "{profile: minimal, revision: canary}");
    lab.wait_for_status_of("canary", "HEALTHY", &[]);
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio.io/rev=test"]);

    // What cannot be is said, and nothing is written.
    for (command, told) in [
        ("tag set test --revision third", "revisions here: canary, stable"),
        ("tag set canary --revision stable", "found existing control plane revision with same name"),
        ("tag set prod --revision canary --overwrite", "IstioOperator istio-system/stable"),
        ("tag remove prod -y", "lists it in values.revisionTags"),
        ("tag set default --revision canary --overwrite", "IstioOperator istio-system/stable, which has its webhook"),
        ("tag remove test -y", "cannot remove tag \"test\""),
        (
            "tag set test -r canary -i nowhere",
            "not served in namespace nowhere, which --istioNamespace names, but in: istio-system",
        ),
    ] {
        let (_, stderr) = said(&run(&lab, command), 1);
        assert!(stderr.contains(told), "{command}: {stderr}");
    }
    assert_eq!(hook(&lab, "istio-revision-tag-test"), None);

    // Nor is written over what is somebody else's.
    let foreign = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "theirs"}});
    lab.request("POST", HOOKS, &foreign).unwrap();
    let before = hook(&lab, "theirs");
    let (_, stderr) = said(&run(&lab, "tag set test --revision stable --webhook-name theirs"), 1);
    assert!(stderr.contains("theirs is there already, and not of tag \"test\""), "{stderr}");
    assert_eq!(hook(&lab, "theirs"), before);

    let (printed, _) = said(&run(&lab, "tag generate test --revision stable"), 0);
    assert!(printed.contains("name: istio-revision-tag-test\n"), "{printed}");
    assert_eq!(hook(&lab, "istio-revision-tag-test"), None);

    let (stdout, _) = said(&run(&lab, "tag set test --revision stable"), 0);
    assert_eq!(
        stdout,
        "Revision tag \"test\" created, referencing control plane revision \"stable\". To enable injection using this\n\
         revision tag, use 'kubectl label namespace <NAMESPACE> istio.io/rev=test'\n"
    );
    let made = hook(&lab, "istio-revision-tag-test").unwrap();
    let client = &made["webhooks"][0]["clientConfig"];
    assert_eq!(client["service"]["name"], "istiod-stable", "{made:#}");
    let (_, stderr) = said(&run(&lab, "tag set test --revision canary"), 1);
    assert!(stderr.contains("already exists, and --overwrite is false; it stands for revision \"stable\""), "{stderr}");
    let (stdout, _) = said(&run(&lab, "tag set test --revision canary --overwrite"), 0);
    assert!(
        stdout.starts_with("Revision tag \"test\" moved, referencing control plane revision \"canary\"."),
        "{stdout}"
    );
    a_tag_leaves_nothing_behind_when_it_is_set_anew(&lab);

    let (stdout, _) = said(&run(&lab, "tag list"), 0);
    assert_eq!(
        stdout,
        "TAG       REVISION   NAMESPACES\ndefault   stable     -\nprod      stable     -\ntest      canary     shop\n"
    );
    let (stdout, _) = said(&run(&lab, "tag list -o json"), 0);
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(listed[2], json!({"tag": "test", "revision": "canary", "namespaces": ["shop"]}));

    let (stdout, _) = said(&run(&lab, "x revision list"), 0);
    let lines: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let canary = ["canary", "test", "istio-system/canary", "minimal", "1.17.8", "1/1", "-", "1", "0"];
    let stable = ["stable", "default,prod", "istio-system/stable", "minimal", "1.17.8", "1/1", "-", "0", "0"];
    assert_eq!(lines[1..], [canary, stable], "{stdout}");
    let (stdout, _) = said(&run(&lab, "experimental revision describe test"), 0);
    assert!(stdout.starts_with("Revision:        canary\nTags:            test\n"), "{stdout}");
    assert!(stdout.contains("1: shop\n"), "{stdout}");
    let (_, stderr) = said(&run(&lab, "x revision describe third"), 1);
    assert!(stderr.contains("there is no revision or tag \"third\"; revisions here: canary, stable"), "{stderr}");

    // Without an answer the tag stays.
    let (stdout, stderr) = said(&run(&lab, "tag remove test"), 1);
    assert!(stderr.contains("found 1 namespace(s) still injected by tag \"test\""), "{stderr}");
    assert!(stderr.contains("and 0 pod(s) that name it: Namespace shop\n"), "{stderr}");
    assert_eq!(stdout, "Aborting operation.\n");
    let (stdout, _) = said(&run(&lab, "tag remove test -y"), 0);
    assert_eq!(stdout, "Revision tag test removed\n");
    assert_eq!(hook(&lab, "istio-revision-tag-test"), None);
    assert!(hook(&lab, "istio-revision-tag-prod").is_some());

    let folder = tempfile::tempdir().unwrap();
    let nobody = nobody(&lab, folder.path());
    for command in ["tag list", "tag set a --revision stable", "tag remove prod -y", "x revision list"] {
        let (_, stderr) = said(&run_as(nobody.as_os_str(), command), 1);
        assert!(stderr.contains("\" cannot list resource \"") && stderr.lines().count() == 1, "{stderr}");
        assert_eq!(stderr.matches("forbidden").count(), 1, "{stderr}");
    }
}

/// Neither a webhook of another name, nor a Service.
fn a_tag_leaves_nothing_behind_when_it_is_set_anew(lab: &Lab) {
    said(&run(lab, "tag set test --revision canary --webhook-name other --overwrite"), 0);
    assert!(hook(lab, "other").is_some() && hook(lab, "istio-revision-tag-test").is_none());
    let services = "/api/v1/namespaces/istio-system/services";
    let service = |name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
            "spec": {"ports": [{"port": 443}]}})
    };
    let tag = json!({"istio.io/tag": "test", "istio.io/rev": "canary"});
    lab.request("POST", services, &service("istiod-revision-tag-test", tag)).unwrap();
    lab.request("POST", services, &service("theirs", json!({"istio.io/tag": "another"}))).unwrap();
    // As somebody else leaves a second one.
    let mut second = hook(lab, "other").unwrap();
    second["metadata"] = json!({"name": "second", "labels": second["metadata"]["labels"]});
    lab.request("POST", HOOKS, &second).unwrap();
    let (_, stderr) = said(&run(lab, "tag list"), 0);
    let twice = "Warning: 2 webhooks match the pods of tag \"test\", which may be injected twice: other (revision canary), \
                 second (revision canary); ";
    assert!(stderr.starts_with(twice), "{stderr}");
    let (stdout, stderr) = said(&run(lab, "tag set test --revision canary --overwrite"), 0);
    assert!(stdout.starts_with("Revision tag \"test\" updated, ") && stderr.is_empty(), "{stdout}{stderr}");
    assert!(hook(lab, "istio-revision-tag-test").is_some());
    assert_eq!((hook(lab, "other"), hook(lab, "second")), (None, None));
    assert_eq!(lab.get(&format!("{services}/istiod-revision-tag-test")), None);
    assert!(lab.get(&format!("{services}/theirs")).is_some());
    // Charts of another release are warned of.
    let package = file("tests/packages/1.30.99");
    let (_, stderr) = said(&run(lab, &format!("tag generate more -r canary -d {}", package.display())), 0);
    assert!(
        stderr.contains("revision \"canary\" is of release 1.17.8, and the tag is made by the charts of 1.30.99"),
        "{stderr}"
    );
}

#[test]
fn the_tag_default_takes_the_place_of_the_unnamed_revision() {
    let lab = Lab::without_operator();
    for revision in ["", "canary"] {
        for hook in generated_hooks(&lab, &format!("{{profile: minimal, revision: \"{revision}\"}}")) {
            lab.request("POST", HOOKS, &hook).unwrap();
        }
    }
    said(&run(&lab, "tag set default --revision canary"), 0);
    let unnamed = hook(&lab, "istio-sidecar-injector").unwrap();
    let never = json!({"matchLabels": {"istio.io/deactivated": "never-match"}});
    let hooks = unnamed["webhooks"].as_array().unwrap();
    assert!(hooks.iter().all(|hook| hook["namespaceSelector"] == never && hook["objectSelector"] == never));
    assert_eq!(hook(&lab, "istio-revision-tag-default").unwrap()["webhooks"].as_array().unwrap().len(), 4);
    let validators = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    let validator = lab.get(&format!("{validators}/istiod-default-validator")).unwrap();
    assert_eq!(validator["webhooks"][0]["clientConfig"]["service"]["name"], "istiod-canary");
    // A second time nothing is in the way, and nothing changes.
    let version = |hook: Value| hook["metadata"]["resourceVersion"].clone();
    let before = version(unnamed);
    said(&run(&lab, "tag set default --revision canary --overwrite"), 0);
    assert_eq!(version(hook(&lab, "istio-sidecar-injector").unwrap()), before);
    let (_, stderr) = said(&run(&lab, "tag remove default"), 0);
    assert!(stderr.contains("the webhook of the unnamed revision still selects nothing"), "{stderr}");
}

#[test]
fn what_is_in_the_way_of_an_installation_is_told_before_it() {
    let lab = Lab::bare();
    let (stdout, _) = said(&run(&lab, "x precheck"), 0);
    for well in ["✔ Kubernetes: ", "✔ Permissions: ", "✔ CRDs: ", "✔ Webhooks: ", "Note: Gateway API: "] {
        assert!(stdout.contains(well), "{well} is not in\n{stdout}");
    }
    assert!(stdout.contains("\n✔ No issues found when checking the cluster."), "{stdout}");
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]);
    let nowhere = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "istio-sidecar-injector-old"},
        "webhooks": [{"name": "namespace.sidecar-injector.istio.io", "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "failurePolicy": "Fail", "rules": rules,
            "clientConfig": {"service": {"namespace": "gone", "name": "istiod"}},
            "namespaceSelector": {"matchLabels": {"istio.io/rev": "old"}}}],
    });
    lab.request("POST", HOOKS, &nowhere).unwrap();
    let old = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gateways.networking.istio.io"},
        "spec": {"group": "networking.istio.io", "scope": "Namespaced",
            "names": {"kind": "Gateway", "listKind": "GatewayList", "plural": "gateways", "singular": "gateway"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    });
    lab.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &old).unwrap();
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io";
    lab.wait("the version to be stored", || match lab.get(definition) {
        Some(live) if live["status"]["storedVersions"] == json!(["v1alpha1"]) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let (stdout, _) = said(&run(&lab, "experimental precheck -o json"), 1);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["errors"], &report["warnings"], &report["unknown"]), (&json!(2), &json!(0), &json!(0)));
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(check["well"].is_string(), check["findings"] == json!([]), "{check:#}");
    }
    let (stdout, _) = said(&run(&lab, "x precheck"), 1);
    for wrong in [
        "✘ Error: CRDs: CustomResourceDefinition gateways.networking.istio.io: objects may be stored in version v1alpha1",
        "✘ Error: Webhooks: MutatingWebhookConfiguration istio-sidecar-injector-old: leads to Service gone/istiod, which is \
         not there: what it is asked about is refused",
    ] {
        assert!(stdout.contains(wrong), "{wrong} is not in\n{stdout}");
    }
    // Who may not look does not know.
    let folder = tempfile::tempdir().unwrap();
    let nobody = nobody(&lab, folder.path());
    let (stdout, _) = said(&run_as(nobody.as_os_str(), "x precheck"), 1);
    for told in [
        "--clusterrole=istio-operator-release-1.17 --serviceaccount=default:nobody",
        "✘ Error: Permissions: may not create, delete, get, list, patch, update, watch configmaps",
        "? Unknown: CRDs: it is not known whether all CRDs fit",
        "? Unknown: Webhooks: ",
        "? Unknown: Control plane: ",
    ] {
        assert!(stdout.contains(told), "{told} is not in\n{stdout}");
    }
}

/// The injection webhooks of a spec.
fn generated_hooks(lab: &Lab, spec: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let metadata = "{name: a, namespace: istio-system}";
    let text =
        format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {metadata}\nspec: {spec}\n");
    std::fs::write(&file, text).unwrap();
    let (manifest, _) = said(&run(lab, &format!("manifest generate -f {}", file.display())), 0);
    let documents = parse_documents(&manifest, Duplicates::Refuse).unwrap();
    let values = documents.into_iter().map(|document| document.value);
    values.filter(|value| value["kind"] == "MutatingWebhookConfiguration").collect()
}
