//! A control plane that stays though its resource wants none at all any more is repaired like any other.

use crate::lab::{Lab, touched};
use serde_json::{Value, json};

const SERVICE: &str = "/api/v1/namespaces/istio-system/services/istiod";
const TAG: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-revision-tag-prod";

fn wait_for_service(lab: &Lab) {
    lab.wait("the Service to be repaired", || match lab.get(SERVICE) {
        Some(_) => Ok(()),
        None => Err(lab.iop("main").unwrap()["status"].to_string()),
    });
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_control_plane_kept_without_a_new_one_is_repaired() {
    let lab = Lab::installed("{profile: minimal}");
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]);
    for spec in ["{profile: minimal, components: {pilot: {enabled: false}}}", "{profile: empty}"] {
        lab.apply_spec(spec);
        lab.wait_for_status("ACTION_REQUIRED", &["Namespace shop"]);
        // All is written by then.
        lab.owned_at_rest();
        lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
        wait_for_service(&lab);
    }
    // A restart remembers.
    assert_eq!(lab.terminate_operator(), Some(0));
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    lab.start_operator();
    wait_for_service(&lab);
    // The record comes to be that of the present spec once nothing is kept.
    lab.kubectl(&["label", "namespace", "shop", "istio-injection-"]);
    lab.wait_for_status("HEALTHY", &[]);
    lab.wait("the record of nothing", || {
        let record = lab.iop("installed-state-main").map(|record| record["spec"]["profile"].clone());
        if record == Some(Value::from("empty")) { Ok(()) } else { Err(format!("{record:?}")) }
    });
}

/// A tag that both control planes had was given from one to the other without end.
#[test]
#[ignore = "long: `make test-all`"]
fn what_two_control_planes_that_stay_have_in_common_is_repaired_by_one() {
    let lab = Lab::start();
    let apply = |spec: &str| lab.apply_spec(&format!("{{profile: minimal, {spec} values: {{revisionTags: [prod]}}}}"));
    apply("");
    lab.wait_for_status("HEALTHY", &[]);
    let users = [("shop", "istio-injection=enabled"), ("bank", "istio.io/rev=canary"), ("till", "istio.io/rev=prod")];
    for (namespace, label) in users {
        lab.kubectl(&["create", "namespace", namespace]);
        lab.kubectl(&["label", "namespace", namespace, label]);
    }
    apply("revision: canary,");
    lab.wait_for_status("HEALTHY", &[]);
    apply("revision: canary, components: {pilot: {enabled: false}},");
    lab.wait_for_status("ACTION_REQUIRED", &["Namespace shop", "Namespace bank"]);
    let before = lab.owned_at_rest();
    assert_eq!(lab.get(TAG).unwrap()["metadata"]["labels"]["istio.io/rev"], "canary");
    // It comes back as the one of the control plane that was wanted last.
    lab.kubectl(&["delete", "mutatingwebhookconfiguration", "istio-revision-tag-prod"]);
    lab.wait("the tag to be repaired", || lab.get(TAG).map(drop).ok_or_else(String::new));
    let after = lab.owned_at_rest();
    assert_eq!(lab.get(TAG).unwrap()["metadata"]["labels"]["istio.io/rev"], "canary");
    let changed = touched(&before, &after);
    assert!(changed.iter().all(|key| key.contains("istio-revision-tag-prod")), "{changed:?}");
    // Wanted again, without the tag: it stays that one's for whoever names it.
    lab.apply_spec("{profile: minimal, revision: canary}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.wait("the tag to be kept", || {
        let held = lab.iop("main").unwrap()["status"]["held"].take();
        let is_so = held[1]["tag"] == "prod" && held[1]["usedBy"] == json!(["Namespace till"]);
        if is_so { Ok(()) } else { Err(held.to_string()) }
    });
    lab.owned_at_rest();
    assert_eq!(lab.get(TAG).unwrap()["metadata"]["labels"]["istio.io/rev"], "canary");
}

/// A tag taken out of the spec left the namespaces that name it without injection.
#[test]
#[ignore = "long: `make test-all`"]
fn a_tag_that_somebody_names_stays_until_nobody_does_or_somebody_insists() {
    let lab = Lab::start();
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio.io/rev=prod"]);
    let take_out = || {
        lab.apply_spec("{profile: minimal, values: {revisionTags: [prod]}}");
        lab.wait_for_status("HEALTHY", &[]);
        lab.wait("the tag", || lab.get(TAG).map(drop).ok_or_else(String::new));
        lab.apply_spec("{profile: minimal}");
        lab.wait_for_status("HEALTHY", &[]);
        lab.wait("the tag to be kept", || {
            let held = lab.iop("main").unwrap()["status"]["held"].take();
            let is_so = held[0]["tag"] == "prod" && held[0]["usedBy"] == json!(["Namespace shop"]);
            if is_so { Ok(()) } else { Err(held.to_string()) }
        });
        lab.owned_at_rest();
        assert!(lab.get(TAG).is_some());
    };
    let is_gone = || {
        let status = lab.iop("main").unwrap()["status"].take();
        if lab.get(TAG).is_none() && status["held"].is_null() { Ok(()) } else { Err(status.to_string()) }
    };
    take_out();
    lab.annotate("main", "install.istio.io/force-prune=prod");
    lab.wait("the tag to go by force", is_gone);
    lab.annotate("main", "install.istio.io/force-prune-");
    take_out();
    lab.kubectl(&["label", "namespace", "shop", "--overwrite", "istio.io/rev=default"]);
    lab.wait("the tag to go", is_gone);
}
