//! Metrics of the application and of its proxy come from one place: the agent, which asks both.

use super::annotations::{self, MERGE_METRICS};
use super::mesh::Mesh;
use super::pod::{self, Pod};
use super::types;
use serde_json::json;

/// The environment variable that tells the agent where the application's metrics are.
const SCRAPE: &str = "ISTIO_PROMETHEUS_ANNOTATIONS";

/// The annotations that Prometheus' usual configuration reads, with `_` for all punctuation, as Prometheus has it.
const WORDS: [(&str, &str); 3] =
    [("prometheus_io_scrape", "scrape"), ("prometheus_io_path", "path"), ("prometheus_io_port", "port")];

/// A name with `_` for all punctuation.
fn plain(annotation: &str) -> String {
    annotation.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Which setting of Prometheus an annotation holds: `scrape`, `path` or `port`.
fn word(annotation: &str) -> Option<&'static str> {
    let plain = plain(annotation);
    WORDS.iter().find(|(name, _)| *name == plain).map(|(_, word)| *word)
}

fn setting(pod: &Pod, wanted: &str) -> Option<String> {
    let all = pod.annotations();
    let found = all.iter().find(|(name, _)| word(name) == Some(wanted));
    found.and_then(|(_, value)| value.as_str().map(str::to_owned))
}

/// Removes the annotations that an earlier injection made.
pub(super) fn forget(pod: &mut Pod, mesh: &Mesh) {
    if setting(pod, "port") == Some(mesh.status_port().to_string()) {
        pod.remove_annotations(|name| word(name).is_some());
    }
}

/// Points the pod's annotations to the agent, unless the pod or the mesh turns that off.
pub(super) fn merge(pod: &mut Pod, mesh: &Mesh) {
    let scraped = setting(pod, "scrape").and_then(|v| annotations::parse_bool(&v)).unwrap_or(true);
    let own = pod.annotation(MERGE_METRICS).and_then(annotations::parse_bool);
    let merges = own.or_else(|| mesh.merges_metrics()).unwrap_or(true);
    let port = mesh.status_port().to_string();
    if !scraped || !merges || setting(pod, "port").as_ref() == Some(&port) {
        return;
    }
    let [scrape, path, old_port] = ["scrape", "path", "port"].map(|wanted| setting(pod, wanted).unwrap_or_default());
    let any = [&scrape, &path, &old_port].into_iter().any(|v| !v.is_empty());
    if any && let Some(proxy) = pod.proxy_mut() {
        let settings = json!({"scrape": scrape, "path": path, "port": old_port});
        pod::add_variable(proxy, SCRAPE, &types::json("Scrape", &settings));
    }
    pod.remove_annotations(|name| word(name).is_some());
    pod.annotate("prometheus.io/port", port);
    pod.annotate("prometheus.io/path", "/stats/prometheus");
    pod.annotate("prometheus.io/scrape", "true");
}

/// The variable of a proxy that serves merged metrics by mutual TLS too: its port.
const SECURE_PORT_VARIABLE: &str = "ENVOY_SECURE_MERGED_METRICS_PORT";

/// Tells Prometheus the port at which the proxy serves merged metrics by mutual TLS, if it has one and the pod does not say.
pub(super) fn announce_secure_port(pod: &mut Pod) {
    const ANNOTATION: &str = "prometheus.istio.io/secure-port";
    if pod.annotations().keys().any(|name| plain(name) == plain(ANNOTATION)) {
        return;
    }
    let variables = pod.proxy_mut().and_then(|proxy| proxy.get("env")?.as_array());
    let variable = variables.into_iter().flatten().find(|variable| pod::name_of(variable) == SECURE_PORT_VARIABLE);
    let port = variable.and_then(|v| v.get("value")?.as_str()).map(str::to_owned);
    if let Some(port) = port.filter(|port| !["", "0"].contains(&port.as_str())) {
        pod.annotate(ANNOTATION, port);
    }
}

#[cfg(test)]
mod tests {
    use super::super::injector::Injector;
    use super::*;
    use serde_json::Value;

    fn merged(annotations: &Value, mesh: &str) -> (Value, String) {
        let spec = json!({"containers": [{"name": "istio-proxy"}]});
        let mut pod = Pod::new(&json!({ "annotations": annotations }), &spec).unwrap();
        merge(&mut pod, &Mesh::parse(mesh, Injector::OLDEST).unwrap());
        let variable = pod.tree().pointer("/spec/containers/0/env/0/value").cloned().unwrap_or_default();
        (Value::Object(pod.annotations()), variable.as_str().unwrap_or_default().to_owned())
    }

    fn merged_port(port: &str) -> Value {
        json!({"prometheus.io/port": port, "prometheus.io/path": "/stats/prometheus", "prometheus.io/scrape": "true"})
    }

    #[test]
    fn a_pod_that_says_nothing_is_scraped_at_the_agent() {
        assert_eq!(merged(&json!({}), ""), (merged_port("15020"), String::new()));
        assert_eq!(merged(&json!({}), "defaultConfig: {statusPort: 15030}").0, merged_port("15030"));
    }

    #[test]
    fn what_the_pod_says_goes_to_the_agent_however_it_is_spelled() {
        for name in ["prometheus.io/port", "prometheus-io/port", "prometheus.io.port"] {
            let (annotations, variable) = merged(&json!({ name: "9102", "prometheus.io/scrape": "true" }), "");
            assert_eq!(annotations, merged_port("15020"), "{name}");
            assert_eq!(variable, r#"{"scrape":"true","path":"","port":"9102"}"#, "{name}");
        }
    }

    #[test]
    fn nothing_is_merged_where_it_is_not_wanted() {
        for (annotations, mesh) in [
            (json!({"prometheus.io/scrape": "false"}), ""),
            (json!({"prometheus.istio.io/merge-metrics": "false"}), "enablePrometheusMerge: true"),
            (json!({"prometheus.io/path": "/m"}), "enablePrometheusMerge: false"),
            (json!({"prometheus.io/port": "15020"}), ""),
        ] {
            assert_eq!(merged(&annotations, mesh), (annotations.clone(), String::new()));
        }
        let (annotations, _) =
            merged(&json!({"prometheus.istio.io/merge-metrics": "true"}), "enablePrometheusMerge: false");
        assert_eq!(annotations["prometheus.io/port"], "15020");
    }

    #[test]
    fn the_secure_port_is_told_where_the_proxy_has_one_and_the_pod_is_silent() {
        for (annotations, port, want) in [
            (json!({}), "15091", Some("15091")),
            (json!({}), "0", None),
            (json!({"prometheus-istio-io/secure-port": "1"}), "15091", None),
        ] {
            let proxy = json!({"name": "istio-proxy", "env": [{"name": SECURE_PORT_VARIABLE, "value": port}]});
            let spec = json!({"containers": [{"name": "app"}], "initContainers": [proxy]});
            let mut pod = Pod::new(&json!({ "annotations": annotations }), &spec).unwrap();
            announce_secure_port(&mut pod);
            assert_eq!(pod.annotation("prometheus.istio.io/secure-port"), want, "{annotations} {port}");
        }
    }
}
