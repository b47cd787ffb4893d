//! Sections of a resource that are null or left empty, and gateways of one name.

use crate::lab::{Lab, missing_in, touched};
use serde_json::{Value, json};

/// What a person leaves empty, as the path of a patch.
const EMPTIED: [&str; 6] = [
    "/spec/values",
    "/spec/meshConfig",
    "/spec/components/pilot",
    "/spec/components/ingressGateways/0/k8s",
    "/spec/components/ingressGateways/0/enabled",
    "/spec/components",
];

#[test]
#[ignore = "long: `make test-all`"]
fn a_patch_that_empties_a_section_of_a_resource_removes_nothing() {
    let lab = Lab::installed("{components: {pilot: {}, ingressGateways: [{name: istio-ingressgateway}]}}");
    let before = lab.owned_at_rest();
    for path in EMPTIED {
        let patch = json!([{"op": "add", "path": path, "value": null}]).to_string();
        lab.kubectl(&["patch", "iop", "main", "-n", "istio-system", "--type=json", "-p", &patch]);
        lab.wait_for_status("HEALTHY", &[]);
        let after = lab.owned_at_rest();
        assert!(missing_in(&before, &after).is_empty() && missing_in(&after, &before).is_empty(), "{path}");
        assert!(touched(&before, &after).is_empty(), "{path}: {:?}", touched(&before, &after));
    }
    two_gateways_of_one_name_scale_by_metrics_in_the_old_form(&lab);
}

fn two_gateways_of_one_name_scale_by_metrics_in_the_old_form(lab: &Lab) {
    let metrics = "hpaSpec: {metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 61}}]}";
    let gateway =
        |namespace: &str| format!("{{name: edge, namespace: {namespace}, enabled: true, k8s: {{{metrics}}}}}");
    for namespace in ["edge-a", "edge-b"] {
        lab.kubectl(&["create", "namespace", namespace]);
    }
    lab.apply_spec(&format!(
        "{{components: {{pilot: {{k8s: {{{metrics}}}}}, ingressGateways: [{}, {}]}}}}",
        gateway("edge-a"),
        gateway("edge-b")
    ));
    lab.wait_for_status("HEALTHY", &[]);
    for (namespace, name) in [("edge-a", "edge"), ("edge-b", "edge"), ("istio-system", "istiod")] {
        let path = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}");
        let autoscaler = lab.get(&path).unwrap_or_else(|| panic!("no autoscaler {namespace}/{name}"));
        let metrics: &Value = &autoscaler["spec"]["metrics"];
        assert_eq!(metrics[0]["resource"]["target"]["averageUtilization"], 61, "{metrics:#}");
    }
}
