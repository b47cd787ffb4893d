//! Another version by an edited spec.

use crate::lab::Lab;
use serde_json::Value;
use std::collections::BTreeSet;

const WORKLOADS: [&str; 3] = ["istiod", "istio-ingressgateway", "istio-egressgateway"];

fn image(lab: &Lab, name: &str) -> String {
    let deployment = lab.deployment(name).unwrap();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

/// A spec with a tag, and what else is set of istiod.
fn spec(tag: &str, istiod: &str) -> String {
    format!("{{profile: demo, tag: {tag}, components: {{pilot: {{k8s: {{{istiod}}}}}}}}}")
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Complaint: an upgrade of the operator rolled gateways before the control plane stood (istio#28707, #34709).
#[test]
#[ignore = "long: `make test-all`"]
fn an_upgrade_stops_at_an_istiod_that_never_stands_and_goes_on_after_it() {
    let lab = Lab::installed(&spec("1.17.8", ""));
    lab.owned_at_rest();
    lab.apply_spec(&spec("1.17.9", "nodeSelector: {disk: none-such}"));
    let status = lab.wait_for_status("RECONCILING", &["Deployment istio-system/istiod", "node affinity/selector"]);
    for gateways in ["IngressGateways", "EgressGateways"] {
        let component = &status["componentStatus"][gateways];
        assert_eq!((&component["version"], &component["error"]), (&"1.17.8".into(), &"waits for Istiod".into()));
    }
    assert_eq!(status["componentStatus"]["Pilot"]["version"], "1.17.9");
    assert_eq!(status["version"], "1.17.8", "the whole is of the old version until all of it is new");
    assert!(image(&lab, "istiod").ends_with(":1.17.9"));
    for gateway in ["istio-ingressgateway", "istio-egressgateway"] {
        assert!(image(&lab, gateway).ends_with(":1.17.8"), "{gateway} did not wait");
    }
    assert_eq!(lab.deployment("istiod").unwrap()["status"]["readyReplicas"], 1, "the old istiod serves on");

    let mark = lab.mark();
    lab.apply_spec(&spec("1.17.9", ""));
    let mut gaps = BTreeSet::new();
    lab.wait("the new version", || {
        gaps.extend(WORKLOADS.into_iter().filter(|name| {
            let ready = &lab.deployment(name).unwrap()["status"]["readyReplicas"];
            ready.as_i64().is_none_or(|ready| ready < 1)
        }));
        let status = lab.iop("main").unwrap()["status"].clone();
        let is_done = status["status"] == "HEALTHY" && status["version"] == "1.17.9";
        if is_done { Ok(()) } else { Err(status["message"].to_string()) }
    });
    assert!(gaps.is_empty(), "{gaps:?} had no pod that was ready");
    let of_objects = |w: &&String| !["istiooperators", "events", "deployments"].iter().any(|kind| w.contains(kind));
    let writes = lab.writes_since(mark);
    let others: Vec<_> = writes.iter().filter(of_objects).collect();
    assert!(others.is_empty(), "only the workloads differ: {others:#?}");
    for workload in WORKLOADS {
        assert!(image(&lab, workload).ends_with(":1.17.9"), "{workload} was left behind");
    }
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_dry_run_shows_an_upgrade_and_touches_nothing() {
    let lab = Lab::installed(&spec("1.17.8", ""));
    let installed = lab.owned_at_rest();
    let annotate = |value: &str| lab.annotate("main", value);
    annotate("install.istio.io/dryRun=true");
    let mark = lab.mark();
    let smaller =
        "{profile: demo, tag: 1.17.9, components: {egressGateways: [{name: istio-egressgateway, enabled: false}],
        ingressGateways: [{name: istio-ingressgateway, enabled: true}, {name: second, enabled: true}]}}";
    lab.apply_spec(smaller);
    let status = lab.wait_for_status("ACTION_REQUIRED", &["dry run", "nothing is applied"]);
    let plan = &status["plan"];
    assert!(texts(&plan["create"]).contains("Deployment istio-system/second"), "{plan:#}");
    let restart = BTreeSet::from(["Deployment istio-system/istiod", "Deployment istio-system/istio-ingressgateway"]);
    assert_eq!(texts(&plan["restart"]), restart, "{plan:#}");
    let change = plan["change"].as_array().unwrap();
    let istiod = change.iter().find(|c| c["object"] == "Deployment istio-system/istiod").unwrap();
    let image = ".spec.template.spec.containers[name:discovery].image";
    assert!(texts(&istiod["fields"]).contains(image), "{istiod:#}");
    assert!(texts(&plan["prune"]).contains("Deployment istio-system/istio-egressgateway"), "{plan:#}");
    let others: Vec<_> = lab
        .writes_since(mark)
        .into_iter()
        .filter(|w| !w.contains("istiooperators/status") && !w.contains(" events "))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    lab.apply_spec(&spec("1.17.8", ""));
    lab.wait_for_status("ACTION_REQUIRED", &["nothing would change"]);
    annotate("install.istio.io/dryRun-");
    let status = lab.wait_for_status("HEALTHY", &[]);
    assert!(status["plan"].is_null());
    assert_eq!(lab.owned_at_rest(), installed);
    a_dry_run_deletes_nothing(&lab);
}

/// With a value that is not understood, which counts as "true", beside a name that is misspelt.
fn a_dry_run_deletes_nothing(lab: &Lab) {
    let installed = lab.owned_at_rest();
    lab.annotate("main", "install.istio.io/dryRun=yes");
    lab.annotate("main", "install.istio.io/relase=1.30.3");
    lab.wait("both to be named", || {
        let status = lab.iop("main").unwrap()["status"].take();
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        let told = conditions.find(|c| c["type"] == "InvalidAnnotation").map(|c| c["message"].to_string());
        let told = told.unwrap_or_default().replace('\\', "");
        let is_said = told.contains("install.istio.io/dryRun is \"yes\"") && told.contains("did you mean \"release\"?");
        if is_said { Ok(()) } else { Err(status.to_string()) }
    });
    lab.wait_for_status("ACTION_REQUIRED", &["nothing would change"]);
    // One that has never installed anything goes at once.
    let metadata = "{name: tried, namespace: istio-system, finalizers: [istio-finalizer.install.istio.io], \
                    annotations: {install.istio.io/dryRun: \"true\"}}";
    lab.apply(&format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {metadata}\nspec: {{profile: empty}}\n"
    ));
    lab.delete("tried");
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--wait=false"]);
    let said = ["dry run", "install.istio.io/dryRun", "nothing is deleted", "ignoreReconcile"];
    let status = lab.wait_for_status("ACTION_REQUIRED", &said);
    let held = status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "DeletionHeld");
    assert!(held, "{status:#}");
    assert_eq!(lab.owned_at_rest(), installed);
    lab.annotate("main", "install.istio.io/dryRun-");
    lab.wait("the resource to be gone", || lab.iop("main").map_or(Ok(()), |r| Err(r["status"].to_string())));
    assert_eq!(lab.deployment("istiod"), None);
}

/// The webhook fails closed, and serves nothing while istiod is away: our own EnvoyFilters are refused until it is back.
#[test]
#[ignore = "long: `make test-all`"]
fn while_istiod_is_away_its_webhook_does_not_keep_it_from_coming_back() {
    let lab = Lab::installed(&spec("1.17.9", ""));
    let validator = "istio-validator-istio-system";
    let webhooks =
        lab.get(&format!("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{validator}"));
    let name = webhooks.unwrap()["webhooks"][0]["name"].clone();
    let closed = serde_json::json!({"webhooks": [{"name": name, "failurePolicy": "Fail"}]}).to_string();
    lab.kubectl(&["patch", "validatingwebhookconfiguration", validator, "-p", &closed]);
    let filter =
        || lab.get("/apis/networking.istio.io/v1alpha3/namespaces/istio-system/envoyfilters/stats-filter-1.17");
    lab.kubectl(&["delete", "envoyfilter", "stats-filter-1.17", "-n", "istio-system"]);
    lab.kubectl(&["delete", "deployment", "istiod", "-n", "istio-system"]);
    lab.wait("istiod to come back", || match lab.deployment("istiod") {
        Some(istiod) if istiod["status"]["readyReplicas"] == 1 => Ok(()),
        other => Err(other.unwrap_or_default()["status"].to_string()),
    });
    lab.wait_for_status("ERROR", &["EnvoyFilter istio-system/stats-filter-1.17", "webhook"]);
    assert_eq!(filter(), None, "the webhook should have refused it");
    let open = closed.replace("Fail\"", "Ignore\"");
    lab.kubectl(&["patch", "validatingwebhookconfiguration", validator, "-p", &open]);
    lab.wait_for_status("HEALTHY", &[]);
    assert!(filter().is_some());
}
