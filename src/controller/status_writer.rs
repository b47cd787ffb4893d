//! What a reconcile found, told: the status, only where it differs from the last one, and an event for every transition.

use super::context::Context;
use super::events::{self, EventMessage};
use super::reconcile_state::ReconcileState;
use super::reconcile_state::request_of;
use super::statuses::version_of;
use crate::api::IGNORE_RECONCILE;
use crate::api::status::{InstallStatus, Phase};
use crate::cluster::ClusterError;
use crate::cluster::received::ObservedResource;
use crate::controller::status::{self, Conclusion, ReconcileOutcome};
use crate::object::OwnerId;
use crate::object::inventory;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long work or a wait goes on before what is waited for is told: most of it passes faster than it can be read.
const PAUSE: Duration = Duration::from_secs(5);
/// So much longer for each resource that is not ready: hundreds of them wait for one another, and nobody reads them all.
const PAUSE_FOR_EACH: Duration = Duration::from_millis(100);

/// Whether the last status was written long enough ago for a wait to be told.
pub(super) fn is_wait_worth_writing(context: &Context, state: &ReconcileState) -> bool {
    state.last_written.is_none_or(|told| told.elapsed() >= pause(context))
}

fn pause(context: &Context) -> Duration {
    PAUSE + PAUSE_FOR_EACH * context.unready.count()
}

/// Writes the status, if it differs, and tells what changed. Gives the time after which to come back where what is waited
/// for has changed too soon to be told.
#[tracing::instrument(level = "debug", skip_all, fields(conclusion = findings.conclusion.reason()))]
pub(super) async fn write_status(
    resource: &ObservedResource,
    context: &Context,
    state: &mut ReconcileState,
    findings: &ReconcileOutcome,
) -> Result<Option<Duration>, ClusterError> {
    let (before, old) = known(resource, context, state).await?;
    let mut new = status::compute(&old, findings, inventory::to_lines(&state.install.inventory), &now());
    if findings.conclusion != Conclusion::Started {
        new.last_handled_reconcile_at = request_of(resource).or(new.last_handled_reconcile_at);
    }
    let id = OwnerId::of(&resource.metadata);
    let info = (new.status.map(Phase::name).unwrap_or_default(), new.version.as_deref().unwrap_or_default());
    let is_ready = findings.conclusion == Conclusion::Healthy;
    context.unready.set(&id, is_ready);
    context.metrics.resources.set_info(&id, Some(info));
    context.metrics.resources.set_ready(&id, Some(is_ready));
    if let Some(rest) = too_soon(&old, findings, state.last_written.map(|told| told.elapsed()), pause(context))
        && status::merge_patch(&before, &status::with_fields_of_others(&new, &before)).is_some()
    {
        context.statuses.begin(resource, &before);
        context.statuses.end(resource, &state.status_version.to_string());
        return Ok(Some(rest));
    }
    if !write(resource, context, state, (&before, &new)).await? {
        return Ok(None);
    }
    if old.status != new.status || findings.conclusion.is_bad() {
        let (status, message) = (new.status.map(Phase::name), new.message.as_deref().unwrap_or_default());
        tracing::info!(status, message, "status");
    }
    for note in transitions(&old, findings) {
        events::publish(context, resource, &note).await;
    }
    Ok(None)
}

/// Says of a resource that it is left alone.
pub(super) async fn write_paused_status(
    resource: &ObservedResource,
    context: &Context,
    state: &mut ReconcileState,
) -> Result<(), ClusterError> {
    let (before, old) = known(resource, context, state).await?;
    let new = status::paused(&old, resource.generation(), &now());
    let id = OwnerId::of(&resource.metadata);
    // Whether it is ready is not known any more.
    context.unready.set(&id, true);
    context.metrics.resources.set_ready(&id, None);
    context.metrics.resources.set_info(&id, Some(("PAUSED", new.version.as_deref().unwrap_or_default())));
    if write(resource, context, state, (&before, &new)).await? {
        let text = format!("annotated {IGNORE_RECONCILE}, left alone");
        events::publish(context, resource, &EventMessage { is_warning: false, reason: "Paused", text }).await;
    }
    Ok(())
}

fn now() -> String {
    k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The status as it is, whole and in our terms.
async fn known(
    resource: &ObservedResource,
    context: &Context,
    state: &mut ReconcileState,
) -> Result<(Value, InstallStatus), ClusterError> {
    if state.is_status_lost {
        if let Some(seen) = context.cluster.owner(resource).await? {
            state.take_status(&seen);
        }
        state.is_status_lost = false;
    }
    Ok((state.status(), state.known()))
}

/// Writes a status over another one. Returns whether it was written: it need not be where they are equal, and cannot be
/// where the resource has gone.
async fn write(
    resource: &ObservedResource,
    context: &Context,
    state: &mut ReconcileState,
    (before, new): (&Value, &InstallStatus),
) -> Result<bool, ClusterError> {
    let value = status::with_fields_of_others(new, before);
    context.statuses.begin(resource, &value);
    let Some(patch) = status::merge_patch(before, &value) else {
        context.statuses.end(resource, &state.status_version.to_string());
        return Ok(false);
    };
    match context.cluster.patch_status(resource, &patch).await {
        Err(error) if error.is_absent() => return Ok(false),
        Err(error) => {
            // It may have been written all the same.
            state.is_status_lost = true;
            return Err(error);
        }
        Ok(version) => {
            state.status_version = version_of(Some(&version));
            if context.statuses.end(resource, &version) {
                context.index.wake(OwnerId::of(&resource.metadata));
            }
        }
    }
    state.status = value.to_string();
    state.last_written = Some(Instant::now());
    Ok(true)
}

/// How long to wait before another wait is told; `told` is how long ago the last status was written.
fn too_soon(
    old: &InstallStatus,
    findings: &ReconcileOutcome,
    told: Option<Duration>,
    pause: Duration,
) -> Option<Duration> {
    let ready = old.conditions.iter().flatten().find(|c| c.r#type == "Ready");
    let known = [findings.conclusion.reason(), Conclusion::Started.reason()];
    let is_same_wait = matches!(findings.conclusion, Conclusion::Waiting(_))
        && ready.is_some_and(|c| known.contains(&c.reason.as_str()))
        && old.observed_generation == Some(findings.generation);
    pause.checked_sub(told.filter(|_| is_same_wait)?)
}

/// What is to be said of the step from one status to the next: once when the conclusion becomes another, and again when a bad
/// one has another reason. The beginning of work, and its waits, are followed by its result and not worth an event; that
/// something is no longer ready is.
fn transitions(old: &InstallStatus, findings: &ReconcileOutcome) -> Vec<EventMessage> {
    let before = |kind: &str| old.conditions.iter().flatten().find(|c| c.r#type == kind);
    let (reason, text) = (findings.conclusion.reason(), findings.conclusion.message());
    let is_new =
        before("Ready").is_none_or(|c| c.reason != reason || (findings.conclusion.is_bad() && c.message != text));
    let mut notes = vec![];
    let is_work = match findings.conclusion {
        Conclusion::Started => true,
        Conclusion::Waiting(_) => before("Ready").is_none_or(|c| c.reason != Conclusion::Healthy.reason()),
        _ => false,
    };
    if is_new && !is_work {
        notes.push(EventMessage { is_warning: findings.conclusion.is_bad(), reason, text });
    }
    for remark in findings.extra_conditions.iter().filter(|r| before(r.kind).is_none() && r.reason != reason) {
        notes.push(EventMessage { is_warning: true, reason: remark.reason, text: remark.message.clone() });
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::status::ExtraCondition;

    /// The reasons of the events of a row of findings, each after the one before.
    fn told(row: &[ReconcileOutcome]) -> Vec<Vec<&'static str>> {
        let mut status = InstallStatus::default();
        let mut told = vec![];
        for findings in row {
            told.push(transitions(&status, findings).iter().map(|n| n.reason).collect());
            status = status::compute(&status, findings, vec![], "now");
        }
        told
    }

    #[test]
    fn every_transition_is_told_once() {
        let row = [
            Conclusion::Started,
            Conclusion::Waiting("a".into()),
            Conclusion::Waiting("b".into()),
            Conclusion::Healthy,
            Conclusion::Healthy,
            Conclusion::Waiting("a".into()),
            Conclusion::Invalid("x".into()),
            Conclusion::Invalid("x".into()),
            Conclusion::Invalid("y".into()),
            Conclusion::Healthy,
        ];
        let told = told(&row.map(|conclusion| ReconcileOutcome::of(conclusion, 1)));
        let expected: [&[&str]; 10] =
            [&[], &[], &[], &["Healthy"], &[], &["Waiting"], &["InvalidSpec"], &[], &["InvalidSpec"], &["Healthy"]];
        assert_eq!(told, expected);
    }

    #[test]
    fn another_wait_is_told_after_a_while_and_everything_else_at_once() {
        let too_soon = |old: &InstallStatus, findings: &ReconcileOutcome, told| too_soon(old, findings, told, PAUSE);
        let waiting = |generation| ReconcileOutcome::of(Conclusion::Waiting("b".into()), generation);
        let old = status::compute(&InstallStatus::default(), &waiting(1), vec![], "now");
        let (soon, late) = (Some(PAUSE.mul_f64(0.3)), Some(PAUSE * 2));
        assert_eq!(too_soon(&old, &waiting(1), soon), Some(PAUSE.mul_f64(0.7)));
        assert_eq!(too_soon(&old, &waiting(1), late), None);
        let started = status::compute(&old, &ReconcileOutcome::of(Conclusion::Started, 1), vec![], "now");
        assert_eq!(too_soon(&started, &waiting(1), soon), Some(PAUSE.mul_f64(0.7)));
        assert_eq!(too_soon(&old, &waiting(2), soon), None, "another spec");
        assert_eq!(too_soon(&old, &ReconcileOutcome::of(Conclusion::Healthy, 1), soon), None);
        assert_eq!(too_soon(&InstallStatus::default(), &waiting(1), soon), None, "nothing is known");
        assert_eq!(too_soon(&old, &waiting(1), None), None, "nothing was told by this process");
    }

    #[test]
    fn a_remark_is_told_when_it_begins() {
        let remark = ExtraCondition { kind: "Contested", reason: "Contested", message: "m".into() };
        let contested =
            ReconcileOutcome { extra_conditions: vec![remark], ..ReconcileOutcome::of(Conclusion::Healthy, 1) };
        let healthy = ReconcileOutcome::of(Conclusion::Healthy, 1);
        let expected: [&[&str]; 4] = [&["Healthy"], &["Contested"], &[], &[]];
        assert_eq!(told(&[healthy.clone(), contested.clone(), contested, healthy]), expected);
    }
}
