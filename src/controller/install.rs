//! The waves of an installation: every wave that is open is applied, in order, and what is no longer wanted is pruned once
//! all is ready.

use super::bring::Brought;
use super::fights::Fight;
use super::index::OwnerId;
use super::report::is_wait_worth_telling;
use super::scaling::Autoscalers;
use super::{Context, Memory, Seen, Standing, events, prune};
use crate::api::status::{ComponentStatus, Phase};
use crate::cluster::ClusterError;
use crate::component::Component;
use crate::object::inventory::{self, Entry};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey};
use crate::observe::{Readiness, reason};
use crate::plan;
use crate::status::{Findings, Remark, Verdict};
use events::Note;
use futures::{FutureExt, StreamExt, stream};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// How many objects of a step are written at once.
const WRITES_AT_ONCE: usize = 16;

/// What came of a pass over an installation.
pub(super) struct Installed {
    /// For the status.
    pub findings: Findings,
    /// What failed and is to be tried again.
    pub failure: Option<String>,
    /// When to look again, even if nothing happens.
    pub again: Option<Duration>,
    /// What was done that a person should hear of.
    pub notes: Vec<Note>,
}

/// The objects that a resource wants.
pub(super) struct Wanted<'a> {
    /// The components'.
    pub manifests: &'a Manifests,
    /// The record of the installation, written when all is ready.
    pub record: Object,
}

impl Wanted<'_> {
    /// The keys of all of them.
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        let mut keys = self.manifests.keys();
        keys.insert(self.record.key());
        keys
    }
}

/// A pass over one installation.
pub(super) struct Pass<'a> {
    pub context: &'a Context,
    pub id: &'a OwnerId,
    pub memory: &'a mut Memory,
    /// The autoscalers that the resource wants.
    pub autoscalers: Autoscalers,
    again: Option<Duration>,
    repairs: Vec<String>,
}

enum WaveResult {
    Ready,
    Waiting(String),
    Conflict(String),
    Failed(String),
}

impl WaveResult {
    /// As metrics label it.
    fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting(_) => "waiting",
            Self::Conflict(_) => "conflict",
            Self::Failed(_) => "failed",
        }
    }
}

impl<'a> Pass<'a> {
    /// Begins.
    pub fn new(context: &'a Context, id: &'a OwnerId, memory: &'a mut Memory) -> Self {
        Self { context, id, memory, autoscalers: Autoscalers::default(), again: None, repairs: vec![] }
    }

    /// Applies every wave that is open, in order, and prunes once all are ready.
    pub async fn install(mut self, wanted: &Wanted<'_>, generation: i64) -> Installed {
        let manifests = wanted.manifests;
        self.autoscalers = Autoscalers::wanted(manifests);
        let (mut failures, mut waits, mut conflicts) = (vec![], vec![], vec![]);
        // Whoever has objects in it need not ask, unless something went wrong with them.
        let is_there =
            self.memory.failures == 0 && self.memory.objects.keys().any(|k| k.namespace == manifests.namespace);
        if !is_there && let Err(error) = ensure_namespace(manifests, self.context).await {
            failures.push(error.to_string());
        }
        let version = Some(manifests.version.clone()).filter(|v| !v.is_empty());
        let before = self.memory.known().component_status.unwrap_or_default();
        let mut components = BTreeMap::new();
        let mut ready: BTreeMap<_, _> = manifests.parts.iter().map(|part| (part.component, false)).collect();
        for wave in plan::waves(manifests) {
            let component = wave.component;
            let known = || before.get(component.name()).and_then(|known| known.version.clone());
            let (phase, version, note) = if let Some(parent) = plan::closed_by(component, &ready) {
                (Phase::Reconciling, known(), Some(format!("waits for {}", parent.facts().title)))
            } else {
                match self.apply_component(&wave).await {
                    WaveResult::Ready => {
                        ready.insert(component, true);
                        (Phase::Healthy, version.clone(), None)
                    }
                    WaveResult::Waiting(what) => {
                        waits.push(what.clone());
                        (Phase::Reconciling, version.clone(), Some(what))
                    }
                    WaveResult::Conflict(why) => {
                        self.context.metrics.count("apply_conflict", [("component", component.name())]);
                        conflicts.push(format!("{component}: {why}"));
                        (Phase::Error, known(), Some(why))
                    }
                    WaveResult::Failed(why) => {
                        failures.push(format!("{component}: {why}"));
                        (Phase::Error, known(), Some(why))
                    }
                }
            };
            components.insert(component, ComponentStatus { version, status: Some(phase), error: note });
        }
        let all_ready = failures.is_empty() && ready.values().all(|r| *r);
        let mut notes = vec![];
        if all_ready {
            failures.extend(self.finish(wanted, &mut notes).await);
        }
        self.take_stock(wanted);
        notes.extend(self.told_repairs());
        let failure = (!failures.is_empty()).then(|| failures.join("; "));
        let verdict = match &failure {
            Some(failure) => Verdict::Failed(failure.clone()),
            None if !conflicts.is_empty() => Verdict::Conflict(conflicts.join("; ")),
            None if !waits.is_empty() => Verdict::Waiting(waits.join("; ")),
            None => Verdict::Healthy,
        };
        let findings = Findings {
            components,
            profile: Some(manifests.profile.clone()),
            version: version.filter(|_| all_ready),
            remarks: self.remarks(&conflicts),
            inventory: Some(inventory::to_lines(&self.memory.inventory)),
            ignored: Some(self.ignored(wanted)),
            ..Findings::of(verdict, generation)
        };
        let peace = self.memory.fights.next_peace(Instant::now());
        Installed { findings, failure, again: sooner(self.again, peace), notes }
    }

    /// The wave of a component, timed.
    async fn apply_component(&mut self, wave: &plan::Wave<'_>) -> WaveResult {
        let (component, objects) = (wave.component.name(), wave.steps.iter().map(Vec::len).sum::<usize>());
        let span = tracing::debug_span!("component", component, objects, result = Empty);
        let begun = Instant::now();
        let result = self.apply_wave(wave).instrument(span.clone()).await;
        span.record("result", result.name());
        self.context.metrics.time_component(component, result.name(), begun);
        result
    }

    /// Once all is ready: the record, and what is no longer wanted. Returns what failed.
    async fn finish(&mut self, wanted: &Wanted<'_>, notes: &mut Vec<Note>) -> Vec<String> {
        let record = plan::Wave { component: Component::Pilot, steps: vec![vec![&wanted.record]] };
        if let WaveResult::Failed(why) | WaveResult::Conflict(why) = self.apply_wave(&record).await {
            return vec![why];
        }
        self.prune(wanted, notes).await
    }

    /// Deletes what is no longer wanted. Returns what failed.
    #[tracing::instrument(level = "debug", skip_all, fields(objects = Empty))]
    async fn prune(&mut self, wanted: &Wanted<'_>, notes: &mut Vec<Note>) -> Vec<String> {
        let doomed = match prune::doomed(self.context, self.id, self.memory, &wanted.keys()).await {
            Ok(doomed) => doomed,
            Err(error) => return vec![error.to_string()],
        };
        Span::current().record("objects", doomed.len());
        let failures = prune::delete(self.context, &doomed, "no longer wanted").await;
        let failed: BTreeSet<_> = failures.iter().map(|(key, _)| key).collect();
        let gone: Vec<_> = doomed.iter().map(|(key, _)| key).filter(|key| !failed.contains(key)).collect();
        for key in &gone {
            self.memory.objects.remove(*key);
            self.memory.inventory.remove(*key);
            self.context.metrics.count("resource_prune", [("kind", &key.group_kind())]);
        }
        if !gone.is_empty() {
            let text = summary(&gone.iter().map(ToString::to_string).collect::<Vec<_>>());
            notes.push(Note {
                is_warning: false,
                reason: "Pruned",
                text: format!("no longer wanted, deleted: {text}"),
            });
        }
        failures.into_iter().map(|(_, error)| error.to_string()).collect()
    }

    /// Brings the objects of a component to what is desired, step by step, and says how they stand. A step begins when the
    /// one before is written, and definitions are established. Nothing is written of a component of which another resource
    /// has a part and wants it otherwise.
    async fn apply_wave(&mut self, wave: &plan::Wave<'_>) -> WaveResult {
        match self.overlap(wave).await {
            Ok(None) => {}
            Ok(Some(why)) => return WaveResult::Conflict(why),
            Err(error) => return WaveResult::Failed(error.to_string()),
        }
        let mut conflicts = vec![];
        for object in wave.steps.iter().flatten() {
            if let Err(error) = self.context.index.watch(object.api_version(), object.kind()).await {
                return WaveResult::Failed(error.to_string());
            }
            if let Some(other) = self.holder(object, wave.component) {
                match self.regard(object, wave.component, other).await {
                    Ok(seen) => {
                        conflicts.extend(conflict(&object.key(), &seen));
                        self.memory.objects.insert(object.key(), seen);
                    }
                    Err(error) => return WaveResult::Failed(error.to_string()),
                }
            }
        }
        if !conflicts.is_empty() {
            return WaveResult::Conflict(summary(&conflicts));
        }
        let (mut waits, mut refused) = (vec![], vec![]);
        for step in &wave.steps {
            let (failures, blocked) = self.apply_step(step, wave.component, &mut waits).await;
            let (istio, others): (Vec<_>, Vec<_>) = failures.into_iter().partition(|(is_istio, _)| *is_istio);
            refused.extend(istio.into_iter().map(|(_, why)| why));
            if !others.is_empty() {
                return WaveResult::Failed(others.into_iter().map(|(_, why)| why).collect::<Vec<_>>().join("; "));
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
        match (refused.is_empty(), waits.is_empty()) {
            (false, _) => WaveResult::Failed(refused.join("; ")),
            (true, false) => WaveResult::Waiting(summary(&waits)),
            (true, true) => WaveResult::Ready,
        }
    }

    /// The objects of one step. Returns what failed, with whether it is one of Istio's own resources (its webhook refuses
    /// them while istiod is away, which must not keep istiod from coming), and definitions that are waited for.
    async fn apply_step(
        &mut self,
        step: &[&Object],
        component: Component,
        waits: &mut Vec<String>,
    ) -> (Vec<(bool, String)>, Vec<String>) {
        let (mut failures, mut blocked) = (vec![], vec![]);
        let (mine, others): (Vec<&Object>, Vec<&Object>) =
            step.iter().copied().partition(|object| self.holder(object, component).is_none());
        let writes: Vec<_> = mine.iter().map(|object| self.bring(object).boxed()).collect();
        let results: Vec<_> = stream::iter(writes).buffered(WRITES_AT_ONCE).collect().await;
        for (object, result) in mine.into_iter().zip(results) {
            match result {
                Ok(brought) => self.take_in(object.key(), brought),
                Err(error) => failures.push((object.group().ends_with(".istio.io"), error.to_string())),
            }
        }
        for object in step.iter().copied().filter(|object| self.memory.objects.contains_key(&object.key())) {
            let Some(seen) = self.memory.objects.get(&object.key()) else { continue };
            let whose = if others.contains(&object) { " (shared)" } else { "" };
            match &seen.readiness {
                Readiness::Ready => {}
                Readiness::Waiting(what) if object.is_crd() => blocked.push(format!("{}: {what}", object.key())),
                Readiness::Waiting(what) | Readiness::Failed(what) => {
                    let why = self.why_not_ready(object).await.map(|why| format!(" ({why})")).unwrap_or_default();
                    waits.push(format!("{}{whose}: {what}{why}", object.key()));
                }
            }
        }
        (failures, blocked)
    }

    /// What the pods of a workload say, asked for when it will be told: most are ready before.
    async fn why_not_ready(&self, object: &Object) -> Option<String> {
        if !is_wait_worth_telling(self.context, self.memory) || object.group() != "apps" {
            return None;
        }
        reason::why_not_ready(&self.context.cluster, object).await
    }

    fn take_in(&mut self, key: ObjectKey, brought: Brought) {
        if let Some((fields, by)) = brought.repair {
            self.context.metrics.count("drift_repair", [("kind", &key.group_kind())]);
            self.memory.fights.repaired(&key, &fields, &by, Instant::now());
            let by = if by.is_empty() { String::new() } else { format!(", changed by {}", by.join(", ")) };
            self.repairs.push(format!("{key} ({}{by})", summary(&fields)));
        }
        self.again = sooner(self.again, brought.again);
        self.memory.objects.insert(key, brought.seen);
    }

    /// Brings the inventory up to date with what was looked at.
    fn take_stock(&mut self, wanted: &Wanted<'_>) {
        for key in wanted.keys() {
            let Some(seen) = self.memory.objects.get(&key).filter(|seen| !seen.uid.is_empty()) else { continue };
            if matches!(seen.standing, Standing::Conflict(..)) {
                self.memory.inventory.remove(&key);
            } else {
                let entry = Entry { api_version: seen.api_version.clone(), uid: seen.uid.clone() };
                self.memory.inventory.insert(key, entry);
            }
        }
    }

    fn ignored(&self, wanted: &Wanted<'_>) -> Vec<String> {
        let is_ignored =
            |key: &ObjectKey| self.memory.objects.get(key).is_some_and(|s| s.standing == Standing::Ignored);
        wanted.keys().into_iter().filter(is_ignored).map(|key| key.to_string()).collect()
    }

    fn remarks(&self, conflicts: &[String]) -> Vec<Remark> {
        let mut remarks = vec![];
        if !conflicts.is_empty() {
            remarks.push(Remark { kind: "Conflict", reason: "Conflict", message: conflicts.join("; ") });
        }
        let fights: Vec<_> = self.memory.fights.on(Instant::now()).into_iter().map(contested).collect();
        if !fights.is_empty() {
            let message = summary(&fights);
            remarks.push(Remark { kind: "Contested", reason: "Contested", message });
        }
        remarks
    }

    fn told_repairs(&self) -> Option<Note> {
        let text = || format!("changed by others, repaired: {}", summary(&self.repairs));
        (!self.repairs.is_empty()).then(|| Note { is_warning: false, reason: "DriftRepaired", text: text() })
    }
}

fn contested((key, fight): (&ObjectKey, &Fight)) -> String {
    let by = if fight.by.is_empty() { "somebody".to_owned() } else { fight.by.join(", ") };
    format!("{key}: {by} changes {} again and again; it is repaired more slowly now", summary(&fight.fields))
}

fn conflict(key: &ObjectKey, seen: &Seen) -> Option<String> {
    let Standing::Conflict(other, fields) = &seen.standing else { return None };
    Some(format!(
        "{key} is that of IstioOperator {}/{}, which wants something else in {}; rename it or take it out of one of the two",
        other.0,
        other.1,
        summary(fields)
    ))
}

/// The earlier of two times to look again.
pub(super) fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
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

/// The first few, and how many more.
pub(super) fn summary<T: AsRef<str>>(all: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}
