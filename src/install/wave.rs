//! The waves of components that do not need each other: their objects, step by step, and whether they are ready.

use super::engine::Event;
use super::object::is_unchanged;
use super::outcome::{ComponentOutcome, Conflict, Failure, InstallError, Wait};
use super::readiness::{Readiness, reason};
use super::run::{ObjectOutcome, Run};
use super::state::ObjectState;
use super::waves::Wave;
use super::webhooks;
use crate::api::component::Component;
use crate::cluster::{ClusterError, value_of};
use crate::failure::Retry;
use crate::object::inventory::group_of;
use crate::object::{Object, ObjectKey, labels, order};
use futures::{FutureExt, StreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// How many objects of a step are read and written at once.
const AT_ONCE: usize = 16;

/// What came of one step of a wave.
#[derive(Default)]
pub(super) struct Step {
    /// What failed of Istio's own resources: their webhook refuses them while istiod is away, which must not keep istiod from
    /// coming.
    refused: Vec<Failure>,
    /// What else failed.
    pub failures: Vec<Failure>,
    /// CRDs that are not established yet.
    establishing: Vec<Wait>,
    /// What else is not ready.
    waiting: Vec<Wait>,
    /// What its controller has given up.
    stuck: Vec<Wait>,
}

impl Step {
    fn fail(&mut self, object: &Object, error: &Arc<InstallError>) {
        let failures = if object.group().ends_with(".istio.io") { &mut self.refused } else { &mut self.failures };
        failures.push(Failure { component: None, error: Arc::clone(error) });
    }

    /// Everything that failed.
    pub fn into_failures(self) -> Vec<Failure> {
        [self.failures, self.refused].concat()
    }
}

/// What is written at once of a component.
struct Batch<'o> {
    component: Component,
    objects: &'o [&'o Object],
    span: Span,
}

/// A wave that is under way.
struct Progress<'w> {
    wave: &'w Wave<'w>,
    span: Span,
    begun: Instant,
    took: Duration,
    /// What is not as it should be so far.
    so_far: Step,
    /// What came of it, where it ended before all was written.
    ended: Option<ComponentOutcome>,
}

impl<'w> Progress<'w> {
    fn new(wave: &'w Wave<'w>, span: Span) -> Self {
        let so_far = Step::default();
        Self { wave, span, begun: Instant::now(), took: Duration::ZERO, so_far, ended: None }
    }

    /// A step was applied.
    fn take_in(&mut self, step: Step) {
        self.so_far.refused.extend(step.refused);
        self.so_far.waiting.extend(step.waiting);
        self.so_far.stuck.extend(step.stuck);
        self.took = self.begun.elapsed();
        if !step.failures.is_empty() {
            self.ended = Some(ComponentOutcome::Failed(step.failures));
        } else if !step.establishing.is_empty() {
            self.ended = Some(ComponentOutcome::Establishing(step.establishing));
        }
    }

    fn end(self) -> ComponentOutcome {
        let outcome = self.ended.unwrap_or_else(|| match self.so_far {
            Step { refused, .. } if !refused.is_empty() => ComponentOutcome::Failed(refused),
            Step { stuck, .. } if !stuck.is_empty() => ComponentOutcome::NotProgressing(stuck),
            Step { waiting, .. } if !waiting.is_empty() => ComponentOutcome::Waiting(waiting),
            _ => ComponentOutcome::Ready,
        });
        self.span.record("result", outcome.result().name());
        outcome
    }
}

impl Run<'_> {
    /// Makes the objects of components that do not need each other as they are wanted, step by step, and says how each stands.
    /// A step begins when the one before is written, and CRDs are established. Nothing is written of a component of which
    /// another resource has a part and wants it otherwise.
    ///
    /// Nor is anything written where one of the objects that the user's own settings have changed would be refused: those are
    /// tried first, without being written. Others come from charts that are known to work, and cost no request more.
    pub(super) async fn apply_siblings(&mut self, waves: &[&Wave<'_>]) -> Vec<(Component, ComponentOutcome)> {
        let mut siblings = vec![];
        for wave in waves {
            let (component, objects) = (wave.component, wave.steps.iter().map(Vec::len).sum::<usize>());
            let span = tracing::debug_span!("component", component = component.name(), objects, result = Empty);
            self.engine.listener.hear(&Event::ComponentStarted { component, objects });
            siblings.push(self.begin(wave, span.clone()).instrument(span).await);
        }
        for index in 0..order::APPLY_STEPS {
            self.apply_steps(&mut siblings, index).await;
        }
        let finished = siblings.into_iter().map(|sibling| {
            let (component, took) = (sibling.wave.component, sibling.took);
            let outcome = sibling.end();
            self.engine.listener.hear(&Event::ComponentFinished { component, outcome: &outcome, took });
            (component, outcome)
        });
        finished.collect()
    }

    /// The same of objects that are of no component's wave.
    pub(super) async fn apply_apart(&mut self, objects: Vec<&Object>) -> ComponentOutcome {
        let wave = Wave { component: Component::Pilot, steps: vec![objects] };
        let mut one = [self.begin(&wave, Span::none()).await];
        self.apply_steps(&mut one, 0).await;
        let [one] = one;
        one.end()
    }

    /// A wave of which nothing is written yet; ended, where nothing may be.
    async fn begin<'w>(&mut self, wave: &'w Wave<'w>, span: Span) -> Progress<'w> {
        let mut progress = Progress::new(wave, span);
        progress.ended = match self.conflicts(wave).await {
            Ok(conflicts) if !conflicts.is_empty() => Some(ComponentOutcome::Conflict(conflicts)),
            Err(error) => Some(ComponentOutcome::Failed(vec![Failure::of(error)])),
            Ok(_) => {
                let refused = self.try_out(wave).await;
                (!refused.is_empty()).then_some(ComponentOutcome::Failed(refused))
            }
        };
        progress.took = progress.begun.elapsed();
        progress
    }

    /// What stands against a wave: webhooks that inject the same pods, and what other resources have of it and want otherwise.
    pub(super) async fn conflicts(&mut self, wave: &Wave<'_>) -> Result<Vec<Conflict>, ClusterError> {
        if let Some(overlap) = self.overlap(wave).await? {
            return Ok(vec![overlap]);
        }
        let mut conflicts = vec![];
        for object in wave.steps.iter().flatten() {
            self.engine.cache.watch(object.api_version(), object.kind());
            if let Some(other) = self.other_owner(object, wave.component) {
                let observed = self.compare_shared(object, wave.component, other).await?;
                if let ObjectState::Conflict(owner, fields) = &observed.state {
                    let (owner, fields) = (owner.clone(), fields.clone());
                    conflicts.push(Conflict::Object { key: object.key(), owner, fields });
                }
                self.state.objects.insert(object.key(), observed);
            }
        }
        Ok(conflicts)
    }

    /// Tries what the user's settings have changed and what is not applied yet. Returns what the API server would refuse.
    async fn try_out(&mut self, wave: &Wave<'_>) -> Vec<Failure> {
        let changed = &self.plan.manifests().changed;
        let objects: Vec<_> =
            wave.steps.iter().flatten().copied().filter(|object| changed.contains(&object.key())).collect();
        let mut refused = vec![];
        for object in objects {
            let key = object.key();
            let seen = self.state.objects.get(&key).filter(|seen| seen.digest == self.digest(object));
            let is_same = |seen| is_unchanged(seen, self.engine.cache.get(&key).as_ref());
            match seen.map(|seen| (&seen.state, is_same(seen))) {
                Some((ObjectState::Rejected(error), true)) => {
                    refused.push(Failure { component: None, error: Arc::clone(error) });
                    continue;
                }
                None | Some((ObjectState::Rejected(_), false)) => {}
                Some(_) => continue,
            }
            // What is not there yet, such as a CRD, comes with the wave; what may pass is told by the write itself.
            if let Err(error) = self.engine.cluster.apply(object, true).await
                && error.retry() == Retry::OnChange
            {
                let error = Arc::new(error.into());
                self.remember_rejection(object, &error);
                refused.push(Failure { component: None, error });
            }
        }
        refused
    }

    /// The steps of this number of all that get so far.
    async fn apply_steps(&mut self, siblings: &mut [Progress<'_>], index: usize) {
        let steps = siblings.iter_mut().filter_map(|sibling| {
            let objects = sibling.wave.steps.get(index).filter(|_| sibling.ended.is_none())?;
            Some((sibling, objects.as_slice()))
        });
        let (mut open, batches): (Vec<_>, Vec<_>) = steps
            .map(|(sibling, objects)| {
                let batch = Batch { component: sibling.wave.component, objects, span: sibling.span.clone() };
                (sibling, batch)
            })
            .unzip();
        let steps = self.apply_batches(&batches).await;
        open.iter_mut().zip(steps).for_each(|(sibling, step)| sibling.take_in(step));
    }

    /// The objects of one step; those of other resources are left alone.
    pub(super) async fn apply_step(&mut self, objects: &[&Object], component: Component) -> Step {
        let batch = Batch { component, objects, span: Span::current() };
        self.apply_batches(&[batch]).await.pop().unwrap_or_default()
    }

    /// The same of steps that do not need each other.
    async fn apply_batches(&mut self, batches: &[Batch<'_>]) -> Vec<Step> {
        let run = &*self;
        let work = batches.iter().flat_map(|batch| {
            let objects = batch.objects.iter();
            objects.map(|object| run.reconcile_own(object, batch.component).instrument(batch.span.clone()).boxed())
        });
        let work: Vec<_> = work.collect();
        let mut results: VecDeque<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
        let mut steps = vec![];
        for batch in batches {
            let results = results.drain(..batch.objects.len().min(results.len())).collect();
            steps.push(self.record_results(batch.objects, results).await);
        }
        steps
    }

    /// One object, unless it is another resource's.
    async fn reconcile_own(&self, object: &Object, component: Component) -> Result<ObjectOutcome, ClusterError> {
        match self.other_owner(object, component) {
            Some(_) => Ok(ObjectOutcome::Anothers),
            None => self.reconcile_object(object).await,
        }
    }

    /// Records the results of the objects of a step, and says how they are.
    async fn record_results(&mut self, objects: &[&Object], results: Vec<Result<ObjectOutcome, ClusterError>>) -> Step {
        let (mut step, mut rejected, mut others) = (Step::default(), vec![], vec![]);
        for (object, result) in objects.iter().zip(results) {
            match result {
                Ok(ObjectOutcome::Anothers) => others.push(object.key()),
                Ok(outcome) => self.record_outcome(object.key(), outcome),
                Err(error) => {
                    let is_final = error.retry() == Retry::OnChange;
                    let error = Arc::new(error.into());
                    step.fail(object, &error);
                    if is_final {
                        self.remember_rejection(object, &error);
                        rejected.push(object.key());
                    }
                }
            }
        }
        for object in objects.iter().copied().filter(|object| !rejected.contains(&object.key())) {
            self.judge(object, others.contains(&object.key()), &mut step).await;
        }
        step
    }

    /// Adds to a step how an object stands.
    async fn judge(&self, object: &Object, is_shared: bool, step: &mut Step) {
        let Some(observed) = self.state.objects.get(&object.key()) else { return };
        if let ObjectState::Rejected(error) = &observed.state {
            // Tried before, and nothing has changed since.
            step.fail(object, error);
            return;
        }
        let (waits, what) = match &observed.readiness {
            Readiness::Ready => return,
            Readiness::Waiting(what) if object.is_crd() => (&mut step.establishing, what),
            Readiness::Waiting(what) => (&mut step.waiting, what),
            Readiness::Failed(what) => (&mut step.stuck, what),
        };
        // What the pods of a workload say is asked for when it will be told: most are ready before.
        let is_asked = self.options.explain_waits && object.group() == "apps";
        let why = if is_asked { reason::why_not_ready(self.engine.cluster, object).await } else { None };
        waits.push(Wait { key: object.key(), is_shared, what: what.clone(), why });
    }

    /// What a wave would create that is asked about the same pods as a webhook that is there, if anything.
    pub(super) async fn overlap(&mut self, wave: &Wave<'_>) -> Result<Option<Conflict>, ClusterError> {
        let is_new =
            |object: &&&Object| object.kind() == webhooks::KIND && !self.state.inventory.contains_key(&object.key());
        let new: Vec<&Object> = wave.steps.iter().flatten().filter(is_new).copied().collect();
        if new.is_empty() {
            return Ok(None);
        }
        let live = self.state.injectors.read(self.engine.cluster).await?;
        let mine: Vec<Value> = new.iter().map(|object| object.value().into_owned()).collect();
        let brings_default = mine.iter().any(|config| webhooks::label(config, labels::TAG) == Some(labels::DEFAULT));
        let wanted: BTreeSet<&str> =
            wave.steps.iter().flatten().filter(|o| o.kind() == webhooks::KIND).map(|o| o.name()).collect();
        let others: Vec<Value> = live
            .iter()
            .filter(|object| !wanted.contains(&*object.name_any()) && !self.will_be_replaced(object, brings_default))
            .map(value_of)
            .collect();
        let found = webhooks::overlaps(&mine, &others);
        Ok((!found.is_empty()).then_some(Conflict::Webhooks(found)))
    }

    /// Whether a live configuration goes or changes anyway: it is this resource's own, or that of an unnamed revision of ours
    /// when the tag `default` comes.
    fn will_be_replaced(&self, object: &DynamicObject, brings_default: bool) -> bool {
        let label = |name: &str| object.labels().get(name).map_or("", String::as_str);
        let (group, kind) = (group_of(webhooks::API_VERSION).to_owned(), webhooks::KIND.to_owned());
        let key = ObjectKey { group, kind, namespace: String::new(), name: object.name_any() };
        let is_ours = self.engine.cache.get(&key).is_some();
        let is_default = label(labels::REVISION) == labels::DEFAULT && label(labels::TAG).is_empty();
        labels::owner_of(object.labels()).as_ref() == Some(self.owner) || (is_ours && brings_default && is_default)
    }
}
