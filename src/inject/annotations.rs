//! The annotations that injection reads, and their valid values.

pub(super) use super::annotation_names::*;
use super::error::InjectError;
use super::pod::Pod;
use crate::api::quantity;

/// Checks a value; the error says what is wrong with it.
type Check = fn(&str) -> Result<(), String>;

/// The annotations that are checked. `proxy.istio.io/config` is read by [`mesh`](super::mesh), which checks it.
const CHECKED: &[(&str, Check)] = &[
    ("sidecar.istio.io/interceptionMode", |v| {
        ensure(["REDIRECT", "TPROXY", "NONE"].contains(&v), "want REDIRECT, TPROXY or NONE")
    }),
    ("sidecar.istio.io/enableCoreDump", boolean),
    (STATUS_PORT, |v| port(v)),
    ("readiness.status.sidecar.istio.io/initialDelaySeconds", seconds),
    ("readiness.status.sidecar.istio.io/periodSeconds", seconds),
    ("readiness.status.sidecar.istio.io/failureThreshold", seconds),
    ("traffic.sidecar.istio.io/includeOutboundIPRanges", |v| if v == "*" { Ok(()) } else { ranges(v) }),
    ("traffic.sidecar.istio.io/excludeOutboundIPRanges", ranges),
    ("traffic.sidecar.istio.io/includeInboundPorts", |v| if v == "*" { Ok(()) } else { ports(v) }),
    ("traffic.sidecar.istio.io/excludeInboundPorts", ports),
    ("traffic.sidecar.istio.io/excludeOutboundPorts", ports),
    (MERGE_METRICS, boolean),
];

/// The annotations that become quantities where a template reads them.
const QUANTITIES: &[(&str, Check)] = &[
    (CPU, amount),
    ("sidecar.istio.io/proxyMemory", amount),
    (CPU_LIMIT, amount),
    ("sidecar.istio.io/proxyMemoryLimit", amount),
];

/// An error for every annotation with an invalid value.
pub(super) fn problems(pod: &Pod) -> Vec<InjectError> {
    wrong(CHECKED, pod)
}

/// An error for every annotation that must be a quantity and is not.
pub(super) fn wrong_quantities(pod: &Pod) -> Vec<InjectError> {
    wrong(QUANTITIES, pod)
}

fn wrong(table: &[(&'static str, Check)], pod: &Pod) -> Vec<InjectError> {
    let wrong = table.iter().filter_map(|(name, check)| {
        let value = pod.annotation(name)?;
        Some(invalid(name, value, &check(value).err()?))
    });
    wrong.collect()
}

/// An annotation with an invalid value.
pub(super) fn invalid(name: &'static str, value: &str, why: &str) -> InjectError {
    InjectError::Annotation { name, message: format!("invalid value '{value}' for annotation '{name}': {why}") }
}

/// A boolean as Go's `strconv.ParseBool` reads it.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn boolean(text: &str) -> Result<(), String> {
    ensure(parse_bool(text).is_some(), "want true or false")
}

fn amount(text: &str) -> Result<(), String> {
    ensure(quantity::canonical(text).is_some(), "want a quantity such as 100m or 1Gi")
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn seconds(text: &str) -> Result<(), String> {
    ensure(digits(text) && text.parse::<u32>().is_ok(), "want a whole number from 0 to 4294967295")
}

fn port(text: &str) -> Result<(), String> {
    let is_port = digits(text.trim()) && text.trim().parse::<u16>().is_ok();
    if is_port { Ok(()) } else { Err(format!("{text:?} is not a port from 0 to 65535")) }
}

fn ports(list: &str) -> Result<(), String> {
    if list.trim().is_empty() { Ok(()) } else { list.split(',').try_for_each(port) }
}

fn ranges(list: &str) -> Result<(), String> {
    if list.is_empty() { Ok(()) } else { list.split(',').try_for_each(range) }
}

/// An address block such as `10.0.0.0/8`.
fn range(text: &str) -> Result<(), String> {
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let address: std::net::IpAddr = address.parse().ok()?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        Some(digits(bits) && bits.parse::<u8>().ok()? <= widest)
    });
    if parsed == Some(true) { Ok(()) } else { Err(format!("{text:?} is not an address block such as 10.0.0.0/8")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems_of(annotations: &serde_json::Value) -> Vec<String> {
        let pod = Pod::new(&json!({ "annotations": annotations }), &json!({})).unwrap();
        problems(&pod).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn valid_annotations_pass() {
        let all = json!({
            "sidecar.istio.io/interceptionMode": "TPROXY",
            "sidecar.istio.io/enableCoreDump": "True",
            "status.sidecar.istio.io/port": "0",
            "readiness.status.sidecar.istio.io/periodSeconds": "4294967295",
            "traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
            "traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.0.0.0/8,fd00::/8",
            "traffic.sidecar.istio.io/includeInboundPorts": "*",
            "traffic.sidecar.istio.io/excludeInboundPorts": "80, 81",
            "traffic.sidecar.istio.io/excludeOutboundPorts": "",
            "prometheus.istio.io/merge-metrics": "false",
            "sidecar.istio.io/logLevel": "anything",
        });
        assert_eq!(problems_of(&all), Vec::<String>::new());
    }

    #[test]
    fn every_annotation_with_a_wrong_value_is_named() {
        for (name, value) in [
            ("sidecar.istio.io/interceptionMode", "tproxy"),
            ("sidecar.istio.io/enableCoreDump", "yes"),
            ("status.sidecar.istio.io/port", "70000"),
            ("readiness.status.sidecar.istio.io/failureThreshold", "-1"),
            ("traffic.sidecar.istio.io/includeOutboundIPRanges", "10.0.0.1"),
            ("traffic.sidecar.istio.io/excludeOutboundIPRanges", "*"),
            ("traffic.sidecar.istio.io/excludeOutboundIPRanges", "10.0.0.0/33"),
            ("traffic.sidecar.istio.io/includeInboundPorts", "80,x"),
            ("traffic.sidecar.istio.io/excludeInboundPorts", "*"),
            ("traffic.sidecar.istio.io/excludeOutboundPorts", "80,"),
            ("prometheus.istio.io/merge-metrics", ""),
        ] {
            let found = problems_of(&json!({ name: value }));
            let want = format!("invalid value '{value}' for annotation '{name}': ");
            assert!(found.len() == 1 && found[0].starts_with(&want), "{name}={value}: {found:?}");
        }
        let two = json!({"status.sidecar.istio.io/port": "x", "prometheus.istio.io/merge-metrics": "x"});
        assert_eq!(problems_of(&two).len(), 2);
    }
}
