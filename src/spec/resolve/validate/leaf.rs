//! Values that are lists within one string: address ranges and ports that the proxy takes or leaves.

use super::checker::Checker;
use crate::spec::path::text;
use crate::spec::problem::Kind;
use serde_json::Value;
use std::net::IpAddr;

/// A field of `values.global.proxy`, the rule for each item, and what is wanted.
type Field = (&'static str, fn(&str) -> bool, &'static str);

const FIELDS: [Field; 4] = [
    ("includeIPRanges", is_range, RANGES),
    ("excludeIPRanges", is_range, RANGES),
    ("includeInboundPorts", is_port, PORTS),
    ("excludeInboundPorts", is_port, PORTS),
];

const RANGES: &str = "\"*\" or address ranges such as 10.0.0.0/8, separated by commas";
const PORTS: &str = "\"*\" or ports from 0 to 65535, separated by commas";

/// The first minor release that does not trim the items.
const FIRST_UNTRIMMED: u32 = 19;

/// Checks all of them for release 1.`minor`.
pub(super) fn check(spec: &Value, minor: u32, checker: &mut Checker<'_>) {
    let (trimmed, spaces): (fn(&str) -> &str, _) = match minor {
        ..FIRST_UNTRIMMED => (str::trim, ""),
        _ => (as_it_is, " and no spaces"),
    };
    for (field, rule, wanted) in FIELDS {
        let Some(value) = text(spec, &format!("/values/global/proxy/{field}")) else { continue };
        let wrong: Vec<String> = value.split(',').map(trimmed).filter(|i| !rule(i)).map(|i| format!("{i:?}")).collect();
        if !value.is_empty() && value != "*" && !wrong.is_empty() {
            let message = format!("invalid value {}: must be {wanted}{spaces}", wrong.join(", "));
            checker.add(&format!("spec.values.global.proxy.{field}"), message, Kind::Content);
        }
    }
}

fn as_it_is(item: &str) -> &str {
    item
}

/// An address and the length of its prefix, as Go's `netip.ParsePrefix` reads them.
fn is_range(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let plain = length == "0" || (length.starts_with(|c: char| ('1'..='9').contains(&c)) && length.len() <= 3);
    plain && length.parse::<u8>().is_ok_and(|n| n <= if address.is_ipv4() { 32 } else { 128 })
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text == "*" || text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::Origin;
    use serde_json::json;

    #[test]
    fn ranges_and_ports_are_checked_item_by_item() {
        for (field, value, wrong) in [
            ("includeIPRanges", "", None),
            ("includeIPRanges", "*", None),
            ("includeIPRanges", "10.0.0.0/8, 2001:db8::/32", None),
            ("includeIPRanges", "1.2.3", Some("\"1.2.3\"")),
            (
                "excludeIPRanges",
                "10.0.0.0/8,1.2.3.4,10.0.0.0/33,10.0.0.0/08",
                Some("\"1.2.3.4\", \"10.0.0.0/33\", \"10.0.0.0/08\""),
            ),
            ("excludeIPRanges", "10.0.0.0/8,*", Some("\"*\"")),
            ("excludeInboundPorts", "9, 10,*,", None),
            ("includeInboundPorts", "65536,x,80", Some("\"65536\", \"x\"")),
            ("excludeOutboundPorts", "x", None),
        ] {
            let origin = Origin::default();
            let mut checker = Checker { origin: &origin, problems: vec![] };
            check(&json!({"values": {"global": {"proxy": {field: value}}}}), 17, &mut checker);
            let found: Vec<_> = checker.problems.iter().map(ToString::to_string).collect();
            let begins = |wrong| format!("spec.values.global.proxy.{field}: invalid value {wrong}: must be ");
            match wrong {
                None => assert_eq!(found, Vec::<String>::new(), "{value}"),
                Some(wrong) => assert!(found.len() == 1 && found[0].starts_with(&begins(wrong)), "{found:?}"),
            }
        }
    }

    #[test]
    fn spaces_in_a_list_are_refused_by_the_releases_that_keep_them() {
        for (minor, refused) in [(17, 0), (18, 0), (19, 2), (30, 2)] {
            let origin = Origin::default();
            let mut checker = Checker { origin: &origin, problems: vec![] };
            let proxy = json!({"includeIPRanges": "10.0.0.0/8, 1.0.0.0/8", "excludeInboundPorts": "1, 2"});
            check(&json!({"values": {"global": {"proxy": proxy}}}), minor, &mut checker);
            assert_eq!(checker.problems.len(), refused, "1.{minor}: {:?}", checker.problems);
        }
    }
}
