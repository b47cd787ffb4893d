//! Reports whether a revision is in use, and deletes the resource of an unused revision if an annotation asks for it.
//!
//! `install.istio.io/prune-unused-after: 24h` on an IstioOperator resource has the operator delete that resource once its
//! revision has not been in use for so long. Nothing is deleted while it is unknown who uses the revision.

use super::events::EventMessage;
use super::reconcile::Reconcile;
use super::usage::{ASK_AGAIN, ControlPlane, Use, users_of};
use crate::api::status::InstallStatus;
use crate::api::{TIME_FORMAT, annotations};
use crate::cluster::ClusterError;
use crate::controller::status::{Conclusion, ExtraCondition, IN_USE, ReconcileOutcome, Usage};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::time::Duration;

/// What becomes of a resource whose revision may be unused.
#[derive(Debug)]
enum Due {
    /// It stays.
    Never,
    /// It has only now been seen to be unused; its time begins when the status says so.
    Started,
    /// It goes after this time, at this moment (RFC 3339), unless it is used until then.
    In(Duration, String),
    /// It goes now.
    Now,
}

impl Reconcile<'_> {
    /// Adds to the findings whether the control plane is in use, and what follows. Gives the time after which to come back;
    /// the resource is deleted when its time has come.
    pub async fn apply_unused_policy(
        &self,
        plane: Option<ControlPlane>,
        findings: &mut ReconcileOutcome,
    ) -> Option<Duration> {
        let Self { context, id, .. } = self;
        let held: Vec<&str> = findings.held.iter().flatten().map(|held| held.revision.as_str()).collect();
        let Some(plane) = plane else {
            context.users.keep(id, &held);
            findings.usage = Usage::None;
            return None;
        };
        let usage = context.users.ask(id, &plane.revision, plane.own.clone());
        // Control planes that it keeps are asked for as well, and are a use of the resource.
        context.users.keep(id, &[&[plane.revision.as_str()], &*held].concat());
        tracing::debug!(
            revision = plane.revision,
            pods = usage.pods,
            pod = usage.pod,
            "asked who uses the control plane"
        );
        findings.usage = told(usage.by, &plane);
        let is_unused = findings.held.as_ref().is_none_or(Vec::is_empty)
            && matches!(findings.usage, Usage::Of(Some(false), ..))
            && findings.conclusion == Conclusion::Healthy;
        // A time that is not understood never comes.
        let grace = annotations::grace(self.resource.annotations()).and_then(Result::ok);
        let (kind, message, again) = match due(grace, is_unused, &self.state.known(), Timestamp::now()) {
            Due::Never => return None,
            Due::Started => return Some(Duration::ZERO),
            Due::In(left, end) => {
                let revision = &plane.revision;
                let message = format!("nothing uses revision {revision}; it is deleted at {end} unless something does");
                ("PruneScheduled", message, Some(left))
            }
            Due::Now => {
                let failed = self.delete_unused(&plane).await.err()?;
                tracing::warn!(error = %failed, "cannot delete an unused revision");
                return Some(ASK_AGAIN);
            }
        };
        findings.extra_conditions.push(ExtraCondition { kind, reason: kind, message });
        again
    }

    /// Deletes the resource if its revision is not used even when it is asked for once more: the watches may be a moment
    /// behind.
    async fn delete_unused(&self, plane: &ControlPlane) -> Result<(), ClusterError> {
        let cluster = &self.context.cluster;
        if !users_of(cluster, &plane.revision, &plane.own).await?.is_empty() {
            return Ok(());
        }
        let text = format!("nothing has used revision {} for long enough, deleting it", plane.revision);
        self.publish(&EventMessage { is_warning: false, reason: "Unused", text }).await;
        cluster.delete_owner(self.id, self.resource.uid()).await
    }
}

fn told(usage: Use, plane: &ControlPlane) -> Usage {
    let ControlPlane { revision, is_external, .. } = plane;
    match usage {
        Use::Unknown => Usage::Unknown,
        Use::Pods => Usage::Of(Some(true), "UsedByPods", format!("proxies of pods are of revision {revision}")),
        Use::Namespaces => {
            Usage::Of(Some(true), "UsedByNamespaces", format!("namespaces point to revision {revision}"))
        }
        Use::Unused if *is_external => {
            Usage::Of(None, "UsedByOtherClusters", "other clusters use it, of which nothing is known here".into())
        }
        Use::Unused => Usage::Of(Some(false), "Unused", format!("no pod and no namespace uses revision {revision}")),
    }
}

/// What becomes of a resource, by its annotation, and since when its status says that its revision is unused.
fn due(grace: Option<Duration>, is_unused: bool, status: &InstallStatus, now: Timestamp) -> Due {
    let Some(grace) = grace.filter(|_| is_unused) else { return Due::Never };
    let condition = status.conditions.iter().flatten().find(|c| c.r#type == IN_USE && c.status == "False");
    let Some(since) = condition.and_then(|c| c.last_transition_time.parse::<Timestamp>().ok()) else {
        return Due::Started;
    };
    let end = since.checked_add(grace).unwrap_or(Timestamp::MAX);
    match Duration::try_from(end.duration_since(now)) {
        Ok(left) if !left.is_zero() => Due::In(left, end.strftime(TIME_FORMAT).to_string()),
        _ => Due::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn since(time: &str) -> InstallStatus {
        let condition = json!({"type": IN_USE, "status": "False", "lastTransitionTime": time});
        from_value(json!({"conditions": [condition]})).unwrap()
    }

    #[test]
    fn a_revision_goes_when_unused_for_long_enough_and_never_before() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let hour = Some(Duration::from_hours(1));
        assert!(matches!(due(hour, true, &since("2026-01-01T10:00:00Z"), now), Due::Now));
        let Due::In(left, end) = due(hour, true, &since("2026-01-01T11:30:00Z"), now) else { panic!("not scheduled") };
        assert_eq!((left, end.as_str()), (Duration::from_mins(30), "2026-01-01T12:30:00Z"));
        assert!(matches!(due(hour, true, &InstallStatus::default(), now), Due::Started), "only now seen to be unused");
        assert!(matches!(due(hour, false, &since("2026-01-01T10:00:00Z"), now), Due::Never));
        assert!(matches!(due(None, true, &since("2026-01-01T10:00:00Z"), now), Due::Never));
    }

    #[test]
    fn a_control_plane_that_other_clusters_use_is_never_told_to_be_unused() {
        let plane = |is_external| ControlPlane { revision: "canary".into(), own: vec![], is_external };
        assert!(matches!(told(Use::Unused, &plane(false)), Usage::Of(Some(false), "Unused", _)));
        assert!(matches!(told(Use::Unused, &plane(true)), Usage::Of(None, ..)));
        assert_eq!(told(Use::Unknown, &plane(false)), Usage::Unknown);
    }
}
