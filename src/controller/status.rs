//! Computes the status of an IstioOperator resource from the findings of a reconcile.
//!
//! Argo CD reads `status.status` only, kstatus reads `observedGeneration` and the conditions. Neither may ever see the result
//! of an old spec for a new one, a blank status, or an error for something that only takes time.

use crate::api::IGNORE_RECONCILE;
use crate::api::component::Component;
use crate::api::status::{ComponentStatus, Condition, HeldRevision, InstallStatus, Phase, Preview};
use crate::failure::Cause;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a reconcile found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The spec is new; work has begun.
    Started,
    /// Something is still on its way; what.
    Waiting(String),
    /// Everything is as the spec says, and ready.
    Healthy,
    /// The spec cannot be carried out until it changes; every problem.
    Invalid(Cause),
    /// Another resource has what this one wants differently; who and what.
    Conflict(String),
    /// Something failed that may well pass; it is tried again.
    Retrying(Cause),
    /// Something fails for long now, and is still tried again.
    Failed(Cause),
    /// The API server will never take an object as it is; nothing is tried until something changes.
    Rejected(Cause),
    /// A rollout has passed its progress deadline, or its controller gave up otherwise.
    NotProgressing(String),
    /// Nothing is written, since it would do harm; the reason, and what a person has to do.
    Blocked(&'static str, Cause),
    /// All that the spec wants stands, and a control plane that it does not want is kept since it is in use.
    Kept(String),
    /// A dry run found differences; how many. They wait for a person.
    Planned(String),
    /// Being deleted; what is still there.
    Deleting(String),
    /// The deletion waits for a person, since the control plane is in use; by whom.
    Held(String),
}

/// How a conclusion shows: upstream's phase, the reason of `Ready`, and the condition of kstatus that goes with it.
struct Row {
    phase: Phase,
    ready: (&'static str, &'static str),
    beside: Option<(&'static str, &'static str)>,
}

impl Conclusion {
    fn row(&self) -> Row {
        type Words = (&'static str, &'static str);
        let (phase, ready, beside): (Phase, Words, Option<Words>) = match self {
            Self::Started => (Phase::Reconciling, ("Unknown", "Reconciling"), Some(("Reconciling", "SpecChanged"))),
            Self::Waiting(_) => (Phase::Reconciling, ("False", "Waiting"), Some(("Reconciling", "Waiting"))),
            Self::Healthy => (Phase::Healthy, ("True", "Healthy"), None),
            Self::Invalid(_) => (Phase::Error, ("False", "InvalidSpec"), Some(("Stalled", "InvalidSpec"))),
            Self::Conflict(_) => (Phase::Error, ("False", "Conflict"), Some(("Stalled", "Conflict"))),
            Self::Retrying(_) => (Phase::Reconciling, ("False", "Retrying"), Some(("Reconciling", "Retrying"))),
            Self::Failed(_) => (Phase::Error, ("False", "Failed"), Some(("Reconciling", "Retrying"))),
            Self::Rejected(_) => (Phase::Error, ("False", "Rejected"), Some(("Stalled", "Rejected"))),
            Self::NotProgressing(_) => {
                (Phase::Error, ("False", "ProgressDeadlineExceeded"), Some(("Stalled", "ProgressDeadlineExceeded")))
            }
            Self::Blocked(reason, _) => (Phase::ActionRequired, ("False", reason), Some(("Stalled", reason))),
            Self::Kept(_) => (Phase::ActionRequired, ("False", "PruneHeld"), None),
            Self::Planned(_) => (Phase::ActionRequired, ("False", "DryRun"), None),
            Self::Deleting(_) => (Phase::Reconciling, ("False", "Deleting"), Some(("Reconciling", "Deleting"))),
            Self::Held(_) => (Phase::ActionRequired, ("False", "DeletionHeld"), None),
        };
        Row { phase, ready, beside }
    }

    /// One word for it: the reason of `Ready`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().ready.1
    }

    /// The error that it comes from, if it comes from one.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Invalid(cause)
            | Self::Retrying(cause)
            | Self::Failed(cause)
            | Self::Rejected(cause)
            | Self::Blocked(_, cause) => Some(cause),
            Self::Started
            | Self::Waiting(_)
            | Self::Healthy
            | Self::Conflict(_)
            | Self::NotProgressing(_)
            | Self::Kept(_)
            | Self::Planned(_)
            | Self::Deleting(_)
            | Self::Held(_) => None,
        }
    }

    /// The reason of the event that tells it: that of the error it comes from.
    #[must_use]
    pub fn event_reason(&self) -> &'static str {
        self.cause().map_or(self.reason(), |cause| cause.reason)
    }

    /// Whether a person should look at it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::Conflict(_)
            | Self::Failed(_)
            | Self::Rejected(_)
            | Self::NotProgressing(_)
            | Self::Blocked(..)
            | Self::Kept(_)
            | Self::Held(_) => true,
            Self::Started
            | Self::Waiting(_)
            | Self::Healthy
            | Self::Retrying(_)
            | Self::Planned(_)
            | Self::Deleting(_) => false,
        }
    }

    /// A sentence, of bounded length.
    #[must_use]
    pub fn message(&self) -> String {
        bounded(&self.whole_message(), LONGEST_MESSAGE)
    }

    fn whole_message(&self) -> String {
        match self {
            Self::Started => "working on the changed spec".to_owned(),
            Self::Healthy => "everything is installed and ready".to_owned(),
            Self::Waiting(what) => format!("waiting for {what}"),
            Self::Planned(what) => format!("dry run: {what}; nothing is applied"),
            Self::Deleting(what) => format!("deleting: {what}"),
            Self::Retrying(why) => format!("trying again: {}", why.text),
            Self::Invalid(why) | Self::Failed(why) | Self::Rejected(why) | Self::Blocked(_, why) => why.text.clone(),
            Self::Conflict(why) | Self::NotProgressing(why) | Self::Kept(why) | Self::Held(why) => why.clone(),
        }
    }
}

/// The longest message of a status, in bytes. Three copies of it and all else must stay far below what the API server takes.
pub const LONGEST_MESSAGE: usize = 4096;
/// The longest message of a component, and of a control plane or a tag that is kept: a status has many of them.
pub const LONGEST_NOTE: usize = 1024;
/// How many objects each list of a preview names.
const LONGEST_LIST: usize = 500;

/// A text, cut where a sentence of a list ends if it is too long, with how much was left out.
#[must_use]
pub fn bounded(text: &str, longest: usize) -> String {
    const SEPARATOR: &str = "; ";
    if text.len() <= longest {
        return text.to_owned();
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(longest.saturating_sub(40)));
    let kept = kept.rsplit_once(SEPARATOR).map_or(kept, |(kept, _)| kept);
    let left_out = text.get(kept.len()..).unwrap_or_default().matches(SEPARATOR).count();
    if left_out == 0 { format!("{kept}…") } else { format!("{kept}; and {left_out} more") }
}

fn bounded_list(list: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = list.iter().take(LONGEST_LIST).cloned().collect();
    if let Some(more) = list.len().checked_sub(LONGEST_LIST).filter(|more| *more > 0) {
        kept.push(format!("and {more} more"));
    }
    kept
}

/// Something beside the conclusion that a person should know, as a condition that is there only while it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraCondition {
    /// The condition's type.
    pub kind: &'static str,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// The condition, and its reason, of annotations that are not understood.
pub const INVALID_ANNOTATION: &str = "InvalidAnnotation";

impl ExtraCondition {
    /// Of annotations that are not understood, if there are any.
    #[must_use]
    pub fn of_annotations(not_understood: &[String]) -> Option<Self> {
        let message = || not_understood.join("; ");
        (!not_understood.is_empty()).then(|| Self {
            kind: INVALID_ANNOTATION,
            reason: INVALID_ANNOTATION,
            message: message(),
        })
    }
}

/// The condition that says whether the revision of a control plane is in use.
pub const IN_USE: &str = "InUse";

/// Whether the revision of a control plane is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It cannot be told now; what was told before stands.
    Unknown,
    /// The resource has no control plane.
    None,
    /// Whether it is, `None` where this cluster does not tell; one word and a sentence about it.
    Of(Option<bool>, &'static str, String),
}

/// What a reconcile found, with the details.
#[derive(Clone, Debug)]
pub struct ReconcileOutcome {
    /// Of the whole.
    pub conclusion: Conclusion,
    /// Of each component that is installed; empty leaves the last known ones.
    pub components: BTreeMap<Component, ComponentStatus>,
    /// The generation of the spec that was worked on.
    pub generation: i64,
    /// The profile, where it is known.
    pub profile: Option<String>,
    /// The version, where it is known.
    pub version: Option<String>,
    /// What is true beside the conclusion.
    pub extra_conditions: Vec<ExtraCondition>,
    /// Whether it is in use.
    pub usage: Usage,
    /// Control planes that are kept though the spec does not want them; `None` leaves what was known.
    pub held: Option<Vec<HeldRevision>>,
    /// Objects that are left alone; `None` leaves what was known.
    pub ignored: Option<Vec<String>>,
    /// What a dry run found.
    pub plan: Option<Preview>,
}

impl ReconcileOutcome {
    /// A conclusion without details.
    #[must_use]
    pub fn of(conclusion: Conclusion, generation: i64) -> Self {
        Self {
            conclusion,
            components: BTreeMap::new(),
            generation,
            profile: None,
            version: None,
            extra_conditions: vec![],
            usage: Usage::Unknown,
            held: None,
            ignored: None,
            plan: None,
        }
    }
}

/// The status to write: what was found, of a resource that has this in the cluster. `now` is RFC 3339.
#[must_use]
pub fn compute(old: &InstallStatus, findings: &ReconcileOutcome, inventory: Vec<String>, now: &str) -> InstallStatus {
    let components = if findings.components.is_empty() {
        old.component_status.clone()
    } else {
        let note = |s: &ComponentStatus| s.error.as_ref().map(|error| bounded(error, LONGEST_NOTE));
        let status = |s: &ComponentStatus| ComponentStatus { error: note(s), ..s.clone() };
        Some(findings.components.iter().map(|(c, s)| (c.name().to_owned(), status(s))).collect())
    };
    let listed = |new: &Option<Vec<String>>, old: &Option<Vec<String>>| {
        new.clone().or_else(|| old.clone()).filter(|list| !list.is_empty())
    };
    InstallStatus {
        status: Some(findings.conclusion.row().phase),
        message: Some(findings.conclusion.message()).filter(|_| findings.conclusion != Conclusion::Healthy),
        component_status: components,
        observed_generation: Some(findings.generation),
        last_handled_reconcile_at: old.last_handled_reconcile_at.clone(),
        profile: findings.profile.clone().or_else(|| old.profile.clone()),
        version: findings.version.clone().or_else(|| old.version.clone()),
        in_use: match &findings.usage {
            Usage::Unknown => old.in_use,
            Usage::None => None,
            Usage::Of(in_use, ..) => *in_use,
        },
        held: findings.held.clone().or_else(|| old.held.clone()).filter(|held| !held.is_empty()),
        conditions: Some(conditions(old, findings, now)),
        inventory: Some(inventory).filter(|lines| !lines.is_empty()),
        ignored: listed(&findings.ignored, &old.ignored),
        plan: findings.plan.as_ref().map(|plan| Preview {
            create: bounded_list(&plan.create),
            change: plan.change.iter().take(LONGEST_LIST).cloned().collect(),
            prune: bounded_list(&plan.prune),
            restart: bounded_list(&plan.restart),
            conflict: bounded_list(&plan.conflict),
        }),
    }
}

/// The reason of what is said of a resource that is left alone.
const PAUSED: &str = "IgnoreReconcile";

/// The status of a resource that is left alone: what was last known of it, and that nobody looks any more. One of which
/// nothing was known is not ready as far as anybody knows. `remark` is of annotations that are not understood.
#[must_use]
pub fn paused(old: &InstallStatus, remark: Option<ExtraCondition>, generation: i64, now: &str) -> InstallStatus {
    let before = old.conditions.as_deref().unwrap_or_default();
    let known = |kind: &str| before.iter().find(|condition| condition.r#type == kind);
    let text = format!(
        "annotated {IGNORE_RECONCILE}: nothing is applied, repaired or deleted; all else is told as it last was"
    );
    let new = |kind: &str, status: &str, reason: &str, message: &str| Condition {
        r#type: kind.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        last_transition_time: now.to_owned(),
        observed_generation: Some(generation),
    };
    let mut conditions: Vec<Condition> = before.iter().filter(|c| c.r#type != INVALID_ANNOTATION).cloned().collect();
    for (kind, status) in [("Ready", "Unknown"), ("Paused", "True")] {
        if known(kind).is_none() {
            conditions.push(new(kind, status, PAUSED, &text));
        }
    }
    if let Some(ExtraCondition { kind, reason, message }) = remark {
        let message = bounded(&message, LONGEST_MESSAGE);
        let said = known(kind).filter(|said| said.message == message).cloned();
        conditions.push(said.unwrap_or_else(|| new(kind, "True", reason, &message)));
    }
    let is_ahead = old.observed_generation.is_some_and(|observed| observed != generation);
    let ahead = if is_ahead { "; the spec has changed since, which waits too" } else { "" };
    let last = known("Ready").filter(|ready| ready.status == "False");
    let last = last.map(|ready| format!("; before that: {}", ready.message)).unwrap_or_default();
    let message = Some(bounded(&format!("{text}{ahead}{last}"), LONGEST_MESSAGE));
    InstallStatus { conditions: Some(conditions), message, ..old.clone() }
}

/// Ready always, and InUse of a control plane; everything else only while true, as kstatus wants it.
fn conditions(old: &InstallStatus, findings: &ReconcileOutcome, now: &str) -> Vec<Condition> {
    let Row { ready, beside, .. } = findings.conclusion.row();
    let message = findings.conclusion.message();
    let mut rows = vec![("Ready", ready.0, ready.1, message.clone())];
    rows.extend(beside.map(|(kind, reason)| (kind, "True", reason, message)));
    rows.extend(
        findings.extra_conditions.iter().map(|r| (r.kind, "True", r.reason, bounded(&r.message, LONGEST_MESSAGE))),
    );
    let before = old.conditions.as_deref().unwrap_or_default();
    match &findings.usage {
        Usage::Of(in_use, reason, message) => {
            let status = in_use.map_or("Unknown", |in_use| if in_use { "True" } else { "False" });
            rows.push((IN_USE, status, reason, message.clone()));
        }
        Usage::None => {}
        Usage::Unknown => {
            let told = before.iter().find(|c| c.r#type == IN_USE);
            rows.extend(told.map(|c| (IN_USE, &*c.status, &*c.reason, c.message.clone())));
        }
    }
    let others = before.iter().filter(|c| !OUR_CONDITIONS.contains(&&*c.r#type)).cloned();
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
        .chain(others)
        .collect()
}

/// The types of conditions that this operator sets; those of other writers stay.
const OUR_CONDITIONS: [&str; 15] = [
    "Ready",
    IN_USE,
    "Reconciling",
    "Stalled",
    "Conflict",
    "Contested",
    "DeletionHeld",
    "PruneHeld",
    "PruneScheduled",
    "InvalidAnnotation",
    "SpecWarnings",
    "Deleting",
    "Blind",
    "Paused",
    "DryRun",
];

/// The fields of a status that this operator sets; those of other writers stay.
const OUR_FIELDS: [&str; 13] = [
    "status",
    "message",
    "componentStatus",
    "observedGeneration",
    "lastHandledReconcileAt",
    "profile",
    "version",
    "inUse",
    "held",
    "conditions",
    "inventory",
    "ignored",
    "plan",
];

/// The status as a whole: what is to be written, and what other writers have beside it.
///
/// # Errors
/// It cannot be written as JSON: then nothing is to be written, for a patch without our fields would remove them.
pub fn with_fields_of_others(new: &InstallStatus, before: &Value) -> Result<Value, serde_json::Error> {
    let mut whole = serde_json::to_value(new)?;
    let others = before.as_object().into_iter().flatten().filter(|(field, _)| !OUR_FIELDS.contains(&field.as_str()));
    if let Some(whole) = whole.as_object_mut() {
        whole.extend(others.map(|(field, value)| (field.clone(), value.clone())));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn findings(conclusion: Conclusion) -> ReconcileOutcome {
        ReconcileOutcome::of(conclusion, 2)
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
    fn argo_cd_and_kstatus_agree_with_every_conclusion() {
        let x = || "x".to_owned();
        let error = || Cause::new("Word", "x");
        let table = [
            (Conclusion::Started, "Progressing", "InProgress"),
            (Conclusion::Waiting(x()), "Progressing", "InProgress"),
            (Conclusion::Healthy, "Healthy", "Current"),
            (Conclusion::Invalid(error()), "Degraded", "Failed"),
            (Conclusion::Conflict(x()), "Degraded", "Failed"),
            (Conclusion::Retrying(error()), "Progressing", "InProgress"),
            (Conclusion::Failed(error()), "Degraded", "InProgress"),
            (Conclusion::Rejected(error()), "Degraded", "Failed"),
            (Conclusion::NotProgressing(x()), "Degraded", "Failed"),
            (Conclusion::Blocked("Downgrade", error()), "Progressing", "Failed"),
            (Conclusion::Kept(x()), "Progressing", "InProgress"),
            (Conclusion::Planned(x()), "Progressing", "InProgress"),
            (Conclusion::Deleting(x()), "Progressing", "InProgress"),
            (Conclusion::Held(x()), "Progressing", "InProgress"),
        ];
        for (conclusion, argo, flux) in table {
            let status = compute(&InstallStatus::default(), &findings(conclusion.clone()), vec![], "now");
            assert_eq!((health_of_argo_cd(&status), kstatus(&status, 2)), (argo, flux), "{conclusion:?}");
            assert_eq!(kstatus(&status, 3), "InProgress", "an old answer must not count for a new spec");
            assert!(status.message.is_some() || conclusion == Conclusion::Healthy, "{conclusion:?} says nothing");
        }
    }

    #[test]
    fn a_remark_is_a_condition_while_it_is_true_and_spoils_no_health() {
        let remark = ExtraCondition { kind: "Contested", reason: "Reverted", message: "m".into() };
        let contested = ReconcileOutcome { extra_conditions: vec![remark], ..findings(Conclusion::Healthy) };
        let first = compute(&InstallStatus::default(), &contested, vec![], "1");
        let kinds = |s: &InstallStatus| s.conditions.iter().flatten().map(|c| c.r#type.clone()).collect::<Vec<_>>();
        assert_eq!(kinds(&first), ["Ready", "Contested"]);
        assert_eq!((health_of_argo_cd(&first), kstatus(&first, 2)), ("Healthy", "Current"));
        assert_eq!(kinds(&compute(&first, &findings(Conclusion::Healthy), vec![], "2")), ["Ready"]);
    }

    #[test]
    fn what_other_writers_have_in_a_status_stays() {
        let before = json!({"theirs": 1, "plan": {"create": ["x"]}, "message": "m",
            "conditions": [{"type": "Theirs", "status": "True"}, {"type": "Stalled", "status": "True"}]});
        let new = compute(&InstallStatus::read(&before), &findings(Conclusion::Healthy), vec!["a".into()], "1");
        let whole = with_fields_of_others(&new, &before).unwrap();
        assert_eq!((&whole["theirs"], &whole["inventory"]), (&json!(1), &json!(["a"])));
        assert!(whole.get("plan").is_none() && whole.get("message").is_none());
        let kinds: Vec<_> = whole["conditions"].as_array().unwrap().iter().map(|c| c["type"].clone()).collect();
        assert_eq!(kinds, [json!("Ready"), json!("Theirs")]);
    }

    #[test]
    fn a_message_is_bounded_and_says_how_much_is_left_out() {
        let problems: Vec<_> = (0..20_000).map(|i| format!("spec.x{i}: unknown field")).collect();
        let message = Conclusion::Invalid(Cause::new("InvalidSpec", problems.join("; "))).message();
        assert!(message.len() <= LONGEST_MESSAGE && message.starts_with("spec.x0: unknown field; spec.x1:"));
        let (shown, more) = message.rsplit_once("; and ").unwrap();
        let more: usize = more.strip_suffix(" more").unwrap().parse().unwrap();
        assert_eq!(shown.split("; ").count() + more, 20_000);
        let one = bounded(&"ü".repeat(5000), LONGEST_MESSAGE);
        assert!(one.len() <= LONGEST_MESSAGE && one.ends_with("ü…"));
    }

    #[test]
    fn a_resource_that_is_left_alone_says_so_beside_what_was_known() {
        let healthy = compute(&InstallStatus::default(), &findings(Conclusion::Healthy), vec![], "1");
        let kinds = |s: &InstallStatus| {
            let of = |c: &Condition| format!("{}={}", c.r#type, c.status);
            s.conditions.iter().flatten().map(of).collect::<Vec<_>>()
        };
        let left = paused(&healthy, None, 2, "2");
        assert_eq!(kinds(&left), ["Ready=True", "Paused=True"]);
        assert_eq!((health_of_argo_cd(&left), kstatus(&left, 2)), ("Healthy", "Current"));
        assert_eq!(kstatus(&left, 3), "InProgress", "a spec that nobody looked at");
        assert_eq!(paused(&left, None, 2, "3"), left, "said once");
        let ahead = paused(&left, None, 3, "3");
        assert_eq!(ahead.conditions, left.conditions, "said once");
        let message = |status: &InstallStatus| status.message.clone().unwrap_or_default();
        assert!(message(&left).starts_with("annotated install.istio.io/ignoreReconcile: nothing is applied"));
        assert!(!message(&left).contains("changed since") && message(&ahead).contains("; the spec has changed since"));
        assert_eq!(kinds(&compute(&left, &findings(Conclusion::Healthy), vec![], "4")), ["Ready=True"]);
        let new = paused(&InstallStatus::default(), None, 1, "1");
        assert_eq!((kinds(&new), kstatus(&new, 1)), (vec!["Ready=Unknown".into(), "Paused=True".into()], "InProgress"));
    }

    #[test]
    fn one_that_is_left_alone_says_what_was_wrong_and_is_not_understood() {
        let no_room = Conclusion::Failed(Cause::new("InternalError", "no room"));
        let failed = compute(&InstallStatus::default(), &findings(no_room), vec![], "1");
        let remark = |text: &str| ExtraCondition::of_annotations(&[text.to_owned()]);
        let first = paused(&failed, remark("a"), 2, "2");
        assert!(first.message.as_ref().unwrap().ends_with("; before that: no room"), "{:?}", first.message);
        assert_eq!(paused(&first, remark("a"), 2, "3"), first, "said once");
        let said = |status: &InstallStatus| {
            let all = status.conditions.iter().flatten().filter(|c| c.r#type == INVALID_ANNOTATION);
            all.map(|c| c.message.clone()).collect::<Vec<_>>()
        };
        assert_eq!(said(&first), ["a"]);
        let second = paused(&first, remark("b"), 2, "3");
        assert_eq!(said(&second), ["b"]);
        assert_eq!(said(&paused(&second, None, 2, "4")), [""; 0]);
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let first = compute(&InstallStatus::default(), &findings(Conclusion::Waiting("a".into())), vec![], "1");
        let second = compute(&first, &findings(Conclusion::Waiting("b".into())), vec![], "2");
        let third = compute(&second, &findings(Conclusion::Healthy), vec![], "3");
        let time = |s: &InstallStatus| s.conditions.as_ref().unwrap()[0].last_transition_time.clone();
        assert_eq!((time(&first), time(&second), time(&third)), ("1".into(), "1".into(), "3".into()));
    }

    #[test]
    fn an_error_keeps_what_is_known_of_the_components() {
        let known = BTreeMap::from([("Pilot".to_owned(), ComponentStatus::default())]);
        let old = InstallStatus { component_status: Some(known.clone()), ..InstallStatus::default() };
        let new = compute(&old, &findings(Conclusion::Invalid(Cause::default())), vec![], "now");
        assert_eq!(new.component_status, Some(known));
    }
}
