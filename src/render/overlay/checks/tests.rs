use super::*;
use crate::api::quantity::is_quantity;
use serde_json::json;

fn found(value: &Value) -> Vec<String> {
    let object = Object::new(value.clone()).unwrap();
    check(&object, object.api_version(), &object.key()).iter().map(ToString::to_string).collect()
}

#[test]
fn an_object_of_another_group_is_not_judged_by_its_kind() {
    let service =
        |version: &str| json!({"apiVersion": version, "kind": "Service", "metadata": {"name": "s"}, "spec": {}});
    assert_eq!(found(&service("v1")), ["Service s: spec.ports: must have at least one port"]);
    assert!(found(&service("serving.knative.dev/v1")).is_empty());
}

#[test]
fn what_servers_take_passes() {
    let pod = json!({"containers": [{"name": "a", "image": "auto", "env": [{"name": "A"}, {"name": "B", "value": ""}],
        "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}], "volumeMounts": null,
        "resources": {"limits": {"cpu": 2, "memory": "1.5Gi", "x": "1e3"}}}],
        "volumes": [{"name": "empty"}, {"name": "null", "emptyDir": null}]});
    for value in [
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": null}, "spec": pod}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "None"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"type": "ExternalName", "externalName": "a.b"}}),
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
            "spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "c"},
            "rules": null, "aggregationRule": {}}),
    ] {
        assert_eq!(found(&value), Vec::<String>::new(), "{value}");
    }
}

#[test]
fn a_quantity_is_a_number_with_a_known_suffix() {
    for (text, is) in [
        ("1", true),
        ("100m", true),
        ("1.5Gi", true),
        ("1e3", true),
        ("-1", true),
        ("", false),
        ("1gb", false),
        ("much", false),
        ("1 Gi", false),
    ] {
        assert_eq!(is_quantity(text), is, "{text}");
    }
}

/// The table is data: a place that cannot be read would check nothing.
#[test]
fn every_place_of_the_table_is_well_formed() {
    let rows = KINDS.iter().flat_map(|k| k.rows).flat_map(|(place, rows)| rows.iter().map(move |(at, ..)| (place, at)));
    for (place, at) in rows {
        let all = [place.split('.').collect::<Vec<_>>(), at.split('.').collect()].concat();
        let is_word = |w: &str| w == "*" || w.trim_end_matches("[]").chars().all(|c| c.is_ascii_alphanumeric());
        assert!(all.into_iter().all(is_word) && !at.ends_with("[]") && !at.is_empty(), "{place} {at}");
    }
}
