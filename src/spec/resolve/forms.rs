//! Settings as the API of older releases took them, in the form that Kubernetes has.
//!
//! In: the `k8s` settings of a component. Out: the same, where numbers that are quoted (`replicaCount: "3"`), as protobuf reads
//! them too, are numbers. Releases from 1.24 on hand settings to Kubernetes as they are.

use crate::api::schema::check::whole;
use crate::api::schema::{self, Type};
use serde_json::Value;

/// Makes quoted numbers of settings numbers.
pub(super) fn unquote(settings: &mut Value) {
    unquote_in(&Type::Message(schema::settings()), settings);
}

fn unquote_in(kind: &Type, value: &mut Value) {
    match (kind, value) {
        (Type::Integer(..), value) if value.is_string() => {
            if let Some(number) = whole(value) {
                *value = number.into();
            }
        }
        (Type::Message(message), Value::Object(map)) => {
            for (key, value) in map.iter_mut() {
                message.field(key).into_iter().for_each(|field| unquote_in(&field.kind, value));
            }
        }
        (Type::List(inner), Value::Array(items)) => items.iter_mut().for_each(|item| unquote_in(inner, item)),
        (Type::Map(inner), Value::Object(map)) => map.values_mut().for_each(|value| unquote_in(inner, value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quoted_numbers_become_numbers_and_texts_stay() {
        let mut settings = json!({"replicaCount": "3", "securityContext": {"runAsUser": "7", "supplementalGroups": ["1", 2]},
            "service": {"ports": [{"port": "80", "targetPort": "8080", "name": "1"}]}, "podAnnotations": {"a": "1"},
            "overlays": [{"patches": [{"value": "1"}]}], "hpaSpec": {"minReplicas": "x"}});
        unquote(&mut settings);
        let expected = json!({"replicaCount": 3, "securityContext": {"runAsUser": 7, "supplementalGroups": [1, 2]},
            "service": {"ports": [{"port": 80, "targetPort": "8080", "name": "1"}]}, "podAnnotations": {"a": "1"},
            "overlays": [{"patches": [{"value": "1"}]}], "hpaSpec": {"minReplicas": "x"}});
        assert_eq!(settings, expected);
    }
}
