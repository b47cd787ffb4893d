//! One object of an installation: read, compared, and written where it differs.

use super::index::OwnerId;
use super::install::Pass;
use super::{Seen, Standing};
use crate::apply;
use crate::cluster::ClusterError;
use crate::component::Component;
use crate::object::Object;
use crate::observe::{self, Readiness};
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
        Ok(seen(object, &live, digest, standing))
    }

    /// One object: nothing where it was last seen equal and has not changed since, else a read and, if it differs, a write.
    pub(super) async fn bring(&self, object: &Object) -> Result<Brought, ClusterError> {
        let (context, memory) = (self.context, &*self.memory);
        let (key, digest) = (object.key(), object.digest());
        let known = context.index.get(&key);
        let same = memory.objects.get(&key).filter(|seen| seen.digest == digest);
        if let Some(rejected) = same.filter(|seen| matches!(seen.standing, Standing::Rejected(_)))
            && self.is_unchanged(object, rejected)
        {
            return Ok(Brought { seen: rejected.clone(), repair: None, again: None });
        }
        let last = same.filter(|seen| seen.standing == Standing::Own);
        if let (Some(known), Some(last)) = (&known, last)
            && known.is_unchanged_since(&last.resource_version)
        {
            return Ok(Brought { seen: last.clone(), repair: None, again: None });
        }
        if let Some(known) = known.as_ref().filter(|known| known.is_ignored) {
            let (uid, resource_version) = (known.uid.clone(), known.resource_version.clone());
            let (api_version, standing) = (known.api_version.clone(), Standing::Ignored);
            let seen = Seen { digest, api_version, uid, resource_version, readiness: Readiness::Ready, standing };
            return Ok(Brought { seen, repair: None, again: None });
        }
        let may_exist = known.is_some() || !context.index.is_complete(object.api_version(), object.kind());
        // What is in the inventory and not in the index may only have lost its labels.
        let may_exist = may_exist || memory.inventory.contains_key(&key);
        let mut live = if may_exist { context.cluster.get(object.api_version(), &key).await? } else { None };
        if let Some(found) = live.take_if(|_| !memory.inventory.contains_key(&key)) {
            live = Some(apply::take_over(&context.cluster, object.api_version(), &key, found).await?);
        }
        if let Some(live) = live.as_ref().filter(|live| live.metadata.deletion_timestamp.is_some()) {
            // It is created anew when it is gone; its event brings us back.
            return Ok(Brought { seen: seen(object, live, digest, Standing::Own), repair: None, again: None });
        }
        let comparison = apply::compare(object, live.as_ref());
        if let Some(live) = live.as_ref().filter(|_| comparison.differences.is_empty()) {
            return Ok(Brought { seen: seen(object, live, digest, Standing::Own), repair: None, again: None });
        }
        let wait = memory.fights.wait(&key, &comparison.differences, Instant::now());
        if let (Some(last), Some(_)) = (last, wait) {
            let mut seen = match &live {
                Some(live) => seen(object, live, digest, Standing::Own),
                None => Seen { readiness: Readiness::Waiting("somebody keeps deleting it".into()), ..last.clone() },
            };
            seen.resource_version.clear();
            return Ok(Brought { seen, repair: None, again: wait });
        }
        let written = apply::write(&context.cluster, &comparison).await?;
        let changed = live.as_ref().is_none_or(|live| live.resource_version() != written.resource_version());
        let kind = key.group_kind();
        let series = if live.is_some() { "resource_update" } else { "resource_creation" };
        context.metrics.count(series, [("kind", &kind)]);
        context.metrics.count("apply", []);
        tracing::debug!(object = %key, fields = ?comparison.differences, by = ?comparison.by, "applied");
        let repair = (last.is_some() && changed).then_some((comparison.differences, comparison.by));
        Ok(Brought { seen: seen(object, &written, digest, Standing::Own), repair, again: None })
    }
}

fn seen(object: &Object, live: &DynamicObject, digest: u64, standing: Standing) -> Seen {
    Seen {
        digest,
        api_version: object.api_version().to_owned(),
        uid: live.uid().unwrap_or_default(),
        resource_version: live.resource_version().unwrap_or_default(),
        readiness: observe::readiness(object.group(), object.kind(), live),
        standing,
    }
}
