//! What commands tell of a cluster before anything is done: `manifest diff --cluster` and `upgrade plan`.

use crate::lab::{Lab, binary};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// Runs a command of the operator as its service account; words separated by spaces.
fn run(lab: &Lab, folder: &Path, command: &str) -> Output {
    run_as(lab.account(), folder, command)
}

fn run_as(kubeconfig: &Path, folder: &Path, command: &str) -> Output {
    Command::new(binary()).current_dir(folder).args(command.split(' ')).env("KUBECONFIG", kubeconfig).output().unwrap()
}

fn data(output: &Output, code: i32) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}{said}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with the resource `main` of this spec in `a.yaml`.
fn folder(spec: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: main, namespace: istio-system}}\n\
         spec: {spec}\n"
    );
    std::fs::write(folder.path().join("a.yaml"), text).unwrap();
    folder
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `change Kind name` of each object.
fn changes(found: &Value) -> Vec<String> {
    let text = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    let objects = found["objects"].as_array().unwrap().iter();
    objects.map(|o| ["change", "kind", "name"].map(|field| text(o, field)).join(" ")).collect()
}

fn object<'f>(found: &'f Value, kind: &str, name: &str) -> &'f Value {
    let mut objects = found["objects"].as_array().unwrap().iter();
    objects.find(|o| o["kind"] == kind && o["name"] == name).unwrap_or_else(|| panic!("no {kind} {name} in {found:#}"))
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_spec_is_compared_with_the_cluster_and_nothing_is_written() {
    let lab = Lab::installed("{profile: demo}");
    let installed = lab.owned_at_rest();
    let mark = lab.mark();
    let same = folder("{profile: demo}");
    let found = data(&run(&lab, same.path(), "manifest diff -f a.yaml --cluster -o json"), 0);
    assert_eq!((&found["equal"], changes(&found)), (&true.into(), vec![]), "{found:#}");
    let other = folder(
        "{profile: demo, tag: 1.17.9, components: {egressGateways: [{name: istio-egressgateway, enabled: false}],
        ingressGateways: [{name: istio-ingressgateway, enabled: true}, {name: second, enabled: true}]}}",
    );
    let found = data(&run(&lab, other.path(), "manifest diff -f a.yaml --cluster -o json"), 1);
    let changed = changes(&found);
    for expected in ["create Deployment second", "change Deployment istiod", "delete Deployment istio-egressgateway"] {
        assert!(changed.iter().any(|change| change == expected), "{expected} is not in {changed:#?}");
    }
    let istiod = object(&found, "Deployment", "istiod");
    let image = istiod["fields"].as_array().unwrap().iter();
    let image =
        image.into_iter().find(|f| f["path"] == ".spec.template.spec.containers[name:discovery].image").unwrap();
    let tags = ["before", "after"].map(|side| image[side].as_str().unwrap().rsplit(':').next().unwrap().to_owned());
    assert_eq!(tags, ["1.17.8", "1.17.9"]);
    assert_eq!(
        istiod["fields"].as_array().unwrap().len(),
        1,
        "the API server's defaults are not a difference: {istiod:#}"
    );
    let none = run(&lab, other.path(), "manifest diff -f a.yaml --cluster --select Deployment:*:istoid");
    let told = String::from_utf8(none.stderr).unwrap();
    assert_eq!((none.status.code(), none.stdout.len()), (Some(1), 0), "{told}");
    assert!(told.contains("fits no object; there are Deployment istio-system/istiod"), "{told}");
    let only = run(&lab, other.path(), "manifest diff -f a.yaml --cluster --select Deployment:*:istiod");
    let text = String::from_utf8(only.stdout).unwrap();
    assert!(text.contains("+        image: docker.io/istio/pilot:1.17.9"), "{text}");
    assert_eq!(lab.writes_since(mark), Vec::<String>::new());
    assert_eq!(lab.owned_at_rest(), installed);
}

#[test]
fn a_first_installation_is_told_before_there_is_anything() {
    let lab = Lab::start();
    let mark = lab.mark();
    let spec = folder("{profile: minimal, values: {global: {istioNamespace: mesh}}, namespace: mesh}");
    let found = data(&run(&lab, spec.path(), "manifest diff -f a.yaml --cluster -o json"), 1);
    let changed = changes(&found);
    for expected in ["create Namespace mesh", "create Deployment istiod", "create EnvoyFilter stats-filter-1.17"] {
        assert!(changed.iter().any(|change| change == expected), "{expected} is not in {changed:#?}");
    }
    // The definition of the operator's own resources is there.
    let others: Vec<_> = changed.iter().filter(|change| !change.starts_with("create ")).collect();
    assert_eq!(others, ["change CustomResourceDefinition istiooperators.install.istio.io"]);
    assert!(found["unknown"].is_null(), "{found:#}");
    assert_eq!(lab.writes_since(mark), Vec::<String>::new());
}

#[test]
fn a_control_plane_that_is_used_stays_and_that_is_told() {
    let lab = Lab::installed("{profile: minimal}");
    let spec = folder("{profile: minimal, revision: canary}");
    let command = "manifest diff -f a.yaml --cluster -o json";
    let unused = data(&run(&lab, spec.path(), command), 1);
    assert!(changes(&unused).iter().any(|change| change == "delete Deployment istiod"), "{:#?}", changes(&unused));
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.run_with_sidecar("shop", "cart", "default");
    let used = data(&run(&lab, spec.path(), command), 1);
    let changed = changes(&used);
    assert!(changed.iter().any(|change| change == "create Deployment istiod-canary"), "{changed:#?}");
    assert!(!changed.iter().any(|change| change == "delete Deployment istiod"), "{changed:#?}");
    let notes = used["notes"].as_array().unwrap();
    let stays = notes.iter().find(|note| note["object"] == "Deployment istio-system/istiod").unwrap();
    assert!(stays["message"].as_str().unwrap().contains("in use, by Pod shop/cart"), "{stays:#}");
}

#[test]
fn what_belongs_to_another_resource_or_is_left_alone_is_told() {
    let lab = Lab::installed("{profile: minimal}");
    let annotate = ["annotate", "service", "istiod", "-n", "istio-system", "install.istio.io/ignore=true"];
    lab.kubectl(&annotate);
    let spec = folder("{profile: minimal, components: {pilot: {k8s: {serviceAnnotations: {a: b}}}}}");
    let found = data(&run(&lab, spec.path(), "manifest diff -f a.yaml --cluster -o json"), 0);
    let notes = found["notes"].to_string();
    assert!(notes.contains("Service istio-system/istiod") && notes.contains("install.istio.io/ignore"), "{found:#}");
    let text = std::fs::read_to_string(spec.path().join("a.yaml")).unwrap();
    let text = text.replace("name: main", "name: second");
    std::fs::write(spec.path().join("a.yaml"), &text).unwrap();
    let found = data(&run(&lab, spec.path(), "manifest diff -f a.yaml --cluster -o json"), 0);
    assert!(found["notes"].to_string().contains("belongs to IstioOperator istio-system/main"), "{found:#}");
    std::fs::write(spec.path().join("a.yaml"), text.replace("{k8s: {", "{k8s: {priorityClassName: other, ")).unwrap();
    let found = data(&run(&lab, spec.path(), "manifest diff -f a.yaml --cluster -o json"), 1);
    let conflicts = found["conflicts"].as_array().unwrap();
    assert!(conflicts.len() == 1 && conflicts[0].to_string().contains("priorityClassName"), "{found:#}");
}

#[test]
fn what_may_not_be_tried_is_unknown_and_not_equal() {
    let lab = Lab::installed("{profile: minimal}");
    let spec = folder("{profile: minimal, tag: 1.17.9}");
    lab.kubectl(&["create", "serviceaccount", "viewer", "-n", "default"]);
    lab.kubectl(&["create", "clusterrole", "test-viewer", "--verb=get,list", "--resource=*.*"]);
    lab.kubectl(&[
        "create",
        "clusterrolebinding",
        "test-viewer",
        "--clusterrole=test-viewer",
        "--serviceaccount=default:viewer",
    ]);
    let token = lab.kubectl(&["create", "token", "viewer", "-n", "default"]);
    let text = lab.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let kubeconfig = spec.path().join("viewer.kubeconfig");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let output = run_as(&kubeconfig, spec.path(), "manifest diff -f a.yaml --cluster -o json");
    let found = data(&output, 1);
    let unknown = found["unknown"].as_array().unwrap();
    let istiod = unknown.iter().find(|note| note["object"] == "Deployment istio-system/istiod").unwrap();
    let message = istiod["message"].as_str().unwrap();
    assert!(message.ends_with(":default:viewer lacks permissions: patch deployments.apps"), "{istiod:#}");
    lab.kubectl(&["delete", "clusterrole,clusterrolebinding", "test-viewer"]);
    let refused = run_as(&kubeconfig, spec.path(), "manifest diff -f a.yaml --cluster");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("forbidden"));
}

#[test]
fn an_upgrade_of_a_resource_is_planned_with_the_proxies_of_the_cluster() {
    let lab = Lab::installed("{profile: demo}");
    let installed = lab.owned_at_rest();
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.run_with_sidecar("shop", "cart", "default");
    proxy(&lab, "old", "docker.io/istio/proxyv2:1.16.2", "default");
    proxy(&lab, "now", "docker.io/istio/proxyv2:1.17.8", "default");
    proxy(&lab, "other", "docker.io/istio/proxyv2:1.15.0", "canary");
    // The operator says so in the status, which is a write of its own.
    lab.wait_for_use("main", true, "UsedByPods");
    let spec = folder("{}");
    assert!(run(&lab, spec.path(), "package next").status.success());
    let profile = spec.path().join("next/profiles/default.yaml");
    std::fs::write(&profile, std::fs::read_to_string(&profile).unwrap().replace("1.17.8", "1.18.2")).unwrap();
    let mark = lab.mark();
    let plan = data(&run(&lab, spec.path(), "upgrade plan main -n istio-system --to next -o json"), 0);
    assert_eq!((&plan["from"], &plan["to"]), (&"1.17.8".into(), &"1.18.2".into()), "{plan:#}");
    assert!(plan["fromSource"].as_str().unwrap().contains("Deployment istio-system/istiod"), "{plan:#}");
    assert!(texts(&plan["restarts"]).contains(&"Deployment istio-system/istiod"), "{plan:#}");
    let [shop] = &plan["proxies"]["namespaces"].as_array().unwrap()[..] else { panic!("{plan:#}") };
    let versions = json!({"1.16.2": 1, "1.17.8": 1, "unknown": 1});
    assert_eq!((&shop["namespace"], &shop["versions"]), (&"shop".into(), &versions));
    assert_eq!((&shop["mustRestart"], &shop["unknown"]), (&1.into(), &1.into()));
    let text = run(&lab, spec.path(), "upgrade plan -f a.yaml --cluster --to next");
    assert!(
        String::from_utf8_lossy(&text.stdout).contains("shop: 1 of 1.16.2, 1 of 1.17.8, 1 of unknown; 1 to restart")
    );
    let missing = run(&lab, spec.path(), "upgrade plan none -n istio-system --to next");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no IstioOperator istio-system/none"));
    assert_eq!(lab.writes_since(mark), Vec::<String>::new());
    assert_eq!(lab.owned_at_rest(), installed);
}

#[test]
fn istios_own_operator_is_told_while_it_is_deployed() {
    let lab = Lab::start();
    let spec = folder("{profile: minimal}");
    let hazard = || {
        let plan = data(&run(&lab, spec.path(), "upgrade plan -f a.yaml --cluster --to 1.17.8 -o json"), 0);
        let hazards = plan["hazards"].as_array().unwrap().clone();
        hazards.into_iter().find(|hazard| hazard["name"] == "OtherOperator").map(|hazard| hazard["at"].clone())
    };
    assert_eq!(hazard(), None, "the cluster was asked, and has none");
    lab.kubectl(&["create", "namespace", "old"]);
    let image = "--image=docker.io/istio/operator:1.17.8";
    lab.kubectl(&["create", "deployment", "istio-operator", "-n", "old", image]);
    assert_eq!(hazard(), Some(json!(["Deployment old/istio-operator"])));
    lab.kubectl(&["scale", "deployment", "istio-operator", "-n", "old", "--replicas=0"]);
    assert_eq!(hazard(), None);
}

#[test]
fn a_revision_that_is_not_there_is_told_with_those_that_are() {
    let lab = Lab::installed("{profile: minimal}");
    let folder = folder("{}");
    let found = run(&lab, folder.path(), "version -r default");
    assert_eq!(found.status.code(), Some(0), "{}", String::from_utf8_lossy(&found.stderr));
    for flags in ["", " -o json", " --short"] {
        let missing = run(&lab, folder.path(), &format!("version -r nope{flags}"));
        let told = String::from_utf8(missing.stderr).unwrap();
        assert_eq!(missing.status.code(), Some(1), "{told}");
        assert_eq!(told, "Error: there is no control plane of revision \"nope\"; revisions here: default\n");
    }
}

/// A pod with a proxy of a release and a revision in the namespace `shop`.
fn proxy(lab: &Lab, name: &str, image: &str, revision: &str) {
    let status = json!({"revision": revision}).to_string();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop",
            "labels": {"service.istio.io/canonical-name": name, "sidecar.istio.io/inject": "false"},
            "annotations": {"sidecar.istio.io/status": status}},
        "spec": {"containers": [{"name": "istio-proxy", "image": image}]},
    });
    lab.request("POST", "/api/v1/namespaces/shop/pods", &pod).unwrap();
}
