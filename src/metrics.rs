//! Prometheus metrics, under upstream's prefix.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    /// Passes over resources, by result: `ok`, `invalid`, `failed`.
    pub passes: Family<Labels, Counter>,
    /// Objects written.
    pub writes: Counter,
    /// Objects deleted.
    pub deletions: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("istio_install_operator");
        let version = Family::<Labels, Gauge>::default();
        version.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        ours.register("version", "the version of the operator", version);
        let (passes, writes, deletions) = (Family::default(), Counter::default(), Counter::default());
        ours.register("reconcile", "passes over resources, by result", passes.clone());
        ours.register("apply", "objects written", writes.clone());
        ours.register("resource_deletion", "objects deleted", deletions.clone());
        Self { registry, passes, writes, deletions }
    }
}

impl Metrics {
    /// The text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Counts a pass.
    pub fn count_pass(&self, result: &'static str) {
        self.passes.get_or_create(&vec![("result", result.to_owned())]).inc();
    }
}
