//! A run over one installation: what it works on, and what is remembered of each object.

use super::engine::{Engine, Event};
use super::outcome::{InstallError, Outcome, Repair};
use super::plan::Plan;
use super::readiness::Readiness;
use super::repairs::RepairLimits;
use super::state::{ObjectState, Observed, State};
use super::webhooks;
use crate::api::component::Component;
use crate::object::{Object, ObjectKey, OwnerId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon an object is looked at again where nobody tells of what it depends on.
const PASSING_INTERVAL: Duration = Duration::from_mins(5);

/// What came of one object.
pub(super) enum ObjectOutcome {
    /// It is another resource's, and left alone.
    Anothers,
    /// Nothing had to be written.
    Unchanged(Observed),
    /// It was written.
    Written(Observed),
    /// Somebody had changed it, and it was written again.
    Repaired(Observed, Repair),
    /// Its repair waits for so long.
    PutOff(Observed, Duration),
}

/// How a run is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether pods are asked why a workload is not ready.
    pub explain_waits: bool,
    /// When what has to wait is looked at again, where nothing tells of its end.
    pub recheck_interval: Duration,
    /// How often the same fields of an object are repaired.
    pub repair_limits: RepairLimits,
    /// How long what is no longer wanted of a gateway or the CNI agent is kept for what takes its place and does not become ready.
    pub prune_patience: Duration,
}

impl Options {
    /// Longer than a pod takes to start on a node that is well, images and all; a node that is not must not keep the old for ever.
    pub const PRUNE_PATIENCE: Duration = Duration::from_mins(5);
    /// How often is looked at again what no watch tells of, where nobody says otherwise: such waits last for a minute or so.
    pub const RECHECK_INTERVAL: Duration = Duration::from_secs(10);
}

impl Default for Options {
    fn default() -> Self {
        Self {
            explain_waits: false,
            recheck_interval: Self::RECHECK_INTERVAL,
            repair_limits: RepairLimits::default(),
            prune_patience: Self::PRUNE_PATIENCE,
        }
    }
}

/// A run over one installation.
pub(super) struct Run<'a> {
    pub engine: Engine<'a>,
    pub owner: &'a OwnerId,
    pub plan: &'a Plan,
    pub state: &'a mut State,
    pub options: Options,
    pub outcome: Outcome,
}

impl Run<'_> {
    /// The other resource that an object belongs to, if there is one.
    pub(super) fn other_owner(&self, object: &Object, component: Component) -> Option<OwnerId> {
        let key = object.key();
        let named = self.engine.cache.get(&key).map(|cached| cached.owner);
        self.engine.others.owner_of(self.owner, &key, component, named.as_ref())
    }

    /// Tells what is wanted of an object from what was wanted before.
    pub(super) fn digest(&self, object: &Object) -> u64 {
        object.digest() ^ self.plan.autoscalers().least(object).map_or(0, i64::cast_unsigned)
    }

    /// Remembers what came of an object.
    pub(super) fn record_outcome(&mut self, key: ObjectKey, outcome: ObjectOutcome) {
        let observed = match outcome {
            ObjectOutcome::Anothers => return,
            ObjectOutcome::Unchanged(observed) | ObjectOutcome::Written(observed) => observed,
            ObjectOutcome::Repaired(observed, repair) => {
                self.engine.listener.hear(&Event::Repaired { key: &key });
                self.state.repairs.count(&repair, self.options.repair_limits, Instant::now());
                self.outcome.repaired.push(repair);
                observed
            }
            ObjectOutcome::PutOff(observed, delay) => {
                self.outcome.come_back(Some(delay));
                observed
            }
        };
        self.outcome.come_back(observed.is_passing.then_some(PASSING_INTERVAL));
        if key.kind == webhooks::KIND {
            self.state.injectors.forget();
        }
        // Before its CRD was established the kind could not be watched.
        self.engine.cache.watch(&observed.api_version, &key.kind);
        self.state.objects.insert(key, observed);
    }

    /// Remembers that an object cannot be written as it is, so that it is not tried again until it or the live one changes.
    pub(super) fn remember_rejection(&mut self, object: &Object, error: &Arc<InstallError>) {
        let cached = self.engine.cache.get(&object.key());
        let observed = Observed {
            digest: self.digest(object),
            api_version: object.api_version().to_owned(),
            uid: cached.as_ref().map(|cached| cached.uid.clone()).unwrap_or_default(),
            resource_version: cached.map(|cached| cached.resource_version).unwrap_or_default(),
            readiness: Readiness::Ready,
            is_passing: false,
            state: ObjectState::Rejected(Arc::clone(error)),
        };
        self.state.objects.insert(object.key(), observed);
    }
}
