//! Who sets the replicas of a workload: an autoscaler while there is one, else the resource.
//!
//! The record that an autoscaler once scaled a workload outlives the autoscaler, so the autoscalers themselves are asked for.

use super::fields::{Replicas, is_scaled_by_an_autoscaler};
use crate::cluster::Cluster;
use crate::object::Object;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeMap;

const KIND: &str = "HorizontalPodAutoscaler";
/// The version that every API server has.
const API_VERSION: &str = "autoscaling/v1";

/// What an autoscaler works on: namespace, kind and name.
type Target = (String, String, String);

/// The workloads that autoscalers work on, with how many pods they leave at least.
#[derive(Default)]
pub struct Autoscalers(BTreeMap<Target, i64>);

impl Autoscalers {
    /// Those that are among objects.
    pub fn among<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let objects = objects.into_iter();
        let wanted = objects.filter(|object| object.kind() == KIND);
        Self(wanted.filter_map(|hpa| target(hpa.namespace(), &hpa.value())).collect())
    }

    /// How many pods of a workload are left at least, if one of them works on it.
    #[must_use]
    pub fn least(&self, workload: &Object) -> Option<i64> {
        let target = (workload.namespace().to_owned(), workload.kind().to_owned(), workload.name().to_owned());
        self.0.get(&target).copied()
    }

    /// Whose the replicas of a workload are. Where that cannot be found out they are left as they are.
    pub async fn scaling(&self, cluster: &Cluster, workload: &Object, live: Option<&DynamicObject>) -> Scaling {
        let least = self.least(workload);
        if !live.is_some_and(is_scaled_by_an_autoscaler) {
            return Scaling { replicas: Replicas::Desired, least, is_passing: false };
        }
        if least.is_some() {
            return Scaling { replicas: Replicas::Autoscaled, least, is_passing: false };
        }
        match cluster.list(API_VERSION, KIND, Some(workload.namespace()), "").await {
            Ok(live) => {
                let namespace = workload.namespace();
                let live = Self(live.iter().filter_map(|hpa| target(namespace, &hpa.data)).collect());
                match live.least(workload) {
                    None => Scaling { replicas: Replicas::Desired, least: None, is_passing: false },
                    least => Scaling { replicas: Replicas::Autoscaled, least, is_passing: true },
                }
            }
            Err(error) => {
                tracing::warn!(workload = %workload.key(), %error, "cannot tell whether an autoscaler sets the replicas");
                Scaling { replicas: Replicas::Autoscaled, least: None, is_passing: true }
            }
        }
    }
}

/// How a workload is scaled.
pub struct Scaling {
    /// Whose the replicas are.
    pub replicas: Replicas,
    /// How many pods an autoscaler leaves at least.
    pub least: Option<i64>,
    /// Whether that may end without our being told: the autoscaler is nobody's that we watch, or is about to go.
    pub is_passing: bool,
}

fn target(namespace: &str, hpa: &Value) -> Option<(Target, i64)> {
    let reference = hpa.pointer("/spec/scaleTargetRef")?;
    let text = |field: &str| reference.get(field).and_then(Value::as_str).map(str::to_owned);
    let least = hpa.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1);
    Some(((namespace.to_owned(), text("kind")?, text("name")?), least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_autoscaler_names_its_workload_and_leaves_one_pod_at_least() {
        let reference = json!({"kind": "Deployment", "name": "istiod", "apiVersion": "apps/v1"});
        let hpa = json!({"spec": {"scaleTargetRef": reference, "minReplicas": 2}});
        let istiod = ("a".to_owned(), "Deployment".to_owned(), "istiod".to_owned());
        assert_eq!(target("a", &hpa), Some((istiod.clone(), 2)));
        let reference = &hpa["spec"]["scaleTargetRef"];
        assert_eq!(target("a", &json!({"spec": {"scaleTargetRef": reference}})), Some((istiod, 1)));
        assert_eq!(target("a", &json!({"spec": {}})), None);
    }
}
