//! What a status says, and that it keeps saying it.

use crate::lab::Lab;
use serde_json::{Value, json};
use std::fmt::Write;

fn patch_status(lab: &Lab, patch: &Value) {
    let patch = patch.to_string();
    lab.kubectl(&["patch", "iop", "main", "-n", "istio-system", "--subresource=status", "--type=merge", "-p", &patch]);
}

fn condition(status: &Value, kind: &str) -> Value {
    status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind).cloned().unwrap_or_default()
}

#[test]
fn a_status_that_somebody_blanks_or_edits_comes_back_whole() {
    let lab = Lab::start();
    lab.apply_spec("{profile: minimal}");
    let whole = lab.wait_for_status("HEALTHY", &[]);
    for patch in [
        json!({"status": null}),
        json!({"status": {"status": "ERROR", "inventory": null, "observedGeneration": 1}}),
        json!({"status": {"conditions": [], "componentStatus": {"Pilot": null}}}),
    ] {
        patch_status(&lab, &patch);
        lab.wait(&format!("the status to come back after {patch}"), || {
            let mut now = lab.iop("main").unwrap()["status"].take();
            let mut was = whole.clone();
            for status in [&mut now, &mut was] {
                for condition in status["conditions"].as_array_mut().into_iter().flatten() {
                    condition["lastTransitionTime"].take();
                }
            }
            if now == was { Ok(()) } else { Err(now.to_string()) }
        });
    }
    patch_status(&lab, &json!({"status": {"theirs": {"kept": true}}}));
    lab.apply_spec("{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    let status = lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(status["theirs"], json!({"kept": true}));
}

#[test]
#[ignore = "long: `make test-all`"]
fn thousands_of_problems_make_a_status_that_fits() {
    let lab = Lab::start();
    let mut spec = String::from("{profile: minimal");
    for i in 0..20_000 {
        write!(spec, ", field{i}: 1").unwrap();
    }
    let resource = format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: main, namespace: istio-system}}\nspec: {spec}}}\n"
    );
    lab.apply_with(&["--server-side"], &resource);
    let status = lab.wait_for_status("ERROR", &["unknown field", "; and ", " more"]);
    assert!(status.to_string().len() < 20_000, "{} bytes", status.to_string().len());
    assert_eq!(condition(&status, "Stalled")["status"], "True");
}

#[test]
fn what_the_api_server_never_takes_is_stalled_and_not_sent_again() {
    let lab = Lab::start();
    let gateway = |address: &str| {
        format!(
            "{{profile: minimal, components: {{ingressGateways: [{{name: istio-ingressgateway, enabled: true, k8s: {{overlays: \
             [{{kind: Service, name: istio-ingressgateway, patches: [{{path: spec.clusterIP, value: '{address}'}}]}}]}}}}]}}}}"
        )
    };
    lab.apply_spec(&gateway("1.2.3.4"));
    let status = lab.wait_for_status("ERROR", &["Service", "istio-ingressgateway", "clusterIP"]);
    let stalled = condition(&status, "Stalled");
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("Rejected")), "{status:#}");
    assert_eq!(condition(&status, "Reconciling"), Value::Null);
    lab.owned_at_rest();
    let mark = lab.mark();
    // Something of it changes, and is looked at: what was refused is not sent again for that.
    lab.kubectl(&["delete", "configmap", "istio", "-n", "istio-system"]);
    lab.wait("the ConfigMap", || {
        lab.get("/api/v1/namespaces/istio-system/configmaps/istio").map(drop).ok_or_else(|| "none".into())
    });
    let requests = lab.requests_since(mark);
    assert!(!requests.iter().any(|r| r.contains("services istio-system/istio-ingressgateway")), "{requests:#?}");
    lab.apply_spec("{profile: minimal, components: {ingressGateways: [{name: istio-ingressgateway, enabled: true}]}}");
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
fn what_overlays_break_is_told_before_the_component_is_written() {
    let lab = Lab::start();
    lab.apply_spec(
        "{profile: minimal, components: {pilot: {k8s: {overlays: [{kind: Deployment, name: istiod, patches: \
         [{path: 'spec.template.spec.containers.[name:discovery].image', value: pilot}, {path: spec.strategy.type, value: Recreate}]}]}}}}",
    );
    let status = lab.wait_for_status("ERROR", &["Deployment", "istiod", "strategy"]);
    assert_eq!(condition(&status, "Stalled")["status"], "True", "{status:#}");
    lab.owned_at_rest();
    let of_pilot: Vec<_> = lab.owned().into_iter().filter(|(_, stamp)| stamp.component == "Pilot").collect();
    assert!(of_pilot.is_empty(), "{of_pilot:?}");
}

#[test]
fn a_rollout_past_its_deadline_is_an_error_until_it_moves_on() {
    let lab = Lab::start();
    let spec = |selector: &str| {
        format!(
            "{{profile: minimal, components: {{pilot: {{k8s: {{{selector} overlays: [{{kind: Deployment, name: istiod, \
             patches: [{{path: spec.progressDeadlineSeconds, value: 5}}]}}]}}}}}}}}"
        )
    };
    lab.apply_spec(&spec("nodeSelector: {disk: none-such},"));
    let status = lab.wait_for_status("ERROR", &["Deployment istio-system/istiod", "progressing"]);
    assert_eq!(condition(&status, "Stalled")["reason"], "ProgressDeadlineExceeded", "{status:#}");
    assert_eq!(status["componentStatus"]["Pilot"]["status"], "ERROR");
    lab.apply_spec(&spec(""));
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
#[ignore = "long: `make test-all`"]
fn what_may_pass_is_work_at_first_and_an_error_once_it_lasts() {
    let lab = Lab::start();
    lab.expect_forbidden();
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";
    let whole = lab.get(path).unwrap();
    let mut cut = whole.clone();
    for rule in cut["rules"].as_array_mut().unwrap() {
        if rule["resources"].to_string().contains("\"deployments\"") {
            rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != "create" && verb != "patch");
        }
    }
    lab.request("PUT", path, &cut).unwrap();
    lab.apply_spec("{profile: minimal}");
    let status = lab.wait_for_status("RECONCILING", &["trying again", "the operator lacks permissions"]);
    assert_eq!(condition(&status, "Reconciling")["reason"], "Retrying");
    lab.wait_for_status("ERROR", &["the operator lacks permissions"]);
    let mut restored = lab.get(path).unwrap();
    restored["rules"] = whole["rules"].clone();
    lab.request("PUT", path, &restored).unwrap();
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
fn two_meshes_of_one_revision_contradict_each_other_by_name() {
    let lab = Lab::installed("{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    lab.apply_named("younger", "{profile: minimal, meshConfig: {accessLogFile: /dev/stderr}}");
    let status = lab.wait_for_status_of("younger", "ERROR", &["ConfigMap istio-system/istio", "istio-system/main"]);
    assert_eq!(condition(&status, "Conflict")["status"], "True", "{status:#}");
    lab.wait_for_status("HEALTHY", &[]);
    let config = lab.get("/api/v1/namespaces/istio-system/configmaps/istio").unwrap();
    assert!(config["data"]["mesh"].as_str().unwrap().contains("/dev/stdout"));
}

#[test]
fn a_namespace_that_is_not_there_is_named_and_waited_for() {
    let lab = Lab::start();
    lab.apply_spec("{profile: minimal, components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, namespace: gw}]}}");
    let told = ["there is no namespace gw for ", "kubectl create namespace gw"];
    let status = lab.wait_for_status("RECONCILING", &told);
    let gateways = status["componentStatus"]["IngressGateways"]["error"].as_str().unwrap();
    assert!(gateways.starts_with(told[0]), "{gateways}");
    lab.kubectl(&["create", "namespace", "gw"]);
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
fn pods_that_a_quota_forbids_are_the_reason_that_a_status_tells() {
    let lab = Lab::start();
    lab.kubectl(&["create", "quota", "none", "-n", "istio-system", "--hard=pods=0"]);
    lab.apply_spec("{profile: minimal}");
    let status = lab.wait_for_status("RECONCILING", &["Deployment istio-system/istiod", "exceeded quota: none"]);
    let pilot = status["componentStatus"]["Pilot"]["error"].as_str().unwrap();
    assert!(pilot.contains("exceeded quota: none"), "{pilot}");
    let told = crate::commands_run::run(&lab, "operator status");
    assert!(
        told.out.contains("Deployment istio-system/istiod: 0 of 1 pods") && told.out.contains("exceeded quota"),
        "{told:?}"
    );
    lab.kubectl(&["delete", "quota", "none", "-n", "istio-system"]);
    lab.kubectl(&["rollout", "restart", "deployment/istiod", "-n", "istio-system"]);
    lab.wait_for_status("HEALTHY", &[]);
}
