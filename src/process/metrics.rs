//! Prometheus metrics, under upstream's prefix: its series by their names, and ours beside them.
//!
//! Labels take few values: kinds, components, results. Only IstioOperator resources are named, and not more than a thousand.

use crate::object::OwnerId;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;

/// Counters that upstream's operator has too: name without `_total`, and meaning.
const UPSTREAM: [(&str, &str); 14] = [
    ("reconcile_request", "changes of resources, by reason"),
    ("get_cr_error", "failures to read resources, by reason"),
    ("cr_merge_failure", "specs that cannot be laid over their profile, by reason"),
    ("cr_deletion", "resources that have gone"),
    ("cr_validation_error", "specs that are not valid"),
    ("render_manifest", "renderings, by component"),
    ("manifest_render_error", "failures to render, by component and reason"),
    ("manifest_patch_error", "overlays that cannot be applied"),
    ("legacy_path_translation", "specs with values that are translated to settings"),
    ("resource_creation", "objects created, by kind"),
    ("resource_update", "objects changed, by kind"),
    ("resource_deletion", "objects deleted, by kind"),
    ("resource_prune", "objects deleted because no longer wanted, by kind"),
    ("cache_flush", "times that what was remembered of a resource was dropped"),
];

/// Counters of ours.
const OURS: [(&str, &str); 7] = [
    ("reconcile", "passes over resources, by result"),
    ("apply", "objects written"),
    ("drift_repair", "objects changed or deleted by others and repaired, by kind"),
    ("apply_conflict", "passes that found an object to be another resource's, by component"),
    ("event", "events told, by reason"),
    ("api_request", "requests to the API server, by verb"),
    ("watch_errors", "failures to list or watch, by kind"),
];

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    counters: HashMap<&'static str, Counters>,
    owned: Family<Labels, Gauge>,
    components: Family<Labels, Histogram>,
    passes: Histogram,
    queue: Gauge,
    resources: Family<Labels, Gauge>,
    heard: Family<Labels, Gauge>,
    ready: Mutex<HashMap<OwnerId, bool>>,
    infos: Family<Labels, Gauge>,
    successes: Family<Labels, Gauge>,
    /// The labels of the resources that are named.
    named: Mutex<HashMap<OwnerId, Labels>>,
    orphans: Gauge,
    /// How many objects there are of resources that do not exist.
    orphans_of: Mutex<HashMap<OwnerId, usize>>,
    leader: Gauge,
    lease_transitions: Gauge,
    /// How many resources wait, and when anything was last done for one.
    turn: Mutex<(usize, Instant)>,
}

/// How many resources are named in labels.
const NAMED: usize = 1000;

fn labels_of(OwnerId { namespace, name }: &OwnerId) -> Labels {
    vec![("namespace", namespace.clone()), ("name", name.clone())]
}

fn histogram() -> Histogram {
    Histogram::new([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])
}

impl Metrics {
    /// All of them, at zero. `release` is the version of Istio that is built in, `revision` the only one that is worked on.
    #[must_use]
    pub fn new(release: &str, revision: &str) -> Self {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("istio_install_operator");
        let version = Family::<Labels, Gauge>::default();
        version.get_or_create(&vec![("version", release.to_owned())]).set(1);
        ours.register("version", "the version of Istio that is built in", version);
        let build = Family::<Labels, Gauge>::default();
        let operator = env!("CARGO_PKG_VERSION").to_owned();
        build.get_or_create(&vec![("version", operator), ("revision", revision.to_owned())]).set(1);
        ours.register("build_info", "the version of the operator, and the revision it works on", build);
        let mut counters = HashMap::new();
        for (name, meaning) in UPSTREAM.into_iter().chain(OURS) {
            let family = Counters::default();
            ours.register(name, meaning, family.clone());
            counters.insert(name, family);
        }
        let (owned, resources) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
        ours.register("owned_resource_total", "objects that exist, by kind", owned.clone());
        ours.register("resources", "resources, by whether they are ready", resources.clone());
        let heard = Family::<Labels, Gauge>::default();
        ours.register("watch_heard_timestamp_seconds", "when a watch was last heard of, by kind", heard.clone());
        let components = Family::<Labels, Histogram>::new_with_constructor(histogram);
        ours.register("component_seconds", "time to apply, by component and result", components.clone());
        let (passes, queue) = (histogram(), Gauge::default());
        ours.register("reconcile_seconds", "time of passes", passes.clone());
        ours.register("queue_depth", "resources that wait for a pass", queue.clone());
        let (infos, successes) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
        ours.register("resource_info", "resources by name, with status and version", infos.clone());
        let meaning = "when a resource was last found to be as it should, in seconds since 1970";
        ours.register("resource_last_success_timestamp_seconds", meaning, successes.clone());
        let orphans = Gauge::default();
        ours.register("orphaned_objects", "objects of resources that do not exist any more", orphans.clone());
        let (leader, lease_transitions) = (Gauge::default(), Gauge::default());
        ours.register("leader", "1 for the operator that works, 0 for one that stands by", leader.clone());
        let meaning = "how often the lease has gone from one operator to another";
        ours.register("lease_transitions", meaning, lease_transitions.clone());
        let (ready, named, turn) = (Mutex::default(), Mutex::default(), Mutex::new((0, Instant::now())));
        let orphans_of = Mutex::default();
        #[rustfmt::skip]
        let all = Self { registry, counters, owned, components, passes, queue, resources, heard, ready, infos, successes, named,
            orphans, orphans_of, leader, lease_transitions, turn };
        all
    }

    /// Whether this is the operator that works.
    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(is_leader.into());
    }

    /// How often the Lease has changed hands, as it says.
    pub fn set_lease_transitions(&self, count: i64) {
        self.lease_transitions.set(count);
    }

    /// How many objects there are that name this resource, which does not exist; none where it does.
    pub fn set_orphans(&self, resource: &OwnerId, objects: usize) {
        let mut all = self.orphans_of.lock().unwrap_or_else(PoisonError::into_inner);
        match objects {
            0 => all.remove(resource),
            some => all.insert(resource.clone(), some),
        };
        self.orphans.set(i64::try_from(all.values().sum::<usize>()).unwrap_or(i64::MAX));
    }

    /// Something was done for a resource.
    pub fn turn(&self) {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).1 = Instant::now();
    }

    /// For how long nothing was done although resources wait; `None` where none waits.
    pub fn stalled_for(&self) -> Option<Duration> {
        let (waiting, turn) = *self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        (waiting > 0).then(|| turn.elapsed())
    }

    /// Names a resource with its status and version; `None` once it is gone.
    pub fn set_info(&self, resource: &OwnerId, info: Option<(&str, &str)>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let before = named.get(resource);
        let Some((status, version)) = info else {
            if let Some(labels) = named.remove(resource) {
                self.infos.remove(&labels);
                self.successes.remove(&labels_of(resource));
            }
            return;
        };
        let mut labels = labels_of(resource);
        labels.extend([("status", status.to_owned()), ("version", version.to_owned())]);
        if before == Some(&labels) || (before.is_none() && named.len() >= NAMED) {
            return;
        }
        if let Some(before) = before {
            self.infos.remove(before);
        }
        self.infos.get_or_create(&labels).set(1);
        named.insert(resource.clone(), labels);
    }

    /// A resource is as it should be.
    fn succeed(&self, resource: &OwnerId) {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if named.contains_key(resource) {
            self.successes.get_or_create(&labels_of(resource)).set(i64::try_from(now).unwrap_or(i64::MAX));
        }
    }

    /// The text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Counts something, by the name of its series without prefix and `_total`. A name that is no series counts nothing.
    pub fn count<const N: usize>(&self, name: &str, labels: [(&'static str, &str); N]) {
        debug_assert!(self.counters.contains_key(name), "{name} is no series");
        if let Some(family) = self.counters.get(name) {
            family.get_or_create(&labels.map(|(label, value)| (label, value.to_owned())).to_vec()).inc();
        }
    }

    /// An object of this kind (`group/Kind`) has come to exist, or does not any more.
    pub fn own(&self, kind: String, exists: bool) {
        let gauge = self.owned.get_or_create(&vec![("kind", kind)]).clone();
        if exists {
            gauge.inc()
        } else {
            gauge.dec()
        };
    }

    /// The watch of a kind works at this moment.
    pub fn hear(&self, kind: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let gauge = self.heard.get_or_create(&vec![("kind", kind.to_owned())]).clone();
        gauge.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    /// Takes down how long a component took.
    pub fn time_component(&self, component: &str, result: &str, took: Duration) {
        let labels = vec![("component", component.to_owned()), ("result", result.to_owned())];
        self.components.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Takes down how long a pass took.
    pub fn time_pass(&self, took: Duration) {
        self.turn();
        self.passes.observe(took.as_secs_f64());
    }

    /// How many resources wait for a pass.
    pub fn set_queue_depth(&self, depth: usize) {
        {
            let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            // The first that waits begins to wait now.
            if depth < turn.0 || turn.0 == 0 {
                turn.1 = Instant::now();
            }
            turn.0 = depth;
        }
        self.queue.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// How many resources are not ready.
    pub fn unready(&self) -> u32 {
        let all = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(all.values().filter(|ready| !**ready).count()).unwrap_or(u32::MAX)
    }

    /// Whether a resource, by namespace and name, is ready; `None` once it is gone.
    pub fn set_ready(&self, resource: &OwnerId, is_ready: Option<bool>) {
        match is_ready {
            None => self.set_info(resource, None),
            Some(true) => self.succeed(resource),
            Some(false) => {}
        }
        let mut all = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match is_ready {
            Some(is_ready) => all.insert(resource.clone(), is_ready),
            None => all.remove(resource),
        };
        for value in [true, false] {
            let count = all.values().filter(|ready| **ready == value).count();
            let gauge = self.resources.get_or_create(&vec![("ready", value.to_string())]).clone();
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (name, _) in UPSTREAM {
            metrics.count(name, [("kind", "apps/Deployment")]);
        }
        metrics.own("apps/Deployment".into(), true);
        let text = metrics.to_text();
        for name in NAMES {
            let series = format!("istio_install_operator_{name}{{");
            assert!(text.lines().any(|line| line.starts_with(&series)), "{name} is missing in\n{text}");
        }
    }

    #[test]
    fn a_resource_counts_as_what_it_was_last() {
        let metrics = Metrics::new("1.17.8", "");
        let id = OwnerId::new("ns", "x");
        let count = |value: &str| {
            let begin = format!("istio_install_operator_resources{{ready=\"{value}\"}} ");
            metrics.to_text().lines().find_map(|l| l.strip_prefix(&begin).map(str::to_owned)).unwrap_or_default()
        };
        metrics.set_ready(&id, Some(false));
        assert_eq!((count("true"), count("false")), ("0".into(), "1".into()));
        metrics.set_ready(&id, Some(true));
        assert_eq!((count("true"), count("false")), ("1".into(), "0".into()));
        metrics.set_ready(&id, None);
        assert_eq!((count("true"), count("false")), ("0".into(), "0".into()));
    }
    #[test]
    fn a_resource_is_named_with_what_it_is_now_and_not_when_it_is_gone() {
        let metrics = Metrics::new("1.17.8", "");
        let id = OwnerId::new("ns", "x");
        let lines = || {
            let text = metrics.to_text();
            let lines = text.lines().filter(|l| l.starts_with("istio_install_operator_resource_"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        metrics.set_ready(&id, Some(true));
        assert_eq!(lines(), [""; 0], "nothing is known of it");
        metrics.set_info(&id, Some(("RECONCILING", "1.17.7")));
        metrics.set_info(&id, Some(("HEALTHY", "1.17.8")));
        let info =
            "istio_install_operator_resource_info{namespace=\"ns\",name=\"x\",status=\"HEALTHY\",version=\"1.17.8\"} 1";
        assert_eq!(lines(), [info]);
        metrics.set_ready(&id, Some(true));
        let success = &lines()[1];
        assert!(
            success.starts_with(
                "istio_install_operator_resource_last_success_timestamp_seconds{namespace=\"ns\",name=\"x\"} 1"
            ),
            "{success}"
        );
        metrics.set_ready(&id, None);
        assert_eq!(lines(), [""; 0]);
    }

    #[test]
    fn not_more_than_a_thousand_resources_are_named() {
        let metrics = Metrics::new("1.17.8", "");
        for number in 0..NAMED + 5 {
            metrics.set_info(&OwnerId::new("ns", number.to_string()), Some(("HEALTHY", "1")));
        }
        let text = metrics.to_text();
        assert_eq!(text.lines().filter(|l| l.starts_with("istio_install_operator_resource_info{")).count(), NAMED);
    }

    #[test]
    fn a_stall_is_counted_from_when_something_waits_and_nothing_is_done() {
        let metrics = Metrics::new("1.17.8", "");
        assert_eq!(metrics.stalled_for(), None);
        metrics.set_queue_depth(1);
        metrics.set_queue_depth(2);
        std::thread::sleep(Duration::from_millis(20));
        let stalled = metrics.stalled_for().unwrap();
        assert!(stalled >= Duration::from_millis(20));
        metrics.turn();
        assert!(metrics.stalled_for().unwrap() < stalled);
        metrics.set_queue_depth(0);
        assert_eq!(metrics.stalled_for(), None);
    }
}
