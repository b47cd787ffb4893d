//! Random specs, made from the tables by which specs are checked.

use super::trees;
use istio_operator::api::schema::{self, Message, OLDEST, Type};
use proptest::prelude::*;
use serde_json::{Value, json};

/// How often a value has a type that is not its own, of a thousand.
const WRONG: u32 = 4;

/// A value of a type, and now and then of another.
fn value(kind: &Type) -> BoxedStrategy<Value> {
    let right = match kind {
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::String => string(),
        Type::Integer(least, most) => prop_oneof![3 => 1_i64..9000, 1 => *least..=*most].prop_map(Value::from).boxed(),
        Type::Double => (0_i32..800).prop_map(|n| Value::from(f64::from(n) / 8.0)).boxed(),
        Type::Duration => prop::sample::select(vec!["10s", "1m", "1h30m", "5s", "0s"]).prop_map(Value::from).boxed(),
        Type::IntOrString | Type::NumberOrString => {
            prop::sample::select(vec![json!(1), json!("25%"), json!(0)]).boxed()
        }
        Type::Struct => prop::collection::vec((prop::sample::select(vec!["a", "b", "key"]), string()), 0..3)
            .prop_map(trees::object)
            .boxed(),
        Type::Any => prop::sample::select(vec![json!(null), json!("x"), json!(1.5)]).boxed(),
        Type::List(item) => prop::collection::vec(value(item), 0..3).prop_map(Value::Array).boxed(),
        Type::Map(inner) => prop::collection::vec((prop::sample::select(vec!["a", "b.c/d", "e"]), value(inner)), 0..3)
            .prop_map(trees::object)
            .boxed(),
        Type::Message(inner) => message(inner),
        Type::Enum(names) => prop::sample::select(names.to_vec()).prop_map(Value::from).boxed(),
        Type::Int | Type::Quantity | Type::Time => unreachable!("no spec has {kind:?}"),
    };
    prop_oneof![1000 - WRONG => right, WRONG => trees::tree(true)].boxed()
}

/// Text as people write it, and some that they do not.
fn string() -> BoxedStrategy<Value> {
    let plain = ["", "a", "debug", "istio-system", "a.b:15012", "cluster.local", "10.0.0.0/8", "1.17.8", "yes", "1"];
    prop_oneof![
        30 => prop::sample::select(plain.to_vec()).prop_map(Value::from),
        1 => trees::text().prop_map(Value::from),
    ]
    .boxed()
}

/// A message with some of its fields.
fn message(message: &'static Message) -> BoxedStrategy<Value> {
    let fields: Vec<_> = message
        .fields_in(OLDEST)
        .map(|field| {
            let often = if matches!(field.kind, Type::Message(_)) { 0.3 } else { 0.1 };
            prop::option::weighted(often, value(&field.kind).prop_map(move |value| (field.name, value)))
        })
        .collect();
    fields.prop_map(|fields| trees::object(fields.into_iter().flatten().collect())).boxed()
}

fn mesh() -> BoxedStrategy<Value> {
    message(schema::mesh())
}

fn k8s() -> BoxedStrategy<Value> {
    prop::sample::select(vec![
        json!({}),
        json!({"replicaCount": 3, "env": [{"name": "A", "value": "b"}], "podAnnotations": {"a": "b"}}),
        json!({"tolerations": [{"key": "a", "operator": "Exists"}]}),
        json!({"affinity": {"nodeAffinity": {}}, "imagePullPolicy": "Always"}),
        json!({"resources": {"requests": {"cpu": "1"}}, "hpaSpec": {"minReplicas": 2}, "strategy": null}),
        json!({"service": {"type": "NodePort", "ports": [{"name": "p", "port": 8080, "targetPort": 8080}]}}),
        json!({"overlays": [{"kind": "Deployment", "name": "istiod", "patches": [{"path": "spec.paused", "value": true}]}]}),
        json!({"nodeSelector": {"a": 1}}),
    ])
    .boxed()
}

/// Which components are on: most specs have one or none, as the whole takes long.
fn components() -> BoxedStrategy<Value> {
    // The base chart is the slowest by far: it holds the definitions.
    let component = prop_oneof![
        1 => Just("base"),
        14 => prop::sample::select(vec!["none", "pilot"]),
        28 => prop::sample::select(vec!["cni", "istiodRemote", "in", "out", "none", "none"]),
    ];
    (component, k8s(), prop::sample::select(vec!["istio-ingressgateway", "istio-ingressgateway", "own", "own", "A"]))
        .prop_map(|(component, k8s, name)| match component {
            "none" => json!({}),
            "in" => json!({"ingressGateways": [{"name": name, "enabled": true, "k8s": k8s}]}),
            "out" => json!({"egressGateways": [{"name": "istio-egressgateway", "enabled": true, "k8s": k8s}]}),
            "base" => json!({"base": {"enabled": true}}),
            core => json!({core: {"enabled": true, "k8s": k8s}}),
        })
        .boxed()
}

/// A spec over the empty profile.
pub fn spec() -> BoxedStrategy<Value> {
    let values = message(schema::values());
    let revision = prop_oneof![12 => Just(json!(null)), 6 => Just(json!("canary")), 1 => Just(json!("A b"))];
    (values, mesh(), components(), revision)
        .prop_map(|(values, mesh, components, revision)| {
            json!({"profile": "empty", "values": values, "meshConfig": mesh, "components": components, "revision": revision})
        })
        .boxed()
}
