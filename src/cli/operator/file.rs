//! A file with the resource that an operator is to reconcile.

use super::super::input::read_input;
use crate::api::{API_VERSION, KIND};
use crate::object::{Object, read_all};
use anyhow::{Context, ensure};

/// Where a resource is that says no namespace.
pub(super) const NAMESPACE: &str = "istio-system";

/// The one resource of a file.
pub(super) fn resource(file: &str, namespace: &str) -> anyhow::Result<Object> {
    let (name, text) = read_input(file)?;
    let mut found = read_all(&text).with_context(|| name.clone())?;
    found.retain(|object| object.kind() == KIND && object.api_version() == API_VERSION);
    ensure!(found.len() == 1, "{name} must have one {KIND} resource of {API_VERSION}, and has {}", found.len());
    let mut resource = found.remove(0);
    resource.settle(namespace);
    Ok(resource)
}
