//! Old values that mean `k8s` settings of istiod are copied to where they are read now (release 1.17 does this for
//! istiod only).

use super::values::text_of;
use crate::api::text::describe;
use crate::spec::merge::merge_patch;
use crate::spec::problem::{Kind, Problem};
use crate::spec::switches::Switches;
use serde_json::{Value, json};

/// Fields below `values.pilot`, and the path below `components.pilot.k8s` each goes to.
const MOVED: [(&str, &[&str]); 12] = [
    ("imagePullPolicy", &["imagePullPolicy"]),
    ("nodeSelector", &["nodeSelector"]),
    ("tolerations", &["tolerations"]),
    ("podDisruptionBudget", &["podDisruptionBudget"]),
    ("podAnnotations", &["podAnnotations"]),
    ("priorityClassName", &["priorityClassName"]),
    ("readinessProbe", &["readinessProbe"]),
    ("replicaCount", &["replicaCount"]),
    ("resources", &["resources"]),
    ("serviceAnnotations", &["serviceAnnotations"]),
    ("rollingMaxSurge", &["strategy", "rollingUpdate", "maxSurge"]),
    ("rollingMaxUnavailable", &["strategy", "rollingUpdate", "maxUnavailable"]),
];

/// The spec with istiod's old values also in `components.pilot.k8s`.
///
/// # Errors
/// `values.pilot.env` is not a map.
pub fn reverse_translate(spec: &Value, switches: &Switches) -> Result<Value, Problem> {
    let mut spec = spec.clone();
    let Some(pilot) = spec.pointer("/values/pilot").filter(|p| p.is_object()).cloned() else { return Ok(spec) };
    let mut k8s = json!({});
    for (field, path) in MOVED {
        if let Some(value) = pilot.get(field).filter(|v| !is_zero(v)) {
            let nested = path.iter().rev().fold(value.clone(), |inner, key| json!({ *key: inner }));
            merge_patch(&mut k8s, &nested);
        }
    }
    if let Some(env) = moved_env(&pilot, &spec, switches)? {
        merge_patch(&mut k8s, &json!({ "env": env }));
    }
    if k8s.as_object().is_some_and(|k| !k.is_empty()) {
        merge_patch(&mut spec, &json!({"components": {"pilot": {"k8s": k8s}}}));
    }
    Ok(spec)
}

/// Whether a spec has old values that mean settings of istiod.
#[must_use]
pub fn has_old_values(spec: &Value) -> bool {
    let Some(pilot) = spec.pointer("/values/pilot").filter(|p| p.is_object()) else { return false };
    let is_set = |field: &str| pilot.get(field).is_some_and(|v| !is_zero(v));
    MOVED.iter().any(|(field, _)| is_set(field))
        || pilot.get("env").and_then(Value::as_object).is_some_and(|e| !e.is_empty())
}

/// The zero values of Go, which count as unset.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        _ => false,
    }
}

/// `values.pilot.env`, a map, behind the list that is there already: it gives those with one name their value. A null is
/// unset, and for upstream the text `<nil>`.
fn moved_env(pilot: &Value, spec: &Value, switches: &Switches) -> Result<Option<Value>, Problem> {
    let env = match pilot.get("env") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(env)) if env.is_empty() => return Ok(None),
        Some(Value::Object(env)) => env,
        Some(other) => {
            return Err(Problem {
                path: "spec.values.pilot.env".into(),
                message: format!("must be a map, not {}", describe(other)),
                location: None,
                kind: Kind::Form,
            });
        }
    };
    let mut list = spec.pointer("/components/pilot/k8s/env").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, value) in env.iter().filter(|(_, value)| switches.is_upstream || !value.is_null()) {
        let text = Value::from(text_of(value));
        let same = list.iter_mut().find(|item| item.get("name").and_then(Value::as_str) == Some(name));
        match same.and_then(Value::as_object_mut) {
            Some(item) => drop(item.insert("value".into(), text)),
            None => list.push(json!({"name": name, "value": text})),
        }
    }
    Ok(Some(list.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_values_become_settings_and_stay_values() {
        let spec =
            json!({"values": {"pilot": {"replicaCount": 3, "rollingMaxSurge": 1, "env": {"B": true, "A": "x"}}}});
        let result = reverse_translate(&spec, &Switches::default()).unwrap();
        assert_eq!(
            result.pointer("/components/pilot/k8s").unwrap(),
            &json!({"replicaCount": 3, "strategy": {"rollingUpdate": {"maxSurge": 1}},
                "env": [{"name": "A", "value": "x"}, {"name": "B", "value": "true"}]})
        );
        assert_eq!(result.pointer("/values"), spec.pointer("/values"));
    }

    #[test]
    fn an_old_variable_gives_its_value_to_the_one_that_is_there() {
        let spec = json!({"components": {"pilot": {"k8s": {"env": [{"name": "B", "value": "1"}, {"name": "A", "value": "2"}]}}},
            "values": {"pilot": {"env": {"C": 1_000_000, "B": 1.5, "D": 1e10, "E": null}}}});
        let expected = json!([{"name": "B", "value": "1.5"}, {"name": "A", "value": "2"}, {"name": "C", "value": "1e+06"},
            {"name": "D", "value": "1e+10"}]);
        let result = reverse_translate(&spec, &Switches::default()).unwrap();
        assert_eq!(result.pointer("/components/pilot/k8s/env"), Some(&expected));
    }

    #[test]
    fn an_env_that_is_no_map_is_named() {
        let problem = reverse_translate(&json!({"values": {"pilot": {"env": []}}}), &Switches::default()).unwrap_err();
        assert_eq!(problem.path, "spec.values.pilot.env");
    }
}
