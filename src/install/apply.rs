//! Applies a plan: every wave that is open is applied, in order, what else is installed is repaired, and what is no longer
//! wanted is deleted as soon as nothing needs it.
//!
//! Nothing here waits for readiness: one run does what can be done now, and returns. Every step is safe to cancel; whoever
//! runs again goes on where it was left.

use super::candidate::{Candidate, in_order_of_deletion};
use super::engine::{Engine, Event};
use super::fields;
use super::outcome::{ComponentOutcome, Conflict, Failure, InstallError, Outcome};
use super::plan::Plan;
use super::run::{Options, Run};
use super::state::{ObjectState, Observed, State};
use super::waves::{Wave, waves};
use crate::api::component::{self, Component};
use crate::cluster::{Cluster, ClusterError};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey, OwnerId};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// When what waits for a moment only is looked at again.
const LOOK_SOON: Duration = Duration::from_millis(500);

impl Engine<'_> {
    /// Applies as much of a plan as can be applied now, and says what came of it and when to come back.
    pub async fn apply(&self, owner: &OwnerId, plan: &Plan, state: &mut State, options: Options) -> Outcome {
        let mut run = Run { engine: *self, owner, plan, state, options, outcome: Outcome::default() };
        run.ensure_namespace().await;
        run.apply_waves().await;
        run.repair_kept().await;
        run.finish().await;
        run.end()
    }

    /// What stands against a plan, by component, before anything of it is written; [`apply`](Self::apply) comes to it wave by wave.
    ///
    /// # Errors
    /// Webhooks, or what other resources have, cannot be read.
    pub async fn conflicts(
        &self,
        owner: &OwnerId,
        plan: &Plan,
        state: &mut State,
    ) -> Result<BTreeMap<Component, Vec<Conflict>>, ClusterError> {
        let options = Options::default();
        let mut run = Run { engine: *self, owner, plan, state, options, outcome: Outcome::default() };
        let mut found = BTreeMap::new();
        for wave in plan.waves() {
            let conflicts = run.conflicts(&wave).await?;
            if !conflicts.is_empty() {
                found.insert(wave.component, conflicts);
            }
        }
        Ok(found)
    }

    /// Repairs what is installed, and changes nothing: for a resource whose deletion is held up, since what it installed is in
    /// use.
    pub async fn repair(&self, owner: &OwnerId, plan: &Plan, state: &mut State, options: Options) -> Outcome {
        let mut run = Run { engine: *self, owner, plan, state, options, outcome: Outcome::default() };
        run.repair_kept().await;
        for wave in plan.waves() {
            let failed = run.repair(&wave).await;
            run.outcome.failures.extend(failed);
        }
        run.end()
    }
}

impl Run<'_> {
    /// Creates the namespace of the control plane when it is missing; one that exists is left as it is. Whoever has objects in
    /// it need not ask, unless something went wrong with them.
    async fn ensure_namespace(&mut self) {
        let manifests = self.plan.manifests();
        let has_objects = || self.state.objects.keys().any(|key| key.namespace == manifests.namespace);
        if manifests.parts.is_empty() || (!self.state.has_failed && has_objects()) {
            return;
        }
        if let Err(error) = create_namespace(self.engine.cluster, manifests).await {
            self.outcome.failures.push(Failure::of(error));
        }
    }

    /// Applies the waves that are open. Of a wave that is not, only what is installed already is repaired.
    async fn apply_waves(&mut self) {
        let waves = self.plan.waves();
        for siblings in waves.chunk_by(|one, next| one.component.depth() == next.component.depth()) {
            let mut open = vec![];
            for wave in siblings {
                let Some(parent) = self.outcome.blocked_by(wave.component) else {
                    open.push(wave);
                    continue;
                };
                let outcome = match self.repair(wave).await {
                    failed if failed.is_empty() => ComponentOutcome::Blocked(parent),
                    failed => ComponentOutcome::Failed(failed),
                };
                self.conclude(wave.component, outcome);
            }
            for (component, outcome) in self.apply_siblings(&open).await {
                self.conclude(component, outcome);
            }
        }
    }

    /// Notes what came of a component.
    fn conclude(&mut self, component: Component, outcome: ComponentOutcome) {
        if let ComponentOutcome::Failed(failures) = &outcome {
            let named = failures.iter().cloned().map(|f| Failure { component: Some(component), ..f });
            self.outcome.failures.extend(named);
        }
        if outcome.is_applied() && !matches!(outcome, ComponentOutcome::Ready) {
            self.state.waiting_since.entry(component).or_insert_with(Instant::now);
        } else {
            self.state.waiting_since.remove(&component);
        }
        self.outcome.components.insert(component, outcome);
    }

    /// What is installed already of a component that has to wait is repaired, and nothing else of it is touched. Returns what
    /// failed.
    async fn repair(&mut self, wave: &Wave<'_>) -> Vec<Failure> {
        let is_recorded = match self.is_recorded().await {
            Ok(is_recorded) => is_recorded,
            Err(error) => return vec![Failure::of(error)],
        };
        let is_applied = |object: &&&Object| {
            let last = self.state.objects.get(&object.key());
            is_recorded
                || last.is_some_and(|seen| {
                    seen.digest == self.digest(object) && matches!(seen.state, ObjectState::Managed)
                })
        };
        let steps: Vec<Vec<&Object>> =
            wave.steps.iter().map(|step| step.iter().filter(is_applied).copied().collect()).collect();
        let mut failures = vec![];
        for step in &steps {
            failures.extend(self.apply_step(step, wave.component).await.into_failures());
        }
        failures
    }

    /// Whether the record of the installation says that the present spec was applied as a whole, so that what differs from it is
    /// no change of ours.
    async fn is_recorded(&self) -> Result<bool, ClusterError> {
        let record = self.plan.record();
        let key = record.key();
        let cached = self.engine.cache.get(&key).filter(|cached| cached.owner == *self.owner);
        let seen = self.state.objects.get(&key).filter(|seen| seen.digest == record.digest());
        if let (Some(cached), Some(seen)) = (&cached, seen)
            && cached.is_unchanged_since(&seen.resource_version)
        {
            return Ok(true);
        }
        if cached.is_none() && self.engine.cache.owned_by(self.owner).is_some() {
            return Ok(false);
        }
        let live = match self.engine.cluster.get(record.api_version(), &key).await {
            // Where its kind is not known yet there is none.
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let replicas = fields::Replicas::Desired;
        Ok(live.is_some_and(|live| fields::compare(record, Some(&live), replicas).is_equal()))
    }

    /// Repairs the control planes that stay although the spec does not want them. Whether they are ready is another matter.
    async fn repair_kept(&mut self) {
        for manifests in self.plan.kept().iter().filter_map(|kept| kept.manifests.as_ref()) {
            for wave in waves(manifests) {
                for step in &wave.steps {
                    let failed = self.apply_step(step, wave.component).await.into_failures();
                    self.outcome.failures.extend(failed);
                }
            }
        }
    }

    /// The record, once everything is applied, and the end of what is no longer wanted, as soon as nothing needs it.
    async fn finish(&mut self) {
        if self.outcome.is_applied() && !self.plan.is_record_of_kept() {
            self.write_record().await;
        }
        if !self.engine.others.are_known() {
            self.outcome.come_back((!self.plan.candidates().is_empty()).then_some(LOOK_SOON));
            return;
        }
        let candidates = self.plan.candidates();
        let due: Vec<Candidate> = candidates.iter().filter(|object| self.may_go(object)).cloned().collect();
        if due.len() < candidates.len() {
            self.outcome.come_back(Some(self.options.recheck_interval));
        }
        let old = self.plan.replaced();
        let is_replaced = !old.is_empty() && old.iter().all(|key| due.iter().any(|object| object.key == *key));
        self.prune(due).await;
        if is_replaced {
            self.apply_replacements().await;
        }
    }

    async fn write_record(&mut self) {
        match self.apply_apart(vec![self.plan.record()]).await {
            ComponentOutcome::Failed(failures) => self.outcome.failures.extend(failures),
            // It serves no one but readers.
            ComponentOutcome::Conflict(conflicts) => {
                let why = InstallError::Conflict(conflicts);
                tracing::warn!(%why, "the record of the installation is another resource's");
            }
            _ => {}
        }
    }

    /// Applies the webhooks whose predecessors have just gone.
    async fn apply_replacements(&mut self) {
        match self.apply_apart(self.plan.replacements()).await {
            ComponentOutcome::Failed(failures) => self.outcome.failures.extend(failures),
            ComponentOutcome::Conflict(conflicts) => {
                self.outcome.failures.push(Failure::of(InstallError::Conflict(conflicts)));
            }
            _ => {}
        }
    }

    /// Whether nothing needs an object any more that is not wanted. What is of a gateway or the CNI agent is replaced by the
    /// component as it is wanted now, and one that is not ready for long, as on a broken node, keeps it only for so long. All
    /// else may be needed by every proxy.
    fn may_go(&self, object: &Candidate) -> bool {
        let outcome_of = |component| self.outcome.components.get(&component);
        let is_ready = |component| outcome_of(component).is_none_or(|o| matches!(o, ComponentOutcome::Ready));
        match object.component {
            Some(component) if component.is_gateways() || component == Component::Cni => match outcome_of(component) {
                None => component.info().parents.iter().all(|parent| is_ready(*parent)),
                Some(ComponentOutcome::Ready) => true,
                Some(outcome) => {
                    let since = self.state.waiting_since.get(&component);
                    outcome.is_applied() && since.is_some_and(|since| since.elapsed() >= self.options.prune_patience)
                }
            },
            _ => {
                self.outcome.failures.is_empty()
                    && component::ALL.into_iter().filter(|c| *c != Component::Cni).all(is_ready)
            }
        }
    }

    /// Deletes what is no longer wanted.
    #[tracing::instrument(level = "debug", skip_all, fields(objects = due.len()))]
    async fn prune(&mut self, due: Vec<Candidate>) {
        for Candidate { key, entry, .. } in in_order_of_deletion(due, |object| (&object.key, object.component)) {
            tracing::info!(object = %key, why = "no longer wanted", "deleting");
            match self.engine.cluster.delete(&entry.api_version, &key, &entry.uid).await {
                Ok(()) => {
                    self.engine.listener.hear(&Event::Deleted { key: &key, is_pruned: true });
                    self.state.objects.remove(&key);
                    self.state.inventory.remove(&key);
                    self.outcome.pruned.push(key);
                }
                Err(error) => self.outcome.failures.push(Failure::of(error)),
            }
        }
    }

    /// What there is to know beside the outcome of each component.
    fn end(mut self) -> Outcome {
        let now = Instant::now();
        let wanted: BTreeSet<ObjectKey> = self.plan.keys();
        let is_ignored = |key: &&ObjectKey| self.state.objects.get(*key).is_some_and(Observed::is_ignored);
        self.outcome.ignored = wanted.iter().filter(is_ignored).cloned().collect();
        self.state.update_inventory(wanted);
        self.state.has_failed = !self.outcome.failures.is_empty();
        self.outcome.contested = self.state.repairs.contested(now);
        let calm = self.state.repairs.calm_after(now);
        self.outcome.come_back(calm);
        self.outcome
    }
}

/// Creates the namespace of a control plane where it is missing.
///
/// # Errors
/// What the API server says.
pub async fn create_namespace(cluster: &Cluster, manifests: &Manifests) -> Result<(), ClusterError> {
    let Ok(namespace) = Object::new(namespace_of(manifests)) else { return Ok(()) };
    if cluster.get(namespace.api_version(), &namespace.key()).await?.is_none() {
        cluster.apply(&namespace, false).await?;
    }
    Ok(())
}

/// The namespace of a control plane.
pub(super) fn namespace_of(manifests: &Manifests) -> serde_json::Value {
    let labels = match manifests.network.as_str() {
        "" => json!({}),
        network => json!({"topology.istio.io/network": network}),
    };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": manifests.namespace, "labels": labels}})
}
