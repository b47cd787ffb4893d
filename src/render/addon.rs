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

    /// How the metrics begin that proxies, istiod and the operator have.
    const METRICS: [&str; 8] =
        ["istio_", "pilot_", "galley_", "citadel_", "sidecar_injection_", "process_", "go_", "up{"];

    /// All objects, by kind.
    const NAMES: [(&str, &[&str]); 8] = [
        ("ClusterRole", &["istio-addon-kiali-istio-system", "istio-addon-prometheus-istio-system"]),
        ("ClusterRoleBinding", &["istio-addon-kiali-istio-system", "istio-addon-prometheus-istio-system"]),
        ("ConfigMap", &["grafana", "istio-grafana-dashboards", "kiali", "prometheus"]),
        ("Deployment", &["grafana", "jaeger", "kiali", "prometheus"]),
        ("Role", &["istio-addon-kiali-istio-system"]),
        ("RoleBinding", &["istio-addon-kiali-istio-system"]),
        ("Service", &["grafana", "jaeger-collector", "kiali", "prometheus", "tracing", "zipkin"]),
        ("ServiceAccount", &["grafana", "jaeger", "kiali", "prometheus"]),
    ];

    #[test]
    fn add_ons_have_these_objects_and_no_others() {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, object) in all("istio-system") {
            found.entry(object.kind().to_owned()).or_default().push(object.name().to_owned());
        }
        for names in found.values_mut() {
            names.sort();
        }
        let expected = NAMES.map(|(kind, names)| (kind.to_owned(), names.iter().map(ToString::to_string).collect()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn prometheus_scrapes_the_pods_that_say_so() {
        let objects = all("istio-system");
        let (_, config) = objects.iter().find(|(_, o)| o.kind() == "ConfigMap" && o.name() == "prometheus").unwrap();
        let text = config.value()["data"]["prometheus.yml"].as_str().unwrap().to_owned();
        let config = helm_template::yaml::parse(&text).unwrap();
        let job = config["scrape_configs"].as_array().unwrap().iter().find(|job| job["job_name"] == "pods").unwrap();
        assert_eq!(job["kubernetes_sd_configs"], json!([{"role": "pod"}]));
        let annotation = |name: &str| format!("__meta_kubernetes_pod_annotation_prometheus_io_{name}");
        let rules = job["relabel_configs"].as_array().unwrap();
        let keep = json!({"source_labels": [annotation("scrape")], "regex": "true", "action": "keep"});
        assert_eq!(rules[0], keep);
        for name in ["port", "path"] {
            assert!(rules.iter().any(|rule| rule["source_labels"][0] == annotation(name)), "{name}: {rules:#?}");
        }
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
            for field in ["root_namespace", "istio_namespace"] {
                assert!(lines.contains(&format!("{field}: mesh").as_str()), "{lines:#?}");
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
                assert!(METRICS.iter().any(|begin| query.contains(begin)), "{name}: {query}");
            }
        }
    }
}
