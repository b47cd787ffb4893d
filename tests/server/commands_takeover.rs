//! What `install` and `upgrade` take over from others, and where they put it.

use crate::commands_revision::nobody;
use crate::commands_run::{Said, command, command_as, run, run_typing};
use crate::lab::Lab;
use crate::real_releases::packages;
use crate::small::{PACKAGES, VERSION};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const MINIMAL: &str = "install --set profile=minimal -y";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/istio-system/leases/istio-install-default";

fn deployment(lab: &Lab, namespace: &str, name: &str) -> Option<Value> {
    lab.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"))
}

fn revision_of(object: &Value) -> &str {
    object["metadata"]["labels"]["istio.io/rev"].as_str().unwrap()
}

#[test]
fn a_control_plane_goes_to_the_namespace_that_is_named_or_nowhere() {
    let lab = Lab::bare_without_operator();
    let mark = lab.mark();
    for (words, parts) in [
        ("--set namespace=mesh", ["spec.namespace (--set namespace=mesh)", "\"istio-system\""]),
        ("--set namespace=mesh -i other", ["(--set namespace=mesh)", "(--istioNamespace other) \"other\""]),
        (
            "--set values.global.istioNamespace=mesh -i other",
            ["--istioNamespace says namespace \"other\"", "(--set values.global.istioNamespace=mesh) \"mesh\""],
        ),
    ] {
        run(&lab, &format!("{MINIMAL} {words}")).ended(1).warned(&parts);
    }
    assert_eq!(lab.writes_since(mark), Vec::<String>::new());
    run(&lab, &format!("{MINIMAL} -i mesh")).ended(0);
    assert!(deployment(&lab, "mesh", "istiod").is_some());
    let namespaced = "serviceaccount,configmap,service,role,rolebinding,istiooperator";
    let elsewhere = lab.kubectl(&["get", namespaced, "-n", "istio-system", "-l", "istio.io/rev", "-o", "name"]);
    assert_eq!(elsewhere, "");
    run(&lab, &format!("{MINIMAL} --set values.global.istioNamespace=mesh")).ended(0).warned(&["Nothing will change"]);
    let wrong = run(&lab, "uninstall -y --revision default -i other").ended(1);
    wrong.warned(&["Deployment mesh/istiod", "--istioNamespace says other"]);
    run(&lab, "uninstall -y --revision default -i mesh").ended(0);
    assert!(deployment(&lab, "mesh", "istiod").is_none());
}

#[test]
fn what_two_control_planes_would_both_write_is_found_before() {
    let lab = Lab::without_operator();
    run(&lab, MINIMAL).ended(0);
    let mark = lab.mark();
    let said = run(&lab, &format!("{MINIMAL} --istioNamespace other")).ended(1);
    said.warned(&[
        "so nothing is written",
        "Istiod: MutatingWebhookConfiguration istio-revision-tag-default-other overlaps with istio-revision-tag-default",
        "the control plane Deployment istio-system/istiod has ",
        "ValidatingWebhookConfiguration istiod-default-validator",
        "a revision of its own (--revision NAME)",
        "uninstall --revision default",
    ]);
    assert_eq!(lab.writes_since(mark), Vec::<String>::new());
    run(&lab, &format!("{MINIMAL} --istioNamespace other --revision second")).ended(0);
    let istiod = deployment(&lab, "istio-system", "istiod").unwrap();
    assert_eq!(istiod["status"]["readyReplicas"], 1);
    assert!(deployment(&lab, "other", "istiod-second").is_some());
    let validator =
        lab.get("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/istiod-default-validator");
    assert_eq!(validator.unwrap()["webhooks"][0]["clientConfig"]["service"]["namespace"], "istio-system");
}

#[test]
fn a_former_owner_is_told_once_before_its_objects_are_taken_over() {
    let lab = Lab::without_operator();
    let helms = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "istiod", "namespace": "istio-system",
        "labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {
            "meta.helm.sh/release-name": "istiod", "meta.helm.sh/release-namespace": "istio-system"}}});
    lab.apply_with(&["--server-side", "--field-manager=helm"], &helms.to_string());
    lab.kubectl(&["create", "configmap", "istio", "-n", "istio-system", "--from-literal=mesh=a"]);
    let lines = [
        "Takes over 1 object of the Helm release istio-system/istiod (ServiceAccount istio-system/istiod).",
        "Takes over 1 object that no installer has a mark on, written by kubectl-create (ConfigMap istio-system/istio).",
    ];
    let ask = "install --set profile=minimal";
    run(&lab, &format!("{ask} --dry-run")).ended(0).warned(&lines);
    run_typing(&lab, ask, "n\n").ended(1).warned(&lines);
    run(&lab, MINIMAL).ended(0).warned(&lines);
    let again = run(&lab, &format!("{MINIMAL} --set meshConfig.accessLogFile=/dev/stderr")).ended(0);
    assert!(again.err.contains("Istiod: change") && !again.err.contains("Takes over"), "{}", again.err);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.yaml").display().to_string();
    std::fs::write(&file, "kind: IstioOperator\nmetadata: {name: main}\nspec: {profile: minimal}\n").unwrap();
    let named = format!("install -y -f {file}");
    let said = run(&lab, &named).ended(0);
    said.warned(&[" objects of the installation without a name in istio-system (Deployment istio-system/istiod; "]);
    let again = run(&lab, &named).ended(0).warned(&["Nothing will change"]);
    assert!(!again.err.contains("Takes over"), "{}", again.err);
}

#[test]
#[ignore = "long: `make test-all`"]
fn gateways_that_a_canary_took_stay_for_the_revision_that_wants_them() {
    let lab = Lab::without_operator();
    run(&lab, "install -y").ended(0);
    let told = run(&lab, "install -y --revision canary").ended(0);
    told.warned(&[
        " objects of revision default (Deployment istio-system/istio-ingressgateway; ",
        "what has no revision in its name is there once for all of them",
    ]);
    let gateway = || lab.deployment("istio-ingressgateway").unwrap();
    assert_eq!(revision_of(&gateway()), "canary");
    // Nor does it go when the canary wants none any more.
    let kept = ["These stay: Deployment istio-system/istio-ingressgateway; ", "revision default has them in its spec"];
    run(&lab, &format!("{MINIMAL} --revision canary")).ended(0).warned(&kept);
    let uid = gateway()["metadata"]["uid"].clone();
    let back = "istio-operator upgrade --revision default -d 1.17.8";
    run(&lab, "uninstall --dry-run --revision canary").ended(0).warned(&[kept[0], kept[1], back]);
    let said = run(&lab, "uninstall -y --revision canary").ended(0).warned(&kept);
    assert!(!said.err.contains("these gateways are deleted"), "{}", said.err);
    assert!(lab.deployment("istiod-canary").is_none() && lab.iop("installed-state-canary").is_none());
    assert_eq!((&gateway()["metadata"]["uid"], revision_of(&gateway())), (&uid, "canary"));
    lab.kubectl(&["get", "service/istio-ingressgateway", "role/istio-ingressgateway-sds", "-n", "istio-system"]);
    let words = back.strip_prefix("istio-operator ").unwrap();
    run(&lab, &format!("{words} -y")).ended(0).warned(&["objects of revision canary (Deployment"]);
    assert_eq!((&gateway()["metadata"]["uid"], revision_of(&gateway())), (&uid, "default"));
    // With the last control plane that wants them they go, also where they were not given back to it.
    run(&lab, "install -y --revision canary").ended(0);
    run(&lab, "uninstall -y --revision canary").ended(0);
    assert_eq!(revision_of(&gateway()), "canary");
    run(&lab, "uninstall -y --revision default").ended(0).warned(&["these gateways are deleted: "]);
    assert!(lab.deployment("istio-ingressgateway").is_none());
}

#[test]
fn an_upgrade_takes_what_was_asked_for_from_the_record() {
    let lab = Lab::without_operator();
    let packages = format!("--package-dir {PACKAGES}");
    let set = "--set meshConfig.accessLogFile=/dev/stderr --set components.pilot.k8s.replicaCount=2";
    run(&lab, &format!("{MINIMAL} {set}")).ended(0);
    let told = "that of the record IstioOperator istio-system/installed-state is taken, of profile minimal";
    run(&lab, "upgrade --dry-run").ended(0).warned(&[told, "Nothing will change"]);
    let plan = run(&lab, &format!("upgrade plan --to {VERSION} --cluster {packages}"));
    assert!(plan.out.starts_with("the record IstioOperator istio-system/installed-state: from 1.17.8"), "{plan:?}");
    let said = run(&lab, &format!("upgrade -y -d {VERSION} {packages}")).ended(0);
    said.warned(&[told, "is of release 1.17.8; this is release 1.30.99, profile minimal."]);
    let istiod = lab.deployment("istiod").unwrap();
    let image = istiod["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(":1.30.99"), "{image}");
    let record = lab.iop("installed-state").unwrap();
    assert_eq!(record["spec"]["meshConfig"]["accessLogFile"], "/dev/stderr");
    assert_eq!(record["spec"]["components"]["pilot"]["k8s"]["replicaCount"], 2);
    assert!(lab.deployment("istio-ingressgateway").is_none());
    lab.kubectl(&["delete", "iop", "installed-state", "-n", "istio-system"]);
    let said = run(&lab, &format!("upgrade --dry-run -d {VERSION} {packages}"));
    said.warned(&["there is no record of what was installed: profile default is taken"]);
}

#[test]
fn an_install_of_another_release_says_so_before_it_asks() {
    let lab = Lab::without_operator();
    run(&lab, MINIMAL).ended(0);
    let newer = format!("install --set profile=minimal -d {VERSION} --package-dir {PACKAGES}");
    let lines = [
        "Deployment istio-system/istiod is of release 1.17.8; this is release 1.30.99, profile minimal.",
        "leaves out 12 minor releases between 1.17.8 and 1.30.99",
    ];
    run_typing(&lab, &newer, "n\n").ended(1).warned(&lines);
    let same = run(&lab, MINIMAL).ended(0);
    assert!(!same.err.contains("is of release"), "{}", same.err);
}

#[test]
fn an_older_canary_goes_beside_definitions_of_a_newer_release() {
    let lab = Lab::without_operator();
    run(&lab, MINIMAL).ended(0);
    let newer = "operator.istio.io/version=1.23.6";
    lab.kubectl(&["label", "crd,deploy", "-A", "-l", "operator.istio.io/component", newer, "--overwrite"]);
    run(&lab, MINIMAL).ended(1).warned(&["Deployment istio-system/istiod is of release 1.23.6"]);
    run(&lab, &format!("{MINIMAL} -d 1.17.8 --revision old")).ended(0);
    assert!(lab.deployment("istiod-old").is_some());
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io";
    let labels = || lab.get(crd).unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels()["operator.istio.io/version"], "1.23.6");
    // That an istiod is deleted makes the release of its installation no other one.
    lab.kubectl(&["delete", "deployment", "istiod", "-n", "istio-system"]);
    run(&lab, &format!("{MINIMAL} -d 1.17.8")).ended(1).warned(&["CustomResourceDefinition ", "1.23.6"]);
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_second_install_at_once_ends_and_a_killed_one_locks_out_for_a_while() {
    let lab = Lab::without_operator();
    let mut first =
        command(&lab, &format!("{MINIMAL} --set components.pilot.k8s.nodeSelector.disk=none-such")).spawn().unwrap();
    lab.wait("the first run's turn", || lab.get(LEASE).map(drop).ok_or_else(String::new));
    let said = run(&lab, MINIMAL).ended(1);
    said.warned(&["Lease istio-system/istio-install-default is held by ", " since ", "nothing is changed"]);
    // Nor is removed what is being installed.
    let said = run(&lab, "uninstall -y --revision default").ended(1);
    let said = said.warned(&["Lease istio-system/istio-install-default is held by ", "nothing is changed"]);
    assert!(!said.out.contains("Removed"), "{said:?}");
    first.kill().unwrap();
    first.wait().unwrap();
    run(&lab, MINIMAL).ended(0).warned(&["to see whether it still works"]);
    assert!(lab.get(LEASE).is_none(), "it is given up at the end");
    run(&lab, "uninstall -y --purge").ended(0);
    assert!(lab.get(LEASE).is_none(), "an uninstall gives it up, too");
}

#[test]
fn an_uninstall_that_is_interrupted_gives_its_turn_up() {
    let lab = Lab::without_operator();
    run(&lab, MINIMAL).ended(0);
    let hold = |finalizers: &str| {
        let patch = format!("{{\"metadata\":{{\"finalizers\":{finalizers}}}}}");
        lab.kubectl(&["patch", "deployment", "istiod", "-n", "istio-system", "--type=merge", "-p", &patch]);
    };
    hold("[\"example.com/hold\"]");
    let mut command = command(&lab, "uninstall -y --revision default");
    let uninstall = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    lab.wait("the deletion", || match lab.deployment("istiod") {
        Some(istiod) if !istiod["metadata"]["deletionTimestamp"].is_null() => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(lab.get(LEASE).is_some());
    assert!(Command::new("kill").args(["-INT", &uninstall.id().to_string()]).status().unwrap().success());
    let said = Said::of(&uninstall.wait_with_output().unwrap()).ended(1);
    said.warned(&["interrupted", "the same command goes on"]);
    assert!(lab.get(LEASE).is_none());
    hold("[]");
    run(&lab, "uninstall -y --purge").ended(0);
}

#[test]
#[ignore = "long: `make test-all`"]
fn real_releases_are_upgraded_by_their_record_and_have_older_canaries() {
    let Some(folder) = packages(&["1.23.6", "1.26.8", "1.30.3"]) else { return };
    let lab = Lab::without_operator();
    let at = |release: &str| format!("-d {release} --package-dir {}", folder.display());
    let spec = "--set profile=demo --set meshConfig.accessLogFile=/dev/stderr --set values.pilot.traceSampling=7";
    for from in ["1.17.8", "1.23.6", "1.26.8"] {
        run(&lab, &format!("install -y {spec} --allow-downgrade {}", at(from))).ended(0);
        run(&lab, &format!("upgrade --dry-run {}", at(from))).ended(0).warned(&["profile demo", "Nothing will change"]);
    }
    run(&lab, &format!("upgrade -y {}", at("1.30.3"))).ended(0).warned(&["profile demo"]);
    let same = run(&lab, &format!("install --dry-run {spec} {}", at("1.30.3"))).ended(0);
    same.warned(&["Nothing will change"]);
    let crds = || {
        let text = lab.kubectl(&["get", "crd", "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap();
        let of =
            |crd: &Value| (crd["metadata"]["name"].clone(), crd["spec"].clone(), crd["metadata"]["labels"].clone());
        list["items"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let before = crds();
    run(&lab, &format!("{MINIMAL} --revision old {}", at("1.23.6"))).ended(0);
    assert!(lab.deployment("istiod-old").is_some());
    for (now, before) in crds().iter().zip(&before) {
        assert_eq!(now, before, "{} was moved back", before.0);
    }
}

#[test]
fn who_may_not_write_leases_is_told_so_and_goes_on() {
    let lab = Lab::without_operator();
    let folder = tempfile::tempdir().unwrap();
    let account = nobody(&lab, folder.path());
    let groups = [
        "",
        "apps",
        "rbac.authorization.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "autoscaling",
        "policy",
        "networking.istio.io",
        "networking.k8s.io",
        "gateway.networking.k8s.io",
        "install.istio.io",
        "security.istio.io",
        "extensions.istio.io",
        "telemetry.istio.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "discovery.k8s.io",
        "certificates.k8s.io",
        "config.istio.io",
        "multicluster.x-k8s.io",
        "inference.networking.x-k8s.io",
        "batch",
    ];
    let rules =
        json!([{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "test-without-leases"}, "rules": rules});
    lab.apply(&role.to_string());
    let to = ["--clusterrole=test-without-leases", "--serviceaccount=default:nobody"];
    lab.kubectl(&["create", "clusterrolebinding", "test-without-leases", to[0], to[1]]);
    let said = Said::of(&command_as(account.as_os_str(), MINIMAL).output().unwrap()).ended(0);
    let told = "this user may not write Lease istio-system/istio-install-default";
    assert_eq!(said.err.matches(told).count(), 1, "{}", said.err);
    assert!(said.out.contains("✔ Installation complete"), "{said:?}");
}
