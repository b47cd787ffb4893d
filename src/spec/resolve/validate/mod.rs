//! What is wrong with a spec: all of it at once, each problem with its path, and with file and line where it came from one.
//!
//! | step | looks at | [`Kind`] |
//! |---|---|---|
//! | [`check_spec`] | fields and types of the spec | Form |
//! | | fields and types of `values` and `meshConfig` | Content |
//! | | gateways that cannot be told apart | Form |
//! | [`check_merged`] | hub, tag, revision, namespace, names of gateways; ranges and ports of the proxy; mesh rules | Content |
//! | | gateways that come to the same objects, metrics of autoscalers in no one form | Form |
//! | [`check_usage`] | ports that need root, removed add-ons | Use |
//! | | settings to replace, replicas that autoscaling overrules | Doubt |
//!
//! The tables of `values` and `meshConfig` are those of release 1.17. Where another release's package is installed they say
//! nothing, and its own charts are the judge.

mod checker;
mod gateways;
mod leaf;
mod mesh;
mod usage;

use super::autoscaling;
use crate::api::schema::check::{Reading, check};
use crate::api::schema::{self, Table};
use crate::spec::path::text;
use crate::spec::request::Origin;
use crate::spec::request::gateways::LISTS;
use crate::spec::switches::Switches;
use checker::Checker;
use serde_json::Value;

pub use crate::spec::problem::{Kind, Problem};

/// Everything that is wrong with the configuration of one proxy, its form and its meaning; paths begin below it.
#[must_use]
pub fn check_proxy(config: &Value) -> Vec<Problem> {
    const PLACE: &str = ".defaultConfig";
    let origin = Origin::default();
    let mut checker = Checker { origin: &origin, problems: vec![] };
    let minor = Switches::default().described_minor();
    checker.add_found(check(Table::Mesh.message("ProxyConfig"), config, PLACE, Reading::Protobuf, minor));
    mesh::check(&serde_json::json!({"defaultConfig": config}), "", &mut checker);
    let below = |path: &str| path.strip_prefix(PLACE).unwrap_or(path).trim_start_matches('.').to_owned();
    checker.problems.into_iter().map(|p| Problem { path: below(&p.path), ..p }).collect()
}

/// Problems of form in a spec as the user wrote it, or merged: unknown fields and wrong types.
#[must_use]
pub fn check_spec(spec: &Value, origin: &Origin, switches: &Switches) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    let mut found = check(schema::spec(), spec, "spec", Reading::Protobuf, switches.described_minor());
    if !switches.knows_mesh_fields() {
        found.retain(|finding| finding.table != Some(Table::Mesh) || !finding.is_unknown);
    }
    found.sort_by_key(|finding| finding.table);
    let content = found.split_off(found.partition_point(|finding| finding.table <= Some(Table::Spec)));
    checker.add_found(found);
    gateways::check_names(spec, &mut checker);
    gateways::check_twins(spec, &mut checker);
    checker.add_found(content);
    checker.problems
}

/// Where mesh configuration stands in a spec: as a JSON pointer, and as a path.
const MESH_CONFIGS: [(&str, &str); 2] =
    [("/meshConfig", "spec.meshConfig"), ("/values/meshConfig", "spec.values.meshConfig")];

/// Problems of content in a merged spec.
#[must_use]
pub fn check_merged(spec: &Value, origin: &Origin, switches: &Switches) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    for (field, rule, wanted) in RULES {
        if let Some(value) = text(spec, &format!("/{field}")).filter(|v| !v.is_empty() && !rule(v)) {
            checker.add(&format!("spec.{field}"), format!("invalid value {value:?}: must be {wanted}"), Kind::Content);
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
    gateways::check_places(spec, &mut checker);
    for (path, misfit) in autoscaling::misfits(spec, switches) {
        checker.add(&format!("{path}.{}", misfit.path), misfit.message, Kind::Form);
    }
    leaf::check(spec, &mut checker);
    // Releases from 1.24 on do not look at what it means.
    if !switches.is_since_124() {
        for (pointer, path) in MESH_CONFIGS {
            if let Some(config) = spec.pointer(pointer) {
                mesh::check(config, path, &mut checker);
            }
        }
    }
    checker.problems
}

/// The last minor version of Kubernetes whose own authority signs for istiod.
const LAST_SIGNING_MINOR: u32 = 21;

/// What a cluster cannot do, given the minor version of its Kubernetes 1.
#[must_use]
pub fn check_cluster(spec: &Value, minor: &str, origin: &Origin) -> Option<Problem> {
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    // A version that cannot be read is a new one.
    let signs = digits.parse::<u32>().is_ok_and(|minor| minor <= LAST_SIGNING_MINOR);
    if signs || text(spec, "/values/global/pilotCertProvider") != Some("kubernetes") {
        return None;
    }
    let mut checker = Checker { origin, problems: vec![] };
    let message = format!("kubernetes is not supported in Kubernetes 1.{minor}; use istiod");
    checker.add("spec.values.global.pilotCertProvider", message, Kind::Content);
    checker.problems.pop()
}

/// Problems of use in a merged spec, and what is worth a warning.
#[must_use]
pub fn check_usage(spec: &Value, origin: &Origin) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    usage::check(spec, &mut checker);
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

fn is_image_name(s: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(spec: &Value) -> Vec<String> {
        let origin = Origin::default();
        let switches = Switches::default();
        let found = [check_spec(spec, &origin, &switches), check_merged(spec, &origin, &switches)];
        found.iter().flatten().map(ToString::to_string).collect()
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
            "spec.hub: must be a string, not the number 5; quote it: hub: \"5\", or as it was meant",
            "spec.hubb: unknown field \"hubb\" (did you mean \"hub\"?)",
            "spec.revision: invalid value \"a.b_C\": must be up to 63 lower-case letters, digits and dashes such as 1-17-8",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn whole_numbers_have_the_size_of_their_type() {
        let k8s = |field: &str, value: Value| json!({"components": {"pilot": {"k8s": {field: value}}}});
        for (field, value, range) in [
            ("replicaCount", json!(-1), Some("0 to 4294967295")),
            ("replicaCount", json!("4294967296"), Some("0 to 4294967295")),
            ("replicaCount", json!(4_294_967_295_u32), None),
            ("hpaSpec", json!({"minReplicas": 3_000_000_000_u32}), Some("-2147483648 to 2147483647")),
            ("hpaSpec", json!({"minReplicas": -1}), None),
            ("securityContext", json!({"runAsUser": 3_000_000_000_u32}), None),
        ] {
            let found = problems(&k8s(field, value.clone()));
            match range {
                None => assert_eq!(found, Vec::<String>::new(), "{value}"),
                Some(range) => {
                    assert!(found[0].contains(&format!("must be a whole number from {range}, not ")), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn a_gateway_without_a_name_cannot_be_enabled() {
        let gateways = |enabled: bool| json!({"components": {"egressGateways": [{"name": "", "enabled": enabled}]}});
        let expected = "spec.components.egressGateways[0].name: a gateway that is enabled must have a name";
        assert_eq!(problems(&gateways(true)), [expected]);
        assert_eq!(problems(&gateways(false)), Vec::<String>::new());
    }

    #[test]
    fn what_upstream_accepted_is_accepted() {
        let spec = json!({"tag": 12, "hub": null, "unvalidatedValues": {"a": {"b": 1}}, "components": {"pilot": {"k8s": {
            "replicaCount": "2", "env": [{"name": "A", "value": "b"}],
            "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "overlays": [{"kind": "Deployment", "name": "istiod", "patches": [{"path": "a", "value": [1]}]}]}}}});
        assert_eq!(problems(&spec), Vec::<String>::new());
    }

    #[test]
    fn values_and_mesh_config_are_checked_by_the_tables_of_their_release() {
        let spec = json!({"values": {"pilot": {"nosuch": 1}, "meshConfig": {"accessLogEncoding": "XML"}},
            "meshConfig": {"nosuch": 1}});
        let expected = [
            "spec.values.pilot.nosuch: unknown field \"nosuch\"",
            "spec.meshConfig.nosuch: unknown field \"nosuch\"",
            "spec.values.meshConfig.accessLogEncoding: unknown value \"XML\": must be one of TEXT, JSON",
        ];
        assert_eq!(problems(&spec), expected);
        let later = Switches::of_package(Some("1.22.3"), &std::iter::empty());
        let found: Vec<String> =
            check_spec(&spec, &Origin::default(), &later).iter().map(ToString::to_string).collect();
        assert_eq!(found, [expected[0], expected[2]], "fields of the mesh configuration are known of 1.17 alone");
        assert_eq!(problems(&json!({"values": {"meshConfig": 1}})).len(), 1);
    }

    #[test]
    fn directives_of_a_merge_are_no_fields() {
        let spec = json!({"components": {"ingressGateways": [{"$patch": "delete", "name": "a"}]}});
        assert_eq!(problems(&spec), Vec::<String>::new());
    }

    #[test]
    fn the_authority_of_kubernetes_is_refused_where_it_signs_no_more() {
        let spec = json!({"values": {"global": {"pilotCertProvider": "kubernetes"}}});
        let refused = |spec: &Value, minor: &str| check_cluster(spec, minor, &Origin::default()).is_some();
        assert!(refused(&spec, "22+") && refused(&spec, "") && !refused(&spec, "21"));
        assert!(!refused(&json!({}), "35"));
    }

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
}
