//! The wave of one component: its objects, step by step, and how they stand.

use super::install::{Failure, Pass, summary};
use super::report::is_wait_worth_telling;
use super::{Seen, Standing};
use crate::api::component::Component;
use crate::cluster::{ClusterError, Refusal};
use crate::install::plan;
use crate::install::readiness::{Readiness, reason};
use crate::object::{Object, ObjectKey};
use futures::{FutureExt, StreamExt, stream};
use std::collections::BTreeSet;

/// How many objects of a step are written at once.
const WRITES_AT_ONCE: usize = 16;
/// What is not ready.
#[derive(Default)]
pub(super) struct Waits {
    passing: Vec<String>,
    /// What its controller has given up.
    stuck: Vec<String>,
}

/// What came of the wave of a component.
pub(super) enum WaveResult {
    Ready,
    Waiting(String),
    NotProgressing(String),
    Conflict(String),
    Failed(Vec<Failure>),
}

impl WaveResult {
    /// As metrics label it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting(_) => "waiting",
            Self::NotProgressing(_) => "not_progressing",
            Self::Conflict(_) => "conflict",
            Self::Failed(_) => "failed",
        }
    }
}

impl Pass<'_> {
    /// Brings the objects of a component to what is desired, step by step, and says how they stand. A step begins when the
    /// one before is written, and definitions are established. Nothing is written of a component of which another resource
    /// has a part and wants it otherwise.
    ///
    /// Nor is anything written where one of the objects that the user's own settings have `changed` would be refused: those
    /// are tried first, without being written. Others come from charts that are known to work, and cost no request more.
    pub(super) async fn apply_wave(&mut self, wave: &plan::Wave<'_>, changed: &BTreeSet<ObjectKey>) -> WaveResult {
        match self.overlap(wave).await {
            Ok(None) => {}
            Ok(Some(why)) => return WaveResult::Conflict(why),
            Err(error) => return WaveResult::Failed(vec![error.into()]),
        }
        match self.contradictions(wave).await {
            Ok(conflicts) if conflicts.is_empty() => {}
            Ok(conflicts) => return WaveResult::Conflict(summary(&conflicts)),
            Err(error) => return WaveResult::Failed(vec![error.into()]),
        }
        let refused = self.try_out(wave, changed).await;
        if !refused.is_empty() {
            return WaveResult::Failed(refused);
        }
        let (mut waits, mut refused) = (Waits::default(), vec![]);
        for step in &wave.steps {
            let (failures, blocked) = self.apply_step(step, wave.component, &mut waits).await;
            let (istio, others): (Vec<_>, Vec<_>) = failures.into_iter().partition(|(is_istio, _)| *is_istio);
            refused.extend(istio.into_iter().map(|(_, failure)| failure));
            if !others.is_empty() {
                return WaveResult::Failed(others.into_iter().map(|(_, failure)| failure).collect());
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
        match (refused.is_empty(), waits.stuck.is_empty(), waits.passing.is_empty()) {
            (false, ..) => WaveResult::Failed(refused),
            (true, false, _) => WaveResult::NotProgressing(summary(&waits.stuck)),
            (true, true, false) => WaveResult::Waiting(summary(&waits.passing)),
            (true, true, true) => WaveResult::Ready,
        }
    }

    /// Tries what the user's settings have changed and what is not applied yet. Returns what the API server would refuse.
    async fn try_out(&mut self, wave: &plan::Wave<'_>, changed: &BTreeSet<ObjectKey>) -> Vec<Failure> {
        let objects = wave.steps.iter().flatten().copied().filter(|object| changed.contains(&object.key()));
        let mut refused = vec![];
        for object in objects.collect::<Vec<_>>() {
            let seen = self.memory.objects.get(&object.key()).filter(|seen| seen.digest == self.digest(object));
            match seen.map(|seen| (&seen.standing, self.is_unchanged(object, seen))) {
                Some((Standing::Rejected(why), true)) => {
                    refused.push(Failure { text: why.clone(), is_final: true });
                    continue;
                }
                None | Some((Standing::Rejected(_), false)) => {}
                Some(_) => continue,
            }
            // What is not there yet, such as a definition, comes with the wave; what may pass is told by the write itself.
            if let Err(error) = self.context.cluster.apply(object, true).await
                && error.refusal() == Refusal::Never
            {
                self.remember_rejection(object, &error);
                refused.push(error.into());
            }
        }
        refused
    }

    /// Whether a live object is as it was when it was last looked at.
    pub(super) fn is_unchanged(&self, object: &Object, seen: &Seen) -> bool {
        match self.context.index.get(&object.key()) {
            Some(known) => known.is_unchanged_since(&seen.resource_version),
            None => seen.resource_version.is_empty(),
        }
    }

    /// What other resources have of a wave and want otherwise.
    async fn contradictions(&mut self, wave: &plan::Wave<'_>) -> Result<Vec<String>, ClusterError> {
        let mut conflicts = vec![];
        for object in wave.steps.iter().flatten() {
            self.context.index.watch(object.api_version(), object.kind());
            if let Some(other) = self.holder(object, wave.component) {
                let seen = self.regard(object, wave.component, other).await?;
                conflicts.extend(conflict(&object.key(), &seen));
                self.memory.objects.insert(object.key(), seen);
            }
        }
        Ok(conflicts)
    }

    /// The objects of one step. Returns what failed, with whether it is one of Istio's own resources (its webhook refuses
    /// them while istiod is away, which must not keep istiod from coming), and definitions that are waited for.
    pub(super) async fn apply_step(
        &mut self,
        step: &[&Object],
        component: Component,
        waits: &mut Waits,
    ) -> (Vec<(bool, Failure)>, Vec<String>) {
        let (mut failures, mut blocked): (Vec<(bool, Failure)>, Vec<String>) = (vec![], vec![]);
        let (mine, others): (Vec<&Object>, Vec<&Object>) =
            step.iter().copied().partition(|object| self.holder(object, component).is_none());
        let writes: Vec<_> = mine.iter().map(|object| self.bring(object).boxed()).collect();
        let results: Vec<_> = stream::iter(writes).buffered(WRITES_AT_ONCE).collect().await;
        for (object, result) in mine.into_iter().zip(results) {
            match result {
                Ok(brought) => self.take_in(object.key(), brought),
                Err(error) => {
                    if error.refusal() == Refusal::Never {
                        self.remember_rejection(object, &error);
                    }
                    failures.push((object.group().ends_with(".istio.io"), error.into()));
                }
            }
        }
        for object in step.iter().copied() {
            let Some(seen) = self.memory.objects.get(&object.key()) else { continue };
            let whose = if others.contains(&object) { " (shared)" } else { "" };
            let told = |what: &str, why: Option<String>| {
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                format!("{}{whose}: {what}{why}", object.key())
            };
            if let Standing::Rejected(why) = &seen.standing {
                // Tried before, and nothing has changed since.
                let failure = Failure { text: why.clone(), is_final: true };
                if !failures.iter().any(|(_, known)| known.text == *why) {
                    failures.push((object.group().ends_with(".istio.io"), failure));
                }
                continue;
            }
            match &seen.readiness {
                Readiness::Ready => {}
                Readiness::Waiting(what) if object.is_crd() => blocked.push(format!("{}: {what}", object.key())),
                Readiness::Waiting(what) => waits.passing.push(told(what, self.why_not_ready(object).await)),
                Readiness::Failed(what) => waits.stuck.push(told(what, self.why_not_ready(object).await)),
            }
        }
        (failures, blocked)
    }

    /// Remembers that an object cannot be written as it is, so that it is not tried again until it or the live one changes.
    fn remember_rejection(&mut self, object: &Object, error: &ClusterError) {
        let known = self.context.index.get(&object.key());
        let seen = Seen {
            digest: self.digest(object),
            api_version: object.api_version().to_owned(),
            uid: known.as_ref().map(|known| known.uid.clone()).unwrap_or_default(),
            resource_version: known.map(|known| known.resource_version).unwrap_or_default(),
            readiness: Readiness::Ready,
            standing: Standing::Rejected(error.to_string()),
        };
        self.memory.objects.insert(object.key(), seen);
    }

    /// What the pods of a workload say, asked for when it will be told: most are ready before.
    async fn why_not_ready(&self, object: &Object) -> Option<String> {
        if !is_wait_worth_telling(self.context, self.memory) || object.group() != "apps" {
            return None;
        }
        reason::why_not_ready(&self.context.cluster, object).await
    }
}

fn conflict(key: &ObjectKey, seen: &Seen) -> Option<String> {
    let Standing::Conflict(other, fields) = &seen.standing else { return None };
    Some(format!(
        "{key} is that of IstioOperator {}/{}, which wants something else in {}; rename it or take it out of one of the two",
        other.namespace,
        other.name,
        summary(fields)
    ))
}
