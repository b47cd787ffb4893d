use super::*;
use serde_json::json;

fn misfits(name: &str, value: &Value) -> Vec<String> {
    shape(name, value).unwrap_err().into_iter().map(|m| format!("{} {}", m.path, m.message)).collect()
}

#[test]
fn every_type_that_is_named_is_there() {
    for name in
        ["Pod", "PodTemplateSpec", "List", "Prober", "Overrides", "InjectionStatus", "Scrape", "Owner", "TypeMeta"]
    {
        assert_eq!(find(name).name, name);
    }
}

#[test]
fn what_is_read_of_the_mesh_configuration_is_described() {
    for name in MESH {
        assert!(schema::mesh().field(name).is_some(), "{name}");
    }
}

#[test]
fn empty_fields_are_left_out_where_go_leaves_them_out() {
    let given = json!({"name": "c", "image": "", "stdin": false, "ports": [], "env": [{"name": "A", "value": ""}],
        "securityContext": {"privileged": false, "capabilities": null}, "later": {"x": 1}, "unset": null});
    assert_eq!(
        Value::Object(shape("Container", &given).unwrap()),
        json!({"name": "c", "env": [{"name": "A"}], "resources": {}, "securityContext": {"privileged": false},
            "later": {"x": 1}})
    );
}

#[test]
fn fields_that_go_always_writes_are_written() {
    let deployment = shape("Deployment", &json!({"kind": "Deployment", "spec": {"template": {}}})).unwrap();
    assert_eq!(
        Value::Object(deployment),
        json!({"kind": "Deployment", "metadata": {"creationTimestamp": null}, "status": {}, "spec": {
            "selector": null, "strategy": {},
            "template": {"metadata": {"creationTimestamp": null}, "spec": {"containers": null}}}})
    );
    let status = json!({"availableReplicas": 0, "replicas": 0});
    assert_eq!(shape("StatefulSet", &json!({})).unwrap()["status"], status);
}

#[test]
fn scalars_take_the_type_of_their_field() {
    let env = shape("EnvVar", &json!({"name": true, "value": 8})).unwrap();
    assert_eq!(Value::Object(env), json!({"name": "true", "value": "8"}));
    let metadata = shape("ObjectMeta", &json!({"annotations": {"prometheus.io/scrape": true}})).unwrap();
    assert_eq!(metadata["annotations"], json!({"prometheus.io/scrape": "true"}));
    let resources = shape("ResourceRequirements", &json!({"limits": {"cpu": 2, "memory": "1024Mi"}})).unwrap();
    assert_eq!(resources["limits"], json!({"cpu": "2", "memory": "1Gi"}));
    assert_eq!(shape("ContainerPort", &json!({"containerPort": 80.0})).unwrap()["containerPort"], 80);
}

#[test]
fn everything_that_does_not_fit_is_named_with_its_path() {
    let pod = json!({"spec": {"containers": [{"name": "a", "tty": "x", "ports": [{"containerPort": []}]}, 7],
        "volumes": {}, "nodeSelector": {"k": {}}, "overhead": {"cpu": "lots"}}});
    assert_eq!(
        misfits("Pod", &pod),
        [
            "spec.containers[0].ports[0].containerPort must be a whole number, not a list",
            "spec.containers[0].tty must be true or false, not the string \"x\"",
            "spec.containers[1] must be a map, not the number 7",
            "spec.nodeSelector.k must be a string, not a map",
            "spec.overhead.cpu must be a quantity such as 100m or 1Gi, not the string \"lots\"",
            "spec.volumes must be a list, not a map",
        ]
    );
}

#[test]
fn json_has_the_fields_in_the_order_of_their_type_and_unknown_ones_last() {
    let port = json!({"protocol": "TCP", "containerPort": 80, "name": "a<b", "another": 1});
    assert_eq!(json("ContainerPort", &port), r#"{"name":"a\u003cb","containerPort":80,"protocol":"TCP","another":1}"#);
    assert_eq!(json("no such type", &json!({"b": 1, "a": 2})), r#"{"a":2,"b":1}"#);
}

#[test]
fn durations_are_written_as_protobuf_writes_them() {
    for (text, want) in [
        ("20s", Some("20s")),
        ("1m30s", Some("90s")),
        ("1500ms", Some("1.500s")),
        ("100ns", Some("0.000000100s")),
        ("-1s", Some("-1s")),
        ("0s", Some("0s")),
        ("soon", None),
        ("1", None),
    ] {
        assert_eq!(canonical_duration(text).as_deref(), want, "{text}");
    }
}

#[test]
fn messages_of_the_mesh_are_types_as_well() {
    let config = find("ProxyConfig");
    let field = |name: &str| config.fields().iter().find(|f| f.name == name).unwrap();
    assert!(field("concurrency").presence == Presence::Wrapped);
    assert!(
        ["statusPort", "tracing", "serviceCluster"].map(|name| field(name).presence)
            == [Presence::Implicit, Presence::Explicit, Presence::Explicit]
    );
    assert_eq!(zero(&field("interceptionMode").kind), "REDIRECT");
    let tracing = json!({"tlsSettings": {"caCertificates": "c", "mode": 1, "sni": ""}, "sampling": 0, "zipkin": {}});
    assert_eq!(
        json("Tracing", &Value::Object(shape("Tracing", &tracing).unwrap())),
        r#"{"zipkin":{},"tlsSettings":{"mode":"SIMPLE","caCertificates":"c"}}"#
    );
}
