//! From the outcome of a plan to the status: the conclusion, the state of each component, further conditions, and events.

use super::error::with_grant;
use super::events::EventMessage;
use super::held::Told;
use super::index::FailingWatch;
use super::reconcile_state::ReconcileState;
use super::status::{Conclusion, ExtraCondition, ReconcileOutcome};
use crate::api::component::Component;
use crate::api::status::{ComponentStatus, HeldRevision, Phase, Preview};
use crate::install::{ComponentOutcome, Conflict, Outcome, Plan, Repair, named, summary};
use crate::object::OwnerId;
use std::collections::BTreeSet;

/// The findings of a run. `held` is what stays although the spec does not want it, `rivals` are the other resources of the
/// revision, `blind` the kinds that cannot be watched.
pub(super) fn findings(
    state: &mut ReconcileState,
    plan: &Plan,
    (held, rivals): (&[Told], &BTreeSet<OwnerId>),
    blind: &[FailingWatch],
    outcome: &Outcome,
    generation: i64,
) -> ReconcileOutcome {
    let manifests = plan.manifests();
    let version = Some(manifests.version.clone()).filter(|version| !version.is_empty());
    let before = state.known().component_status.unwrap_or_default();
    let components = outcome.components.iter().map(|(component, outcome)| {
        let known = before.get(component.name()).and_then(|known| known.version.clone());
        (*component, component_status(outcome, version.clone(), known))
    });
    ReconcileOutcome {
        profile: Some(manifests.profile.clone()),
        version: version.clone().filter(|_| is_installed(outcome)),
        extra_conditions: extra_conditions(plan, held, blind, outcome),
        held: Some(held.iter().map(|held| held.told.clone()).collect()),
        ignored: Some(outcome.ignored.iter().map(ToString::to_string).collect()),
        components: components.collect(),
        ..ReconcileOutcome::of(conclusion(state, plan, (held, rivals), outcome), generation)
    }
}

/// Whether the version is that of what is installed: all of it is applied, and istiod is of it.
fn is_installed(outcome: &Outcome) -> bool {
    let istiod = outcome.components.get(&Component::Pilot);
    outcome.is_applied() && istiod.is_none_or(|istiod| matches!(istiod, ComponentOutcome::Ready))
}

/// The status of a component. What is not applied as a whole is of the version that is `known`.
fn component_status(outcome: &ComponentOutcome, version: Option<String>, known: Option<String>) -> ComponentStatus {
    let (phase, version) = match outcome {
        ComponentOutcome::Ready => (Phase::Healthy, version),
        ComponentOutcome::Waiting(_) | ComponentOutcome::Establishing(_) => (Phase::Reconciling, version),
        ComponentOutcome::NotProgressing(_) => (Phase::Error, version),
        ComponentOutcome::Blocked(_) => (Phase::Reconciling, known),
        ComponentOutcome::Conflict(_) | ComponentOutcome::Failed(_) => (Phase::Error, known),
    };
    let is_ready = matches!(outcome, ComponentOutcome::Ready);
    let error = (!is_ready).then(|| outcome.to_string());
    ComponentStatus { version: version.filter(|version| !version.is_empty()), status: Some(phase), error }
}

/// What the whole comes to.
fn conclusion(
    state: &mut ReconcileState,
    plan: &Plan,
    (held, rivals): (&[Told], &BTreeSet<OwnerId>),
    outcome: &Outcome,
) -> Conclusion {
    if let Some(mut passing) = outcome.failed(false) {
        if outcome.is_forbidden() {
            passing.text = with_grant(&passing.text, &plan.manifests().release);
        }
        if let Some(others) = outcome.failed(true) {
            passing.text = format!("{}; {}", passing.text, others.text);
        }
        return state.failed(passing);
    }
    state.failing_since = None;
    if let Some(rejected) = outcome.failed(true) {
        return Conclusion::Rejected(rejected);
    }
    let of = |is_it: fn(&ComponentOutcome) -> bool, named: bool| -> Vec<String> {
        let found = outcome.components.iter().filter(|(_, outcome)| is_it(outcome));
        found.map(|(c, outcome)| if named { format!("{c}: {outcome}") } else { outcome.to_string() }).collect()
    };
    let conflicts =
        rival(plan.manifests().revision_label(), rivals, outcome).map_or(conflicts(outcome), |why| vec![why]);
    let stuck = of(|o| matches!(o, ComponentOutcome::NotProgressing(_)), true);
    let waits = of(|o| matches!(o, ComponentOutcome::Waiting(_) | ComponentOutcome::Establishing(_)), false);
    match () {
        () if !conflicts.is_empty() => Conclusion::Conflict(conflicts.join("; ")),
        () if !stuck.is_empty() => Conclusion::NotProgressing(stuck.join("; ")),
        () if !waits.is_empty() => Conclusion::Waiting(waits.join("; ")),
        // One revision beside another is nothing that waits for a person.
        () if !plan.manifests().has_control_plane() && !held.is_empty() => Conclusion::Kept(kept(held)),
        () => Conclusion::Healthy,
    }
}

fn conflicts(outcome: &Outcome) -> Vec<String> {
    let found = outcome.components.iter().filter(|(_, outcome)| matches!(outcome, ComponentOutcome::Conflict(_)));
    found.map(|(component, outcome)| format!("{component}: {outcome}")).collect()
}

/// What to say where another resource has the revision's control plane already, which is more to the point than all the objects
/// that this makes them contradict each other in.
fn rival(revision: &str, rivals: &BTreeSet<OwnerId>, outcome: &Outcome) -> Option<String> {
    let all = || {
        let of_components = outcome.components.iter();
        let conflicts = of_components.filter_map(|(component, outcome)| match outcome {
            ComponentOutcome::Conflict(conflicts) => Some((*component, conflicts)),
            _ => None,
        });
        conflicts.flat_map(|(component, conflicts)| conflicts.iter().map(move |conflict| (component, conflict)))
    };
    let rival = all().find_map(|(component, conflict)| match conflict {
        Conflict::Object { owner, .. } if component.is_control_plane() && rivals.contains(owner) => Some(owner),
        _ => None,
    })?;
    let (mut contradicted, mut others) = (vec![], vec![]);
    for (component, conflict) in all() {
        match conflict {
            Conflict::Object { key, owner, .. } if owner == rival => contradicted.push(key.to_string()),
            other => others.push(format!("; {component}: {other}")),
        }
    }
    Some(format!(
        "IstioOperator {rival} has the control plane of revision {revision} already; give this resource a spec.revision of its \
         own to have a control plane beside that one, or have one of the two only; they differ in {}{}",
        summary(&contradicted),
        others.concat()
    ))
}

fn extra_conditions(plan: &Plan, held: &[Told], blind: &[FailingWatch], outcome: &Outcome) -> Vec<ExtraCondition> {
    let mut extra_conditions = vec![];
    let mut remark = |kind, reason, texts: Vec<String>, join: fn(&[String]) -> String| {
        if !texts.is_empty() {
            extra_conditions.push(ExtraCondition { kind, reason, message: join(&texts) });
        }
    };
    let all = |texts: &[String]| texts.join("; ");
    remark("PruneHeld", "PruneHeld", held.iter().map(kept_one).collect(), all);
    remark("SpecWarnings", "SpecWarnings", plan.manifests().warnings.clone(), all);
    remark("Conflict", "Conflict", conflicts(outcome), all);
    let of = |blind: &FailingWatch| format!("{} since {:.0}: {}", blind.kind, blind.since, blind.error);
    remark("Blind", "WatchFailed", blind.iter().map(of).collect(), |kinds| {
        format!("changes of these kinds are not seen, and looked for from time to time: {}", summary(kinds))
    });
    remark("Contested", "Contested", outcome.contested.iter().map(contested).collect(), summary);
    extra_conditions
}

/// Which control planes stay, and why.
fn kept(held: &[Told]) -> String {
    held.iter().map(kept_one).collect::<Vec<_>>().join("; ")
}

fn kept_one(held: &Told) -> String {
    let HeldRevision { revision, namespace, tag, used_by, message, .. } = &held.told;
    let tag = tag.as_ref().map(|tag| format!("tag {tag} of ")).unwrap_or_default();
    let users = if used_by.is_empty() { String::new() } else { format!(", used by {}", summary(used_by)) };
    format!("{tag}revision {revision} in namespace {namespace}{users}: {message}")
}

fn contested(repair: &Repair) -> String {
    let by = if repair.by.is_empty() { "somebody".to_owned() } else { repair.by.join(", ") };
    let (key, fields) = (&repair.key, named(&repair.fields));
    let what = if repair.was_deleted { "deletes it".to_owned() } else { format!("changes {fields}") };
    format!("{key}: {by} {what} again and again; it is repaired more slowly now")
}

/// A preview as findings; without differences the resource is what it was.
pub(super) fn previewed(preview: Preview, generation: i64) -> ReconcileOutcome {
    let parts = [
        (preview.create.len(), "to create"),
        (preview.change.len(), "to change"),
        (preview.prune.len(), "to delete"),
        (preview.restart.len(), "to replace the pods of"),
        (preview.conflict.len(), "of another resource"),
    ];
    let counts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let text = if counts.is_empty() { "nothing would change".to_owned() } else { counts.join(", ") };
    let message = format!("{text}; nothing is applied");
    let remark = ExtraCondition { kind: "DryRun", reason: "DryRun", message };
    ReconcileOutcome {
        extra_conditions: vec![remark],
        plan: Some(preview),
        ..ReconcileOutcome::of(Conclusion::Planned(text), generation)
    }
}

/// What was done that a person should hear of.
pub(super) fn notes(outcome: &Outcome) -> Vec<EventMessage> {
    fn note<T: ToString>(reason: &'static str, what: &str, all: &[T]) -> Option<EventMessage> {
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        let text = format!("{what}: {}", summary(&texts));
        (!all.is_empty()).then_some(EventMessage { is_warning: false, reason, text })
    }
    let pruned = note("Pruned", "no longer wanted, deleted", &outcome.pruned);
    pruned.into_iter().chain(note("DriftRepaired", "changed by others, repaired", &outcome.repaired)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectKey;
    use std::collections::BTreeMap;

    #[test]
    fn a_preview_says_how_much_would_be_done() {
        let preview = Preview { create: vec!["a".into(), "b".into()], prune: vec!["c".into()], ..Preview::default() };
        let message = previewed(preview, 1).conclusion.message();
        assert_eq!(message, "dry run: 2 to create, 1 to delete; nothing is applied");
        assert!(previewed(Preview::default(), 1).conclusion.message().contains("nothing would change"));
    }

    #[test]
    fn a_component_that_is_not_applied_is_of_the_version_that_is_known() {
        let new = || Some("2".to_owned());
        let old = || Some("1".to_owned());
        let table = [
            (ComponentOutcome::Ready, Phase::Healthy, "2", None),
            (ComponentOutcome::Blocked(Component::Pilot), Phase::Reconciling, "1", Some("waits for Istiod")),
            (ComponentOutcome::Failed(vec![]), Phase::Error, "1", Some("")),
            (ComponentOutcome::Establishing(vec![]), Phase::Reconciling, "2", Some("CRDs to be established")),
        ];
        for (outcome, phase, version, error) in table {
            let status = component_status(&outcome, new(), old());
            let found = (status.status, status.version.as_deref(), status.error.as_deref());
            assert_eq!(found, (Some(phase), Some(version), error), "{}", outcome.result().name());
        }
    }

    #[test]
    fn a_second_resource_of_a_revision_is_told_so_first() {
        let key = |name: &str| ObjectKey { kind: "ConfigMap".into(), name: name.into(), ..ObjectKey::default() };
        let with = |name: &str, owner: &str| Conflict::Object {
            key: key(name),
            owner: OwnerId::new("istio-system", owner),
            fields: vec!["data.mesh".into()],
        };
        let of = |component, conflicts| (component, ComponentOutcome::Conflict(conflicts));
        let told = |components: Vec<(Component, ComponentOutcome)>| {
            let outcome = Outcome { components: components.into_iter().collect(), ..Outcome::default() };
            rival("default", &BTreeSet::from([OwnerId::new("istio-system", "main")]), &outcome)
        };
        let pilot = of(Component::Pilot, vec![with("istio", "main"), with("istio-sidecar-injector", "main")]);
        let expected = "IstioOperator istio-system/main has the control plane of revision default already; give this resource \
            a spec.revision of its own to have a control plane beside that one, or have one of the two only; they differ in ";
        let message = told(vec![pilot.clone()]).unwrap();
        assert_eq!(message, format!("{expected}{}; {}", key("istio"), key("istio-sidecar-injector")));
        let gateway = of(Component::IngressGateways, vec![with("gateway", "third")]);
        let message = told(vec![pilot, gateway.clone()]).unwrap();
        assert!(message.contains("; IngressGateways: ") && message.contains("istio-system/third"), "{message}");
        assert_eq!(told(vec![gateway]), None, "no control plane stands in the way");
        assert_eq!(told(vec![of(Component::Pilot, vec![with("istio", "third")])]), None, "it is of another revision");
    }

    #[test]
    fn no_version_is_told_of_what_is_not_installed() {
        let of = |outcome| Outcome { components: BTreeMap::from([(Component::Pilot, outcome)]), ..Outcome::default() };
        assert!(is_installed(&Outcome::default()) && is_installed(&of(ComponentOutcome::Ready)));
        assert!(!is_installed(&of(ComponentOutcome::Waiting(vec![]))));
    }
}
