//! One command at a time changes a control plane: of two at once each would undo what the other does, and both would report success.
//!
//! A run holds a Lease of each control plane while it writes, and releases it also when it is interrupted. Another run that finds it
//! held ends, since what it has shown is out of date by then. A holder that was killed does not renew the Lease; whoever comes
//! then waits until it has run out, by its own clock. Who may not write Leases is told so, and goes on.

use super::run::made_up_identity;
use super::screen::Screen;
use crate::cluster::lease::SharedLease;
use crate::cluster::{Cluster, ClusterError};
use crate::install::create_namespace;
use crate::object::manifests::Manifests;
use anyhow::{Context, anyhow, bail};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::Error::Api as Answer;
use std::time::{Duration, Instant};
use tokio::signal;
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

/// The Leases, which are ours.
pub(super) struct Turn(Vec<SharedLease>);

/// A control plane, by its namespace and by its revision as labels have it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plane<'a> {
    pub namespace: &'a str,
    pub revision: &'a str,
}

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

/// Takes the Lease of the control plane that manifests make; see [`take`].
///
/// # Errors
/// See [`take`].
pub(super) async fn take_for(
    cluster: &Cluster,
    manifests: &Manifests,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Turn> {
    if manifests.parts.is_empty() {
        return Ok(Turn(vec![]));
    }
    let plane = Plane { namespace: &manifests.namespace, revision: manifests.revision_label() };
    take(cluster, [plane], Some(manifests), screen).await
}

/// Takes the Leases of control planes, but those that may not be written. The namespace of what is `wanted` is created where it is not
/// there; where nothing is wanted, what is in a namespace that is not there needs none.
///
/// # Errors
/// Another run has one of them, or the cluster cannot be asked.
pub(super) async fn take<'a>(
    cluster: &Cluster,
    planes: impl IntoIterator<Item = Plane<'a>>,
    wanted: Option<&Manifests>,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Turn> {
    let identity = made_up_identity()?;
    let mut turn = Turn(vec![]);
    for Plane { namespace, revision } in planes {
        let name = format!("{NAME}-{revision}");
        let lease = SharedLease::new(cluster.client().clone(), namespace, name, identity.clone(), LASTS);
        match wait_for(&lease, cluster, wanted, screen).await {
            Ok(true) => turn.0.push(lease),
            Ok(false) => {}
            Err(error) if is_forbidden(&error) => screen.note(&format!(
                "Warning: nothing keeps another run from changing the same control plane meanwhile, for this user may not write \
                 {}.",
                lease.told()
            )),
            Err(error) => {
                turn.end().await;
                return Err(error);
            }
        }
    }
    Ok(turn)
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    let code = |error: &kube::Error| matches!(error, Answer(status) if status.code == 403);
    error.chain().any(|cause| {
        cause.downcast_ref::<kube::Error>().is_some_and(code)
            || cause.downcast_ref::<ClusterError>().is_some_and(|error| error.code() == Some(403))
    })
}

/// Waits until a Lease is ours; `false` where there is nothing to hold one for.
async fn wait_for(
    lease: &SharedLease,
    cluster: &Cluster,
    wanted: Option<&Manifests>,
    screen: &mut Screen<'_>,
) -> anyhow::Result<bool> {
    let (mut seen, mut to_create): (Option<Other>, _) = (None, wanted);
    loop {
        let live = lease.read().await.with_context(|| format!("read {}", lease.told()))?;
        let holder =
            live.as_ref().and_then(|live| live.spec.as_ref()).filter(|spec| lease.other_holder(spec).is_some());
        match next(holder, seen.as_ref(), Instant::now()) {
            Next::End(why) => bail!(
                "{} {why}: another run changes this control plane, or has just done so. What is told above may not be so any more; \
                 nothing is changed. Run the same command again when that one has ended",
                lease.told()
            ),
            Next::Wait => {
                if let Some(spec) = live.and_then(|lease| lease.spec).filter(|_| seen.is_none()) {
                    screen.note(&format!(
                        "{} {}; waiting for {LASTS:?} to see whether it still works.",
                        lease.told(),
                        told(&spec)
                    ));
                    seen = Some(Other { spec, since: Instant::now() });
                }
                sleep(LOOK).await;
            }
            Next::Take => match lease.write(live.as_ref()).await {
                Ok(_) => return Ok(true),
                Err(Answer(status)) if status.code == 409 => sleep(AGAIN).await,
                Err(Answer(status)) if status.code == 404 => match to_create.take() {
                    Some(manifests) => create_namespace(cluster, manifests).await?,
                    None if wanted.is_none() => return Ok(false),
                    None => return Err(Answer(status)).with_context(|| format!("write {}", lease.told())),
                },
                Err(error) => return Err(error).with_context(|| format!("write {}", lease.told())),
            },
        }
    }
}

/// Renews a Lease for as long as it is ours; returns who has it then. What cannot be asked for a moment is asked again. Safe to cancel.
async fn hold(lease: &SharedLease) -> String {
    loop {
        sleep(RENEWAL).await;
        let Ok(live) = lease.read().await else { continue };
        match live.as_ref().and_then(|live| lease.other_holder(live.spec.as_ref()?)) {
            Some(other) => return other.to_owned(),
            None => drop(lease.write(live.as_ref()).await),
        }
    }
}

impl Turn {
    /// Does work, and gives the Leases up. `None` if Ctrl-C stopped it.
    ///
    /// # Errors
    /// That of the work; or another run has got a Lease meanwhile, and the work was stopped.
    pub(super) async fn during<T>(self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Option<T>> {
        let ended = tokio::select! {
            ended = work => ended.map(Some),
            stopped = signal::ctrl_c() => stopped.map(|()| None).context("listen for Ctrl-C"),
            other = self.lost() => Err(anyhow!(
                "{other} changes this control plane, too, and has the Lease now: what either has done stays, and what either wanted may \
                 be undone; run the same command again when that one has ended"
            )),
        };
        self.end().await;
        ended
    }

    /// Renews the Leases, and waits until another run has one; returns which. Safe to cancel.
    async fn lost(&self) -> String {
        match self.0.iter().map(hold).collect::<FuturesUnordered<_>>().next().await {
            Some(other) => other,
            None => std::future::pending().await,
        }
    }

    /// Gives the Leases up, if that does not take long. One that stays runs out.
    async fn end(self) {
        let give_up = async |lease: &SharedLease| {
            if lease.delete().await.is_err() {
                let _ = lease.give_up().await;
            }
        };
        let _ = timeout(RENEWAL, join_all(self.0.iter().map(give_up))).await;
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
