//! Whose the replicas of a workload are.

use crate::lab::Lab;
use serde_json::{Value, json};

const HAND: &str =
    "{profile: minimal, values: {pilot: {autoscaleEnabled: false}}, components: {pilot: {k8s: {replicaCount: 1}}}}";
const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/istio-system/horizontalpodautoscalers";

fn replicas(lab: &Lab) -> Value {
    lab.deployment("istiod").unwrap()["spec"]["replicas"].clone()
}

/// As the autoscaler's controller sets them.
fn scale(lab: &Lab, replicas: i64) {
    let path = "/apis/apps/v1/namespaces/istio-system/deployments/istiod/scale?fieldManager=kube-controller-manager";
    let mut scale = lab.get(path).unwrap();
    scale["spec"]["replicas"] = json!(replicas);
    lab.request("PUT", path, &scale).unwrap();
}

fn wait_for_replicas(lab: &Lab, wanted: i64) {
    lab.wait(&format!("{wanted} replicas"), || match replicas(lab) {
        n if n == wanted => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
#[ignore = "long: `make test-all`"]
fn replicas_are_the_autoscalers_while_there_is_one_and_no_longer() {
    let lab = Lab::installed("{profile: minimal}");
    scale(&lab, 3);
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    assert_eq!(replicas(&lab), 3);

    lab.apply_spec(HAND);
    lab.wait("the autoscaler to go", || match lab.get(&format!("{AUTOSCALERS}/istiod")) {
        None => Ok(()),
        Some(_) => Err("it is there".into()),
    });
    wait_for_replicas(&lab, 1);
    lab.wait_for_status("HEALTHY", &[]);

    // Somebody's own autoscaler, which nothing tells us of.
    let own = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mine", "namespace": "istio-system"},
        "spec": {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "istiod"}}});
    lab.apply(&own.to_string());
    wait_for_replicas(&lab, 2);
    lab.owned_at_rest();
    assert_eq!(replicas(&lab), 2, "taken back from somebody's autoscaler");
    lab.kubectl(&["delete", "hpa", "mine", "-n", "istio-system"]);
    lab.kubectl(&["label", "deployment", "istiod", "-n", "istio-system", "touched=1"]);
    wait_for_replicas(&lab, 1);
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_annotation_that_is_equal_as_a_number_is_applied() {
    let lab = Lab::start();
    let annotated = |text: &str| {
        HAND.replace(
            "replicaCount: 1",
            &format!("replicaCount: 1, podAnnotations: {{example.org/version: \"{text}\"}}"),
        )
    };
    let live = || {
        let istiod = lab.deployment("istiod").unwrap_or_default();
        istiod["spec"]["template"]["metadata"]["annotations"]["example.org/version"].clone()
    };
    let is = |text: &str| {
        lab.wait(&format!("version {text}"), || if live() == text { Ok(()) } else { Err(live().to_string()) });
    };
    lab.apply_spec(&annotated("1.1"));
    is("1.1");
    lab.wait_for_status("HEALTHY", &[]);
    lab.apply_spec(&annotated("1.10"));
    lab.wait_for_status("HEALTHY", &[]);
    is("1.10");
}
