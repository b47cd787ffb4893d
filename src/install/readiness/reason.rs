//! Why the pods of a workload are not ready, in the words of the scheduler, the kubelet, or the controller that could not create them.

use crate::cluster::Cluster;
use crate::object::{Object, ObjectKey};
use kube::ResourceExt;
use serde_json::Value;

/// What a container waits for that is only about to begin: whatever keeps it from that is said in events.
const BEGINNING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The reason of the newest pod that has one, or why there are no pods; `None` when nobody says anything, or pods and events cannot
/// be read.
pub async fn why_not_ready(cluster: &Cluster, workload: &Object) -> Option<String> {
    let value = workload.value();
    let labels = value.pointer("/spec/selector/matchLabels")?.as_object()?;
    let selector: Vec<String> = labels.iter().filter_map(|(k, v)| v.as_str().map(|v| format!("{k}={v}"))).collect();
    let mut pods = cluster.list("v1", "Pod", Some(workload.namespace()), &selector.join(",")).await.ok()?;
    pods.sort_by_key(|p| std::cmp::Reverse(p.creation_timestamp().map(|t| t.0)));
    let Some((pod, said)) = pods.iter().find_map(|pod| reason(&pod.data).map(|said| (pod, said))) else {
        // The conditions of a Deployment say why its pods are refused; of other workloads only events do.
        let is_asked = workload.kind() != "Deployment";
        return if is_asked { last_warning(cluster, &workload.key(), Some("FailedCreate")).await } else { None };
    };
    let told = format!("pod {}: {}", pod.name_any(), said.text);
    let key = ObjectKey {
        kind: "Pod".into(),
        namespace: workload.namespace().to_owned(),
        name: pod.name_any(),
        ..ObjectKey::default()
    };
    let warned = if said.is_beginning { last_warning(cluster, &key, None).await } else { None };
    Some(warned.map_or(told.clone(), |warning| format!("{told}: {warning}")))
}

/// What was last warned of an object, for this reason or any.
async fn last_warning(cluster: &Cluster, key: &ObjectKey, reason: Option<&str>) -> Option<String> {
    let mut all = cluster.warnings_of(key).await.ok()?;
    all.retain(|event| reason.is_none_or(|reason| event.reason.as_deref() == Some(reason)));
    all.pop().and_then(|event| event.message).filter(|message| !message.is_empty())
}

/// What a pod says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    text: String,
    /// Whether it says no more than that a container is about to begin.
    is_beginning: bool,
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn reason(pod: &Value) -> Option<Said> {
    let containers = |field: &str| pod.pointer(field).and_then(Value::as_array).into_iter().flatten();
    let all = || containers("/status/initContainerStatuses").chain(containers("/status/containerStatuses"));
    let done = |text: String| Said { text, is_beginning: false };
    let beginning = |container: &Value| BEGINNING.iter().any(|reason| waits_for(container) == Some(*reason));
    let begun = all().filter(|container| !beginning(container)).find_map(told).map(done);
    let waits = || all().find_map(told).map(|text| Said { text, is_beginning: true });
    begun
        .or_else(|| ended(pod).map(done))
        .or_else(|| denied_by(pod, "PodScheduled").map(done))
        .or_else(waits)
        .or_else(|| denied_by(pod, "Ready").map(done))
}

/// The reason for which a container waits.
fn waits_for(container: &Value) -> Option<&str> {
    container.pointer("/state/waiting/reason")?.as_str()
}

/// Why a container does not run: what it waits for, and how it ended before.
fn told(container: &Value) -> Option<String> {
    let name = text(container, "name");
    let failed =
        |state: &str| container.pointer(state).filter(|ended| ended.get("exitCode").is_some_and(|code| *code != 0));
    if let Some(waiting) = container.pointer("/state/waiting") {
        let detail = [text(waiting, "reason"), text(waiting, "message")].join(" ");
        let before = failed("/lastState/terminated").map(|ended| format!("; it ended before: {}", exit(ended)));
        return Some(format!("container {name} is waiting: {}{}", detail.trim(), before.unwrap_or_default()));
    }
    failed("/state/terminated").map(|ended| format!("container {name} has ended: {}", exit(ended)))
}

/// How a container ended: `OOMKilled, exit code 137`, and its last words.
fn exit(ended: &Value) -> String {
    let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    let message = text(ended, "message");
    let message = if message.trim().is_empty() { String::new() } else { format!(": {}", message.trim()) };
    format!("{}, exit code {code}{message}", text(ended, "reason"))
}

/// Why a pod has ended, as one that was evicted.
fn ended(pod: &Value) -> Option<String> {
    let status = pod.get("status").filter(|status| text(status, "phase") == "Failed")?;
    let told = [text(status, "reason"), text(status, "message")].join(" ").trim().to_owned();
    Some(if told.is_empty() { "has failed".to_owned() } else { format!("has failed: {told}") })
}

/// What a condition says that does not hold.
fn denied_by(pod: &Value, kind: &str) -> Option<String> {
    let conditions = pod.pointer("/status/conditions")?.as_array()?;
    let c = conditions.iter().find(|c| text(c, "type") == kind && text(c, "status") == "False")?;
    Some(text(c, "message")).filter(|message| !message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(status: &Value) -> Option<(String, bool)> {
        reason(&json!({"status": status})).map(|said| (said.text, said.is_beginning))
    }

    #[test]
    fn a_pod_that_cannot_be_scheduled_says_why() {
        let unbound = "pod has unbound immediate PersistentVolumeClaims";
        let status = json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": unbound}]});
        assert_eq!(said(&status), Some((unbound.into(), false)));
    }

    #[test]
    fn a_container_that_waits_comes_first() {
        let container = |state: Value| json!({"name": "discovery", "state": state});
        let status = |state: Value| {
            json!({"conditions": [{"type": "Ready", "status": "False", "message": "containers with unready status"}],
                "containerStatuses": [container(state)]})
        };
        let told = |reason: &str| said(&status(json!({"waiting": {"reason": reason, "message": "m"}})));
        let pulled = "container discovery is waiting: ImagePullBackOff m";
        assert_eq!(told("ImagePullBackOff"), Some((pulled.into(), false)));
        let begins = "container discovery is waiting: ContainerCreating m";
        assert_eq!(told("ContainerCreating"), Some((begins.into(), true)));
        let runs = said(&status(json!({"running": {}})));
        assert_eq!(runs, Some(("containers with unready status".into(), false)));
    }

    #[test]
    fn a_container_that_crashes_says_how_it_ended() {
        let ended = json!({"reason": "OOMKilled", "exitCode": 137});
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
        let status =
            json!({"containerStatuses": [{"name": "d", "state": waiting, "lastState": {"terminated": ended}}]});
        let told = "container d is waiting: CrashLoopBackOff back-off 10s; it ended before: OOMKilled, exit code 137";
        assert_eq!(said(&status), Some((told.into(), false)));
        let ended = json!({"reason": "Error", "exitCode": 1, "message": "no such file\n"});
        let status = json!({"initContainerStatuses": [{"name": "i", "state": {"terminated": ended}}]});
        assert_eq!(said(&status), Some(("container i has ended: Error, exit code 1: no such file".into(), false)));
        let done = json!({"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}]});
        assert_eq!(said(&done), None);
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"});
        assert_eq!(said(&evicted), Some(("has failed: Evicted low on memory".into(), false)));
    }
}
