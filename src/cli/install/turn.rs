//! Whose turn it is to change a control plane: of two runs at once each would undo what the other does, and both would report success.
//!
//! A run holds a Lease while it writes. Another one that finds it held ends: what it has told a person is not what is there any more.
//! A holder that was killed does not renew the Lease; whoever comes then waits until it has run out, by its own clock. Who may not
//! write Leases is told so, and goes on.

use super::super::screen::Screen;
use crate::cluster::{Cluster, ClusterError};
use crate::install::create_namespace;
use crate::object::manifests::Manifests;
use anyhow::{Context, bail};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Error::Api as Answer;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
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
pub(super) struct Turn {
    leases: Api<Lease>,
    name: String,
    identity: String,
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
    let leases: Api<Lease> = Api::namespaced(cluster.client().clone(), &manifests.namespace);
    let turn = Turn { leases, name: format!("{NAME}-{}", manifests.revision_label()), identity };
    match turn.wait_for(cluster, manifests, screen).await {
        Ok(()) => Ok(Some(turn)),
        Err(error) if is_forbidden(&error) => {
            screen.note(&format!(
                "Warning: nothing keeps another `install` from changing the same control plane meanwhile, for who installs may not \
                 write the Lease {}/{}.",
                manifests.namespace, turn.name
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
        let place = || format!("Lease {}/{}", manifests.namespace, self.name);
        let (mut seen, mut is_created): (Option<Other>, bool) = (None, false);
        loop {
            let live = self.leases.get_opt(&self.name).await.with_context(|| format!("read {}", place()))?;
            match next(live.as_ref(), seen.as_ref(), &self.identity, Instant::now()) {
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
                Next::Take => match self.write(live.as_ref()).await {
                    Ok(()) => return Ok(()),
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

    async fn write(&self, live: Option<&Lease>) -> Result<(), kube::Error> {
        let now = MicroTime(Timestamp::now());
        let before = live.and_then(|lease| lease.spec.as_ref());
        let is_ours = before.is_some_and(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let acquired = before.filter(|_| is_ours).and_then(|spec| spec.acquire_time.clone());
        let metadata = live.map(|lease| lease.metadata.clone()).unwrap_or_default();
        let lease = Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), managed_fields: None, ..metadata },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
                acquire_time: acquired.or_else(|| Some(now.clone())),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        let params = PostParams::default();
        match live {
            None => self.leases.create(&params, &lease).await.map(drop),
            Some(_) => self.leases.replace(&self.name, &params, &lease).await.map(drop),
        }
    }

    /// Renews the Lease for as long as it is ours; returns who has it then. What cannot be asked for a moment is asked again. Safe to
    /// cancel.
    async fn hold(&self) -> String {
        loop {
            sleep(RENEWAL).await;
            let Ok(live) = self.leases.get_opt(&self.name).await else { continue };
            let holder = live.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.clone());
            match holder.filter(|holder| !holder.is_empty() && *holder != self.identity) {
                Some(other) => return other,
                None => drop(self.write(live.as_ref()).await),
            }
        }
    }

    /// Gives the Lease up, if that does not take long. One that stays runs out.
    pub(super) async fn end(self) {
        let _ = timeout(RENEWAL, self.give_up()).await;
    }

    async fn give_up(&self) {
        let Ok(Some(live)) = self.leases.get_opt(&self.name).await else { return };
        if live.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&self.identity) {
            return;
        }
        let same = Preconditions { resource_version: live.metadata.resource_version.clone(), uid: None };
        let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
        if self.leases.delete(&self.name, &params).await.is_err() {
            let mut given_up = live;
            if let Some(spec) = &mut given_up.spec {
                spec.holder_identity = Some(String::new());
            }
            let _ = self.leases.replace(&self.name, &PostParams::default(), &given_up).await;
        }
    }
}

/// Renews a Lease, if there is one, and waits until another run has it; returns which. Safe to cancel.
pub(super) async fn lost(turn: Option<&Turn>) -> String {
    match turn {
        Some(turn) => turn.hold().await,
        None => std::future::pending().await,
    }
}

/// What is to be done about a Lease as it is, after another one was seen to have it.
fn next(live: Option<&Lease>, seen: Option<&Other>, identity: &str, now: Instant) -> Next {
    let spec = live.and_then(|lease| lease.spec.as_ref());
    let held = spec.filter(|spec| spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty()));
    let held = held.filter(|spec| spec.holder_identity.as_deref() != Some(identity));
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

    fn lease(holder: &str, renewed: &str) -> Lease {
        from_value(json!({"metadata": {"name": "x"}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": renewed}}))
        .unwrap()
    }

    #[test]
    fn a_run_ends_beside_one_that_works_and_outlives_one_that_was_killed() {
        let (begun, first) = (Instant::now(), "2026-01-01T00:00:01.000000Z");
        let after = |seconds| begun + Duration::from_secs(seconds);
        let held = lease("other", first);
        let seen = Other { spec: held.spec.clone().unwrap(), since: begun };
        assert_eq!(next(None, None, "me", begun), Next::Take);
        assert_eq!(next(Some(&lease("", first)), None, "me", begun), Next::Take);
        assert_eq!(next(Some(&lease("me", first)), None, "me", begun), Next::Take);
        assert_eq!(next(Some(&held), None, "me", begun), Next::Wait);
        assert_eq!(next(Some(&held), Some(&seen), "me", after(15)), Next::Wait);
        assert_eq!(next(Some(&held), Some(&seen), "me", after(16)), Next::Take);
        let renewed = lease("other", "2026-01-01T00:00:04.000000Z");
        let Next::End(why) = next(Some(&renewed), Some(&seen), "me", after(3)) else { panic!() };
        assert_eq!(why, "is held by other since 2026-01-01T00:00:00Z");
        for gone in [None, Some(lease("", first))] {
            assert!(
                matches!(next(gone.as_ref(), Some(&seen), "me", after(1)), Next::End(why) if why.ends_with("a moment ago"))
            );
        }
    }
}
