//! Installations that were not applied server-side by an operator: taken over with all that their installer set, while what
//! people set stays theirs.

use crate::lab::{Lab, binary};
use crate::takeover::as_upstream_left_it;
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Instant;

const SYSTEM: &str = "/api/v1/namespaces/istio-system";
const VALIDATOR: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/istio-validator-istio-system";
const SERVICE: &str = "/api/v1/namespaces/istio-system/services/istiod";
const CONFIG: &str = "/api/v1/namespaces/istio-system/configmaps/istio";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istiod-clusterrole-istio-system";

/// What `manifest generate` makes of a profile.
fn generated(profile: &str) -> Vec<Value> {
    let out =
        Command::new(binary()).args(["manifest", "generate", "--set", &format!("profile={profile}")]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let documents = parse_documents(&String::from_utf8(out.stdout).unwrap(), Duplicates::Refuse).unwrap();
    let is_there = |v: &Value| v["metadata"]["name"] == "istiooperators.install.istio.io";
    documents.into_iter().map(|d| d.value).filter(|v| !v.is_null() && !is_there(v)).collect()
}

/// What an older release had, and nobody wants any more.
fn with_stale_fields(mut object: Value) -> Value {
    match object["kind"].as_str().unwrap() {
        "Deployment" => {
            let container = &mut object["spec"]["template"]["spec"]["containers"][0];
            container["env"].as_array_mut().unwrap().push(json!({"name": "STALE", "value": "1"}));
            container["stdin"] = true.into();
        }
        "ConfigMap" => object["data"]["stale"] = "1".into(),
        "Service" | "ClusterRole" => object["metadata"]["annotations"]["stale"] = "1".into(),
        _ => {}
    }
    object
}

/// Writes objects as an installer does: `kubectl apply`, Helm, the older `istioctl`, or `kubectl create`.
fn install(lab: &Lab, installer: &str, objects: Vec<Value>) {
    let objects = objects.into_iter().map(|mut object| {
        if installer == "helm" {
            object["metadata"]["annotations"]["meta.helm.sh/release-name"] = "istiod".into();
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm".into();
        }
        object
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects.collect::<Vec<_>>()}).to_string();
    if installer == "kubectl-client-side-apply" {
        return lab.apply(&list);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), list).unwrap();
    let manager = format!("--field-manager={installer}");
    lab.kubectl(&["create", &manager, "-f", &file.path().to_string_lossy()]);
}

/// Which installer wrote the kinds of an installation; the rest is `kubectl apply`'s.
const INSTALLERS: &[(&str, &str)] = &[
    ("Service", "helm"),
    ("ConfigMap", "istioctl"),
    ("ClusterRole", "kubectl-create"),
    ("ServiceAccount", "operator"),
];

fn env_of(lab: &Lab) -> Vec<String> {
    let istiod = lab.deployment("istiod").unwrap();
    let env = istiod["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
    env.iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
}

fn annotation(lab: &Lab, path: &str, name: &str) -> Value {
    lab.get(path).unwrap()["metadata"]["annotations"][name].clone()
}

/// Complaints: fields that nobody wants any more stayed for ever (istio#31028, #42068).
#[test]
fn what_kubectl_helm_and_istioctl_installed_is_taken_over_whole() {
    let lab = Lab::bare_without_operator();
    let objects: Vec<_> = generated("minimal").into_iter().map(with_stale_fields).collect();
    let installer = |object: &Value| {
        let named = INSTALLERS.iter().find(|(kind, _)| object["kind"] == *kind);
        named.map_or("kubectl-client-side-apply", |(_, installer)| *installer)
    };
    let (definitions, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|o| o["kind"] == "CustomResourceDefinition");
    install(&lab, "kubectl-create", definitions);
    lab.wait_established(&["crd/envoyfilters.networking.istio.io"]);
    for name in ["helm", "istioctl", "kubectl-create", "operator", "kubectl-client-side-apply"] {
        install(&lab, name, objects.iter().filter(|o| installer(o) == name).cloned().collect());
    }
    leave_over(&lab);
    set_by_people(&lab);
    serve(&lab);
    lab.kubectl(&["rollout", "status", "deployment", "istiod", "-n", "istio-system", "--timeout=60s"]);

    lab.start_operator();
    let planned = "kind: IstioOperator\nmetadata: {name: main, namespace: istio-system, annotations: \
                   {install.istio.io/dryRun: \"true\"}}\nspec: {profile: minimal}\n";
    lab.apply(&format!("apiVersion: install.istio.io/v1alpha1\n{planned}"));
    let status = lab.wait_for_status("ACTION_REQUIRED", &["dry run"]);
    check_plan(&status["plan"]);
    lab.annotate("main", "install.istio.io/dryRun-");
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    let env = env_of(&lab);
    let mut wrong = vec![];
    let mut check = |what: &str, holds: bool| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    check("an environment variable of kubectl apply's", !env.contains(&"STALE".into()));
    let istiod = lab.deployment("istiod").unwrap();
    check("a field of kubectl apply's", istiod["spec"]["template"]["spec"]["containers"][0]["stdin"].is_null());
    check("a person's environment variable", env.contains(&"MINE".into()));
    check("an annotation of Helm's", annotation(&lab, SERVICE, "stale").is_null());
    check("a person's annotation", annotation(&lab, SERVICE, "mine") == "1");
    let data = &lab.get(CONFIG).unwrap()["data"];
    check("data of istioctl's", data["stale"].is_null());
    check("a person's data", data["mine"] == "1");
    check("an annotation of kubectl create's", annotation(&lab, ROLE, "stale").is_null());
    let webhook = &lab.get(VALIDATOR).unwrap()["webhooks"][0];
    check("istiod's failurePolicy", webhook["failurePolicy"] == "Fail");
    check("istiod's caBundle", webhook["clientConfig"]["caBundle"] == "Y2E=");
    check("a left-over of the operator's", lab.get(&format!("{SYSTEM}/services/of-1-16")).is_none());
    let policies = lab.get(VALIDATOR).unwrap()["metadata"]["managedFields"].to_string();
    check("whose failurePolicy is", policies.contains("pilot-discovery"));
    assert!(wrong.is_empty(), "{wrong:#?}\n{env:?}\n{webhook:#}");
    lab.delete("main");
    let left: Vec<_> = lab.owned().into_keys().filter(|k| !k.starts_with("CustomResourceDefinition ")).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(lab.get(SERVICE), None);
}

/// What is planned is what changes: that a field gets another owner, or goes and has a default, is none.
fn check_plan(plan: &Value) {
    assert_eq!(plan["restart"], json!(["Deployment istio-system/istiod"]), "{plan:#}");
    let changes = plan["change"].as_array().unwrap();
    let fields = |object: &str| -> Vec<&str> {
        let change = changes.iter().find(|change| change["object"] == object).unwrap_or_else(|| panic!("{plan:#}"));
        change["fields"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
    };
    let spec: Vec<&str> =
        fields("Deployment istio-system/istiod").into_iter().filter(|path| path.starts_with(".spec")).collect();
    let container = ".spec.template.spec.containers[name:discovery]";
    assert_eq!(spec, [format!("{container}.env[name:STALE]"), format!("{container}.stdin")], "{plan:#}");
    let service = fields("Service istio-system/istiod");
    assert!(
        service.contains(&".metadata.annotations.stale") && !service.iter().any(|p| p.ends_with("mine")),
        "{service:?}"
    );
    assert!(service.iter().all(|path| path.starts_with(".metadata.")), "{service:?}");
}

/// To find what an earlier installer left, every object is read before it is written: once, and not again while its
/// controllers bring it up.
#[test]
#[ignore = "long: `make test-all`"]
fn a_fresh_installation_reads_each_object_once() {
    let lab = Lab::start();
    let (mark, begun) = (lab.mark(), Instant::now());
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    let took = begun.elapsed();
    let requests = lab.requests_since(mark);
    let absent: Vec<_> = requests.iter().filter(|r| r.starts_with("get ") && r.ends_with(": 404")).collect();
    let made = lab.owned().len();
    eprintln!(
        "HEALTHY after {took:?}, {} requests, {} of absent objects, {made} objects",
        requests.len(),
        absent.len()
    );
    // Each pass before istiod is there asks it, and one definition, for the release of what is installed.
    assert!(absent.len() <= made + 10, "{absent:#?}");
}

/// What an older release had besides, with the labels of the operator's own.
fn leave_over(lab: &Lab) {
    let left_over = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "of-1-16", "namespace": "istio-system", "labels": {
        "operator.istio.io/managed": "Reconcile", "operator.istio.io/version": "1.16.0", "operator.istio.io/component": "Pilot",
        "install.operator.istio.io/owning-resource": "main",
        "install.operator.istio.io/owning-resource-namespace": "istio-system"}}, "spec": {"ports": [{"port": 1}]}});
    install(lab, "operator", vec![left_over]);
}

fn set_by_people(lab: &Lab) {
    let by_hand = |args: &[&str]| lab.kubectl(&[args, &["-n", "istio-system"]].concat());
    by_hand(&["set", "env", "deployment/istiod", "MINE=1"]);
    by_hand(&["annotate", "service", "istiod", "mine=1"]);
    by_hand(&["patch", "configmap", "istio", "--field-manager=somebody", "-p", r#"{"data": {"mine": "1"}}"#]);
}

/// What istiod does to its webhook once it serves; and since nobody answers here, it is asked nothing.
fn serve(lab: &Lab) {
    let name = &lab.get(VALIDATOR).unwrap()["webhooks"][0]["name"];
    let served = json!({"webhooks": [{"name": name, "failurePolicy": "Fail", "clientConfig": {"caBundle": "Y2E="},
        "matchConditions": [{"name": "nothing", "expression": "false"}]}]});
    let args = ["patch", "validatingwebhookconfiguration", "istio-validator-istio-system"];
    lab.kubectl(&[&args[..], &["--field-manager=pilot-discovery", "-p", &served.to_string()]].concat());
}

/// An annotated copy of what is live, applied by a person.
fn apply_with_annotation(lab: &Lab, path: &str, name: &str) {
    let mut object = lab.get(path).unwrap();
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| ["name", "namespace", "labels"].contains(&field.as_str()));
    metadata.insert("annotations".into(), json!({name: "1"}));
    lab.apply(&object.to_string());
}

#[test]
#[ignore = "long: `make test-all`"]
fn what_people_apply_to_what_an_operator_installed_stays_theirs() {
    let lab = Lab::without_operator();
    as_upstream_left_it(&lab);
    let gateway = format!("{SYSTEM}/services/istio-ingressgateway");
    apply_with_annotation(&lab, &gateway, "mine");
    let managers = lab.get(&gateway).unwrap()["metadata"]["managedFields"].to_string();
    assert!(managers.contains("kubectl-client-side-apply"), "{managers}");
    for name in ["istiod", "istio-ingressgateway"] {
        lab.kubectl(&["rollout", "status", "deployment", name, "-n", "istio-system", "--timeout=60s"]);
    }
    lab.start_operator();
    lab.apply_spec("{profile: default}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    assert_eq!(annotation(&lab, &gateway, "mine"), "1", "lost when the operator came");

    // The operator forgets what it has, as when the resource comes out of a backup.
    apply_with_annotation(&lab, SERVICE, "more");
    lab.terminate_operator();
    let forgotten = r#"{"status": null}"#;
    lab.kubectl(&[
        "patch",
        "iop",
        "main",
        "-n",
        "istio-system",
        "--subresource=status",
        "--type=merge",
        "-p",
        forgotten,
    ]);
    lab.start_operator();
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    assert_eq!(annotation(&lab, SERVICE, "more"), "1", "lost with the inventory");
    assert_eq!(annotation(&lab, &gateway, "mine"), "1", "lost with the inventory");
}
