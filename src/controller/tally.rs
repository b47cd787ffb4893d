//! What is counted of passes: how many resources wait for one, and what is wrong with specs.

use super::index::OwnerId;
use crate::object::manifests::Manifests;
use crate::process::metrics::Metrics;
use crate::release::ReleaseError;
use crate::render::RenderError;
use crate::render::chart::ComponentError;
use crate::spec::resolve::{ResolveError, translate};
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The resources that wait for a pass, each once.
#[derive(Default)]
pub(super) struct Queue(Mutex<HashSet<OwnerId>>);

impl Queue {
    /// A resource has to be looked at.
    pub fn enter(&self, id: OwnerId, metrics: &Metrics) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(id);
        metrics.set_queue_depth(waiting.len());
    }

    /// Whether a resource waits.
    pub fn has(&self, id: &OwnerId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// A pass begins, or there is nothing to look at.
    pub fn leave(&self, id: &OwnerId, metrics: &Metrics) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(id);
        metrics.set_queue_depth(waiting.len());
    }
}

/// Counts what came of a spec.
pub(super) fn count_build(metrics: &Metrics, resource: &DynamicObject, built: Result<&Manifests, &RenderError>) {
    let spec = resource.data.get("spec").unwrap_or(&Value::Null);
    if translate::has_old_values(spec) {
        metrics.count("legacy_path_translation", []);
    }
    match built {
        Ok(manifests) => {
            for part in &manifests.parts {
                metrics.count("render_manifest", [("component", part.component.name())]);
            }
        }
        Err(RenderError::Release(ReleaseError::Read { .. } | ReleaseError::Write { .. })) => {
            metrics.count("cr_merge_failure", [("error_type", "cannot_fetch_profile")]);
        }
        Err(RenderError::Resolve(ResolveError::Merge { .. })) => {
            metrics.count("cr_merge_failure", [("error_type", "overlay")]);
        }
        Err(RenderError::Resolve(ResolveError::Invalid(problems))) => {
            if problems.iter().any(|p| p.path == "spec.profile") {
                metrics.count("cr_merge_failure", [("error_type", "cannot_fetch_profile")]);
            } else {
                metrics.count("cr_validation_error", []);
            }
        }
        Err(RenderError::Component(errors)) => {
            for error in errors {
                let (ComponentError::Chart { component, .. } | ComponentError::Document { component, .. }) = error;
                render_error(metrics, component.name(), "helm_chart_render");
            }
        }
        Err(RenderError::Overlay(errors)) => {
            for _ in errors {
                metrics.count("manifest_patch_error", []);
            }
            render_error(metrics, "", "k8s_manifest_patch");
        }
        Err(RenderError::Release(ReleaseError::Chart { name, .. })) => {
            render_error(metrics, name, "render_not_started");
        }
        Err(RenderError::Release(ReleaseError::Crd { component, .. })) => {
            render_error(metrics, component.name(), "render_not_started");
        }
        Err(RenderError::Duplicate(_)) => render_error(metrics, "", "helm_chart_render"),
    }
}

fn render_error(metrics: &Metrics, component: &str, why: &str) {
    metrics.count("manifest_render_error", [("component", component), ("render_error", why)]);
}
