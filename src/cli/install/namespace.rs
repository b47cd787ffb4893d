//! The namespace of a control plane, which a flag and several fields of a spec say: all of them the same, or nothing is installed.
//!
//! Charts read it from several places. Where these differ, istiod comes to one namespace and its account and roles to another, or to
//! where another control plane is.

use crate::object::manifests::Manifests;
use crate::spec::path::text;
use crate::spec::request::{Override, Request};
use crate::spec::switches::Switches;
use anyhow::bail;

/// The flag that names it.
const FLAG: &str = "--istioNamespace";
/// Where a spec says it, as a person writes it, and as a pointer; the last is that which every release reads.
const PLACES: [(&str, &str); 4] = [
    ("spec.namespace", "/namespace"),
    ("spec.components.pilot.namespace", "/components/pilot/namespace"),
    ("spec.unvalidatedValues.global.istioNamespace", "/unvalidatedValues/global/istioNamespace"),
    OF_VALUES,
];
const OF_VALUES: (&str, &str) = ("spec.values.global.istioNamespace", "/values/global/istioNamespace");

/// Has a spec say what the flag says, where neither files nor other flags say it.
pub(super) fn set(request: &mut Request, flag: Option<&str>) {
    const WRITTEN: [(&[&str], &str); 2] =
        [(&["namespace"], "/namespace"), (&["values", "global", "istioNamespace"], OF_VALUES.1)];
    let Some(namespace) = flag.filter(|namespace| !namespace.is_empty()) else { return };
    for (path, pointer) in WRITTEN {
        if text(&request.spec, pointer).is_none_or(str::is_empty) {
            request.set(Override::text(path, FLAG, namespace));
        }
    }
}

/// Checks that all that say it agree: the flag, and the spec on its profile. Of a spec without a control plane, only its own values
/// name that of others.
///
/// # Errors
/// Two that differ, with where each was written.
pub(super) fn check(
    request: &Request,
    manifests: &Manifests,
    switches: &Switches,
    flag: Option<&str>,
) -> anyhow::Result<()> {
    // Later releases do not read the field at all, so that all would come to another namespace.
    let counts = |place: &str| {
        manifests.has_control_plane() || place == OF_VALUES.0 || (place == "spec.namespace" && switches.is_since_124())
    };
    let of_flag = flag.filter(|namespace| !namespace.is_empty()).map(|namespace| (FLAG.to_owned(), namespace));
    let of_spec = PLACES.into_iter().filter(|(place, _)| counts(place)).filter_map(|(place, pointer)| {
        let namespace = text(&manifests.spec, pointer).filter(|namespace| !namespace.is_empty())?;
        let written = request.origin.locate(place);
        let written = written.unwrap_or_else(|| format!("profile {}", manifests.profile));
        Some((format!("{place} ({written})"), namespace))
    });
    let said: Vec<(String, &str)> = of_flag.into_iter().chain(of_spec).collect();
    let Some((last, expected)) = said.last() else { return Ok(()) };
    if let Some((place, namespace)) = said.iter().find(|(_, namespace)| namespace != expected) {
        bail!(
            "{place} says namespace {namespace:?} for the control plane, and {last} {expected:?}, so that its parts would come to \
             different namespaces: have both say the same, or leave both out and name the namespace with {FLAG}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Package;
    use crate::render::{self, ClusterInfo};
    use crate::spec::request::from_files;
    use crate::spec::resolve::Strictness;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The namespaces that a spec's objects come to, or why it is refused.
    fn namespaces(spec: &str, flag: Option<&str>) -> Result<BTreeSet<String>, String> {
        namespaces_of(&Package::embedded().unwrap(), spec, flag)
    }

    fn namespaces_of(package: &Package, spec: &str, flag: Option<&str>) -> Result<BTreeSet<String>, String> {
        let file = ("f.yaml".to_owned(), format!("kind: IstioOperator\nspec: {spec}\n"));
        let mut request = from_files(&[file], &[]).unwrap();
        set(&mut request, flag);
        let manifests = render::build(&request, &ClusterInfo::default(), package, Strictness::Full).unwrap();
        check(&request, &manifests, package.switches(), flag).map_err(|error| error.to_string())?;
        let all = manifests.objects().map(|object| object.namespace().to_owned());
        Ok(all.filter(|namespace| !namespace.is_empty()).collect())
    }

    #[test]
    fn a_control_plane_comes_to_one_namespace_or_to_none() {
        let only = |namespace: &str| Ok(BTreeSet::from([namespace.to_owned()]));
        assert_eq!(namespaces("{}", None), only("istio-system"));
        assert_eq!(namespaces("{}", Some("mesh")), only("mesh"));
        assert_eq!(namespaces("{values: {global: {istioNamespace: mesh}}}", None), only("mesh"));
        assert_eq!(namespaces("{values: {global: {istioNamespace: mesh}}}", Some("mesh")), only("mesh"));
        assert_eq!(namespaces("{namespace: mesh}", Some("mesh")), only("mesh"));
        assert_eq!(namespaces("{namespace: mesh, values: {global: {istioNamespace: mesh}}}", None), only("mesh"));
        for (spec, flag, parts) in [
            ("{namespace: mesh}", None, ["spec.namespace (f.yaml:2:8) says namespace \"mesh\"", "(profile default)"]),
            ("{namespace: mesh}", Some("a"), ["(f.yaml:2:8) says namespace \"mesh\"", "(--istioNamespace a) \"a\""]),
            ("{values: {global: {istioNamespace: b}}}", Some("a"), ["--istioNamespace says", "(f.yaml:2:26) \"b\""]),
            (
                "{namespace: a, values: {global: {istioNamespace: b}}}",
                None,
                ["spec.namespace (f.yaml:2:8) says namespace \"a\"", "istioNamespace (f.yaml:2:40) \"b\""],
            ),
            ("{components: {pilot: {namespace: a}}}", None, ["spec.components.pilot.namespace (f", "\"istio-system\""]),
        ] {
            let told = namespaces(spec, flag).unwrap_err();
            assert!(parts.iter().all(|part| told.contains(part)), "{spec} {flag:?}: {told}");
        }
    }

    #[test]
    fn a_release_that_does_not_read_a_field_puts_nothing_elsewhere() {
        let package = Package::open(Path::new("tests/packages/1.30.99")).unwrap();
        let of = |spec: &str, flag| namespaces_of(&package, spec, flag);
        let minimal = |more: &str| format!("{{profile: minimal{more}}}");
        assert_eq!(of(&minimal(""), Some("mesh")), Ok(BTreeSet::from(["mesh".to_owned()])));
        assert!(of(&minimal(", namespace: mesh"), None).is_err());
        let gateways = "{profile: empty, namespace: edge, components: {ingressGateways: [{name: gw, enabled: true}]}}";
        assert!(of(gateways, None).is_err());
    }

    #[test]
    fn gateways_alone_have_a_namespace_of_their_own() {
        let gateway = "profile: empty, components: {ingressGateways: [{name: gw, enabled: true}]}";
        let of = |more: &str, flag| namespaces(&format!("{{{more}{gateway}}}"), flag).map(|all| all.len());
        assert_eq!(of("namespace: edge, ", None), Ok(1));
        assert_eq!(of("namespace: edge, ", Some("mesh")), Ok(1));
        assert!(of("values: {global: {istioNamespace: b}}, ", Some("a")).is_err());
    }
}
