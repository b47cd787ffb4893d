//! One object of an installation: read, compared, and written where it differs.

use super::index::OwnerId;
use super::install::Pass;
use super::{Seen, Standing};
use crate::api::IGNORE;
use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::install::apply::{self, Comparison};
use crate::install::readiness::{self, Readiness};
use crate::object::Object;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::time::{Duration, Instant};

/// What came of one object.
pub(super) struct Brought {
    /// How it stands.
    pub seen: Seen,
    /// What was repaired, and who had changed it.
    pub repair: Option<(Vec<String>, Vec<String>)>,
    /// When a repair that has to wait is due.
    pub again: Option<Duration>,
}

impl Pass<'_> {
    /// The other resource whose an object is, if it is.
    pub(super) fn holder(&self, object: &Object, component: Component) -> Option<OwnerId> {
        let key = object.key();
        let named = self.context.index.get(&key).map(|known| known.owner);
        self.context.claims.held_by_another(self.id, &key, component, named.as_ref())
    }

    /// How an object of another resource stands to what this one wants. Nothing is written.
    pub(super) async fn regard(
        &self,
        object: &Object,
        component: Component,
        other: OwnerId,
    ) -> Result<Seen, ClusterError> {
        let (key, digest) = (object.key(), object.digest());
        let known = self.context.index.get(&key);
        if let (Some(known), Some(seen)) = (&known, self.memory.objects.get(&key))
            && seen.digest == digest
            && known.is_unchanged_since(&seen.resource_version)
            && matches!(&seen.standing, Standing::Shared(o) | Standing::Conflict(o, _) if *o == other)
        {
            return Ok(seen.clone());
        }
        let Some(live) = self.context.cluster.get(object.api_version(), &key).await? else {
            let readiness = Readiness::Waiting(format!("IstioOperator {}/{} to create it", other.0, other.1));
            let (uid, resource_version) = (String::new(), String::new());
            let api_version = object.api_version().to_owned();
            return Ok(Seen {
                digest,
                api_version,
                uid,
                resource_version,
                readiness,
                standing: Standing::Shared(other),
            });
        };
        // The base serves all revisions; that of the newest version serves the older ones too.
        let differences =
            if component == Component::Base { vec![] } else { apply::differences_but_for_owner(object, &live) };
        let standing =
            if differences.is_empty() { Standing::Shared(other) } else { Standing::Conflict(other, differences) };
        Ok(seen(object, &live, digest, standing, self.autoscalers.least(object)))
    }

    /// Tells what is wanted of an object from what was wanted before.
    pub(super) fn digest(&self, object: &Object) -> u64 {
        object.digest() ^ self.autoscalers.least(object).map_or(0, i64::cast_unsigned)
    }

    /// One object: nothing where it was last seen equal and has not changed since, else a read and, if it differs, a write.
    pub(super) async fn bring(&self, object: &Object) -> Result<Brought, ClusterError> {
        let (context, memory) = (self.context, &*self.memory);
        let key = object.key();
        let digest = self.digest(object);
        let known = context.index.get(&key);
        let same = memory.objects.get(&key).filter(|seen| seen.digest == digest);
        if let Some(rejected) = same.filter(|seen| matches!(seen.standing, Standing::Rejected(_)))
            && self.is_unchanged(object, rejected)
        {
            return Ok(Brought::unchanged(rejected.clone()));
        }
        let last = same.filter(|seen| seen.standing == Standing::Own);
        if let (Some(known), Some(last)) = (&known, last)
            && known.is_unchanged_since(&last.resource_version)
        {
            return Ok(Brought::unchanged(last.clone()));
        }
        if let Some(known) = known.as_ref().filter(|known| known.is_ignored) {
            let (uid, resource_version) = (known.uid.clone(), known.resource_version.clone());
            let (api_version, standing) = (known.api_version.clone(), Standing::Ignored);
            let seen = Seen { digest, api_version, uid, resource_version, readiness: Readiness::Ready, standing };
            return Ok(Brought::unchanged(seen));
        }
        let live = match self.meet(object, digest).await? {
            Met::Live(live) => live.map(|live| *live),
            Met::Left(seen) => return Ok(Brought::unchanged(seen)),
        };
        let scaling = self.autoscalers.scaling(&context.cluster, object, live.as_ref()).await;
        let mut comparison = apply::compare(object, live.as_ref(), scaling.replicas);
        let standing = |live: &DynamicObject| seen(object, live, digest, Standing::Own, scaling.least);
        if let Some(live) = &live {
            comparison = apply::settle(&context.cluster, comparison, live).await;
            if comparison.is_equal() {
                return Ok(Brought::unchanged(standing(live)).look_again(scaling.is_passing));
            }
        }
        let wait = memory.fights.wait(&key, &comparison.differences, context.config.repair_limits, Instant::now());
        if let (Some(last), Some(_)) = (last, wait) {
            let mut seen = match &live {
                Some(live) => standing(live),
                None => Seen { readiness: Readiness::Waiting("somebody keeps deleting it".into()), ..last.clone() },
            };
            seen.resource_version.clear();
            return Ok(Brought { seen, repair: None, again: wait });
        }
        let written = self.write(&comparison, live.is_some()).await?;
        let changed = live.as_ref().is_none_or(|live| live.resource_version() != written.resource_version());
        let repair = (last.is_some() && changed).then_some((comparison.differences, comparison.by));
        Ok(Brought { repair, ..Brought::unchanged(standing(&written)).look_again(scaling.is_passing) })
    }

    async fn write(&self, comparison: &Comparison, exists: bool) -> Result<DynamicObject, ClusterError> {
        let written = apply::write(&self.context.cluster, comparison).await?;
        let key = comparison.desired.key();
        let metrics = &self.context.metrics.objects;
        let counters = if exists { &metrics.updated } else { &metrics.created };
        counters.inc(key.group_kind());
        metrics.applied.inc();
        tracing::debug!(object = %key, fields = ?comparison.differences, by = ?comparison.by, "applied");
        Ok(written)
    }

    /// The live object, which an earlier installer may have written that left no label to know it by: so it is always read.
    /// Once in the life of a resource it is taken over; the inventory tells whether it was.
    async fn meet(&self, object: &Object, digest: u64) -> Result<Met, ClusterError> {
        let (cluster, key) = (&self.context.cluster, object.key());
        let Some(live) = cluster.get(object.api_version(), &key).await? else { return Ok(Met::Live(None)) };
        if live.annotations().get(IGNORE).is_some_and(|value| value == "true") {
            let mut seen = seen(object, &live, digest, Standing::Ignored, None);
            if !self.memory.inventory.contains_key(&key) {
                // We never had it, so it goes into no inventory.
                seen.uid.clear();
            }
            return Ok(Met::Left(seen));
        }
        if live.metadata.deletion_timestamp.is_some() {
            // It is created anew when it is gone; its event brings us back.
            return Ok(Met::Left(seen(object, &live, digest, Standing::Own, None)));
        }
        let is_known = self.memory.inventory.get(&key).is_some_and(|entry| live.uid().as_ref() == Some(&entry.uid));
        if is_known {
            return Ok(Met::Live(Some(live.into())));
        }
        let live = apply::take_over(cluster, object.api_version(), &key, live).await?;
        Ok(Met::Live(live.map(Box::new)))
    }
}

/// What was found of an object.
enum Met {
    /// To be made as desired.
    Live(Option<Box<DynamicObject>>),
    /// To be left as it is.
    Left(Seen),
}

impl Brought {
    fn unchanged(seen: Seen) -> Self {
        Self { seen, repair: None, again: None }
    }

    /// Has the object looked at in each pass, and after a while in any case, where nobody tells of what it depends on.
    fn look_again(mut self, is_passing: bool) -> Self {
        const AFTER: Duration = Duration::from_mins(5);
        if is_passing {
            self.seen.resource_version.clear();
            self.again = Some(AFTER);
        }
        self
    }
}

fn seen(object: &Object, live: &DynamicObject, digest: u64, standing: Standing, least: Option<i64>) -> Seen {
    let readiness = match standing {
        Standing::Ignored => Readiness::Ready,
        _ => readiness::readiness(object.group(), object.kind(), live, least),
    };
    Seen {
        digest,
        api_version: object.api_version().to_owned(),
        uid: live.uid().unwrap_or_default(),
        resource_version: live.resource_version().unwrap_or_default(),
        readiness,
        standing,
    }
}
