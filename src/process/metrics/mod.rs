//! Prometheus metrics, under upstream's prefix: its series by their names, and ours beside them.
//!
//! In: what happens, as values of types; a series or a label that does not exist cannot be named. Out: the text format.
//! Nothing here is read to decide anything.

mod family;
pub mod labels;
mod resources;
mod series;

pub use family::{Counters, Durations, Gauges, LabelledDurations, Timer};
pub use resources::ResourceMetrics;
pub use series::{BuildMetrics, ClientMetrics, ElectionMetrics, ObjectMetrics, ReconcileMetrics};

use family::Section;
use labels::{BuildInfo, ByVersion};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    /// Of reconciles and their queue.
    pub reconciles: ReconcileMetrics,
    /// Of what becomes of specs.
    pub builds: BuildMetrics,
    /// Of the objects that are installed.
    pub objects: ObjectMetrics,
    /// Of IstioOperator resources.
    pub resources: ResourceMetrics,
    /// Of requests and watches.
    pub client: ClientMetrics,
    /// Of the election.
    pub election: ElectionMetrics,
}

impl Metrics {
    /// All of them, at zero. `release` is the version of Istio that is built in, `revision` the only one that is worked on.
    #[must_use]
    pub fn new(release: &str, revision: &str) -> Self {
        let mut registry = Registry::default();
        let mut all = Section(registry.sub_registry_with_prefix("istio_install_operator"));
        let version = all.gauges::<ByVersion>("version", "the version of Istio that is built in");
        version.set(release.to_owned(), 1);
        let build = all.gauges::<BuildInfo>("build_info", "the version of the operator, and the revision it works on");
        build.set(BuildInfo { version: env!("CARGO_PKG_VERSION"), revision: revision.to_owned() }, 1);
        let (reconciles, builds) = (ReconcileMetrics::register(&mut all), BuildMetrics::register(&mut all));
        let (objects, resources) = (ObjectMetrics::register(&mut all), ResourceMetrics::register(&mut all));
        let (client, election) = (ClientMetrics::register(&mut all), ElectionMetrics::register(&mut all));
        Self { registry, reconciles, builds, objects, resources, client, election }
    }

    /// The text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::labels::{ByRenderFailure, MergeError, ReadError, RenderFailure, RenderedPart, Trigger};
    use super::*;
    use crate::api::component::Component;

    /// The names of upstream's series, as its operator exposes them.
    const NAMES: [&str; 16] = [
        "version",
        "reconcile_request_total",
        "get_cr_error_total",
        "cr_merge_failure_total",
        "cr_deletion_total",
        "cr_validation_error_total",
        "render_manifest_total",
        "manifest_render_error_total",
        "manifest_patch_error_total",
        "legacy_path_translation_total",
        "owned_resource_total",
        "resource_creation_total",
        "resource_update_total",
        "resource_deletion_total",
        "resource_prune_total",
        "cache_flush_total",
    ];

    #[test]
    fn upstreams_series_have_upstreams_names() {
        let metrics = Metrics::new("1.17.8", "");
        let kind = || "apps/Deployment".to_owned();
        let Metrics { reconciles, builds, objects, .. } = &metrics;
        reconciles.requests.inc(Trigger::Create);
        reconciles.read_errors.inc(ReadError::Unknown);
        builds.merge_failures.inc(MergeError::Profile);
        builds.renders.inc(Component::Pilot);
        builds
            .render_errors
            .inc(ByRenderFailure { component: RenderedPart::Whole, render_error: RenderFailure::Chart });
        for counters in [&objects.created, &objects.updated, &objects.deleted, &objects.pruned] {
            counters.inc(kind());
        }
        objects.owned.inc(kind());
        let text = metrics.to_text();
        for name in NAMES {
            let series = [format!("istio_install_operator_{name}{{"), format!("istio_install_operator_{name} ")];
            let is_it = |line: &str| series.iter().any(|begin| line.starts_with(begin));
            assert!(text.lines().any(is_it), "{name} is missing in\n{text}");
        }
    }

    #[test]
    fn the_dashboard_of_the_operator_asks_for_series_that_there_are() {
        let dashboard = include_str!("../../../charts/addons/grafana/dashboards/operator.json");
        // Where they are registered: series without a value yet are in no text.
        let registered = [include_str!("mod.rs"), include_str!("series.rs"), include_str!("resources.rs")].concat();
        let asked = regex::Regex::new("istio_install_operator_([a-z_]+)").unwrap();
        let names: std::collections::BTreeSet<&str> =
            asked.captures_iter(dashboard).map(|name| name.get(1).unwrap().as_str()).collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let bare = name.trim_end_matches("_bucket").trim_end_matches("_total");
            let is_one = [name, bare].iter().any(|name| registered.contains(&format!("(\"{name}\"")));
            assert!(is_one, "there is no {name}");
        }
    }
}
