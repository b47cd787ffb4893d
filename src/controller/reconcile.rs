//! Reconciles one resource.

use super::context::Context;
use super::error::ReconcileError;
use super::held::{Held, Told};
use super::ownership::Wants;
use super::reconcile_state::ReconcileState;
use super::status_writer::{is_wait_worth_writing, write_paused_status, write_status};
use super::unused::apply_unused_policy;
use super::usage::{self, ControlPlane};
use super::{build_metrics, cleanup, events, held, outcome, tags};
use crate::api::{ALLOW_DOWNGRADE, DRY_RUN, FINALIZER, IGNORE_RECONCILE, INSTALLED_STATE};
use crate::cluster::ClusterError;
use crate::cluster::outage::is_caused_by_outage;
use crate::cluster::received::ObservedResource;
use crate::controller::status::{Conclusion, ReconcileOutcome};
use crate::failure::Retry;
use crate::install::{Draft, Kept, Plan, downgrade, installed_state};
use crate::object::manifests::Manifests;
use crate::object::{Object, OwnerId};
use crate::process::metrics::labels::{ReconcileResult, Trigger};
use crate::render::{self};
use helm_template::threads;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use serde_json::json;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use tracing::field::Empty;

/// When it is looked again whether all resources were read.
const READ_SOON: Duration = Duration::from_millis(500);
/// The longest value of a label.
const LONGEST_NAME: usize = 63;
/// When a failed reconcile is first tried again, twice as late each time.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The latest, before a part of it that differs from resource to resource is added.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// After a failed reconcile: again, later each time, and not all at once.
#[allow(clippy::needless_pass_by_value)] // the signature that the queue calls
pub(super) fn retry(resource: Arc<ObservedResource>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let id = OwnerId::of(&resource.metadata);
    // Outside of the reconcile, so outside of its span.
    let failures = context.state_of(&id).try_lock().map_or(1, |mut state| {
        state.failures = state.failures.saturating_add(1);
        state.failures
    });
    let delay = retry_delay(&id, failures);
    if is_caused_by_outage(error) {
        tracing::debug!(namespace = id.namespace, name = id.name, %error, ?delay, "trying again");
    } else {
        tracing::warn!(namespace = id.namespace, name = id.name, %error, ?delay, "trying again");
    }
    Action::requeue(delay)
}

/// How long a resource waits after so many failures; up to a quarter longer than others after as many.
fn retry_delay(id: &OwnerId, failures: u32) -> Duration {
    let base = (FIRST_RETRY * 2_u32.pow(failures.min(7))).min(LAST_RETRY);
    base.mul_f64(1.0 + f64::from(jitter(id, failures) % 100) / 400.0)
}

/// A number that differs between resources and attempts.
fn jitter(id: &OwnerId, attempt: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (id, attempt).hash(&mut hasher);
    (hasher.finish() & 0xffff) as u32
}

/// Reconciles a resource once.
pub(super) async fn reconcile(
    resource: Arc<ObservedResource>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let id = OwnerId::of(&resource.metadata);
    let span = tracing::info_span!(
        "reconcile",
        namespace = id.namespace,
        name = id.name,
        otel.status_code = Empty,
        otel.status_description = Empty
    );
    let running = context.queue.start(&id);
    context.metrics.resources.set_orphans(&id, 0);
    let result = reconcile_once(&resource, &context, &id).instrument(span.clone()).await;
    if let Err(error) = &result {
        span.record("otel.status_code", "error").record("otel.status_description", error.to_string());
    }
    drop(running);
    result
}

async fn reconcile_once(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
) -> Result<Action, ReconcileError> {
    if is_of_another_operator(resource, context) {
        context.mark_read(id);
        return Ok(Action::await_change());
    }
    if is_left_alone(resource) {
        return leave_alone(resource, context, id).await;
    }
    let state = context.state_of(id);
    let mut state = state.lock().await;
    state.begin(resource);
    if resource.metadata.deletion_timestamp.is_some() {
        return delete(resource, context, id, &mut state).await;
    }
    state.obey(resource);
    let is_dry_run = resource.annotations().get(DRY_RUN).is_some_and(|v| v == "true");
    if !is_dry_run {
        add_finalizer(resource, context).await?;
    }
    tell_start(resource, context, &mut state).await?;
    match prepare(resource, context, id, &mut state).await {
        Ok(Ok(prepared)) if is_dry_run => preview(resource, context, id, &mut state, &prepared).await,
        Ok(Ok(prepared)) => install(resource, context, id, &mut state, prepared).await,
        Ok(Err(conclusion)) => refuse(resource, context, id, &mut state, conclusion).await,
        Err(error) => {
            let failed = state.failed(error.to_string());
            let findings = ReconcileOutcome::of(failed, resource.generation());
            write_status(resource, context, &mut state, &findings).await?;
            Err(error)
        }
    }
}

/// Says of a spec that was not seen before that it is worked on.
async fn tell_start(
    resource: &ObservedResource,
    context: &Context,
    state: &mut ReconcileState,
) -> Result<(), ReconcileError> {
    let generation = resource.generation();
    let seen = state.known().observed_generation;
    if seen != Some(generation) {
        let trigger = if seen.is_none() { Trigger::Create } else { Trigger::Update };
        context.metrics.reconciles.requests.inc(trigger);
        write_status(resource, context, state, &ReconcileOutcome::of(Conclusion::Started, generation)).await?;
    }
    Ok(())
}

/// Touches nothing of what a resource has. Of a record there is nothing to say either.
async fn leave_alone(resource: &ObservedResource, context: &Context, id: &OwnerId) -> Result<Action, ReconcileError> {
    context.mark_read(id);
    if resource.metadata.deletion_timestamp.is_some() {
        // Hands off means that what is installed stays; it must not mean that the resource stays for ever.
        cleanup::remove_finalizer(resource, context, id).await?;
    } else if !is_record(resource) {
        let state = context.state_of(id);
        let mut state = state.lock().await;
        state.begin(resource);
        write_paused_status(resource, context, &mut state).await?;
    }
    Ok(Action::await_change())
}

/// Removes what a resource has that is being deleted, or keeps it working as long as it may not go. A spec that cannot be
/// rendered any more is nothing to repair it by.
async fn delete(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
    state: &mut ReconcileState,
) -> Result<Action, ReconcileError> {
    if !context.is_all_read() {
        // What another resource wants too stays, and that is not known yet.
        return Ok(Action::requeue(READ_SOON));
    }
    let action = cleanup::finalize(resource, context, id, state).await?;
    if !state.deletion.is_held() {
        return Ok(action);
    }
    let Ok(Prepared { plan, .. }) = prepare(resource, context, id, state).await? else { return Ok(action) };
    let outcome = context.engine().repair(id, &plan, &mut state.install, context.options(false)).await;
    if outcome.failures.is_empty() { Ok(action) } else { Err(ReconcileError::Install(outcome.failures)) }
}

/// What is to be done for a resource.
struct Prepared {
    plan: Plan,
    /// What stays although the spec does not want it.
    held: Vec<Told>,
    control_plane: Option<ControlPlane>,
}

/// Reads what has to be known before anything is written: what the spec comes to, whether it may be written, and what stays of
/// what the resource has. Else gives what there is to say of a spec of which nothing is written.
async fn prepare(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
    state: &mut ReconcileState,
) -> Result<Result<Prepared, Conclusion>, ReconcileError> {
    let engine = context.engine();
    let Built { manifests, record, control_plane } = match build(resource, context).await? {
        Ok(built) => built,
        Err(conclusion) => return Ok(Err(conclusion)),
    };
    let draft = Draft::new(&engine, manifests, record).await;
    let allowed = resource.annotations().get(ALLOW_DOWNGRADE).map(String::as_str);
    if let Some(downgrade) = downgrade::forbid(&engine, &state.install, draft.manifests(), allowed).await? {
        return Ok(Err(Conclusion::Blocked("Downgrade", downgrade.to_string())));
    }
    let candidates = draft.candidates(&engine, id, &mut state.install).await?;
    let mut held = held::held(context, resource, id, state, draft.manifests(), &candidates).await?;
    let tags = tags::held(context, resource, draft.manifests(), &candidates, &held).await?;
    held.extend(tags);
    let (held, kept): (Vec<Told>, Vec<Kept>) = held.into_iter().map(Held::split).unzip();
    let plan = draft.plan(&engine, candidates, kept).await?;
    let stays = held.into_iter().zip(plan.kept()).filter(|(_, kept)| !kept.keys.is_empty());
    let held = stays.map(|(held, _)| held).collect();
    Ok(Ok(Prepared { plan, held, control_plane }))
}

/// What is wrong with a resource before its spec is looked into.
fn unreadable(resource: &ObservedResource) -> Option<String> {
    let why = resource.unreadable().map(str::to_owned);
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

/// Ends a reconcile that must not touch what is installed, until something changes.
async fn refuse(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
    state: &mut ReconcileState,
    conclusion: Conclusion,
) -> Result<Action, ReconcileError> {
    let generation = resource.generation();
    context.wake(context.ownership.mark_stale(id));
    context.mark_read(id);
    context.metrics.reconciles.results.inc(ReconcileResult::Invalid);
    write_status(resource, context, state, &ReconcileOutcome::of(conclusion, generation)).await?;
    Ok(Action::await_change())
}

/// Says what would be done.
async fn preview(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
    state: &mut ReconcileState,
    prepared: &Prepared,
) -> Result<Action, ReconcileError> {
    context.mark_read(id);
    let preview = context.engine().preview(id, &prepared.plan, &state.install).await?;
    let generation = resource.generation();
    write_status(resource, context, state, &outcome::previewed(preview, generation)).await?;
    Ok(Action::await_change())
}

/// Installs what is wanted, and tells what came of it.
#[tracing::instrument(level = "debug", skip_all, fields(version = prepared.plan.manifests().version))]
async fn install(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
    state: &mut ReconcileState,
    prepared: Prepared,
) -> Result<Action, ReconcileError> {
    let Prepared { plan, held, control_plane } = prepared;
    claim(resource, context, id, &plan);
    let generation = resource.generation();
    let before = state.install.progress();
    let options = context.options(is_wait_worth_writing(context, state));
    let outcome = context.engine().apply(id, &plan, &mut state.install, options).await;
    let mut findings = outcome::findings(state, &plan, &held, &context.index.blind(), &outcome, generation);
    let settled = apply_unused_policy(context, resource, id, control_plane, &state.known(), &mut findings).await;
    let untold = write_status(resource, context, state, &findings).await?;
    for note in outcome::notes(&outcome) {
        events::publish(context, resource, &note).await;
    }
    let failures: Vec<_> = outcome.failures.into_iter().filter(|failure| !failure.is_final()).collect();
    let result = if failures.is_empty() { ReconcileResult::Ok } else { ReconcileResult::Failed };
    context.metrics.reconciles.results.inc(result);
    // After progress, what is left is tried again soon.
    if failures.is_empty() || state.install.progress() != before {
        state.failures = 0;
    }
    if !failures.is_empty() {
        return Err(ReconcileError::Install(failures));
    }
    let look = (findings.conclusion != Conclusion::Healthy).then_some(context.config.recheck_interval);
    let held = held.iter().filter_map(|held| held.again).min();
    let next = [look, untold, settled, outcome.again, held].into_iter().flatten().min();
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

/// Says what a resource wants from now on, and has those looked at whom that concerns.
fn claim(resource: &ObservedResource, context: &Context, id: &OwnerId, plan: &Plan) {
    let manifests = plan.manifests();
    let claim = Wants {
        since: resource.created_at(),
        version: manifests.version.clone(),
        revision: manifests.revision.clone(),
        is_current: true,
        keys: plan.keys(),
    };
    context.wake(context.ownership.set(id, Some(claim)));
    context.mark_read(id);
}

fn is_of_another_operator(resource: &ObservedResource, context: &Context) -> bool {
    context.config.revision.as_deref().is_some_and(|r| r != resource.revision())
}

/// Records of installations, and resources told to be left alone.
pub(super) fn is_left_alone(resource: &ObservedResource) -> bool {
    is_record(resource) || resource.annotations().get(IGNORE_RECONCILE).is_some_and(|v| v == "true")
}

fn is_record(resource: &ObservedResource) -> bool {
    resource.name_any().starts_with(INSTALLED_STATE)
}

async fn add_finalizer(resource: &ObservedResource, context: &Context) -> Result<(), ClusterError> {
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
    control_plane: Option<ControlPlane>,
}

/// From the spec to manifests, on a thread that may compute for long; or what there is to say of a spec of which nothing may
/// be installed.
#[tracing::instrument(level = "debug", skip_all, fields(generation = resource.metadata.generation))]
async fn build(resource: &ObservedResource, context: &Context) -> Result<Result<Built, Conclusion>, ReconcileError> {
    if let Some(why) = unreadable(resource) {
        return Ok(Err(Conclusion::Invalid(why)));
    }
    let id = OwnerId::of(&resource.metadata);
    let input = json!({ "metadata": resource.metadata, "spec": resource.spec() });
    let (cluster_info, package) = (context.cluster_info.get(), Arc::clone(&context.package));
    let work = move || threads::single_threaded(|| render::from_resource(&input, &cluster_info, &package));
    let rendered = tokio::task::spawn_blocking(work).await.map_err(|_| ReconcileError::Interrupted)?;
    build_metrics::count_build(&context.metrics, resource, rendered.as_ref());
    let mut manifests = match rendered {
        Ok(manifests) => manifests,
        Err(error) if error.retry() == Retry::Backoff => return Err(error.into()),
        Err(error) => return Ok(Err(Conclusion::Invalid(error.to_string()))),
    };
    // Why a resource of this namespace may not have it.
    if let Some(why) = context.config.privileged.refusal(&id.namespace, &manifests) {
        return Ok(Err(Conclusion::Invalid(why)));
    }
    let control_plane = usage::control_plane(&manifests);
    let is_taken = context.ownership.is_record_name_taken(&id, &manifests.revision);
    let name_of = if is_taken { installed_state::distinct_name } else { installed_state::name };
    let record_name = name_of(&id.name, &manifests.revision);
    let record = installed_state::record((&id.namespace, &id.name), &record_name, &mut manifests)?;
    Ok(Ok(Built { manifests, record, control_plane }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster;
    use crate::controller::cluster_version::ClusterVersion;
    use crate::controller::context::Config;
    use crate::controller::index::Index;
    use crate::controller::ownership::Ownership;
    use crate::controller::queue::Queue;
    use crate::controller::usage::Users;
    use crate::install::RepairLimits;
    use crate::process::metrics::Metrics;
    use crate::process::telemetry::testing::collect;
    use crate::release::Package;
    use std::time::Instant;

    /// With an API server that is away.
    fn context() -> Context {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (config.root_cert, config.default_retry) = (Some(vec![]), false);
        let cluster = Cluster::new(kube::Client::try_from(config).unwrap());
        let (ownership, metrics) = (Arc::new(Ownership::default()), Arc::new(Metrics::new("", "")));
        let (index, _) = Index::new(cluster.clone(), Arc::clone(&ownership), Arc::clone(&metrics));
        let (cluster_info, package) = (ClusterVersion::default(), Arc::new(Package::embedded().unwrap()));
        let privileged = crate::controller::reach::Privileged::All;
        let config = Config {
            namespaces: vec![],
            revision: None,
            concurrency: 1,
            privileged,
            recheck_interval: Duration::from_secs(10),
            deletion_hold: Duration::from_hours(24),
            repair_limits: RepairLimits::default(),
        };
        let (memories, statuses, unready, unread, orphans) = Default::default();
        let queue = Queue::new(Arc::clone(&metrics), Arc::default());
        let users = Users::new(index.clone());
        let started = Instant::now();
        Context {
            cluster,
            index,
            users,
            ownership,
            cluster_info,
            package,
            config,
            metrics,
            memories,
            statuses,
            queue,
            unready,
            unread,
            started,
            orphans,
        }
    }

    #[test]
    fn retries_are_later_each_time_up_to_a_minute_and_never_all_at_once() {
        let ids: Vec<OwnerId> = (0..50).map(|n| OwnerId::new("ns", format!("r{n}"))).collect();
        let delays = |failures| -> Vec<Duration> { ids.iter().map(|id| retry_delay(id, failures)).collect() };
        for (failures, least) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let (delays, least) = (delays(failures), Duration::from_secs(least));
            assert!(delays.iter().all(|delay| (least..=least.mul_f64(1.25)).contains(delay)), "{failures}: {delays:?}");
            let distinct: std::collections::BTreeSet<_> = delays.iter().collect();
            assert!(distinct.len() > 20, "{failures}: {delays:?}");
        }
    }

    #[test]
    fn a_reconcile_is_traced_stage_by_stage() {
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
        assert_eq!(collected.path("build"), ["build", "reconcile"]);
        assert_eq!(collected.path("component"), ["component", "install", "reconcile"]);
        assert_eq!(collected.path("write_status"), ["write_status", "install", "reconcile"]);
        assert_eq!(collected.fields("build")["generation"], "2");
        let component = collected.fields("component");
        assert_eq!((component["component"].as_str(), component["result"].as_str()), ("Cni", "failed"));
        assert_eq!(collected.fields("write_status")["conclusion"], "Retrying");
        let status = collected.span("reconcile").status.as_ref().unwrap();
        assert_eq!(status.code, 2, "an error");
        assert!(status.message.starts_with("write the status of main"), "{}", status.message);
    }
}
