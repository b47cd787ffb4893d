//! Metrics of rendering: how many specs were rendered, and why the others were not.

use crate::api::component;
use crate::object::manifests::Manifests;
use crate::process::metrics::labels::{ByRenderFailure, MergeError, RenderFailure, RenderedPart};
use crate::process::metrics::{BuildMetrics, Metrics};
use crate::release::ReleaseError;
use crate::render::RenderError;
use crate::render::chart::ComponentError;
use crate::spec::resolve::{ResolveError, translate};
use serde_json::Value;

/// Counts what came of a spec.
pub(super) fn count_build(metrics: &Metrics, spec: Option<&Value>, built: Result<&Manifests, &RenderError>) {
    let metrics = &metrics.builds;
    if translate::has_old_values(spec.unwrap_or(&Value::Null)) {
        metrics.legacy_paths.inc();
    }
    match built {
        Ok(manifests) => {
            for part in &manifests.parts {
                metrics.renders.inc(part.component);
            }
        }
        Err(RenderError::Release(ReleaseError::Read { .. } | ReleaseError::Write { .. })) => {
            metrics.merge_failures.inc(MergeError::Profile);
        }
        Err(RenderError::Resolve(ResolveError::Merge { .. })) => {
            metrics.merge_failures.inc(MergeError::Overlay);
        }
        Err(RenderError::Resolve(ResolveError::Invalid(problems))) => {
            if problems.iter().any(|p| p.path == "spec.profile") {
                metrics.merge_failures.inc(MergeError::Profile);
            } else {
                metrics.validation_errors.inc();
            }
        }
        Err(RenderError::Component(errors)) => {
            for error in errors {
                let (ComponentError::Chart { component, .. } | ComponentError::Document { component, .. }) = error;
                render_error(metrics, RenderedPart::Component(*component), RenderFailure::Chart);
            }
        }
        Err(RenderError::Overlay(errors)) => {
            for _ in errors {
                metrics.overlay_errors.inc();
            }
            render_error(metrics, RenderedPart::Whole, RenderFailure::Overlay);
        }
        Err(RenderError::Release(ReleaseError::Chart { name, .. })) => {
            let of = component::ALL.into_iter().find(|component| component.info().chart == *name);
            render_error(metrics, of.map_or(RenderedPart::Whole, RenderedPart::ChartOf), RenderFailure::NotStarted);
        }
        Err(RenderError::Release(ReleaseError::Crd { component, .. })) => {
            render_error(metrics, RenderedPart::Component(*component), RenderFailure::NotStarted);
        }
        Err(RenderError::Duplicate(_)) => render_error(metrics, RenderedPart::Whole, RenderFailure::Chart),
    }
}

fn render_error(metrics: &BuildMetrics, component: RenderedPart, render_error: RenderFailure) {
    metrics.render_errors.inc(ByRenderFailure { component, render_error });
}
