//! The mesh configuration, and the configuration of one pod's proxy.

use super::injector::Injector;
use super::types::{self, Misfit};
use crate::api::schema::{Message, Type};
use crate::spec::resolve::validate::check_proxy;
use helm_template::yaml;
use serde_json::{Map, Value, json};

/// The default configuration of a proxy.
fn proxy_defaults(injector: Injector) -> Map<String, Value> {
    let mut defaults = json!({
        "configPath": "./etc/istio/proxy",
        "binaryPath": "/usr/local/bin/envoy",
        "serviceCluster": "istio-proxy",
        "drainDuration": "45s",
        "terminationDrainDuration": "5s",
        "discoveryAddress": "istiod.istio-system.svc:15012",
        "proxyAdminPort": 15000,
        "controlPlaneAuthPolicy": "MUTUAL_TLS",
        "statNameLength": 189,
        "statusPort": 15020,
        "concurrency": 2,
        "tracing": {"zipkin": {"address": "zipkin.istio-system:9411"}},
    });
    let mut defaults = defaults.as_object_mut().map(std::mem::take).unwrap_or_default();
    defaults.retain(|key, _| match key.as_str() {
        "concurrency" => injector.gives_two_workers(),
        "tracing" => injector.traces_to_zipkin(),
        _ => true,
    });
    defaults
}

/// The mesh configuration.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    tree: Map<String, Value>,
    proxy: Map<String, Value>,
    /// The configuration of a proxy where nothing says otherwise.
    defaults: Map<String, Value>,
}

impl Mesh {
    /// From the text in the ConfigMap `istio`, as the injector reads it.
    pub(super) fn parse(text: &str, injector: Injector) -> Result<Self, String> {
        let given = read(text)?;
        let given = message(types::find("MeshConfig"), &given);
        let mut tree =
            json!({"trustDomain": "cluster.local", "proxyListenPort": 15001, "proxyInboundListenPort": 15006});
        let defaults = proxy_defaults(injector);
        let own = given.get("defaultConfig").and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(tree) = tree.as_object_mut() {
            tree.extend(given.into_iter().filter(|(key, _)| key != "defaultConfig"));
        }
        let proxy = overlay(defaults.clone(), own).map_err(|m| text_of(&m, "defaultConfig."))?;
        let tree = types::shape("MeshConfig", &tree).map_err(|m| text_of(&m, ""))?;
        Ok(Self { tree, proxy, defaults })
    }

    /// All of it, with the whole configuration of proxies as `defaultConfig`.
    pub(super) fn tree(&self) -> Map<String, Value> {
        let mut tree = self.tree.clone();
        tree.insert("defaultConfig".to_owned(), Value::Object(self.proxy.clone()));
        tree
    }

    /// The configuration of the proxy of a pod with this annotation.
    pub(super) fn proxy_with(&self, annotation: Option<&str>) -> Result<Map<String, Value>, String> {
        let Some(text) = annotation else { return Ok(self.proxy.clone()) };
        let own = read(text)?;
        // The agent refuses unknown fields, and the pod would never be ready.
        let problems = check_proxy(&Value::Object(own.clone()));
        if !problems.is_empty() {
            return Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
        let own = message(types::find("ProxyConfig"), &own);
        overlay(self.proxy.clone(), own).map_err(|m| text_of(&m, ""))
    }

    /// A proxy's configuration as the pod carries it: what the agent takes by default is left out.
    pub(super) fn proxy_json(&self, config: &Map<String, Value>) -> String {
        let own = config.iter().filter(|(key, value)| self.defaults.get(key.as_str()) != Some(value));
        let own = Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect());
        // It has its shape already; what shaping does here is to leave out empty fields.
        types::shape("ProxyConfig", &own)
            .map_or_else(|_| "{}".to_owned(), |m| types::json("ProxyConfig", &Value::Object(m)))
    }

    /// What becomes of traffic to ports that no service has: `passthrough` or `localhost`.
    pub(super) fn inbound_traffic(&self) -> &'static str {
        // Protobuf reads the name of an enumeration's value and its number alike.
        match self.tree.get("inboundTrafficPolicy").and_then(|policy| policy.get("mode")) {
            Some(mode) if mode == "LOCALHOST" || mode.as_u64() == Some(1) => "localhost",
            _ => "passthrough",
        }
    }

    /// The port that serves a pod's merged metrics and its health.
    pub(super) fn status_port(&self) -> i64 {
        self.proxy.get("statusPort").and_then(Value::as_i64).unwrap_or_default()
    }

    /// Whether metrics of the application and of its proxy are to be merged; none where the mesh does not say.
    pub(super) fn merges_metrics(&self) -> Option<bool> {
        self.tree.get("enablePrometheusMerge")?.as_bool()
    }
}

fn read(text: &str) -> Result<Map<String, Value>, String> {
    match yaml::parse(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("must be a map of settings".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn text_of(misfits: &[Misfit], prefix: &str) -> String {
    misfits.iter().map(|m| format!("{prefix}{} {}", m.path, m.message)).collect::<Vec<_>>().join("; ")
}

/// Fields spelled in snake case, as protobuf also allows, get the names of the type.
fn message(of: &Message, map: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in map {
        let field = of.field(key);
        let value = match (field.map(|f| &f.kind), value) {
            (Some(Type::Message(inner)), Value::Object(map)) => Value::Object(message(inner, map)),
            _ => value.clone(),
        };
        out.insert(field.map_or(key.as_str(), |f| f.name).to_owned(), value);
    }
    out
}

/// A field replaces the one below as a whole; only `proxyMetadata`, the environment of the proxy, is merged.
fn overlay(mut base: Map<String, Value>, over: Map<String, Value>) -> Result<Map<String, Value>, Vec<Misfit>> {
    let config = types::find("ProxyConfig");
    let group = |name: &str| config.field(name).and_then(|field| field.oneof);
    let mut shaped = types::shape(config.name, &Value::Object(over.clone()))?;
    for (key, value) in over.into_iter().filter(|(_, value)| !value.is_null()) {
        // A value that shaping leaves out is empty, and set on purpose.
        let value = shaped.remove(&key).unwrap_or(value);
        if let Some(one) = group(&key) {
            base.retain(|other, _| group(other) != Some(one));
        }
        match (base.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) if key == "proxyMetadata" => old.extend(new),
            (_, value) => drop(base.insert(key, value)),
        }
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(mesh: &str, annotation: &str) -> String {
        carried_by(Injector::OLDEST, mesh, annotation)
    }

    fn carried_by(injector: Injector, mesh: &str, annotation: &str) -> String {
        let mesh = Mesh::parse(mesh, injector).unwrap();
        mesh.proxy_json(&mesh.proxy_with(Some(annotation)).unwrap())
    }

    #[test]
    fn what_a_later_agent_does_not_take_by_default_is_carried() {
        let mesh = "defaultConfig: {concurrency: 2, tracing: {zipkin: {address: 'zipkin.istio-system:9411'}}}";
        for (sign, want) in [
            ("", "{}"),
            (".ProxyUID", r#"{"concurrency":2}"#),
            (
                ".InboundTrafficPolicyMode",
                r#"{"concurrency":2,"tracing":{"zipkin":{"address":"zipkin.istio-system:9411"}}}"#,
            ),
        ] {
            assert_eq!(carried_by(Injector::of([sign]), mesh, ""), want, "{sign}");
        }
    }

    #[test]
    fn inbound_traffic_goes_where_the_mesh_says() {
        for (mesh, want) in [
            ("", "passthrough"),
            ("inboundTrafficPolicy: {mode: LOCALHOST}", "localhost"),
            ("inbound_traffic_policy: {mode: 1}", "localhost"),
            ("inboundTrafficPolicy: {mode: PASSTHROUGH}", "passthrough"),
        ] {
            assert_eq!(Mesh::parse(mesh, Injector::OLDEST).unwrap().inbound_traffic(), want, "{mesh}");
        }
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_carried_in_message_order() {
        let mesh = "defaultConfig:\n  tracing: {zipkin: {address: 'zipkin.istio-system:9411'}}\n  proxyMetadata: {}\n";
        assert_eq!(carried(mesh, ""), "{}");
        let annotation = "holdApplicationUntilProxyStarts: true\nproxyMetadata: {FOO: bar}\nconcurrency: 3\n\
             drainDuration: 20s\nstatusPort: 15020";
        assert_eq!(
            carried(mesh, annotation),
            r#"{"drainDuration":"20s","concurrency":3,"proxyMetadata":{"FOO":"bar"},"holdApplicationUntilProxyStarts":true}"#
        );
    }

    #[test]
    fn a_field_of_the_pod_replaces_the_meshs_and_the_environment_is_united() {
        let mesh = "defaultConfig:\n  tracing: {sampling: 10, zipkin: {address: a}}\n  proxyMetadata: {A: '1', B: '2'}";
        assert_eq!(
            carried(mesh, "tracing: {sampling: 5}\nproxyMetadata: {B: '3'}"),
            r#"{"tracing":{"sampling":5},"proxyMetadata":{"A":"1","B":"3"}}"#
        );
    }

    #[test]
    fn names_in_snake_case_and_numbers_of_enumerations_are_understood() {
        assert_eq!(
            carried("", "interception_mode: 1\ntermination_drain_duration: 1500ms"),
            r#"{"interceptionMode":"TPROXY","terminationDrainDuration":"1.500s"}"#
        );
        assert_eq!(carried("", "concurrency: 0"), r#"{"concurrency":0}"#);
        assert_eq!(
            carried("", "tracingServiceName: CANONICAL_NAME_ONLY"),
            r#"{"tracingServiceName":"CANONICAL_NAME_ONLY"}"#
        );
    }

    #[test]
    fn all_that_does_not_fit_is_named() {
        let mesh = Mesh::parse("", Injector::OLDEST).unwrap();
        let error = mesh.proxy_with(Some("concurrency: many\ninterceptionMode: X\ndrainDuration: 1 hour")).unwrap_err();
        for field in [
            "concurrency: must be a whole number, not the string \"many\"",
            "interceptionMode: unknown value \"X\": must be one of REDIRECT",
            "drainDuration: must be a duration",
        ] {
            assert!(error.contains(field), "{error}");
        }
        assert!(
            Mesh::parse("defaultConfig: {statusPort: x}", Injector::OLDEST)
                .unwrap_err()
                .starts_with("defaultConfig.statusPort must")
        );
        let typo = mesh.proxy_with(Some("tracing: {sampler: 1}\nproxyMetadata: {A: 1}\nstatusPort: 0")).unwrap_err();
        for field in [
            "tracing.sampler: unknown field \"sampler\"",
            "proxyMetadata.A: must be a string",
            "statusPort: invalid value 0: must be a port",
        ] {
            assert!(typo.contains(field), "{typo}");
        }
        assert!(mesh.proxy_with(Some("- a")).unwrap_err().contains("map"));
        assert!(mesh.proxy_with(Some("a: [")).unwrap_err().contains("line "));
    }
}
