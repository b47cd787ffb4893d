//! Whether a live object is ready, from what its own controller last said of it.
//!
//! Ready means: the controller has seen the current generation, every pod is of the current template, and enough of them
//! are available. An older status never counts.

pub mod reason;

use kube::api::DynamicObject;
use serde_json::Value;

/// How an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// As it should be.
    Ready,
    /// Not yet; what is missing.
    Waiting(String),
    /// Its controller gave up; why.
    Failed(String),
}

type Check = fn(&Value, i64) -> Readiness;

/// The kinds that are not ready as soon as they exist.
const CHECKS: &[(&str, &str, Check)] = &[
    ("apps", "Deployment", deployment),
    ("apps", "DaemonSet", daemon_set),
    ("apps", "StatefulSet", stateful_set),
    ("apiextensions.k8s.io", "CustomResourceDefinition", custom_resource_definition),
    ("", "Namespace", namespace),
];

/// Whether the readiness of a kind changes after it is applied.
#[must_use]
pub fn is_checked(group: &str, kind: &str) -> bool {
    CHECKS.iter().any(|(g, k, _)| *g == group && *k == kind)
}

/// How a live object stands.
#[must_use]
pub fn readiness(group: &str, kind: &str, live: &DynamicObject) -> Readiness {
    if live.metadata.deletion_timestamp.is_some() {
        return Readiness::Waiting("is being deleted".into());
    }
    let generation = live.metadata.generation.unwrap_or_default();
    CHECKS
        .iter()
        .find(|(g, k, _)| *g == group && *k == kind)
        .map_or(Readiness::Ready, |(_, _, check)| check(&live.data, generation))
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|c| c.get("type").is_some_and(|t| t == kind))
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn unseen(object: &Value, generation: i64) -> bool {
    number(object, "/status/observedGeneration") < generation
}

/// The first of some counts that falls short of what is wanted.
fn first_short(wanted: i64, counts: &[(i64, &str)]) -> Readiness {
    match counts.iter().find(|(have, _)| *have < wanted) {
        Some((have, what)) => Readiness::Waiting(format!("{have} of {wanted} pods {what}")),
        None => Readiness::Ready,
    }
}

fn deployment(object: &Value, generation: i64) -> Readiness {
    if unseen(object, generation) {
        return Readiness::Waiting("its controller has not seen the change yet".into());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let stands = first_short(
        wanted,
        &[
            (number(object, "/status/updatedReplicas"), "updated"),
            (number(object, "/status/readyReplicas"), "ready"),
            (number(object, "/status/availableReplicas"), "available"),
        ],
    );
    if stands != Readiness::Ready {
        if let Some(progress) =
            condition(object, "Progressing").filter(|c| text(c, "reason") == "ProgressDeadlineExceeded")
        {
            return Readiness::Failed(text(progress, "message").to_owned());
        }
        return stands;
    }
    let old = number(object, "/status/replicas") - wanted;
    if old > 0 { Readiness::Waiting(format!("{old} old pods still run")) } else { Readiness::Ready }
}

fn daemon_set(object: &Value, generation: i64) -> Readiness {
    if unseen(object, generation) {
        return Readiness::Waiting("its controller has not seen the change yet".into());
    }
    first_short(
        number(object, "/status/desiredNumberScheduled"),
        &[
            (number(object, "/status/updatedNumberScheduled"), "updated"),
            (number(object, "/status/numberReady"), "ready"),
            (number(object, "/status/numberAvailable"), "available"),
        ],
    )
}

fn stateful_set(object: &Value, generation: i64) -> Readiness {
    if unseen(object, generation) {
        return Readiness::Waiting("its controller has not seen the change yet".into());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    first_short(
        wanted,
        &[(number(object, "/status/updatedReplicas"), "updated"), (number(object, "/status/readyReplicas"), "ready")],
    )
}

fn custom_resource_definition(object: &Value, _: i64) -> Readiness {
    if let Some(names) = condition(object, "NamesAccepted").filter(|c| text(c, "status") == "False") {
        return Readiness::Failed(format!("its names are not accepted: {}", text(names, "message")));
    }
    match condition(object, "Established") {
        Some(c) if text(c, "status") == "True" => Readiness::Ready,
        _ => Readiness::Waiting("not established yet".into()),
    }
}

fn namespace(object: &Value, _: i64) -> Readiness {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Terminating") => Readiness::Waiting("is being deleted".into()),
        _ => Readiness::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stands(kind: &str, generation: i64, data: Value) -> Readiness {
        let mut object =
            DynamicObject::new("x", &kube::api::ApiResource::erase::<k8s_openapi::api::apps::v1::Deployment>(&()));
        object.metadata.generation = Some(generation);
        object.data = data;
        readiness(if kind == "CustomResourceDefinition" { "apiextensions.k8s.io" } else { "apps" }, kind, &object)
    }

    #[test]
    fn a_deployment_is_not_ready_before_its_controller_has_seen_the_change() {
        let status = json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 1, "updatedReplicas": 1,
            "readyReplicas": 1, "availableReplicas": 1, "replicas": 1}});
        assert_eq!(stands("Deployment", 1, status.clone()), Readiness::Ready);
        assert!(matches!(stands("Deployment", 2, status), Readiness::Waiting(_)));
    }

    #[test]
    fn a_deployment_with_an_old_pod_is_not_ready() {
        let status = json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 1, "updatedReplicas": 1,
            "readyReplicas": 1, "availableReplicas": 1, "replicas": 2}});
        assert_eq!(stands("Deployment", 1, status), Readiness::Waiting("1 old pods still run".into()));
    }

    #[test]
    fn a_deployment_whose_controller_gave_up_has_failed() {
        let status = json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 1, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}]}});
        assert_eq!(stands("Deployment", 1, status), Readiness::Failed("too late".into()));
    }

    #[test]
    fn a_daemon_set_without_nodes_is_ready() {
        let status = json!({"status": {"observedGeneration": 1, "desiredNumberScheduled": 0}});
        assert_eq!(stands("DaemonSet", 1, status), Readiness::Ready);
    }

    #[test]
    fn a_definition_is_ready_when_established() {
        assert!(matches!(stands("CustomResourceDefinition", 1, json!({})), Readiness::Waiting(_)));
        let status = json!({"status": {"conditions": [{"type": "Established", "status": "True"}]}});
        assert_eq!(stands("CustomResourceDefinition", 1, status), Readiness::Ready);
    }
}
