//! What is wrong with a spec: all of it at once, each problem with its path, and with file and line where it came from one.

use super::text;
use crate::api::istio_operator::IstioOperatorSpec;
use crate::api::schema::Checked;
use crate::request::Origin;
use crate::tree::suggest;
use serde_json::Value;
use std::fmt;
use std::sync::LazyLock;

/// Something wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as `spec.components.pilot`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
    /// `FILE:LINE:COLUMN`, where it came from a file.
    pub location: Option<String>,
    /// Whether `--force` lets it pass.
    pub is_tolerable: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

static SCHEMA: LazyLock<Checked> = LazyLock::new(Checked::of::<IstioOperatorSpec>);

struct Checker<'a> {
    origin: &'a Origin,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn add(&mut self, path: &str, message: String, is_tolerable: bool) {
        let location = self.origin.locate(path);
        self.problems.push(Problem { path: path.to_owned(), message, location, is_tolerable });
    }

    /// Walks a value beside its schema. Null is unset everywhere, as in protobuf's JSON form.
    fn walk(&mut self, schema: &Value, value: &Value, path: &str) {
        if value.is_null() {
            return;
        }
        let schema = SCHEMA.follow(schema);
        let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        if is("x-kubernetes-int-or-string") {
            self.check_number(schema, value, path);
            return;
        }
        match (schema.get("type").and_then(Value::as_str), value) {
            (Some("object"), Value::Object(map)) => {
                if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                    for (name, inner) in map {
                        let at = format!("{path}.{name}");
                        match properties.get(name) {
                            Some(schema) => self.walk(schema, inner, &at),
                            None => self.unknown(name, &at, properties.keys().map(String::as_str)),
                        }
                    }
                } else if let Some(schema) = schema.get("additionalProperties").filter(|s| s.is_object()) {
                    for (name, inner) in map {
                        self.walk(schema, inner, &format!("{path}.{name}"));
                    }
                }
            }
            (Some("array"), Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    self.walk(schema.get("items").unwrap_or(&Value::Null), item, &format!("{path}[{i}]"));
                }
            }
            (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some(wanted), found) => {
                self.add(path, format!("must be {}, not {}", article(wanted), describe(found)), false);
            }
        }
    }

    fn check_number(&mut self, schema: &Value, value: &Value, path: &str) {
        let whole = schema.get("format").is_some_and(|f| f == "integer");
        let fits = match value {
            Value::Number(n) => !whole || n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|f| f.fract() == 0.0),
            Value::String(s) => !whole || s.parse::<i64>().is_ok(),
            _ => false,
        };
        if !fits {
            let wanted = if whole { "a whole number" } else { "a number or a string" };
            self.add(path, format!("must be {wanted}, not {}", describe(value)), false);
        }
    }

    fn unknown<'n>(&mut self, name: &str, path: &str, known: impl Iterator<Item = &'n str>) {
        self.add(path, format!("unknown field {name:?}{}", suggest::hint(name, known)), false);
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        _ => "a string",
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => format!("{b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the string {s:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

/// Problems of form in a spec as the user wrote it: unknown fields and wrong types. `--force` lets none of them pass.
#[must_use]
pub fn check_spec(spec: &Value, origin: &Origin) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    checker.walk(SCHEMA.root(), spec, "spec");
    checker.problems
}

/// Problems of content in a merged spec.
#[must_use]
pub fn check_merged(spec: &Value, origin: &Origin) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    for (field, rule, wanted) in RULES {
        if let Some(value) = text(spec, &format!("/{field}")).filter(|v| !v.is_empty() && !rule(v)) {
            checker.add(&format!("spec.{field}"), format!("invalid value {value:?}: must be {wanted}"), true);
        }
    }
    for list in ["ingressGateways", "egressGateways"] {
        let gateways = spec.pointer(&format!("/components/{list}")).and_then(Value::as_array);
        for (i, gateway) in gateways.into_iter().flatten().enumerate() {
            let path = format!("spec.components.{list}[{i}]");
            if !gateway.is_object() {
                checker.add(&path, "a gateway must be a map with a name".into(), true);
            } else if let Some(name) = text(gateway, "/name").filter(|n| !is_gateway_name(n)) {
                let message =
                    format!("invalid value {name:?}: must be up to 254 lower-case letters, digits, dots and dashes");
                checker.add(&format!("{path}.name"), message, true);
            }
        }
    }
    for addon in ["grafana", "tracing", "kiali", "prometheus"] {
        if spec.pointer(&format!("/addonComponents/{addon}/enabled")) == Some(&Value::Bool(true)) {
            let message = "add-ons are no longer installed; use the samples/addons/ deployments instead".into();
            checker.add(&format!("spec.addonComponents.{addon}.enabled"), message, false);
        }
    }
    checker.problems
}

type Rule = (&'static str, fn(&str) -> bool, &'static str);

/// Rules of single fields.
const RULES: [Rule; 4] = [
    ("hub", is_hub, "a registry and path such as docker.io/istio"),
    ("tag", is_tag, "up to 128 letters, digits, '_', '.' and '-' such as 1.17.8"),
    ("revision", is_dns_label, "up to 63 lower-case letters, digits and dashes such as 1-17-8"),
    ("namespace", is_dns_label, "the name of a namespace, such as istio-system"),
];

fn is_dns_label(s: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    s.len() <= 63 && s.starts_with(inner) && s.ends_with(inner) && s.chars().all(|c| inner(c) || c == '-')
}

fn is_gateway_name(s: &str) -> bool {
    s.len() <= 254 && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-')
}

fn is_tag(s: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    s.len() <= 128 && s.starts_with(word) && s.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// A reference as registries take it: a host with an optional port, lower-case path parts, an optional tag and digest.
fn is_hub(s: &str) -> bool {
    let (name, digest) = s.split_once('@').map_or((s, None), |(n, d)| (n, Some(d)));
    if digest.is_some_and(|d| !d.contains(':') || d.len() < 35) {
        return false;
    }
    let (name, tag) = match name.rsplit_once(':') {
        Some((n, t)) if !t.contains('/') && n.contains('/') => (n, Some(t)),
        _ => (name, None),
    };
    let mut parts = name.split('/');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let host = !rest.is_empty() && is_host(first);
    tag.is_none_or(is_tag) && (host || is_path_part(first)) && rest.iter().all(|p| is_path_part(p))
}

fn is_host(s: &str) -> bool {
    let (host, port) = s.split_once(':').map_or((s, None), |(h, p)| (h, Some(p)));
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.split('.').all(label) && port.is_none_or(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()))
}

fn is_path_part(s: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    s.starts_with(inner)
        && s.ends_with(inner)
        && s.chars().all(|c| inner(c) || "._-".contains(c))
        && !s.contains("..")
        && !s.contains("___")
}

/// Settings that still work and should be replaced: path below the spec, what to use, the default that does not count.
const DEPRECATED: &[(&str, &str, Value)] = &[
    ("values.global.jwtPolicy", "the default, third-party-jwt", Value::Null),
    ("values.global.arch", "the affinity of k8s settings", Value::Null),
    ("values.global.tracer.zipkin.address", "meshConfig.defaultConfig.tracing.zipkin.address", Value::Null),
    ("values.global.tracer.datadog.address", "meshConfig.defaultConfig.tracing.datadog.address", Value::Null),
    ("values.global.tracer.lightstep.address", "meshConfig.defaultConfig.tracing.lightstep.address", Value::Null),
    (
        "values.global.tracer.lightstep.accessToken",
        "meshConfig.defaultConfig.tracing.lightstep.accessToken",
        Value::Null,
    ),
    (
        "values.global.proxy.holdApplicationUntilProxyStarts",
        "meshConfig.defaultConfig.holdApplicationUntilProxyStarts",
        Value::Bool(false),
    ),
    ("values.telemetry.v2.stackdriver.logging", "the Telemetry API", Value::Bool(false)),
];

/// Warnings on settings that still work and should be replaced, and on replicas that autoscaling overrules.
#[must_use]
pub fn deprecations(spec: &Value) -> Vec<String> {
    let at = |path: &str| spec.pointer(&format!("/{}", path.replace('.', "/")));
    let mut warnings: Vec<String> = DEPRECATED
        .iter()
        .filter(|(path, _, default)| {
            at(path).is_some_and(|v| !v.is_null() && v != default && v != "" && v != "third-party-jwt")
        })
        .map(|(path, instead, _)| format!("spec.{path} is deprecated; use {instead} instead"))
        .collect();
    let replicas = |settings: &Value| settings.pointer("/k8s/replicaCount").and_then(Value::as_i64).unwrap_or_default();
    let autoscaled = |path: &str| at(path) == Some(&Value::Bool(true));
    if at("components.pilot").is_some_and(|p| replicas(p) > 1) && autoscaled("values.pilot.autoscaleEnabled") {
        let rule = "should not be set when values.pilot.autoscaleEnabled is true";
        warnings.push(format!("spec.components.pilot.k8s.replicaCount {rule}"));
    }
    for (list, root) in [("ingressGateways", "istio-ingressgateway"), ("egressGateways", "istio-egressgateway")] {
        let gateways = spec.pointer(&format!("/components/{list}")).and_then(Value::as_array);
        let flag = format!("values.gateways.{root}.autoscaleEnabled");
        let names = gateways.into_iter().flatten().filter(|g| replicas(g) != 0).filter_map(|g| text(g, "/name"));
        if autoscaled(&flag) {
            warnings.extend(names.map(|name| {
                format!("spec.components.{list}[name:{name}].k8s.replicaCount should not be set when {flag} is true")
            }));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(spec: &Value) -> Vec<String> {
        let origin = Origin::default();
        check_spec(spec, &origin).iter().chain(&check_merged(spec, &origin)).map(ToString::to_string).collect()
    }

    #[test]
    fn every_problem_is_named_at_once_and_a_near_name_suggested() {
        let found = problems(&json!({
            "hubb": "x", "hub": 5, "revision": "a.b_C",
            "components": {"pilot": {"enabld": true, "k8s": {"replicaCount": "three"}}},
        }));
        let expected = [
            "spec.components.pilot.enabld: unknown field \"enabld\" (did you mean \"enabled\"?)",
            "spec.components.pilot.k8s.replicaCount: must be a whole number, not the string \"three\"",
            "spec.hub: must be a string, not the number 5",
            "spec.hubb: unknown field \"hubb\" (did you mean \"hub\"?)",
            "spec.revision: invalid value \"a.b_C\": must be up to 63 lower-case letters, digits and dashes such as 1-17-8",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_upstream_accepted_is_accepted() {
        let spec = json!({"tag": 12, "hub": null, "values": {"a": {"b": 1}}, "components": {"pilot": {"k8s": {
            "replicaCount": "2", "env": [{"name": "A", "value": "b"}],
            "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "overlays": [{"kind": "Deployment", "name": "istiod", "patches": [{"path": "a", "value": [1]}]}]}}}});
        assert_eq!(problems(&spec), Vec::<String>::new());
    }

    #[test]
    fn hubs_are_references() {
        for hub in ["docker.io/istio", "localhost:5000/a/b", "istio", "gcr.io/x/y-z_a", "a.b/c:tag"] {
            assert!(is_hub(hub), "{hub}");
        }
        for hub in ["a b", "docker.io/Foo/bar", "/x", "x/", "a//b"] {
            assert!(!is_hub(hub), "{hub}");
        }
    }
}
