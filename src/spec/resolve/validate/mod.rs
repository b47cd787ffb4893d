//! What is wrong with a spec: all of it at once, each problem with its path, and with file and line where it came from one.
//!
//! | step | looks at | [`Kind`] |
//! |---|---|---|
//! | [`check_spec`] | fields and types of the spec | Form |
//! | | fields and types of `values` and `meshConfig` | Content |
//! | | gateways that cannot be told apart | Form |
//! | [`check_decoded`] | the same in place of it, for releases from 1.24 on and as strictly as they do it | Content |
//! | [`check_merged`] | hub, tag, revision, namespace, names of gateways; ranges and ports of the proxy; mesh rules | Content |
//! | | gateways that come to the same objects, metrics of autoscalers in no one form | Form |
//! | [`check_usage`] | ports that need root, removed add-ons | Use |
//! | | settings to replace, replicas that autoscaling overrules | Doubt |
//!
//! Tables and rules say for which minor releases they hold. With `--upstream-behavior` exactly what the release's own
//! command line refuses is refused; without it also what is lost or cannot work, and not what is written as older releases
//! took it and whose meaning is clear.

mod checker;
mod fields;
mod gateways;
mod leaf;
mod mesh;
mod usage;

use super::autoscaling;
use crate::api::schema::check::{Finding, Misfit, Reading, check};
use crate::api::schema::{self, Table};
use crate::api::text::describe;
use crate::spec::path::text;
use crate::spec::request::Origin;
use crate::spec::switches::Switches;
use checker::Checker;
use serde_json::Value;

pub use crate::spec::problem::{Kind, Problem};
pub use fields::{is_dns_label, is_image_name, is_tag};

/// Everything that is wrong with the configuration of one proxy, its form and its meaning; paths begin below it.
#[must_use]
pub fn check_proxy(config: &Value) -> Vec<Problem> {
    const PLACE: &str = ".defaultConfig";
    let origin = Origin::default();
    let mut checker = Checker { origin: &origin, problems: vec![] };
    let minor = Switches::default().described_minor();
    checker.add_found(check(Table::Mesh.message("ProxyConfig"), config, PLACE, Reading::Protobuf, minor));
    mesh::check(&serde_json::json!({"defaultConfig": config}), "", minor, &mut checker);
    let below = |path: &str| path.strip_prefix(PLACE).unwrap_or(path).trim_start_matches('.').to_owned();
    checker.problems.into_iter().map(|p| Problem { path: below(&p.path), ..p }).collect()
}

/// Problems of form in a spec as the user wrote it, or merged: unknown fields and wrong types. None where
/// [`check_decoded`] finds them.
#[must_use]
pub fn check_spec(spec: &Value, origin: &Origin, switches: &Switches) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    if decodes_all(switches) {
        check_sections(spec, &mut checker);
        return checker.problems;
    }
    let reading = if switches.is_upstream { Reading::Exact } else { Reading::Protobuf };
    let mut found = check(schema::spec(), spec, "spec", reading, switches.described_minor());
    let unread: Vec<_> = found.extract_if(.., |finding| is_unread(finding, switches)).collect();
    found.sort_by_key(|finding| finding.table);
    let content = found.split_off(found.partition_point(|finding| finding.table <= Some(Table::Spec)));
    checker.add_found(found);
    gateways::check_names(spec, &mut checker);
    if !switches.is_upstream {
        gateways::check_twins(spec, &mut checker);
    }
    checker.add_found(content);
    let what = if switches.is_beyond_tables() { IS_NEW } else { "it has no effect" };
    for finding in unread {
        checker.add(&finding.path, format!("{}; {what}", finding.message), Kind::Doubt);
    }
    checker.problems
}

/// Sections that are not maps: what is written into them afterwards hides it.
fn check_sections(spec: &Value, checker: &mut Checker<'_>) {
    for section in ["values", "components"] {
        let found = spec.get(section).filter(|found| !found.is_object() && !found.is_null());
        if let Some(found) = found {
            checker.add(&format!("spec.{section}"), format!("must be a map, not {}", describe(found)), Kind::Content);
        }
    }
}

/// Whether the merged document is decoded as a whole, and nothing is looked at before.
fn decodes_all(switches: &Switches) -> bool {
    switches.is_upstream && switches.is_since_124()
}

/// What is said of an unknown field of a release that is in no table.
const IS_NEW: &str = "it goes to the charts as it is, for the release is newer than those whose fields are known";

/// Whether it is an unknown field that is taken nevertheless: of the mesh configuration where the release does so, or any of a
/// release that is in no table.
fn is_unread(finding: &Finding<'_>, switches: &Switches) -> bool {
    let is_taken = switches.is_beyond_tables() || (!switches.knows_mesh_fields() && finding.table == Some(Table::Mesh));
    is_taken && finding.misfit == Misfit::Unknown
}

/// What the command line of a release from 1.24 on cannot decode of a merged document, if its own behaviour is wanted.
#[must_use]
pub fn check_decoded(document: &Value, origin: &Origin, switches: &Switches) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    if decodes_all(switches) {
        let spec = Table::Strict.message("IstioOperatorSpec");
        for (message, path, reading) in [
            (spec, "spec", Reading::Go),
            (schema::values(), "spec.values", Reading::Exact),
            (schema::mesh(), "spec.meshConfig", Reading::Exact),
        ] {
            let part = document.pointer(&format!("/{}", path.replace('.', "/")));
            let mut found =
                part.map(|part| check(message, part, path, reading, switches.described_minor())).unwrap_or_default();
            found.retain(|finding| !is_unread(finding, switches));
            checker.add_found(found);
        }
    }
    checker.problems
}

/// Where mesh configuration stands in a spec: as a JSON pointer, and as a path.
const MESH_CONFIGS: [(&str, &str); 2] =
    [("/meshConfig", "spec.meshConfig"), ("/values/meshConfig", "spec.values.meshConfig")];

/// Problems of content in a merged spec.
#[must_use]
pub fn check_merged(spec: &Value, origin: &Origin, switches: &Switches) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    fields::check(spec, switches, &mut checker);
    if !switches.is_upstream {
        gateways::check_places(spec, &mut checker);
    }
    for (path, misfit) in autoscaling::misfits(spec, switches) {
        checker.add(&format!("{path}.{}", misfit.path), misfit.message, Kind::Form);
    }
    leaf::check(spec, switches.described_minor(), &mut checker);
    for (pointer, path) in MESH_CONFIGS {
        if let Some(config) = spec.pointer(pointer) {
            mesh::check(config, path, switches.described_minor(), &mut checker);
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
pub fn check_usage(spec: &Value, origin: &Origin, switches: &Switches) -> Vec<Problem> {
    let mut checker = Checker { origin, problems: vec![] };
    usage::check(spec, switches.described_minor(), &mut checker);
    checker.problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::switches::Pipeline;
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
        let later =
            Switches { pipeline: Pipeline::Since124, ..Switches::of_package(Some("1.26.3"), &std::iter::empty()) };
        let found = check_spec(&spec, &Origin::default(), &later);
        let (doubts, refused): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| p.kind == Kind::Doubt);
        let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(
            refused,
            [expected[0], expected[2]],
            "releases from 1.24 on take any field of the mesh configuration"
        );
        assert_eq!(doubts[0].to_string(), format!("{}; it has no effect", expected[1]));
        assert_eq!(problems(&json!({"values": {"meshConfig": 1}})).len(), 1);
    }

    #[test]
    fn a_field_of_a_release_that_is_in_no_table_may_be_one_of_its_own() {
        let spec = json!({"values": {"pilot": {"nosuch": 1, "env": 5}}, "nosuch": 1});
        let found = |tag: &str| -> Vec<(String, Kind)> {
            let switches = Switches::of_package(Some(tag), &std::iter::empty());
            let found = check_spec(&spec, &Origin::default(), &switches);
            found.into_iter().map(|problem| (problem.path, problem.kind)).collect()
        };
        let all = ["spec.nosuch", "spec.values.pilot.env", "spec.values.pilot.nosuch"];
        let kinds = |tag: &str| all.map(|path| found(tag).into_iter().find(|(at, _)| at == path).unwrap().1);
        assert_eq!(kinds("1.31.0"), [Kind::Form, Kind::Content, Kind::Content]);
        assert_eq!(kinds("1.99.0"), [Kind::Doubt, Kind::Content, Kind::Doubt]);
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
}
