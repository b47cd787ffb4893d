//! The status of an IstioOperator resource, computed from what a pass found.
//!
//! Argo CD reads `status.status` only, kstatus reads `observedGeneration` and the conditions; both must never see an old
//! answer for a new spec, a blank status, or an error for what merely takes time.

use crate::api::status::{ComponentStatus, Condition, InstallStatus, Phase, Preview};
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
    /// Another resource has what this one wants differently; who and what.
    Conflict(String),
    /// Something failed that may pass; it is tried again.
    Failed(String),
    /// A dry run found differences; how many. They wait for a person.
    Planned(String),
    /// Being deleted; what is still there.
    Deleting(String),
    /// The deletion waits for a person, since the control plane is in use; by whom.
    Held(String),
}

/// How a verdict shows: upstream's phase, the reason of `Ready`, and the condition of kstatus that goes with it.
struct Row {
    phase: Phase,
    ready: (&'static str, &'static str),
    beside: Option<(&'static str, &'static str)>,
}

impl Verdict {
    fn row(&self) -> Row {
        let (phase, ready, beside) = match self {
            Self::Started => (Phase::Reconciling, ("Unknown", "Reconciling"), Some(("Reconciling", "SpecChanged"))),
            Self::Waiting(_) => (Phase::Reconciling, ("False", "Waiting"), Some(("Reconciling", "Waiting"))),
            Self::Healthy => (Phase::Healthy, ("True", "Healthy"), None),
            Self::Invalid(_) => (Phase::Error, ("False", "InvalidSpec"), Some(("Stalled", "InvalidSpec"))),
            Self::Conflict(_) => (Phase::Error, ("False", "Conflict"), Some(("Stalled", "Conflict"))),
            Self::Failed(_) => (Phase::Error, ("False", "Failed"), Some(("Reconciling", "Retrying"))),
            Self::Planned(_) => (Phase::ActionRequired, ("False", "DryRun"), None),
            Self::Deleting(_) => (Phase::Reconciling, ("False", "Deleting"), Some(("Reconciling", "Deleting"))),
            Self::Held(_) => (Phase::ActionRequired, ("False", "DeletionHeld"), None),
        };
        Row { phase, ready, beside }
    }

    /// One word for it: the reason of `Ready`, of events, and a label of metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().ready.1
    }

    /// Whether a person should look at it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Conflict(_) | Self::Failed(_) | Self::Held(_))
    }

    /// A sentence.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Started => "working on the changed spec".to_owned(),
            Self::Healthy => "everything is installed and ready".to_owned(),
            Self::Waiting(what) => format!("waiting for {what}"),
            Self::Planned(what) => format!("dry run: {what}; nothing is applied"),
            Self::Deleting(what) => format!("deleting: {what}"),
            Self::Invalid(why) | Self::Conflict(why) | Self::Failed(why) | Self::Held(why) => why.clone(),
        }
    }
}

/// Something beside the verdict that a person should know, as a condition that is there only while it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The condition's type.
    pub kind: &'static str,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// The condition that says whether the revision of a control plane is in use.
pub const IN_USE: &str = "InUse";

/// Whether the revision of a control plane is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It cannot be told now; what was told before stands.
    Untold,
    /// The resource has no control plane.
    None,
    /// Whether it is, `None` where this cluster does not tell; one word and a sentence about it.
    Of(Option<bool>, &'static str, String),
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
    /// What is true beside the verdict.
    pub remarks: Vec<Remark>,
    /// Whether it is in use.
    pub usage: Usage,
    /// What the resource has; `None` leaves what was known.
    pub inventory: Option<Vec<String>>,
    /// Objects that are left alone; `None` leaves what was known.
    pub ignored: Option<Vec<String>>,
    /// What a dry run found.
    pub plan: Option<Preview>,
}

impl Findings {
    /// A verdict without details.
    #[must_use]
    pub fn of(verdict: Verdict, generation: i64) -> Self {
        Self {
            verdict,
            components: BTreeMap::new(),
            generation,
            profile: None,
            version: None,
            remarks: vec![],
            usage: Usage::Untold,
            inventory: None,
            ignored: None,
            plan: None,
        }
    }
}

/// The status to write. `now` is RFC 3339.
#[must_use]
pub fn compute(old: &InstallStatus, findings: &Findings, now: &str) -> InstallStatus {
    let components = if findings.components.is_empty() {
        old.component_status.clone()
    } else {
        Some(findings.components.iter().map(|(c, s)| (c.name().to_owned(), s.clone())).collect())
    };
    let listed = |new: &Option<Vec<String>>, old: &Option<Vec<String>>| {
        new.clone().or_else(|| old.clone()).filter(|list| !list.is_empty())
    };
    InstallStatus {
        status: Some(findings.verdict.row().phase),
        message: Some(findings.verdict.message()).filter(|_| findings.verdict != Verdict::Healthy),
        component_status: components,
        observed_generation: Some(findings.generation),
        profile: findings.profile.clone().or_else(|| old.profile.clone()),
        version: findings.version.clone().or_else(|| old.version.clone()),
        in_use: match &findings.usage {
            Usage::Untold => old.in_use,
            Usage::None => None,
            Usage::Of(in_use, ..) => *in_use,
        },
        conditions: Some(conditions(old, findings, now)),
        inventory: listed(&findings.inventory, &old.inventory),
        ignored: listed(&findings.ignored, &old.ignored),
        plan: findings.plan.clone(),
    }
}

/// Ready always, and InUse of a control plane; everything else only while true, as kstatus wants it.
fn conditions(old: &InstallStatus, findings: &Findings, now: &str) -> Vec<Condition> {
    let Row { ready, beside, .. } = findings.verdict.row();
    let message = findings.verdict.message();
    let mut rows = vec![("Ready", ready.0, ready.1, message.clone())];
    rows.extend(beside.map(|(kind, reason)| (kind, "True", reason, message)));
    rows.extend(findings.remarks.iter().map(|r| (r.kind, "True", r.reason, r.message.clone())));
    let before = old.conditions.as_deref().unwrap_or_default();
    match &findings.usage {
        Usage::Of(in_use, reason, message) => {
            let status = in_use.map_or("Unknown", |in_use| if in_use { "True" } else { "False" });
            rows.push((IN_USE, status, reason, message.clone()));
        }
        Usage::None => {}
        Usage::Untold => {
            let told = before.iter().find(|c| c.r#type == IN_USE);
            rows.extend(told.map(|c| (IN_USE, &*c.status, &*c.reason, c.message.clone())));
        }
    }
    rows.into_iter()
        .map(|(kind, status, reason, message)| {
            let same = before.iter().find(|c| c.r#type == kind && c.status == status);
            Condition {
                r#type: kind.into(),
                status: status.into(),
                reason: reason.into(),
                message,
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
        Findings::of(verdict, 2)
    }

    /// Argo CD's `health.lua` for IstioOperator: it reads `status.status` and nothing else.
    fn health_of_argo_cd(status: &InstallStatus) -> &'static str {
        match status.status.map(Phase::name) {
            Some("NONE") => "Unknown",
            Some("HEALTHY") => "Healthy",
            Some("ERROR") => "Degraded",
            _ => "Progressing",
        }
    }

    /// kstatus: `InProgress`, `Failed` or `Current`, from observedGeneration and the conditions, in its order.
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
        let x = || "x".to_owned();
        let table = [
            (Verdict::Started, "Progressing", "InProgress"),
            (Verdict::Waiting(x()), "Progressing", "InProgress"),
            (Verdict::Healthy, "Healthy", "Current"),
            (Verdict::Invalid(x()), "Degraded", "Failed"),
            (Verdict::Conflict(x()), "Degraded", "Failed"),
            (Verdict::Failed(x()), "Degraded", "InProgress"),
            (Verdict::Planned(x()), "Progressing", "InProgress"),
            (Verdict::Deleting(x()), "Progressing", "InProgress"),
            (Verdict::Held(x()), "Progressing", "InProgress"),
        ];
        for (verdict, argo, flux) in table {
            let status = compute(&InstallStatus::default(), &findings(verdict.clone()), "now");
            assert_eq!((health_of_argo_cd(&status), kstatus(&status, 2)), (argo, flux), "{verdict:?}");
            assert_eq!(kstatus(&status, 3), "InProgress", "an old answer must not count for a new spec");
            assert!(status.message.is_some() || verdict == Verdict::Healthy, "{verdict:?} says nothing");
        }
    }

    #[test]
    fn a_remark_is_a_condition_while_it_is_true_and_spoils_no_health() {
        let remark = Remark { kind: "Contested", reason: "Reverted", message: "m".into() };
        let contested = Findings { remarks: vec![remark], ..findings(Verdict::Healthy) };
        let first = compute(&InstallStatus::default(), &contested, "1");
        let kinds = |s: &InstallStatus| s.conditions.iter().flatten().map(|c| c.r#type.clone()).collect::<Vec<_>>();
        assert_eq!(kinds(&first), ["Ready", "Contested"]);
        assert_eq!((health_of_argo_cd(&first), kstatus(&first, 2)), ("Healthy", "Current"));
        assert_eq!(kinds(&compute(&first, &findings(Verdict::Healthy), "2")), ["Ready"]);
    }

    #[test]
    fn an_inventory_stays_known_until_another_is_told() {
        let lines = |list: &[&str]| Some(list.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        let told = Findings { inventory: lines(&["a"]), ..findings(Verdict::Healthy) };
        let first = compute(&InstallStatus::default(), &told, "1");
        let second = compute(&first, &findings(Verdict::Invalid("x".into())), "2");
        assert_eq!(second.inventory, lines(&["a"]));
        let none = Findings { inventory: lines(&[]), ..findings(Verdict::Healthy) };
        assert_eq!(compute(&second, &none, "3").inventory, None);
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
