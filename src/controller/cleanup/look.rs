//! Which objects of a deletion are checked, and when.

use super::guard;
use crate::controller::context::Context;
use crate::controller::deletion::{Awaited, Deletion, Phase};
use crate::object::{ObjectKey, OwnerId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What is to be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing yet.
    In(Duration),
    /// Everything.
    All,
    /// Only what is waited for.
    At(BTreeSet<ObjectKey>),
}

/// What a reconcile that was woken is to look at.
pub(super) fn due(context: &Context, id: &OwnerId, deletion: &mut Deletion) -> Look {
    let Some(next) = deletion.next else { return Look::All };
    let left = next.saturating_duration_since(Instant::now());
    let awaited = match &deletion.phase {
        Phase::Held { revision, own } => {
            let is_due = left.is_zero() || (guard::seems_unused(context, id, revision, own) && deletion.look_early());
            return if is_due { Look::All } else { Look::In(left) };
        }
        Phase::Asked => &BTreeMap::new(),
        Phase::Deleting { awaited, .. } => awaited,
    };
    let is_there = |(key, awaited): &(&ObjectKey, &Awaited)| may_be_there(context, key, awaited);
    let there: BTreeSet<ObjectKey> = awaited.iter().filter(is_there).map(|(key, _)| key.clone()).collect();
    let has_ended = there.is_empty() && !awaited.is_empty();
    match left.is_zero() || (has_ended && deletion.look_early()) {
        true if there.is_empty() => Look::All,
        true => Look::At(there),
        false => Look::In(left),
    }
}

fn may_be_there(context: &Context, key: &ObjectKey, awaited: &Awaited) -> bool {
    let is_watched = awaited.is_labelled && context.index.is_complete(&awaited.api_version, &key.kind);
    !is_watched || context.index.get(key).is_some_and(|known| known.uid == awaited.uid)
}
