//! The deletion of a resource that is annotated to be tried only.
//!
//! Guarantee: nothing is deleted. The deletion waits, and says what it would delete; when its time is up, or the namespace of the
//! resource ends, only the resource goes, and what it installed is left behind with a warning.

use super::look::Look;
use super::{ASK_AGAIN, guard, shown, since};
use crate::api::{DRY_RUN, IGNORE_RECONCILE};
use crate::controller::error::ReconcileError;
use crate::controller::finalizer::remove_finalizer;
use crate::controller::reconcile::Reconcile;
use crate::controller::status::Conclusion;
use crate::install::cut_summary;
use crate::install::remains::{Remaining, Remains};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use std::collections::BTreeSet;
use std::time::Duration;

impl Reconcile<'_> {
    /// Deletes nothing. A resource of which there is nothing goes.
    pub(super) async fn hold_dry_run(&mut self) -> Result<Action, ReconcileError> {
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
        if is_ending || since(asked) >= hold {
            let text = format!("annotated {DRY_RUN}, so nothing is deleted; left behind: {}", names(&found));
            return self.leave_behind("LeftBehind", text).await;
        }
        self.tell_deletion(Conclusion::Held(message(&found, asked, hold))).await;
        let left = hold.saturating_sub(since(asked));
        Ok(Action::requeue(self.state.deletion.pause(requests, ASK_AGAIN).min(left)))
    }
}

fn names(found: &Remains) -> String {
    let objects: Vec<String> = found.doomed().map(Remaining::told).collect();
    let unread = found.unread.iter().map(|unread| unread.error.to_string());
    cut_summary(&objects.into_iter().chain(unread).collect::<Vec<_>>())
}

/// The deletion waits: for whom, until when, and how to go on.
fn message(found: &Remains, asked: Timestamp, hold: Duration) -> String {
    let until = shown(asked.checked_add(hold).unwrap_or(asked));
    format!(
        "dry run: the resource is annotated {DRY_RUN}, so nothing is deleted of what it has: {}; take the annotation away to have \
         all of it deleted, or annotate the resource {IGNORE_RECONCILE}=true to keep everything that is installed and let only the \
         resource go, as happens by itself at {until}",
        names(found)
    )
}
