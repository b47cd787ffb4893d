//! The deletion of a resource that is annotated to be tried only.
//!
//! Guarantee: nothing is deleted. The deletion waits, and says what it would delete; when its time is up, or the namespace of the
//! resource ends, only the resource goes, and what it installed is left behind with a warning.

use super::clock::{shown, since};
use crate::api::{DRY_RUN, IGNORE_RECONCILE};
use crate::install::cut_summary;
use crate::install::remains::{Remaining, Remains};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// What becomes of such a resource that has something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes, and this is what is told of what it leaves.
    LeaveBehind(String),
    /// It waits for so long at most, and this is told.
    Hold(String, Duration),
}

/// Of a resource that has these, whose deletion was asked for then and may be held for so long, in a namespace that ends or not.
pub(super) fn verdict(found: &Remains, asked: Timestamp, hold: Duration, is_ending: bool) -> Verdict {
    if is_ending || since(asked) >= hold {
        Verdict::LeaveBehind(format!("annotated {DRY_RUN}, so nothing is deleted; left behind: {}", names(found)))
    } else {
        Verdict::Hold(message(found, asked, hold), hold.saturating_sub(since(asked)))
    }
}

fn names(found: &Remains) -> String {
    let objects: Vec<String> = found.to_delete().map(Remaining::told).collect();
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
