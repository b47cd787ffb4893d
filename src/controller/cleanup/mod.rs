//! Deletes a resource: first everything it installed, children before parents, then the finalizer is removed.
//!
//! The spec is not read, so a resource that could never be installed can still be deleted. CRDs, namespaces, objects annotated
//! to be kept and objects that another resource wants too stay.
//!
//! | obstacle | what happens | for at most |
//! |---|---|---|
//! | a control plane of the resource is in use, or that cannot be found out | nothing at all is deleted | `--deletion-hold` |
//! | the resource is annotated `install.istio.io/dryRun` | nothing at all is deleted; in the end, or with its namespace, only the resource goes | `--deletion-hold` |
//! | an object cannot be deleted or looked for: no permission, a webhook that refuses | it is tried again, less and less often | `--deletion-patience` |
//! | an object has a finalizer of somebody else's | its end is waited for | `--deletion-patience` |
//!
//! The status says all of this, with names and times. Whatever is left in the end is left behind with a warning, so that nothing
//! blocks the resource or its namespace for ever. The annotation `install.istio.io/force-delete: "true"` ends the deletion at
//! once. `install.istio.io/ignoreReconcile: "true"`, or `kubectl delete --cascade=orphan`, keeps everything that is installed.

mod clock;
mod dry_run;
mod guard;
mod look;

use super::deletion::Move;
use super::error::ReconcileError;
use super::events::EventMessage;
use super::finalizer::remove_finalizer;
use super::reconcile::Reconcile;
use super::status::{Conclusion, ExtraCondition, ReconcileOutcome};
use super::usage::ASK_AGAIN;
use crate::api::status::InstallStatus;
use crate::api::{FORCE_DELETE, IGNORE_RECONCILE, annotations};
use crate::failure::Cause;
use crate::install::remains::{DeleteError, Fate, Remaining, Remains};
use crate::install::{InstallError, cut_summary, summary};
use crate::object::ObjectKey;
use crate::process::metrics::labels::Trigger;
use clock::{shown, since};
use dry_run::Verdict;
use guard::Held;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use look::Look;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::Span;
use tracing::field::Empty;

/// The condition of a resource whose objects are being deleted. Its time tells an operator that starts since when.
const DELETING: &str = "Deleting";
/// The condition of a resource whose deletion is held up by a control plane that is in use.
const HELD: &str = "DeletionHeld";
/// How to end a deletion at once.
const INSIST: &str = "annotate the resource install.istio.io/force-delete=true to end it at once";

impl Reconcile<'_> {
    /// Deletes everything the resource has; removes the finalizer once nothing is left.
    #[tracing::instrument(level = "debug", skip_all, fields(objects = Empty))]
    pub async fn finalize(&mut self) -> Result<Action, ReconcileError> {
        let (resource, context, id) = (self.resource, self.context, self.id);
        if !resource.has_finalizer() {
            context.forget(id);
            return Ok(Action::await_change());
        }
        context.note_orphaned(resource);
        if self.state.deletion.is_new() && self.is_let_go().await? {
            context.forget(id);
            return Ok(Action::await_change());
        }
        if context.orphans.has(id, resource.uid()) {
            let text = "deleted with --cascade=orphan: all that it installed stays, and nobody looks after it any more";
            return self.leave_behind("Orphaned", text.to_owned()).await;
        }
        if self.state.deletion.is_new() {
            context.metrics.reconciles.requests.inc(Trigger::Deleting);
        }
        self.state.deletion.set_dry_run(resource.is_dry_run());
        if resource.is_dry_run() {
            return self.hold_dry_run().await;
        }
        let mut found = match self.next_look() {
            Look::In(left) => return Ok(Action::requeue(left)),
            Look::All => self.remains(None).await,
            Look::At(keys) => {
                let some = self.remains(Some(&keys)).await;
                // Looked at once more as a whole, so that nothing is left that was still being written.
                if some.is_empty() { self.remains(None).await } else { some }
            }
        };
        Span::current().record("objects", found.to_delete().count());
        if self.may_be_held(&found) {
            let (held, requests) = guard::ask(context, id, &found, resource.revision()).await;
            found.requests += requests;
            if let Some(held) = held {
                return Ok(self.hold(held, found.requests).await);
            }
        }
        self.delete_remains(found).await
    }

    /// Deletes nothing of a resource that is only to be tried. One that has nothing goes.
    async fn hold_dry_run(&mut self) -> Result<Action, ReconcileError> {
        let found = match self.next_look() {
            Look::In(left) => return Ok(Action::requeue(left)),
            Look::All | Look::At(_) => self.remains(None).await,
        };
        if found.is_empty() {
            remove_finalizer(self.resource, self.context).await?;
            return Ok(Action::await_change());
        }
        let (asked, hold) = (self.resource.deletion_asked_at(), self.context.config.deletion_hold);
        let namespace = BTreeSet::from([self.id.namespace.clone()]);
        let mut requests = found.requests;
        // What cannot be found out is no end.
        let is_ending = guard::is_ending(self.context, &namespace, &mut requests).await.unwrap_or(false);
        match dry_run::verdict(&found, asked, hold, is_ending) {
            Verdict::LeaveBehind(text) => self.leave_behind("LeftBehind", text).await,
            Verdict::Hold(message, left) => {
                self.tell_deletion(Conclusion::Held(message)).await;
                Ok(Action::requeue(self.state.deletion.pause(requests, ASK_AGAIN).min(left)))
            }
        }
    }

    /// Whether the resource has gone by now, or has been let go, however it was last seen: one that was deleted with
    /// `--cascade=orphan` says so for a moment only, and is seen once more without that after it was let go.
    async fn is_let_go(&self) -> Result<bool, ReconcileError> {
        match self.context.cluster.owner(self.id).await {
            Ok(Some(live)) if live.uid() == self.resource.uid() => {
                self.context.note_orphaned(&live);
                Ok(!live.has_finalizer())
            }
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(403) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What is to be looked at now.
    fn next_look(&mut self) -> Look {
        let is_forced = annotations::is_forced_to_go(self.resource.annotations());
        let deletion = &mut self.state.deletion;
        if is_forced && deletion.insist() { Look::All } else { look::due(self.context, self.id, deletion) }
    }

    /// What the resource has still, or what of these objects.
    async fn remains(&self, only: Option<&BTreeSet<ObjectKey>>) -> Remains {
        self.context.engine().remains(self.id, &self.state.install.inventory, only).await
    }

    /// Tells it in the status. Where that is refused the deletion goes on all the same.
    async fn tell_deletion(&mut self, conclusion: Conclusion) {
        let generation = self.resource.generation();
        let kind = if matches!(conclusion, Conclusion::Held(_)) { HELD } else { DELETING };
        let remark = ExtraCondition { kind, reason: kind, message: conclusion.message() };
        let findings =
            ReconcileOutcome { extra_conditions: vec![remark], ..ReconcileOutcome::of(conclusion, generation) };
        if let Err(error) = self.write_status(&findings).await {
            tracing::warn!(namespace = self.id.namespace, name = self.id.name, %error, "cannot tell how the deletion goes");
        }
    }

    /// Whether a control plane that is in use holds it up. What was begun is ended, unless a control plane still stands and
    /// only the status, which others may write, says that it was begun.
    fn may_be_held(&self, found: &Remains) -> bool {
        let stands = || found.to_delete().any(|o| o.is_of_control_plane() && o.fate == Fate::Goes && o.pods.is_some());
        let asked = self.resource.deletion_asked_at();
        let is_told = deleting_since(&self.state.known(), asked).is_some();
        let has_begun = self.state.deletion.began().is_some() || (is_told && !stands());
        let is_forced = annotations::is_forced_to_go(self.resource.annotations());
        !has_begun && is_held_for(since(asked), self.context.config.deletion_hold, is_forced)
    }

    /// Nothing is deleted.
    async fn hold(&mut self, held: Held, requests: u32) -> Action {
        let (context, id) = (self.context, self.id);
        let (why, least) = match held {
            Held::InUse { by, revision, own } => {
                // From now on the resource is woken when that changes.
                guard::seems_unused(context, id, &revision, &own);
                self.state.deletion.advance(Move::Hold(revision, own));
                (summary(&by), ASK_AGAIN)
            }
            Held::Unknown(error) => {
                let why = cut_summary(&[error.to_string()]);
                (format!("cannot tell who uses the control plane: {why}"), Duration::ZERO)
            }
        };
        let message = held_message(&why, self.resource.deletion_asked_at(), context.config.deletion_hold);
        self.tell_deletion(Conclusion::Held(message)).await;
        Action::requeue(self.state.deletion.pause(requests, least))
    }

    /// Deletes what has to go and was not deleted yet, and removes the finalizer when there is nothing any more, or when
    /// time is up.
    async fn delete_remains(&mut self, found: Remains) -> Result<Action, ReconcileError> {
        self.state.deletion.advance(Move::Delete(found.to_delete().collect()));
        if found.is_empty() {
            remove_finalizer(self.resource, self.context).await?;
            return Ok(Action::await_change());
        }
        if self.state.deletion.is_first_look() {
            self.tell_deletion(Conclusion::Deleting("what the resource installed".to_owned())).await;
        }
        let refused = self.send(&found).await;
        let tried = u32::try_from(refused.len()).unwrap_or(u32::MAX);
        let pause = self.state.deletion.pause(found.requests.saturating_add(tried), Duration::ZERO);
        let told = deleting_since(&self.state.known(), self.resource.deletion_asked_at());
        if !is_waited_for(
            elapsed(self.state.deletion.began(), told),
            self.context.config.deletion_patience,
            annotations::is_forced_to_go(self.resource.annotations()),
        ) {
            return self.give_up(&refused).await;
        }
        let until = shown(end_of_patience(told.unwrap_or_else(Timestamp::now), self.context.config.deletion_patience));
        if !refused.is_empty() || !found.unread.is_empty() {
            let error = DeleteError { refused: refused.into_values().collect(), unread: found.unread };
            let told = format!("{error}; it is tried again until {until}; {INSIST}");
            self.tell_deletion(Conclusion::Failed(Cause::new(error.reason(), told))).await;
            return Err(error.into());
        }
        let waiting: Vec<String> = found.to_delete().filter(|o| o.fate == Fate::IsGoing).map(Remaining::told).collect();
        if !waiting.is_empty() {
            let what = format!("waiting for {}, until {until}; {INSIST}", cut_summary(&waiting));
            self.tell_deletion(Conclusion::Deleting(what)).await;
        }
        Ok(Action::requeue(pause))
    }

    /// Asks for the end of each object that is not asked to go already. Returns what was refused, and why.
    async fn send(&mut self, found: &Remains) -> BTreeMap<ObjectKey, InstallError> {
        let results = self.context.engine().delete(found).await;
        if results.iter().any(|(_, result)| result.is_ok()) {
            self.state.failures = 0;
        }
        results.into_iter().filter_map(|(key, result)| Some((key, result.err()?))).collect()
    }

    /// Lets go of the resource whatever is left, and says what is.
    async fn give_up(&self, refused: &BTreeMap<ObjectKey, InstallError>) -> Result<Action, ReconcileError> {
        let left = self.remains(None).await;
        let told =
            left.to_delete().map(|object| refused.get(&object.key).map_or_else(|| object.told(), ToString::to_string));
        let told: Vec<String> = told.chain(left.unread.iter().map(|unread| unread.error.to_string())).collect();
        if told.is_empty() {
            remove_finalizer(self.resource, self.context).await?;
            return Ok(Action::await_change());
        }
        let text = format!("could not be deleted and is left behind: {}", cut_summary(&told));
        self.leave_behind("LeftBehind", text).await
    }

    /// Removes the finalizer of the resource, and says what is left behind.
    async fn leave_behind(&self, reason: &'static str, text: String) -> Result<Action, ReconcileError> {
        tracing::warn!(namespace = self.id.namespace, name = self.id.name, text, "removing the finalizer");
        self.publish(&EventMessage { is_warning: true, reason, text }).await;
        remove_finalizer(self.resource, self.context).await?;
        Ok(Action::await_change())
    }
}

/// Since when the status says that objects are being deleted, if it does.
fn deleting_since(known: &InstallStatus, asked: Timestamp) -> Option<Timestamp> {
    let condition = known.conditions.iter().flatten().find(|c| c.r#type == DELETING && c.status == "True")?;
    condition.last_transition_time.parse().ok().filter(|time| *time >= asked)
}

/// How long objects have been being deleted, by whichever operator: since `here` by this one, since `told` by the status.
fn elapsed(here: Option<Instant>, told: Option<Timestamp>) -> Duration {
    here.map(|began| began.elapsed()).unwrap_or_default().max(told.map(since).unwrap_or_default())
}

/// Until when what does not go is waited for.
fn end_of_patience(began: Timestamp, patience: Duration) -> Timestamp {
    began.checked_add(patience).unwrap_or(began)
}

/// Whether a control plane that may be in use holds the deletion up, so long after it was asked for.
fn is_held_for(age: Duration, hold: Duration, is_forced: bool) -> bool {
    !is_forced && age < hold
}

/// Whether what does not go is waited for, so long after the first object was deleted.
fn is_waited_for(elapsed: Duration, patience: Duration, is_forced: bool) -> bool {
    !is_forced && elapsed < patience
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
    use crate::controller::Config;
    use serde_json::json;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_deletion_is_held_for_a_day_and_waits_for_five_minutes() {
        let (minutes, hours) = (Duration::from_mins, Duration::from_hours);
        assert!(is_held_for(hours(23), hours(24), false) && !is_held_for(hours(24), hours(24), false));
        let patience = Config::DELETION_PATIENCE;
        assert!(is_waited_for(minutes(4), patience, false) && !is_waited_for(minutes(5), patience, false));
        assert!(
            !is_held_for(minutes(0), hours(24), true) && !is_waited_for(minutes(0), patience, true),
            "somebody insists"
        );
    }

    #[test]
    fn the_age_of_a_deletion_is_counted_from_when_it_was_asked_for() {
        assert!(since(at("2020-01-01T00:00:00Z")) > Duration::from_hours(24));
        assert_eq!(since(at("2100-01-01T00:00:00Z")), Duration::ZERO, "clocks differ");
    }

    #[test]
    fn a_deletion_is_as_old_as_its_status_says_after_a_restart() {
        let told = |kind: &str, time: &str| -> InstallStatus {
            let condition = json!({"type": kind, "status": "True", "lastTransitionTime": time});
            serde_json::from_value(json!({"conditions": [condition]})).unwrap()
        };
        let asked = at("2026-01-01T12:00:00Z");
        let since = |kind, time| deleting_since(&told(kind, time), asked).map(shown);
        assert_eq!(since("Deleting", "2026-01-01T12:00:05Z").as_deref(), Some("2026-01-01T12:00:05Z"));
        assert_eq!(since("Reconciling", "2026-01-01T12:00:05Z"), None);
        assert_eq!(since("Deleting", "2026-01-01T11:00:00Z"), None, "nothing was to be deleted then");
    }

    #[test]
    fn a_held_deletion_says_by_whom_until_when_and_how_to_go_on() {
        let message = held_message("in use by Pod shop/cart", at("2026-01-01T12:00:00Z"), Duration::from_hours(24));
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
}
