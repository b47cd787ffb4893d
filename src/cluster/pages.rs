//! Lists that may be long, page by page.
//!
//! Guarantee: memory does not grow with the number of objects. Of each only the names, labels, annotations and the time of
//! its deletion are kept, and only until the next page; who wrote which field, most of what metadata is, is skipped while it
//! is read.

use super::again::read;
use super::{Cluster, ClusterError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::api::{DynamicObject, ListParams};
use kube::core::Request;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How many objects are read at once.
const PAGE: u32 = 500;

#[derive(Deserialize)]
struct Page {
    metadata: Position,
    /// An empty list is null.
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Position {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

/// What is kept of an object's metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<Time>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let Metadata { name, namespace, labels, annotations, deletion_timestamp } = read;
        Self { name, namespace, labels, annotations, deletion_timestamp, ..Self::default() }
    }
}

impl Cluster {
    /// Hands over the metadata of a kind's objects with these labels and fields, in all namespaces, one by one; see the
    /// module for what is in it. An unknown kind has none. Returns how many requests that took.
    ///
    /// # Errors
    /// What the API server says; some of the objects may have been handed over by then.
    pub async fn for_each(
        &self,
        api_version: &str,
        kind: &str,
        (labels, fields): (&str, &str),
        mut take: impl FnMut(&ObjectMeta) + Send,
    ) -> Result<u32, ClusterError> {
        let resource = match self.resource(api_version, kind).await {
            Ok(resource) => resource,
            Err(e) if e.is_absent() => return Ok(1),
            Err(e) => return Err(e),
        };
        let wrong = |e| ClusterError::of("list", &kind, e);
        let list = Request::new(DynamicObject::url_path(&resource, None));
        let mut params = ListParams::default().labels(labels).fields(fields).limit(PAGE);
        let mut requests = 0;
        loop {
            let ask = || async {
                let request = list.list_metadata(&params).map_err(kube::Error::BuildRequest)?;
                self.client.request::<Page>(request).await
            };
            let page = read(ask).await.map_err(wrong)?;
            requests += 1;
            page.items.into_iter().flatten().for_each(|item| take(&item.metadata.into()));
            if page.metadata.next.is_empty() {
                return Ok(requests);
            }
            params = params.continue_token(&page.metadata.next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wrote_which_field_is_skipped_however_deep_it_is() {
        let deep = format!("{}1{}", r#"{"f:a":"#.repeat(5000), "}".repeat(5000));
        let page = format!(
            r#"{{"kind":"PartialObjectMetadataList","metadata":{{"continue":"x"}},"items":[{{"metadata":{{"name":"p",
            "labels":{{"a":"b"}},"deletionTimestamp":"2026-01-01T00:00:00Z","managedFields":[{{"fieldsV1":{deep}}}]}}}}]}}"#
        );
        let page: Page = serde_json::from_str(&page).unwrap();
        assert_eq!(page.metadata.next, "x");
        let metadata: ObjectMeta = page.items.into_iter().flatten().next().unwrap().metadata.into();
        assert!(metadata.name.as_deref() == Some("p") && metadata.deletion_timestamp.is_some());
    }

    #[test]
    fn an_empty_list_is_null() {
        for items in [r#","items":null"#, r#","items":[]"#, ""] {
            let page: Page =
                serde_json::from_str(&format!(r#"{{"metadata":{{"resourceVersion":"1"}}{items}}}"#)).unwrap();
            assert_eq!(page.items.into_iter().flatten().count(), 0, "{items}");
        }
    }
}
