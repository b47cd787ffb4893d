//! One pass over one resource.

use super::events;
use super::index::OwnerId;
use super::install::{Pass, Wanted, sooner};
use super::report::{report, report_paused};
use super::usage::{self, ControlPlane};
use super::{
    Claim, Context, Memory, cleanup, downgrade, held, preview, prune, record, revision, since, tags, tally, webhooks,
};
use crate::api::{DRY_RUN, FINALIZER, IGNORE_RECONCILE, INSTALLED_STATE};
use crate::cluster::ClusterError;
use crate::cluster::outage::is_caused_by_outage;
use crate::cluster::received::UNREADABLE;
use crate::controller::status::{Findings, Verdict};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectError};
use crate::render::{self, RenderError};
use helm_template::threads;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use serde_json::{Value, json};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;
use tracing::field::Empty;

/// When it is looked again whether all resources were read.
const READ_SOON: Duration = Duration::from_millis(500);
/// The longest value of a label.
const LONGEST_NAME: usize = 63;
/// How soon the reason of a wait is looked at again: pods, which say it, are not watched.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Why a pass could not finish; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A request failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Objects could not be written.
    #[error("{0}")]
    Objects(String),
    /// Rendering was cut short by the end of the process.
    #[error("rendering did not finish")]
    Interrupted,
}

/// After a failed pass: again, later each time, up to a minute, and not all at once.
#[allow(clippy::needless_pass_by_value)] // the signature that the queue calls
pub(super) fn retry(resource: Arc<DynamicObject>, error: &PassError, context: Arc<Context>) -> Action {
    let id = id_of(&resource);
    // Outside of the pass, so outside of its span.
    let failures = context.memory(&id).try_lock().map_or(1, |mut memory| {
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    });
    let base = Duration::from_millis(500) * 2_u32.pow(failures.min(7));
    let delay = base.mul_f64(1.0 + f64::from(jitter(&id, failures) % 100) / 400.0).min(Duration::from_mins(1));
    if is_caused_by_outage(error) {
        tracing::debug!(namespace = id.0, name = id.1, %error, ?delay, "trying again");
    } else {
        tracing::warn!(namespace = id.0, name = id.1, %error, ?delay, "trying again");
    }
    Action::requeue(delay)
}

/// A number that differs between resources and attempts.
fn jitter(id: &OwnerId, attempt: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (id, attempt).hash(&mut hasher);
    (hasher.finish() & 0xffff) as u32
}

fn id_of(resource: &DynamicObject) -> OwnerId {
    (resource.namespace().unwrap_or_default(), resource.name_any())
}

/// One pass.
pub(super) async fn reconcile(resource: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, PassError> {
    let id = id_of(&resource);
    let span = tracing::info_span!(
        "pass",
        namespace = id.0,
        name = id.1,
        otel.status_code = Empty,
        otel.status_description = Empty
    );
    context.queue.leave(&id, &context.metrics);
    context.metrics.set_orphans(&id, 0);
    let begun = Instant::now();
    let result = pass(&resource, &context, &id).instrument(span.clone()).await;
    if let Err(error) = &result {
        span.record("otel.status_code", "error").record("otel.status_description", error.to_string());
    }
    context.metrics.time_pass(begun.elapsed());
    result
}

async fn pass(resource: &DynamicObject, context: &Context, id: &OwnerId) -> Result<Action, PassError> {
    let is_deleted = resource.metadata.deletion_timestamp.is_some();
    if is_of_another_operator(resource, context) {
        context.mark_read(id);
        return Ok(Action::await_change());
    }
    if is_left_alone(resource) {
        return leave_alone(resource, context, id).await;
    }
    let memory = context.memory(id);
    let mut memory = memory.lock().await;
    memory.begin(resource);
    if is_deleted {
        return delete(resource, context, id, &mut memory).await;
    }
    memory.obey(resource);
    let is_dry_run = resource.annotations().get(DRY_RUN).is_some_and(|v| v == "true");
    if !is_dry_run {
        add_finalizer(resource, context).await?;
    }
    let generation = resource.metadata.generation.unwrap_or_default();
    let seen = memory.known().observed_generation;
    if seen != Some(generation) {
        let reason = if seen.is_none() { "create" } else { "update_generation" };
        context.metrics.count("reconcile_request", [("reason", reason)]);
        report(resource, context, &mut memory, &Findings::of(Verdict::Started, generation)).await?;
    }
    let mut built = match build(resource, context).await? {
        Ok(built) => built,
        Err(verdict) => return refuse(resource, context, id, &mut memory, verdict).await,
    };
    let plane = built.plane.take();
    let wanted = match prepare(resource, context, id, &mut memory, &mut built).await {
        Ok(Ok(wanted)) => wanted,
        Ok(Err(verdict)) => return refuse(resource, context, id, &mut memory, verdict).await,
        Err(error) => {
            let failed = memory.failed(error.to_string());
            report(resource, context, &mut memory, &Findings::of(failed, generation)).await?;
            return Err(error);
        }
    };
    if is_dry_run {
        context.mark_read(id);
        let preview = preview::preview(context, id, &memory, &wanted).await?;
        report(resource, context, &mut memory, &preview::findings(preview, generation)).await?;
        return Ok(Action::await_change());
    }
    let claim = Claim {
        since: since(resource),
        version: wanted.manifests.version.clone(),
        revision: wanted.manifests.revision.clone(),
        is_current: true,
        keys: wanted.keys(),
    };
    context.wake(context.claims.set(id, Some(claim)));
    context.mark_read(id);
    install(resource, context, id, &mut memory, &wanted, plane).await
}

/// Touches nothing of what a resource has. Of a record there is nothing to say either.
async fn leave_alone(resource: &DynamicObject, context: &Context, id: &OwnerId) -> Result<Action, PassError> {
    context.mark_read(id);
    if resource.metadata.deletion_timestamp.is_some() {
        // Hands off means that what is installed stays; it must not mean that the resource stays for ever.
        cleanup::let_go(resource, context, id).await?;
    } else if !is_record(resource) {
        let memory = context.memory(id);
        let mut memory = memory.lock().await;
        memory.begin(resource);
        report_paused(resource, context, &mut memory).await?;
    }
    Ok(Action::await_change())
}

/// Removes what a resource has that is being deleted, or keeps it working as long as it may not go. A spec that cannot be
/// rendered any more is nothing to repair it by.
async fn delete(
    resource: &DynamicObject,
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
) -> Result<Action, PassError> {
    if !context.is_all_read() {
        // What another resource wants too stays, and that is not known yet.
        return Ok(Action::requeue(READ_SOON));
    }
    let action = cleanup::finalize(resource, context, id, memory).await?;
    if !memory.deletion.is_held() {
        return Ok(action);
    }
    let Ok(mut built) = build(resource, context).await? else { return Ok(action) };
    let Ok(wanted) = prepare(resource, context, id, memory, &mut built).await? else { return Ok(action) };
    match Pass::new(context, id, memory, &wanted).repair_all(&wanted).await {
        Some(failure) => Err(PassError::Objects(failure)),
        None => Ok(action),
    }
}

/// Reads what has to be known before anything is written: whether it may be, and what stays of what the resource has.
async fn prepare<'a>(
    resource: &DynamicObject,
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
    built: &'a mut Built,
) -> Result<Result<Wanted<'a>, Verdict>, PassError> {
    let is_default_tagged = webhooks::is_default_tagged(context, &built.manifests).await;
    if is_default_tagged {
        webhooks::deactivate_default(&mut built.manifests);
    }
    let Built { manifests, record, .. } = built;
    let (held, unwanted, replaced) = Default::default();
    let mut wanted = Wanted { manifests, record, held, unwanted, replaced };
    if let Some(why) = downgrade::forbid(context, resource, memory, wanted.manifests).await? {
        return Ok(Err(Verdict::Blocked("Downgrade", why)));
    }
    wanted.unwanted = prune::unwanted(context, id, memory, &wanted.keys()).await?;
    wanted.held = held::held(context, resource, id, memory, wanted.manifests, &wanted.unwanted).await?;
    let tags = tags::held(context, resource, wanted.manifests, &wanted.unwanted, &wanted.held).await?;
    wanted.held.extend(tags);
    wanted.replaced = webhooks::replaced(context, &wanted.unwanted, wanted.manifests).await?;
    for held in &mut wanted.held {
        if let Some(manifests) = held.manifests.as_mut().filter(|_| is_default_tagged) {
            webhooks::deactivate_default(manifests);
        }
        let superseded = held.manifests.as_ref().map(|manifests| webhooks::superseded(manifests, wanted.manifests));
        held.give_up(&wanted.replaced.old);
        held.give_up(&superseded.unwrap_or_default());
    }
    wanted.held.retain(|held| !held.keys.is_empty());
    let kept = wanted.keys();
    wanted.unwanted.retain(|object| !kept.contains(&object.key));
    Ok(Ok(wanted))
}

/// What is wrong with a resource before its spec is looked into.
fn unreadable(resource: &DynamicObject) -> Option<String> {
    let why = resource.data.get(UNREADABLE).and_then(Value::as_str).map(str::to_owned);
    let is_too_long = resource.name_any().len() > LONGEST_NAME;
    why.or_else(|| {
        is_too_long.then(|| {
            format!(
                "metadata.name: must be at most {LONGEST_NAME} characters long, since it is the value of a label of \
                 everything that is installed; give the resource a shorter name"
            )
        })
    })
}

/// Ends a pass that must not touch what is installed, until something changes.
async fn refuse(
    resource: &DynamicObject,
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
    verdict: Verdict,
) -> Result<Action, PassError> {
    let generation = resource.metadata.generation.unwrap_or_default();
    context.wake(context.claims.outdate(id));
    context.mark_read(id);
    context.metrics.count("reconcile", [("result", "invalid")]);
    report(resource, context, memory, &Findings::of(verdict, generation)).await?;
    Ok(Action::await_change())
}

/// Installs what is wanted, and tells what came of it.
#[tracing::instrument(level = "debug", skip_all, fields(version = wanted.manifests.version))]
async fn install(
    resource: &DynamicObject,
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
    wanted: &Wanted<'_>,
    plane: Option<ControlPlane>,
) -> Result<Action, PassError> {
    let generation = resource.metadata.generation.unwrap_or_default();
    let before = memory.progress();
    let mut installed = Pass::new(context, id, memory, wanted).install(wanted, generation).await;
    let settled = usage::settle(context, resource, id, plane, &memory.known(), &mut installed.findings).await;
    installed.again = sooner(installed.again, settled);
    let untold = report(resource, context, memory, &installed.findings).await?;
    for note in &installed.notes {
        events::publish(context, resource, note).await;
    }
    let result = if installed.failure.is_none() { "ok" } else { "failed" };
    context.metrics.count("reconcile", [("result", result)]);
    if let Some(failure) = installed.failure {
        // What gets on gets on soon.
        if memory.progress() != before {
            memory.failures = 0;
        }
        return Err(PassError::Objects(failure));
    }
    memory.failures = 0;
    let look = (installed.findings.verdict != Verdict::Healthy).then_some(LOOK_AGAIN);
    Ok(sooner(sooner(look, untold), installed.again).map_or_else(Action::await_change, Action::requeue))
}

fn is_of_another_operator(resource: &DynamicObject, context: &Context) -> bool {
    context.config.revision.as_deref().is_some_and(|r| r != revision(resource))
}

/// Records of installations, and resources told to be left alone.
pub(super) fn is_left_alone(resource: &DynamicObject) -> bool {
    is_record(resource) || resource.annotations().get(IGNORE_RECONCILE).is_some_and(|v| v == "true")
}

fn is_record(resource: &DynamicObject) -> bool {
    resource.name_any().starts_with(INSTALLED_STATE)
}

async fn add_finalizer(resource: &DynamicObject, context: &Context) -> Result<(), ClusterError> {
    if resource.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(());
    }
    // The test makes sure that nobody else's finalizer is lost.
    let version = json!({"op": "test", "path": "/metadata/resourceVersion", "value": resource.resource_version()});
    let add = if resource.finalizers().is_empty() {
        json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})
    };
    context.cluster.patch_owner(resource, json!([version, add])).await
}

/// What a spec comes to. The resolved spec, which is as large as all the rest, is in the record only.
struct Built {
    manifests: Manifests,
    record: Object,
    plane: Option<ControlPlane>,
}

/// From the spec to manifests, on a thread that may compute for long; or what there is to say of a spec of which nothing may
/// be installed.
#[tracing::instrument(level = "debug", skip_all, fields(generation = resource.metadata.generation))]
async fn build(resource: &DynamicObject, context: &Context) -> Result<Result<Built, Verdict>, PassError> {
    if let Some(why) = unreadable(resource) {
        return Ok(Err(Verdict::Invalid(why)));
    }
    let id = id_of(resource);
    let input = serde_json::to_value(resource).unwrap_or_default();
    let (facts, package) = (context.facts.get(), Arc::clone(&context.package));
    let (claims, privileged) = (Arc::clone(&context.claims), context.config.privileged.clone());
    let work = move || {
        let mut manifests = match threads::single_threaded(|| render::from_resource(&input, &facts, &package)) {
            Ok(manifests) => manifests,
            Err(error) => return Ok(Err(error)),
        };
        let plane = usage::control_plane(&manifests);
        let refusal = privileged.refusal(&id.0, &manifests);
        let is_taken = claims.is_record_name_taken(&id, &manifests.revision);
        let name_of = if is_taken { record::distinct_name } else { record::name };
        let record_name = name_of(&id.1, &manifests.revision);
        let record = record::record((&id.0, &id.1), &record_name, &mut manifests)?;
        Ok(Ok((Built { manifests, record, plane }, refusal)))
    };
    let result: Result<_, ObjectError> = tokio::task::spawn_blocking(work).await.map_err(|_| PassError::Interrupted)?;
    let result: Result<_, RenderError> = result.map_err(|error| PassError::Objects(error.to_string()))?;
    tally::count_build(&context.metrics, resource, result.as_ref().map(|(built, _)| &built.manifests));
    // Why a resource of this namespace may not have it.
    Ok(match result {
        Ok((built, None)) => Ok(built),
        Ok((_, Some(why))) => Err(Verdict::Invalid(why)),
        Err(error) => Err(Verdict::Invalid(error.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster;
    use crate::controller::facts::Facts;
    use crate::controller::index::Index;
    use crate::controller::usage::Users;
    use crate::controller::{Claims, Config};
    use crate::process::metrics::Metrics;
    use crate::process::telemetry::testing::collect;
    use crate::release::Package;

    /// With an API server that is away.
    fn context() -> Context {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (config.root_cert, config.default_retry) = (Some(vec![]), false);
        let cluster = Cluster::new(kube::Client::try_from(config).unwrap());
        let (claims, metrics) = (Arc::new(Claims::default()), Arc::new(Metrics::new("", "")));
        let (index, _) = Index::new(cluster.clone(), Arc::clone(&claims), Arc::clone(&metrics));
        let (facts, package) = (Facts::default(), Arc::new(Package::embedded().unwrap()));
        let privileged = crate::controller::reach::Privileged::All;
        let config = Config { namespaces: vec![], revision: None, concurrency: 1, privileged };
        let (memories, queue, statuses, unread, orphans) = Default::default();
        let users = Users::new(index.clone());
        let started = Instant::now();
        Context {
            cluster,
            index,
            users,
            claims,
            facts,
            package,
            config,
            metrics,
            memories,
            statuses,
            queue,
            unread,
            started,
            orphans,
        }
    }

    #[test]
    fn a_pass_is_traced_stage_by_stage() {
        let resource = json!({
            "apiVersion": "install.istio.io/v1alpha1",
            "kind": "IstioOperator",
            "metadata": {"name": "main", "namespace": "ns", "generation": 2, "uid": "u", "finalizers": [FINALIZER]},
            // Nothing of a control plane, of which the release would have to be read first.
            "spec": {"profile": "empty", "components": {"cni": {"enabled": true}}},
            "status": {"observedGeneration": 2},
        });
        let resource = Arc::new(crate::cluster::received::from_value(&resource).unwrap());
        let collected = collect(async { assert!(reconcile(resource, Arc::new(context())).await.is_err()) });
        assert_eq!(collected.path("build"), ["build", "pass"]);
        assert_eq!(collected.path("component"), ["component", "install", "pass"]);
        assert_eq!(collected.path("report"), ["report", "install", "pass"]);
        assert_eq!(collected.fields("build")["generation"], "2");
        let component = collected.fields("component");
        assert_eq!((component["component"].as_str(), component["result"].as_str()), ("Cni", "failed"));
        assert_eq!(collected.fields("report")["verdict"], "Retrying");
        let status = collected.span("pass").status.as_ref().unwrap();
        assert_eq!(status.code, 2, "an error");
        assert!(status.message.starts_with("write the status of main"), "{}", status.message);
    }
}
