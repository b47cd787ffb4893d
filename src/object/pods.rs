//! The pods of a workload, by namespace and labels.

use serde_json::Value;
use std::collections::BTreeMap;

/// A workload's pods: its namespace and the labels it selects by.
pub type Pods = (String, BTreeMap<String, String>);

/// The tag of an image; `None` where it has none, but a digest.
#[must_use]
pub fn image_tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?.rsplit('/').next()?;
    name.split_once(':').map(|(_, tag)| tag)
}

/// The pods of a workload in a namespace, by its selector.
#[must_use]
pub fn pods_of(namespace: &str, workload: &Value) -> Option<Pods> {
    let selector = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object)?;
    let labels = selector.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some((namespace.to_owned(), labels.collect()))
}
