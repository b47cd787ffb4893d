//! Reconciles one resource: installs it, says why it cannot be installed, deletes what it installed, or leaves it alone.

use super::context::Context;
use super::error::ReconcileError;
use super::finalizer::remove_finalizer;
use super::outcome;
use super::ownership::Wants;
use super::packages;
use super::preparation::Prepared;
use super::reconcile::Reconcile;
use super::retry::retry_delay;
use super::status::{Conclusion, ReconcileOutcome};
use crate::cluster::received::ObservedResource;
use crate::failure::Cause;
use crate::install::Plan;
use crate::object::OwnerId;
use crate::object::manifests::Manifests;
use crate::process::metrics::labels::{ReconcileResult, Trigger};
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use tracing::field::Empty;

/// When it is looked again whether all resources were read.
const READ_SOON: Duration = Duration::from_millis(500);

/// Reconciles a resource once.
pub(super) async fn reconcile(
    resource: Arc<ObservedResource>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let id = resource.id();
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
    if context.config.is_of_another_operator(resource.revision()) {
        context.mark_read(id);
        return Ok(Action::await_change());
    }
    if resource.is_left_alone() {
        return leave_alone(resource, context, id).await;
    }
    let state = context.state_of(id);
    let mut state = state.lock().await;
    state.begin(resource);
    let mut reconcile = Reconcile { resource, context, id, state: &mut state };
    if resource.is_being_deleted() { reconcile.delete().await } else { reconcile.run().await }
}

/// Touches nothing of what a resource has. Of a record there is nothing to say either.
async fn leave_alone(resource: &ObservedResource, context: &Context, id: &OwnerId) -> Result<Action, ReconcileError> {
    context.mark_read(id);
    if resource.is_being_deleted() {
        // Hands off means that what is installed stays; it must not mean that the resource stays for ever.
        remove_finalizer(resource, context).await?;
    } else if !resource.is_record() {
        let state = context.state_of(id);
        let mut state = state.lock().await;
        state.begin(resource);
        Reconcile { resource, context, id, state: &mut state }.write_paused_status().await?;
    }
    Ok(Action::await_change())
}

impl Reconcile<'_> {
    /// Installs what the spec renders to, or says why not.
    async fn run(&mut self) -> Result<Action, ReconcileError> {
        let request = self.request();
        self.state.obey(request);
        let is_dry_run = self.resource.is_dry_run();
        if !is_dry_run && let Some(patch) = self.resource.patch_with_finalizer() {
            self.context.cluster.patch_owner(self.id, patch).await?;
        }
        self.tell_start().await?;
        match self.prepare().await {
            Ok(Ok(prepared)) if is_dry_run => self.preview(&prepared).await,
            Ok(Ok(prepared)) => self.install(prepared).await,
            Ok(Err(conclusion)) => self.refuse(conclusion).await,
            Err(error) => {
                let cause = Cause::new(error.reason(), error.told(&self.release()));
                let failed = self.state.failed(cause);
                self.conclude(failed).await?;
                Err(error)
            }
        }
    }

    /// Writes a status of which there is no more to say than its conclusion.
    async fn conclude(&mut self, conclusion: Conclusion) -> Result<(), ReconcileError> {
        let findings = ReconcileOutcome::of(conclusion, self.resource.generation());
        self.write_status(&findings).await?;
        Ok(())
    }

    /// Says of a spec that was not seen before that it is worked on.
    async fn tell_start(&mut self) -> Result<(), ReconcileError> {
        let seen = self.state.known().observed_generation;
        if seen != Some(self.resource.generation()) {
            let trigger = if seen.is_none() { Trigger::Create } else { Trigger::Update };
            self.context.metrics.reconciles.requests.inc(trigger);
            self.conclude(Conclusion::Started).await?;
        }
        Ok(())
    }

    /// Removes what a resource has that is being deleted, or keeps it working as long as it may not go. A spec that cannot be
    /// rendered any more is nothing to repair it by.
    async fn delete(&mut self) -> Result<Action, ReconcileError> {
        let (context, id) = (self.context, self.id);
        if !context.is_all_read() {
            // What another resource wants too stays, and that is not known yet.
            return Ok(Action::requeue(READ_SOON));
        }
        let action = self.finalize().await?;
        if !self.state.deletion.is_held() {
            return Ok(action);
        }
        let Ok(Prepared { plan, .. }) = self.prepare().await? else { return Ok(action) };
        let outcome = context.engine().repair(id, &plan, &mut self.state.install, context.options(false)).await;
        if outcome.failures.is_empty() { Ok(action) } else { Err(ReconcileError::Install(outcome.failures)) }
    }

    /// Ends a reconcile that must not touch what is installed, until something changes, or as long as what is missing may come
    /// without a watch that tells.
    async fn refuse(&mut self, conclusion: Conclusion) -> Result<Action, ReconcileError> {
        let (context, id) = (self.context, self.id);
        context.wake(context.ownership.mark_stale(id));
        context.mark_read(id);
        let (result, again) = match &conclusion {
            Conclusion::Waiting(_) => (ReconcileResult::Ok, Some(context.config.recheck_interval)),
            Conclusion::Blocked(reason, _) if *reason == packages::MISSING => {
                self.state.failures = self.state.failures.saturating_add(1);
                (ReconcileResult::Invalid, Some(retry_delay(id, self.state.failures)))
            }
            _ => (ReconcileResult::Invalid, None),
        };
        context.metrics.reconciles.results.inc(result);
        self.count_error(&conclusion);
        self.conclude(conclusion).await?;
        Ok(again.map_or_else(Action::await_change, Action::requeue))
    }

    /// Says what would be done.
    async fn preview(&mut self, prepared: &Prepared) -> Result<Action, ReconcileError> {
        let (context, id) = (self.context, self.id);
        context.mark_read(id);
        let preview = context.engine().preview(id, &prepared.plan, &self.state.install).await?;
        self.write_status(&outcome::previewed(preview, self.resource.generation())).await?;
        Ok(Action::await_change())
    }

    /// Installs what is wanted, and tells what came of it.
    #[tracing::instrument(level = "debug", skip_all, fields(version = prepared.plan.manifests().version))]
    async fn install(&mut self, prepared: Prepared) -> Result<Action, ReconcileError> {
        let (context, id) = (self.context, self.id);
        let Prepared { plan, held, control_plane } = prepared;
        self.claim(&plan);
        let before = self.state.install.progress();
        let options = context.options(self.is_wait_worth_writing());
        let outcome = context.engine().apply(id, &plan, &mut self.state.install, options).await;
        let (blind, generation) = (context.index.blind(), self.resource.generation());
        let rivals = context.ownership.others_of_revision(id, &plan.manifests().revision);
        let mut findings = outcome::findings(self.state, &plan, (&held, &rivals), &blind, &outcome, generation);
        let settled = self.apply_unused_policy(control_plane, &mut findings).await;
        let untold = self.write_status(&findings).await?;
        for note in outcome::notes(&outcome) {
            self.publish(&note).await;
        }
        let failures: Vec<_> = outcome.failures.into_iter().filter(|failure| !failure.is_final()).collect();
        let result = if failures.is_empty() { ReconcileResult::Ok } else { ReconcileResult::Failed };
        context.metrics.reconciles.results.inc(result);
        if findings.conclusion == Conclusion::Healthy {
            self.tell_followers(plan.manifests());
        }
        // After progress, what is left is tried again soon.
        if failures.is_empty() || self.state.install.progress() != before {
            self.state.failures = 0;
        }
        if !failures.is_empty() {
            return Err(ReconcileError::Install(failures));
        }
        self.count_error(&findings.conclusion);
        let look = (findings.conclusion != Conclusion::Healthy).then_some(context.config.recheck_interval);
        let held = held.iter().filter_map(|held| held.again).min();
        let next = [look, untold, settled, outcome.again, held].into_iter().flatten().min();
        Ok(next.map_or_else(Action::await_change, Action::requeue))
    }

    /// Counts the error of a reconcile that returns none; one that is returned is counted where its retry is decided.
    fn count_error(&self, conclusion: &Conclusion) {
        if let Some(cause) = conclusion.cause() {
            self.context.metrics.reconciles.errors.inc(cause.reason);
        }
    }

    /// Queues the resources that follow the release of this control plane, once it is healthy with a new release.
    fn tell_followers(&mut self, manifests: &Manifests) {
        let release = Some(&manifests.release).filter(|_| manifests.has_control_plane());
        if release.is_some() && self.state.told_release.as_ref() != release {
            self.state.told_release = release.cloned();
            self.context.wake(self.context.ownership.others_of_revision(self.id, &manifests.revision));
        }
    }

    /// Records which objects the resource wants from now on, and queues the resources that this affects.
    fn claim(&self, plan: &Plan) {
        let Self { context, id, .. } = self;
        let manifests = plan.manifests();
        let claim = Wants {
            since: self.resource.created_at(),
            version: manifests.version.clone(),
            revision: manifests.revision.clone(),
            is_current: true,
            is_default_unasked: manifests.is_default_unasked,
            keys: plan.keys(),
        };
        context.wake(context.ownership.set(id, Some(claim)));
        context.mark_read(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{FINALIZER, RELEASE};
    use crate::cluster::Cluster;
    use crate::controller::cluster_version::ClusterVersion;
    use crate::controller::context::Config;
    use crate::controller::index::Index;
    use crate::controller::ownership::Ownership;
    use crate::controller::packages::{PackageConfig, Packages};
    use crate::controller::queue::Queue;
    use crate::controller::usage::Users;
    use crate::install::RepairLimits;
    use crate::process::metrics::Metrics;
    use crate::process::telemetry::testing::collect;
    use crate::release::Package;
    use serde_json::json;
    use std::time::Instant;

    /// Spans that are begun without anybody who collects them are lost to those who do.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// Of an API server that is away.
    fn unreachable() -> kube::Client {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (config.root_cert, config.default_retry) = (Some(vec![]), false);
        kube::Client::try_from(config).unwrap()
    }

    fn context(client: kube::Client) -> Context {
        let cluster = Cluster::new(client);
        let (ownership, metrics) = (Arc::new(Ownership::default()), Arc::new(Metrics::new("", "")));
        let (index, _) = Index::new(cluster.clone(), Arc::clone(&ownership), Arc::clone(&metrics));
        let packages = Packages::new(Package::embedded().unwrap(), PackageConfig::default());
        let privileged = crate::controller::reach::Privileged::All;
        let config = Config {
            namespaces: vec![],
            revision: None,
            concurrency: 1,
            privileged,
            packages: PackageConfig::default(),
            recheck_interval: Duration::from_secs(10),
            deletion_hold: Duration::from_hours(24),
            deletion_patience: Config::DELETION_PATIENCE,
            prune_patience: crate::install::Options::PRUNE_PATIENCE,
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
            cluster_info: ClusterVersion::default(),
            packages,
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

    #[tokio::test]
    async fn what_was_let_go_is_not_deleted_however_it_was_last_seen() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let resource = |uid: &str, finalizers: &[&str]| {
            json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": "main",
                "namespace": "ns", "uid": uid, "finalizers": finalizers, "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        };
        let gone = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
        for (code, live) in [(404, gone), (200, resource("u", &[])), (200, resource("another", &[FINALIZER]))] {
            let (asked, body) = (Arc::new(std::sync::Mutex::new(vec![])), live.to_string());
            let noting = Arc::clone(&asked);
            let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
                noting.lock().unwrap().push(request.method().to_string());
                let answer =
                    http::Response::builder().status(code).body(kube::client::Body::from(body.clone().into_bytes()));
                async { answer }
            });
            let context = context(kube::Client::new(service, "default"));
            let seen = crate::cluster::received::from_value(&resource("u", &[FINALIZER])).unwrap();
            assert_eq!(reconcile_once(&seen, &context, &seen.id()).await.unwrap(), Action::await_change());
            assert_eq!(*asked.lock().unwrap(), ["GET"], "{live}");
        }
    }

    #[tokio::test]
    async fn a_control_plane_of_which_is_unknown_whether_it_is_the_default_waits() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let resource = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": {"profile": "minimal"},
            "metadata": {"name": "main", "namespace": "ns", "uid": "u", "finalizers": [FINALIZER],
                "annotations": {RELEASE: "1.17.8"}}});
        let asked = Arc::new(std::sync::Mutex::new(vec![]));
        let noting = Arc::clone(&asked);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let kind = |plural: &str, kind: &str| json!({"name": plural, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get", "list"]});
            let hooks = "mutatingwebhookconfigurations";
            let (code, body) = match path.matches('/').count() {
                // What a group has.
                ..=3 => {
                    let all = [kind("deployments", "Deployment"), kind(hooks, "MutatingWebhookConfiguration")];
                    (200, json!({"kind": "APIResourceList", "groupVersion": "", "resources": all}))
                }
                _ if path.ends_with(hooks) => (503, json!({"kind": "Status", "status": "Failure", "code": 503})),
                _ => (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []})),
            };
            noting.lock().unwrap().push(format!("{method} {path}"));
            async move {
                http::Response::builder().status(code).body(kube::client::Body::from(body.to_string().into_bytes()))
            }
        });
        let context = context(kube::Client::new(service, "default"));
        let seen = crate::cluster::received::from_value(&resource).unwrap();
        let told = reconcile_once(&seen, &context, &seen.id()).await.unwrap_err().to_string();
        assert!(told.contains("MutatingWebhookConfiguration"), "{told}");
        let asked = asked.lock().unwrap();
        let written: Vec<&String> = asked.iter().filter(|line| !line.starts_with("GET ")).collect();
        assert!(
            written.iter().all(|line| line.contains("/istiooperators/") || line.contains("/events")),
            "{written:?}"
        );
    }

    #[tokio::test]
    async fn an_error_has_one_word_in_its_event_and_in_the_metric() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let of = |spec: serde_json::Value, annotation: &str| {
            json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec, "metadata":
                {"name": "main", "namespace": "ns", "uid": "u", "finalizers": [FINALIZER], "annotations": {RELEASE: annotation}}})
        };
        let overlay = json!([{"kind": "Deployment", "name": "none", "patches": [{"path": "spec.x", "value": 1}]}]);
        let overlay = json!({"profile": "minimal", "components": {"pilot": {"k8s": {"overlays": overlay}}}});
        for (resource, condition, reason) in [
            (of(json!({"profile": "none"}), "1.17.8"), "InvalidSpec", "InvalidSpec"),
            (of(json!({"profile": "minimal"}), "latest"), "InvalidSpec", "ReleaseLocationInvalid"),
            (of(json!({"profile": "minimal"}), "1.99.0"), "ReleaseMissing", "ReleaseNotFound"),
            (of(overlay, "1.17.8"), "InvalidSpec", "InvalidOverlay"),
        ] {
            let told = Arc::new(std::sync::Mutex::new(vec![]));
            let noting = Arc::clone(&told);
            let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
                let noting = Arc::clone(&noting);
                async move {
                    let is_event = request.uri().path().ends_with("/events");
                    let body = request.into_body().collect_bytes().await.unwrap_or_default();
                    if is_event {
                        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
                        noting.lock().unwrap().push(event["reason"].as_str().unwrap().to_owned());
                    }
                    let answer =
                        json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [], "resources": []});
                    http::Response::builder().body(kube::client::Body::from(answer.to_string().into_bytes()))
                }
            });
            let context = context(kube::Client::new(service, "default"));
            let seen = crate::cluster::received::from_value(&resource).unwrap();
            reconcile_once(&seen, &context, &seen.id()).await.unwrap();
            assert_eq!(*told.lock().unwrap(), [reason]);
            let known = context.state_of(&seen.id()).lock().await.known();
            assert_eq!(known.conditions.unwrap()[0].reason, condition);
            let counted = format!("reconcile_errors_total{{reason=\"{reason}\"}} 1");
            let text = context.metrics.to_text();
            assert!(text.contains(&counted), "{text}");
        }
    }

    #[test]
    fn a_reconcile_is_traced_stage_by_stage() {
        let _alone = ONE_AT_A_TIME.blocking_lock();
        let resource = json!({
            "apiVersion": "install.istio.io/v1alpha1",
            "kind": "IstioOperator",
            "metadata": {"name": "main", "namespace": "ns", "generation": 2, "uid": "u", "finalizers": [FINALIZER],
                "annotations": {RELEASE: "1.17.8"}},
            // Nothing of a control plane, of which the release would have to be read first.
            "spec": {"profile": "empty", "components": {"cni": {"enabled": true}}},
            "status": {"observedGeneration": 2},
        });
        let resource = Arc::new(crate::cluster::received::from_value(&resource).unwrap());
        let collected =
            collect(async { assert!(reconcile(resource, Arc::new(context(unreachable()))).await.is_err()) });
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
