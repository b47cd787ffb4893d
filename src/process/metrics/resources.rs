//! The metrics of IstioOperator resources: how many are ready, and each by name.
//!
//! A gauge of all of them, such as how many are ready, is summed up from what was last said of each.

use super::family::{Gauges, Section, signed};
use super::labels::{ByReady, ByResource, ResourceInfo};
use crate::object::OwnerId;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many resources are named: each is a series of its own.
const NAMED: usize = 1000;

/// What was last said of the resources, by namespace and name.
#[derive(Default)]
struct Known {
    ready: HashMap<OwnerId, bool>,
    /// The labels of those that are named.
    named: HashMap<OwnerId, ResourceInfo>,
    /// How many objects there are of those that do not exist.
    orphans: HashMap<OwnerId, usize>,
}

/// See the module.
pub struct ResourceMetrics {
    /// `resources`
    resources: Gauges<ByReady>,
    /// `resource_info`
    infos: Gauges<ResourceInfo>,
    /// `resource_last_success_timestamp_seconds`
    successes: Gauges<ByResource>,
    /// `orphaned_objects`
    orphans: Gauge,
    known: Mutex<Known>,
}

impl ResourceMetrics {
    pub(super) fn register(all: &mut Section<'_>) -> Self {
        let success = "when a resource was last found to be as it should, in seconds since 1970";
        Self {
            resources: all.gauges("resources", "resources, by whether they are ready"),
            infos: all.gauges("resource_info", "resources by name, with status and version"),
            successes: all.gauges("resource_last_success_timestamp_seconds", success),
            orphans: all.gauge("orphaned_objects", "objects of resources that do not exist any more"),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many objects there are that name this resource, which does not exist; none where it does.
    pub fn set_orphans(&self, resource: &OwnerId, objects: usize) {
        let mut known = self.known();
        match objects {
            0 => known.orphans.remove(resource),
            some => known.orphans.insert(resource.clone(), some),
        };
        self.orphans.set(signed(known.orphans.values().sum()));
    }

    /// Names a resource with its status and version; `None` once it is gone.
    pub fn set_info(&self, resource: &OwnerId, info: Option<(&str, &str)>) {
        let mut known = self.known();
        let Some((status, version)) = info else {
            if let Some(labels) = known.named.remove(resource) {
                self.infos.remove(&labels);
                self.successes.remove(&resource.into());
            }
            return;
        };
        let OwnerId { namespace, name } = resource.clone();
        let labels = ResourceInfo { namespace, name, status: status.to_owned(), version: version.to_owned() };
        let before = known.named.get(resource);
        if before == Some(&labels) || (before.is_none() && known.named.len() >= NAMED) {
            return;
        }
        if let Some(before) = before {
            self.infos.remove(before);
        }
        self.infos.set(labels.clone(), 1);
        known.named.insert(resource.clone(), labels);
    }

    /// Whether a resource is ready; `None` once it is gone.
    pub fn set_ready(&self, resource: &OwnerId, is_ready: Option<bool>) {
        if is_ready.is_none() {
            self.set_info(resource, None);
        }
        let mut known = self.known();
        match is_ready {
            Some(is_ready) => known.ready.insert(resource.clone(), is_ready),
            None => known.ready.remove(resource),
        };
        if is_ready == Some(true) && known.named.contains_key(resource) {
            self.successes.set_to_now(resource);
        }
        for value in [true, false] {
            self.resources.set(value, known.ready.values().filter(|ready| **ready == value).count());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::NAMED;
    use crate::object::OwnerId;

    #[test]
    fn a_resource_counts_as_what_it_was_last() {
        let metrics = Metrics::new("1.17.8", "");
        let id = OwnerId::new("ns", "x");
        let count = |value: &str| {
            let begin = format!("istio_install_operator_resources{{ready=\"{value}\"}} ");
            metrics.to_text().lines().find_map(|l| l.strip_prefix(&begin).map(str::to_owned)).unwrap_or_default()
        };
        metrics.resources.set_ready(&id, Some(false));
        assert_eq!((count("true"), count("false")), ("0".into(), "1".into()));
        metrics.resources.set_ready(&id, Some(true));
        assert_eq!((count("true"), count("false")), ("1".into(), "0".into()));
        metrics.resources.set_ready(&id, None);
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
        metrics.resources.set_ready(&id, Some(true));
        assert_eq!(lines(), [""; 0], "nothing is known of it");
        metrics.resources.set_info(&id, Some(("RECONCILING", "1.17.7")));
        metrics.resources.set_info(&id, Some(("HEALTHY", "1.17.8")));
        let info =
            "istio_install_operator_resource_info{namespace=\"ns\",name=\"x\",status=\"HEALTHY\",version=\"1.17.8\"} 1";
        assert_eq!(lines(), [info]);
        metrics.resources.set_ready(&id, Some(true));
        let success = &lines()[1];
        assert!(
            success.starts_with(
                "istio_install_operator_resource_last_success_timestamp_seconds{namespace=\"ns\",name=\"x\"} 1"
            ),
            "{success}"
        );
        metrics.resources.set_ready(&id, None);
        assert_eq!(lines(), [""; 0]);
    }

    #[test]
    fn not_more_than_a_thousand_resources_are_named() {
        let metrics = Metrics::new("1.17.8", "");
        for number in 0..NAMED + 5 {
            metrics.resources.set_info(&OwnerId::new("ns", number.to_string()), Some(("HEALTHY", "1")));
        }
        let text = metrics.to_text();
        assert_eq!(text.lines().filter(|l| l.starts_with("istio_install_operator_resource_info{")).count(), NAMED);
    }
}
