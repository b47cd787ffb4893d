//! What applying a plan would make of each object, in the API server's own words: each is sent as a dry run, which stores
//! nothing.
//!
//! Other than a [`preview`](super::preview), which names fields, this has every object as it is and as it would be, with what
//! the API server and admission webhooks add. What would be refused, and what cannot be found out of an object, is said of it, and
//! spoils nothing else.

use super::apply::namespace_of;
use super::candidate::{Candidate, in_order_of_deletion};
use super::definition;
use super::engine::Engine;
pub(crate) use super::fields::content;
use super::fields::{self, Effect};
use super::outcome::summary;
use super::plan::Plan;
use super::state::State;
use crate::api::annotations;
use crate::api::component::Component;
use crate::cluster::{ClusterError, Refusal};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey, OwnerId, labels};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many objects are asked for at once.
const AT_ONCE: usize = 16;

/// An object, and what would become of it.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The object.
    pub key: ObjectKey,
    /// Its `group/version`.
    pub api_version: String,
    /// The component that it is of, as far as that is known.
    pub component: Option<Component>,
    /// What would become of it.
    pub fate: Fate,
}

/// What would become of an object.
#[derive(Clone, Debug)]
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
    /// The API server would not take it.
    Refused(Refused),
    /// The API server does not say; why.
    Unknown(Arc<ClusterError>),
}

/// Why the API server would not take an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// In its words.
    pub why: String,
    /// The user who lacks permissions for it, if it is that.
    pub user: Option<String>,
}

/// An object that would be deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Deleted {
    /// As it is.
    pub before: Value,
    /// The revision that it says it is of, `default` for the unnamed one.
    pub revision: Option<String>,
}

impl Engine<'_> {
    /// What would become of every object that a plan is about, and of the namespace of the control plane; and of the record of the
    /// installation where it would be refused.
    ///
    /// # Errors
    /// The API server cannot be read.
    pub async fn forecast(&self, owner: &OwnerId, plan: &Plan, state: &State) -> Result<Vec<Forecast>, ClusterError> {
        let ask = Ask { engine: *self, owner, plan, state, prerequisites: Prerequisites::of(plan.manifests()) };
        // It lacks a name only where the manifests have no namespace, so that there is none to create.
        let namespace = Object::new(namespace_of(plan.manifests())).ok();
        let mut all: Vec<_> = namespace.iter().map(|namespace| ask.namespace(namespace).boxed()).collect();
        let parts = plan.manifests().parts.iter();
        let objects = parts.flat_map(|part| part.objects.iter().map(|object| (part.component, object)));
        all.extend(objects.map(|(component, object)| ask.wanted(component, object).boxed()));
        let candidates = in_order_of_deletion(plan.candidates().iter().collect(), |one| (&one.key, one.component));
        all.extend(candidates.into_iter().map(|one| ask.unwanted(one).boxed()));
        let mut found: Vec<Forecast> = stream::iter(all).buffered(AT_ONCE).try_collect().await?;
        found.extend(ask.record().await);
        Ok(found)
    }
}

/// What a plan brings before the objects that need it: namespaces and CRDs.
struct Prerequisites<'a> {
    namespaces: BTreeSet<&'a str>,
    /// The crds of kinds, by group and kind.
    crds: BTreeMap<(String, String), &'a Object>,
}

impl<'a> Prerequisites<'a> {
    fn of(manifests: &'a Manifests) -> Self {
        let text = |object: &Object, at: &str| object.value().pointer(at).and_then(Value::as_str).map(str::to_owned);
        let defined = |object: &'a Object| {
            let group = text(object, "/spec/group").unwrap_or_default();
            ((group, text(object, "/spec/names/kind").unwrap_or_default()), object)
        };
        let own = (!manifests.parts.is_empty()).then_some(manifests.namespace.as_str());
        let named = manifests.objects().filter(|object| object.kind() == "Namespace" && object.group().is_empty());
        Self {
            namespaces: own.into_iter().chain(named.map(Object::name)).collect(),
            crds: manifests.objects().filter(|object| object.is_crd()).map(defined).collect(),
        }
    }

    fn crd(&self, object: &Object) -> Option<&'a Object> {
        self.crds.get(&(object.group().to_owned(), object.kind().to_owned())).copied()
    }
}

struct Ask<'a> {
    engine: Engine<'a>,
    owner: &'a OwnerId,
    plan: &'a Plan,
    state: &'a State,
    prerequisites: Prerequisites<'a>,
}

impl Ask<'_> {
    /// The namespace of the control plane is created where it is missing, and left as it is elsewhere.
    async fn namespace(&self, namespace: &Object) -> Result<Forecast, ClusterError> {
        let live = self.read(namespace.api_version(), &namespace.key()).await?;
        let is_needed = live.is_none() && !self.plan.manifests().parts.is_empty();
        let fate = if is_needed { self.created(namespace).await } else { Fate::Same };
        Ok(Forecast::of(namespace, None, fate))
    }

    /// The record is not part of the installation, so it is told only where it would be refused.
    async fn record(&self) -> Option<Forecast> {
        let record = self.plan.record();
        if self.plan.manifests().parts.is_empty() {
            return None;
        }
        match self.engine.cluster.apply(record, true).await {
            Err(error) if error.is_refused() => Some(Forecast::of(record, None, Fate::Refused(Refused::by(&error)))),
            _ => None,
        }
    }

    async fn unwanted(&self, candidate: &Candidate) -> Result<Forecast, ClusterError> {
        let Candidate { key, entry, component, revision } = candidate;
        let live = self.read(&entry.api_version, key).await?;
        let deleted = |live: &DynamicObject| Deleted { before: content(live), revision: revision.clone() };
        let fate = match &live {
            None => Fate::Same,
            Some(live) => match self.engine.cluster.try_delete(&entry.api_version, key).await {
                Err(error) if error.is_refused() => Fate::Refused(Refused::by(&error)),
                _ => Fate::Delete(Box::new(deleted(live))),
            },
        };
        Ok(Forecast { key: key.clone(), api_version: entry.api_version.clone(), component: *component, fate })
    }

    async fn read(&self, api_version: &str, key: &ObjectKey) -> Result<Option<DynamicObject>, ClusterError> {
        match self.engine.cluster.get(api_version, key).await {
            // Its CRD would be created first.
            Err(error) if error.is_absent() => Ok(None),
            other => other,
        }
    }

    async fn wanted(&self, component: Component, object: &Object) -> Result<Forecast, ClusterError> {
        let fate = match self.read(object.api_version(), &object.key()).await? {
            None => self.created(object).await,
            Some(live) => self.changed(component, object, &live).await,
        };
        Ok(Forecast::of(object, Some(component), fate))
    }

    async fn created(&self, object: &Object) -> Fate {
        let desired = fields::compare(object, None, fields::Replicas::Desired).desired;
        let Err(error) = self.engine.cluster.apply(&desired, true).await else {
            return Fate::Create(desired.value().into_owned());
        };
        match (&error, error.missing_namespace()) {
            (_, Some(namespace)) if !self.prerequisites.namespaces.contains(namespace) => Fate::Refused(Refused {
                why: format!(
                    "there is no namespace {namespace}, and this does not create it: kubectl create namespace {namespace}"
                ),
                user: None,
            }),
            (ClusterError::UnknownKind { .. }, _) if self.prerequisites.crd(object).is_none() => {
                Fate::Refused(Refused { why: format!("{error}, and this does not define it"), user: None })
            }
            // What its namespace or its CRD is not there for, will be created after them.
            _ if error.is_absent() => Fate::Create(desired.value().into_owned()),
            _ => self.failed(object, error).await,
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
            Err(error) => self.failed(object, error).await,
        }
    }

    /// What it means that a dry run failed. Where the plan changes who decides, the answer of today is none.
    async fn failed(&self, object: &Object, error: ClusterError) -> Fate {
        let is_decided = error.is_refused()
            && !is_by_istiod(&error)
            && (error.refusal() != Refusal::Never || !self.is_redefined(object).await);
        if is_decided { Fate::Refused(Refused::by(&error)) } else { Fate::Unknown(Arc::new(error)) }
    }

    /// Whether the CRD of its kind comes, or changes, with the plan.
    async fn is_redefined(&self, object: &Object) -> bool {
        let Some(crd) = self.prerequisites.crd(object) else { return false };
        let is_same = |live: &DynamicObject| {
            definition::has_more(crd, live) || fields::compare(crd, Some(live), fields::Replicas::Desired).is_equal()
        };
        !matches!(self.read(crd.api_version(), &crd.key()).await, Ok(Some(live)) if is_same(&live))
    }
}

/// Whether an istiod said no, which may be another one once the plan is applied.
fn is_by_istiod(error: &ClusterError) -> bool {
    error.denying_webhook().is_some_and(|webhook| webhook.ends_with(".istio.io"))
}

impl Forecast {
    fn of(object: &Object, component: Option<Component>, fate: Fate) -> Self {
        Self { key: object.key(), api_version: object.api_version().to_owned(), component, fate }
    }
}

impl Refused {
    /// By an answer of the API server.
    #[must_use]
    pub fn by(error: &ClusterError) -> Self {
        match (error.missing_permissions(), error.refused_user()) {
            (Some(missing), Some(user)) => Self {
                why: format!("user {user} lacks permissions: {}", summary(&missing)),
                user: Some(user.to_owned()),
            },
            _ => Self { why: error.server_message(), user: None },
        }
    }
}
