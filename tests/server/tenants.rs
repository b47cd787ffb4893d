//! Who may install what where.

use crate::lab::{Lab, file};
use serde_json::{Value, json};

const BINDING: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/istiod-clusterrole-team";

fn path(namespace: &str) -> String {
    format!("/apis/install.istio.io/v1alpha1/namespaces/{namespace}/istiooperators")
}

fn resource(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": name}, "spec": spec})
}

fn gateway(namespace: &str) -> Value {
    json!({"profile": "empty", "namespace": namespace, "components": {"ingressGateways": [
        {"name": "gateway", "namespace": namespace, "enabled": true}]}})
}

/// Issue: whoever could create a resource in any namespace could give himself all Secrets of the cluster.
#[test]
fn a_tenant_gets_nothing_beyond_his_namespace_by_a_resource_there() {
    let lab = Lab::without_operator();
    lab.kubectl(&["create", "namespace", "team"]);
    lab.watch_over(lab.start_another("all", &["--watch-namespace="]));
    let subjects = json!([{"kind": "ServiceAccount", "name": "default", "namespace": "team"}]);
    let greedy = json!({"profile": "minimal", "namespace": "team", "components": {"pilot": {"k8s": {"overlays": [
        {"kind": "ClusterRoleBinding", "name": "istiod-clusterrole-team", "patches": [
            {"path": "subjects", "value": subjects}]}]}}}});
    lab.request("POST", &path("team"), &resource("greedy", &greedy)).unwrap();
    let status = lab.wait("an answer", || {
        let status = lab.get(&format!("{}/greedy", path("team"))).unwrap()["status"].clone();
        if ["ERROR", "HEALTHY"].map(Value::from).contains(&status["status"]) {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    });
    assert_eq!(lab.get(BINDING).map(|b| b["subjects"].clone()), None, "the tenant reads all Secrets");
    let said = status["message"].as_str().unwrap_or_default();
    assert!(status["status"] == "ERROR" && said.contains("namespace team is not privileged"), "{status:#}");
    assert!(said.contains("--privileged-namespaces"), "{said}");

    lab.request("POST", &path("team"), &resource("modest", &gateway("team"))).unwrap();
    lab.wait("the gateway of the tenant", || {
        let status = lab.get(&format!("{}/modest", path("team"))).unwrap()["status"].clone();
        if status["status"] == "HEALTHY" { Ok(()) } else { Err(status.to_string()) }
    });
    assert!(lab.get("/apis/apps/v1/namespaces/team/deployments/gateway").is_some());
    // Where control planes belong nothing is different.
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
}

/// What a tenant is told by the API server, with `config/admission` applied.
#[test]
fn the_admission_policy_refuses_and_allows_as_documented() {
    let lab = Lab::without_operator();
    for namespace in ["team", "closed"] {
        lab.kubectl(&["create", "namespace", namespace]);
        let role = ["create", "rolebinding", "tenant", "--clusterrole=tenant", "--user=tenant", "-n", namespace];
        lab.kubectl(&role);
    }
    lab.kubectl(&["label", "namespace", "team", "install.istio.io/tenants=allowed"]);
    lab.kubectl(&["create", "clusterrole", "tenant", "--verb=*", "--resource=istiooperators.install.istio.io"]);
    lab.kubectl(&["apply", "-k", &file("config/admission").to_string_lossy()]);
    let create = |user: &str, namespace: &str, spec: &Value| {
        let name = file("target").join(format!("tenant-{}.json", std::process::id()));
        let mut resource = resource("x", spec);
        resource["metadata"]["namespace"] = namespace.into();
        std::fs::write(&name, resource.to_string()).unwrap();
        let said = lab.plane().kubectl(&["create", user, "--dry-run=server", "-f", &name.to_string_lossy()]);
        std::fs::remove_file(&name).unwrap();
        said.map(drop).map_err(|e| format!("{e:#}"))
    };
    let as_tenant = |namespace: &str, spec: &Value| create("--as=tenant", namespace, spec);
    // The API server learns of a policy a while after it is made.
    lab.wait("the policy to be in force", || match as_tenant("closed", &gateway("closed")) {
        Err(no) if no.contains("install.istio.io/tenants=allowed") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(as_tenant("team", &gateway("team")), Ok(()));
    let with = |k8s: &Value| {
        let mut spec = gateway("team");
        spec["components"]["ingressGateways"][0]["k8s"] = k8s.clone();
        spec
    };
    let overlay = |kind: &str| json!({"overlays": [{"kind": kind, "name": "gateway", "patches": []}]});
    assert_eq!(as_tenant("team", &with(&overlay("Deployment"))), Ok(()));
    let mut elsewhere = gateway("team");
    elsewhere["components"]["ingressGateways"][0]["namespace"] = "kube-system".into();
    let pilot = json!({"profile": "empty", "components": {"pilot": {"enabled": true}}});
    let refused = [
        (json!({"profile": "minimal"}), "spec.profile must be empty"),
        (json!({}), "spec.profile must be empty"),
        (elsewhere, "must name the namespace of the resource"),
        (gateway("kube-system"), "spec.namespace must be the namespace of the resource"),
        (pilot, "only spec.components.ingressGateways and egressGateways"),
        (json!({"profile": "empty", "values": {"global": {}}}), "spec.values"),
        (with(&overlay("Role")), "overlays are for Deployment"),
        (with(&overlay("MutatingWebhookConfiguration")), "overlays are for Deployment"),
    ];
    for (spec, why) in refused {
        let said = as_tenant("team", &spec);
        assert!(said.as_ref().is_err_and(|no| no.contains(why)), "{spec}: {said:?}, not {why}");
    }
    // An operator of a revision has another name.
    let account = "--serviceaccount=istio-operator:istio-operator-canary";
    lab.kubectl(&["create", "clusterrolebinding", "canary", "--clusterrole=tenant", account]);
    let canary = "--as=system:serviceaccount:istio-operator:istio-operator-canary";
    lab.wait("its right", || create(canary, "closed", &json!({"profile": "minimal"})));
    // An administrator and the operator do as before.
    lab.start_operator();
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
}
