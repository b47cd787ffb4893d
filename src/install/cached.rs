//! What is known of a live object without reading it: its metadata, as a watch or a list last showed it.

use super::readiness;
use crate::api::annotations::{is_ignored, is_kept, problems_of_object};
use crate::api::component::Component;
use crate::api::{API_VERSION, DEFAULT_REVISION, INSTALLED_STATE, KIND};
use crate::cluster::is_ours;
use crate::object::{OwnerId, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// What is held of an object.
#[allow(clippy::struct_excessive_bools)] // independent of one another
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedObject {
    /// `group/version` it was seen in.
    pub api_version: String,
    /// Its identity.
    pub uid: String,
    /// Its last seen state; see [`is_unchanged_since`](Self::is_unchanged_since).
    pub resource_version: String,
    /// Whose it says it is.
    pub owner: OwnerId,
    /// The component it says it is of.
    pub component: Option<Component>,
    /// The revision of the control plane it says it is of.
    pub revision: String,
    /// Whether it is annotated to be left as it is.
    pub is_ignored: bool,
    /// Whether it is annotated never to be deleted.
    pub is_kept: bool,
    /// What is not understood among its annotations.
    pub not_understood: Vec<String>,
    /// Whether it is a webhook of the default revision that nobody asked for; see
    /// [`default_revision`](super::default_revision).
    pub is_default: bool,
    /// Whether it is being deleted.
    pub is_terminating: bool,
    /// Who has still to do something before it is gone.
    pub finalizers: Vec<String>,
    /// Whether the watch that saw it is blind now, so that it may be another by now, or gone.
    pub is_stale: bool,
    /// The first of the states that differ from the last one in nothing but what their controller told; `None` where that is
    /// the last one.
    same_since: Option<String>,
    content: Content,
}

/// What tells whether an object was edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    /// Of all metadata but what changes with the status.
    digest: u64,
    /// When something other than the status was last written, and when the status was.
    edited: Option<Timestamp>,
    told: Option<Timestamp>,
}

impl CachedObject {
    /// Of the metadata of an object.
    #[must_use]
    pub fn of(api_version: &str, metadata: &ObjectMeta) -> Self {
        let label = |name: &str| {
            metadata.labels.iter().flatten().find(|l| l.0 == name).map(|l| l.1.clone()).unwrap_or_default()
        };
        let annotations = metadata.annotations.as_ref();
        let is_default = annotations.and_then(|all| all.get(DEFAULT_REVISION)).is_some_and(|value| value == "true");
        // A record has those of a resource.
        let of_object = annotations.filter(|_| api_version != API_VERSION);
        Self {
            api_version: api_version.to_owned(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            owner: OwnerId { namespace: label(labels::OWNER_NAMESPACE), name: label(labels::OWNER_NAME) },
            component: Component::from_name(&label(labels::COMPONENT)),
            revision: label(labels::REVISION),
            is_ignored: annotations.is_some_and(is_ignored),
            is_kept: annotations.is_some_and(is_kept),
            not_understood: of_object.map(problems_of_object).unwrap_or_default(),
            is_default,
            is_terminating: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.clone().unwrap_or_default(),
            is_stale: false,
            same_since: None,
            content: Content::of(metadata),
        }
    }

    /// Whether the object is what it was in this state, but for what its own controller has told of it since.
    #[must_use]
    pub fn is_unchanged_since(&self, resource_version: &str) -> bool {
        if self.is_stale || resource_version.is_empty() {
            return false;
        }
        if resource_version == self.resource_version {
            return true;
        }
        let number = |version: &str| version.parse::<u64>().ok();
        let Some(first) = &self.same_since else { return false };
        let bounds = (number(first), number(resource_version), number(&self.resource_version));
        matches!(bounds, (Some(first), Some(asked), Some(last)) if first <= asked && asked <= last)
            || first == resource_version
    }

    /// The same, as seen by a watch that is blind now, or not.
    #[must_use]
    pub fn marked(self, is_stale: bool) -> Self {
        Self { is_stale, ..self }
    }

    /// Takes over that `before` was the same object, where an event shows that nothing but its status has changed. Kinds of
    /// which the status is waited for count as changed with it.
    pub fn follow_on(&mut self, before: &Self, group: &str, kind: &str) -> bool {
        let is_same = !readiness::is_checked(group, kind)
            && self.uid == before.uid
            && self.content.digest == before.content.digest
            && self.content.is_only_told();
        if is_same {
            self.same_since = Some(before.same_since.clone().unwrap_or_else(|| before.resource_version.clone()));
        }
        is_same
    }
}

/// Whether an object with an owner's labels is one that was installed. An IstioOperator resource is one only if it is the
/// record of an installation: somebody may have made a new one out of such a record, labels and all.
#[must_use]
pub fn is_managed(kind: &str, metadata: &ObjectMeta) -> bool {
    let is_record = || metadata.name.as_deref().is_some_and(|name| name.starts_with(INSTALLED_STATE));
    is_ours(metadata) && (kind != KIND || is_record())
}

impl Content {
    fn of(metadata: &ObjectMeta) -> Self {
        let mut hasher = DefaultHasher::new();
        (&metadata.labels, &metadata.annotations, &metadata.finalizers, metadata.generation).hash(&mut hasher);
        metadata.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
        let (mut edited, mut told) = (None, None);
        for entry in metadata.managed_fields.iter().flatten() {
            let time = entry.time.as_ref().map(|time| time.0);
            if is_status(entry) {
                told = told.max(time);
            } else {
                edited = edited.max(time);
                (&entry.manager, &entry.operation, &entry.subresource, time).hash(&mut hasher);
            }
        }
        Self { digest: hasher.finish(), edited, told }
    }

    /// Whether the last write can only have been one of the status. Times are of whole seconds: two edits within one look
    /// like one.
    fn is_only_told(self) -> bool {
        matches!((self.edited, self.told), (Some(edited), Some(told)) if told > edited)
    }
}

fn is_status(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.as_deref() == Some("status")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{IGNORE, IGNORE_RECONCILE, PRUNE};
    use serde_json::{Value, json};

    fn entry(subresource: &str, second: u32) -> Value {
        json!({"manager": "m", "operation": "Update", "subresource": subresource, "time": format!("2026-01-01T00:00:{second:02}Z")})
    }

    /// In this state, last edited and told of in these seconds.
    fn known(version: u32, edited: u32, told: u32, more: &Value) -> CachedObject {
        let mut metadata = json!({"name": "x", "uid": "u", "resourceVersion": version.to_string(),
            "managedFields": [entry("", edited), entry("status", told)]});
        json_patch::merge(&mut metadata, more);
        CachedObject::of("autoscaling/v2", &serde_json::from_value(metadata).unwrap())
    }

    const HPA: (&str, &str) = ("autoscaling", "HorizontalPodAutoscaler");

    #[test]
    fn what_a_controller_tells_of_an_object_is_no_change_of_it() {
        let first = known(10, 1, 5, &json!({}));
        let mut second = known(20, 1, 20, &json!({}));
        assert!(second.follow_on(&first, HPA.0, HPA.1));
        let mut third = known(30, 1, 35, &json!({}));
        assert!(third.follow_on(&second, HPA.0, HPA.1));
        for (version, is_same) in [("10", true), ("20", true), ("25", true), ("30", true), ("9", false), ("31", false)]
        {
            assert_eq!(third.is_unchanged_since(version), is_same, "{version}");
        }
        assert!(!third.is_unchanged_since(""), "what has to be looked at in any case");
        third.is_stale = true;
        assert!(!third.is_unchanged_since("30"), "what a blind watch saw");
    }

    #[test]
    fn an_annotation_that_is_not_understood_protects_and_is_told() {
        let of = |api_version: &str, annotations: Value| {
            CachedObject::of(api_version, &serde_json::from_value(json!({ "annotations": annotations })).unwrap())
        };
        let unclear = of("v1", json!({IGNORE: "yes", PRUNE: "False"}));
        assert!(unclear.is_ignored && unclear.is_kept);
        assert_eq!(unclear.not_understood.len(), 2, "{:?}", unclear.not_understood);
        let plain = of("v1", json!({IGNORE: "false", PRUNE: "true", DEFAULT_REVISION: "true"}));
        assert!(!plain.is_ignored && !plain.is_kept && plain.not_understood.is_empty());
        let record = of(API_VERSION, json!({IGNORE_RECONCILE: "true"}));
        assert!(record.not_understood.is_empty(), "it is a resource");
    }

    #[test]
    fn an_edit_is_a_change_however_soon_it_comes() {
        let before = known(10, 1, 5, &json!({}));
        let edits = [
            ("edited later", known(20, 9, 9, &json!({}))),
            ("edited in the second of the edit before, told of before", known(20, 1, 1, &json!({}))),
            ("labelled", known(20, 1, 9, &json!({"labels": {"a": "b"}}))),
            ("annotated", known(20, 1, 9, &json!({"annotations": {"a": "b"}}))),
            ("of another generation", known(20, 1, 9, &json!({"generation": 2}))),
            ("being deleted", known(20, 1, 9, &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))),
            ("with a finalizer", known(20, 1, 9, &json!({"finalizers": ["f"]}))),
            ("another of its name", known(20, 1, 9, &json!({"uid": "v"}))),
            ("of which nobody is said to have written it", known(20, 1, 9, &json!({"managedFields": []}))),
        ];
        for (what, mut edited) in edits {
            assert!(!edited.follow_on(&before, HPA.0, HPA.1), "{what}");
            assert!(!edited.is_unchanged_since("10"), "{what}");
        }
        let mut ready = known(20, 1, 9, &json!({}));
        assert!(!ready.follow_on(&before, "apps", "Deployment"), "what is waited for");
    }
}
