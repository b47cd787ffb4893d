//! From a request to what is installed: profile < hub and tag < detected settings < the user's spec.
//!
//! Pure, except that a profile may be a file: the same request, profiles and cluster give the same result. All problems of a
//! spec are found at once; nothing is resolved from a spec with problems.

mod autoscaling;
pub mod components;
pub mod enablement;
mod error;
mod forms;
mod placement;
pub mod profile;
mod resolved;
mod settings;
mod since_124;
mod texts;
pub mod translate;
pub mod validate;
pub mod values;

use crate::failure::Retry;
use crate::spec::merge::{merge_patch, overlay_layer, remove_nulls};
use crate::spec::path::text;
use crate::spec::problem::{Kind, Problem};
use crate::spec::request::{Duplicate, Request};
use crate::spec::switches::Pipeline;
use profile::Profiles;
use serde_json::{Value, json};
use std::collections::HashSet;

pub use components::Enabled;
pub use error::ResolveError;
pub use placement::default_namespace;
pub use resolved::Resolved;

/// How strictly a spec is checked; see [`Kind`].
///
/// | | Form | Content | Use | Doubt |
/// |---|---|---|---|---|
/// | [`Full`](Self::Full) | error | error | error | warning |
/// | [`Forced`](Self::Forced) | error | warning | error | warning |
/// | [`TakenOver`](Self::TakenOver) | error | error | warning | warning |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Every problem is an error, as on the command line.
    Full,
    /// What can be tolerated becomes a warning (`--force`).
    Forced,
    /// What upstream's controller accepted is accepted, as for resources of a cluster.
    TakenOver,
}

impl Strictness {
    /// Whether a problem ends the resolution.
    fn refuses(self, kind: Kind) -> bool {
        match kind {
            Kind::Form | Kind::Unreadable => true,
            Kind::Content => self != Self::Forced,
            Kind::Use => self != Self::TakenOver,
            Kind::Doubt => false,
        }
    }
}

/// Resolves a request.
///
/// # Errors
/// See [`ResolveError`]; an invalid spec with all its problems.
pub fn resolve(request: &Request, profiles: &Profiles, strictness: Strictness) -> Result<Resolved, ResolveError> {
    let profile = text(&request.spec, "/profile").filter(|p| !p.is_empty()).unwrap_or("default").to_owned();
    let switches = profiles.switches();
    let mut problems = validate::check_spec(&request.spec, &request.origin, switches);
    let mut spec = request.spec.clone();
    // Upstream prints numbers as Go does, whatever was written.
    let written = |path: &str| request.origin.written(path);
    let misread = if switches.is_upstream { vec![] } else { texts::settle(&mut spec, &written) };
    let located = |p: Problem| texts::in_its_place(Problem { location: request.origin.locate(&p.path), ..p });
    problems.extend(misread.into_iter().map(located));
    let (document, in_profile) = match merge(request, &spec, &profile, profiles) {
        Ok(merged) => merged,
        Err(error) => {
            // Most of what cannot be merged has the wrong form, which says more.
            match error {
                ResolveError::Invalid(more) => {
                    let told: HashSet<_> = more.iter().map(Problem::gist).collect();
                    problems.retain(|p| !told.contains(&p.gist()));
                    problems.extend(more);
                }
                error if !problems.iter().any(|p| strictness.refuses(p.kind)) => return Err(error),
                ResolveError::Merge { .. } => {}
            }
            problems.retain(|p| strictness.refuses(p.kind));
            return Err(ResolveError::Invalid(problems));
        }
    };
    let spec = document.get("spec").cloned().unwrap_or_default();
    // The form of what was merged: what the profile brought, and where old values were carried to.
    let merged = match switches.pipeline {
        Pipeline::Until123 => validate::check_spec(&spec, &request.origin, switches),
        Pipeline::Since124 => validate::check_decoded(&document, &request.origin, switches),
    };
    let content = validate::check_merged(&spec, &request.origin, switches).into_iter();
    // There may be thousands.
    let told: HashSet<_> = problems.iter().map(Problem::gist).collect();
    let new = |p: &Problem| !told.contains(&p.gist());
    let more: Vec<_> = merged
        .into_iter()
        .filter(new)
        .chain(content)
        .chain(validate::check_usage(&spec, &request.origin, switches))
        .collect();
    problems.extend(more);
    problems.extend(in_profile.problems);
    let duplicates = request.duplicates.iter().chain(&in_profile.duplicates);
    problems.extend(duplicates.map(|d| twice(d, request.is_strict)));
    let (fatal, tolerable): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| strictness.refuses(p.kind));
    if !fatal.is_empty() {
        return Err(ResolveError::Invalid(fatal));
    }
    let warnings = tolerable.iter().map(ToString::to_string).collect();

    Ok(Resolved::new(document, *switches, warnings))
}

/// A key that stands twice in a file, as a problem.
fn twice(duplicate: &Duplicate, is_strict: bool) -> Problem {
    Problem {
        path: duplicate.found.key.clone(),
        message: duplicate.message(),
        location: Some(duplicate.location()),
        kind: if is_strict { Kind::Form } else { Kind::Doubt },
    }
}

/// What is wrong with the files of a profile.
struct InProfile {
    problems: Vec<Problem>,
    duplicates: Vec<Duplicate>,
}

/// The user's spec over its profile, as a whole document.
fn merge(
    request: &Request,
    spec: &Value,
    profile: &str,
    profiles: &Profiles,
) -> Result<(Value, InProfile), ResolveError> {
    let wrong = |problem: Problem| {
        let location = request.origin.locate(&problem.path);
        ResolveError::Invalid(vec![Problem { location, ..problem }])
    };
    let base = profiles.load(profile).map_err(|e| {
        let kind = if e.retry() == Retry::Backoff { Kind::Unreadable } else { Kind::Form };
        wrong(Problem { path: "spec.profile".into(), message: e.to_string(), location: None, kind })
    })?;
    let merge_error = |cause| ResolveError::Merge { profile: profile.to_owned(), cause };
    let mut document = match profiles.switches().pipeline {
        Pipeline::Until123 => {
            let mut reversed = translate::reverse_translate(spec, profiles.switches()).map_err(wrong)?;
            if profiles.switches().is_upstream {
                // Its nulls get lost before they meet the profile.
                remove_nulls(&mut reversed);
            }
            overlay_layer(base.document, &json!({ "spec": reversed }), profiles.switches()).map_err(merge_error)?
        }
        Pipeline::Since124 => {
            since_124::merge(base.document, &json!({ "spec": spec }), profiles.switches()).map_err(merge_error)?
        }
    };
    if let Some(path) = since_124::null_list(&document).filter(|_| profiles.switches().is_since_124()) {
        return Err(wrong(Problem { path, message: "must be a list".into(), location: None, kind: Kind::Form }));
    }
    let metadata = request.metadata.as_object().filter(|m| !m.is_empty());
    match (metadata, profiles.switches().pipeline) {
        (Some(metadata), Pipeline::Until123) => merge_patch(&mut document, &json!({ "metadata": metadata })),
        // The namespace is that of the values.
        (Some(metadata), Pipeline::Since124) => {
            let mut whole = json!({ "metadata": metadata });
            merge_patch(&mut whole, &json!({"metadata": document.get("metadata")}));
            merge_patch(&mut document, &whole);
        }
        (None, _) => {}
    }
    if profiles.switches().pipeline == Pipeline::Until123 {
        enablement::apply_legacy(&request.spec, &mut document).map_err(wrong)?;
    }
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("profile".into(), profile.into());
    }
    Ok((document, InProfile { problems: base.problems, duplicates: base.duplicates }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::{from_files, from_resource};
    use crate::spec::switches::Switches;
    use std::collections::BTreeMap;

    const DEFAULT: &str =
        "spec: {hub: h, tag: 1.17.8, meshConfig: {accessLogFile: /dev/stdout}, values: {pilot: {image: p}}}";

    fn profiles(default: &str, source: &str) -> Profiles {
        Profiles::new(BTreeMap::from([("default".to_owned(), default.to_owned())]), source)
    }

    fn warnings(spec: &Value, strictness: Strictness) -> Result<Vec<String>, String> {
        let request = from_resource(&json!({ "spec": spec }));
        resolve(&request, &profiles(DEFAULT, ""), strictness).map(|r| r.warnings().to_vec()).map_err(|e| e.to_string())
    }

    /// The spec that files come to, over a profile of some release.
    fn merged(tag: &str, files: &[&str]) -> Value {
        let default = DEFAULT.replace("1.17.8", tag);
        let file = |(i, spec): (usize, &&str)| (format!("{i}.yaml"), format!("kind: IstioOperator\nspec: {spec}"));
        let files: Vec<_> = files.iter().enumerate().map(file).collect();
        let request = from_files(&files, &[]).unwrap();
        resolve(&request, &profiles(&default, "dir"), Strictness::Full).unwrap().spec().clone()
    }

    #[test]
    fn a_null_undoes_a_single_value_of_the_profile_and_never_a_section() {
        let spec = "{meshConfig: {accessLogFile: null}, values: {pilot: null}}";
        let file = |tag: &str| merged(tag, &[spec]).pointer("/meshConfig/accessLogFile").cloned();
        for tag in ["1.17.8", "1.23.6", "1.24.0", "latest"] {
            assert_eq!(file(tag), None, "{tag}");
        }
        for tag in ["1.17.8", "1.24.0"] {
            assert_eq!(merged(tag, &[spec]).pointer("/values/pilot/image"), Some(&json!("p")), "{tag}");
        }
    }

    #[test]
    fn a_null_undoes_a_single_value_of_an_earlier_file() {
        let spec = merged(
            "1.17.8",
            &["{hub: other, values: {pilot: {image: x, tag: t}}}", "{values: {pilot: {image: null}}}"],
        );
        assert_eq!((&spec["hub"], &spec["values"]["pilot"]), (&json!("other"), &json!({"image": "p", "tag": "t"})));
    }

    #[test]
    fn each_kind_of_problem_stops_whom_it_should() {
        use Strictness::{Forced, Full, TakenOver};
        for (spec, stops, warns) in [
            (json!({"hubb": "x"}), vec![Full, Forced, TakenOver], vec![]),
            (json!({"profile": "nope"}), vec![Full, Forced, TakenOver], vec![]),
            (json!({"values": {"nosuch": 1}}), vec![Full, TakenOver], vec![Forced]),
            (json!({"meshConfig": {"connectTimeout": "1h"}}), vec![Full, TakenOver], vec![Forced]),
            (json!({"hub": "a b"}), vec![Full, TakenOver], vec![Forced]),
            (json!({"addonComponents": {"kiali": {"enabled": true}}}), vec![Full, Forced], vec![TakenOver]),
            (json!({"values": {"global": {"jwtPolicy": "x"}}}), vec![], vec![Full, Forced, TakenOver]),
        ] {
            for strictness in [Full, Forced, TakenOver] {
                let found = warnings(&spec, strictness);
                assert_eq!(found.is_err(), stops.contains(&strictness), "{spec} {strictness:?}: {found:?}");
                let warned = found.is_ok_and(|w| w.len() == 1);
                assert_eq!(warned, warns.contains(&strictness), "{spec} {strictness:?}");
            }
        }
    }

    #[test]
    fn problems_of_all_steps_are_named_at_once_and_each_but_once() {
        let spec = json!({"profile": "default", "hubb": 1, "tag": "a b",
            "values": {"pilot": {"resources": {"limits": {"cpu": 1}}, "env": {"A": 1}}, "global": {"proxy": {"includeIPRanges": "x"}}},
            "components": {"ingressGateways": [{"name": "A"}], "egressGateways": [{"name": "A"}]}});
        let expected = [
            "spec.hubb: unknown field \"hubb\" (did you mean \"hub\"?)",
            "spec.values.pilot.resources.limits.cpu: must be a string, not the number 1; quote it: cpu: \"1\", or as it was meant",
            "spec.tag: invalid value \"a b\": must be up to 128 letters, digits, '_', '.' and '-' such as 1.17.8",
            "spec.components.ingressGateways[name:A].name: invalid value \"A\": must be up to 254 lower-case letters, digits, dots and dashes",
            "spec.components.egressGateways[name:A].name: invalid value \"A\": must be up to 254 lower-case letters, digits, dots and dashes",
            "spec.values.global.proxy.includeIPRanges: invalid value \"x\": must be \"*\" or address ranges such as 10.0.0.0/8, separated by commas",
        ];
        assert_eq!(warnings(&spec, Strictness::Full), Err(expected.join("; ")));
        let env = json!({"values": {"pilot": {"env": [1]}}});
        assert_eq!(warnings(&env, Strictness::Forced), Err("spec.values.pilot.env: must be a map, not a list".into()));
    }

    #[test]
    fn values_are_judged_by_the_tables_of_the_release_of_the_package() {
        let spec = json!({"values": {"pilot": {"env": {}, "traceSampling": 1, "trustedZtunnelNamespace": "a"}},
            "meshConfig": {"inboundTrafficPolicy": {"mode": "LOCALHOST"}}});
        let request = from_resource(&json!({ "spec": spec }));
        let refused = |tag: &str| {
            let folders = ["charts/base/crds", "charts/ztunnel"];
            let switches = Switches::of_package(Some(tag), &folders.into_iter());
            let profiles = profiles(DEFAULT, "dir").with_switches(switches);
            resolve(&request, &profiles, Strictness::Full).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(refused("1.17.8").contains("trustedZtunnelNamespace"), "{}", refused("1.17.8"));
        assert!(refused("1.17.8").contains("spec.meshConfig.inboundTrafficPolicy"), "{}", refused("1.17.8"));
        assert_eq!(refused("1.23.6"), "");
    }
}
