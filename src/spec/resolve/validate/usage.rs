//! How settings are used: what upstream's command line refuses though its controller took it, and what is worth a warning.

use super::checker::Checker;
use crate::api::schema::check::whole;
use crate::spec::problem::Kind;
use serde_json::{Map, Value};
use std::ops::Range;

/// The lists of gateways, and the values that their gateways share.
const GATEWAYS: [(&str, &str); 2] =
    [("ingressGateways", "istio-ingressgateway"), ("egressGateways", "istio-egressgateway")];

/// Add-ons that are no longer installed.
const ADDONS: [&str; 4] = ["grafana", "tracing", "kiali", "prometheus"];

/// The value that does not count as set.
enum Default {
    /// There is none.
    None,
    False,
    Zero,
    Text(&'static str),
}

impl Default {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::None => value.is_null(),
            Self::False => value == &Value::Bool(false),
            Self::Zero => value.as_f64() == Some(0.0),
            Self::Text(text) => value == text,
        }
    }
}

/// Settings that were replaced: path below the spec, what to use, the value that does not count as set. Many of them are not
/// part of the values API any more and get this far with `--force` only.
const DEPRECATED: &[(&str, &str, Default)] = &[
    ("values.global.certificates", "meshConfig.certificates", Default::None),
    ("values.global.outboundTrafficPolicy", "meshConfig.outboundTrafficPolicy", Default::None),
    ("values.global.localityLbSetting", "meshConfig.localityLbSetting", Default::None),
    ("values.global.policyCheckFailOpen", "meshConfig.policyCheckFailOpen", Default::False),
    ("values.global.enableTracing", "meshConfig.enableTracing", Default::False),
    ("values.global.proxy.accessLogFormat", "meshConfig.accessLogFormat", Default::Text("")),
    ("values.global.proxy.accessLogFile", "meshConfig.accessLogFile", Default::Text("")),
    ("values.global.proxy.concurrency", "meshConfig.defaultConfig.concurrency", Default::None),
    ("values.global.proxy.envoyAccessLogService", "meshConfig.defaultConfig.envoyAccessLogService", Default::None),
    ("values.global.proxy.envoyAccessLogService.enabled", "meshConfig.enableEnvoyAccessLogService", Default::None),
    ("values.global.proxy.envoyMetricsService", "meshConfig.defaultConfig.envoyMetricsService", Default::None),
    ("values.global.proxy.protocolDetectionTimeout", "meshConfig.protocolDetectionTimeout", Default::Text("")),
    (
        "values.global.proxy.holdApplicationUntilProxyStarts",
        "meshConfig.defaultConfig.holdApplicationUntilProxyStarts",
        Default::False,
    ),
    ("values.pilot.ingress", "meshConfig.ingressService, .ingressControllerMode and .ingressClass", Default::None),
    ("values.global.mtls.enabled", "the PeerAuthentication resource", Default::None),
    ("values.global.mtls.auto", "meshConfig.enableAutoMtls", Default::None),
    ("values.global.tracer.lightstep.address", "meshConfig.defaultConfig.tracing.lightstep.address", Default::Text("")),
    (
        "values.global.tracer.lightstep.accessToken",
        "meshConfig.defaultConfig.tracing.lightstep.accessToken",
        Default::Text(""),
    ),
    ("values.global.tracer.zipkin.address", "meshConfig.defaultConfig.tracing.zipkin.address", Default::None),
    ("values.global.tracer.datadog.address", "meshConfig.defaultConfig.tracing.datadog.address", Default::Text("")),
    ("values.global.meshExpansion.enabled", "a gateway and the Gateway resource", Default::False),
    (
        "values.gateways.istio-ingressgateway.meshExpansionPorts",
        "components.ingressGateways[name:istio-ingressgateway].k8s.service.ports",
        Default::None,
    ),
    ("addonComponents.istiocoredns.enabled", "the DNS proxy of the sidecar", Default::False),
    ("values.istiocoredns.enabled", "the DNS proxy of the sidecar", Default::False),
    ("values.global.jwtPolicy", "the default, third-party-jwt", Default::Text("third-party-jwt")),
    ("values.global.centralIstiod", "values.global.externalIstiod", Default::False),
    ("values.global.arch", "the affinity of k8s settings", Default::None),
];

/// Settings that were replaced, and that releases refuse after a while: as in [`DEPRECATED`], with the first release that
/// refuses it and the first one that does not look any more. Before that the setting is deprecated, but for tracing, which
/// was not.
const REFUSED: &[(&str, &str, Default, Range<u32>)] = &[
    ("values.global.tracer.stackdriver.debug", TRACING, Default::False, 21..24),
    ("values.global.tracer.stackdriver.maxNumberOfAttributes", TRACING, Default::Zero, 21..24),
    ("values.global.tracer.stackdriver.maxNumberOfAnnotations", TRACING, Default::Zero, 21..24),
    ("values.global.tracer.stackdriver.maxNumberOfMessageEvents", TRACING, Default::Zero, 21..24),
    ("values.telemetry.v2.stackdriver.logging", "the Telemetry API", Default::False, 21..21),
    ("meshConfig.defaultConfig.tracing.stackdriver.debug", TRACERS, Default::False, 23..24),
    ("meshConfig.defaultConfig.tracing.stackdriver.maxNumberOfAttributes", TRACERS, Default::Zero, 23..24),
    ("meshConfig.defaultConfig.tracing.stackdriver.maxNumberOfAnnotations", TRACERS, Default::Zero, 23..24),
    ("meshConfig.defaultConfig.tracing.stackdriver.maxNumberOfMessageEvents", TRACERS, Default::Zero, 23..24),
];
const TRACING: &str = "the field of this name in meshConfig.defaultConfig.tracing.stackdriver";
const TRACERS: &str = "another tracer";

/// Checks all of it in a merged spec of release 1.`minor`.
pub(super) fn check(spec: &Value, minor: u32, checker: &mut Checker<'_>) {
    for (list, root) in GATEWAYS {
        check_service_ports(spec, list, root, checker);
    }
    check_ingress_ports(spec, checker);
    for part in ["values", "addonComponents"] {
        for addon in ADDONS {
            let path = format!("{part}.{addon}.enabled");
            if at(spec, &path).is_some_and(|v| !v.is_null() && v != &Value::Bool(false)) {
                let message = "add-ons are no longer installed; use the samples/addons/ deployments instead";
                checker.add(&format!("spec.{path}"), message.into(), Kind::Use);
            }
        }
    }
    for (path, instead, default) in DEPRECATED {
        if at(spec, path).is_some_and(|v| !v.is_null() && !default.is(v)) {
            checker.add(&format!("spec.{path}"), format!("is deprecated; use {instead} instead"), Kind::Doubt);
        }
    }
    for (path, instead, default, minors) in REFUSED {
        let kind = match minor {
            minor if minors.contains(&minor) => Kind::Use,
            minor if minor < minors.start && path.starts_with("values") => Kind::Doubt,
            _ => continue,
        };
        if at(spec, path).is_some_and(|v| !v.is_null() && !default.is(v)) {
            let word = if kind == Kind::Use { "is not supported any more" } else { "is deprecated" };
            checker.add(&format!("spec.{path}"), format!("{word}; use {instead} instead"), kind);
        }
    }
    check_replicas(spec, checker);
}

fn at<'v>(spec: &'v Value, path: &str) -> Option<&'v Value> {
    spec.pointer(&format!("/{}", path.replace('.', "/")))
}

fn is_true(spec: &Value, path: &str) -> bool {
    at(spec, path) == Some(&Value::Bool(true))
}

/// The gateways of a list, each with its path.
fn gateways<'v>(spec: &'v Value, list: &'static str) -> impl Iterator<Item = (String, &'v Map<String, Value>)> {
    let all = at(spec, &format!("components.{list}")).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_object).enumerate().map(move |(i, gateway)| {
        let path = match gateway.get("name").and_then(Value::as_str).filter(|n| !n.is_empty()) {
            Some(name) => format!("spec.components.{list}[name:{name}]"),
            None => format!("spec.components.{list}[{i}]"),
        };
        (path, gateway)
    })
}

/// Ports below 1024 need root, which gateways do not have unless they are told to. Disabled gateways count too.
fn check_service_ports(spec: &Value, list: &'static str, root: &str, checker: &mut Checker<'_>) {
    if is_true(spec, &format!("values.gateways.{root}.runAsRoot")) {
        return;
    }
    for (path, gateway) in gateways(spec, list) {
        let ports = gateway.get("k8s").and_then(|k| k.pointer("/service/ports")).and_then(Value::as_array);
        for (i, port) in ports.into_iter().flatten().enumerate() {
            check_port(port, &format!("{path}.k8s.service.ports[{i}]"), root, checker);
        }
    }
}

/// The same ports in the values; upstream looks at them even where the gateway runs as root.
fn check_ingress_ports(spec: &Value, checker: &mut Checker<'_>) {
    let root = "istio-ingressgateway";
    let path = format!("values.gateways.{root}.ingressPorts");
    let ports = at(spec, &path).and_then(Value::as_array);
    let is_number = |port: &Value, field: &str| port.get(field).is_some_and(Value::is_number);
    for (i, port) in ports.into_iter().flatten().enumerate().filter(|(_, port)| is_number(port, "port")) {
        check_port(port, &format!("spec.{path}[{i}]"), root, checker);
    }
}

fn check_port(port: &Value, path: &str, root: &str, checker: &mut Checker<'_>) {
    let number = |field: &str| match port.get(field) {
        None | Some(Value::Null) => Some(0),
        // A target that has a name is the container's matter.
        Some(Value::String(_)) if field == "targetPort" => None,
        Some(value) => whole(value),
    };
    let (Some(target), Some(own)) = (number("targetPort"), number("port")) else { return };
    if (target == 0 && own > 1024) || target >= 1024 {
        return;
    }
    let fix = format!("set targetPort to be greater than 1024 or configure values.gateways.{root}.runAsRoot=true");
    let message = match target {
        0 => format!("port {own} has no targetPort and so is its own target, which requires root: {fix}"),
        target => format!("targetPort is set to {target}, which requires root: {fix}"),
    };
    let field = if port.get("targetPort").is_some() { "targetPort" } else { "port" };
    checker.add(&format!("{path}.{field}"), message, Kind::Use);
}

/// Replicas that autoscaling overrules.
fn check_replicas(spec: &Value, checker: &mut Checker<'_>) {
    let replicas = |k8s: Option<&Value>| {
        let count = k8s.and_then(|k| k.get("replicaCount"));
        count.and_then(|n| n.as_i64().or_else(|| n.as_str()?.parse().ok())).unwrap_or_default()
    };
    let mut warn = |path: &str, flag: &str| {
        checker.add(&format!("{path}.k8s.replicaCount"), format!("should not be set when {flag} is true"), Kind::Doubt);
    };
    let flag = "values.pilot.autoscaleEnabled";
    if replicas(at(spec, "components.pilot.k8s")) > 1 && is_true(spec, flag) {
        warn("spec.components.pilot", flag);
    }
    for (list, root) in GATEWAYS {
        let flag = format!("values.gateways.{root}.autoscaleEnabled");
        if is_true(spec, &flag) {
            let set = gateways(spec, list).filter(|(_, gateway)| replicas(gateway.get("k8s")) != 0);
            set.for_each(|(path, _)| warn(&path, &flag));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::Origin;
    use serde_json::json;

    fn problems(spec: &Value) -> Vec<(String, Kind)> {
        let origin = Origin::default();
        let mut checker = Checker { origin: &origin, problems: vec![] };
        check(spec, 17, &mut checker);
        checker.problems.into_iter().map(|p| (p.to_string(), p.kind)).collect()
    }

    fn with_ports(ports: &Value) -> Value {
        json!({"components": {"ingressGateways": [{"name": "gw", "k8s": {"service": {"ports": ports}}}]}})
    }

    #[test]
    fn ports_that_need_root_are_refused_unless_the_gateway_runs_as_root() {
        let wrong =
            json!([{"port": 80, "targetPort": 80}, {"port": "443"}, {"port": 1024}, {"port": 9, "targetPort": 0}]);
        let mut spec = with_ports(&wrong);
        let found = problems(&spec);
        assert_eq!(found.len(), 4, "{found:?}");
        let expected = "spec.components.ingressGateways[name:gw].k8s.service.ports[0].targetPort: targetPort is set to 80, which \
                        requires root: set targetPort to be greater than 1024 or configure \
                        values.gateways.istio-ingressgateway.runAsRoot=true";
        assert_eq!(found[0], (expected.to_owned(), Kind::Use));
        spec["values"] = json!({"gateways": {"istio-ingressgateway": {"runAsRoot": true}}});
        assert_eq!(problems(&spec), []);
        spec["values"]["gateways"]["istio-ingressgateway"]["ingressPorts"] = wrong;
        assert_eq!(problems(&spec).len(), 3, "what is not a number is not looked at here");
        let right = json!([{"port": 80, "targetPort": 8080}, {"port": 1025}, {"port": 80, "targetPort": "http"},
            {"port": 1, "targetPort": 1024}]);
        assert_eq!(problems(&with_ports(&right)), []);
    }

    #[test]
    fn add_ons_are_refused() {
        let spec = json!({"addonComponents": {"kiali": {"enabled": true}, "grafana": {"enabled": false}, "x": {"enabled": true}},
            "values": {"tracing": {"enabled": "yes"}}});
        let found = problems(&spec);
        assert_eq!(found.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), [Kind::Use, Kind::Use]);
        assert!(found[0].0.starts_with("spec.values.tracing.enabled: add-ons"), "{found:?}");
    }

    #[test]
    fn settings_with_a_successor_and_overruled_replicas_are_doubts() {
        let spec = json!({
            "components": {"pilot": {"k8s": {"replicaCount": 2}}, "egressGateways": [{"name": "e", "k8s": {"replicaCount": 1}}]},
            "values": {"pilot": {"autoscaleEnabled": true}, "gateways": {"istio-egressgateway": {"autoscaleEnabled": true}},
                "global": {"jwtPolicy": "first-party-jwt", "arch": {"amd64": 2},
                    "tracer": {"zipkin": {"address": ""}, "lightstep": {"address": ""}, "stackdriver": {"maxNumberOfAttributes": 0}}}},
        });
        let expected = [
            "spec.values.global.tracer.zipkin.address: is deprecated; use meshConfig.defaultConfig.tracing.zipkin.address instead",
            "spec.values.global.jwtPolicy: is deprecated; use the default, third-party-jwt instead",
            "spec.values.global.arch: is deprecated; use the affinity of k8s settings instead",
            "spec.components.pilot.k8s.replicaCount: should not be set when values.pilot.autoscaleEnabled is true",
            "spec.components.egressGateways[name:e].k8s.replicaCount: should not be set when \
             values.gateways.istio-egressgateway.autoscaleEnabled is true",
        ];
        assert_eq!(problems(&spec), expected.map(|e| (e.to_owned(), Kind::Doubt)));
    }
}
