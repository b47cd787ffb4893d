//! `uninstall`, with what it leaves, and with whom it meets.

use crate::commands_revision::nobody;
use crate::commands_run::{Said, command_as, run, run_typing};
use crate::lab::Lab;
use serde_json::json;
use std::time::Instant;

const PURGE: &str = "uninstall -y --purge";

/// Everything in the cluster that is Istio's by a label, by its group, or by its name.
fn left(lab: &Lab) -> Vec<String> {
    let kinds = "sa,cm,svc,deploy,role,rolebinding,clusterrole,clusterrolebinding,pdb,hpa,mutatingwebhookconfiguration,\
                 validatingwebhookconfiguration";
    let labelled = lab.kubectl(&["get", kinds, "-A", "-l", "operator.istio.io/component", "-o", "name"]);
    let crds = lab.kubectl(&["get", "crd", "-o", "name"]);
    let crds = crds.lines().filter(|crd| crd.ends_with(".istio.io"));
    labelled.lines().chain(crds).map(str::to_owned).collect()
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_purge_asks_and_then_leaves_only_what_is_not_istios() {
    let lab = Lab::without_operator();
    run(&lab, "install --set profile=demo -y").ended(0);
    lab.kubectl(&["create", "configmap", "istio-ca-root-cert", "-n", "istio-system"]);
    lab.kubectl(&["create", "secret", "generic", "istio-ca-secret", "-n", "istio-system"]);
    run(&lab, "addons install prometheus -y").ended(0);
    let addon = lab.deployment("prometheus").unwrap()["metadata"]["uid"].clone();
    lab.kubectl(&["label", "namespace", "default", "istio-injection=enabled"]);
    // As Helm leaves them, from release 1.24 on and before.
    let helms =
        [("new", "app.kubernetes.io/part-of=istio"), ("old", "release=istiod,app=istiod"), ("other", "release=istiod")];
    for (name, labels) in helms {
        lab.kubectl(&["create", "serviceaccount", name, "-n", "default"]);
        lab.kubectl(
            &[&["label", "serviceaccount", name, "-n", "default"], &labels.split(',').collect::<Vec<_>>()[..]].concat(),
        );
    }
    let before = left(&lab).len();
    let said = run_typing(&lab, "uninstall --purge", "n\n").ended(1);
    assert_eq!(said.out, "Proceed? (y/N) Cancelled.\n");
    said.warned(&["All Istio resources will be pruned from the cluster", "Namespace default", "istio-ingressgateway"]);

    // The lab's operator is deployed and does not run, which nobody can tell from one without leader election.
    run(&lab, "uninstall --purge --dry-run")
        .ended(0)
        .warned(&["stays, since", "Deployment istio-operator/istio-operator"]);
    assert_eq!(left(&lab).len(), before);
    lab.kubectl(&["delete", "deployment", "istio-operator", "-n", "istio-operator"]);
    let begun = Instant::now();
    let said = run(&lab, PURGE).ended(0);
    println!("the purge took {:?}", begun.elapsed());
    assert!(said.out.ends_with("✔ Uninstall complete\n"), "{said:?}");
    for line in ["  Removed Deployment:istio-system:istiod.", "  Removed IstioOperator:istio-system:installed-state."] {
        assert!(said.out.lines().any(|one| one == line), "{line} is not in {}", said.out);
    }
    assert_eq!(left(&lab), Vec::<String>::new());
    let accounts = lab.kubectl(&["get", "serviceaccount", "-n", "default", "-o", "name"]);
    assert_eq!(accounts, "serviceaccount/default\nserviceaccount/other\n");
    lab.kubectl(&["get", "namespace", "istio-system"]);
    lab.kubectl(&["get", "configmap/istio-ca-root-cert", "secret/istio-ca-secret", "-n", "istio-system"]);
    assert_eq!(lab.deployment("prometheus").unwrap()["metadata"]["uid"], addon);

    run(&lab, PURGE).ended(0).warned(&["nothing to remove"]);
    run(&lab, "install --set profile=minimal -y").ended(0);
    let annotated = json!({"name": "kept", "annotations": {"install.istio.io/prune": "false"}});
    let filter = json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": annotated});
    lab.apply(&filter.to_string());
    run(&lab, PURGE).ended(0).warned(&["EnvoyFilter default/kept", "CustomResourceDefinition envoyfilters."]);
    lab.kubectl(&["get", "envoyfilter", "kept", "-n", "default"]);
    assert_eq!(left(&lab), ["customresourcedefinition.apiextensions.k8s.io/envoyfilters.networking.istio.io"]);
    run(&lab, PURGE).ended(0).warned(&["nothing to remove", "EnvoyFilter default/kept"]);
}

#[test]
fn a_revision_goes_and_the_other_one_stays() {
    let lab = Lab::without_operator();
    run(&lab, "install --set profile=minimal -r canary -y").ended(0);
    run(&lab, "install --set profile=minimal -y").ended(0);
    assert!(lab.deployment("istiod").is_some() && lab.deployment("istiod-canary").is_some());
    run(&lab, "uninstall -y").ended(2).warned(&["at least one of the --revision"]);
    run(&lab, "uninstall -y --revision none-such").ended(1).warned(&["could not find target revision"]);
    // Who may not take the webhooks away takes nothing that serves them.
    let folder = tempfile::tempdir().unwrap();
    let account = nobody(&lab, folder.path());
    lab.kubectl(&["create", "clusterrole", "test-reads", "--verb=get,list", "--resource=*.*"]);
    lab.kubectl(&["create", "clusterrole", "test-deletes", "--verb=delete", "--resource=deployments.apps,services"]);
    for role in ["test-reads", "test-deletes"] {
        let to = [&format!("--clusterrole={role}"), "--serviceaccount=default:nobody"];
        lab.kubectl(&["create", "clusterrolebinding", role, to[0], to[1]]);
    }
    let mut refused = command_as(account.as_os_str(), "uninstall -y --revision canary");
    let refused = Said::of(&refused.output().unwrap()).ended(1);
    refused.warned(&["is forbidden", "were not tried: ", "the same command goes on"]);
    assert!(lab.deployment("istiod-canary").is_some());
    lab.kubectl(&["annotate", "configmap", "istio-canary", "-n", "istio-system", "install.istio.io/prune=false"]);
    run(&lab, "uninstall -y --revision canary").ended(0).warned(&["These stay", "ConfigMap istio-system/istio-canary"]);
    lab.kubectl(&["get", "configmap", "istio-canary", "-n", "istio-system"]);
    assert!(lab.deployment("istiod").is_some() && lab.deployment("istiod-canary").is_none());
    assert!(lab.iop("installed-state").is_some() && lab.iop("installed-state-canary").is_none());
    run(&lab, "verify-install").ended(0);
    lab.kubectl(&["get", "clusterrole", "istio-reader-clusterrole-istio-system"]);
    let webhooks = lab.kubectl(&["get", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "-o", "name"]);
    let names = [
        "istio-revision-tag-default",
        "istio-sidecar-injector",
        "istio-validator-istio-system",
        "istiod-default-validator",
    ];
    assert!(webhooks.lines().map(|name| name.rsplit('/').next().unwrap()).eq(names), "{webhooks}");
    run(&lab, "uninstall -y --revision default").ended(0);
    let found = left(&lab);
    let stays = |name: &String| name.contains("customresourcedefinition") || name.contains("istio-reader");
    let webhook = found.iter().any(|name| name.contains("webhook"));
    assert!(!webhook && found.iter().any(stays), "{found:?}");
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_purge_beside_a_running_operator_is_not_undone() {
    let lab = Lab::installed("{profile: minimal}");
    run(&lab, "uninstall -y --revision default").ended(1).warned(&["IstioOperator istio-system/main", "put it back"]);
    run(&lab, "install --set profile=minimal -y")
        .ended(1)
        .warned(&["IstioOperator istio-system/main", "reconciles it"]);
    // Another revision meets what it shares with the resource, and leaves it alone.
    let before = lab.owned_at_rest();
    let said = run(&lab, "install --set profile=minimal --revision canary -y").ended(0);
    said.warned(&["left alone: ", "(of IstioOperator istio-system/main)"]);
    let after = lab.owned_at_rest();
    assert!(before.iter().all(|(name, stamp)| after.get(name) == Some(stamp)), "{before:?}\n{after:?}");
    // What others hold by a finalizer of theirs, they let go.
    let patch = r#"[{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/other"}]"#;
    lab.kubectl(&["patch", "iop", "main", "-n", "istio-system", "--type=json", "-p", patch]);
    let said = run(&lab, &format!("{PURGE} --timeout 5s")).ended(1);
    assert!(said.out.contains("  Removed IstioOperator:istio-system:main."), "{}", said.out);
    said.warned(&["only when others let them", "still there after 5s", "example.com/other"]);
    assert_eq!(lab.iop("main").unwrap()["metadata"]["finalizers"], json!(["example.com/other"]));
    lab.kubectl(&[
        "patch",
        "iop",
        "main",
        "-n",
        "istio-system",
        "--type=merge",
        "-p",
        r#"{"metadata": {"finalizers": null}}"#,
    ]);
    run(&lab, PURGE).ended(0);
    lab.owned_at_rest();
    let found = left(&lab);
    let is_definition = |name: &String| name.ends_with("/istiooperators.install.istio.io");
    assert!(found.iter().all(is_definition), "{found:?}");
}
