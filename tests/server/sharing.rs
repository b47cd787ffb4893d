//! Several resources that want the same objects.

use crate::lab::{Lab, touched};
use serde_json::Value;

const CANARY: &str = "{profile: default, revision: canary}";

fn deployment_owner(lab: &Lab, name: &str) -> Value {
    lab.deployment(name)
        .map(|d| d["metadata"]["labels"]["install.operator.istio.io/owning-resource"].clone())
        .unwrap_or_default()
}

fn condition(lab: &Lab, resource: &str, kind: &str) -> Option<Value> {
    let conditions = lab.iop(resource)?["status"]["conditions"].clone();
    conditions.as_array()?.iter().find(|c| c["type"] == kind).cloned()
}

fn nothing_is_left(lab: &Lab) {
    let left: Vec<_> = lab.owned().into_keys().filter(|k| !k.starts_with("CustomResourceDefinition ")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Complaints of users: deleting one resource took what another needed (istio#24644, #29633, #40577).
#[test]
fn what_several_resources_share_goes_with_the_last() {
    let lab = Lab::installed("{profile: default}");
    let alone = lab.owned_at_rest();

    // The same once more: nothing is written, nothing is contradicted.
    lab.apply_named("twin", "{profile: default}");
    lab.wait_for_status_of("twin", "HEALTHY", &[]);
    let shared = lab.owned_at_rest();
    assert!(touched(&alone, &shared).is_empty() && alone.len() == shared.len());
    lab.delete("main");
    lab.wait("the twin to have it all", || match deployment_owner(&lab, "istiod") {
        owner if owner == "twin" => Ok(()),
        other => Err(other.to_string()),
    });
    lab.wait_for_status_of("twin", "HEALTHY", &[]);
    let left = lab.owned_at_rest();
    assert_eq!(left.keys().collect::<Vec<_>>(), alone.keys().collect::<Vec<_>>());
    let replaced: Vec<_> = left.iter().filter(|(key, now)| alone[*key].uid != now.uid).map(|(key, _)| key).collect();
    assert!(replaced.is_empty(), "{replaced:?} went with the first of two");
    lab.delete("twin");
    nothing_is_left(&lab);
}

/// Complaint of users: resources that contradict each other never recovered (istio#27840).
#[test]
#[ignore = "long: `make test-all`"]
fn what_resources_contradict_each_other_in_stays_the_firsts() {
    let lab = Lab::installed("{profile: default}");
    // Issue: the commonest mistake, two resources without a revision, was told in terms of ConfigMaps.
    lab.apply_named("second", "{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    let first =
        "IstioOperator istio-system/main has the control plane of revision default already; give this resource a";
    let status = lab.wait_for_status_of("second", "ERROR", &[first, "spec.revision", "ConfigMap istio-system/istio"]);
    assert!(status["message"].as_str().is_some_and(|said| said.starts_with(first) && said.len() < 500), "{status:#}");
    lab.delete("second");
    // Another revision whose gateway has the same name and is another.
    lab.apply_named("canary", CANARY);
    let status = lab.wait_for_status_of(
        "canary",
        "ERROR",
        &["Deployment istio-system/istio-ingressgateway", "istio-system/main"],
    );
    assert_eq!(status["componentStatus"]["Pilot"]["status"], "HEALTHY", "{status:#}");
    let conflict = condition(&lab, "canary", "Conflict").expect("no condition");
    assert!(conflict["message"].as_str().unwrap().contains("IstioOperator istio-system/main"), "{conflict:#}");
    assert!(lab.deployment("istiod-canary").is_some(), "what is not contradicted is installed");
    assert_eq!(deployment_owner(&lab, "istio-ingressgateway"), "main");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(condition(&lab, "main", "Conflict"), None);

    // The first one goes; its gateway becomes the other's, without having been away, and so does the base.
    let uid = lab.deployment("istio-ingressgateway").unwrap()["metadata"]["uid"].clone();
    lab.delete("main");
    lab.wait_for_status_of("canary", "HEALTHY", &[]);
    assert_eq!(condition(&lab, "canary", "Conflict"), None);
    let gateway = lab.deployment("istio-ingressgateway").unwrap();
    assert_eq!(gateway["metadata"]["uid"], uid);
    assert_eq!(gateway["spec"]["template"]["metadata"]["labels"]["istio.io/rev"], "canary");
    assert_eq!(lab.deployment("istiod"), None, "what only the first wanted is left");
    lab.delete("canary");
    nothing_is_left(&lab);
}
