//! The wave of one component: its objects, step by step, and how they stand.

use super::object::is_unchanged;
use super::outcome::{ComponentOutcome, Failure, InstallError};
use super::outcome::{Conflict, Wait};
use super::readiness::{Readiness, reason};
use super::run::Run;
use super::state::ObjectState;
use super::waves::Wave;
use super::webhooks;
use crate::api::component::Component;
use crate::cluster::{ClusterError, Refusal};
use crate::object::inventory::group_of;
use crate::object::{Object, ObjectKey, labels};
use futures::{FutureExt, StreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

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

impl Run<'_> {
    /// Makes the objects of a component as they are wanted, step by step, and says how they stand. A step begins when the one
    /// before is written, and CRDs are established. Nothing is written of a component of which another resource has a part
    /// and wants it otherwise.
    ///
    /// Nor is anything written where one of the objects that the user's own settings have changed would be refused: those are
    /// tried first, without being written. Others come from charts that are known to work, and cost no request more.
    pub(super) async fn apply_wave(&mut self, wave: &Wave<'_>) -> ComponentOutcome {
        match self.conflicts(wave).await {
            Ok(conflicts) if conflicts.is_empty() => {}
            Ok(conflicts) => return ComponentOutcome::Conflict(conflicts),
            Err(error) => return ComponentOutcome::Failed(vec![Failure::of(error)]),
        }
        let refused = self.try_out(wave).await;
        if !refused.is_empty() {
            return ComponentOutcome::Failed(refused);
        }
        let mut all = Step::default();
        for step in &wave.steps {
            let step = self.apply_step(step, wave.component).await;
            all.refused.extend(step.refused);
            all.waiting.extend(step.waiting);
            all.stuck.extend(step.stuck);
            if !step.failures.is_empty() {
                return ComponentOutcome::Failed(step.failures);
            }
            if !step.establishing.is_empty() {
                return ComponentOutcome::Establishing(step.establishing);
            }
        }
        match all {
            Step { refused, .. } if !refused.is_empty() => ComponentOutcome::Failed(refused),
            Step { stuck, .. } if !stuck.is_empty() => ComponentOutcome::NotProgressing(stuck),
            Step { waiting, .. } if !waiting.is_empty() => ComponentOutcome::Waiting(waiting),
            _ => ComponentOutcome::Ready,
        }
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
                && error.refusal() == Refusal::Never
            {
                let error = Arc::new(error.into());
                self.remember_rejection(object, &error);
                refused.push(Failure { component: None, error });
            }
        }
        refused
    }

    /// The objects of one step; those of other resources are left alone.
    pub(super) async fn apply_step(&mut self, objects: &[&Object], component: Component) -> Step {
        let mut step = Step::default();
        let (mine, others): (Vec<&Object>, Vec<&Object>) =
            objects.iter().copied().partition(|object| self.other_owner(object, component).is_none());
        let work: Vec<_> = mine.iter().map(|object| self.reconcile_object(object).boxed()).collect();
        let results: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
        let mut rejected = vec![];
        for (object, result) in mine.into_iter().zip(results) {
            match result {
                Ok(outcome) => self.record_outcome(object.key(), outcome),
                Err(error) => {
                    let is_final = error.refusal() == Refusal::Never;
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
            self.judge(object, others.contains(&object), &mut step).await;
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
    pub(super) async fn overlap(&self, wave: &Wave<'_>) -> Result<Option<Conflict>, ClusterError> {
        let is_new =
            |object: &&&Object| object.kind() == webhooks::KIND && !self.state.inventory.contains_key(&object.key());
        let new: Vec<&Object> = wave.steps.iter().flatten().filter(is_new).copied().collect();
        if new.is_empty() {
            return Ok(None);
        }
        let live = self.engine.cluster.list(webhooks::API_VERSION, webhooks::KIND, None, "").await?;
        let mine: Vec<Value> = new.iter().map(|object| object.value().into_owned()).collect();
        let brings_default = mine.iter().any(|config| webhooks::label(config, labels::TAG) == Some(labels::DEFAULT));
        let wanted: BTreeSet<&str> =
            wave.steps.iter().flatten().filter(|o| o.kind() == webhooks::KIND).map(|o| o.name()).collect();
        let others: Vec<Value> = live
            .iter()
            .filter(|object| !wanted.contains(&*object.name_any()) && !self.will_be_replaced(object, brings_default))
            .filter_map(|object| serde_json::to_value(object).ok())
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
