//! The record of the installation of a kept control plane, which it is repaired from.

use crate::api::{INSTALLED_STATE, KIND};
use crate::cluster::ClusterError;
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::packages::PackageError;
use crate::controller::reach::OutOfReach;
use crate::install::{installed_release, installed_state};
use crate::object::manifests::Manifests;
use crate::object::{ObjectKey, OwnerId};
use crate::render::{self, ClusterInfo, RenderError};
use crate::spec::request::NamedPackage;
use helm_template::threads;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::json;

/// Why a control plane that stays is not repaired, though it may be later.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unrepairable {
    /// There is no record.
    #[error("no record says how it was installed")]
    NoRecord,
    /// The record does not say what it came to.
    #[error("its record is of another operator")]
    OfAnotherOperator,
    /// The package that it was installed from cannot be had.
    #[error("its record cannot be rendered: {0}")]
    Package(#[from] PackageError),
    /// The spec in the record is not accepted any more.
    #[error("its record cannot be rendered: {0}")]
    Render(#[from] RenderError),
    /// It reaches beyond the namespace of the resource.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// It is of an installation of gateways, say.
    #[error("its record is of an installation without a control plane")]
    NoControlPlane,
    /// It comes to other objects than those that were installed.
    #[error("another version of the operator, or of its package, installed it")]
    OfAnotherVersion,
}

/// The record of the installation of a revision.
pub(super) async fn find(
    context: &Context,
    id: &OwnerId,
    revision: &str,
) -> Result<Option<DynamicObject>, ClusterError> {
    let is_record = |key: &ObjectKey| key.kind == KIND && key.name.starts_with(INSTALLED_STATE);
    let owned = context.index.owned_by(id);
    let Some((key, known)) = owned.into_iter().find(|(key, known)| is_record(key) && known.revision == revision) else {
        return Ok(None);
    };
    context.cluster.get(&known.api_version, &key).await
}

/// When a record was last written.
pub(super) fn written(record: &DynamicObject) -> Option<Timestamp> {
    record.managed_fields().iter().filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max()
}

/// What a record comes to now, if that is what it came to when it was written; else why not.
pub(super) async fn render(
    context: &Context,
    id: &OwnerId,
    record: &DynamicObject,
) -> Result<Result<Manifests, Unrepairable>, ReconcileError> {
    let (spec, digest) = installed_state::read(record);
    let Some(digest) = digest.map(str::to_owned) else { return Ok(Err(Unrepairable::OfAnotherOperator)) };
    let resource = json!({"metadata": {"namespace": id.namespace, "name": id.name}, "spec": spec});
    let named =
        NamedPackage::of(None, Some(&spec)).or_else(|| installed_release::of_record(record).map(NamedPackage::Release));
    let named = named.unwrap_or_else(|| NamedPackage::Release(context.packages.default_release()));
    let package = match context.packages.open(&context.cluster, &named).await {
        Ok(package) => package,
        Err(error) => return Ok(Err(error.into())),
    };
    let gives_default_tag = installed_state::is_default_unasked(record);
    let cluster_info = ClusterInfo { gives_default_tag, ..context.cluster_info.get() };
    let work = move || threads::single_threaded(|| render::from_record(&resource, &cluster_info, &package));
    let rendered = tokio::task::spawn_blocking(work).await.map_err(|_| ReconcileError::Interrupted)?;
    Ok(rendered.map_err(Unrepairable::from).and_then(|manifests| check(context, id, &digest, manifests)))
}

/// Whether what a record has come to may be installed, and is what was installed.
fn check(context: &Context, id: &OwnerId, digest: &str, manifests: Manifests) -> Result<Manifests, Unrepairable> {
    // A record is a resource, and may be written by whoever may write those of its namespace.
    context.config.privileged.check(&id.namespace, &manifests)?;
    if !manifests.has_control_plane() {
        return Err(Unrepairable::NoControlPlane);
    }
    if installed_state::digest(&manifests) != digest {
        return Err(Unrepairable::OfAnotherVersion);
    }
    Ok(manifests)
}
