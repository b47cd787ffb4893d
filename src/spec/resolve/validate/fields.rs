//! Single fields whose text must have a form: hub, tag, revision, namespace, names of gateways.

use super::checker::Checker;
use super::mesh::is_label;
use crate::api::LONGEST_LABEL;
use crate::spec::path::text;
use crate::spec::problem::Kind;
use crate::spec::request::gateways::LISTS;
use crate::spec::resolve::values::text_of;
use crate::spec::switches::Switches;
use serde_json::Value;
use std::ops::Range;

/// What the text of a field must be.
struct Rule {
    field: &'static str,
    /// The minor releases that have it.
    minors: Range<u32>,
    /// Whether releases themselves take more; not applied where their own behaviour is wanted.
    is_ours: bool,
    fits: fn(&str) -> bool,
    wanted: &'static str,
}

const NEVER: u32 = u32::MAX;
const ALL: Range<u32> = 0..NEVER;

const HUB: &str = "a registry and path such as docker.io/istio";
const REPOSITORY: &str = "a registry and path such as docker.io/istio, in lower case, without tag and digest";
const TAG: &str = "up to 128 letters, digits, '_', '.' and '-' such as 1.17.8";
const REVISION: &str = "up to 63 lower-case letters, digits and dashes such as 1-17-8";

/// The rules; of those of one field the first that is broken is told. From 1.24 on hub and tag are parsed as an image's.
const RULES: [Rule; 9] = [
    Rule { field: "hub", minors: 0..24, is_ours: false, fits: is_hub, wanted: HUB },
    Rule { field: "hub", minors: 24..NEVER, is_ours: false, fits: is_repository, wanted: REPOSITORY },
    Rule { field: "hub", minors: 24..NEVER, is_ours: true, fits: is_hub, wanted: HUB },
    Rule { field: "tag", minors: 0..24, is_ours: false, fits: is_tag, wanted: TAG },
    Rule { field: "tag", minors: 24..NEVER, is_ours: false, fits: has_only_letters_of_tags, wanted: TAG },
    Rule { field: "tag", minors: 24..NEVER, is_ours: true, fits: is_tag, wanted: TAG },
    Rule { field: "revision", minors: ALL, is_ours: false, fits: is_label, wanted: REVISION },
    Rule { field: "revision", minors: ALL, is_ours: true, fits: is_dns_label, wanted: REVISION },
    Rule {
        field: "namespace",
        minors: ALL,
        is_ours: true,
        fits: is_dns_label,
        wanted: "the name of a namespace, such as istio-system",
    },
];

/// Checks all of them.
pub(super) fn check(spec: &Value, switches: &Switches, checker: &mut Checker<'_>) {
    let minor = switches.described_minor();
    // A tag may be a number, which releases from 1.24 on print and judge.
    let parses_numbers = switches.is_upstream && switches.is_since_124();
    let mut told = "";
    for rule in RULES.iter().filter(|rule| rule.minors.contains(&minor) && !(rule.is_ours && switches.is_upstream)) {
        let value = spec.get(rule.field).filter(|value| value.is_string() || parses_numbers);
        let Some(value) = value.map(text_of).filter(|v| !v.is_empty() && *v != "<nil>" && told != rule.field) else {
            continue;
        };
        if !(rule.fits)(&value) {
            told = rule.field;
            let message = format!("invalid value {value:?}: must be {}", rule.wanted);
            checker.add(&format!("spec.{}", rule.field), message, Kind::Content);
        }
    }
    for list in LISTS {
        let gateways = spec.pointer(&format!("/components/{list}")).and_then(Value::as_array);
        for gateway in gateways.into_iter().flatten() {
            if let Some(name) = text(gateway, "/name").filter(|n| !is_gateway_name(n)) {
                let message =
                    format!("invalid value {name:?}: must be up to 254 lower-case letters, digits, dots and dashes");
                checker.add(&format!("spec.components.{list}[name:{name}].name"), message, Kind::Content);
            }
        }
    }
}

/// Whether a text is a label of a DNS name (RFC 1123), as Kubernetes wants the names of namespaces.
#[must_use]
pub fn is_dns_label(s: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    s.len() <= LONGEST_LABEL && s.starts_with(inner) && s.ends_with(inner) && s.chars().all(|c| inner(c) || c == '-')
}

fn is_gateway_name(s: &str) -> bool {
    s.len() <= 254 && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-')
}

/// Whether a text can be the tag of an image.
#[must_use]
pub fn is_tag(s: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    s.len() <= 128 && s.starts_with(word) && s.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// A reference as registries take it: a host with an optional port, lower-case path parts, an optional tag and digest.
fn is_hub(s: &str) -> bool {
    let (name, digest) = s.split_once('@').map_or((s, None), |(n, d)| (n, Some(d)));
    let tagged = || name.rsplit_once(':').is_some_and(|(n, tag)| is_tag(tag) && is_image_name(n));
    digest.is_none_or(is_digest) && (is_image_name(name) || tagged())
}

fn is_digest(s: &str) -> bool {
    let is_word =
        |w: &str| w.starts_with(|c: char| c.is_ascii_alphabetic()) && w.chars().all(|c| c.is_ascii_alphanumeric());
    s.split_once(':').is_some_and(|(algorithm, hex)| {
        let fits = hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit());
        fits && algorithm.split(['-', '_', '+', '.']).all(is_word)
    })
}

/// Whether a text is a reference to an image without its tag and digest: a registry, if any, and a path.
#[must_use]
pub fn is_image_name(s: &str) -> bool {
    let is_path = |p: &str| p.split('/').all(is_path_part);
    is_path(s) || s.split_once('/').is_some_and(|(host, path)| is_host(host) && is_path(path))
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

/// Letters and digits, between which one dot, one or two underscores, or any number of dashes may stand.
fn is_path_part(s: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separates = |t: &str| matches!(t, "." | "_" | "__") || t.chars().all(|c| c == '-');
    s.starts_with(inner) && s.ends_with(inner) && s.split(inner).all(separates)
}

/// Whether a hub can be the registry and the beginning of the path of an image, as releases from 1.24 on parse them.
fn is_repository(hub: &str) -> bool {
    let image = format!("{hub}/pilot");
    let (registry, path) = image.split_once('/').filter(|(first, _)| is_registry(first)).unwrap_or(("", &image));
    let of_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c);
    let of_host = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    (2..=255).contains(&path.len()) && path.chars().all(of_path) && registry.chars().all(of_host)
}

fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn has_only_letters_of_tags(tag: &str) -> bool {
    tag.len() <= 128 && tag.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::Origin;
    use serde_json::json;

    #[test]
    fn hubs_are_references() {
        for hub in [
            "docker.io/istio",
            "localhost:5000/a/b",
            "localhost:5000",
            "istio",
            "gcr.io/x/y-z__a",
            "a.b/c:tag",
            "A/b--c",
        ] {
            assert!(is_hub(hub), "{hub}");
        }
        for hub in ["a b", "docker.io/Foo/bar", "/x", "x/", "a//b", "Foo", "a._b", "a___b", "x/y:", "a@sha256:12"] {
            assert!(!is_hub(hub), "{hub}");
        }
    }

    #[test]
    fn a_field_is_judged_as_its_release_judges_it_and_by_our_own_rules() {
        let refused = |tag: &str, is_upstream: bool, spec: Value| {
            let folder = if tag.starts_with("1.2") { "charts/base/crds" } else { "charts/ztunnel" };
            let switches = Switches { is_upstream, ..Switches::of_package(Some(tag), &std::iter::once(folder)) };
            let origin = Origin::default();
            let mut checker = Checker { origin: &origin, problems: vec![] };
            check(&spec, &switches, &mut checker);
            !checker.problems.is_empty()
        };
        for (spec, [until, until_exactly, since, since_exactly]) in [
            (json!({"hub": "docker.io/istio"}), [false; 4]),
            (json!({"hub": "docker.io/istio/"}), [true, true, true, false]),
            (
                json!({"hub": "docker.io/istio@sha256:0123456789012345678901234567890123456789"}),
                [false, false, true, true],
            ),
            (json!({"hub": "localhost:5000/a"}), [false; 4]),
            (json!({"hub": "docker.io/Istio"}), [true; 4]),
            (json!({"tag": ".a"}), [true, true, true, false]),
            (json!({"tag": "a b"}), [true; 4]),
            (json!({"tag": 1_000_000.0}), [false, false, false, true]),
            (json!({"revision": "Canary"}), [true, false, true, false]),
            (json!({"revision": "a.b"}), [true; 4]),
            (json!({"namespace": "A b"}), [true, false, true, false]),
            (json!({"components": {"egressGateways": [{"name": "A"}]}}), [true; 4]),
        ] {
            let found = [("1.23.6", false), ("1.23.6", true), ("1.30.3", false), ("1.30.3", true)]
                .map(|(tag, is_upstream)| refused(tag, is_upstream, spec.clone()));
            assert_eq!(found, [until, until_exactly, since, since_exactly], "{spec}");
        }
    }
}
