//! Leader election: of several operators, the one that holds a Lease works.
//!
//! A Lease is taken when it is free, or when its holder has not renewed it for the duration that stands in it, as seen by our
//! own clock; every write carries the version that was read, so two can never both succeed. Whoever cannot renew it for the
//! renew deadline stops working before anybody else can begin; a process that was stopped itself meanwhile is kept from
//! writing by the [`Fence`].

use crate::cluster::fence::{Fence, Moment};
use crate::cluster::lease::SharedLease;
use crate::cluster::outage::is_unreachable;
use crate::process::health::{Health, Ready};
use crate::process::metrics::Metrics;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the Lease is renewed, unless the deadline is short.
const PERIOD: Duration = Duration::from_secs(2);
/// How often whoever stands by looks at the Lease.
const STANDBY_PERIOD: Duration = Duration::from_secs(1);
/// How long a look at the Lease makes ready for.
const READY_FOR: Duration = Duration::from_secs(15);
/// How long a look at the Lease may take before it is tried again, on another connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon a write of the Lease that somebody was faster with is tried again.
const AGAIN: Duration = Duration::from_millis(5);
/// How long the same trouble goes without another line in the log.
const REPEAT: Duration = Duration::from_mins(1);
/// A loop that has not turned for so long hangs.
const HANGS: Duration = Duration::from_mins(2);
const HEART: &str = "the election";

/// What an election reports to.
#[derive(Clone)]
pub struct ElectionContext {
    /// Kept open while the Lease is surely ours.
    pub fence: Fence,
    /// Whether the operator is ready, as long as it stands by.
    pub ready: Ready,
    /// Whether the loop turns.
    pub health: Arc<Health>,
    /// Whether it leads.
    pub metrics: Arc<Metrics>,
}

/// A Lease to be held.
pub struct Election {
    lease: SharedLease,
    renew_deadline: Duration,
    context: ElectionContext,
    /// The holder and its last renewal, and when we first saw it.
    seen: Option<(String, Option<MicroTime>, Instant)>,
    /// The last trouble that was told, and when.
    told: Option<(String, Instant)>,
}

/// Why the Lease could not be looked at.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{}", brief(.0))]
    Request(#[from] kube::Error),
    #[error("the API server does not answer")]
    Silence(#[from] tokio::time::error::Elapsed),
}

fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl Trouble {
    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Request(error) if is_unreachable(error))
    }
}

impl Election {
    /// For the Lease of this name; the identity tells the holders apart. The client should be nobody else's, lest others'
    /// requests keep a renewal waiting.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: String,
        identity: String,
        renew_deadline: Duration,
        context: ElectionContext,
    ) -> Self {
        // Never less than twice the deadline.
        let lease = SharedLease::new(client, namespace, name, identity, renew_deadline * 2);
        Self { lease, renew_deadline, context, seen: None, told: None }
    }

    /// Waits until the Lease is ours. Safe to cancel.
    pub async fn acquire(&mut self) {
        let mut is_told = false;
        self.context.ready.clear(&format!("the lease {} has not been read yet", self.lease.name()));
        loop {
            self.context.health.beat(HEART, HANGS);
            match self.attempt(PATIENCE).await {
                Ok(true) => {
                    self.context.ready.clear("leading now, reading what exists in the cluster");
                    self.context.metrics.election.set_leader(true);
                    return;
                }
                Ok(false) => {
                    self.context.ready.set_for(READY_FOR, "the lease cannot be read any more");
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::info!(lease = self.lease.name(), "another operator holds the lease, standing by");
                    }
                }
                Err(trouble) => {
                    self.context.ready.want(&format!("the lease {} cannot be read: {trouble}", self.lease.name()));
                    self.tell("cannot look at the lease", &trouble);
                }
            }
            tokio::time::sleep(STANDBY_PERIOD).await;
        }
    }

    /// Renews the Lease; returns when it is lost.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        // Twice before the deadline at least.
        let period = PERIOD.min(self.renew_deadline / 3);
        let mut pause = period;
        while renewed.elapsed() < self.renew_deadline {
            self.context.health.beat(HEART, HANGS);
            tokio::time::sleep(pause).await;
            // Whatever happens, work ends before anybody else may begin; and a request that hangs leaves time for another.
            let left = self.renew_deadline.saturating_sub(renewed.elapsed());
            let begun = Instant::now();
            match self.attempt(left.min(self.renew_deadline / 2)).await {
                Ok(true) => (renewed, pause) = (begun, period),
                Ok(false) => break,
                Err(trouble) => {
                    pause = period / 8;
                    self.tell("cannot renew the lease", &trouble);
                }
            }
        }
        self.context.metrics.election.set_leader(false);
    }

    /// Gives the Lease up, so that another operator need not wait for its end; tries for no longer than told.
    pub async fn release(&self, patience: Duration) {
        let attempts = async {
            loop {
                match self.lease.give_up().await {
                    Err(kube::Error::Api(status)) if status.code == 409 => tokio::time::sleep(AGAIN).await,
                    other => return other,
                }
            }
        };
        self.context.metrics.election.set_leader(false);
        match tokio::time::timeout(patience, attempts).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(lease = self.lease.name(), error = brief(&error), "cannot release the lease");
            }
            Err(_) => {
                tracing::warn!(lease = self.lease.name(), "cannot release the lease: the API server does not answer");
            }
        }
    }

    /// Says what is wrong, unless that was said lately or is said elsewhere.
    fn tell(&mut self, act: &str, trouble: &Trouble) {
        let text = trouble.to_string();
        if trouble.is_unreachable()
            || self.told.as_ref().is_some_and(|(told, at)| *told == text && at.elapsed() < REPEAT)
        {
            tracing::debug!(lease = self.lease.name(), error = text, "{act}");
            return;
        }
        tracing::warn!(lease = self.lease.name(), error = text, "{act}");
        self.told = Some((text, Instant::now()));
    }

    /// Takes or renews the Lease, if it is free or ours, within a time. Whether it is ours then.
    async fn attempt(&mut self, patience: Duration) -> Result<bool, Trouble> {
        let begun = Moment::now();
        let taken = tokio::time::timeout(patience, self.take()).await??;
        if taken {
            // From when it was asked for: others count from when they see it.
            self.context.fence.renewed(begun, self.renew_deadline);
            self.told = None;
        }
        Ok(taken)
    }

    /// The same, as long as others write it meanwhile.
    async fn take(&mut self) -> Result<bool, kube::Error> {
        loop {
            let live = self.lease.read().await?;
            if live.as_ref().is_some_and(|lease| !self.is_takeable(lease)) {
                return Ok(false);
            }
            match self.lease.write(live.as_ref()).await {
                Ok(lease) => {
                    let transitions = lease.spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
                    self.context.metrics.election.set_transitions(transitions.into());
                    return Ok(true);
                }
                // Somebody was faster, perhaps only to annotate it: what it says now counts.
                Err(kube::Error::Api(status)) if status.code == 409 => tokio::time::sleep(AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }

    fn is_takeable(&mut self, lease: &Lease) -> bool {
        let Some(spec) = &lease.spec else { return true };
        let Some(holder) = self.lease.other_holder(spec) else { return true };
        match &self.seen {
            Some((who, renewal, since)) if who == holder && *renewal == spec.renew_time => {
                since.elapsed() > self.duration_of(spec)
            }
            _ => {
                self.seen = Some((holder.to_owned(), spec.renew_time.clone(), Instant::now()));
                false
            }
        }
    }

    /// How long the holder may work without a renewal: the holder knows.
    fn duration_of(&self, spec: &LeaseSpec) -> Duration {
        let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
        seconds.map_or(self.renew_deadline * 2, Duration::from_secs)
    }
}
