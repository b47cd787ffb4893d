//! A live object as the JSON that it was read from.
//!
//! Guarantee: nothing of an object is lost on the way, and it cannot fail. `serde_json::to_value` gives a `Result` that no caller
//! can do anything about; an object that became null there would differ in everything from what is wanted, or overlap with nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use kube::api::DynamicObject;
use serde_json::{Map, Value};

/// The object as JSON.
#[must_use]
pub fn value_of(live: &DynamicObject) -> Value {
    let DynamicObject { types, metadata, data } = live;
    // What is beside the types and the metadata is a map, or there is nothing.
    let mut object = data.as_object().cloned().unwrap_or_default();
    if let Some(types) = types {
        put(&mut object, "apiVersion", Some(types.api_version.as_str()));
        put(&mut object, "kind", Some(types.kind.as_str()));
    }
    put(&mut object, "metadata", Some(metadata_of(metadata)));
    Value::Object(object)
}

/// Metadata as JSON. Taken apart without `..`: a field that Kubernetes adds does not compile until it is written here.
fn metadata_of(metadata: &ObjectMeta) -> Value {
    let ObjectMeta {
        annotations,
        creation_timestamp,
        deletion_grace_period_seconds,
        deletion_timestamp,
        finalizers,
        generate_name,
        generation,
        labels,
        managed_fields,
        name,
        namespace,
        owner_references,
        resource_version,
        self_link,
        uid,
    } = metadata;
    let texts = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect::<Map<_, _>>()
    };
    let mut all = Map::new();
    put(&mut all, "annotations", annotations.as_ref().map(texts));
    put(&mut all, "creationTimestamp", creation_timestamp.as_ref().map(time));
    put(&mut all, "deletionGracePeriodSeconds", *deletion_grace_period_seconds);
    put(&mut all, "deletionTimestamp", deletion_timestamp.as_ref().map(time));
    put(&mut all, "finalizers", finalizers.as_deref());
    put(&mut all, "generateName", generate_name.as_deref());
    put(&mut all, "generation", *generation);
    put(&mut all, "labels", labels.as_ref().map(texts));
    put(&mut all, "managedFields", managed_fields.as_ref().map(|all| all.iter().map(manager).collect::<Vec<_>>()));
    put(&mut all, "name", name.as_deref());
    put(&mut all, "namespace", namespace.as_deref());
    put(&mut all, "ownerReferences", owner_references.as_ref().map(|all| all.iter().map(owner).collect::<Vec<_>>()));
    put(&mut all, "resourceVersion", resource_version.as_deref());
    put(&mut all, "selfLink", self_link.as_deref());
    put(&mut all, "uid", uid.as_deref());
    Value::Object(all)
}

fn manager(entry: &ManagedFieldsEntry) -> Value {
    let ManagedFieldsEntry { api_version, fields_type, fields_v1, manager, operation, subresource, time: when } = entry;
    let mut all = Map::new();
    put(&mut all, "apiVersion", api_version.as_deref());
    put(&mut all, "fieldsType", fields_type.as_deref());
    put(&mut all, "fieldsV1", fields_v1.as_ref().map(|fields| fields.0.clone()));
    put(&mut all, "manager", manager.as_deref());
    put(&mut all, "operation", operation.as_deref());
    put(&mut all, "subresource", subresource.as_deref());
    put(&mut all, "time", when.as_ref().map(time));
    Value::Object(all)
}

fn owner(reference: &OwnerReference) -> Value {
    let OwnerReference { api_version, block_owner_deletion, controller, kind, name, uid } = reference;
    let mut all = Map::new();
    put(&mut all, "apiVersion", Some(api_version.as_str()));
    put(&mut all, "blockOwnerDeletion", *block_owner_deletion);
    put(&mut all, "controller", *controller);
    put(&mut all, "kind", Some(kind.as_str()));
    put(&mut all, "name", Some(name.as_str()));
    put(&mut all, "uid", Some(uid.as_str()));
    Value::Object(all)
}

fn time(Time(time): &Time) -> String {
    time.strftime(crate::api::TIME_FORMAT).to_string()
}

fn put<T: Into<Value>>(into: &mut Map<String, Value>, field: &str, value: Option<T>) {
    if let Some(value) = value {
        into.insert(field.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn an_object_is_what_it_was_read_from() {
        let whole = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "annotations": {"a": "b"}, "creationTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3,
                "deletionTimestamp": "2026-01-01T00:00:01Z", "finalizers": ["f"], "generateName": "x-", "generation": 2,
                "labels": {"c": "d"},
                "managedFields": [{
                    "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:a": {}}}, "manager": "m",
                    "operation": "Apply", "subresource": "status", "time": "2026-01-01T00:00:02Z",
                }, {}],
                "name": "x", "namespace": "ns",
                "ownerReferences": [
                    {"apiVersion": "v1", "blockOwnerDeletion": true, "controller": false, "kind": "K", "name": "n", "uid": "u"},
                    {"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"},
                ],
                "resourceVersion": "7", "selfLink": "/x", "uid": "v",
            },
            "spec": {"a": [1, null]}, "status": {},
        });
        for object in
            [whole, json!({"metadata": {}}), json!({"metadata": {"labels": {}, "finalizers": []}, "data": {}})]
        {
            let live: DynamicObject = from_value(object.clone()).unwrap();
            assert_eq!(value_of(&live), object);
            assert_eq!(value_of(&live), to_value(&live).unwrap());
        }
    }

    #[test]
    fn an_object_with_nothing_beside_its_metadata_is_one_too() {
        let bare = DynamicObject { types: None, metadata: ObjectMeta::default(), data: Value::Null };
        assert_eq!(value_of(&bare), json!({"metadata": {}}));
    }
}
