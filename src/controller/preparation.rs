//! From the spec of a resource to a plan: the spec is rendered, checked, and compared with what is installed. Nothing is
//! written.

use super::error::ReconcileError;
use super::held::{Held, Told};
use super::reconcile::Reconcile;
use super::status::Conclusion;
use super::usage::{self, ControlPlane};
use super::{build_metrics, tags};
use crate::api::{ALLOW_DOWNGRADE, FORCE_PRUNE, annotations};
use crate::cluster::ClusterError;
use crate::failure::{Cause, Retry};
use crate::install::{Draft, Kept, Plan, default_revision, downgrade, installed_state};
use crate::object::Object;
use crate::object::manifests::{Manifests, revision_label};
use crate::render::{self, ClusterInfo};
use helm_template::threads;
use kube::ResourceExt;
use serde_json::json;

/// The reason of a release that is older than the one installed.
const DOWNGRADE: &str = "Downgrade";

/// What is to be done for a resource.
pub(super) struct Prepared {
    /// What is to be applied, to be deleted, and to stay.
    pub plan: Plan,
    /// What stays although the spec does not want it.
    pub held: Vec<Told>,
    /// The control plane that the spec wants, if it wants one.
    pub control_plane: Option<ControlPlane>,
}

/// What a spec renders to. The resolved spec, which is as large as all the rest, is in the record only.
struct Built {
    manifests: Manifests,
    record: Object,
    control_plane: Option<ControlPlane>,
}

impl Reconcile<'_> {
    /// Reads what has to be known before anything is written: what the spec renders to, whether it may be written, and what
    /// stays of what the resource has. Else gives what there is to say of a spec of which nothing is written.
    pub async fn prepare(&mut self) -> Result<Result<Prepared, Conclusion>, ReconcileError> {
        let is_given = self.gives_default_tag().await;
        let prepared = self.prepare_with(is_given.as_ref().is_ok_and(|given| *given)).await?;
        match (&prepared, is_given) {
            (Ok(prepared), Ok(false)) if self.inherits_default_tag(&prepared.plan) => self.prepare_with(true).await,
            // To go on without would undo what is decided, for ever.
            (Ok(prepared), Err(error)) if prepared.plan.manifests().has_control_plane() => Err(error.into()),
            _ => Ok(prepared),
        }
    }

    /// The same, where it is known whether the control plane has the revision tag `default` unasked.
    async fn prepare_with(&mut self, gives_default_tag: bool) -> Result<Result<Prepared, Conclusion>, ReconcileError> {
        let engine = self.context.engine();
        let Built { manifests, record, control_plane } = match self.build(gives_default_tag).await? {
            Ok(built) => built,
            Err(conclusion) => return Ok(Err(conclusion)),
        };
        let draft = Draft::new(&engine, manifests, record).await;
        let allowed = self.resource.annotation(ALLOW_DOWNGRADE);
        if let Some(downgrade) = downgrade::forbid(&engine, &mut self.state.install, draft.manifests(), allowed).await?
        {
            return Ok(Err(Conclusion::Blocked(DOWNGRADE, Cause::new(DOWNGRADE, downgrade.to_string()))));
        }
        let candidates = draft.candidates(&engine, self.id, &mut self.state.install).await?;
        let insisted = self.resource.annotation(FORCE_PRUNE).unwrap_or_default();
        let mut held = self.held(insisted, draft.manifests(), &candidates).await?;
        let tags = tags::held(self.context, insisted, draft.manifests(), &candidates, &held).await?;
        held.extend(tags);
        let (held, kept): (Vec<Told>, Vec<Kept>) = held.into_iter().map(Held::split).unzip();
        let plan = draft.plan(&engine, candidates, kept).await?;
        let stays = held.into_iter().zip(plan.kept()).filter(|(_, kept)| !kept.keys.is_empty());
        let held = stays.map(|(held, _)| held).collect();
        Ok(Ok(Prepared { plan, held, control_plane }))
    }

    /// Whether the control plane has the revision tag `default` although the spec does not list it. Where that cannot be found
    /// out, one that has it keeps it.
    async fn gives_default_tag(&mut self) -> Result<bool, ClusterError> {
        if self.state.is_without_control_plane || !self.may_have_default_tag() {
            return Ok(false);
        }
        let has_it = self.state.install.inventory.contains_key(&default_revision::tag_key());
        if annotations::may_be_default(self.resource.annotations()).is_none() {
            return Ok(has_it);
        }
        let revision = revision_label(self.resource.revision());
        let (engine, injectors) = (self.context.engine(), &mut self.state.install.injectors);
        let is_given = default_revision::is_given(&engine, injectors, self.id, revision).await;
        if is_given.is_err() && has_it { Ok(true) } else { is_given }
    }

    /// Whether neither the resource nor another one is against it.
    fn may_have_default_tag(&self) -> bool {
        let resource = self.resource;
        let (key, since) = (default_revision::tag_key(), resource.created_at());
        annotations::may_be_default(resource.annotations()) != Some(false)
            && !self.context.ownership.is_better_claimed(self.id, &since, resource.revision(), &key)
    }

    /// Whether an earlier control plane of the resource, which would go now, has the tag unasked: then the one that takes its
    /// place is the default one, so that a namespace that names no revision finds one tomorrow as well.
    fn inherits_default_tag(&self, plan: &Plan) -> bool {
        let key = default_revision::tag_key();
        let is_unasked = || self.context.index.get(&key).is_some_and(|tag| tag.is_default && tag.owner == *self.id);
        plan.manifests().has_control_plane()
            && plan.candidates().iter().any(|candidate| candidate.key == key)
            && is_unasked()
            && self.may_have_default_tag()
    }

    /// From the spec to manifests, on a thread that may compute for long; or what there is to say of a spec of which nothing
    /// may be installed.
    #[tracing::instrument(level = "debug", skip_all, fields(generation = self.resource.metadata.generation))]
    async fn build(&mut self, gives_default_tag: bool) -> Result<Result<Built, Conclusion>, ReconcileError> {
        if let Some(error) = self.resource.error() {
            return Ok(Err(Conclusion::Invalid(Cause::new(error.reason(), error.to_string()))));
        }
        let package = match self.package().await? {
            Ok(package) => package,
            Err(conclusion) => return Ok(Err(conclusion)),
        };
        let (resource, context, id) = (self.resource, self.context, self.id);
        let input = json!({ "metadata": resource.metadata, "spec": resource.spec() });
        let cluster_info = ClusterInfo { gives_default_tag, ..context.cluster_info.get() };
        let work = move || threads::single_threaded(|| render::from_resource(&input, &cluster_info, &package));
        let rendered = tokio::task::spawn_blocking(work).await.map_err(|_| ReconcileError::Interrupted)?;
        build_metrics::count_build(&context.metrics, resource.spec(), rendered.as_ref());
        let mut manifests = match rendered {
            Ok(manifests) => manifests,
            Err(error) if error.retry() == Retry::Backoff => return Err(error.into()),
            Err(error) => return Ok(Err(Conclusion::Invalid(Cause::new(error.reason(), error.to_string())))),
        };
        if let Err(error) = context.config.privileged.check(&id.namespace, &manifests) {
            return Ok(Err(Conclusion::Invalid(Cause::new(error.reason(), error.to_string()))));
        }
        self.state.is_without_control_plane = !manifests.has_control_plane();
        let control_plane = usage::control_plane(&manifests);
        let is_taken = context.ownership.is_record_name_taken(id, &manifests.revision);
        let name_of = if is_taken { installed_state::distinct_name } else { installed_state::name };
        let record_name = name_of(&id.name, &manifests.revision);
        let record = installed_state::record((&id.namespace, &id.name), &record_name, &mut manifests)?;
        Ok(Ok(Built { manifests, record, control_plane }))
    }
}
