//! What applying a plan would make of each object, in the API server's own words: each is sent as a dry run, which stores
//! nothing.
//!
//! Other than a [`preview`](super::preview), which names fields, this has every object as it is and as it would be, with what
//! the API server and admission webhooks add. What cannot be found out of an object is said of it, and spoils nothing else.

use super::apply::namespace_of;
use super::candidate::{Candidate, in_order_of_deletion};
use super::definition;
use super::engine::Engine;
pub(crate) use super::fields::content;
use super::fields::{self, Effect};
use super::plan::Plan;
use super::state::State;
use crate::api::annotations;
use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::object::{Object, ObjectKey, OwnerId, labels};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

/// How many objects are asked for at once.
const AT_ONCE: usize = 16;

/// An object, and what would become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The object.
    pub key: ObjectKey,
    /// What would become of it.
    pub fate: Fate,
}

/// What would become of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Nothing: it is as it should be.
    Same,
    /// It would be created, as it is here.
    Create(Value),
    /// It would be changed.
    Change(Box<Effect>),
    /// It would be deleted, once nothing needs it.
    Delete(Box<Deleted>),
    /// It is annotated to be left alone.
    Ignored,
    /// It belongs to another resource, and is as this one wants it, too.
    Foreign(OwnerId),
    /// It belongs to another resource and differs in these fields, so that its component is not applied.
    Conflict(OwnerId, Vec<String>),
    /// The API server would not take it, or does not say; with its words.
    Unknown(String),
}

/// An object that would be deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Deleted {
    /// As it is.
    pub before: Value,
    /// The component that it is of, as far as that is known.
    pub component: Option<Component>,
    /// The revision that it says it is of, `default` for the unnamed one.
    pub revision: Option<String>,
}

impl Engine<'_> {
    /// What would become of every object that a plan is about, and of the namespace of the control plane.
    ///
    /// # Errors
    /// The API server cannot be read.
    pub async fn forecast(&self, owner: &OwnerId, plan: &Plan, state: &State) -> Result<Vec<Forecast>, ClusterError> {
        let ask = Ask { engine: *self, owner, plan, state };
        let namespace = Object::new(namespace_of(plan.manifests())).ok();
        let mut all: Vec<_> = namespace.iter().map(|namespace| ask.namespace(namespace).boxed()).collect();
        let parts = plan.manifests().parts.iter();
        let objects = parts.flat_map(|part| part.objects.iter().map(|object| (part.component, object)));
        all.extend(objects.map(|(component, object)| ask.wanted(component, object).boxed()));
        let candidates = in_order_of_deletion(plan.candidates().iter().collect(), |one| (&one.key, one.component));
        all.extend(candidates.into_iter().map(|one| ask.unwanted(one).boxed()));
        stream::iter(all).buffered(AT_ONCE).try_collect().await
    }
}

struct Ask<'a> {
    engine: Engine<'a>,
    owner: &'a OwnerId,
    plan: &'a Plan,
    state: &'a State,
}

impl Ask<'_> {
    /// The namespace of the control plane is created where it is missing, and left as it is elsewhere.
    async fn namespace(&self, namespace: &Object) -> Result<Forecast, ClusterError> {
        let key = namespace.key();
        let live = self.read(namespace.api_version(), &key).await?;
        let is_needed = live.is_none() && !self.plan.manifests().parts.is_empty();
        let fate = if is_needed { Fate::Create(namespace.value().into_owned()) } else { Fate::Same };
        Ok(Forecast { key, fate })
    }

    async fn unwanted(&self, candidate: &Candidate) -> Result<Forecast, ClusterError> {
        let Candidate { key, entry, component, revision } = candidate;
        let live = self.read(&entry.api_version, key).await?;
        let deleted =
            |live: &DynamicObject| Deleted { before: content(live), component: *component, revision: revision.clone() };
        let fate = live.as_ref().map_or(Fate::Same, |live| Fate::Delete(Box::new(deleted(live))));
        Ok(Forecast { key: key.clone(), fate })
    }

    async fn read(&self, api_version: &str, key: &ObjectKey) -> Result<Option<DynamicObject>, ClusterError> {
        match self.engine.cluster.get(api_version, key).await {
            // Its CRD would be created first.
            Err(error) if error.is_absent() => Ok(None),
            other => other,
        }
    }

    async fn wanted(&self, component: Component, object: &Object) -> Result<Forecast, ClusterError> {
        let key = object.key();
        let fate = match self.read(object.api_version(), &key).await? {
            None => self.created(object).await,
            Some(live) => self.changed(component, object, &live).await,
        };
        Ok(Forecast { key, fate })
    }

    async fn created(&self, object: &Object) -> Fate {
        let desired = fields::compare(object, None, fields::Replicas::Desired).desired;
        match self.engine.cluster.apply(&desired, true).await {
            Err(error) if !error.is_absent() => Fate::Unknown(error.to_string()),
            // What its namespace or its CRD is not there for, will be created after them.
            _ => Fate::Create(desired.value().into_owned()),
        }
    }

    async fn changed(&self, component: Component, object: &Object, live: &DynamicObject) -> Fate {
        if annotations::is_ignored(live.annotations()) {
            return Fate::Ignored;
        }
        if definition::has_more(object, live) {
            return Fate::Same;
        }
        let named = labels::owner_of(live.labels());
        if let Some(other) = self.engine.others.owner_of(self.owner, &object.key(), component, named.as_ref()) {
            let is_shared = component == Component::Base;
            let fields = if is_shared { vec![] } else { fields::differences_but_for_owner(object, live) };
            return if fields.is_empty() { Fate::Foreign(other) } else { Fate::Conflict(other, fields) };
        }
        let replicas = self.plan.autoscalers().scaling(self.engine.cluster, object, Some(live)).await.replicas;
        let is_known = self.state.has(&object.key(), live);
        match fields::foresee(self.engine.cluster, object, live, replicas, is_known).await {
            Ok(None) => Fate::Same,
            Ok(Some(effect)) => Fate::Change(Box::new(effect)),
            Err(error) => Fate::Unknown(error.to_string()),
        }
    }
}
