//! Why the pods of a workload are not ready, in the words of the scheduler or the kubelet.

use crate::cluster::Cluster;
use crate::object::Object;
use kube::ResourceExt;
use serde_json::Value;

/// The reason of the newest pod that has one; `None` for what has no pods, when no pod says anything, or pods cannot be read.
pub async fn why_not_ready(cluster: &Cluster, workload: &Object) -> Option<String> {
    let value = workload.value();
    let labels = value.pointer("/spec/selector/matchLabels")?.as_object()?;
    let selector: Vec<String> = labels.iter().filter_map(|(k, v)| v.as_str().map(|v| format!("{k}={v}"))).collect();
    let mut pods = cluster.list("v1", "Pod", Some(workload.namespace()), &selector.join(",")).await.ok()?;
    pods.sort_by_key(|p| std::cmp::Reverse(p.creation_timestamp().map(|t| t.0)));
    pods.iter().find_map(|pod| reason(&pod.data).map(|r| format!("pod {}: {r}", pod.name_any())))
}

fn reason(pod: &Value) -> Option<String> {
    let containers = |field: &str| pod.pointer(field).and_then(Value::as_array).into_iter().flatten();
    let said = |v: &Value, field: &str| v.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let waiting =
        containers("/status/initContainerStatuses").chain(containers("/status/containerStatuses")).find_map(|c| {
            let waiting = c.pointer("/state/waiting")?;
            let detail = [said(waiting, "reason"), said(waiting, "message")];
            Some(format!("container {} is waiting: {}", said(c, "name"), detail.join(" ").trim()))
        });
    waiting.or_else(|| {
        let conditions = pod.pointer("/status/conditions")?.as_array()?;
        ["PodScheduled", "Ready"].iter().find_map(|kind| {
            let c = conditions.iter().find(|c| said(c, "type") == *kind && said(c, "status") == "False")?;
            Some(said(c, "message")).filter(|m| !m.is_empty())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_that_cannot_be_scheduled_says_why() {
        let pod =
            json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]}});
        assert_eq!(reason(&pod).as_deref(), Some("no node fits"));
    }

    #[test]
    fn a_container_that_waits_comes_first() {
        let pod = json!({"status": {
            "conditions": [{"type": "Ready", "status": "False", "message": "containers with unready status"}],
            "containerStatuses": [{"name": "discovery", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "m"}}}]}});
        assert_eq!(reason(&pod).as_deref(), Some("container discovery is waiting: ImagePullBackOff m"));
    }
}
