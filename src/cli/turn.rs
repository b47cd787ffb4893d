//! Whose turn it is to change a control plane: of two runs at once each would undo what the other does, and both would report success.
//!
//! A run holds a Lease while it writes. Another one that finds it held ends: what it has told a person is not what is there any more.
//! A holder that was killed does not renew the Lease; whoever comes then waits until it has run out, by its own clock. Who may not
//! write Leases is told so, and goes on.

use super::super::screen::Screen;
use crate::cluster::lease::SharedLease;
use crate::cluster::{Cluster, ClusterError};
use crate::install::create_namespace;
use crate::object::manifests::Manifests;
use anyhow::{Context, bail};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::Error::Api as Answer;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// What the Lease of a revision is called before its name.
const NAME: &str = "istio-install";
/// How long the Lease lasts that a run does not renew.
const LASTS: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How often one is looked at that another has.
const LOOK: Duration = Duration::from_millis(500);
/// How soon a write that somebody was faster with is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// The Lease, which is ours.
pub(super) struct Turn(SharedLease);

/// The holder of a Lease that is not ours, and its last renewal, as it was first seen.
struct Other {
    spec: LeaseSpec,
    since: Instant,
}

/// What is to be done about a Lease.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Take,
    Wait,
    /// Another run works, or has worked; with what says so.
    End(String),
}

/// Takes the Lease of the control plane; `None` where that may not be done, or where there is nothing to hold one for.
///
/// # Errors
/// Another run has it, or the cluster cannot be asked.
pub(super) async fn take(
    cluster: &Cluster,
    manifests: &Manifests,
    identity: String,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Option<Turn>> {
    if manifests.parts.is_empty() {
        return Ok(None);
    }
    let name = format!("{NAME}-{}", manifests.revision_label());
    let turn = Turn(SharedLease::new(cluster.client().clone(), &manifests.namespace, name, identity, LASTS));
    match turn.wait_for(cluster, manifests, screen).await {
        Ok(()) => Ok(Some(turn)),
        Err(error) if is_forbidden(&error) => {
            screen.note(&format!(
                "Warning: nothing keeps another `install` from changing the same control plane meanwhile, for who installs may not \
                 write the Lease {}/{}.",
                manifests.namespace,
                turn.0.name()
            ));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    let code = |error: &kube::Error| matches!(error, Answer(status) if status.code == 403);
    error.chain().any(|cause| {
        cause.downcast_ref::<kube::Error>().is_some_and(code)
            || cause.downcast_ref::<ClusterError>().is_some_and(|error| error.code() == Some(403))
    })
}

impl Turn {
    async fn wait_for(&self, cluster: &Cluster, manifests: &Manifests, screen: &mut Screen<'_>) -> anyhow::Result<()> {
        let place = || format!("Lease {}/{}", manifests.namespace, self.0.name());
        let (mut seen, mut is_created): (Option<Other>, bool) = (None, false);
        loop {
            let live = self.0.read().await.with_context(|| format!("read {}", place()))?;
            let holder =
                live.as_ref().and_then(|lease| lease.spec.as_ref()).filter(|spec| self.0.other_holder(spec).is_some());
            match next(holder, seen.as_ref(), Instant::now()) {
                Next::End(why) => bail!(
                    "{} {why}: another run changes this control plane, or has just done so. What is told above may not be so any more; \
                     nothing is written. Run the same command again when that one has ended",
                    place()
                ),
                Next::Wait => {
                    if let Some(spec) = live.and_then(|lease| lease.spec).filter(|_| seen.is_none()) {
                        screen.note(&format!(
                            "{} {}; waiting for {LASTS:?} to see whether it still works.",
                            place(),
                            told(&spec)
                        ));
                        seen = Some(Other { spec, since: Instant::now() });
                    }
                    sleep(LOOK).await;
                }
                Next::Take => match self.0.write(live.as_ref()).await {
                    Ok(_) => return Ok(()),
                    Err(Answer(status)) if status.code == 409 => sleep(AGAIN).await,
                    Err(Answer(status)) if status.code == 404 && !is_created => {
                        create_namespace(cluster, manifests).await?;
                        is_created = true;
                    }
                    Err(error) => return Err(error).with_context(|| format!("write {}", place())),
                },
            }
        }
    }

    /// Renews the Lease for as long as it is ours; returns who has it then. What cannot be asked for a moment is asked again. Safe to
    /// cancel.
    async fn hold(&self) -> String {
        loop {
            sleep(RENEWAL).await;
            let Ok(live) = self.0.read().await else { continue };
            match live.as_ref().and_then(|lease| self.0.other_holder(lease.spec.as_ref()?)) {
                Some(other) => return other.to_owned(),
                None => drop(self.0.write(live.as_ref()).await),
            }
        }
    }

    /// Gives the Lease up, if that does not take long. One that stays runs out.
    pub(super) async fn end(self) {
        let give_up = async {
            if self.0.delete().await.is_err() {
                let _ = self.0.give_up().await;
            }
        };
        let _ = timeout(RENEWAL, give_up).await;
    }
}

/// Renews a Lease, if there is one, and waits until another run has it; returns which. Safe to cancel.
pub(super) async fn lost(turn: Option<&Turn>) -> String {
    match turn {
        Some(turn) => turn.hold().await,
        None => std::future::pending().await,
    }
}

/// What is to be done about a Lease that another run holds, if one does, after one was seen to.
fn next(held: Option<&LeaseSpec>, seen: Option<&Other>, now: Instant) -> Next {
    match (held, seen) {
        (None, None) => Next::Take,
        (None, Some(other)) => Next::End(format!("{}, until a moment ago", told(&other.spec))),
        (Some(_), None) => Next::Wait,
        (Some(held), Some(other)) if *held != other.spec => Next::End(told(held)),
        (Some(held), Some(other)) => {
            let seconds = held.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            // Nobody else's Lease keeps this one from working for longer.
            let lasts = seconds.map_or(LASTS, Duration::from_secs).min(LASTS);
            if now.duration_since(other.since) > lasts { Next::Take } else { Next::Wait }
        }
    }
}

fn told(spec: &LeaseSpec) -> String {
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let since = spec.acquire_time.as_ref().map(|time| format!(" since {:.0}", time.0)).unwrap_or_default();
    format!("is held by {holder}{since}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn held(holder: &str, renewed: &str) -> LeaseSpec {
        from_value(json!({"holderIdentity": holder, "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": renewed}))
        .unwrap()
    }

    #[test]
    fn a_run_ends_beside_one_that_works_and_outlives_one_that_was_killed() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let first = held("other", "2026-01-01T00:00:01.000000Z");
        let seen = Other { spec: first.clone(), since: begun };
        assert_eq!(next(None, None, begun), Next::Take);
        assert_eq!(next(Some(&first), None, begun), Next::Wait);
        assert_eq!(next(Some(&first), Some(&seen), after(15)), Next::Wait);
        assert_eq!(next(Some(&first), Some(&seen), after(16)), Next::Take);
        let renewed = held("other", "2026-01-01T00:00:04.000000Z");
        let Next::End(why) = next(Some(&renewed), Some(&seen), after(3)) else { panic!() };
        assert_eq!(why, "is held by other since 2026-01-01T00:00:00Z");
        assert!(matches!(next(None, Some(&seen), after(1)), Next::End(why) if why.ends_with("a moment ago")));
    }
}
