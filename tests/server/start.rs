//! How the operator begins: before its definition, for some namespaces only.

use crate::lab::Lab;
use serde_json::{Value, json};

const DEFINITION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/istiooperators.install.istio.io.yaml");
const RESOURCES: &str = "/apis/install.istio.io/v1alpha1/namespaces/team/istiooperators";
const GATEWAY: &str =
    "{profile: empty, components: {ingressGateways: [{name: NAME, namespace: NAMESPACE, enabled: true}]}}";

fn gateway(name: &str, namespace: &str) -> String {
    GATEWAY.replace("NAMESPACE", namespace).replace("NAME", name)
}

/// Complaints: an operator that found no definition at its start ended (gitops-istio#34).
#[test]
fn an_operator_may_start_before_its_definition() {
    let lab = Lab::without_operator();
    lab.kubectl(&["delete", "crd", "istiooperators.install.istio.io"]);
    let mut operator = lab.begin_operator();
    lab.wait("the operator to say what it lacks", || {
        let log = operator.log_tail(20);
        if log.contains("IstioOperator is not defined in this cluster; define it: istio-operator crd") {
            Ok(())
        } else {
            Err(log)
        }
    });
    assert!(operator.get("/readyz").unwrap().is_err_and(|e| e.contains(" 503 ")));
    assert_eq!(operator.get("/healthz").unwrap(), Ok("ok\n".into()));
    lab.kubectl(&["apply", "--server-side", "-f", DEFINITION]);
    lab.wait_established(&["crd/istiooperators.install.istio.io"]);
    operator.wait_until_ready().unwrap();
    lab.watch_over(operator);
    lab.apply_spec(&gateway("first", "istio-system"));
    lab.wait_for_status("HEALTHY", &[]);
}

/// Complaint: operators that copied labels of their resource had what they installed pruned (falco-operator#349), and a
/// spec that a controller writes is never in sync (argo-cd#28724).
#[test]
fn what_argo_cd_writes_on_a_resource_stays_there_and_goes_no_further() {
    let lab = Lab::installed(&gateway("first", "istio-system"));
    let spec = lab.iop("main").unwrap()["spec"].clone();
    let (label, annotation) = ("app.kubernetes.io/instance=mesh", "argocd.argoproj.io/tracking-id=mesh");
    lab.kubectl(&["label", "iop", "main", "-n", "istio-system", label]);
    lab.annotate("main", annotation);
    // Written anew with them, if ever.
    lab.kubectl(&["delete", "deployment", "first", "-n", "istio-system"]);
    lab.wait("the gateway to be back", || lab.deployment("first").map(drop).ok_or_else(String::new));
    lab.wait_for_status("HEALTHY", &[]);
    let metadata = lab.deployment("first").unwrap()["metadata"].clone();
    assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], Value::Null);
    assert_eq!(metadata["annotations"]["argocd.argoproj.io/tracking-id"], Value::Null);
    let record = lab.iop("installed-state-main").unwrap()["metadata"].clone();
    assert_eq!(record["labels"]["app.kubernetes.io/instance"], Value::Null, "{record:#}");
    assert_eq!(lab.iop("main").unwrap()["spec"], spec, "nobody writes a spec but who wrote it");
}

/// Complaints: namespaces to be watched were not, or others were (istio#24682, #24696, #25208, #26317, #24222, #31235).
#[test]
fn resources_of_other_namespaces_are_left_alone() {
    let lab = Lab::without_operator();
    for namespace in ["team", "other"] {
        lab.kubectl(&["create", "namespace", namespace]);
    }
    lab.apply_named("ignored", &gateway("ignored", "istio-system"));
    lab.watch_over(lab.start_another("scoped", &["--watch-namespace=other,team", "--privileged-namespaces=team"]));
    let resource = |name: &str, namespace: &str| {
        json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": name},
            "spec": {"profile": "empty", "components": {"ingressGateways": [
                {"name": name, "namespace": namespace, "enabled": true}]}}})
    };
    lab.request("POST", RESOURCES, &resource("team-gateway", "other")).unwrap();
    let path = format!("{RESOURCES}/team-gateway");
    lab.wait("HEALTHY", || match lab.get(&path).unwrap()["status"].take() {
        status if status["status"] == "HEALTHY" => Ok(()),
        status => Err(status.to_string()),
    });
    assert!(lab.iop("ignored").unwrap()["status"].is_null());
    assert_eq!(lab.deployment("ignored"), None);
    // What they install is watched wherever it is.
    let deployment = "/apis/apps/v1/namespaces/other/deployments/team-gateway";
    lab.request("DELETE", deployment, &Value::Null).unwrap();
    lab.wait("the gateway to be back", || match lab.get(deployment) {
        Some(found) if found["metadata"]["deletionTimestamp"].is_null() => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
