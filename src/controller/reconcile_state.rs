//! What is remembered of a resource between reconciles.
//!
//! Guarantee: it saves requests, and does nothing else. Losing it costs reads, never writes.

use super::deletion::Deletion;
use super::packages::installed::Installed;
use super::usage::Answers;
use crate::api::status::InstallStatus;
use crate::cluster::received::ObservedResource;
use crate::cluster::status_text::{read_status, unknown_part};
use crate::controller::status::Conclusion;
use crate::failure::Cause;
use crate::install;
use crate::object::inventory;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What is remembered of a resource between reconciles: only what saves requests, and what the status says. Losing it costs
/// reads, never writes.
#[derive(Default)]
pub(super) struct ReconcileState {
    /// The resource all this is of; another of the same name starts anew.
    pub uid: String,
    /// The status as last written or read, whichever is newer. As text, since a tree takes ten times as much.
    pub status: String,
    /// The version of the resource that has it.
    pub status_version: u64,
    /// When it was written.
    pub last_written: Option<Instant>,
    /// Whether it may have been written otherwise since: the answer to a write was lost.
    pub is_status_lost: bool,
    /// What the resource has, and what was seen of it.
    pub install: install::State,
    /// The generation of the spec that all this is about.
    pub generation: i64,
    pub failures: u32,
    /// Since when something fails.
    pub failing_since: Option<Instant>,
    /// Who uses the control planes that stay.
    pub users: Answers,
    pub deletion: Deletion,
    /// Whether the spec, as it is, comes to no control plane.
    pub is_without_control_plane: bool,
    /// The release of the package that it was last rendered from.
    pub release: String,
    /// What tells the release that is installed.
    pub installed: Option<Installed>,
    /// The release that others were told of.
    pub told_release: Option<String>,
    /// The last value of the annotation that asks for a reconcile which reads everything anew.
    asked: String,
}

impl ReconcileState {
    /// Starts anew where this is another resource than before, and takes in what is newer than what is remembered.
    pub fn begin(&mut self, resource: &ObservedResource) {
        if self.uid != resource.uid() {
            *self = Self { uid: resource.uid().to_owned(), ..Self::default() };
            self.take_status(resource);
            self.install = install::State::new(inventory::of_status(&self.status()));
        } else if resource.version() >= self.status_version {
            // Also in the version that we have written: what somebody else wrote just before is still in it.
            self.take_status(resource);
        }
        let generation = resource.generation();
        if self.generation != generation {
            // What failed, or took long, was about another spec.
            self.generation = generation;
            (self.failures, self.failing_since) = (0, None);
            self.is_without_control_plane = false;
            self.install.begin_anew();
        }
    }

    /// Forgets what saves reads, once for each request to read everything anew.
    pub fn obey(&mut self, request: Option<String>) {
        let Some(request) = request.filter(|request| *request != self.asked) else { return };
        if self.known().last_handled_reconcile_at.as_ref() != Some(&request) {
            self.install.forget_objects();
            self.users.clear();
            self.installed = None;
            self.failures = 0;
        }
        self.asked = request;
    }

    /// Takes the status of the resource as it was read.
    pub fn take_status(&mut self, resource: &ObservedResource) {
        if self.status != resource.status
            && let Some(lost) = unknown_part(&resource.status)
        {
            tracing::warn!(resource = %resource.id(), lost, "a part of the status cannot be read, and counts as absent");
        }
        self.status.clone_from(&resource.status);
        self.status_version = resource.version();
    }

    /// What is told of something that failed and is tried again: that it is being worked on, and an error once it lasts.
    pub fn failed(&mut self, error: Cause) -> Conclusion {
        const LASTS: Duration = Duration::from_secs(30);
        let known = self.known();
        let mut conditions = known.conditions.iter().flatten();
        let is_known = known.observed_generation == Some(self.generation)
            && conditions.any(|c| c.r#type == "Ready" && c.reason == Conclusion::Failed(Cause::default()).reason());
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if is_known || since.elapsed() >= LASTS { Conclusion::Failed(error) } else { Conclusion::Retrying(error) }
    }

    /// The status; null where there is none.
    pub fn status(&self) -> Value {
        read_status(&self.status)
    }

    /// The status, in our terms; see [`InstallStatus::read`].
    pub fn known(&self) -> InstallStatus {
        InstallStatus::read(&self.status())
    }
}
