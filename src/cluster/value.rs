//! A live object as the JSON that it was read from.

use kube::api::DynamicObject;
use serde_json::Value;

/// The object as JSON.
#[must_use]
pub fn value_of(live: &DynamicObject) -> Value {
    // Metadata is texts, numbers and maps with keys of text, none of which serde_json refuses. All but the metadata would be left: an
    // object that became null would differ in everything from what is wanted, or overlap with nothing.
    serde_json::to_value(live).unwrap_or_else(|_| live.data.clone())
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
        let bare = DynamicObject { types: None, metadata: kube::core::ObjectMeta::default(), data: Value::Null };
        assert_eq!(value_of(&bare), json!({"metadata": {}}));
    }
}
