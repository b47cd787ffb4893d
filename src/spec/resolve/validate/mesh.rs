//! What a mesh configuration means, beyond its form: the rules that istiod's own validation has, release by release.
//!
//! A rule looks at one field. Fields of another type than they should have are left out; that is a problem of form.
//! Facts: `ValidateMeshConfig` of releases 1.17 to 1.30.

use super::checker::Checker;
use crate::api::LONGEST_LABEL;
use crate::api::schema::camel_case;
use crate::spec::path::join;
use crate::spec::problem::Kind;
use helm_template::sprig::go_duration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

/// What is wrong with a field, if anything.
type Rule = fn(&Value) -> Option<String>;

/// The end of rules that hold to this day.
const NEVER: u32 = u32::MAX;
const ALL: Range<u32> = 0..NEVER;

/// Path below the mesh configuration, where `[]` and `{}` stand for every item of a list and every entry of a map; the minor
/// releases that have the rule.
const RULES: &[(&str, Range<u32>, Rule)] = &[
    ("proxyListenPort", ALL, port),
    ("connectTimeout", 0..20, connect_timeout_30s),
    ("connectTimeout", 20..NEVER, connect_timeout_1h),
    ("protocolDetectionTimeout", ALL, detection_timeout),
    ("trustDomain", ALL, trust_domain),
    ("trustDomainAliases[]", ALL, trust_domain),
    ("serviceSettings[].hosts[]", ALL, wildcard_domain),
    ("localityLbSetting", ALL, locality),
    ("localityLbSetting", 20..NEVER, failover_by_two_means),
    ("defaultConfig.configPath", ALL, filled),
    ("defaultConfig.binaryPath", ALL, filled),
    ("defaultConfig.serviceCluster", ALL, filled),
    ("defaultConfig.discoveryAddress", ALL, address),
    ("defaultConfig.statsdUdpAddress", ALL, address_or_none),
    ("defaultConfig.envoyMetricsServiceAddress", ALL, address_or_none),
    ("defaultConfig.envoyMetricsService.address", ALL, address_or_none),
    ("defaultConfig.envoyMetricsService.tlsSettings", ALL, tls),
    ("defaultConfig.envoyAccessLogService.address", ALL, address_or_none),
    ("defaultConfig.envoyAccessLogService.tlsSettings", ALL, tls),
    ("defaultConfig.drainDuration", ALL, drain_duration),
    ("defaultConfig.drainDuration", 0..22, drain_duration_1h),
    ("defaultConfig.proxyAdminPort", ALL, port),
    ("defaultConfig.statusPort", ALL, port),
    ("defaultConfig.controlPlaneAuthPolicy", ALL, auth_policy),
    ("defaultConfig.privateKeyProvider", ALL, private_key_provider),
    ("defaultConfig.tracing.zipkin", ALL, tracer_on_host),
    ("defaultConfig.tracing.datadog", ALL, tracer_on_host),
    ("defaultConfig.tracing.lightstep", ALL, lightstep),
    ("defaultConfig.tracing.tlsSettings", ALL, tls),
    ("defaultConfig.tracing.customTags", ALL, tag_names),
    ("defaultConfig.tracing.customTags{}", ALL, custom_tag),
    ("defaultConfig.tracing.tlsSettings", 19..NEVER, tls_unverified),
    ("defaultConfig.tracing.tlsSettings", 22..NEVER, tls_revocations),
    ("defaultConfig.tracing.tlsSettings.credentialName", 26..NEVER, credential_in_config_map),
    ("meshMTLS.ecdhCurves", 18..NEVER, no_curves),
];

/// Checks a mesh configuration of release 1.`minor` that stands at `path`.
pub(super) fn check(config: &Value, path: &str, minor: u32, checker: &mut Checker<'_>) {
    let holds = |at: &str, minors: &Range<u32>| minors.contains(&minor) && !is_overruled(config, at);
    for (at, _, rule) in RULES.iter().filter(|(at, minors, _)| holds(at, minors)) {
        each(config, at, path, &mut |value, path| {
            if let Some(message) = rule(value) {
                checker.add(path, message, Kind::Content);
            }
        });
    }
    let mut names = BTreeSet::new();
    // Proxies leave a wrong provider out, so it is not worth refusing all the rest.
    each(config, "extensionProviders[]", path, &mut |provider, path| {
        for message in provider_doubts(provider, &mut names) {
            checker.add(path, message, Kind::Doubt);
        }
    });
}

/// The kinds of tracers, of which protobuf takes the last one that is there.
const TRACERS: [&str; 5] = ["zipkin", "lightstep", "datadog", "stackdriver", "openCensusAgent"];

/// Whether a path of [`RULES`] is that of a tracer whose place another one takes.
fn is_overruled(config: &Value, at: &str) -> bool {
    let tracing = entry(config, "defaultConfig").and_then(|(_, of_proxies)| entry(of_proxies, "tracing"));
    let is_set = |name: &str| tracing.and_then(|(_, t)| entry(t, name)).is_some_and(|(_, tracer)| !tracer.is_null());
    at.strip_prefix("defaultConfig.tracing.")
        .is_some_and(|tracer| TRACERS.iter().skip_while(|name| **name != tracer).skip(1).any(|name| is_set(name)))
}

/// Calls `visit` with every value at a path of [`RULES`] and the path it has, null left out.
fn each(value: &Value, at: &str, path: &str, visit: &mut dyn FnMut(&Value, &str)) {
    if at.is_empty() {
        if !value.is_null() {
            visit(value, path);
        }
        return;
    }
    if let (Some(rest), Value::Array(items)) = (at.strip_prefix("[]"), value) {
        for (i, item) in items.iter().enumerate() {
            each(item, rest.trim_start_matches('.'), &format!("{path}[{i}]"), visit);
        }
    } else if let (Some(rest), Value::Object(map)) = (at.strip_prefix("{}"), value) {
        for (key, item) in map {
            each(item, rest.trim_start_matches('.'), &join(path, key), visit);
        }
    } else if let Value::Object(_) = value {
        let (name, rest) = at.split_at(at.find(['.', '[', '{']).unwrap_or(at.len()));
        if let Some((key, inner)) = entry(value, name) {
            each(inner, rest.trim_start_matches('.'), &join(path, key), visit);
        }
    }
}

/// A field in either spelling.
fn entry<'v>(value: &'v Value, name: &str) -> Option<(&'v str, &'v Value)> {
    let map = value.as_object()?;
    map.iter().find(|(key, _)| *key == name || camel_case(key) == name).map(|(key, inner)| (key.as_str(), inner))
}

fn text_of<'v>(value: &'v Value, name: &str) -> &'v str {
    entry(value, name).and_then(|(_, inner)| inner.as_str()).unwrap_or_default()
}

fn number_of(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn port(value: &Value) -> Option<String> {
    let number = number_of(value).filter(|n| !(1..=65535).contains(n))?;
    Some(format!("invalid value {number}: must be a port from 1 to 65535"))
}

/// A duration, shown as written, in nanoseconds.
fn duration(value: &Value) -> Option<(&str, i64)> {
    let text = value.as_str()?;
    Some((text, go_duration(text).ok()?))
}

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1000 * MILLISECOND;

fn connect_timeout_30s(value: &Value) -> Option<String> {
    connect_timeout(value, 30 * SECOND, "30s")
}

fn connect_timeout_1h(value: &Value) -> Option<String> {
    connect_timeout(value, 3600 * SECOND, "1h")
}

fn connect_timeout(value: &Value, most: i64, shown: &str) -> Option<String> {
    let (text, time) = duration(value)?;
    let fits = (MILLISECOND..=most).contains(&time) && time % MILLISECOND == 0;
    (!fits).then(|| format!("invalid connect timeout {text}: must be from 1ms to {shown}, in whole milliseconds"))
}

fn detection_timeout(value: &Value) -> Option<String> {
    let (text, time) = duration(value)?;
    (time % MILLISECOND != 0).then(|| format!("invalid value {text}: must be in whole milliseconds, or 0s for none"))
}

fn drain_duration(value: &Value) -> Option<String> {
    let (text, time) = duration(value)?;
    let fits = time >= SECOND && time % SECOND == 0;
    (!fits).then(|| format!("invalid value {text}: must be at least 1s, in whole seconds"))
}

fn drain_duration_1h(value: &Value) -> Option<String> {
    let (text, time) = duration(value)?;
    (time > 3600 * SECOND).then(|| format!("invalid value {text}: must be at most 1h"))
}

fn filled(value: &Value) -> Option<String> {
    (value.as_str() == Some("")).then(|| "must not be empty".into())
}

/// A label of a domain name, as istiod reads it: upper case counts too.
pub(super) fn is_label(label: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric();
    label.len() <= LONGEST_LABEL
        && label.starts_with(inner)
        && label.ends_with(inner)
        && label.chars().all(|c| inner(c) || c == '-')
}

/// A domain name; a dot may follow the last label.
fn is_domain(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 255 && labels.split('.').all(is_label)
}

/// A domain name that cannot be taken for an address: the last label has a letter.
fn is_host_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    is_domain(name) && (last.is_empty() || last.contains(|c: char| !c.is_ascii_digit()))
}

fn trust_domain(value: &Value) -> Option<String> {
    let name = value.as_str().filter(|n| !is_domain(n))?;
    Some(format!("invalid trust domain {name:?}: must be a domain name such as cluster.local"))
}

fn wildcard_domain(value: &Value) -> Option<String> {
    let host = value.as_str()?;
    let (first, rest) = host.split_once('.').map_or((host, None), |(first, rest)| (first, Some(rest)));
    let any = first == "*" || is_label(first.strip_prefix("*-").unwrap_or(first));
    let fits = any && host.len() <= 255 && rest.is_none_or(|r| r.is_empty() || is_host_name(r));
    (!fits).then(|| format!("invalid host {host:?}: must be a domain name, whose first label may be *"))
}

/// `host:port`, where an IPv6 address stands in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let known = match bare {
        Some(inner) => inner.parse::<IpAddr>().is_ok() || is_host_name(inner),
        None => !host.contains(':') && (host.parse::<IpAddr>().is_ok() || is_host_name(host)),
    };
    known && port.parse::<u16>().is_ok_and(|p| p > 0)
}

fn address(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|t| !is_address(t))?;
    Some(format!(
        "invalid address {text:?}: must be a host name or address and a port, such as istiod.istio-system.svc:15012"
    ))
}

fn address_or_none(value: &Value) -> Option<String> {
    if value.as_str() == Some("") { None } else { address(value) }
}

/// Zipkin and Datadog may run on the node, whose address is put in later.
fn tracer_on_host(value: &Value) -> Option<String> {
    value.as_object()?;
    let text = text_of(value, "address");
    (!is_address(&text.replacen("$(HOST_IP)", "127.0.0.1", 1)))
        .then(|| format!("invalid address {text:?}: must be a host and a port, such as zipkin.istio-system:9411"))
}

fn lightstep(value: &Value) -> Option<String> {
    value.as_object()?;
    let text = text_of(value, "address");
    if !is_address(text) {
        return Some(format!("invalid address {text:?}: must be a host and a port"));
    }
    text_of(value, "accessToken").is_empty().then(|| "must have an accessToken".into())
}

fn tag_names(value: &Value) -> Option<String> {
    value.as_object()?.contains_key("").then(|| "the name of a tag must not be empty".into())
}

/// What each kind of tag needs.
const TAGS: [(&str, &str); 3] = [("literal", "value"), ("environment", "name"), ("header", "name")];

fn custom_tag(value: &Value) -> Option<String> {
    let lacks = |(kind, field): &&(&str, &str)| {
        entry(value, kind).is_some_and(|(_, tag)| tag.is_object() && text_of(tag, field).is_empty())
    };
    TAGS.iter().find(lacks).map(|(kind, field)| format!("a {kind} must have a {field}"))
}

/// The name of an enumeration's value, also where its number is given.
fn name_of<'v>(value: &'v Value, names: &[&'v str]) -> Option<&'v str> {
    value.as_str().or_else(|| names.get(usize::try_from(value.as_i64()?).ok()?).copied())
}

fn auth_policy(value: &Value) -> Option<String> {
    let inherits = name_of(value, &["NONE", "MUTUAL_TLS", "INHERIT"]) == Some("INHERIT");
    inherits.then(|| "must be NONE or MUTUAL_TLS, since there is nothing to inherit from".into())
}

fn tls(value: &Value) -> Option<String> {
    let mode =
        entry(value, "mode").and_then(|(_, mode)| name_of(mode, &["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]));
    let has = |field: &str| !text_of(value, field).is_empty();
    match mode {
        Some("SIMPLE" | "MUTUAL") if has("credentialName") => {
            let both = ["clientCertificate", "privateKey", "caCertificates"].into_iter().find(|f| has(f))?;
            Some(format!("{both} cannot be set together with credentialName"))
        }
        Some("MUTUAL") => {
            let missing = ["clientCertificate", "privateKey"].into_iter().find(|f| !has(f))?;
            Some(format!("mode MUTUAL needs {missing}"))
        }
        _ => None,
    }
}

/// What cannot be said together with not looking at certificates.
fn tls_unverified(value: &Value) -> Option<String> {
    entry(value, "insecureSkipVerify").filter(|(_, skips)| skips == &&Value::Bool(true))?;
    let mode =
        entry(value, "mode").and_then(|(_, mode)| name_of(mode, &["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]))?;
    let excluded: &[&str] = match mode {
        "SIMPLE" => &["caCertificates", "credentialName", "subjectAltNames"],
        "MUTUAL" => &["caCertificates", "subjectAltNames"],
        _ => return None,
    };
    let is_set = |field: &&&str| entry(value, field).is_some_and(|(_, v)| !v.is_null() && v != "" && *v != json!([]));
    excluded.iter().find(is_set).map(|field| format!("{field} cannot be set together with insecureSkipVerify"))
}

fn tls_revocations(value: &Value) -> Option<String> {
    let mode = entry(value, "mode").and_then(|(_, mode)| name_of(mode, &["DISABLE", "SIMPLE", "MUTUAL"]))?;
    let both = !text_of(value, "credentialName").is_empty() && !text_of(value, "caCrl").is_empty();
    (both && matches!(mode, "SIMPLE" | "MUTUAL")).then(|| "caCrl cannot be set together with credentialName".into())
}

fn credential_in_config_map(value: &Value) -> Option<String> {
    let name = value.as_str().filter(|name| name.starts_with("configmap://"))?;
    Some(format!("invalid value {name:?}: must be the name of a Secret, since the mesh configuration has no namespace"))
}

fn no_curves(value: &Value) -> Option<String> {
    value.as_array()?;
    Some("cannot be set for the mesh; use tlsDefaults.ecdhCurves".into())
}

/// Labels of nodes that say where they are.
const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

fn failover_by_two_means(value: &Value) -> Option<String> {
    let list = |name: &str| entry(value, name).and_then(|(_, v)| v.as_array()).map(Vec::as_slice).unwrap_or_default();
    let label = list("failoverPriority").iter().filter_map(Value::as_str).find(|label| TOPOLOGY.contains(label))?;
    (!list("failover").is_empty())
        .then(|| format!("failover and {label} in failoverPriority cannot be set together; choose one"))
}

fn private_key_provider(value: &Value) -> Option<String> {
    value.as_object()?;
    let chosen = ["cryptomb", "qat"].into_iter().find_map(|name| entry(value, name).filter(|(_, v)| v.is_object()));
    let Some((name, provider)) = chosen else { return Some("must have cryptomb or qat".into()) };
    let delay = entry(provider, "pollDelay").map(|(_, delay)| delay).filter(|d| !d.is_null());
    let missing = delay.is_none_or(|d| duration(d).is_some_and(|(_, time)| time == 0));
    missing.then(|| format!("{name} must have a pollDelay other than 0s"))
}

fn locality(value: &Value) -> Option<String> {
    let list = |name: &str| entry(value, name).and_then(|(_, v)| v.as_array()).map(Vec::as_slice).unwrap_or_default();
    let (distribute, failover) = (list("distribute"), list("failover"));
    if !distribute.is_empty() && !failover.is_empty() {
        return Some("distribute and failover cannot be set together; choose one".into());
    }
    distribute.iter().find_map(wrong_distribution).or_else(|| failover.iter().find_map(wrong_failover))
}

fn wrong_distribution(item: &Value) -> Option<String> {
    let from = text_of(item, "from");
    let to = entry(item, "to").and_then(|(_, to)| to.as_object())?;
    let is_locality = |l: &str| {
        !l.is_empty() && !l.contains("**") && !l.contains("//") && l.find('*').is_none_or(|at| at == l.len() - 1)
    };
    if let Some(wrong) = std::iter::once(from).chain(to.keys().map(String::as_str)).find(|l| !is_locality(l)) {
        return Some(format!(
            "distribute: invalid locality {wrong:?}: must be region/zone/subzone, where the last may be *"
        ));
    }
    let weights: Vec<i64> = to.values().filter_map(number_of).collect();
    let fits = weights.iter().all(|w| (1..=100).contains(w)) && weights.iter().sum::<i64>() == 100;
    (!fits).then(|| format!("distribute: the weights from {from:?} must each be 1 to 100, and 100 together"))
}

fn wrong_failover(item: &Value) -> Option<String> {
    let (from, to) = (text_of(item, "from"), text_of(item, "to"));
    let shown = format!("failover from {from:?} to {to:?}");
    if from == to {
        return Some(format!("{shown}: must be two different regions"));
    }
    (from.contains(['/', '*']) || to.contains(['/', '*']))
        .then(|| format!("{shown}: must be regions alone, without / and *"))
}

/// Kinds of providers that are reached as a service.
const SERVICES: &[&str] = &[
    "envoyExtAuthzHttp",
    "envoyExtAuthzGrpc",
    "zipkin",
    "lightstep",
    "datadog",
    "opencensus",
    "skywalking",
    "opentelemetry",
    "envoyHttpAls",
    "envoyTcpAls",
    "envoyOtelAls",
];

/// What proxies will not like about a provider.
fn provider_doubts(provider: &Value, names: &mut BTreeSet<String>) -> Vec<String> {
    let Some(map) = provider.as_object() else { return vec![] };
    let mut doubts = vec![];
    let name = text_of(provider, "name");
    if name.is_empty() {
        doubts.push("a provider should have a name; this one cannot be referred to".into());
    } else if !names.insert(name.to_owned()) {
        doubts.push(format!("there is another provider named {name:?}; one of them is left out"));
    }
    let chosen = map.iter().find(|(key, value)| camel_case(key) != "name" && value.is_object());
    let Some((key, settings)) = chosen else {
        doubts.push(format!("provider {name:?} says nothing of its kind, so it is left out"));
        return doubts;
    };
    if SERVICES.contains(&camel_case(key).as_str()) {
        let service = text_of(settings, "service");
        let host = service.rsplit_once('/').map_or(service, |(_, host)| host);
        if !is_host_name(host) {
            doubts
                .push(format!("provider {name:?}: {key}.service {service:?} should be a host name or namespace/host"));
        }
        let number = entry(settings, "port").map(|(_, port)| port);
        if number.is_none_or(|n| port(n).is_some()) {
            doubts.push(format!("provider {name:?}: {key}.port should be from 1 to 65535"));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::Origin;

    fn problems(config: &Value) -> Vec<(String, Kind)> {
        problems_in(17, config)
    }

    fn problems_in(minor: u32, config: &Value) -> Vec<(String, Kind)> {
        let origin = Origin::default();
        let mut checker = Checker { origin: &origin, problems: vec![] };
        check(config, "m", minor, &mut checker);
        checker.problems.into_iter().map(|p| (format!("{}: {}", p.path, p.message), p.kind)).collect()
    }

    /// A configuration with one field of [`RULES`] set; a name in brackets or braces goes with it.
    fn with(path: &str, value: &Value) -> Value {
        path.rsplit('.').fold(value.clone(), |inner, key| match (key.strip_suffix("[]"), key.strip_suffix("{}")) {
            (Some(key), _) => json!({ key: [inner] }),
            (_, Some(key)) => json!({ key: {"k": inner} }),
            _ => json!({ key: inner }),
        })
    }

    const DEFAULT: &str = "defaultConfig";

    #[test]
    fn every_rule_takes_what_is_right_and_names_what_is_wrong() {
        let cases: Vec<(&str, Vec<Value>, Vec<Value>)> = vec![
            ("proxyListenPort", vec![json!(15001), json!("1")], vec![json!(0), json!(65536)]),
            (
                "connectTimeout",
                vec![json!("10s"), json!("1ms"), json!("30s")],
                vec![json!("10h"), json!("0s"), json!("1.0001s")],
            ),
            ("protocolDetectionTimeout", vec![json!("0s"), json!("5ms")], vec![json!("100us")]),
            ("trustDomain", vec![json!("cluster.local"), json!("a.b.")], vec![json!(""), json!("a..b"), json!("a_b")]),
            ("trustDomainAliases[]", vec![json!("x")], vec![json!("-x")]),
            (
                "serviceSettings[].hosts[]",
                vec![json!("*"), json!("*.a.b"), json!("a.b")],
                vec![json!("a.*"), json!("")],
            ),
            ("defaultConfig.configPath", vec![json!("./etc")], vec![json!("")]),
            (
                "defaultConfig.discoveryAddress",
                vec![json!("istiod:15012"), json!("1.2.3.4:1"), json!("[::1]:2")],
                vec![json!(""), json!("a"), json!("a:0"), json!("a:x"), json!("a.5:1")],
            ),
            ("defaultConfig.statsdUdpAddress", vec![json!(""), json!("a:1")], vec![json!("a")]),
            ("defaultConfig.envoyAccessLogService.address", vec![json!("a.b:15000")], vec![json!("a b:1")]),
            ("defaultConfig.drainDuration", vec![json!("45s")], vec![json!("1500ms"), json!("0s")]),
            ("defaultConfig.statusPort", vec![json!(15020)], vec![json!(70000)]),
            (
                "defaultConfig.controlPlaneAuthPolicy",
                vec![json!("MUTUAL_TLS"), json!(0)],
                vec![json!("INHERIT"), json!(2)],
            ),
            (
                "defaultConfig.tracing.zipkin",
                vec![json!({"address": "$(HOST_IP):9411"})],
                vec![json!({}), json!({"address": "x"})],
            ),
            (
                "defaultConfig.tracing.lightstep",
                vec![json!({"address": "a:1", "accessToken": "t"})],
                vec![json!({"address": "a:1"})],
            ),
            (
                "defaultConfig.tracing.customTags{}",
                vec![json!({"literal": {"value": "v"}})],
                vec![json!({"header": {}})],
            ),
            (
                "defaultConfig.tracing.tlsSettings",
                vec![json!({"mode": "SIMPLE"}), json!({"mode": "MUTUAL", "credentialName": "c"})],
                vec![json!({"mode": "MUTUAL"}), json!({"mode": 1, "credentialName": "c", "privateKey": "p"})],
            ),
            (
                "defaultConfig.privateKeyProvider",
                vec![json!({"cryptomb": {"pollDelay": "10ms"}})],
                vec![json!({}), json!({"qat": {}}), json!({"cryptomb": {"pollDelay": "0s"}})],
            ),
            (
                "localityLbSetting",
                vec![
                    json!({"enabled": true}),
                    json!({"distribute": [{"from": "a/*", "to": {"a/b": 70, "c/*": 30}}]}),
                    json!({"failover": [{"from": "a", "to": "b"}]}),
                ],
                vec![
                    json!({"distribute": [{"from": "a", "to": {"b": 100}}], "failover": [{"from": "a", "to": "b"}]}),
                    json!({"distribute": [{"from": "a", "to": {"b": 50}}]}),
                    json!({"distribute": [{"from": "*/a", "to": {"b": 100}}]}),
                    json!({"failover": [{"from": "a", "to": "a"}]}),
                    json!({"failover": [{"from": "a/b", "to": "c"}]}),
                ],
            ),
        ];
        for (path, right, wrong) in cases {
            for value in right {
                assert_eq!(problems(&with(path, &value)), [], "{path}: {value}");
            }
            for value in wrong {
                let found = problems(&with(path, &value));
                let place = format!("m.{}", path.replace("[]", "[0]").replace("{}", ".k"));
                let named = found.len() == 1 && found[0].0.starts_with(&place) && found[0].1 == Kind::Content;
                assert!(named, "{path}: {value}: {found:?}");
            }
        }
    }

    #[test]
    fn a_rule_holds_in_the_releases_that_have_it() {
        let tls = |settings: Value| json!({"defaultConfig": {"tracing": {"tlsSettings": settings}}});
        for (config, minors) in [
            (json!({"connectTimeout": "31s"}), 17..20),
            (json!({"connectTimeout": "61m"}), 17..32),
            (json!({"defaultConfig": {"drainDuration": "2h"}}), 17..22),
            (json!({"meshMTLS": {"ecdhCurves": ["P-256"]}}), 18..32),
            (tls(json!({"mode": "SIMPLE", "insecureSkipVerify": true, "caCertificates": "c"})), 19..32),
            (tls(json!({"mode": "SIMPLE", "credentialName": "c", "caCrl": "x"})), 22..32),
            (tls(json!({"mode": "SIMPLE", "credentialName": "configmap://c"})), 26..32),
            (
                json!({"localityLbSetting": {"failover": [{"from": "a", "to": "b"}], "failoverPriority": ["topology.kubernetes.io/zone"]}}),
                20..32,
            ),
        ] {
            for minor in 17..32 {
                assert_eq!(
                    problems_in(minor, &config).len(),
                    usize::from(minors.contains(&minor)),
                    "1.{minor}: {config}"
                );
            }
        }
    }

    #[test]
    fn of_several_tracers_the_one_that_counts_is_checked() {
        let tracing = json!({"zipkin": {"address": ""}, "datadog": {"address": "d:1"}, "stackdriver": null});
        assert_eq!(problems(&json!({"defaultConfig": {"tracing": tracing}})), []);
        assert_eq!(problems(&json!({"defaultConfig": {"tracing": {"zipkin": {"address": ""}}}})).len(), 1);
    }

    #[test]
    fn both_spellings_are_checked() {
        let found = problems(&json!({"default_config": {"status_port": 0}}));
        assert_eq!(found[0].0, "m.default_config.status_port: invalid value 0: must be a port from 1 to 65535");
        assert_eq!(problems(&json!({DEFAULT: null, "connectTimeout": 5, "localityLbSetting": "x"})), []);
    }

    #[test]
    fn a_provider_that_proxies_leave_out_is_a_doubt() {
        let found = problems(&json!({"extensionProviders": [
            {"name": "a", "zipkin": {"service": "z.ns", "port": 9411}}, {"name": "a", "prometheus": {}}, {"name": "b"},
            {"name": "c", "envoyOtelAls": {"service": "", "port": 4317}}, {"name": "d", "envoyExtAuthzGrpc": {"service": "ns/h.ns"}}]}));
        let expected = [
            "m.extensionProviders[1]: there is another provider named \"a\"; one of them is left out",
            "m.extensionProviders[2]: provider \"b\" says nothing of its kind, so it is left out",
            "m.extensionProviders[3]: provider \"c\": envoyOtelAls.service \"\" should be a host name or namespace/host",
            "m.extensionProviders[4]: provider \"d\": envoyExtAuthzGrpc.port should be from 1 to 65535",
        ];
        assert_eq!(found, expected.map(|e| (e.to_owned(), Kind::Doubt)));
    }
}
