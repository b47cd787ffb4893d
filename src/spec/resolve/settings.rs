//! The `k8s` settings of a component as they apply: what protobuf's JSON form gives back of them.
//!
//! In: the merged spec and a component's part of it. Out: its settings, in which nothing is zero that has no presence, and no metric
//! in the old form.

use super::autoscaling;
use crate::api::component::Component;
use crate::api::schema::check::whole;
use crate::api::schema::{self, Type};
use crate::spec::switches::Switches;
use serde_json::Value;

/// The settings of a component or gateway, null for none.
pub(super) fn of(spec: &Value, component: Component, settings: &Value, switches: &Switches) -> Value {
    let Some(k8s) = settings.get("k8s").and_then(Value::as_object) else { return Value::Null };
    let api = schema::settings();
    let kept = k8s.iter().filter_map(|(field, value)| {
        // An autoscaler has its own idea of replicas.
        let is_overruled = field == "replicaCount" && is_autoscaled(spec, component);
        let value =
            if is_overruled { None } else { without_zeros(api.field(field).map_or(&Type::Any, |f| &f.kind), value) }?;
        // Metrics that do not fit were a problem of the spec.
        let is_old = field == "hpaSpec" && !autoscaling::keeps_form(spec, switches);
        Some((field.clone(), if is_old { autoscaling::translate(&value).0 } else { value }))
    });
    kept.collect()
}

/// As in 1.17 it is `values` alone that decides, and the setting of the default gateway for every gateway.
fn is_autoscaled(spec: &Value, component: Component) -> bool {
    let path = format!("/values/{}/autoscaleEnabled", component.info().values.replace('.', "/"));
    spec.pointer(&path) == Some(&Value::Bool(true))
}

/// Scalars without presence vanish when they are zero, and so do empty lists and maps; quoted whole numbers become numbers.
/// `None` when nothing is left at the top.
fn without_zeros(kind: &Type, value: &Value) -> Option<Value> {
    match (kind, value) {
        (_, Value::Null) | (Type::Bool, Value::Bool(false)) => None,
        (Type::String, Value::String(text)) if text.is_empty() => None,
        (Type::Integer(..), value) => whole(value).filter(|n| *n != 0).map(Value::from),
        (Type::Message(message), Value::Object(map)) => {
            let kept = |(key, value): (&String, &Value)| {
                let kind = message.field(key).map_or(&Type::Any, |f| &f.kind);
                Some((key.clone(), without_zeros(kind, value)?))
            };
            Some(map.iter().filter_map(kept).collect())
        }
        (Type::Map(_), Value::Object(map)) => {
            let filled: serde_json::Map<_, _> =
                map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
            (!filled.is_empty()).then_some(Value::Object(filled))
        }
        (Type::List(inner), Value::Array(items)) => {
            let kept = |v: &Value| without_zeros(inner, v).unwrap_or_else(|| v.clone());
            (!items.is_empty()).then(|| items.iter().map(kept).collect())
        }
        (_, other) => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn typed(k8s: &Value) -> Value {
        of(&json!({}), Component::IngressGateways, &json!({ "k8s": k8s }), &Switches::default())
    }

    #[test]
    fn quoted_numbers_are_numbers_and_what_is_zero_or_empty_is_unset() {
        let ports =
            json!([{"port": "80", "nodePort": 0, "protocol": "", "name": null, "targetPort": "http"}, {"port": 8e3}]);
        let given = json!({
            "service": {"ports": ports, "externalIPs": [], "publishNotReadyAddresses": false, "type": ""},
            "tolerations": [], "env": null, "nodeSelector": {}, "podAnnotations": {"a": "", "b": null},
            "strategy": {"rollingUpdate": {"maxSurge": 0}}, "securityContext": {"runAsUser": "0", "fsGroup": "7"},
            "overlays": [{"kind": "Service", "patches": [{"path": "a", "value": []}, {"path": "b", "value": false}]}],
        });
        let expected = json!({
            "service": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 8000}]},
            "podAnnotations": {"a": ""},
            "strategy": {"rollingUpdate": {"maxSurge": 0}}, "securityContext": {"fsGroup": 7},
            "overlays": [{"kind": "Service", "patches": [{"path": "a", "value": []}, {"path": "b", "value": false}]}],
        });
        assert_eq!(typed(&given), expected);
        assert_eq!(typed(&json!({"service": {"ports": []}})), json!({"service": {}}));
        assert_eq!(typed(&Value::Null), Value::Null);
    }

    #[test]
    fn replicas_give_way_to_an_autoscaler_that_the_values_turn_on() {
        let on = json!({"gateways": {"istio-ingressgateway": {"autoscaleEnabled": true}}});
        let off = json!({"gateways": {"istio-ingressgateway": {"autoscaleEnabled": false}}});
        for (values, unvalidated, kept) in [(&on, &off, false), (&off, &on, true), (&json!({}), &on, true)] {
            let spec = json!({"values": values, "unvalidatedValues": unvalidated});
            let settings = json!({"name": "any", "k8s": {"replicaCount": 3}});
            let found = of(&spec, Component::IngressGateways, &settings, &Switches::default());
            assert_eq!(found.get("replicaCount").is_some(), kept, "{spec}");
            assert!(of(&spec, Component::Pilot, &settings, &Switches::default()).get("replicaCount").is_some());
        }
    }
}
