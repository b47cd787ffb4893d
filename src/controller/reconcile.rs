//! One pass over one resource.

use super::index::OwnerId;
use super::{Context, Memory, Seen, cleanup};
use crate::api::status::{ComponentStatus, InstallStatus, Phase};
use crate::api::{FINALIZER, IGNORE_RECONCILE, INSTALLED_STATE};
use crate::apply;
use crate::cluster::ClusterError;
use crate::object::Object;
use crate::object::manifests::Manifests;
use crate::observe::{self, Readiness, reason};
use crate::pipeline::{self, PipelineError};
use crate::plan;
use crate::status::{self, Findings, Verdict};
use futures::{FutureExt, StreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use serde_json::{Value, json};
use std::collections::{BTreeMap, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// How many objects of a step are written at once.
const WRITES_AT_ONCE: usize = 16;
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
    let failures = context.memory(&id).try_lock().map_or(1, |mut memory| {
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    });
    let base = Duration::from_millis(500) * 2_u32.pow(failures.min(7));
    let delay = base.mul_f64(1.0 + f64::from(jitter(&id, failures) % 100) / 400.0).min(Duration::from_mins(1));
    tracing::warn!(namespace = id.0, name = id.1, %error, ?delay, "trying again");
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
    if is_ignored(&resource, &context) {
        return Ok(Action::await_change());
    }
    let id = id_of(&resource);
    let memory = context.memory(&id);
    let mut memory = memory.lock().await;
    if memory.uid != resource.uid().unwrap_or_default() {
        *memory = Memory { uid: resource.uid().unwrap_or_default(), ..Memory::default() };
    }
    if resource.metadata.deletion_timestamp.is_some() {
        return cleanup::finalize(&resource, &context, &id).await;
    }
    add_finalizer(&resource, &context).await?;
    let generation = resource.metadata.generation.unwrap_or_default();
    let mut reporter = Reporter::new(&resource, memory.reported.take());
    if reporter.old.observed_generation != Some(generation) {
        reporter.report(&context, &Findings::of(Verdict::Started, generation)).await?;
    }
    let manifests = match build(&resource, &context).await? {
        Ok(manifests) => manifests,
        Err(error) => {
            let findings = Findings::of(Verdict::Invalid(error.to_string()), generation);
            reporter.report(&context, &findings).await?;
            memory.reported = Some(reporter.raw);
            context.metrics.count_pass("invalid");
            tracing::info!(namespace = id.0, name = id.1, %error, "the spec cannot be carried out");
            return Ok(Action::await_change());
        }
    };
    let (findings, failure) = install(&manifests, &context, &id, &mut memory, generation).await;
    reporter.report(&context, &findings).await?;
    memory.reported = Some(reporter.raw);
    context.metrics.count_pass(if failure.is_none() { "ok" } else { "failed" });
    match (failure, &findings.verdict) {
        (Some(failure), _) => Err(PassError::Objects(failure)),
        (None, verdict) => {
            memory.failures = 0;
            Ok(if *verdict == Verdict::Healthy { Action::await_change() } else { Action::requeue(LOOK_AGAIN) })
        }
    }
}

/// Records of installations, resources told to be left alone, and those of another operator's revision.
fn is_ignored(resource: &DynamicObject, context: &Context) -> bool {
    let revision = resource.data.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
    resource.name_any().starts_with(INSTALLED_STATE)
        || resource.annotations().get(IGNORE_RECONCILE).is_some_and(|v| v == "true")
        || context.config.revision.as_deref().is_some_and(|r| r != revision)
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

/// From the spec to manifests, on a thread that may compute for long.
async fn build(resource: &DynamicObject, context: &Context) -> Result<Result<Manifests, PipelineError>, PassError> {
    let resource = serde_json::to_value(resource).unwrap_or_default();
    let (facts, package) = (context.facts.clone(), Arc::clone(&context.package));
    tokio::task::spawn_blocking(move || pipeline::from_resource(&resource, &facts, &package))
        .await
        .map_err(|_| PassError::Interrupted)
}

/// Writes statuses, only where they differ from the last one.
struct Reporter<'a> {
    resource: &'a DynamicObject,
    raw: Value,
    old: InstallStatus,
}

impl<'a> Reporter<'a> {
    fn new(resource: &'a DynamicObject, reported: Option<Value>) -> Self {
        let raw = reported.unwrap_or_else(|| resource.data.get("status").cloned().unwrap_or_default());
        // A status of another shape, from an older controller, is as good as none.
        let old = serde_json::from_value(raw.clone()).unwrap_or_default();
        Self { resource, raw, old }
    }

    async fn report(&mut self, context: &Context, findings: &Findings) -> Result<(), ClusterError> {
        let now = k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let new = status::compute(&self.old, findings, &now);
        let value = serde_json::to_value(&new).unwrap_or_default();
        if let Some(patch) = status::merge_patch(&self.raw, &value) {
            context.cluster.patch_status(self.resource, &patch).await?;
            if self.old.status != new.status {
                let (status, message) = (new.status.map(Phase::name), new.message.as_deref().unwrap_or_default());
                tracing::info!(name = self.resource.name_any(), status, message, "status");
            }
            (self.raw, self.old) = (value, new);
        }
        Ok(())
    }
}

impl Findings {
    fn of(verdict: Verdict, generation: i64) -> Self {
        Self { verdict, components: BTreeMap::new(), generation, profile: None, version: None }
    }
}

/// Applies every wave that is open, in order, and prunes once all are. Returns what was found, and what failed.
async fn install(
    manifests: &Manifests,
    context: &Context,
    id: &OwnerId,
    memory: &mut Memory,
    generation: i64,
) -> (Findings, Option<String>) {
    let mut components = BTreeMap::new();
    let mut ready = BTreeMap::new();
    let (mut failures, mut waits) = (vec![], vec![]);
    if let Err(error) = ensure_namespace(manifests, context).await {
        failures.push(error.to_string());
    }
    for part in &manifests.parts {
        ready.insert(part.component, false);
    }
    for wave in plan::waves(manifests) {
        let component = wave.component;
        let (phase, note) = if let Some(parent) = plan::closed_by(component, &ready) {
            (Phase::Reconciling, Some(format!("waits for {}", parent.facts().title)))
        } else {
            match apply_wave(&wave, context, memory).await {
                WaveResult::Ready => {
                    ready.insert(component, true);
                    (Phase::Healthy, None)
                }
                WaveResult::Waiting(what) => {
                    waits.push(what.clone());
                    (Phase::Reconciling, Some(what))
                }
                WaveResult::Failed(why) => {
                    failures.push(format!("{component}: {why}"));
                    (Phase::Error, Some(why))
                }
            }
        };
        let version = Some(manifests.version.clone()).filter(|v| !v.is_empty());
        components.insert(component, ComponentStatus { version, status: Some(phase), error: note });
    }
    if failures.is_empty() && ready.values().all(|r| *r) {
        failures.extend(prune(manifests, context, id, memory).await);
    }
    let verdict = match (failures.is_empty(), waits.is_empty()) {
        (false, _) => Verdict::Failed(failures.join("; ")),
        (true, false) => Verdict::Waiting(waits.join("; ")),
        (true, true) => Verdict::Healthy,
    };
    let findings = Findings {
        verdict,
        components,
        generation,
        profile: Some(manifests.profile.clone()),
        version: Some(manifests.version.clone()).filter(|v| !v.is_empty()),
    };
    (findings, (!failures.is_empty()).then(|| failures.join("; ")))
}

/// Creates the namespace of the control plane when it is missing; one that exists is left as it is.
async fn ensure_namespace(manifests: &Manifests, context: &Context) -> Result<(), ClusterError> {
    if manifests.parts.is_empty() {
        return Ok(());
    }
    let labels = match manifests.network.as_str() {
        "" => json!({}),
        network => json!({"topology.istio.io/network": network}),
    };
    let metadata = json!({"name": manifests.namespace, "labels": labels});
    let Ok(namespace) = Object::new(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})) else {
        return Ok(());
    };
    if context.cluster.get("v1", &namespace.key()).await?.is_none() {
        context.cluster.apply(&namespace, false).await?;
    }
    Ok(())
}

enum WaveResult {
    Ready,
    Waiting(String),
    Failed(String),
}

/// Brings the objects of a component to what is desired, step by step, and says how they stand. A step begins when the one
/// before is written, and definitions are established.
async fn apply_wave(wave: &plan::Wave<'_>, context: &Context, memory: &mut Memory) -> WaveResult {
    let mut waits = vec![];
    for step in &wave.steps {
        for object in step {
            context.index.watch(object.api_version(), object.kind()).await;
        }
        let known: &Memory = memory;
        let writes: Vec<_> = step.iter().map(|object| bring(object, context, known).boxed()).collect();
        let results: Vec<_> = stream::iter(writes).buffered(WRITES_AT_ONCE).collect().await;
        let (mut failures, mut blocked) = (vec![], vec![]);
        for (object, result) in step.iter().zip(results) {
            match result {
                Ok(seen) => {
                    match &seen.readiness {
                        Readiness::Ready => {}
                        Readiness::Waiting(what) if object.is_crd() => {
                            blocked.push(format!("{}: {what}", object.key()));
                        }
                        Readiness::Waiting(what) => waits.push(format!("{}: {what}", object.key())),
                        Readiness::Failed(why) => waits.push(format!("{}: {why}", object.key())),
                    }
                    memory.objects.insert(object.key(), seen);
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        if !failures.is_empty() {
            return WaveResult::Failed(failures.join("; "));
        }
        if let Some(first) = blocked.first() {
            // The rest come and go within a second; naming them would be a write of the status each.
            return WaveResult::Waiting(if blocked.len() == 1 {
                first.clone()
            } else {
                "definitions to be established".into()
            });
        }
    }
    if waits.is_empty() { WaveResult::Ready } else { WaveResult::Waiting(summary(&waits)) }
}

/// The first few, and how many more.
fn summary(waits: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = waits.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match waits.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// One object: nothing where it was last seen equal and has not changed since, else a read and, if it differs, a write.
async fn bring(object: &Object, context: &Context, memory: &Memory) -> Result<Seen, ClusterError> {
    let key = object.key();
    let digest = object.digest();
    let known = context.index.get(&key);
    if let (Some(known), Some(seen)) = (&known, memory.objects.get(&key))
        && seen.digest == digest
        && seen.resource_version == known.resource_version
    {
        return Ok(Seen { digest, resource_version: seen.resource_version.clone(), readiness: seen.readiness.clone() });
    }
    let unknown_exists = known.is_some() || !context.index.is_complete(object.api_version(), object.kind());
    let live = if unknown_exists { context.cluster.get(object.api_version(), &key).await? } else { None };
    let outcome = apply::bring(&context.cluster, object, live).await?;
    if outcome.written {
        context.metrics.writes.inc();
        tracing::debug!(object = %key, "applied");
    }
    let mut readiness = observe::readiness(object.group(), object.kind(), &outcome.live);
    if let Readiness::Waiting(what) | Readiness::Failed(what) = &mut readiness
        && object.group() == "apps"
        && let Some(why) = reason::why_not_ready(&context.cluster, &outcome.live).await
    {
        what.push_str(" (");
        what.push_str(&why);
        what.push(')');
    }
    Ok(Seen { digest, resource_version: outcome.live.resource_version().unwrap_or_default(), readiness })
}

/// Deletes what this resource owns and no longer wants. Returns what failed.
async fn prune(manifests: &Manifests, context: &Context, id: &OwnerId, memory: &mut Memory) -> Vec<String> {
    let owned: BTreeMap<_, _> = context.index.owned_by(id).into_iter().collect();
    let candidates = owned.iter().map(|(key, known)| (key.clone(), known.component)).collect();
    let mut failures = vec![];
    for key in plan::prune(candidates, &manifests.keys()) {
        let Some(known) = owned.get(&key) else { continue };
        tracing::info!(object = %key, "no longer wanted, deleting");
        match context.cluster.delete(&known.api_version, &key, &known.uid).await {
            Ok(()) => drop(context.metrics.deletions.inc()),
            Err(error) => failures.push(error.to_string()),
        }
        memory.objects.remove(&key);
    }
    failures
}
