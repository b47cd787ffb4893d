//! When a failed reconcile is tried again.

use super::context::Context;
use super::error::ReconcileError;
use crate::cluster::outage::is_caused_by_outage;
use crate::cluster::received::ObservedResource;
use crate::object::OwnerId;
use kube::runtime::controller::Action;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// When a failed reconcile is first tried again, twice as late each time.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The latest, before a part of it that differs from resource to resource is added.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// After a failed reconcile: again, later each time, and not all at once.
#[allow(clippy::needless_pass_by_value)] // the signature that the queue calls
pub(super) fn retry(resource: Arc<ObservedResource>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let id = resource.id();
    // Outside of the reconcile, so outside of its span.
    let failures = context.state_of(&id).try_lock().map_or(1, |mut state| {
        state.failures = state.failures.saturating_add(1);
        state.failures
    });
    let delay = retry_delay(&id, failures);
    context.metrics.reconciles.errors.inc(error.reason());
    if is_caused_by_outage(error) {
        tracing::debug!(namespace = id.namespace, name = id.name, reason = error.reason(), %error, ?delay, "trying again");
    } else {
        tracing::warn!(namespace = id.namespace, name = id.name, reason = error.reason(), %error, ?delay, "trying again");
    }
    Action::requeue(delay)
}

/// How long a resource waits after so many failures; up to a quarter longer than others after as many.
pub(super) fn retry_delay(id: &OwnerId, failures: u32) -> Duration {
    let base = (FIRST_RETRY * 2_u32.pow(failures.min(7))).min(LAST_RETRY);
    base.mul_f64(1.0 + f64::from(jitter(id, failures) % 100) / 400.0)
}

/// A number that differs between resources and attempts.
fn jitter(id: &OwnerId, attempt: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (id, attempt).hash(&mut hasher);
    (hasher.finish() & 0xffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_later_each_time_up_to_a_minute_and_never_all_at_once() {
        let ids: Vec<OwnerId> = (0..50).map(|n| OwnerId::new("ns", format!("r{n}"))).collect();
        let delays = |failures| -> Vec<Duration> { ids.iter().map(|id| retry_delay(id, failures)).collect() };
        for (failures, least) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let (delays, least) = (delays(failures), Duration::from_secs(least));
            assert!(delays.iter().all(|delay| (least..=least.mul_f64(1.25)).contains(delay)), "{failures}: {delays:?}");
            let distinct: std::collections::BTreeSet<_> = delays.iter().collect();
            assert!(distinct.len() > 20, "{failures}: {delays:?}");
        }
    }
}
