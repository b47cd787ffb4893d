//! What is done while a component waits for another one, and what is not.

use crate::lab::Lab;
use serde_json::Value;

const DEFAULT: &str = "{profile: default}";
const SERVICE: &str = "/api/v1/namespaces/istio-system/services/istio-ingressgateway";

/// Keeps istiod from becoming ready: its pods go, and no node takes new ones.
fn stop_istiod(lab: &Lab) {
    lab.kubectl(&["cordon", "node-1"]);
    lab.kubectl(&["delete", "pod", "-n", "istio-system", "-l", "app=istiod", "--force", "--grace-period=0"]);
    lab.wait_for_status("RECONCILING", &["istiod"]);
}

fn start_istiod(lab: &Lab) {
    lab.kubectl(&["uncordon", "node-1"]);
    lab.wait_for_status("HEALTHY", &[]);
}

fn wait_for_service(lab: &Lab) {
    lab.wait("the gateway's Service to come back", || {
        lab.get(SERVICE).map(drop).ok_or_else(|| lab.iop("main").unwrap()["status"].to_string())
    });
}

#[test]
fn a_gateway_is_repaired_while_istiod_is_away_and_not_changed() {
    let lab = Lab::installed(DEFAULT);
    stop_istiod(&lab);
    lab.kubectl(&["delete", "service", "istio-ingressgateway", "-n", "istio-system"]);
    wait_for_service(&lab);
    // By an operator too that has only now been started.
    assert_eq!(lab.terminate_operator(), Some(0));
    lab.kubectl(&["delete", "service", "istio-ingressgateway", "-n", "istio-system"]);
    lab.start_operator();
    wait_for_service(&lab);
    // What the spec changes waits.
    lab.apply_spec("{profile: default, components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {serviceAnnotations: {a: b}}}]}}");
    lab.wait_for_status("RECONCILING", &["istiod"]);
    lab.kubectl(&["label", "service", "istio-ingressgateway", "-n", "istio-system", "seen=yes"]);
    lab.owned_at_rest();
    assert_eq!(lab.get(SERVICE).unwrap()["metadata"]["annotations"]["a"], Value::Null);
    start_istiod(&lab);
    assert_eq!(lab.get(SERVICE).unwrap()["metadata"]["annotations"]["a"], "b");
}

#[test]
fn a_broken_node_of_the_cni_agent_keeps_nothing_from_being_pruned() {
    let lab = Lab::start();
    let spec = |cni: &str, gateways: &str| {
        format!(
            "{{profile: minimal, components: {{cni: {{enabled: true, k8s: {{{cni}}}}}, ingressGateways: [{gateways}]}}}}"
        )
    };
    let (one, other) = ("{name: istio-ingressgateway, enabled: true}", "{name: other, enabled: true}");
    lab.apply_spec(&spec("", &format!("{one}, {other}")));
    lab.wait_for_status("HEALTHY", &[]);
    // Pods that nobody makes ready.
    let broken = "podAnnotations: {kwok.x-k8s.io/status: custom}";
    lab.apply_spec(&spec(broken, &format!("{one}, {other}")));
    lab.wait_for_status("RECONCILING", &["istio-cni-node"]);
    lab.apply_spec(&spec(broken, one));
    lab.wait("the gateway nobody wants to be gone", || match lab.deployment("other") {
        None => Ok(()),
        Some(_) => Err(lab.iop("main").unwrap()["status"].to_string()),
    });
    lab.wait_for_status("RECONCILING", &["istio-cni-node"]);
}
