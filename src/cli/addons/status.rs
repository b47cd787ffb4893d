//! The status of an add-on: its live objects, compared with those that it should have.

use super::super::cluster::Connected;
use super::live::{is_ours, others};
use crate::cluster::ClusterError;
use crate::install::readiness::{Readiness, readiness};
use crate::object::Object;
use futures::future::join_all;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

const VERSION: &str = "app.kubernetes.io/version";

/// An add-on in a list.
#[derive(Debug, Serialize)]
pub(super) struct AddonStatus {
    pub name: &'static str,
    /// That which is installed, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub status: Status,
    /// Why it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it should have and has not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// See [`AddonStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Status {
    #[serde(rename = "not installed")]
    Absent,
    /// Its Deployment is there, and was installed by somebody else.
    #[serde(rename = "installed by others")]
    Foreign,
    /// Some of its objects are there, and some are not.
    #[serde(rename = "incomplete")]
    Incomplete,
    #[serde(rename = "not ready")]
    Waiting,
    #[serde(rename = "ready")]
    Ready,
    /// That cannot be found out.
    #[serde(rename = "unknown")]
    Unknown,
}

impl AddonStatus {
    /// For a person.
    pub(super) fn told(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.status {
            Status::Absent => "not installed".to_owned(),
            Status::Foreign => format!("installed by {reason}"),
            Status::Incomplete => format!("incomplete: {}", self.missing.join(", ")),
            Status::Waiting => format!("not ready: {reason}"),
            Status::Ready if reason.is_empty() => "ready".to_owned(),
            Status::Ready => format!("ready, as far as it may be seen: {reason}"),
            Status::Unknown => format!("unknown: {reason}"),
        }
    }
}

/// An object that there should be, and what the API server says.
pub(super) type Asked = Result<Option<DynamicObject>, ClusterError>;

/// The status of an add-on that should have these objects.
pub(super) async fn status_of(connected: &Connected, name: &'static str, objects: &[Object]) -> AddonStatus {
    let cluster = &connected.cluster;
    let asked = join_all(objects.iter().map(|object| async {
        let key = object.key();
        cluster.get(object.api_version(), &key).await
    }));
    conclude(name, objects, &asked.await)
}

/// What follows from the answers. What may not be seen is not taken for what is not there.
fn conclude(name: &'static str, objects: &[Object], asked: &[Asked]) -> AddonStatus {
    let (mut missing, mut version, mut unseen, mut deployment) = (vec![], None, None, None);
    for (object, asked) in objects.iter().zip(asked) {
        let is_deployment = object.kind() == "Deployment";
        match asked {
            Ok(Some(live)) if is_ours(&live.metadata) => {
                version = version.or_else(|| live.labels().get(VERSION).cloned());
                deployment = deployment.or_else(|| Some(live).filter(|_| is_deployment));
            }
            Ok(Some(live)) if is_deployment => {
                let reason = Some(others(&live.metadata));
                return AddonStatus { name, version: None, status: Status::Foreign, reason, missing: vec![] };
            }
            Ok(Some(live)) => missing.push(format!("{} was installed by {}", object.key(), others(&live.metadata))),
            Ok(None) => missing.push(format!("no {}", object.key())),
            Err(error) => {
                unseen.get_or_insert_with(|| error.to_string());
            }
        }
    }
    let (status, reason) = match (deployment.map(state), version.is_some()) {
        (_, true) if !missing.is_empty() => (Status::Incomplete, unseen),
        (Some(Err(reason)), _) => (Status::Waiting, Some(reason)),
        (Some(Ok(())), _) => (Status::Ready, unseen),
        (None, false) if unseen.is_none() => (Status::Absent, None),
        (None, _) => (Status::Unknown, unseen),
    };
    if status != Status::Incomplete {
        missing.clear();
    }
    AddonStatus { name, version, status, reason, missing }
}

/// Whether a Deployment serves. One without pods is as it should be, but nobody's page.
fn state(deployment: &DynamicObject) -> Result<(), String> {
    if deployment.data.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0) {
        return Err("it is scaled to 0 pods".to_owned());
    }
    match readiness("apps", "Deployment", deployment, None) {
        Readiness::Ready => Ok(()),
        Readiness::Waiting(reason) | Readiness::Failed(reason) => Err(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::super::live::MANAGER;
    use super::*;
    use crate::release::addons::ADDONS;
    use crate::render::addon::render;
    use serde_json::json;

    /// Grafana's objects as they are where it runs.
    fn installed() -> (Vec<Object>, Vec<Asked>) {
        let grafana = ADDONS.iter().find(|addon| addon.name == "grafana").unwrap();
        let objects = render(grafana, "one", "one", "").unwrap();
        let live = |object: &Object| {
            let mut value = object.value().into_owned();
            value["metadata"]["managedFields"] = json!([{"manager": MANAGER, "operation": "Apply"}]);
            value["status"] = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
            Ok(Some(serde_json::from_value(value).unwrap()))
        };
        let asked = objects.iter().map(live).collect();
        (objects, asked)
    }

    fn told(change: impl Fn(&Object, &mut Asked)) -> String {
        let (objects, mut asked) = installed();
        for (object, asked) in objects.iter().zip(&mut asked) {
            change(object, asked);
        }
        conclude("grafana", &objects, &asked).told()
    }

    fn refused() -> Asked {
        let (api_version, kind) = ("v1".to_owned(), "Forbidden".to_owned());
        Err(ClusterError::UnknownKind { api_version, kind })
    }

    #[test]
    fn an_add_on_is_compared_with_the_objects_that_it_should_have() {
        let is = |kind: &'static str| move |object: &Object| object.kind() == kind;
        assert_eq!(told(|_, _| {}), "ready");
        assert_eq!(told(|_, asked| *asked = Ok(None)), "not installed");
        let without = |kind: &'static str| {
            told(move |object, asked| {
                if is(kind)(object) {
                    *asked = Ok(None);
                }
            })
        };
        assert_eq!(without("Service"), "incomplete: no Service one/grafana");
        assert_eq!(without("Deployment"), "incomplete: no Deployment one/grafana");
        let scaled = told(|object, asked| {
            if let Ok(Some(live)) = asked
                && is("Deployment")(object)
            {
                live.data["spec"]["replicas"] = json!(0);
            }
        });
        assert_eq!(scaled, "not ready: it is scaled to 0 pods");
    }

    #[test]
    fn what_may_not_be_seen_is_not_taken_for_absent() {
        assert!(told(|_, asked| *asked = refused()).starts_with("unknown: "));
        let in_part = told(|object, asked| {
            if object.kind() == "Service" {
                *asked = refused();
            }
        });
        assert!(in_part.starts_with("ready, as far as it may be seen: "), "{in_part}");
        let others = told(|_, asked| {
            if let Ok(Some(live)) = asked {
                live.metadata.managed_fields = None;
            }
        });
        assert_eq!(others, "installed by somebody else");
    }
}
