//! Applies a plan until all of it is ready, or until something fails that waiting does not repair.

use super::known::{Known, waits_of};
use super::neighbours::Neighbours;
use super::progress::Progress;
use crate::api::component::Component;
use crate::cluster::Cluster;
use crate::install::plan::Plan;
use crate::install::{
    Actor, ComponentOutcome, Engine, Failure, InstallError, Options, Outcome, Silent, State, failures_told,
};
use crate::object::OwnerId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How soon what is waited for is read again: soon after something has happened, then more and more slowly.
const SOON: Duration = Duration::from_millis(25);
const LATE: Duration = Duration::from_millis(400);
/// The same of definitions: they are large, and to read them keeps the API server from making them ready.
const DEFINITIONS: Duration = Duration::from_millis(120);

/// How an installation ended.
pub enum End {
    /// All of it is ready.
    Ready,
    /// The same, but there is no place for the record of it; why.
    Unrecorded(String),
    /// These are not, after their time; with what they wait for.
    TimedOut(Vec<(Option<Component>, String)>),
    /// These failed, and would fail again.
    Failed(Failed),
}

/// What failed.
pub struct Failed {
    /// Of which component, and why.
    pub all: Vec<(Option<Component>, String)>,
    /// The user who lacks permissions, if it is for want of them.
    pub user: Option<String>,
}

/// What is to be applied.
pub struct Work<'a> {
    pub cluster: &'a Cluster,
    pub owner: &'a OwnerId,
    pub plan: &'a Plan,
    pub neighbours: &'a Neighbours,
    /// How long a component may take.
    pub timeout: Duration,
}

impl Work<'_> {
    /// See the module. Safe to cancel; who does it again goes on.
    pub async fn finish(&self, mut state: State, progress: &mut Progress<'_, '_>) -> End {
        let keys = self.plan.keys();
        let (mut known, mut pause, mut last) = (Known::default(), SOON, state.progress());
        let mut since: BTreeMap<Option<Component>, Instant> = BTreeMap::new();
        loop {
            let engine = Engine { cluster: self.cluster, cache: &known, others: self.neighbours, listener: &Silent };
            let options = Options { explain_waits: progress.is_slow(), ..Options::default() };
            let outcome = engine.apply(self.owner, self.plan, &mut state, options).await;
            progress.tell(&outcome);
            if outcome.is_ready() {
                return End::Ready;
            }
            if let Some(why) = unrecorded(&outcome) {
                return End::Unrecorded(why);
            }
            let failed = hopeless(&outcome);
            if !failed.is_empty() {
                let user = outcome.failures.iter().find_map(Failure::refused_user).map(str::to_owned);
                return End::Failed(Failed { all: failed, user });
            }
            let open = open(&outcome);
            since.retain(|component, _| open.iter().any(|(one, _)| one == component));
            for (component, _) in &open {
                since.entry(*component).or_insert_with(Instant::now);
            }
            let is_late = |one: &(Option<Component>, String)| {
                since.get(&one.0).is_some_and(|since| since.elapsed() >= self.timeout)
            };
            let late: Vec<_> = open.into_iter().filter(is_late).collect();
            if !late.is_empty() {
                return End::TimedOut(late);
            }
            known = Known::after(&outcome, &state, &keys);
            let now = state.progress();
            let is_establishing = outcome.components.values().any(|of| matches!(of, ComponentOutcome::Establishing(_)));
            pause = match () {
                () if is_establishing => DEFINITIONS,
                () if now == last => (pause * 3 / 2).min(LATE),
                () => SOON,
            };
            last = now;
            sleep(pause).await;
        }
    }
}

/// Why there is no record, where that is all that is missing: with a spec that brings neither the definition of IstioOperator nor a
/// namespace, neither may be there.
fn unrecorded(outcome: &Outcome) -> Option<String> {
    let is_ready = outcome.components.values().all(|of| matches!(of, ComponentOutcome::Ready));
    let lacks = |failure: &Failure| match failure.error.as_ref() {
        InstallError::Cluster(error) => failure.component.is_none() && error.is_absent(),
        InstallError::Conflict(_) => false,
    };
    let first = outcome.failures.first().filter(|_| is_ready && outcome.failures.iter().all(lacks))?;
    Some(first.error.to_string())
}

/// What failed and would fail again, or for want of a permission.
fn hopeless(outcome: &Outcome) -> Vec<(Option<Component>, String)> {
    let conflicts = outcome.components.iter().filter(|(_, of)| matches!(of, ComponentOutcome::Conflict(_)));
    let mut all: Vec<_> = conflicts.map(|(component, of)| (Some(*component), of.told(Actor::User))).collect();
    let failed = outcome.failures.iter().filter(|failure| failure.is_final() || failure.is_forbidden());
    let components: BTreeSet<Option<Component>> = failed.map(|failure| failure.component).collect();
    for component in components {
        let own = outcome.failures.iter().filter(|failure| failure.component == component);
        let of = component.and_then(|component| outcome.components.get(&component));
        let told = of.filter(|of| matches!(of, ComponentOutcome::Failed(_))).map(|of| of.told(Actor::User));
        let told = told.unwrap_or_else(|| failures_told(own, Actor::User));
        all.push((component, told));
    }
    all
}

/// What is not done yet, but for what waits for others of it; with the reason.
fn open(outcome: &Outcome) -> Vec<(Option<Component>, String)> {
    let is_open = |of: &ComponentOutcome| !waits_of(of).is_empty() || matches!(of, ComponentOutcome::Failed(_));
    let components = outcome.components.iter().filter(|(_, of)| is_open(of));
    let mut open: Vec<_> = components.map(|(component, of)| (Some(*component), of.told(Actor::User))).collect();
    let others = failures_told(outcome.failures.iter().filter(|failure| failure.component.is_none()), Actor::User);
    if !others.is_empty() {
        open.push((None, others));
    }
    open
}
