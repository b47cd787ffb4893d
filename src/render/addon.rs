//! From an add-on to its objects.

use crate::object::order::apply_step;
use crate::object::{self, Object, ReadError};
use crate::release::ReleaseError;
use crate::release::addons::Addon;
use helm_template::helm::{ParsedChart, RenderFailed};
use helm_template::{Capabilities, ReleaseOptions, RenderOptions};
use serde_json::json;

/// Why an add-on cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum AddonError {
    /// Its chart cannot be used.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The chart refuses the values, or is wrong.
    #[error("add-on {0}: {1}")]
    Chart(&'static str, Box<RenderFailed>),
    /// What a template printed is not a Kubernetes object.
    #[error("add-on {0}: {1}: {2}")]
    Document(&'static str, String, ReadError),
}

/// The objects of an add-on in a namespace, for the control plane in another and of a revision (empty for none), in the order in which
/// they are to be applied.
///
/// # Errors
/// See [`AddonError`].
pub fn render(
    addon: &Addon,
    namespace: &str,
    istio_namespace: &str,
    revision: &str,
) -> Result<Vec<Object>, AddonError> {
    let chart = ParsedChart::new(addon.chart()?);
    let mut values = json!({});
    // Only one of them asks.
    if chart.chart().values.contains_key("istioNamespace") {
        values = json!({ "istioNamespace": istio_namespace, "revision": revision });
    }
    let values = values.as_object().cloned().unwrap_or_default();
    let release = ReleaseOptions::install(addon.name, namespace);
    let rendered = chart
        .render(&values, &release, &Capabilities::default(), &RenderOptions::fixed())
        .map_err(|cause| AddonError::Chart(addon.name, Box::new(cause)))?;
    let mut objects = vec![];
    for (file, text) in rendered.files {
        objects.extend(object::read_all(&text).map_err(|cause| AddonError::Document(addon.name, file, cause))?);
    }
    for object in &mut objects {
        object.settle(namespace);
    }
    objects.sort_by_key(apply_step);
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::addons::ADDONS;
    use std::collections::{BTreeMap, BTreeSet};

    fn all(namespace: &str) -> Vec<(&'static str, Object)> {
        let of = |addon: &'static Addon| {
            render(addon, namespace, "mesh", "canary").unwrap().into_iter().map(|o| (addon.name, o))
        };
        ADDONS.iter().flat_map(of).collect()
    }

    #[test]
    fn services_have_the_names_and_ports_that_meshes_and_people_expect() {
        let mut found = BTreeMap::new();
        for (_, object) in all("istio-system").iter().filter(|(_, object)| object.kind() == "Service") {
            let value = object.value();
            let ports = value["spec"]["ports"].as_array().unwrap();
            let ports: BTreeSet<_> = ports.iter().map(|port| port["port"].as_i64().unwrap()).collect();
            found.insert(object.name().to_owned(), ports);
        }
        for (name, ports) in [
            ("prometheus", &[9090][..]),
            ("grafana", &[3000]),
            ("kiali", &[20001, 9090]),
            ("tracing", &[80, 16685]),
            ("zipkin", &[9411]),
            ("jaeger-collector", &[14268, 14250, 9411]),
        ] {
            assert!(found[name].is_superset(&ports.iter().copied().collect()), "{name}: {:?}", found[name]);
        }
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn kiali_looks_at_the_control_plane_of_its_revision() {
        let kiali = ADDONS.iter().find(|addon| addon.name == "kiali").unwrap();
        for (revision, suffix) in [("", ""), ("canary", "-canary")] {
            let objects = render(kiali, "one", "mesh", revision).unwrap();
            let config = objects.iter().find(|object| object.kind() == "ConfigMap").unwrap().value().into_owned();
            let lines: Vec<_> = config["data"]["config.yaml"].as_str().unwrap().lines().map(str::trim).collect();
            for (field, name) in [
                ("config_map_name", "istio"),
                ("istio_sidecar_injector_config_map_name", "istio-sidecar-injector"),
                ("istiod_deployment_name", "istiod"),
            ] {
                assert!(lines.contains(&format!("{field}: {name}{suffix}").as_str()), "{lines:#?}");
            }
        }
    }

    #[test]
    fn add_ons_in_two_namespaces_share_no_object() {
        let keys = |namespace| all(namespace).iter().map(|(_, object)| object.key()).collect::<BTreeSet<_>>();
        let both = [keys("one"), keys("two")];
        assert!(both[0].is_disjoint(&both[1]), "{both:?}");
        assert!(both[0].len() > 20);
    }

    #[test]
    fn what_an_add_on_has_bears_its_labels_and_no_owners() {
        for (name, object) in all("one") {
            let value = object.value();
            let labels = &value["metadata"]["labels"];
            for (label, expected) in [("name", name), ("instance", "one"), ("part-of", "istio-addons")] {
                assert_eq!(labels[format!("app.kubernetes.io/{label}")], expected, "{}", object.key());
            }
            assert!(!labels.to_string().contains("istio.io/"), "{}", object.key());
        }
    }

    #[test]
    fn dashboards_are_json_with_panels_that_ask_prometheus() {
        let of_grafana =
            all("one").into_iter().find(|(_, object)| object.name() == "istio-grafana-dashboards").unwrap();
        let value = of_grafana.1.value().into_owned();
        let dashboards = value["data"].as_object().unwrap();
        let names: Vec<_> = dashboards.keys().map(String::as_str).collect();
        assert_eq!(names, ["control-plane.json", "mesh.json", "operator.json", "service.json", "workload.json"]);
        let mut uids = BTreeSet::new();
        for (name, text) in dashboards {
            let dashboard: serde_json::Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{name}");
            let panels = dashboard["panels"].as_array().unwrap();
            assert!(panels.len() >= 8, "{name}");
            for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
                let query = target["expr"].as_str().unwrap();
                let is_closed = |open: char, close: char| query.matches(open).count() == query.matches(close).count();
                assert!(is_closed('(', ')') && is_closed('{', '}') && is_closed('[', ']'), "{name}: {query}");
            }
        }
    }
}
