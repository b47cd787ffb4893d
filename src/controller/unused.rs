//! What is told of the use of a revision, and when a resource goes whose revision nobody uses, if it is annotated so.
//!
//! `install.istio.io/prune-unused-after: 24h` on an IstioOperator resource has the operator delete that resource once its
//! revision has not been in use for so long. Nothing is deleted while it cannot be told who uses it.

use super::context::Context;
use super::events;
use super::usage::{ControlPlane, Use, users_of};
use crate::api::PRUNE_UNUSED_AFTER;
use crate::api::status::InstallStatus;
use crate::cluster::ClusterError;
use crate::cluster::received::ObservedResource;
use crate::controller::status::{Conclusion, ExtraCondition, IN_USE, ReconcileOutcome, Usage};
use crate::object::OwnerId;
use helm_template::sprig::go_duration;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::time::Duration;

/// When what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// What becomes of a resource whose revision may be unused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    /// It stays.
    Never,
    /// It stays, since the annotation is no duration; what is wrong with it.
    InvalidAnnotation(String),
    /// It has only now been seen to be unused; its time begins when the status says so.
    Started,
    /// It goes after this time, at this moment (RFC 3339), unless it is used until then.
    In(Duration, String),
    /// It goes now.
    Now,
}

/// Adds to the findings whether the control plane is in use, and what follows. Gives the time after which to come back; the
/// resource is deleted when its time has come.
pub(super) async fn apply_unused_policy(
    context: &Context,
    resource: &ObservedResource,
    id: &OwnerId,
    plane: Option<ControlPlane>,
    known: &InstallStatus,
    findings: &mut ReconcileOutcome,
) -> Option<Duration> {
    let Some(plane) = plane else {
        let held: Vec<&str> = findings.held.iter().flatten().map(|held| held.revision.as_str()).collect();
        context.users.keep(id, &held);
        findings.usage = Usage::None;
        return None;
    };
    let usage = context.users.ask(id, &plane.revision, plane.own.clone());
    // Control planes that it keeps are asked for as well, and are a use of the resource.
    let held: Vec<&str> = findings.held.iter().flatten().map(|held| held.revision.as_str()).collect();
    context.users.keep(id, &[&[plane.revision.as_str()], &*held].concat());
    tracing::debug!(revision = plane.revision, pods = usage.pods, pod = usage.pod, "asked who uses the control plane");
    findings.usage = told(usage.by, &plane);
    let is_unused = findings.held.as_ref().is_none_or(Vec::is_empty)
        && matches!(findings.usage, Usage::Of(Some(false), ..))
        && findings.conclusion == Conclusion::Healthy;
    let (kind, message, again) = match due(resource, is_unused, known, Timestamp::now()) {
        Due::Never => return None,
        Due::Started => return Some(Duration::ZERO),
        Due::InvalidAnnotation(why) => ("InvalidAnnotation", why, None),
        Due::In(left, end) => {
            let revision = &plane.revision;
            (
                "PruneScheduled",
                format!("nothing uses revision {revision}; it is deleted at {end} unless something does"),
                Some(left),
            )
        }
        Due::Now => {
            let failed = delete(context, resource, &plane).await.err()?;
            tracing::warn!(error = %failed, "cannot delete an unused revision");
            return Some(TRY_AGAIN);
        }
    };
    findings.extra_conditions.push(ExtraCondition { kind, reason: kind, message });
    again
}

/// Deletes a resource whose revision is not used even when it is asked for once more: the watches may be a moment behind.
async fn delete(context: &Context, resource: &ObservedResource, plane: &ControlPlane) -> Result<(), ClusterError> {
    if !users_of(&context.cluster, &plane.revision, &plane.own).await?.is_empty() {
        return Ok(());
    }
    let text = format!("nothing has used revision {} for long enough, deleting it", plane.revision);
    events::publish(context, resource, &events::EventMessage { is_warning: false, reason: "Unused", text }).await;
    context.cluster.delete_owner(resource).await
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

/// How long what nobody uses stays, by the annotation of a resource; what is wrong with that if it is no duration.
pub(super) fn grace(resource: &ObservedResource) -> Option<Result<Duration, String>> {
    let text = resource.annotations().get(PRUNE_UNUSED_AFTER)?;
    Some(match go_duration(text).map(u64::try_from) {
        Ok(Ok(nanoseconds)) => Ok(Duration::from_nanos(nanoseconds)),
        Ok(Err(_)) => Err(format!("{PRUNE_UNUSED_AFTER} is negative: want a duration like 24h")),
        Err(error) => Err(format!("{PRUNE_UNUSED_AFTER} is no duration like 24h: {error}")),
    })
}

/// What becomes of a resource, by its annotation, and since when its status says that its revision is unused.
fn due(resource: &ObservedResource, is_unused: bool, status: &InstallStatus, now: Timestamp) -> Due {
    let grace = match grace(resource) {
        None => return Due::Never,
        Some(Ok(grace)) => grace,
        Some(Err(why)) => return Due::InvalidAnnotation(why),
    };
    if !is_unused {
        return Due::Never;
    }
    let condition = status.conditions.iter().flatten().find(|c| c.r#type == IN_USE && c.status == "False");
    let Some(since) = condition.and_then(|c| c.last_transition_time.parse::<Timestamp>().ok()) else {
        return Due::Started;
    };
    let end = since.checked_add(grace).unwrap_or(Timestamp::MAX);
    match Duration::try_from(end.duration_since(now)) {
        Ok(left) if !left.is_zero() => Due::In(left, end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        _ => Due::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn resource(grace: &str) -> ObservedResource {
        let metadata = json!({"annotations": {PRUNE_UNUSED_AFTER: grace}});
        crate::cluster::received::from_value(&json!({ "metadata": metadata })).unwrap()
    }

    fn since(time: &str) -> InstallStatus {
        let condition = json!({"type": IN_USE, "status": "False", "lastTransitionTime": time});
        from_value(json!({"conditions": [condition]})).unwrap()
    }

    #[test]
    fn a_revision_goes_when_unused_for_long_enough_and_never_before() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let of = |grace: &str, is_unused, status: &InstallStatus| due(&resource(grace), is_unused, status, now);
        assert_eq!(of("1h", true, &since("2026-01-01T10:00:00Z")), Due::Now);
        let half = Due::In(Duration::from_mins(30), "2026-01-01T12:30:00Z".into());
        assert_eq!(of("1h", true, &since("2026-01-01T11:30:00Z")), half);
        assert_eq!(of("1h", true, &InstallStatus::default()), Due::Started, "only now seen to be unused");
        assert_eq!(of("1h", false, &since("2026-01-01T10:00:00Z")), Due::Never);
        assert!(
            matches!(of("soon", true, &InstallStatus::default()), Due::InvalidAnnotation(why) if why.contains("24h"))
        );
        let negative = of("-1h", true, &since("2026-01-01T10:00:00Z"));
        assert!(matches!(negative, Due::InvalidAnnotation(why) if why.contains("negative")));
        let unasked = crate::cluster::received::from_value(&json!({"metadata": {}})).unwrap();
        assert_eq!(due(&unasked, true, &since("2026-01-01T10:00:00Z"), now), Due::Never);
    }

    #[test]
    fn a_control_plane_that_other_clusters_use_is_never_told_to_be_unused() {
        let plane = |is_external| ControlPlane { revision: "canary".into(), own: vec![], is_external };
        assert!(matches!(told(Use::Unused, &plane(false)), Usage::Of(Some(false), "Unused", _)));
        assert!(matches!(told(Use::Unused, &plane(true)), Usage::Of(None, ..)));
        assert_eq!(told(Use::Unknown, &plane(false)), Usage::Unknown);
    }
}
