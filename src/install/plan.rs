//! What is to be done, and in which order: wanted objects against what is known of the cluster.
//!
//! ```text
//! manifests + record → Draft → candidates for deletion → (what stays all the same) → Plan
//! ```
//!
//! A [`Plan`] can be built only here. Nothing is written.

use super::autoscaling::Autoscalers;
use super::candidate::Candidate;
use super::engine::Engine;
use super::prune;
use super::state::State;
use super::waves::{Wave, waves};
use super::webhooks::{self, Replaced};
use crate::cluster::ClusterError;
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey, OwnerId};
use std::collections::BTreeSet;

/// Objects that stay although the spec does not want them, such as those of a control plane that is in use.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Everything that stays.
    pub keys: BTreeSet<ObjectKey>,
    /// Objects as they should be, where that is known: these are repaired.
    pub manifests: Option<Manifests>,
}

impl Kept {
    /// Lets go of these objects.
    pub fn give_up(&mut self, keys: &BTreeSet<ObjectKey>) {
        self.keys.retain(|key| !keys.contains(key));
        for part in self.manifests.iter_mut().flat_map(|manifests| &mut manifests.parts) {
            part.objects.retain(|object| !keys.contains(&object.key()));
        }
    }
}

/// What a resource wants, before it is known what of it has to stay that it does not want.
pub struct Draft {
    manifests: Manifests,
    record: Object,
    is_default_tagged: bool,
}

impl Draft {
    /// Of manifests, and the record of the installation that is written once all is applied. While there is the revision tag
    /// `default`, the webhook of the unnamed revision selects nothing.
    pub async fn new(engine: &Engine<'_>, mut manifests: Manifests, record: Object) -> Self {
        let is_default_tagged = webhooks::is_default_tagged(engine, &manifests).await;
        if is_default_tagged {
            webhooks::deactivate_default(&mut manifests);
        }
        Self { manifests, record, is_default_tagged }
    }

    /// What is wanted.
    #[must_use]
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// What the resource has beside it, and what nobody else wants either. Objects of the inventory that turn out not to be the
    /// resource's any more leave it.
    ///
    /// # Errors
    /// What the resource has cannot be read.
    pub async fn candidates(
        &self,
        engine: &Engine<'_>,
        owner: &OwnerId,
        state: &mut State,
    ) -> Result<Vec<Candidate>, ClusterError> {
        let mut wanted = self.manifests.keys();
        wanted.insert(self.record.key());
        prune::candidates(engine, owner, state, &wanted).await
    }

    /// The plan. Of what is `kept`, webhooks that would inject the same pods as some that are wanted are given up.
    ///
    /// # Errors
    /// Webhooks cannot be read.
    pub async fn plan(
        self,
        engine: &Engine<'_>,
        mut candidates: Vec<Candidate>,
        mut kept: Vec<Kept>,
    ) -> Result<Plan, ClusterError> {
        let replaced = webhooks::replaced(engine, candidates.iter().map(|object| &object.key), &self.manifests).await?;
        for kept in &mut kept {
            if let Some(manifests) = kept.manifests.as_mut().filter(|_| self.is_default_tagged) {
                webhooks::deactivate_default(manifests);
            }
            let superseded = kept.manifests.as_ref().map(|old| webhooks::superseded(old, &self.manifests));
            kept.give_up(&replaced.old);
            kept.give_up(&superseded.unwrap_or_default());
        }
        let installations = [&self.manifests].into_iter().chain(kept.iter().filter_map(|kept| kept.manifests.as_ref()));
        let autoscalers = Autoscalers::among(installations.flat_map(Manifests::objects));
        let Self { manifests, record, .. } = self;
        let mut plan = Plan { manifests, record, candidates: vec![], kept, replaced, autoscalers };
        let keys = plan.keys();
        candidates.retain(|object| !keys.contains(&object.key));
        plan.candidates = candidates;
        Ok(plan)
    }
}

/// What is to be done for one installation.
pub struct Plan {
    manifests: Manifests,
    record: Object,
    candidates: Vec<Candidate>,
    kept: Vec<Kept>,
    replaced: Replaced,
    autoscalers: Autoscalers,
}

impl Plan {
    /// What is wanted.
    #[must_use]
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// The record of the installation.
    #[must_use]
    pub fn record(&self) -> &Object {
        &self.record
    }

    /// What is deleted as soon as nothing needs it.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// What stays although it is not wanted, in the order in which it was given; one that has nothing any more is empty.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// The keys of all that is to be there.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        let mut keys = self.manifests.keys();
        keys.insert(self.record.key());
        keys.extend(self.kept.iter().flat_map(|kept| kept.keys.iter().cloned()));
        keys
    }

    /// The waves, parents before children, without what has to wait for the end of something else.
    #[must_use]
    pub fn waves(&self) -> Vec<Wave<'_>> {
        let mut waves = waves(&self.manifests);
        for wave in &mut waves {
            wave.steps.iter_mut().for_each(|step| step.retain(|object| !self.replaced.by.contains(&object.key())));
        }
        waves
    }

    /// Whether the record is that by which a control plane that stays is repaired.
    pub(super) fn is_record_of_kept(&self) -> bool {
        let key = self.record.key();
        self.kept.iter().any(|kept| kept.keys.contains(&key))
    }

    /// Webhooks that go before their [`replacements`](Self::replacements) come.
    pub(super) fn replaced(&self) -> &BTreeSet<ObjectKey> {
        &self.replaced.old
    }

    pub(super) fn replacements(&self) -> Vec<&Object> {
        self.manifests.objects().filter(|object| self.replaced.by.contains(&object.key())).collect()
    }

    pub(super) fn autoscalers(&self) -> &Autoscalers {
        &self.autoscalers
    }
}
