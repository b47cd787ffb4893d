//! Which release a resource gets, in this order: the annotation `install.istio.io/release`; `spec.installPackagePath`; the
//! release that is installed now; the default of the operator.
//!
//! Guarantee: a control plane is not moved to another release because the operator was restarted, upgraded, or started with
//! another default.

use super::PackageError;
use super::installed::Installed;
use crate::api::component::Component;
use crate::api::{ALLOW_DOWNGRADE, INSTALLED_STATE, KIND, RELEASE};
use crate::cluster::ClusterError;
use crate::controller::error::ReconcileError;
use crate::controller::reconcile::Reconcile;
use crate::controller::status::Conclusion;
use crate::failure::{Cause, Retry};
use crate::install::cached::CachedObject;
use crate::install::installed_release;
use crate::install::readiness::{Readiness, readiness};
use crate::object::ObjectKey;
use crate::object::manifests::revision_label;
use crate::release::{Package, RELEASE as BUILT_IN};
use crate::spec::path::text;
use crate::spec::request::NamedPackage;
use serde_json::Value;
use std::sync::Arc;

/// The reason of a release whose package is not at hand.
pub(in crate::controller) const MISSING: &str = "ReleaseMissing";

impl Reconcile<'_> {
    /// The package of the resource; or what a person has to do before anything is written.
    pub(in crate::controller) async fn package(&mut self) -> Result<Result<Arc<Package>, Conclusion>, ReconcileError> {
        let (named, installed) = match NamedPackage::of(self.resource.annotation(RELEASE), self.resource.spec()) {
            Some(named) => (named, None),
            None => match self.installed().await?.and_then(|found| Some((found.key, found.release?))) {
                Some((key, release)) => (NamedPackage::Release(self.allowed(&release)), Some((key, release))),
                None => (NamedPackage::Release(self.context.packages.default_release()), None),
            },
        };
        let error = match self.context.packages.open(&self.context.cluster, &named).await {
            Ok(package) => {
                self.state.release = package.release();
                return Ok(Ok(package));
            }
            Err(error) => error,
        };
        let conclusion = match (&named, installed) {
            (NamedPackage::Release(_), Some((key, release))) if error.is_absent() => {
                Conclusion::Blocked(MISSING, Cause::new(error.reason(), self.missing(&key, &release, &error)))
            }
            (NamedPackage::Release(release), None) if error.is_absent() => {
                Conclusion::Blocked(MISSING, Cause::new(error.reason(), unknown(release, &error)))
            }
            _ if error.retry() == Retry::OnChange => Conclusion::Invalid(Cause::new(error.reason(), error.to_string())),
            _ => match error {
                PackageError::Fetching(location) => {
                    Conclusion::Waiting(format!("release package {location}, which is being fetched"))
                }
                error => return Err(error.into()),
            },
        };
        Ok(Err(conclusion))
    }

    /// The release that the resource was last rendered from; before that, the default.
    pub(in crate::controller) fn release(&self) -> String {
        if self.state.release.is_empty() { self.context.packages.default_release() } else { self.state.release.clone() }
    }

    /// The release that is installed, unless a person allows an older one.
    fn allowed(&self, release: &str) -> String {
        let allowed = self.resource.annotation(ALLOW_DOWNGRADE).map(str::trim);
        let older = allowed.filter(|allowed| installed_release::is_older(allowed, release) == Some(true));
        older.unwrap_or(release).to_owned()
    }

    fn missing(&self, key: &ObjectKey, release: &str, error: &PackageError) -> String {
        let default = self.context.packages.default_release();
        let annotation =
            if installed_release::is_older(&default, release) == Some(true) { ALLOW_DOWNGRADE } else { RELEASE };
        format!(
            "{key} is of release {release}, whose package is not at hand ({error}): nothing is written, for a control plane is \
             not moved to another release unless somebody asks for it; start the operator with a --package-dir or a \
             --release-source that has {release}, or annotate the resource {annotation}={default}"
        )
    }

    /// What tells the release that is installed: the control plane of the resource, or else that of its revision, whosever it
    /// is, or else the record of the resource's installation. Gateways do not move before the control plane stands.
    async fn installed(&mut self) -> Result<Option<Installed>, ClusterError> {
        let Self { context, id, resource, .. } = *self;
        let revision = revision_label(resource.revision());
        let owned = context.index.owned_by(id);
        let of_revision = |known: &CachedObject| revision_label(&known.revision) == revision;
        let is_istiod = |(key, known): &&(ObjectKey, CachedObject)| {
            key.kind == "Deployment" && known.component == Some(Component::Pilot) && of_revision(known)
        };
        let is_record = |(key, known): &&(ObjectKey, CachedObject)| {
            key.kind == KIND && key.name.starts_with(INSTALLED_STATE) && of_revision(known)
        };
        if let Some((key, known)) = owned.iter().find(is_istiod) {
            let found = self.release_of(key, &known.api_version, &known.resource_version).await?;
            if found.release.is_some() {
                return Ok(Some(found));
            }
        }
        let key = istiod(resource.spec().unwrap_or(&Value::Null), revision);
        let known = context.index.get(&key).map(|known| known.resource_version).unwrap_or_default();
        let theirs = self.release_of(&key, "apps/v1", &known).await?;
        if theirs.release.is_some() && theirs.is_ready {
            return Ok(Some(theirs));
        }
        if let Some((key, known)) = owned.iter().find(is_record) {
            let found = self.release_of(key, &known.api_version, &known.resource_version).await?;
            if found.release.is_some() {
                return Ok(Some(found));
            }
        }
        Ok(Some(theirs).filter(|found| found.release.is_some()))
    }

    /// What an object tells; from memory where it is as it was.
    async fn release_of(
        &mut self,
        key: &ObjectKey,
        api_version: &str,
        version: &str,
    ) -> Result<Installed, ClusterError> {
        let is_same =
            |known: &&Installed| known.key == *key && !version.is_empty() && known.resource_version == version;
        if let Some(known) = self.state.installed.as_ref().filter(is_same) {
            return Ok(known.clone());
        }
        let live = match self.context.cluster.get(api_version, key).await {
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let release = live.as_ref().and_then(installed_release::of_istiod);
        let is_ready = live.is_some_and(|live| readiness(&key.group, &key.kind, &live, None) == Readiness::Ready);
        let found = Installed { key: key.clone(), resource_version: version.to_owned(), release, is_ready };
        self.state.installed = Some(found.clone());
        Ok(found)
    }
}

/// What there is to say of a release that a resource names, or that is the default, and that nobody has.
fn unknown(release: &str, error: &PackageError) -> String {
    format!(
        "{error}; nothing is written: start the operator with a --package-dir or a --release-source that has {release}, or have \
         the annotation {RELEASE} name a release that is at hand, such as the built-in {BUILT_IN}"
    )
}

/// The control plane of a revision, by where a spec puts it.
fn istiod(spec: &Value, revision: &str) -> ObjectKey {
    let namespace = ["/values/global/istioNamespace", "/namespace"].into_iter();
    let namespace = namespace.filter_map(|field| text(spec, field)).find(|name| !name.is_empty());
    ObjectKey {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: namespace.unwrap_or("istio-system").to_owned(),
        name: if revision == "default" { "istiod".to_owned() } else { format!("istiod-{revision}") },
    }
}
