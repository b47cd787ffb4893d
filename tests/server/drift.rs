//! What others change of what is installed.

use crate::lab::Lab;
use serde_json::{Value, json};

const NAMESPACE: &str = "/api/v1/namespaces/istio-system";
const VALIDATOR: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/istio-validator-istio-system";
const INJECTOR: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector";

#[test]
fn what_was_deleted_or_edited_comes_back_and_what_others_added_stays() {
    let lab = Lab::installed("{profile: minimal}");
    lab.owned_at_rest();
    let mark = lab.mark();
    let (old, config) = (lab.deployment("istiod").unwrap(), lab.get(&format!("{NAMESPACE}/configmaps/istio")).unwrap());

    let in_system = |args: &[&str]| lab.kubectl(&[args, &["-n", "istio-system"]].concat());
    in_system(&["delete", "deployment", "istiod"]);
    in_system(&["patch", "configmap", "istio", "-p", r#"{"data": {"mesh": "edited", "added": "by another"}}"#]);
    in_system(&["label", "service", "istiod", "app-", "team=mesh"]);
    as_istiod_serves(&lab);

    lab.wait("what was edited to come back", || {
        let now = lab.get(&format!("{NAMESPACE}/configmaps/istio")).ok_or("no ConfigMap")?;
        let service = lab.get(&format!("{NAMESPACE}/services/istiod")).ok_or("no Service")?;
        let deployment = lab.deployment("istiod").ok_or("no Deployment")?;
        let back = now["data"]["mesh"] == config["data"]["mesh"]
            && service["metadata"]["labels"]["app"] == "istiod"
            && deployment["metadata"]["uid"] != old["metadata"]["uid"];
        if back { Ok(()) } else { Err(format!("{now:#}\n{service:#}")) }
    });
    lab.wait("HEALTHY after the repair", || match lab.deployment("istiod").unwrap()["status"]["readyReplicas"] {
        Value::Null => Err("istiod is not ready".into()),
        _ => Ok(()),
    });
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();

    let config = lab.get(&format!("{NAMESPACE}/configmaps/istio")).unwrap();
    assert_eq!(config["data"]["added"], "by another");
    let service = lab.get(&format!("{NAMESPACE}/services/istiod")).unwrap();
    assert_eq!(service["metadata"]["labels"]["team"], "mesh");
    let injector = lab.get(INJECTOR).unwrap();
    assert_eq!(injector["webhooks"][0]["clientConfig"]["caBundle"], "Y2E=");
    let webhook = &lab.get(VALIDATOR).unwrap()["webhooks"][0];
    assert_eq!((&webhook["failurePolicy"], &webhook["clientConfig"]["caBundle"]), (&json!("Fail"), &json!("Y2E=")));
    let (told, writes): (Vec<_>, Vec<_>) =
        lab.writes_since(mark).into_iter().partition(|w| w.contains("istiooperators") || w.contains("events"));
    assert_eq!(writes.len(), 3, "one write for each of the three: {writes:#?}");
    repairs_are_told_in_few_events(&lab, &told);
    assert_eq!(lab.metric("istio_install_operator_drift_repair_total"), 3);
    assert_eq!(lab.metric("istio_install_operator_resources{ready=\"true\"}"), 1);
    assert_eq!(lab.metric("istio_install_operator_owned_resource_total{kind=\"apps/Deployment\"}"), 1);
    assert!(lab.metric("istio_install_operator_api_request_total{verb=\"PATCH\"}") > 3);
}

/// At most an event a repair, one that istiod is away and one that it is back. One that was seen before is refused and then
/// counted once more, so the refusals are left out.
fn repairs_are_told_in_few_events(lab: &Lab, writes: &[String]) {
    let accepted = writes.iter().filter(|w| w.contains("events") && !w.ends_with(": 409")).count();
    assert!((1..=5).contains(&accepted), "{writes:#?}");
    let repairs = lab.events("DriftRepaired");
    let told: String = repairs.iter().filter_map(|e| e["message"].as_str()).collect();
    for repaired in
        ["Deployment istio-system/istiod (was deleted)", "ConfigMap istio-system/istio", "Service istio-system/istiod"]
    {
        assert!(repairs.len() <= 3 && told.contains(repaired), "{repaired}: {repairs:#?}");
    }
}

/// An object, a field of it, and what somebody makes of that field.
const EDITS: &[(&str, &str, &str)] = &[
    (
        "/apis/apps/v1/namespaces/istio-system/deployments/istiod",
        "/spec/template/spec/containers/0/args",
        r#"["sleep"]"#,
    ),
    ("/api/v1/namespaces/istio-system/services/istiod", "/spec/selector/app", r#""nobody""#),
    ("/api/v1/namespaces/istio-system/configmaps/istio-sidecar-injector", "/data/values", r#""{}""#),
    ("/api/v1/namespaces/istio-system/serviceaccounts/istiod", "/metadata/labels/app", r#""edited""#),
    ("/apis/autoscaling/v2/namespaces/istio-system/horizontalpodautoscalers/istiod", "/spec/maxReplicas", "9"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterroles/istiod-clusterrole-istio-system", "/rules", "[]"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/istiod-clusterrole-istio-system", "/subjects", "[]"),
    (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-revision-tag-default",
        "/webhooks/0/namespaceSelector/matchExpressions",
        "[]",
    ),
    (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io",
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/description",
        r#""edited""#,
    ),
];

/// Complaints: an edit of an installed object stayed for ever (istio#23603, #23238, #27355, #32800, #21019), or that of a
/// kind without generations did (in Sail).
#[test]
#[ignore = "long: `make test-all`"]
fn an_edit_of_any_kind_of_object_is_repaired() {
    let lab = Lab::installed("{profile: minimal}");
    lab.owned_at_rest();
    for (path, field, edited) in EDITS {
        let before = lab.get(path).unwrap();
        let right = before.pointer(field).unwrap_or_else(|| panic!("{path} has no {field}")).clone();
        let mut changed = before;
        *changed.pointer_mut(field).unwrap() = serde_json::from_str(edited).unwrap();
        lab.request("PUT", path, &changed).unwrap();
        lab.wait(&format!("{field} of {path} to be repaired"), || match lab.get(path).unwrap().pointer(field) {
            Some(now) if *now == right => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
fn what_is_annotated_to_be_ignored_is_left_as_it_is() {
    let lab = Lab::installed("{profile: minimal}");
    lab.owned_at_rest();
    let service = || lab.get(&format!("{NAMESPACE}/services/istiod")).unwrap();
    let edit = |args: &[&str]| lab.kubectl(&[args, &["-n", "istio-system"]].concat());
    edit(&["annotate", "service", "istiod", "install.istio.io/ignore=true"]);
    let listed = || lab.iop("main").unwrap()["status"]["ignored"].clone();
    lab.wait("the status to list it", || match listed() {
        list if list == json!(["Service istio-system/istiod"]) => Ok(()),
        other => Err(other.to_string()),
    });
    edit(&["label", "service", "istiod", "app=mine", "--overwrite"]);
    // A value that is not understood leaves it alone too, and is told.
    edit(&["annotate", "service", "istiod", "install.istio.io/ignore=yes", "--overwrite"]);
    lab.wait("the value to be named", || {
        let status = lab.iop("main").unwrap()["status"].take();
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        let told =
            conditions.find(|condition| condition["type"] == "InvalidAnnotation").map(|c| c["message"].to_string());
        let named = "Service istio-system/istiod: install.istio.io/ignore is";
        if told.is_some_and(|told| told.contains(named)) { Ok(()) } else { Err(status.to_string()) }
    });
    // Repaired after the edit of the Service was seen, for that is how one watch after the other is served.
    lab.kubectl(&["label", "configmap", "istio", "-n", "istio-system", "istio.io/rev=x", "--overwrite"]);
    lab.wait("another object to be repaired", || {
        match &lab.get(&format!("{NAMESPACE}/configmaps/istio")).unwrap()["metadata"]["labels"]["istio.io/rev"] {
            label if label == "default" => Ok(()),
            other => Err(other.to_string()),
        }
    });
    assert_eq!(service()["metadata"]["labels"]["app"], "mine");
    edit(&["annotate", "service", "istiod", "install.istio.io/ignore-"]);
    lab.wait("it to be repaired when the annotation is gone", || match &service()["metadata"]["labels"]["app"] {
        label if label == "istiod" => Ok(()),
        other => Err(other.to_string()),
    });
    lab.wait("nothing to be listed", || if listed().is_null() { Ok(()) } else { Err(listed().to_string()) });
}

/// As the autoscaler's controller sets them; metrics, by which it would, there are none here.
#[test]
fn replicas_that_an_autoscaler_set_stay() {
    let lab = Lab::installed("{profile: minimal}");
    lab.owned_at_rest();
    let path = "/apis/apps/v1/namespaces/istio-system/deployments/istiod/scale?fieldManager=kube-controller-manager";
    let mut scale = lab.get(path).unwrap();
    scale["spec"]["replicas"] = json!(3);
    let mark = lab.mark();
    lab.request("PUT", path, &scale).unwrap();
    lab.wait("three pods", || match lab.deployment("istiod").unwrap()["status"]["readyReplicas"].as_i64() {
        Some(3) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(lab.deployment("istiod").unwrap()["spec"]["replicas"], 3);
    let writes: Vec<_> = lab.writes_since(mark).into_iter().filter(|w| w.contains("deployments")).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_fight_is_slowed_down_and_names_the_other() {
    let lab = Lab::installed("{profile: minimal}");
    lab.owned_at_rest();
    let path = format!("{NAMESPACE}/configmaps/istio");
    let mesh = || lab.get(&path).unwrap()["data"]["mesh"].clone();
    let right = mesh();
    let condition = || {
        let conditions = lab.iop("main").unwrap()["status"]["conditions"].clone();
        conditions.as_array().unwrap().iter().find(|c| c["type"] == "Contested").cloned()
    };
    let edit = |n: usize| {
        let edited = json!({"data": {"mesh": format!("round: {n}")}}).to_string();
        let args = ["patch", "configmap", "istio", "-n", "istio-system", "--field-manager=meddler", "-p", &edited];
        lab.kubectl(&args);
    };
    let repaired = || lab.wait("a repair", || if mesh() == right { Ok(()) } else { Err(mesh().to_string()) });
    // A person's few edits are not a fight; this is a controller that never gives in.
    let mut rounds = 0;
    while condition().is_none() && rounds < 100 {
        edit(rounds);
        repaired();
        rounds += 1;
    }
    assert!(rounds >= 20, "a fight after {rounds} rounds");
    let said = lab.wait("the fight to be told", || condition().ok_or_else(|| "nothing is told".into()));
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("ConfigMap istio-system/istio: meddler changes .data.mesh"), "{message}");
    assert_eq!(lab.events("Contested").len(), 1, "{:#?}", lab.events("Contested"));
    edit(100);
    repaired();
    let begun = std::time::Instant::now();
    edit(101);
    repaired();
    assert!(begun.elapsed().as_secs() >= 3, "repaired after {:?}, not slowed down", begun.elapsed());
    assert_eq!(lab.iop("main").unwrap()["status"]["status"], "HEALTHY", "a fight is not a failure");
}

/// What istiod does to its webhooks once it serves.
fn as_istiod_serves(lab: &Lab) {
    let patch = |kind: &str, path: &str, mut webhook: Value| {
        let configuration = lab.get(path).unwrap();
        webhook["name"] = configuration["webhooks"][0]["name"].clone();
        webhook["clientConfig"] = json!({"caBundle": "Y2E="});
        let name = configuration["metadata"]["name"].as_str().unwrap();
        lab.kubectl(&["patch", kind, name, "-p", &json!({"webhooks": [webhook]}).to_string()]);
    };
    patch("validatingwebhookconfiguration", VALIDATOR, json!({"failurePolicy": "Fail"}));
    patch("mutatingwebhookconfiguration", INJECTOR, json!({}));
}
