//! Whether two values say the same to the API server.
//!
//! Exact, but for what it writes differently than it is sent: quantities, base64, numbers, and fields that it leaves out or
//! fills in. Quantities and the like stand in few places, which the tables below name; everywhere else `"1.1"` is not `"1.10"`.

use super::place::Place;
use crate::api::quantity;
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// How a desired value stands to a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Agreement {
    /// They say the same.
    Same,
    /// Fields are there, or are not, that the API server may have filled in or left out: only it can tell.
    Unclear,
    /// They do not.
    Different,
}

/// Where quantities stand, by kind: `1024Mi` is stored as `1Gi`.
const QUANTITIES: &[(&str, &[&str])] = &[
    ("", &["resources", "limits", "*"]),
    ("", &["resources", "requests", "*"]),
    ("", &["emptyDir", "sizeLimit"]),
    ("", &["resourceFieldRef", "divisor"]),
    ("", &["spec", "overhead", "*"]),
    ("RuntimeClass", &["overhead", "podFixed", "*"]),
    ("ResourceQuota", &["spec", "hard", "*"]),
    ("LimitRange", &["limits", "default", "*"]),
    ("LimitRange", &["limits", "defaultRequest", "*"]),
    ("LimitRange", &["limits", "max", "*"]),
    ("LimitRange", &["limits", "min", "*"]),
    ("LimitRange", &["limits", "maxLimitRequestRatio", "*"]),
    ("PersistentVolume", &["spec", "capacity", "*"]),
    ("HorizontalPodAutoscaler", &["target", "averageValue"]),
    ("HorizontalPodAutoscaler", &["target", "value"]),
];

/// Where base64 stands: it is stored without the line breaks it may be sent with.
const BASE64: &[(&str, &[&str])] =
    &[("Secret", &["data", "*"]), ("ConfigMap", &["binaryData", "*"]), ("", &["clientConfig", "caBundle"])];

/// Any JSON, as part of a CRD: nothing is left out of it or filled in.
const JSON: &[(&str, &str)] = &[
    ("CustomResourceDefinition", "default"),
    ("CustomResourceDefinition", "enum"),
    ("CustomResourceDefinition", "example"),
];

/// Maps of texts, of which an empty one is left out. An empty anything else means something: a selector that is empty
/// selects all.
const MAPS: &[&str] =
    &["annotations", "labels", "matchLabels", "nodeSelector", "limits", "requests", "hard", "data", "binaryData"];

/// What the API server fills in inside of lists and maps that are one value: the field, with the value where it is one.
const DEFAULTS: &[(&str, &str)] = &[
    ("apiGroup", "rbac.authorization.k8s.io"),
    ("apiVersion", "v1"),
    ("protocol", "TCP"),
    ("scope", "*"),
    ("volumeMode", "Filesystem"),
];

/// Fields whose content the API server fills in when they are sent empty.
const FILLED_IN: &[&str] = &["behavior", "rollingUpdate", "securityContext", "strategy", "updateStrategy"];

fn is_in(table: &[(&str, &[&str])], place: &Place<'_>) -> bool {
    let is_of = |kind: &str| kind.is_empty() || kind == place.kind();
    place.is_built_in() && table.iter().any(|(kind, names)| is_of(kind) && place.ends_with(names))
}

/// How a value that belongs to one manager as a whole stands to the live one.
pub(super) fn agree(desired: &Value, live: &Value, place: &Place<'_>) -> Agreement {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => agree_in_fields(desired, live, place),
        (Value::Array(desired), Value::Array(live)) if desired.len() == live.len() => {
            let item = place.any_item();
            worst(desired.iter().zip(live).map(|(d, l)| agree(d, l, &item)))
        }
        (Value::Null, live) if is_unset(live) => Agreement::Same,
        _ if is_same_scalar(desired, live, place) => Agreement::Same,
        _ => Agreement::Different,
    }
}

fn worst(all: impl Iterator<Item = Agreement>) -> Agreement {
    all.max().unwrap_or(Agreement::Same)
}

fn agree_in_fields(desired: &Map<String, Value>, live: &Map<String, Value>, place: &Place<'_>) -> Agreement {
    let wanted = desired.iter().map(|(name, value)| {
        let place = place.field(name);
        match live.get(name) {
            Some(live) => agree(value, live, &place),
            None => left_out(name, value, &place),
        }
    });
    let further = live.iter().filter(|(name, _)| !desired.contains_key(*name));
    let is_filled_in = desired.is_empty() && place.is_built_in() && FILLED_IN.iter().any(|f| place.ends_with(&[f]));
    let further =
        further.map(
            |(name, value)| {
                if is_filled_in || is_default(name, value, place) { Agreement::Same } else { Agreement::Unclear }
            },
        );
    worst(wanted.chain(further))
}

/// How a value stands to one that is not there.
fn left_out(name: &str, value: &Value, place: &Place<'_>) -> Agreement {
    let is_json = JSON.iter().any(|(kind, field)| *kind == place.kind() && place.is_below(field));
    let is_left_out = match value {
        Value::Null => true,
        _ if is_json || !place.is_built_in() => return Agreement::Different,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && MAPS.contains(&name),
        _ => false,
    };
    match is_left_out {
        true => Agreement::Same,
        false if is_zero(value) || is_empty(value) => Agreement::Unclear,
        false => Agreement::Different,
    }
}

/// Whether a field that is not desired says nothing, or what the API server filled in.
fn is_default(name: &str, value: &Value, place: &Place<'_>) -> bool {
    let says_nothing = match value {
        Value::Object(fields) => fields.is_empty() && MAPS.contains(&name),
        _ => is_unset(value),
    };
    let is_filled_in = || DEFAULTS.iter().any(|(field, default)| *field == name && value == default);
    place.is_built_in() && (says_nothing || is_filled_in())
}

/// Null, and what the API server makes of null among texts.
fn is_unset(value: &Value) -> bool {
    is_empty(value) || value == ""
}

/// Whether two values that are neither maps nor lists are the same.
pub(super) fn is_same_scalar(desired: &Value, live: &Value, place: &Place<'_>) -> bool {
    if desired == live {
        return true;
    }
    match (desired, live) {
        _ if is_in(QUANTITIES, place) => amount(desired).is_some_and(|d| amount(live) == Some(d)),
        (Value::Number(desired), Value::Number(live)) => is_same_number(desired, live),
        (Value::String(desired), Value::String(live)) if is_in(BASE64, place) => {
            let bare = |text: &str| text.replace(['\r', '\n'], "");
            bare(desired) == bare(live)
        }
        _ => false,
    }
}

fn is_same_number(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a.partial_cmp(&b) == Some(Ordering::Equal)),
    }
}

fn amount(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => quantity::amount(&number.to_string()),
        Value::String(text) => quantity::amount(text),
        _ => None,
    }
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stands(api_version: &str, kind: &str, path: &[&str], desired: &Value, live: &Value) -> Agreement {
        fn at(place: &Place<'_>, path: &[&str], desired: &Value, live: &Value) -> Agreement {
            match path.split_first() {
                None => agree(desired, live, place),
                Some((name, rest)) => at(&place.field(name), rest, desired, live),
            }
        }
        let object = json!({"apiVersion": api_version, "kind": kind});
        at(&Place::of(&object), path, desired, live)
    }

    #[test]
    fn texts_that_are_equal_as_numbers_differ_but_where_quantities_stand() {
        let limits = ["spec", "containers", "resources", "limits", "cpu"];
        let annotation = ["metadata", "annotations", "cpu"];
        for (a, b) in [("2000m", "2"), ("1024Mi", "1Gi"), ("1.1", "1.10"), ("1e3", "1000"), ("1k", "1000")] {
            let (a, b) = (json!(a), json!(b));
            assert_eq!(stands("apps/v1", "Deployment", &limits, &a, &b), Agreement::Same, "{a} {b}");
            assert_eq!(stands("apps/v1", "Deployment", &annotation, &a, &b), Agreement::Different, "{a} {b}");
            assert_eq!(stands("x.istio.io/v1", "Deployment", &limits, &a, &b), Agreement::Different, "{a} {b}");
        }
        assert_eq!(stands("apps/v1", "Deployment", &limits, &json!(2), &json!("2")), Agreement::Same);
        let near = (json!("1000000000001"), json!("1000000000000"));
        assert_eq!(stands("apps/v1", "Deployment", &limits, &near.0, &near.1), Agreement::Different);
    }

    #[test]
    fn each_place_of_quantities_is_known() {
        let (a, b) = (json!("1000m"), json!("1"));
        for (api_version, kind, path) in [
            ("v1", "ResourceQuota", vec!["spec", "hard", "pods"]),
            ("v1", "LimitRange", vec!["spec", "limits", "max", "cpu"]),
            ("autoscaling/v2", "HorizontalPodAutoscaler", vec!["spec", "metrics", "pods", "target", "averageValue"]),
            ("apps/v1", "DaemonSet", vec!["spec", "template", "spec", "volumes", "emptyDir", "sizeLimit"]),
            ("apps/v1", "Deployment", vec!["env", "valueFrom", "resourceFieldRef", "divisor"]),
        ] {
            assert_eq!(stands(api_version, kind, &path, &a, &b), Agreement::Same, "{kind} {path:?}");
        }
        assert_eq!(stands("policy/v1", "PodDisruptionBudget", &["minAvailable"], &a, &b), Agreement::Different);
    }

    #[test]
    fn a_number_is_no_text_and_equal_numbers_are_equal() {
        let port = ["spec", "ports", "targetPort"];
        assert_eq!(stands("v1", "Service", &port, &json!(80), &json!("80")), Agreement::Different);
        assert_eq!(stands("v1", "Service", &port, &json!(80.0), &json!(80)), Agreement::Same);
        let big = (json!(9_223_372_036_854_775_808_u64), json!(9_223_372_036_854_776_000_u64));
        assert_eq!(stands("x.io/v1", "X", &["spec"], &big.0, &big.1), Agreement::Same, "as a double has it");
    }

    #[test]
    fn base64_is_compared_without_line_breaks() {
        let broken = (json!("YQ==\n"), json!("YQ=="));
        assert_eq!(stands("v1", "Secret", &["data", "a"], &broken.0, &broken.1), Agreement::Same);
        assert_eq!(stands("v1", "ConfigMap", &["data", "a"], &broken.0, &broken.1), Agreement::Different);
    }

    #[test]
    fn what_is_left_out_or_filled_in_is_known_or_unclear() {
        let rule = |fields: &Value| json!([fields]);
        let bare = json!({"verbs": ["get"]});
        for (more, is) in [
            (json!({"verbs": ["get"], "resourceNames": []}), Agreement::Same),
            (json!({"verbs": ["get"], "key": ""}), Agreement::Unclear),
            (json!({"verbs": ["get"], "optional": false}), Agreement::Unclear),
            (json!({"verbs": ["get"], "key": null}), Agreement::Same),
            (json!({"verbs": ["get"], "namespaceSelector": {}}), Agreement::Unclear),
            (json!({"verbs": ["get"], "resourceNames": ["x"]}), Agreement::Different),
        ] {
            assert_eq!(stands("apps/v1", "X", &["rules"], &rule(&more), &rule(&bare)), is, "{more}");
        }
        let scoped = json!({"verbs": ["get"], "scope": "*"});
        assert_eq!(stands("apps/v1", "X", &["rules"], &rule(&bare), &rule(&scoped)), Agreement::Same);
        let narrow = json!({"verbs": ["get"], "resourceNames": ["x"]});
        assert_eq!(stands("apps/v1", "X", &["rules"], &rule(&bare), &rule(&narrow)), Agreement::Unclear);
        let empty = json!([{"a": {}}]);
        assert_eq!(stands("x.istio.io/v1", "X", &["rules"], &empty, &json!([{}])), Agreement::Different);
        let all = json!({"verbs": ["get"], "namespaceSelector": {}});
        assert_eq!(stands("apps/v1", "X", &["rules"], &rule(&bare), &rule(&all)), Agreement::Unclear);
        assert_eq!(stands("apps/v1", "X", &["a"], &json!(null), &json!("")), Agreement::Same);
    }
}
