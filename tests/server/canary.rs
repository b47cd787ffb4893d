//! Control planes that a resource no longer wants: they stay while somebody uses them.

use crate::commands_run::run;
use crate::lab::{Lab, touched};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const OLD: &str = "{profile: minimal}";
const NEW: &str = "{profile: minimal, revision: canary}";
const ACTIVE: [&str; 2] = ["istio-revision-tag-default", "istio-sidecar-injector-canary"];

/// A namespace whose pods are injected, and a pod with a sidecar, as the injector leaves it.
fn namespace_with_pod(lab: &Lab, name: &str) {
    lab.kubectl(&["create", "namespace", name]);
    label(lab, name, &["istio-injection=enabled"]);
    lab.run_with_sidecar(name, "cart", "default");
}

fn label(lab: &Lab, namespace: &str, labels: &[&str]) {
    lab.kubectl(&[&["label", "namespace", namespace, "--overwrite"], labels].concat());
}

/// What is said of the first control plane that stays.
fn held(lab: &Lab) -> Option<Value> {
    lab.iop("main")?["status"]["held"].get(0).cloned()
}

fn wait_held(lab: &Lab, revision: &str, used_by: &[&str]) -> Value {
    lab.wait(&format!("revision {revision} to be kept for {used_by:?}"), || {
        let status = lab.iop("main").unwrap()["status"].take();
        let held = status["held"].get(0).cloned().unwrap_or_default();
        let users = held["usedBy"].to_string();
        let is_told = held["revision"] == revision && used_by.iter().all(|user| users.contains(user));
        let is_current = status["observedGeneration"] == lab.iop("main").unwrap()["metadata"]["generation"];
        if is_told && is_current { Ok(held) } else { Err(status.to_string()) }
    })
}

fn wait_gone(lab: &Lab, deployment: &str) {
    lab.wait(&format!("{deployment} to be gone"), || match lab.deployment(deployment) {
        None => Ok(()),
        Some(_) => Err(lab.iop("main").unwrap()["status"].to_string()),
    });
}

fn is_true(status: &Value, kind: &str) -> bool {
    status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == kind && c["status"] == "True")
}

/// Whether a selector takes what has this one label.
fn selects(selector: &Value, label: &str) -> bool {
    let (name, value) = label.split_once('=').unwrap();
    let pairs = selector["matchLabels"].as_object().into_iter().flatten().all(|(k, v)| k == name && v == value);
    let holds = |e: &Value| {
        let listed = e["values"].as_array().is_some_and(|values| values.contains(&json!(value)));
        match e["operator"].as_str().unwrap() {
            "In" => e["key"] == name && listed,
            "NotIn" => e["key"] != name || !listed,
            "Exists" => e["key"] == name,
            _ => e["key"] != name,
        }
    };
    pairs && selector["matchExpressions"].as_array().into_iter().flatten().all(holds)
}

/// The names of the webhooks that would inject a pod that says nothing of it, in a namespace with this label.
fn injectors(lab: &Lab, label: &str) -> BTreeSet<String> {
    injectors_of(lab, label, "app=shop")
}

/// The same of a pod with a label.
fn injectors_of(lab: &Lab, namespace: &str, pod: &str) -> BTreeSet<String> {
    let all = lab.get("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations").unwrap();
    let selects =
        |hook: &Value| selects(&hook["namespaceSelector"], namespace) && selects(&hook["objectSelector"], pod);
    let configs = all["items"].as_array().unwrap().iter();
    let injecting = configs.filter(|config| config["webhooks"].as_array().unwrap().iter().any(selects));
    injecting.map(|config| config["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Complaint: a canary upgrade took a resource, and at first an operator, per revision (istio#28967); the revision edited in
/// one resource took the control plane away under the proxies.
#[test]
fn an_edited_revision_stands_beside_the_old_one_while_that_is_in_use() {
    let lab = Lab::installed(OLD);
    for namespace in ["shop", "bank"] {
        namespace_with_pod(&lab, namespace);
    }
    let before = lab.owned_at_rest();

    lab.apply_spec(NEW);
    let status = lab.wait_for_status("HEALTHY", &[]);
    assert!(is_true(&status, "PruneHeld"), "{status:#}");
    wait_held(&lab, "default", &["Pod shop/cart", "Pod bank/cart", "Namespace shop", "Namespace bank"]);
    let beside = lab.owned_at_rest();
    assert!(touched(&before, &beside).is_empty(), "{:?}", touched(&before, &beside));
    let of_default = |key: &&String| !key.contains("canary");
    let left: Vec<_> = before.keys().filter(of_default).filter(|key| !beside.contains_key(*key)).collect();
    assert!(left.is_empty(), "of the old control plane {left:?} went");
    assert_eq!(injectors(&lab, "istio-injection=enabled"), BTreeSet::from([ACTIVE[0].to_owned()]));
    assert_eq!(injectors(&lab, "istio.io/rev=canary"), BTreeSet::from([ACTIVE[1].to_owned()]));
    // Without a label, or against one.
    let (says_yes, says_no) = ("sidecar.istio.io/inject=true", "sidecar.istio.io/inject=false");
    assert_eq!(injectors(&lab, "team=shop"), BTreeSet::new());
    assert_eq!(injectors_of(&lab, "team=shop", says_yes), BTreeSet::from([ACTIVE[0].to_owned()]));
    for label in ["istio-injection=enabled", "istio.io/rev=canary"] {
        assert_eq!(injectors_of(&lab, label, says_no), BTreeSet::new(), "{label}");
    }
}

#[test]
#[ignore = "long: `make test-all`"]
fn one_namespace_after_another_moves_to_the_edited_revision() {
    let lab = Lab::installed(OLD);
    for namespace in ["shop", "bank"] {
        namespace_with_pod(&lab, namespace);
    }
    lab.apply_spec(NEW);
    wait_held(&lab, "default", &["Pod shop/cart", "Pod bank/cart", "Namespace shop", "Namespace bank"]);
    // One namespace moves, then the other one goes back, for a while.
    move_to_canary(&lab, "shop");
    wait_held(&lab, "default", &["Pod bank/cart", "Namespace bank"]);
    lab.apply_spec(OLD);
    lab.wait_for_status("HEALTHY", &[]);
    wait_held(&lab, "canary", &["Pod shop/cart", "Namespace shop"]);
    assert!(lab.deployment("istiod-canary").is_some() && lab.deployment("istiod").is_some());
    lab.apply_spec(NEW);
    wait_held(&lab, "default", &["Namespace bank"]);

    // Nobody uses the old one any more.
    move_to_canary(&lab, "bank");
    wait_gone(&lab, "istiod");
    lab.wait("nothing to be kept any more", || {
        let status = lab.wait_for_status("HEALTHY", &[]);
        let is_kept = !status["held"].is_null() || is_true(&status, "PruneHeld");
        if is_kept { Err(status.to_string()) } else { Ok(()) }
    });
    let left: Vec<_> = lab.owned_at_rest().into_keys().filter(|key| key.ends_with("/istiod")).collect();
    assert!(left.is_empty(), "{left:?}");
    // The one that took its place is the default one.
    assert_eq!(injectors(&lab, "istio-injection=enabled"), BTreeSet::from([ACTIVE[0].to_owned()]));
    let records = lab.kubectl(&["get", "iop", "-n", "istio-system", "-o", "name"]);
    assert!(records.contains("installed-state-main-canary"), "{records}");
    assert!(!records.split_whitespace().any(|name| name.ends_with("/installed-state-main")), "{records}");
}

fn move_to_canary(lab: &Lab, namespace: &str) {
    label(lab, namespace, &["istio-injection-", "istio.io/rev=canary"]);
    lab.run_with_sidecar(namespace, "cart", "canary");
}

#[test]
fn what_is_kept_of_an_old_revision_is_repaired() {
    let lab = Lab::installed(OLD);
    namespace_with_pod(&lab, "shop");
    lab.apply_spec(NEW);
    wait_held(&lab, "default", &["Pod shop/cart", "Namespace shop"]);
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    lab.kubectl(&["delete", "mutatingwebhookconfiguration", ACTIVE[0]]);
    lab.kubectl(&[
        "patch",
        "deployment",
        "istiod",
        "-n",
        "istio-system",
        "--type=merge",
        "-p",
        r#"{"spec": {"strategy": {"rollingUpdate": {"maxSurge": 7}}}}"#,
    ]);
    lab.wait("the old control plane to be repaired", || {
        let services = lab.get("/api/v1/namespaces/istio-system/services/istiod").is_some();
        let webhook = injectors(&lab, "istio-injection=enabled").contains(ACTIVE[0]);
        let surge = lab.deployment("istiod").unwrap()["spec"]["strategy"]["rollingUpdate"]["maxSurge"].clone();
        if services && webhook && surge != 7 { Ok(()) } else { Err(format!("{services} {webhook} {surge}")) }
    });
    // A restart remembers.
    assert_eq!(lab.terminate_operator(), Some(0));
    lab.kubectl(&["delete", "serviceaccount", "istiod", "-n", "istio-system"]);
    lab.start_operator();
    lab.wait("its account to be repaired", || {
        let account = lab.get("/api/v1/namespaces/istio-system/serviceaccounts/istiod");
        account.map(drop).ok_or_else(|| lab.iop("main").unwrap()["status"].to_string())
    });
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_control_plane_in_use_goes_by_no_edit_but_when_somebody_insists() {
    let lab = Lab::installed("{profile: minimal, components: {cni: {enabled: true}}}");
    namespace_with_pod(&lab, "shop");
    let before = lab.owned_at_rest();
    for spec in [
        "{profile: empty}",
        "{profile: minimal, components: {pilot: {enabled: false}, cni: {enabled: true}}}",
        "{profile: empty, components: {ingressGateways: [{name: istio-ingressgateway, enabled: true}]}}",
    ] {
        lab.apply_spec(spec);
        let status =
            lab.wait_for_status("ACTION_REQUIRED", &["Namespace shop", "install.istio.io/force-prune=default"]);
        assert!(is_true(&status, "PruneHeld"), "{spec}: {status:#}");
        let after = lab.owned_at_rest();
        let gone: Vec<_> = before.keys().filter(|key| !after.contains_key(*key)).collect();
        assert!(gone.is_empty(), "{spec}: {gone:?}");
        assert!(touched(&before, &after).is_empty(), "{spec}: {:?}", touched(&before, &after));
    }
    lab.apply_spec("{profile: empty}");
    lab.wait_for_status("ACTION_REQUIRED", &["Namespace shop"]);
    let binding = "istiod-gateway-controller-istio-system";
    lab.kubectl(&["delete", "clusterrolebinding", binding]);
    lab.wait("a binding of the old control plane to come back", || {
        let binding = lab.get(&format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{binding}"));
        binding.map(drop).ok_or_else(|| lab.iop("main").unwrap()["status"].to_string())
    });
    lab.annotate("main", "install.istio.io/force-prune=other");
    lab.wait_for_status("ACTION_REQUIRED", &["Namespace shop"]);
    assert!(lab.deployment("istiod").is_some(), "another revision was meant");
    // A tag that a command made of it goes with it: it would refuse pods.
    let is_tagged = || injectors(&lab, "istio.io/rev=test").contains("istio-revision-tag-test");
    run(&lab, "tag set test --revision default").ended(0);
    assert!(is_tagged());
    lab.annotate("main", "install.istio.io/force-prune=default");
    wait_gone(&lab, "istiod");
    lab.wait_for_status("HEALTHY", &[]);
    assert!(held(&lab).is_none());
    assert!(!is_tagged());
}

#[test]
fn a_control_plane_moves_to_another_namespace_without_injecting_twice() {
    let lab = Lab::installed(OLD);
    namespace_with_pod(&lab, "shop");
    let old = injectors(&lab, "istio-injection=enabled");
    lab.apply_spec("{profile: minimal, namespace: mesh, values: {global: {istioNamespace: mesh}}}");
    let new = lab.wait("the new control plane to inject", || {
        let now = injectors(&lab, "istio-injection=enabled");
        assert!(now.len() <= 1, "{now:?} inject the same pods");
        let is_new = now.len() == 1 && now != old;
        if is_new { Ok(now) } else { Err(lab.iop("main").unwrap()["status"].to_string()) }
    });
    assert!(lab.get("/apis/apps/v1/namespaces/mesh/deployments/istiod").is_some());
    // The new pods of the namespace are the new one's.
    lab.wait("the old one to be kept for its pods only", || {
        let kept = held(&lab).unwrap_or_default();
        let is_so = kept["namespace"] == "istio-system" && kept["usedBy"] == json!(["Pod shop/cart"]);
        if is_so { Ok(()) } else { Err(kept.to_string()) }
    });
    assert!(lab.deployment("istiod").is_some());
    lab.wait_for_status("HEALTHY", &[]);
    // Repairs of the old one do not bring its webhook back.
    let hook = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector-mesh";
    let uid = |lab: &Lab| lab.get(hook).map(|hook| hook["metadata"]["uid"].clone());
    let first = uid(&lab);
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    lab.wait("the Service of the old one to come back", || {
        assert_eq!(injectors(&lab, "istio-injection=enabled"), new);
        lab.get("/api/v1/namespaces/istio-system/services/istiod").map(drop).ok_or_else(String::new)
    });
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!((injectors(&lab, "istio-injection=enabled"), uid(&lab)), (new.clone(), first));
    // Times are in whole seconds: what was made in the same one may have been made before.
    let made = std::time::Instant::now();
    lab.wait("the second of the webhook to pass", || {
        if made.elapsed() > std::time::Duration::from_secs(2) { Ok(()) } else { Err(String::new()) }
    });
    lab.run_with_sidecar("shop", "cart", "default");
    wait_gone(&lab, "istiod");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(injectors(&lab, "istio-injection=enabled"), new);
}

#[test]
fn a_control_plane_whose_deletion_is_held_is_still_repaired() {
    let lab = Lab::installed(OLD);
    namespace_with_pod(&lab, "shop");
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--wait=false"]);
    lab.wait_for_status("ACTION_REQUIRED", &["Namespace shop", "install.istio.io/ignoreReconcile"]);
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    lab.wait("its Service to come back", || {
        let service = lab.get("/api/v1/namespaces/istio-system/services/istiod");
        service.map(drop).ok_or_else(|| lab.iop("main").unwrap()["status"].to_string())
    });
    // The way back: everything stays, and a new resource of the name has it.
    lab.annotate("main", "install.istio.io/ignoreReconcile=true");
    lab.wait("the resource to be gone", || lab.iop("main").map_or(Ok(()), |r| Err(r["status"].to_string())));
    assert!(lab.deployment("istiod").is_some());
    lab.apply_spec(OLD);
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
fn while_it_cannot_be_told_who_uses_a_control_plane_it_stays() {
    let lab = Lab::installed(OLD);
    lab.expect_forbidden();
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";
    let whole = lab.get(path).unwrap();
    let mut cut = whole.clone();
    for rule in cut["rules"].as_array_mut().unwrap() {
        rule["resources"].as_array_mut().unwrap().retain(|resource| resource != "pods");
    }
    cut["rules"].as_array_mut().unwrap().retain(|rule| rule["resources"] != json!([]));
    lab.request("PUT", path, &cut).unwrap();
    lab.wait("the permission to be gone", || {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": "system:serviceaccount:istio-operator:istio-operator",
            "resourceAttributes": {"verb": "list", "resource": "pods"}}});
        let answer = lab.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).unwrap();
        if answer["status"]["allowed"] == true { Err("still there".into()) } else { Ok(()) }
    });
    lab.apply_spec(NEW);
    let held = lab.wait("the old revision to be kept", || {
        let held = held(&lab).unwrap_or_default();
        let is_told = held["message"].as_str().is_some_and(|m| m.contains("is not known") && m.contains("forbidden"));
        if is_told { Ok(held) } else { Err(lab.iop("main").unwrap()["status"].to_string()) }
    });
    assert_eq!(held["revision"], "default");
    assert!(lab.deployment("istiod").is_some());
    let mut restored = lab.get(path).unwrap();
    restored["rules"] = whole["rules"].clone();
    lab.request("PUT", path, &restored).unwrap();
    wait_gone(&lab, "istiod");
}
