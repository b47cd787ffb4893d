//! What the engine needs of whoever runs it: the cluster, what is known of live objects without a request, what other
//! resources want, and somebody to tell what happens.
//!
//! The controller has watches and other resources; a command has neither ([`Engine::alone`]): then every object is read, what
//! a resource has is listed by its labels, and nobody else wants anything.

use super::cached::CachedObject;
use super::outcome::ComponentOutcome;
use crate::api::component::Component;
use crate::api::{API_VERSION, KIND};
use crate::cluster::Cluster;
use crate::object::{ObjectKey, OwnerId};
use std::collections::BTreeSet;
use std::time::Duration;

/// The kinds that are known of from the start: those that upstream's prune looked at and its charts have had since 1.17, so
/// that what an older version left is found.
pub const INITIAL_KINDS: &[(&str, &str)] = &[
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
    ("v1", "ResourceQuota"),
    (API_VERSION, KIND),
];

/// For how long what the whole cluster was asked for is good, for runs that follow each other closely: nobody could tell it from what
/// is read and acted on a little later.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// `group/version` and kind.
pub type Kind = (String, String);

/// What is known of a revision tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownTag {
    /// It has to be asked for.
    Unknown,
    /// There is none.
    Absent,
    /// It stands for this revision.
    Of(String),
}

/// What is known of live objects without asking the API server: nothing, unless it says so.
pub trait Cache: Send + Sync {
    /// What is known of an object; `None` where it is not known, or not there.
    fn get(&self, _: &ObjectKey) -> Option<CachedObject> {
        None
    }

    /// The objects whose labels name this resource; `None` where they have to be listed.
    fn owned_by(&self, _: &OwnerId) -> Option<Vec<(ObjectKey, CachedObject)>> {
        None
    }

    /// Whether it is about to be told what there is of this kind, and what is not there any more.
    fn is_awaited(&self, _: &str, _: &str) -> bool {
        false
    }

    /// An object of this kind is installed: the kind is to be known from now on.
    fn watch(&self, _: &str, _: &str) {}

    /// The kinds that objects may have been installed of, besides [`INITIAL_KINDS`].
    fn kinds(&self) -> BTreeSet<Kind> {
        BTreeSet::new()
    }

    /// The revision tag of this name.
    fn tag(&self, _: &str) -> KnownTag {
        KnownTag::Unknown
    }
}

/// Knows nothing.
pub struct NoCache;

impl Cache for NoCache {}

/// What other IstioOperator resources want.
pub trait Others: Send + Sync {
    /// The other resource that an object belongs to, which this one wants too, if there is one. `named` is the resource that
    /// the labels of the live object name.
    fn owner_of(&self, id: &OwnerId, key: &ObjectKey, component: Component, named: Option<&OwnerId>)
    -> Option<OwnerId>;

    /// Whether this other resource wants an object.
    fn does_want(&self, other: &OwnerId, key: &ObjectKey) -> bool;

    /// Whether any other resource wants an object.
    fn want(&self, id: &OwnerId, key: &ObjectKey) -> bool;

    /// Whether it is known of all of them what they want. Until then nothing is deleted.
    fn are_known(&self) -> bool;
}

/// There are no others.
pub struct NoOthers;

impl Others for NoOthers {
    fn owner_of(&self, _: &OwnerId, _: &ObjectKey, _: Component, _: Option<&OwnerId>) -> Option<OwnerId> {
        None
    }

    fn does_want(&self, _: &OwnerId, _: &ObjectKey) -> bool {
        false
    }

    fn want(&self, _: &OwnerId, _: &ObjectKey) -> bool {
        false
    }

    fn are_known(&self) -> bool {
        true
    }
}

/// Something that happens while a plan is applied.
pub enum Event<'a> {
    /// The objects of a component are looked at.
    ComponentStarted {
        /// The component.
        component: Component,
        /// How many objects it has.
        objects: usize,
    },
    /// All that can be done for a component now is done.
    ComponentFinished {
        /// The component.
        component: Component,
        /// What came of it.
        outcome: &'a ComponentOutcome,
        /// How long it took.
        took: Duration,
    },
    /// An object was written.
    Applied {
        /// The object.
        key: &'a ObjectKey,
        /// Whether it was not there before.
        is_new: bool,
    },
    /// An object that somebody had changed was written.
    Repaired {
        /// The object.
        key: &'a ObjectKey,
    },
    /// An object that is no longer wanted, or that of a resource that is removed, was deleted.
    Deleted {
        /// The object.
        key: &'a ObjectKey,
        /// Whether the resource stays.
        is_pruned: bool,
    },
}

/// Hears what happens: progress on a terminal, metrics.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn hear(&self, event: &Event<'_>);
}

/// Tells nobody.
pub struct Silent;

impl Listener for Silent {
    fn hear(&self, _: &Event<'_>) {}
}

/// The engine, with all that it needs. It keeps nothing itself.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// The door to the API server.
    pub cluster: &'a Cluster,
    /// What is known of live objects.
    pub cache: &'a dyn Cache,
    /// What others want.
    pub others: &'a dyn Others,
    /// Hears what happens.
    pub listener: &'a dyn Listener,
}

impl<'a> Engine<'a> {
    /// An engine that knows nothing of the cluster but what it reads.
    #[must_use]
    pub fn alone(cluster: &'a Cluster, listener: &'a dyn Listener) -> Self {
        Self { cluster, cache: &NoCache, others: &NoOthers, listener }
    }

    /// All kinds that objects may have been installed of.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<Kind> {
        let initial = INITIAL_KINDS.iter().map(|(api_version, kind)| ((*api_version).to_owned(), (*kind).to_owned()));
        initial.chain(self.cache.kinds()).collect()
    }
}
