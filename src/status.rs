//! The status of an IstioOperator resource, computed from what a pass found.
//!
//! Argo CD reads `status.status` only, kstatus reads `observedGeneration` and the conditions; both must never see an old
//! answer for a new spec, a blank status, or an error for what merely takes time.

use crate::api::status::{ComponentStatus, Condition, InstallStatus, Phase};
use crate::component::Component;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a pass found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The spec is new; work has begun.
    Started,
    /// Something is still on its way; what.
    Waiting(String),
    /// Everything is as the spec says, and ready.
    Healthy,
    /// The spec cannot be carried out until it changes; every problem.
    Invalid(String),
    /// Something failed that may pass; it is tried again.
    Failed(String),
    /// Being deleted; what is still there.
    Deleting(String),
}

/// What a pass found, with the details.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Of the whole.
    pub verdict: Verdict,
    /// Of each component that is installed; empty leaves the last known ones.
    pub components: BTreeMap<Component, ComponentStatus>,
    /// The generation of the spec that was worked on.
    pub generation: i64,
    /// The profile, where it is known.
    pub profile: Option<String>,
    /// The version, where it is known.
    pub version: Option<String>,
}

/// The status to write. `now` is RFC 3339.
#[must_use]
pub fn compute(old: &InstallStatus, findings: &Findings, now: &str) -> InstallStatus {
    let (phase, message) = match &findings.verdict {
        Verdict::Started => (Phase::Reconciling, Some("working on the changed spec".to_owned())),
        Verdict::Waiting(what) => (Phase::Reconciling, Some(format!("waiting for {what}"))),
        Verdict::Healthy => (Phase::Healthy, None),
        Verdict::Invalid(why) | Verdict::Failed(why) => (Phase::Error, Some(why.clone())),
        Verdict::Deleting(what) => (Phase::Reconciling, Some(format!("deleting: {what}"))),
    };
    let components = if findings.components.is_empty() {
        old.component_status.clone()
    } else {
        Some(findings.components.iter().map(|(c, s)| (c.name().to_owned(), s.clone())).collect())
    };
    InstallStatus {
        status: Some(phase),
        message,
        component_status: components,
        observed_generation: Some(findings.generation),
        profile: findings.profile.clone().or_else(|| old.profile.clone()),
        version: findings.version.clone().or_else(|| old.version.clone()),
        conditions: Some(conditions(old, findings, now)),
    }
}

/// Ready always; Reconciling and Stalled only while true, as kstatus wants it.
fn conditions(old: &InstallStatus, findings: &Findings, now: &str) -> Vec<Condition> {
    let rows: &[(&str, &str, &str)] = match findings.verdict {
        Verdict::Started => &[("Ready", "Unknown", "Reconciling"), ("Reconciling", "True", "SpecChanged")],
        Verdict::Waiting(_) => &[("Ready", "False", "Waiting"), ("Reconciling", "True", "Waiting")],
        Verdict::Healthy => &[("Ready", "True", "Healthy")],
        Verdict::Invalid(_) => &[("Ready", "False", "InvalidSpec"), ("Stalled", "True", "InvalidSpec")],
        Verdict::Failed(_) => &[("Ready", "False", "Failed"), ("Reconciling", "True", "Retrying")],
        Verdict::Deleting(_) => &[("Ready", "False", "Deleting"), ("Reconciling", "True", "Deleting")],
    };
    let message = match &findings.verdict {
        Verdict::Started => "working on the changed spec".to_owned(),
        Verdict::Healthy => "everything is installed and ready".to_owned(),
        Verdict::Waiting(what) => format!("waiting for {what}"),
        Verdict::Invalid(why) | Verdict::Failed(why) | Verdict::Deleting(why) => why.clone(),
    };
    let before = old.conditions.as_deref().unwrap_or_default();
    rows.iter()
        .map(|(kind, status, reason)| {
            let same = before.iter().find(|c| c.r#type == *kind && c.status == *status);
            Condition {
                r#type: (*kind).into(),
                status: (*status).into(),
                reason: (*reason).into(),
                message: message.clone(),
                last_transition_time: same.map_or_else(|| now.to_owned(), |c| c.last_transition_time.clone()),
                observed_generation: Some(findings.generation),
            }
        })
        .collect()
}

/// The JSON merge patch that turns one status into another; `None` when they are equal.
#[must_use]
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                match old.get(key) {
                    Some(before) => {
                        if let Some(change) = merge_patch(before, value) {
                            patch.insert(key.clone(), change);
                        }
                    }
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                }
            }
            for key in old.keys().filter(|k| !new.contains_key(*k)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (old != new).then(|| new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn findings(verdict: Verdict) -> Findings {
        Findings { verdict, components: BTreeMap::new(), generation: 2, profile: None, version: None }
    }

    fn health_of_argo_cd(status: &InstallStatus) -> &'static str {
        match status.status.map(Phase::name) {
            Some("NONE") => "Unknown",
            Some("HEALTHY") => "Healthy",
            Some("ERROR") => "Degraded",
            _ => "Progressing",
        }
    }

    /// kstatus: `InProgress`, `Failed` or `Current`, from observedGeneration and the conditions.
    fn kstatus(status: &InstallStatus, generation: i64) -> &'static str {
        let is =
            |kind: &str, value: &str| status.conditions.iter().flatten().any(|c| c.r#type == kind && c.status == value);
        match () {
            () if status.observed_generation != Some(generation) || is("Reconciling", "True") => "InProgress",
            () if is("Stalled", "True") => "Failed",
            () if is("Ready", "False") || is("Ready", "Unknown") => "InProgress",
            () => "Current",
        }
    }

    #[test]
    fn argo_cd_and_kstatus_agree_with_every_verdict() {
        let table = [
            (Verdict::Started, "Progressing", "InProgress"),
            (Verdict::Waiting("x".into()), "Progressing", "InProgress"),
            (Verdict::Healthy, "Healthy", "Current"),
            (Verdict::Invalid("x".into()), "Degraded", "Failed"),
            (Verdict::Failed("x".into()), "Degraded", "InProgress"),
            (Verdict::Deleting("x".into()), "Progressing", "InProgress"),
        ];
        for (verdict, argo, flux) in table {
            let status = compute(&InstallStatus::default(), &findings(verdict.clone()), "now");
            assert_eq!((health_of_argo_cd(&status), kstatus(&status, 2)), (argo, flux), "{verdict:?}");
            assert_eq!(kstatus(&status, 3), "InProgress", "an old answer must not count for a new spec");
        }
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let first = compute(&InstallStatus::default(), &findings(Verdict::Waiting("a".into())), "1");
        let second = compute(&first, &findings(Verdict::Waiting("b".into())), "2");
        let third = compute(&second, &findings(Verdict::Healthy), "3");
        let time = |s: &InstallStatus| s.conditions.as_ref().unwrap()[0].last_transition_time.clone();
        assert_eq!((time(&first), time(&second), time(&third)), ("1".into(), "1".into(), "3".into()));
    }

    #[test]
    fn an_error_keeps_what_is_known_of_the_components() {
        let known = BTreeMap::from([("Pilot".to_owned(), ComponentStatus::default())]);
        let old = InstallStatus { component_status: Some(known.clone()), ..InstallStatus::default() };
        let new = compute(&old, &findings(Verdict::Invalid("x".into())), "now");
        assert_eq!(new.component_status, Some(known));
    }

    #[test]
    fn a_merge_patch_removes_what_is_gone_and_is_absent_for_equals() {
        let patch = merge_patch(&json!({"a": 1, "b": {"c": 1}}), &json!({"b": {"c": 2}, "d": 1}));
        assert_eq!(patch, Some(json!({"a": null, "b": {"c": 2}, "d": 1})));
        assert_eq!(merge_patch(&json!({"a": [1]}), &json!({"a": [1]})), None);
    }
}
