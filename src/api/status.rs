//! `status`: upstream's fields (`status`, `message`, `componentStatus`), which Argo CD's health check reads, and what
//! kstatus and `kubectl wait` read: `observedGeneration` and conditions.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The state of an installation or of one component. The names are upstream's `InstallStatus_Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Not installed.
    None,
    /// Being updated to another version.
    Updating,
    /// Being changed to what the spec says.
    Reconciling,
    /// As the spec says, and ready.
    Healthy,
    /// Failed; the message says why.
    Error,
    /// Waiting for a person.
    ActionRequired,
}

impl Phase {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Updating => "UPDATING",
            Self::Reconciling => "RECONCILING",
            Self::Healthy => "HEALTHY",
            Self::Error => "ERROR",
            Self::ActionRequired => "ACTION_REQUIRED",
        }
    }
}

/// The schema of any JSON value.
struct Anything;

impl JsonSchema for Anything {
    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// The state of the installation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InstallStatus {
    /// NONE, UPDATING, RECONCILING, HEALTHY, ERROR or ACTION_REQUIRED.
    #[serde(skip_serializing_if = "Option::is_none")]
    // Other controllers wrote numbers here too; Argo CD reads both.
    #[schemars(with = "Option<Anything>")]
    pub status: Option<Phase>,
    /// What is being waited for, or what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The state of each component: Base, Pilot, Cni, IngressGateways, EgressGateways, IstiodRemote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_status: Option<BTreeMap<String, ComponentStatus>>,
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The value of the annotation install.istio.io/reconcile-requested-at that was handled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The profile the installation is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The version (image tag) of the installed control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether pods or namespaces use the revision of this control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_use: Option<bool>,
    /// Control planes and tags that the spec no longer wants and that are kept because they are in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Vec<HeldRevision>>,
    /// Ready; InUse of a control plane; Reconciling, Stalled, Conflict, Contested, Deleting, DeletionHeld, PruneHeld,
    /// PruneScheduled, InvalidAnnotation, SpecWarnings, Blind, Paused and DryRun only while they are true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<Condition>>,
    /// What this resource has in the cluster: API version, kind, namespace and name, uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Vec<String>>,
    /// Objects that are left alone because they are annotated install.istio.io/ignore: "true".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Vec<String>>,
    /// What would be done, while the resource is annotated install.istio.io/dryRun: "true".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Preview>,
}

impl InstallStatus {
    /// Reads a status, whoever wrote it. A field that cannot be read, from another version or another controller, counts as
    /// absent; the others are kept.
    #[must_use]
    pub fn read(status: &Value) -> Self {
        let Value::Object(fields) = status else { return Self::default() };
        let is_readable = |(field, value): &(&String, &Value)| {
            let alone = Value::Object(Map::from_iter([((*field).clone(), (*value).clone())]));
            serde_json::from_value::<Self>(alone).is_ok()
        };
        let readable: Map<String, Value> =
            fields.iter().filter(is_readable).map(|(field, value)| (field.clone(), value.clone())).collect();
        // Nothing is lost: each field of these can be read alone, and none depends on another.
        serde_json::from_value(Value::Object(readable)).unwrap_or_default()
    }
}

/// A control plane, or a tag, that the spec no longer wants and that is kept because it is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HeldRevision {
    /// Its revision; default for the unnamed one.
    pub revision: String,
    /// Its namespace.
    pub namespace: String,
    /// The tag, where only a tag of the revision is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The version (image tag) that it was installed with, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Some of the namespaces, tags and pods that use it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,
    /// Since when nobody uses it, while it is kept for a while all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<String>,
    /// Why it is kept, and whether it is repaired.
    pub message: String,
}

/// What would be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Preview {
    /// Objects that would be created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create: Vec<String>,
    /// Objects that would be changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub change: Vec<Change>,
    /// Objects that would be deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune: Vec<String>,
    /// Workloads whose pods would be replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<String>,
    /// Objects that another resource has, with what differs; they would not be touched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflict: Vec<String>,
}

/// A change of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Change {
    /// Which object.
    pub object: String,
    /// The fields that would change.
    pub fields: Vec<String>,
}

/// The state of a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentStatus {
    /// The version (image tag) of the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// NONE, UPDATING, RECONCILING, HEALTHY or ERROR.
    #[serde(skip_serializing_if = "Option::is_none")]
    // Other controllers wrote numbers here too; Argo CD reads both.
    #[schemars(with = "Option<Anything>")]
    pub status: Option<Phase>,
    /// What is wrong, or what is being waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A condition, in the form of `metav1.Condition`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Ready, InUse, Reconciling, Stalled, Conflict, Contested, Deleting, DeletionHeld, PruneHeld, PruneScheduled,
    /// InvalidAnnotation, SpecWarnings, Blind, Paused or DryRun.
    pub r#type: String,
    /// True, False or Unknown.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: String,
    /// The generation that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_field_that_cannot_be_read_spoils_no_other() {
        let status = json!({"status": 3, "message": "m", "inventory": ["a"], "conditions": "none", "later": {"x": 1}});
        let read = InstallStatus::read(&status);
        assert_eq!((read.status, read.conditions), (None, None));
        assert_eq!((read.message.as_deref(), read.inventory), (Some("m"), Some(vec!["a".to_owned()])));
        assert_eq!(InstallStatus::read(&json!("x")), InstallStatus::default());
    }
}
