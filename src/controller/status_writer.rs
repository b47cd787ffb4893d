//! Writes the status if it differs from the last one, and an event for every transition.

use super::events::EventMessage;
use super::merge_patch::merge_patch;
use super::reconcile::Reconcile;
use crate::api::status::{InstallStatus, Phase};
use crate::api::{IGNORE_RECONCILE, TIME_FORMAT, annotations};
use crate::cluster::ClusterError;
use crate::controller::status::{self, Conclusion, ExtraCondition, ReconcileOutcome};
use crate::object::inventory;
use kube::ResourceExt;
use serde_json::Value;
use std::time::{Duration, Instant};

impl Reconcile<'_> {
    /// Whether the last status was written long enough ago for a wait to be told.
    pub fn is_wait_worth_writing(&self) -> bool {
        self.state.last_written.is_none_or(|told| told.elapsed() >= self.context.unready.pause())
    }

    /// Writes the status, if it differs, and tells what changed. Gives the time after which to come back where what is
    /// waited for has changed too soon to be told.
    #[tracing::instrument(level = "debug", skip_all, fields(conclusion = findings.conclusion.reason()))]
    pub async fn write_status(&mut self, findings: &ReconcileOutcome) -> Result<Option<Duration>, ClusterError> {
        let (before, old) = self.read_status().await?;
        let (context, id) = (self.context, self.id);
        let mut findings = findings.clone();
        findings.extra_conditions.extend(self.invalid_annotations());
        let findings = &findings;
        let mut new = status::compute(&old, findings, inventory::to_lines(&self.state.install.inventory), &now());
        if findings.conclusion != Conclusion::Started {
            new.last_handled_reconcile_at = self.request().or(new.last_handled_reconcile_at);
        }
        let info = (new.status.map(Phase::name).unwrap_or_default(), new.version.as_deref().unwrap_or_default());
        let is_ready = findings.conclusion == Conclusion::Healthy;
        context.unready.set(id, is_ready);
        context.metrics.resources.set_info(id, Some(info));
        context.metrics.resources.set_ready(id, Some(is_ready));
        let told = self.state.last_written.map(|told| told.elapsed());
        if let Some(rest) = too_soon(&old, findings, told, context.unready.pause())
            && merge_patch(&before, &self.whole(&new, &before)?).is_some()
        {
            context.statuses.begin(id, self.resource.uid(), &before);
            context.statuses.end(id, self.state.status_version);
            return Ok(Some(rest));
        }
        if !self.write(&before, &new).await? {
            return Ok(None);
        }
        if old.status != new.status || findings.conclusion.is_bad() {
            let (status, message) = (new.status.map(Phase::name), new.message.as_deref().unwrap_or_default());
            tracing::info!(status, message, "status");
        }
        for note in transitions(&old, findings) {
            self.publish(&note).await;
        }
        Ok(None)
    }

    /// Says of a resource that it is left alone.
    pub async fn write_paused_status(&mut self) -> Result<(), ClusterError> {
        let (before, old) = self.read_status().await?;
        let (context, id) = (self.context, self.id);
        let remark = self.invalid_annotations();
        let new = status::paused(&old, remark.clone(), self.resource.generation(), &now());
        // Whether it is ready is not known any more.
        context.unready.set(id, true);
        context.metrics.resources.set_ready(id, None);
        context.metrics.resources.set_info(id, Some(("PAUSED", new.version.as_deref().unwrap_or_default())));
        if !self.write(&before, &new).await? {
            return Ok(());
        }
        let is_new = |kind: &str| !old.conditions.iter().flatten().any(|condition| condition.r#type == kind);
        if is_new("Paused") {
            let text = format!("annotated {IGNORE_RECONCILE}, left alone");
            self.publish(&EventMessage { is_warning: false, reason: "Paused", text }).await;
        }
        if let Some(remark) = remark.filter(|remark| is_new(remark.kind)) {
            self.publish(&EventMessage { is_warning: true, reason: remark.reason, text: remark.message }).await;
        }
        Ok(())
    }

    /// What is not understood among the annotations of the resource and of its objects.
    fn invalid_annotations(&self) -> Option<ExtraCondition> {
        let mut found = annotations::problems_of_resource(self.resource.annotations());
        found.extend(self.context.index.not_understood_of(self.id));
        ExtraCondition::of_annotations(&found)
    }

    /// The status as it is, whole and in our terms.
    async fn read_status(&mut self) -> Result<(Value, InstallStatus), ClusterError> {
        if self.state.is_status_lost {
            if let Some(seen) = self.context.cluster.owner(self.id).await? {
                self.state.take_status(&seen);
            }
            self.state.is_status_lost = false;
        }
        Ok((self.state.status(), self.state.known()))
    }

    /// A status with what other writers have in it.
    fn whole(&self, new: &InstallStatus, before: &Value) -> Result<Value, ClusterError> {
        let whole = status::with_fields_of_others(new, before);
        whole.map_err(|error| ClusterError::of("write the status of", &self.id.name, kube::Error::SerdeError(error)))
    }

    /// Writes a status over another one. Returns whether it was written: it need not be where they are equal, and cannot be
    /// where the resource has gone.
    async fn write(&mut self, before: &Value, new: &InstallStatus) -> Result<bool, ClusterError> {
        let (context, id) = (self.context, self.id);
        let value = self.whole(new, before)?;
        context.statuses.begin(id, self.resource.uid(), &value);
        let Some(patch) = merge_patch(before, &value) else {
            context.statuses.end(id, self.state.status_version);
            return Ok(false);
        };
        match context.cluster.patch_status(id, &patch).await {
            Err(error) if error.is_absent() => return Ok(false),
            Err(error) => {
                // It may have been written all the same.
                self.state.is_status_lost = true;
                return Err(error);
            }
            Ok(version) => {
                self.state.status_version = version;
                if context.statuses.end(id, version) {
                    context.index.wake(id.clone());
                }
            }
        }
        self.state.status = value.to_string();
        self.state.last_written = Some(Instant::now());
        Ok(true)
    }
}

fn now() -> String {
    k8s_openapi::jiff::Timestamp::now().strftime(TIME_FORMAT).to_string()
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
    let is_warning = findings.conclusion.is_bad();
    let is_new = before("Ready").is_none_or(|c| c.reason != reason || (is_warning && c.message != text));
    let mut notes = vec![];
    let is_work = match findings.conclusion {
        Conclusion::Started => true,
        Conclusion::Waiting(_) => before("Ready").is_none_or(|c| c.reason != Conclusion::Healthy.reason()),
        _ => false,
    };
    if is_new && !is_work {
        notes.push(EventMessage { is_warning, reason: findings.conclusion.event_reason(), text });
    }
    for remark in findings.extra_conditions.iter().filter(|r| before(r.kind).is_none() && r.reason != reason) {
        notes.push(EventMessage { is_warning: true, reason: remark.reason, text: remark.message.clone() });
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;

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
            Conclusion::Invalid(Cause::new("InvalidSpec", "x")),
            Conclusion::Invalid(Cause::new("InvalidSpec", "x")),
            Conclusion::Invalid(Cause::new("InvalidSpec", "y")),
            Conclusion::Healthy,
        ];
        let told = told(&row.map(|conclusion| ReconcileOutcome::of(conclusion, 1)));
        let expected: [&[&str]; 10] =
            [&[], &[], &[], &["Healthy"], &[], &["Waiting"], &["InvalidSpec"], &[], &["InvalidSpec"], &["Healthy"]];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_event_has_the_reason_of_the_error_it_tells() {
        let away = || Cause::new("ReleaseUnreachable", "no route");
        let row = [
            Conclusion::Retrying(away()),
            Conclusion::Failed(away()),
            Conclusion::Failed(Cause::new("ReleaseDigestMismatch", "another one")),
            Conclusion::Blocked("ReleaseMissing", Cause::new("ReleaseNotFound", "there is none")),
            Conclusion::Invalid(Cause::new("InvalidOverlay", "no such path")),
            Conclusion::Conflict("another resource".into()),
        ];
        let conditions = row.clone().map(|conclusion| conclusion.reason());
        assert_eq!(conditions, ["Retrying", "Failed", "Failed", "ReleaseMissing", "InvalidSpec", "Conflict"]);
        let events = told(&row.map(|conclusion| ReconcileOutcome::of(conclusion, 1))).concat();
        let expected = [
            "ReleaseUnreachable",
            "ReleaseUnreachable",
            "ReleaseDigestMismatch",
            "ReleaseNotFound",
            "InvalidOverlay",
            "Conflict",
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn another_wait_is_told_after_a_while_and_everything_else_at_once() {
        const PAUSE: Duration = Duration::from_secs(5);
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
