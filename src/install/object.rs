//! One object of an installation: read, compared, and written where it differs.
//!
//! Guarantee: an object that was last seen equal and has not changed since costs no request; one that differs costs a read and
//! a write; one that another resource has, or that is annotated to be left alone, is never written.

use super::cached::CachedObject;
use super::definition;
use super::engine::Event;
use super::fields::{self, Comparison};
use super::outcome::Repair;
use super::readiness::Readiness;
use super::run::{ObjectOutcome, Run};
use super::state::{ObjectState, Observed};
use crate::api::annotations;
use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::object::{Object, OwnerId};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::time::Instant;

/// What is to be done for an object, by what is known of it without a request.
enum Next {
    /// Nothing: it stands like this.
    Keep(Observed),
    /// It has to be read. With how it stood when it was last looked at as it is wanted now.
    Read(Option<Observed>),
}

/// The one function that tells what is to be done for an object. `seen` is what was last seen of it, `cached` what is known of
/// it now, `digest` that of what is wanted. Where its kind `is_awaited`, what was ready is believed to be so still: whatever
/// has happened to it since will be told.
fn next(digest: u64, seen: Option<&Observed>, cached: Option<&CachedObject>, is_awaited: bool) -> Next {
    let same = seen.filter(|seen| seen.digest == digest);
    match same {
        Some(seen) if matches!(seen.state, ObjectState::Rejected(_)) && is_unchanged(seen, cached) => {
            return Next::Keep(seen.clone());
        }
        Some(seen)
            if matches!(seen.state, ObjectState::Managed)
                && !seen.is_passing
                && cached.is_some_and(|cached| cached.is_unchanged_since(&seen.resource_version)) =>
        {
            return Next::Keep(seen.clone());
        }
        Some(seen) if is_awaited && cached.is_none() && seen.is_settled() => return Next::Keep(seen.clone()),
        _ => {}
    }
    match cached {
        Some(cached) if cached.is_ignored => Next::Keep(Observed {
            digest,
            api_version: cached.api_version.clone(),
            uid: cached.uid.clone(),
            resource_version: cached.resource_version.clone(),
            readiness: Readiness::Ready,
            is_passing: false,
            state: ObjectState::Ignored,
        }),
        _ => Next::Read(same.filter(|seen| matches!(seen.state, ObjectState::Managed)).cloned()),
    }
}

/// Whether a live object is as it was when it was last looked at.
pub(super) fn is_unchanged(seen: &Observed, cached: Option<&CachedObject>) -> bool {
    match cached {
        Some(cached) => cached.is_unchanged_since(&seen.resource_version),
        None => seen.resource_version.is_empty(),
    }
}

/// What was found when an object was read.
enum Live {
    /// To be made as it is wanted; `None` where there is none.
    Ours(Option<Box<DynamicObject>>),
    /// To be left as it is.
    Left(Observed),
}

/// Whether a map that should be empty is null. Where a map loses its last field, and should stay as an empty one, the API
/// server's merge leaves that, in fields without a schema; a second apply puts it right.
fn is_emptied(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Null) => wanted.is_empty(),
        (Value::Object(wanted), Value::Object(live)) => {
            wanted.iter().any(|(key, wanted)| live.get(key).is_some_and(|live| is_emptied(wanted, live)))
        }
        _ => false,
    }
}

impl Run<'_> {
    /// How an object of another resource stands to what this one wants. Nothing is written.
    pub(super) async fn compare_shared(
        &self,
        object: &Object,
        component: Component,
        other: OwnerId,
    ) -> Result<Observed, ClusterError> {
        let (key, digest) = (object.key(), self.digest(object));
        let cached = self.engine.cache.get(&key);
        if let (Some(cached), Some(seen)) = (&cached, self.state.objects.get(&key))
            && seen.digest == digest
            && cached.is_unchanged_since(&seen.resource_version)
            && matches!(&seen.state, ObjectState::Shared(o) | ObjectState::Conflict(o, _) if *o == other)
        {
            return Ok(seen.clone());
        }
        let Some(live) = self.engine.cluster.get(object.api_version(), &key).await? else {
            return Ok(Observed {
                digest,
                api_version: object.api_version().to_owned(),
                uid: String::new(),
                resource_version: String::new(),
                readiness: Readiness::Waiting(format!("IstioOperator {other} to create it")),
                is_passing: false,
                state: ObjectState::Shared(other),
            });
        };
        // The base serves all revisions; that of the newest version serves the older ones too.
        let differences =
            if component == Component::Base { vec![] } else { fields::differences_but_for_owner(object, &live) };
        let state =
            if differences.is_empty() { ObjectState::Shared(other) } else { ObjectState::Conflict(other, differences) };
        Ok(Observed::live(object, &live, digest, state, self.plan.autoscalers().least(object)))
    }

    /// One object: nothing where it was last seen equal and has not changed since, else a read and, if it differs, a write.
    pub(super) async fn reconcile_object(&self, object: &Object) -> Result<ObjectOutcome, ClusterError> {
        let (engine, key, digest) = (self.engine, object.key(), self.digest(object));
        let cached = engine.cache.get(&key);
        let is_awaited = engine.cache.is_awaited(object.api_version(), &key.kind);
        let last = match next(digest, self.state.objects.get(&key), cached.as_ref(), is_awaited) {
            Next::Keep(observed) => return Ok(ObjectOutcome::Unchanged(observed)),
            Next::Read(last) => last,
        };
        let live = match self.read_object(object, digest).await? {
            Live::Ours(live) => live.map(|live| *live),
            Live::Left(observed) => return Ok(ObjectOutcome::Unchanged(observed)),
        };
        let scaling = self.plan.autoscalers().scaling(engine.cluster, object, live.as_ref()).await;
        let mut comparison = fields::compare(object, live.as_ref(), scaling.replicas);
        let observed = |live: &DynamicObject| Observed {
            is_passing: scaling.is_passing,
            ..Observed::live(object, live, digest, ObjectState::Managed, scaling.least)
        };
        if let Some(live) = &live {
            comparison = fields::settle(engine.cluster, comparison, live).await;
            if comparison.is_equal() {
                return Ok(ObjectOutcome::Unchanged(observed(live)));
            }
        }
        let delay = self.state.repairs.delay(&key, &comparison.differences, self.options.repair_limits, Instant::now());
        if let (Some(last), Some(delay)) = (&last, delay) {
            return Ok(ObjectOutcome::PutOff(Observed::put_off(live.as_ref().map(observed), last), delay));
        }
        let written = self.write(&comparison, live.is_none()).await?;
        let changed = live.as_ref().is_none_or(|live| live.resource_version() != written.resource_version());
        if last.is_none() || !changed {
            return Ok(ObjectOutcome::Written(observed(&written)));
        }
        let repair = Repair { key, was_deleted: live.is_none(), fields: comparison.differences, by: comparison.by };
        Ok(ObjectOutcome::Repaired(observed(&written), repair))
    }

    async fn write(&self, comparison: &Comparison, is_new: bool) -> Result<DynamicObject, ClusterError> {
        let mut written = fields::write(self.engine.cluster, comparison).await?;
        if !is_new && is_emptied(&comparison.desired.value(), &written.data) {
            written = fields::write(self.engine.cluster, comparison).await?;
        }
        let key = comparison.desired.key();
        self.engine.listener.hear(&Event::Applied { key: &key, is_new });
        tracing::debug!(object = %key, fields = ?comparison.differences, by = ?comparison.by, "applied");
        Ok(written)
    }

    /// The live object, which an earlier installer may have written that left no label to know it by: so it is always read.
    /// Once in the life of a resource it is taken over; the inventory tells whether it was.
    async fn read_object(&self, object: &Object, digest: u64) -> Result<Live, ClusterError> {
        let (cluster, key) = (self.engine.cluster, object.key());
        let Some(live) = cluster.get(object.api_version(), &key).await? else { return Ok(Live::Ours(None)) };
        if annotations::is_ignored(live.annotations()) {
            let mut observed = Observed::live(object, &live, digest, ObjectState::Ignored, None);
            if !self.state.inventory.contains_key(&key) {
                // The resource never had it, so it goes into no inventory.
                observed.uid.clear();
            }
            return Ok(Live::Left(observed));
        }
        // What is being deleted is created anew when it is gone; its event brings us back.
        if live.metadata.deletion_timestamp.is_some() || definition::has_more(object, &live) {
            return Ok(Live::Left(Observed::live(object, &live, digest, ObjectState::Managed, None)));
        }
        if self.state.has(&key, &live) {
            return Ok(Live::Ours(Some(live.into())));
        }
        let live = fields::take_over(cluster, object.api_version(), &key, live).await?;
        Ok(Live::Ours(live.map(Box::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_map_that_should_be_empty_is_told_from_one_that_is_null() {
        let wanted = json!({"spec": {"values": {"gateways": {"a": {}, "b": {"c": 1}}}}});
        let of = |a: Value| is_emptied(&wanted, &json!({"spec": {"values": {"gateways": {"a": a, "b": null}}}}));
        assert!(of(Value::Null) && !of(json!({})) && !of(json!({"d": 1})));
        assert!(!is_emptied(&wanted, &json!({"spec": {"values": {}}})));
    }
}
