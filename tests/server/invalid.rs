//! Specs that cannot be carried out.

use crate::lab::{Lab, missing_in, touched};

/// A spec, and what its message has to name.
const INVALID: &[(&str, &str)] = &[
    ("{profile: minimol}", "minimol"),
    ("{profile: minimal, componentz: {}}", "componentz"),
    ("{profile: minimal, components: {pilot: {k8s: {replicaCount: many}}}}", "replicaCount"),
    ("{profile: minimal, values: {pilot: {autoscaleEnabled: sometimes}}}", "spec.values.pilot.autoscaleEnabled"),
];

#[test]
fn an_invalid_spec_is_an_error_that_names_the_problem_and_touches_nothing() {
    let lab = Lab::installed("{profile: minimal}");
    let before = lab.owned_at_rest();
    for (spec, named) in INVALID {
        lab.apply_spec(spec);
        let status = lab.wait_for_status("ERROR", &[named]);
        assert_eq!(status["componentStatus"]["Pilot"]["status"], "HEALTHY", "{spec}: {status:#}");
    }
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    let after = lab.owned_at_rest();
    assert!(missing_in(&before, &after).is_empty() && missing_in(&after, &before).is_empty());
    assert!(touched(&before, &after).is_empty());
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_resource_that_was_never_valid_can_be_deleted() {
    let lab = Lab::bare();
    lab.apply_spec("{profile: minimol}");
    lab.wait_for_status("ERROR", &["minimol"]);
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--timeout=60s"]);
    // Issue: with `spc` for `spec` there was no spec, and the default profile was installed.
    lab.apply(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: main, namespace: istio-system}\n\
         spc: {profile: minimal}\n",
    );
    lab.wait_for_status("ERROR", &["spc: unknown field \"spc\" (did you mean \"spec\"?)"]);
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--timeout=60s"]);
    assert!(lab.owned().is_empty());
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_resource_to_be_ignored_and_a_record_are_left_alone() {
    let lab = Lab::bare();
    for (name, annotations) in
        [("ignored", r#"{install.istio.io/ignoreReconcile: "true"}"#), ("installed-state-x", "{}")]
    {
        lab.apply(&format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: {name}, namespace: istio-system, \
             annotations: {annotations}}}\nspec: {{profile: minimal}}\n"
        ));
    }
    // Seen after the two, so they have been seen too.
    lab.apply_spec("{profile: minimol}");
    lab.wait_for_status("ERROR", &["minimol"]);
    // One says that it is left alone, and nothing else; of the other, a record, there is nothing to say.
    for (name, conditions) in [("ignored", ["Ready", "Paused"].as_slice()), ("installed-state-x", &[])] {
        let resource = lab.iop(name).unwrap();
        assert!(resource["metadata"]["finalizers"].is_null(), "{resource:#}");
        let told = resource["status"]["conditions"].as_array().into_iter().flatten().map(|c| &c["type"]);
        assert_eq!(told.collect::<Vec<_>>(), conditions, "{resource:#}");
        assert!(resource["status"]["status"].is_null() && resource["status"]["inventory"].is_null(), "{resource:#}");
    }
    let writes = lab.writes_since(0);
    let of_record = writes.iter().filter(|write| write.contains("installed-state-x"));
    assert_eq!(of_record.count(), 0, "{writes:#?}");
    assert!(lab.owned().is_empty());
}
