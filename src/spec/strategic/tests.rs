use serde_json::{Value, json};

use super::{IstioOperatorSchema, MergeSchema, WorkloadSchema, strategic_merge};
use crate::api::schema::Merge;

fn workload(base: Value, patch: &Value) -> Value {
    strategic_merge(base, patch, &WorkloadSchema).expect("merged")
}

fn env(items: &[(&str, &str)]) -> Value {
    let items: Vec<Value> = items.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"spec": {"template": {"spec": {"containers": [{"name": "discovery", "env": items}]}}}})
}

#[test]
fn a_changed_item_stays_and_a_new_one_follows_it() {
    let base = env(&[("REVISION", "default"), ("OTHER", "1")]);
    let patch = env(&[("REVISION", "x"), ("NEW", "y")]);
    assert_eq!(workload(base, &patch), env(&[("REVISION", "x"), ("NEW", "y"), ("OTHER", "1")]));
}

#[test]
fn a_new_item_at_the_head_goes_to_the_front() {
    let merged = workload(env(&[("B", "1"), ("C", "2")]), &env(&[("A", "0")]));
    assert_eq!(merged, env(&[("A", "0"), ("B", "1"), ("C", "2")]));
}

#[test]
fn base_items_keep_their_place_before_changed_ones() {
    let merged = workload(env(&[("A", "1"), ("B", "2"), ("C", "3")]), &env(&[("B", "x"), ("N", "n")]));
    assert_eq!(merged, env(&[("A", "1"), ("B", "x"), ("N", "n"), ("C", "3")]));
}

#[test]
fn items_are_merged_not_replaced() {
    let base =
        json!({"spec": {"containers": [{"name": "a", "image": "i", "env": [{"name": "X", "valueFrom": {"f": 1}}]}]}});
    let patch = json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "v"}]}]}});
    let merged = workload(base, &patch);
    assert_eq!(merged["spec"]["containers"][0]["env"][0], json!({"name": "X", "valueFrom": {"f": 1}, "value": "v"}));
    assert_eq!(merged["spec"]["containers"][0]["image"], "i");
}

#[test]
fn lists_without_a_rule_are_replaced_and_maps_merge() {
    let base = json!({"spec": {"tolerations": [{"key": "a"}], "nodeSelector": {"x": "1"}, "replicas": 1}});
    let patch = json!({"spec": {"tolerations": [{"key": "b"}], "nodeSelector": {"y": "2"}, "replicas": null}});
    let merged = json!({"spec": {"tolerations": [{"key": "b"}], "nodeSelector": {"x": "1", "y": "2"}}});
    assert_eq!(workload(base, &patch), merged);
}

#[test]
fn directives_delete_replace_and_order() {
    let base =
        || json!({"spec": {"volumes": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "nodeSelector": {"x": "1"}}});
    let volumes = |patch: Value| workload(base(), &json!({"spec": patch}))["spec"]["volumes"].clone();
    assert_eq!(volumes(json!({"volumes": [{"name": "b", "$patch": "delete"}]})), json!([{"name": "a"}, {"name": "c"}]));
    assert_eq!(volumes(json!({"volumes": [{"name": "z"}, {"$patch": "replace"}]})), json!([{"name": "z"}]));
    let order = json!({"$setElementOrder/volumes": [{"name": "c"}, {"name": "a"}]});
    assert_eq!(volumes(order), json!([{"name": "b"}, {"name": "c"}, {"name": "a"}]));
    let replaced = workload(base(), &json!({"spec": {"nodeSelector": {"$patch": "replace", "y": "2"}}}));
    assert_eq!(replaced["spec"]["nodeSelector"], json!({"y": "2"}));
    let retained = workload(base(), &json!({"spec": {"$retainKeys": ["nodeSelector"]}}));
    assert_eq!(retained, json!({"spec": {"nodeSelector": {"x": "1"}}}));
    let finalizers = json!({"metadata": {"finalizers": ["a", "b"]}});
    let removed = workload(finalizers, &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}));
    assert_eq!(removed, json!({"metadata": {"finalizers": ["b"]}}));
}

#[test]
fn an_item_without_its_key_is_an_error() {
    let list = json!({"spec": {"components": {"ingressGateways": [{"name": "a"}]}}});
    let patch = json!({"spec": {"components": {"ingressGateways": [{"enabled": false}]}}});
    let error = strategic_merge(list, &patch, &IstioOperatorSchema).expect_err("no key").to_string();
    let expected = "spec.components.ingressGateways: item {\"enabled\":false} does not contain the merge key name; \
                    give it the name of the item it belongs to";
    assert_eq!(error, expected);
    let bad = strategic_merge(json!({"a": {}}), &json!({"a": {"$patch": "mend"}}), &WorkloadSchema);
    assert_eq!(bad.expect_err("directive").to_string(), "a: $patch: \"mend\" is not a valid patch directive");
}

#[test]
fn new_subtrees_lose_nulls_and_directives() {
    let patch = json!({"a": {"b": null, "c": {"$patch": "merge", "d": 1}, "l": [null, {"e": null}]}});
    assert_eq!(workload(json!({}), &patch), json!({"a": {"c": {"d": 1}, "l": [null, {}]}}));
}

#[test]
fn the_tables_know_their_fields() {
    for (path, rule) in [
        ("spec.ports", Merge::Key("port")),
        ("spec.template.spec.containers.ports", Merge::Key("containerPort")),
        ("spec.template.spec.initContainers.env", Merge::Key("name")),
        ("spec.template.spec.containers.volumeMounts", Merge::Key("mountPath")),
        ("spec.template.spec.topologySpreadConstraints", Merge::Key("topologyKey")),
        ("imagePullSecrets", Merge::Merge),
        ("spec.metrics", Merge::Merge),
        ("webhooks", Merge::Key("name")),
        ("secrets", Merge::Key("name")),
        ("spec.volumes", Merge::Key("name")),
        ("spec.jobTemplate.spec.template.spec.containers", Merge::Key("name")),
        ("spec.template.spec.ephemeralContainers.volumeDevices", Merge::Key("devicePath")),
        ("spec.template.spec.hostAliases", Merge::Key("ip")),
        ("spec.template.spec.tolerations", Merge::Merge),
        ("spec.template.metadata.finalizers", Merge::Set),
        ("metadata.ownerReferences", Merge::Key("uid")),
        ("status.conditions", Merge::Key("type")),
    ] {
        assert_eq!(WorkloadSchema.rule(&path.split('.').collect::<Vec<_>>()), rule, "{path}");
    }
    for (path, rule) in [
        ("spec.values.meshConfig.certificates", Merge::Key("secretName")),
        ("spec.meshConfig.trustDomainAliases", Merge::Set),
        ("spec.values.gateways.istio-egressgateway.ports", Merge::Key("name")),
        ("spec.values.gateways.istio-egressgateway.meshExpansionPorts", Merge::Merge),
        ("spec.components.pilot.k8s.env", Merge::Merge),
    ] {
        assert_eq!(IstioOperatorSchema.rule(&path.split('.').collect::<Vec<_>>()), rule, "{path}");
    }
}

#[test]
fn a_list_that_the_base_lacks_is_taken_as_it_is() {
    let patch = json!({"spec": {"meshConfig": {"extensionProviders": [{"prometheus": {}, "x": null}], "trustDomainAliases": ["a", "a"]}}});
    let merged = strategic_merge(json!({}), &patch, &IstioOperatorSchema).expect("merged");
    let mesh = json!({"extensionProviders": [{"prometheus": {}}], "trustDomainAliases": ["a", "a"]});
    assert_eq!(merged["spec"]["meshConfig"], mesh);
}

fn operator(base: Value, patch: &Value) -> Result<Value, String> {
    strategic_merge(base, patch, &IstioOperatorSchema).map_err(|e| e.to_string())
}

#[test]
fn a_null_takes_away_a_single_value_and_no_section() {
    let base = || {
        json!({"spec": {"components": {"pilot": {"enabled": true, "hub": "h"}, "ingressGateways": [{"name": "a", "enabled": true}]},
            "values": {"global": {"a": 1, "b": {"c": 2}}}}})
    };
    for path in [
        "/spec/components",
        "/spec/components/pilot",
        "/spec/components/pilot/enabled",
        "/spec/components/ingressGateways",
        "/spec/values",
        "/spec/values/global",
        "/spec/values/global/b",
    ] {
        let patch = path.rsplit('/').filter(|k| !k.is_empty()).fold(Value::Null, |inner, key| json!({ key: inner }));
        assert_eq!(operator(base(), &patch), Ok(base()), "{path}");
    }
    let gateway = json!({"spec": {"components": {"ingressGateways": [{"name": "a", "enabled": null}]}}});
    assert_eq!(operator(base(), &gateway), Ok(base()));
    let merged =
        operator(base(), &json!({"spec": {"components": {"pilot": {"hub": null}}, "values": {"global": {"a": null}}}}));
    let merged = merged.unwrap();
    assert_eq!(merged["spec"]["components"]["pilot"], json!({"enabled": true}));
    assert_eq!(merged["spec"]["values"]["global"], json!({"b": {"c": 2}}));
}

#[test]
fn gateways_are_told_apart_by_name_and_namespace() {
    let list = |items: &Value| json!({"spec": {"components": {"ingressGateways": items}}});
    let merged = |base: &Value, patch: &Value| {
        operator(list(base), &list(patch)).map(|m| m["spec"]["components"]["ingressGateways"].clone())
    };
    let profile = json!([{"name": "gw", "enabled": true}]);
    for (base, patch, expected) in [
        // A namespace moves the one that has none.
        (
            &profile,
            json!([{"name": "gw", "namespace": "a"}]),
            json!([{"name": "gw", "enabled": true, "namespace": "a"}]),
        ),
        (
            &profile,
            json!([{"name": "gw", "namespace": "a"}, {"name": "gw", "namespace": "b"}]),
            json!([{"name": "gw", "enabled": true, "namespace": "a"}, {"name": "gw", "namespace": "b"}]),
        ),
        // The one without a namespace is the profile's, wherever it stands.
        (
            &profile,
            json!([{"name": "gw", "namespace": "b"}, {"name": "gw", "label": {}}]),
            json!([{"name": "gw", "namespace": "b"}, {"name": "gw", "enabled": true, "label": {}}]),
        ),
        (
            &json!([{"name": "gw", "namespace": "a"}, {"name": "gw", "namespace": "b"}]),
            json!([{"name": "gw", "namespace": "b", "enabled": true}, {"name": "gw", "namespace": "c"}]),
            json!([{"name": "gw", "namespace": "a"}, {"name": "gw", "namespace": "b", "enabled": true},
                {"name": "gw", "namespace": "c"}]),
        ),
        (
            &json!([{"name": "gw", "namespace": "a"}]),
            json!([{"name": "gw", "enabled": true}]),
            json!([{"name": "gw", "namespace": "a", "enabled": true}]),
        ),
        (
            &json!([{"name": "gw", "namespace": "a"}, {"name": "gw", "namespace": "b"}]),
            json!([{"name": "gw", "namespace": "a", "$patch": "delete"}]),
            json!([{"name": "gw", "namespace": "b"}]),
        ),
    ] {
        assert_eq!(merged(base, &patch), Ok(expected), "{base} + {patch}");
    }
    let several = json!([{"name": "gw", "namespace": "a"}, {"name": "gw", "namespace": "b"}]);
    for patch in [json!([{"name": "gw", "enabled": true}]), json!([{"name": "gw", "$patch": "delete"}])] {
        let message = "spec.components.ingressGateways: there are several named gw, in the namespaces a, b; \
                       say which is meant by its namespace";
        assert_eq!(merged(&several, &patch), Err(message.to_owned()));
    }
}
