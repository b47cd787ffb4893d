//! What others change of what is installed.

use crate::lab::Lab;
use serde_json::{Value, json};

const NAMESPACE: &str = "/api/v1/namespaces/istio-system";
const VALIDATOR: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/istio-validator-istio-system";
const WRITES: &str = "istio_install_operator_apply_total";

#[test]
fn what_was_deleted_or_edited_comes_back_and_what_others_added_stays() {
    let lab = Lab::start();
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    let before = lab.metric(WRITES);
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
    let webhook = &lab.get(VALIDATOR).unwrap()["webhooks"][0];
    assert_eq!((&webhook["failurePolicy"], &webhook["clientConfig"]["caBundle"]), (&json!("Fail"), &json!("Y2E=")));
    assert_eq!(lab.metric(WRITES), before + 3, "one write for each of the three");
}

/// What istiod does to its webhook once it serves.
fn as_istiod_serves(lab: &Lab) {
    let name = &lab.get(VALIDATOR).unwrap()["webhooks"][0]["name"];
    let served = json!({"webhooks": [{"name": name, "failurePolicy": "Fail", "clientConfig": {"caBundle": "Y2E="}}]});
    lab.kubectl(&[
        "patch",
        "validatingwebhookconfiguration",
        "istio-validator-istio-system",
        "-p",
        &served.to_string(),
    ]);
}
