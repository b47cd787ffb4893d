//! A dump of the controller's state for troubleshooting: the kinds that are watched, the resources with the objects they want,
//! and the owner of each object.

use super::context::Context;
use crate::api::component::Component;
use crate::object::OwnerId;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::PoisonError;

impl Context {
    /// The state, as JSON. What a reconcile is working on at this moment is left out of its resource.
    #[must_use]
    pub fn state(&self) -> Value {
        json!({
            "watches": self.watches(),
            "resources": self.resources(),
            "objects": self.objects(),
        })
    }

    /// Whether a resource is known, so that what it has is nobody's orphan.
    fn is_known(&self, id: &OwnerId) -> bool {
        self.ownership.get(id).is_some()
            || self.memories.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    fn watches(&self) -> Vec<Value> {
        let (blind, objects) = (self.index.blind(), self.index.objects());
        let mut kinds = self.index.kinds();
        kinds.sort();
        let told = kinds.into_iter().map(|(api_version, kind)| {
            let count =
                objects.iter().filter(|(key, known)| known.api_version == api_version && key.kind == kind).count();
            let failing = blind.iter().find(|blind| blind.api_version == api_version && blind.kind == kind);
            json!({
                "apiVersion": api_version,
                "kind": kind,
                "isCurrent": self.index.is_complete(&api_version, &kind),
                "failingSince": failing.map(|blind| format!("{:.0}", blind.since)),
                "error": failing.map(|blind| blind.error.to_string()),
                "objects": count,
            })
        });
        told.collect()
    }

    fn resources(&self) -> Vec<Value> {
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ids = self.ownership.known().into_iter().chain(memories.keys().cloned());
        let told = ids.collect::<BTreeSet<_>>().into_iter().map(|id| {
            let claim = self.ownership.get(&id).unwrap_or_default();
            let memory = memories.get(&id).and_then(|memory| memory.try_lock().ok());
            json!({
                "namespace": id.namespace,
                "name": id.name,
                "waitsForAPass": self.queue.has(&id),
                "isRead": !self.unread.lock().unwrap_or_else(PoisonError::into_inner).contains(&id),
                "version": claim.version,
                "revision": claim.revision,
                "wants": claim.keys.len(),
                "wantsAreOfItsPresentSpec": claim.is_current,
                "reconcile": memory.map(|memory| json!({
                    "generation": memory.generation,
                    "failures": memory.failures,
                    "inventory": memory.install.inventory.len(),
                    "objectsThatNeedNoRead": memory.install.observed_count(),
                    "statusOfVersion": memory.status_version,
                })),
            })
        });
        told.collect()
    }

    fn objects(&self) -> Vec<Value> {
        let told = self.index.objects().into_iter().map(|(key, known)| {
            json!({
                "object": key.to_string(),
                "apiVersion": known.api_version,
                "uid": known.uid,
                "resourceVersion": known.resource_version,
                "owner": format!("{}/{}", known.owner.namespace, known.owner.name),
                "ownerExists": self.is_known(&known.owner),
                "component": known.component.map(Component::name),
                "revision": known.revision,
                "isIgnored": known.is_ignored,
                "isKept": known.is_kept,
                "isTerminating": known.is_terminating,
                "isStale": known.is_stale,
                "wantedBy": self.ownership.wanted_by(&key).into_iter().map(|id| id.namespace + "/" + &id.name).collect::<Vec<_>>(),
            })
        });
        told.collect()
    }
}
