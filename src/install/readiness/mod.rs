//! Whether a live object is ready, from what its own controller last said of it.
//!
//! Ready means what kstatus calls Current: the controller has seen the current generation, every pod is of the current
//! template, and all are available. An older status never counts. Two things are different, since a mesh that serves must not
//! stop being ready for them:
//!
//! - A workload that an autoscaler works on is ready, once its rollout is complete, with the pods that the autoscaler
//!   leaves at least; those that it adds may take their time.
//! - A `DaemonSet` may lack pods on broken nodes: as many as its update strategy may take away, but no more than one in ten,
//!   so that on few nodes every one counts. Pods that are updated only when somebody deletes them are not waited for.

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

/// A check of an object, its generation, and how many pods an autoscaler leaves at least.
type Check = fn(&Value, i64, Option<i64>) -> Readiness;

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

/// How a live object stands; `least` is how many pods an autoscaler leaves it at least, if one works on it.
#[must_use]
pub fn readiness(group: &str, kind: &str, live: &DynamicObject, least: Option<i64>) -> Readiness {
    if live.metadata.deletion_timestamp.is_some() {
        return Readiness::Waiting("is being deleted".into());
    }
    let generation = live.metadata.generation.unwrap_or_default();
    CHECKS
        .iter()
        .find(|(g, k, _)| *g == group && *k == kind)
        .map_or(Readiness::Ready, |(_, _, check)| check(&live.data, generation, least))
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
    first_below(wanted, wanted, counts)
}

/// The first of some counts that falls short of what suffices, told beside what is wanted.
fn first_below(enough: i64, wanted: i64, counts: &[(i64, &str)]) -> Readiness {
    match counts.iter().find(|(have, _)| *have < enough) {
        Some((have, what)) => Readiness::Waiting(format!("{have} of {wanted} pods {what}")),
        None => Readiness::Ready,
    }
}

fn deployment(object: &Value, generation: i64, least: Option<i64>) -> Readiness {
    if unseen(object, generation) {
        return Readiness::Waiting("its controller has not seen the change yet".into());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let (all, updated) = (number(object, "/status/replicas"), number(object, "/status/updatedReplicas"));
    let (ready, available) = (number(object, "/status/readyReplicas"), number(object, "/status/availableReplicas"));
    let stands = first_short(wanted, &[(updated, "updated"), (ready, "ready"), (available, "available")]);
    let progress = condition(object, "Progressing").map(|c| (text(c, "reason"), text(c, "message")));
    if stands != Readiness::Ready {
        if let Some(("ProgressDeadlineExceeded", message)) = progress {
            return with_refusal(Readiness::Failed(message.to_owned()), object);
        }
        let is_rolled_out = matches!(progress, Some(("NewReplicaSetAvailable", _))) && all == updated;
        let stands = match least {
            Some(least) if is_rolled_out => first_below(least.max(1).min(wanted), wanted, &[(available, "available")]),
            _ => stands,
        };
        return with_refusal(stands, object);
    }
    let old = all - wanted;
    if old > 0 { Readiness::Waiting(format!("{old} old pods still run")) } else { Readiness::Ready }
}

/// The same, with what the API server said to the pods of a Deployment that it did not take: a quota, a limit range, a policy or a
/// webhook stands against them, or their service account is not there.
fn with_refusal(stands: Readiness, object: &Value) -> Readiness {
    let refusal =
        condition(object, "ReplicaFailure").filter(|c| text(c, "status") == "True").map(|c| text(c, "message"));
    let Some(refusal) = refusal.filter(|refusal| !refusal.is_empty()) else { return stands };
    match stands {
        Readiness::Ready => Readiness::Ready,
        Readiness::Waiting(what) => Readiness::Waiting(format!("{what}: {refusal}")),
        Readiness::Failed(what) => Readiness::Failed(format!("{what} {refusal}")),
    }
}

fn daemon_set(object: &Value, generation: i64, _: Option<i64>) -> Readiness {
    if unseen(object, generation) {
        return Readiness::Waiting("its controller has not seen the change yet".into());
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let is_by_hand = object.pointer("/spec/updateStrategy/type").is_some_and(|kind| kind == "OnDelete");
    let updated = if is_by_hand { wanted } else { number(object, "/status/updatedNumberScheduled") };
    let counts = [
        (updated, "updated"),
        (number(object, "/status/numberReady"), "ready"),
        (number(object, "/status/numberAvailable"), "available"),
    ];
    first_below(wanted - spare(object, wanted), wanted, &counts)
}

/// How many pods of a `DaemonSet` may be missing.
fn spare(object: &Value, wanted: i64) -> i64 {
    let most = match object.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable") {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(percent)) => {
            // The API server takes nothing else than a percentage here. One that cannot be read spares no pod: what waits for all of
            // them never takes for ready what is not.
            let percent: i64 = percent.trim_end_matches('%').parse().unwrap_or(0);
            wanted.saturating_mul(percent).saturating_add(99) / 100
        }
        _ => 1,
    };
    most.clamp(0, wanted / 10)
}

fn stateful_set(object: &Value, generation: i64, _: Option<i64>) -> Readiness {
    if unseen(object, generation) {
        return Readiness::Waiting("its controller has not seen the change yet".into());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    first_short(
        wanted,
        &[(number(object, "/status/updatedReplicas"), "updated"), (number(object, "/status/readyReplicas"), "ready")],
    )
}

fn custom_resource_definition(object: &Value, _: i64, _: Option<i64>) -> Readiness {
    if let Some(names) = condition(object, "NamesAccepted").filter(|c| text(c, "status") == "False") {
        return Readiness::Failed(format!("its names are not accepted: {}", text(names, "message")));
    }
    match condition(object, "Established") {
        Some(c) if text(c, "status") == "True" => Readiness::Ready,
        _ => Readiness::Waiting("not established yet".into()),
    }
}

fn namespace(object: &Value, _: i64, _: Option<i64>) -> Readiness {
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
        scaled(kind, generation, data, None)
    }

    fn scaled(kind: &str, generation: i64, data: Value, least: Option<i64>) -> Readiness {
        let mut object =
            DynamicObject::new("x", &kube::api::ApiResource::erase::<k8s_openapi::api::apps::v1::Deployment>(&()));
        object.metadata.generation = Some(generation);
        object.data = data;
        let group = if kind == "CustomResourceDefinition" { "apiextensions.k8s.io" } else { "apps" };
        readiness(group, kind, &object, least)
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
    fn pods_that_the_api_server_does_not_take_are_told_with_its_reason() {
        let refused = "pods \"a-1\" is forbidden: exceeded quota: q";
        let status = |progress: &str, is_refused: &str| {
            json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 1, "conditions": [
                {"type": "Progressing", "status": "False", "reason": progress, "message": "too late."},
                {"type": "ReplicaFailure", "status": is_refused, "reason": "FailedCreate", "message": refused}]}})
        };
        let stands = |progress: &str, is_refused: &str| stands("Deployment", 1, status(progress, is_refused));
        assert_eq!(stands("", "True"), Readiness::Waiting(format!("0 of 1 pods updated: {refused}")));
        assert_eq!(stands("", "False"), Readiness::Waiting("0 of 1 pods updated".into()));
        assert_eq!(stands("ProgressDeadlineExceeded", "True"), Readiness::Failed(format!("too late. {refused}")));
    }

    #[test]
    fn pods_that_an_autoscaler_adds_are_not_waited_for_once_rolled_out() {
        let status = |reason: &str, available: i64, all: i64| {
            json!({"spec": {"replicas": 5}, "status": {"observedGeneration": 1, "replicas": all, "updatedReplicas": 5,
                "readyReplicas": available, "availableReplicas": available,
                "conditions": [{"type": "Progressing", "status": "True", "reason": reason, "message": ""}]}})
        };
        let stands = |reason: &str, available: i64, all: i64, least| {
            scaled("Deployment", 1, status(reason, available, all), least)
        };
        assert_eq!(stands("NewReplicaSetAvailable", 2, 5, Some(2)), Readiness::Ready);
        for (reason, available, all, least) in [
            ("NewReplicaSetAvailable", 1, 5, Some(2)),
            ("NewReplicaSetAvailable", 0, 5, Some(0)),
            ("NewReplicaSetAvailable", 2, 5, None),
            ("NewReplicaSetAvailable", 2, 6, Some(2)),
            ("ReplicaSetUpdated", 2, 5, Some(2)),
        ] {
            let stands = stands(reason, available, all, least);
            assert!(matches!(stands, Readiness::Waiting(_)), "{reason} {available} {all} {least:?}: {stands:?}");
        }
    }

    #[test]
    fn a_daemon_set_may_lack_the_pods_of_few_broken_nodes_among_many() {
        let stands = |nodes: i64, ready: i64, strategy: Value| {
            let status = json!({"spec": {"updateStrategy": strategy}, "status": {"observedGeneration": 1, "numberReady": ready,
                "desiredNumberScheduled": nodes, "updatedNumberScheduled": ready, "numberAvailable": ready}});
            stands("DaemonSet", 1, status)
        };
        let rolling = |most: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": most}});
        for (nodes, ready, strategy) in [
            (300, 299, rolling(json!(1))),
            (300, 299, json!(null)),
            (300, 285, rolling(json!("5%"))),
            (10, 9, rolling(json!(5))),
        ] {
            assert_eq!(stands(nodes, ready, strategy.clone()), Readiness::Ready, "{ready} of {nodes}: {strategy}");
        }
        for (nodes, ready, strategy) in [
            (300, 298, rolling(json!(1))),
            (300, 299, rolling(json!(0))),
            (3, 2, rolling(json!(1))),
            (1, 0, rolling(json!(1))),
            (100, 50, rolling(json!("100%"))),
        ] {
            assert!(matches!(stands(nodes, ready, strategy), Readiness::Waiting(_)), "{ready} of {nodes}");
        }
        let by_hand = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}, "status": {"observedGeneration": 1,
            "desiredNumberScheduled": 2, "updatedNumberScheduled": 0, "numberReady": 2, "numberAvailable": 2}});
        assert_eq!(scaled("DaemonSet", 1, by_hand, None), Readiness::Ready);
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
