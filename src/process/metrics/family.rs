//! Metrics with labels, and how they are registered.

use super::labels::LabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counters, one for each set of labels that was met.
pub struct Counters<L>(Family<L, Counter>);

impl<L: LabelSet> Counters<L> {
    /// One more.
    pub fn inc(&self, labels: impl Into<L>) {
        self.0.get_or_create(&labels.into()).inc();
    }
}

/// Gauges, one for each set of labels that was met.
pub struct Gauges<L>(Family<L, Gauge>);

impl<L: LabelSet> Gauges<L> {
    /// One more.
    pub fn inc(&self, labels: impl Into<L>) {
        self.0.get_or_create(&labels.into()).inc();
    }

    /// One less.
    pub fn dec(&self, labels: impl Into<L>) {
        self.0.get_or_create(&labels.into()).dec();
    }

    /// This many.
    pub fn set(&self, labels: impl Into<L>, count: usize) {
        self.0.get_or_create(&labels.into()).set(signed(count));
    }

    /// This moment, in seconds since 1970.
    pub fn set_to_now(&self, labels: impl Into<L>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.0.get_or_create(&labels.into()).set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// Not any more.
    pub fn remove(&self, labels: &L) {
        self.0.remove(labels);
    }
}

/// A count as gauges have it.
pub fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])
    }
}

/// Durations, in seconds.
pub struct Durations(Histogram);

impl Durations {
    /// Measures from now until the timer is dropped.
    pub fn start(&self) -> Timer {
        Timer { histogram: self.0.clone(), begun: Instant::now() }
    }
}

/// Durations, in seconds, one histogram for each set of labels that was met.
pub struct LabelledDurations<L>(Family<L, Histogram, Buckets>);

impl<L: LabelSet> LabelledDurations<L> {
    /// Adds one that was measured.
    pub fn observe(&self, took: Duration, labels: impl Into<L>) {
        self.0.get_or_create(&labels.into()).observe(took.as_secs_f64());
    }
}

/// Measures while it lives.
#[must_use = "it measures until it is dropped"]
pub struct Timer {
    histogram: Histogram,
    begun: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.histogram.observe(self.begun.elapsed().as_secs_f64());
    }
}

/// Registers metrics, each with its name, without prefix and `_total`, and what it means.
pub struct Section<'r>(pub &'r mut Registry);

impl Section<'_> {
    /// One counter.
    pub fn counter(&mut self, name: &str, meaning: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, meaning, counter.clone());
        counter
    }

    /// Counters with labels.
    pub fn counters<L: LabelSet>(&mut self, name: &str, meaning: &str) -> Counters<L> {
        let family = Family::default();
        self.0.register(name, meaning, family.clone());
        Counters(family)
    }

    /// One gauge.
    pub fn gauge(&mut self, name: &str, meaning: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, meaning, gauge.clone());
        gauge
    }

    /// Gauges with labels.
    pub fn gauges<L: LabelSet>(&mut self, name: &str, meaning: &str) -> Gauges<L> {
        let family = Family::default();
        self.0.register(name, meaning, family.clone());
        Gauges(family)
    }

    /// A histogram of seconds.
    pub fn durations(&mut self, name: &str, meaning: &str) -> Durations {
        let histogram = Buckets.new_metric();
        self.0.register(name, meaning, histogram.clone());
        Durations(histogram)
    }

    /// Histograms of seconds with labels.
    pub fn labelled_durations<L: LabelSet>(&mut self, name: &str, meaning: &str) -> LabelledDurations<L> {
        let family = Family::new_with_constructor(Buckets);
        self.0.register(name, meaning, family.clone());
        LabelledDurations(family)
    }
}
