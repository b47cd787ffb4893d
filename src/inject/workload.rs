//! The kinds that have pods, where their pods are, and who the owner of a pod is.

use super::pod::Pod;
use crate::spec::path;
use serde_json::{Map, Value, json};

/// A kind of workload.
#[derive(Debug)]
pub(super) struct Kind {
    api_version: &'static str,
    /// The kind, and the name of its type.
    pub(super) name: &'static str,
    /// The JSON pointer of the metadata whose labels and annotations are read and written.
    pub(super) metadata: &'static str,
    /// The JSON pointer of the pod's spec.
    pub(super) spec: &'static str,
}

const fn templated(api_version: &'static str, name: &'static str) -> Kind {
    Kind { api_version, name, metadata: "/spec/template/metadata", spec: "/spec/template/spec" }
}

/// The kinds that are injected. A cron job's annotations are those of its job template, as upstream reads them.
const KINDS: &[Kind] = &[
    Kind { api_version: "v1", name: "Pod", metadata: "/metadata", spec: "/spec" },
    templated("v1", "ReplicationController"),
    templated("apps/v1", "Deployment"),
    templated("apps/v1", "StatefulSet"),
    templated("apps/v1", "DaemonSet"),
    templated("apps/v1", "ReplicaSet"),
    templated("batch/v1", "Job"),
    Kind {
        api_version: "batch/v1",
        name: "CronJob",
        metadata: "/spec/jobTemplate/metadata",
        spec: "/spec/jobTemplate/spec/template/spec",
    },
    templated("apps.openshift.io/v1", "DeploymentConfig"),
];

fn text<'v>(tree: &'v Value, pointer: &str) -> &'v str {
    tree.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The kind of an object, if it has pods.
pub(super) fn kind_of(object: &Value) -> Option<&'static Kind> {
    let (api_version, name) = (text(object, "/apiVersion"), text(object, "/kind"));
    KINDS.iter().find(|k| k.name == name && k.api_version == api_version)
}

/// Where an object has an annotation of its pods.
pub(super) fn annotation_path(object: &Value, name: &str) -> Option<String> {
    let metadata = kind_of(object)?.metadata.trim_start_matches('/').replace('/', ".");
    Some(path::join(&format!("{metadata}.annotations"), name))
}

/// Whether a tree is an object of Kubernetes, of whatever kind.
pub(super) fn is_object(tree: &Value) -> bool {
    ["/apiVersion", "/kind"].into_iter().all(|field| !text(tree, field).is_empty())
}

/// Whether an object is a list of others.
pub(super) fn is_list(object: &Value) -> bool {
    text(object, "/kind") == "List" && text(object, "/apiVersion") == "v1"
}

/// Who a pod belongs to: what the mesh calls the workload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

impl Owner {
    /// The owner of the pods of an object.
    pub(super) fn of(object: &Value, pod: &Pod) -> Self {
        let own = |pointer| text(object, pointer).to_owned();
        let owner = Self {
            api_version: own("/apiVersion"),
            kind: own("/kind"),
            name: own("/metadata/name"),
            namespace: own("/metadata/namespace"),
        };
        let generated = owner.kind == "Pod" && !text(object, "/metadata/generateName").is_empty();
        let controllers = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        match controllers.into_iter().flatten().find(|r| r.get("controller") == Some(&Value::Bool(true))) {
            Some(controller) if generated => owner.behind(controller, pod),
            _ => owner,
        }
    }

    /// The workload behind a pod's controller, which may itself belong to another workload.
    fn behind(self, controller: &Value, pod: &Pod) -> Self {
        let name = text(controller, "/name");
        let is = |api_version: &str, kind: &str, name: &str| Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: self.namespace.clone(),
        };
        let api_version = text(controller, "/apiVersion");
        let hash = pod.label("pod-template-hash").filter(|h| !h.is_empty());
        let config = pod.label("deploymentconfig").filter(|c| !c.is_empty());
        match text(controller, "/kind") {
            "ReplicaSet" => match hash.and_then(|h| name.strip_suffix(h)) {
                Some(rest) => is(api_version, "Deployment", rest.strip_suffix('-').unwrap_or(rest)),
                None => is(api_version, "ReplicaSet", name),
            },
            "ReplicationController" if config.is_some() => {
                is(api_version, "DeploymentConfig", config.unwrap_or_default())
            }
            // A cron job names its jobs after the minute they are due.
            "Job" => match name.rsplit_once('-') {
                Some((cron, due)) if (8..=10).contains(&due.len()) && due.bytes().all(|b| b.is_ascii_digit()) => {
                    is("batch/v1", "CronJob", cron)
                }
                _ => is(api_version, "Job", name),
            },
            kind => is(api_version, kind, name),
        }
    }

    /// The name and namespace, for templates.
    pub(super) fn meta(&self) -> Map<String, Value> {
        Map::from_iter([("name".into(), json!(self.name)), ("namespace".into(), json!(self.namespace))])
    }

    /// `Deployment shop/cart`
    pub(super) fn words(&self) -> String {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        format!("{} {}{slash}{}", self.kind, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_generated_pod_is_the_workload_behind_its_controller() {
        for (kind, name, labels, want) in [
            ("ReplicaSet", "web-abc", json!({"pod-template-hash": "abc"}), "Deployment s/web"),
            ("ReplicaSet", "web-abc", json!({}), "ReplicaSet s/web-abc"),
            ("ReplicationController", "web-1", json!({"deploymentconfig": "web"}), "DeploymentConfig s/web"),
            ("Job", "nightly-27905660", json!({}), "CronJob s/nightly"),
            ("Job", "once-1", json!({}), "Job s/once-1"),
            ("StatefulSet", "db", json!({}), "StatefulSet s/db"),
        ] {
            let metadata = json!({"generateName": "x-", "namespace": "s", "labels": labels,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true}]});
            let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
            let pod = Pod::new(&metadata, &json!({})).unwrap();
            assert_eq!(Owner::of(&object, &pod).words(), want);
        }
    }

    #[test]
    fn a_pod_with_a_name_is_its_own_owner() {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
        let pod = Pod::new(&object["metadata"], &json!({})).unwrap();
        assert_eq!(Owner::of(&object, &pod).words(), "Pod p");
    }
}
