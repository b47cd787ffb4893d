//! The end of a resource: what it installed is deleted, children before parents, then the finalizer is removed.
//!
//! The spec is not looked at, so a resource that could never be installed can still be deleted. CRDs, namespaces,
//! what is annotated to be kept and what another resource wants too stay.
//!
//! | what stands in the way | what happens | for at most |
//! |---|---|---|
//! | a control plane of it is in use, or that cannot be found out | nothing at all is deleted | `--deletion-hold` |
//! | an object cannot be deleted or looked for: no permission, a webhook that refuses | it is tried again, less and less often | [`PATIENCE`] |
//! | an object has a finalizer of somebody else's | it is waited for | [`PATIENCE`] |
//!
//! The status says all of this, with names and times; what is left in the end is left behind with a warning, so that nothing
//! locks a resource or its namespace for ever. The annotation `install.istio.io/force-delete: "true"` ends all of it at once.
//! `install.istio.io/ignoreReconcile: "true"`, or `kubectl delete --cascade=orphan`, leaves everything that is installed.

mod guard;
mod look;

use super::context::Context;
use super::deletion::Move;
use super::error::ReconcileError;
use super::events;
use super::reconcile_state::ReconcileState;
use super::status_writer::write_status;
use crate::api::status::InstallStatus;
use crate::api::{FINALIZER, FORCE_DELETE, IGNORE_RECONCILE};
use crate::cluster::ClusterError;
use crate::cluster::received::ObservedResource;
use crate::controller::status::{Conclusion, ExtraCondition, ReconcileOutcome};
use crate::install::remains::{Fate, Remaining, Remains};
use crate::install::{InstallError, summary};
use crate::object::ObjectKey;
use crate::object::OwnerId;
use crate::process::metrics::labels::Trigger;
use guard::Held;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use look::Look;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::Span;
use tracing::field::Empty;

/// How soon it is asked again who uses the control plane.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How long what does not go is waited for, from when the first object was deleted.
const PATIENCE: Duration = Duration::from_mins(5);
/// The condition of a resource whose objects are being deleted. Its time tells an operator that starts since when.
const DELETING: &str = "Deleting";
/// No single failure says more in a status.
const LONGEST: usize = 1024;

/// Deletes everything a resource has; removes the finalizer once nothing is left.
#[tracing::instrument(level = "debug", skip_all, fields(objects = Empty))]
pub(super) async fn finalize(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
    state: &mut ReconcileState,
) -> Result<Action, ReconcileError> {
    if !has_finalizer(resource) {
        context.forget(id);
        return Ok(Action::await_change());
    }
    let end = End { resource, context, id, is_forced: is_forced(resource) };
    if context.orphans.has(id, resource) {
        let text = "deleted with --cascade=orphan: all that it installed stays, and nobody looks after it any more";
        return end.leave("Orphaned", text.to_owned()).await;
    }
    if state.deletion.is_new() {
        context.metrics.reconciles.requests.inc(Trigger::Deleting);
    }
    let look = if end.is_forced && state.deletion.insist() { Look::All } else { look::due(context, id, state) };
    let mut found = match look {
        Look::In(left) => return Ok(Action::requeue(left)),
        Look::All => remains(context, id, state, None).await,
        Look::At(keys) => {
            let some = remains(context, id, state, Some(&keys)).await;
            // Looked at once more as a whole, so that nothing is left that was still being written.
            if some.is_empty() { remains(context, id, state, None).await } else { some }
        }
    };
    Span::current().record("objects", found.doomed().count());
    if end.may_be_held(state, &found) {
        let (held, requests) = guard::ask(context, id, &found, resource.revision()).await;
        found.requests += requests;
        if let Some(held) = held {
            return Ok(end.hold(state, held, found.requests).await);
        }
    }
    end.delete(state, found).await
}

async fn remains(
    context: &Context,
    id: &OwnerId,
    state: &ReconcileState,
    only: Option<&BTreeSet<ObjectKey>>,
) -> Remains {
    context.engine().remains(id, &state.install.inventory, only).await
}

/// Removes the finalizer and leaves everything as it is.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn remove_finalizer(
    resource: &ObservedResource,
    context: &Context,
    id: &OwnerId,
) -> Result<(), ClusterError> {
    const TRIES: u32 = 4;
    let mut seen = Some(resource.clone());
    for attempt in 1..=TRIES {
        let Some(patch) = seen.as_ref().and_then(without_finalizer) else { break };
        match context.cluster.patch_owner(resource, patch).await {
            Ok(()) => break,
            Err(error) if error.is_absent() => break,
            // Somebody else's finalizer went meanwhile, or the resource itself did, and there is another of its name.
            Err(error) if attempt < TRIES && matches!(error.code(), Some(409 | 422)) => {
                seen = context.cluster.owner(resource).await?;
                if seen.as_ref().is_some_and(|seen| seen.uid() != resource.uid()) {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
    }
    context.forget(id);
    Ok(())
}

/// The JSON patch that takes the finalizer away from this very resource, if it has it.
fn without_finalizer(resource: &ObservedResource) -> Option<Value> {
    let position = resource.finalizers().iter().position(|f| f == FINALIZER)?;
    let pointer = format!("/metadata/finalizers/{position}");
    Some(json!([
        {"op": "test", "path": "/metadata/uid", "value": resource.uid()},
        {"op": "test", "path": pointer, "value": FINALIZER},
        {"op": "remove", "path": pointer},
    ]))
}

fn has_finalizer(resource: &ObservedResource) -> bool {
    resource.finalizers().iter().any(|f| f == FINALIZER)
}

fn is_forced(resource: &ObservedResource) -> bool {
    resource.annotations().get(FORCE_DELETE).is_some_and(|v| v == "true")
}

/// How long ago a time was.
fn since(time: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default()
}

/// When the deletion was asked for.
fn asked_at(resource: &ObservedResource) -> Timestamp {
    resource.metadata.deletion_timestamp.as_ref().map(|time| time.0).unwrap_or_default()
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Since when the status says that objects are being deleted, if it does.
fn deleting_since(known: &InstallStatus, resource: &ObservedResource) -> Option<Timestamp> {
    let condition = known.conditions.iter().flatten().find(|c| c.r#type == DELETING && c.status == "True")?;
    condition.last_transition_time.parse().ok().filter(|time| *time >= asked_at(resource))
}

/// Whether a control plane that may be in use holds the deletion up, so long after it was asked for.
fn is_held_for(age: Duration, hold: Duration, is_forced: bool) -> bool {
    !is_forced && age < hold
}

/// Whether what does not go is waited for, so long after the first object was deleted.
fn is_waited_for(elapsed: Duration, is_forced: bool) -> bool {
    !is_forced && elapsed < PATIENCE
}

/// The end of one resource.
struct End<'a> {
    resource: &'a ObservedResource,
    context: &'a Context,
    id: &'a OwnerId,
    is_forced: bool,
}

impl End<'_> {
    /// Tells it in the status. Where that is refused the deletion goes on all the same.
    async fn tell(&self, state: &mut ReconcileState, conclusion: Conclusion, remark: ExtraCondition) {
        let generation = self.resource.generation();
        let findings =
            ReconcileOutcome { extra_conditions: vec![remark], ..ReconcileOutcome::of(conclusion, generation) };
        if let Err(error) = write_status(self.resource, self.context, state, &findings).await {
            tracing::warn!(namespace = self.id.namespace, name = self.id.name, %error, "cannot tell how the deletion goes");
        }
    }

    /// Whether a control plane that is in use holds it up. What was begun is ended, unless a control plane still stands and
    /// only the status, which others may write, says that it was begun.
    fn may_be_held(&self, state: &ReconcileState, found: &Remains) -> bool {
        let stands = || found.doomed().any(|o| o.is_of_control_plane() && o.fate == Fate::Goes && o.pods.is_some());
        let has_begun =
            state.deletion.began().is_some() || (deleting_since(&state.known(), self.resource).is_some() && !stands());
        !has_begun && is_held_for(since(asked_at(self.resource)), self.context.config.deletion_hold, self.is_forced)
    }

    /// Nothing is deleted.
    async fn hold(&self, state: &mut ReconcileState, held: Held, requests: u32) -> Action {
        let (why, least) = match held {
            Held::InUse { by, revision, own } => {
                // From now on the resource is woken when that changes.
                guard::seems_unused(self.context, self.id, &revision, &own);
                state.deletion.advance(Move::Hold(revision, own));
                (summary(&by), ASK_AGAIN)
            }
            Held::Unknown(why) => {
                let why = events::cut(&why, LONGEST);
                (format!("cannot tell who uses the control plane: {why}"), Duration::ZERO)
            }
        };
        let message = held_message(&why, asked_at(self.resource), self.context.config.deletion_hold);
        let remark = ExtraCondition { kind: "DeletionHeld", reason: "DeletionHeld", message: message.clone() };
        self.tell(state, Conclusion::Held(message), remark).await;
        Action::requeue(state.deletion.pause(requests, least))
    }

    /// Deletes what has to go and was not deleted yet, and lets go of the resource when there is nothing any more, or when
    /// time is up.
    async fn delete(&self, state: &mut ReconcileState, found: Remains) -> Result<Action, ReconcileError> {
        state.deletion.advance(Move::Delete(found.doomed().collect()));
        if found.is_empty() {
            remove_finalizer(self.resource, self.context, self.id).await?;
            return Ok(Action::await_change());
        }
        if state.deletion.is_first_look() {
            self.tell_deleting(state, "what the resource installed".to_owned()).await;
        }
        let refused = self.send(state, &found).await;
        let tried = u32::try_from(refused.len()).unwrap_or(u32::MAX);
        let pause = state.deletion.pause(found.requests.saturating_add(tried), Duration::ZERO);
        if !is_waited_for(self.elapsed(state), self.is_forced) {
            return self.give_up(state, &refused).await;
        }
        let until = shown(self.end_of_patience(state));
        let unread = found.unread.iter().map(|unread| unread.text.clone());
        let failures: Vec<String> = refused.values().map(ToString::to_string).chain(unread).collect();
        if !failures.is_empty() {
            let text = format!("cannot delete what the resource installed: {}", said(&failures));
            let told = format!("{text}; it is tried again until {until}; {INSIST}");
            self.tell(state, Conclusion::Failed(told.clone()), deleting(told)).await;
            return Err(ReconcileError::Delete(text));
        }
        let waiting: Vec<String> = found.doomed().filter(|o| o.fate == Fate::IsGoing).map(Remaining::told).collect();
        if !waiting.is_empty() {
            self.tell_deleting(state, format!("waiting for {}, until {until}; {INSIST}", said(&waiting))).await;
        }
        Ok(Action::requeue(pause))
    }

    async fn tell_deleting(&self, state: &mut ReconcileState, what: String) {
        let conclusion = Conclusion::Deleting(what);
        let remark = deleting(conclusion.message());
        self.tell(state, conclusion, remark).await;
    }

    /// Asks for the end of each object that is not asked to go already. Returns what was refused, and why.
    async fn send(&self, state: &mut ReconcileState, found: &Remains) -> BTreeMap<ObjectKey, InstallError> {
        let results = self.context.engine().delete(found).await;
        if results.iter().any(|(_, result)| result.is_ok()) {
            state.failures = 0;
        }
        results.into_iter().filter_map(|(key, result)| Some((key, result.err()?))).collect()
    }

    /// How long objects have been being deleted, by whichever operator.
    fn elapsed(&self, state: &ReconcileState) -> Duration {
        let here = state.deletion.began().map(|began| began.elapsed()).unwrap_or_default();
        let told = deleting_since(&state.known(), self.resource).map(since).unwrap_or_default();
        here.max(told)
    }

    fn end_of_patience(&self, state: &ReconcileState) -> Timestamp {
        let began = deleting_since(&state.known(), self.resource).unwrap_or_else(Timestamp::now);
        began.checked_add(PATIENCE).unwrap_or(began)
    }

    /// Lets go of the resource whatever is left, and says what is.
    async fn give_up(
        &self,
        state: &ReconcileState,
        refused: &BTreeMap<ObjectKey, InstallError>,
    ) -> Result<Action, ReconcileError> {
        let left = remains(self.context, self.id, state, None).await;
        let told =
            left.doomed().map(|object| refused.get(&object.key).map_or_else(|| object.told(), ToString::to_string));
        let told: Vec<String> = told.chain(left.unread.iter().map(|unread| unread.text.clone())).collect();
        if told.is_empty() {
            remove_finalizer(self.resource, self.context, self.id).await?;
            return Ok(Action::await_change());
        }
        self.leave("LeftBehind", format!("could not be deleted and is left behind: {}", said(&told))).await
    }

    /// Lets go of the resource, and says what it leaves.
    async fn leave(&self, reason: &'static str, text: String) -> Result<Action, ReconcileError> {
        tracing::warn!(namespace = self.id.namespace, name = self.id.name, text, "letting go");
        events::publish(self.context, self.resource, &events::EventMessage { is_warning: true, reason, text }).await;
        remove_finalizer(self.resource, self.context, self.id).await?;
        Ok(Action::await_change())
    }
}

/// How to end a deletion at once.
const INSIST: &str = "annotate the resource install.istio.io/force-delete=true to end it at once";

fn deleting(message: String) -> ExtraCondition {
    ExtraCondition { kind: DELETING, reason: DELETING, message }
}

/// The first few, none of them too long, and how many more.
fn said(texts: &[String]) -> String {
    summary(&texts.iter().map(|text| events::cut(text, LONGEST)).collect::<Vec<_>>())
}

/// The deletion waits: why, until when, and how to go on at once or not at all.
fn held_message(why: &str, asked: Timestamp, hold: Duration) -> String {
    let until = shown(asked.checked_add(hold).unwrap_or(asked));
    format!(
        "{why}; nothing is deleted until it is known that nobody uses it, or until {until}; annotate the resource \
         {FORCE_DELETE}=true to delete everything at once, or {IGNORE_RECONCILE}=true to keep everything that is installed \
         and let only the resource go"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(time: &str) -> ObservedResource {
        let metadata = json!({"name": "main", "namespace": "ns", "uid": "u", "deletionTimestamp": time});
        crate::cluster::received::from_value(&json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn a_deletion_is_held_for_a_day_and_waits_for_five_minutes() {
        let (minutes, hours) = (Duration::from_mins, Duration::from_hours);
        assert!(is_held_for(hours(23), hours(24), false) && !is_held_for(hours(24), hours(24), false));
        assert!(is_waited_for(minutes(4), false) && !is_waited_for(minutes(5), false));
        assert!(!is_held_for(minutes(0), hours(24), true) && !is_waited_for(minutes(0), true), "somebody insists");
    }

    #[test]
    fn the_age_of_a_deletion_is_counted_from_when_it_was_asked_for() {
        assert!(since(asked_at(&resource("2020-01-01T00:00:00Z"))) > Duration::from_hours(24));
        assert_eq!(since(asked_at(&resource("2100-01-01T00:00:00Z"))), Duration::ZERO, "clocks differ");
    }

    #[test]
    fn a_deletion_is_as_old_as_its_status_says_after_a_restart() {
        let told = |kind: &str, time: &str| -> InstallStatus {
            let condition = json!({"type": kind, "status": "True", "lastTransitionTime": time});
            serde_json::from_value(json!({"conditions": [condition]})).unwrap()
        };
        let deleted = resource("2026-01-01T12:00:00Z");
        let since = |kind, time| deleting_since(&told(kind, time), &deleted).map(shown);
        assert_eq!(since("Deleting", "2026-01-01T12:00:05Z").as_deref(), Some("2026-01-01T12:00:05Z"));
        assert_eq!(since("Reconciling", "2026-01-01T12:00:05Z"), None);
        assert_eq!(since("Deleting", "2026-01-01T11:00:00Z"), None, "nothing was to be deleted then");
    }

    #[test]
    fn a_held_deletion_says_by_whom_until_when_and_how_to_go_on() {
        let message = held_message(
            "in use by Pod shop/cart",
            asked_at(&resource("2026-01-01T12:00:00Z")),
            Duration::from_hours(24),
        );
        let said = [
            "in use by Pod shop/cart",
            "until 2026-01-02T12:00:00Z",
            "install.istio.io/force-delete=true",
            "install.istio.io/ignoreReconcile=true",
        ];
        for said in said {
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn messages_stay_short_whatever_is_refused() {
        let many = vec!["x".repeat(1 << 20); 1000];
        let text = said(&many);
        assert!(text.len() < 4096 && text.ends_with("and 997 more"), "{}", text.len());
    }

    #[test]
    fn only_the_finalizer_of_this_very_resource_is_removed() {
        let mut resource = resource("2026-01-01T12:00:00Z");
        assert_eq!(without_finalizer(&resource), None);
        resource.metadata.finalizers = Some(vec!["other".into(), FINALIZER.into()]);
        let patch = without_finalizer(&resource).unwrap();
        assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "u"}));
        assert_eq!(patch[1], json!({"op": "test", "path": "/metadata/finalizers/1", "value": FINALIZER}));
        assert_eq!(patch[2], json!({"op": "remove", "path": "/metadata/finalizers/1"}));
    }
}
