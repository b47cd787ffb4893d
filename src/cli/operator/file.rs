//! A file with the resource that an operator is to reconcile.

use super::super::cluster::Connected;
use super::super::input::{read_input, warn};
use super::super::package::PackageArgs;
use crate::api::{API_VERSION, KIND};
use crate::object::{Object, OwnerId, read_all};
use crate::render;
use crate::spec::request::NamedPackage;
use anyhow::{Context, ensure};
use serde_json::Value;

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

/// Checks a resource as an installation of it does, by the release that an operator would take, where its package is at hand.
/// Nothing is written.
///
/// # Errors
/// Its spec is refused, with all that is wrong with it; or the cluster cannot be asked.
pub(super) fn check(resource: &Object, connected: &Connected) -> anyhow::Result<()> {
    let value = resource.value();
    let owner = OwnerId::new(resource.namespace(), resource.name());
    let revision = value.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
    let named = match NamedPackage::of_resource(&value) {
        None => connected.installed(revision)?.map(|(_, release)| NamedPackage::Release(release)),
        named => named,
    };
    match PackageArgs::default().at_hand(named) {
        Ok(package) => {
            let manifests = render::from_resource(&value, &connected.info_for(&owner, revision)?, &package)?;
            warn(&[&manifests.warnings]);
        }
        // The operator has it, or says so.
        Err(why) => eprintln!("Warning: the spec of {} is not checked before it is applied: {why:#}", resource.key()),
    }
    Ok(())
}
