//! The metadata of an object, as the API server sends it when it is asked for nothing else.
//!
//! What anybody can make large or deep is passed over while it is read: the fields that `managedFields` list are as deep as
//! the object is, and one object that cannot be read would cost the whole list it is in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// An object of which only the metadata is read. Of `managedFields` it has who wrote, how and when, and not what.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Meta {
    /// The metadata.
    #[serde(default, deserialize_with = "brief")]
    pub metadata: ObjectMeta,
}

/// Reads metadata as [`Meta`] has it.
pub(super) fn brief<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    WireMetadata::deserialize(deserializer).map(ObjectMeta::from)
}

/// Every field that is not here is skipped, however deep it is.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireMetadata {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    managed_fields: Option<Vec<WireManager>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireManager {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    /// As text: the client that writes may set it.
    time: Option<String>,
}

impl From<WireMetadata> for ObjectMeta {
    fn from(wire: WireMetadata) -> Self {
        Self {
            namespace: wire.namespace,
            name: wire.name,
            uid: wire.uid,
            resource_version: wire.resource_version,
            generation: wire.generation,
            creation_timestamp: wire.creation_timestamp,
            deletion_timestamp: wire.deletion_timestamp,
            finalizers: wire.finalizers,
            labels: wire.labels,
            annotations: wire.annotations,
            owner_references: wire.owner_references,
            managed_fields: wire.managed_fields.map(|all| all.into_iter().map(ManagedFieldsEntry::from).collect()),
            ..Self::default()
        }
    }
}

impl From<WireManager> for ManagedFieldsEntry {
    fn from(WireManager { manager, operation, subresource, time }: WireManager) -> Self {
        let time = time.and_then(|time| time.parse().ok()).map(Time);
        Self { manager, operation, subresource, time, ..Self::default() }
    }
}

/// A type whose kind is said when it is asked for: [`kube::Resource`] for one with a field `metadata`, of which the second
/// argument says whether only the metadata is asked for.
macro_rules! resource_of_any_kind {
    ($type:ty, $is_only_metadata:literal) => {
        impl kube::Resource for $type {
            type DynamicType = kube::api::ApiResource;
            type Scope = kube::core::DynamicResourceScope;

            fn metadata_api() -> bool {
                $is_only_metadata
            }

            fn kind(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                of.kind.as_str().into()
            }

            fn group(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                of.group.as_str().into()
            }

            fn version(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                of.version.as_str().into()
            }

            fn plural(of: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                of.plural.as_str().into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(super) use resource_of_any_kind;

resource_of_any_kind!(Meta, true);

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use kube::core::{ObjectList, WatchEvent};

    /// An object whose fields are so deep.
    fn object(depth: usize) -> String {
        let deep = format!("{}{{}}{}", r#"{"f:a":"#.repeat(depth), "}".repeat(depth));
        let entry = format!(
            r#"{{"manager":"istio-operator","operation":"Apply","time":"2026-01-01T00:00:00Z","fieldsV1":{deep}}}"#
        );
        format!(
            r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"x","generation":2,
            "deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["f"],"labels":{{"a":"b"}},"managedFields":[{entry}]}},"spec":{deep}}}"#
        )
    }

    #[test]
    fn one_object_that_is_deep_does_not_cost_the_list_it_is_in() {
        let list = format!(
            r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"1"}},"items":[{},{}]}}"#,
            object(1),
            object(5000)
        );
        let list: ObjectList<Meta> = serde_json::from_str(&list).unwrap();
        assert_eq!(list.items.len(), 2);
        let event = format!(r#"{{"type":"MODIFIED","object":{}}}"#, object(5000));
        assert!(matches!(serde_json::from_str(&event), Ok(WatchEvent::<Meta>::Modified(_))));
    }

    #[test]
    fn who_wrote_an_object_is_read_and_what_is_not() {
        let object: Meta = serde_json::from_str(&object(3)).unwrap();
        let entry = &object.managed_fields()[0];
        assert_eq!((entry.manager.as_deref(), entry.operation.as_deref()), (Some("istio-operator"), Some("Apply")));
        assert!(entry.time.is_some() && entry.fields_v1.is_none());
        assert_eq!((object.metadata.generation, object.finalizers()), (Some(2), &["f".to_owned()][..]));
        assert!(object.metadata.deletion_timestamp.is_some());
        assert_eq!(object.labels()["a"], "b");
    }

    #[test]
    fn a_time_that_is_none_and_fields_that_are_null_cost_nothing() {
        let text =
            r#"{"metadata":{"name":"x","labels":null,"creationTimestamp":null,"managedFields":[{"time":"soon"}]}}"#;
        let object: Meta = serde_json::from_str(text).unwrap();
        assert_eq!(object.name_any(), "x");
        assert_eq!(object.managed_fields()[0].time, None);
    }
}
