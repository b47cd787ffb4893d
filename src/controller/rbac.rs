//! The ClusterRole of the operator: what the controller itself requests, what the charts render, and what the roles among that
//! grant, since Kubernetes lets nobody grant permissions they do not have. Only the first part is written by hand, so that a
//! chart that renders a new kind shows up here. `escalate` and `bind`, which would allow everything, are not needed.

use crate::api::{GROUP, KIND, PLURAL};
use crate::install::{INITIAL_KINDS, is_never_deleted};
use crate::object::Object;
use crate::object::inventory::group_of;
use crate::release::Package;
use crate::render::{self, ClusterInfo, RenderError};
use crate::spec::merge::merge_patch;
use crate::spec::request;
use crate::spec::resolve::Strictness;
use helm_template::yaml;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the controller does apart from installing: group, resources, verbs, and what for.
const OWN: &[(&str, &[&str], &[&str])] = &[
    // Its own resources: finalizers and annotations, status, and the records of installations.
    (GROUP, &[PLURAL], &["get", "list", "watch", "create", "patch", "delete"]),
    (GROUP, &["istiooperators/status"], &["patch"]),
    // The namespace of a control plane is made where it is missing, and asked who uses the control plane.
    ("", &["namespaces"], &["get", "list", "watch", "create", "patch"]),
    // Why a workload is not ready, and whose proxy a pod has.
    ("", &["pods"], &["get", "list", "watch"]),
    // What is told of resources, and what is told of workloads whose pods cannot be created.
    ("", &["events"], &["get", "list", "create", "patch"]),
    // Which revisions tags stand for.
    ("admissionregistration.k8s.io", &["mutatingwebhookconfigurations"], &["list", "watch"]),
    // The Lease of the election is in a Role of the operator's own namespace.
];

/// Specs that between them render every kind of object that the charts of a release have. Values stand in
/// `unvalidatedValues`, since each release knows others.
fn specs(package: &Package) -> Vec<Value> {
    // Everything that a template asks for before it renders another kind, or allows more; but for `cni.taint`, whose role
    // allows to write all Leases, and which has a role of its own (config/rbac/cni-taint).
    let common = json!({
        "defaultRevision": "default",
        "revisionTags": ["canary"],
        "base": {"enableIstioConfigCRDs": true},
        "cni": {"repair": {"enabled": true}, "resourceQuotas": {"enabled": true}, "ambient": {"enabled": true}},
        "experimental": {"stableValidationPolicy": true},
        "global": {"istiod": {"enableAnalysis": true}, "externalIstiod": true, "networkPolicy": {"enabled": true}},
        "pilot": {"taint": {"enabled": true}, "env": {"ENABLE_CLUSTER_TRUST_BUNDLE_API": true}},
    });
    let variants = [
        json!({}),
        json!({"global": {"remotePilotAddress": "10.0.0.1"}}),
        json!({"global": {"platform": "openshift"}, "pilot": {"cni": {"enabled": true}}}),
        json!({"global": {"platform": "gke", "remotePilotAddress": "10.0.0.1"}, "istiodRemote": {"enabled": true}}),
    ];
    let with_ztunnel = json!({"cni": {"enabled": true}, "ztunnel": {"enabled": true}});
    let without = json!({"cni": {"enabled": true}});
    let components = if package.switches().has_ztunnel { with_ztunnel } else { without };
    let mut specs = vec![];
    for profile in package.profiles().names() {
        specs.push(json!({"profile": profile, "components": components}));
        // Between them these two have all that variants depend on.
        for variant in variants.iter().filter(|_| matches!(profile, "default" | "remote")) {
            let mut values = common.clone();
            merge_patch(&mut values, variant);
            specs.push(json!({"profile": profile, "unvalidatedValues": values, "components": components}));
        }
    }
    specs
}

/// Verbs by group, resource, and the names they are limited to.
type Rules = BTreeMap<(String, String, Vec<String>), BTreeSet<String>>;

/// The label of the roles that the operator's role is made of.
const AGGREGATE: &str = "install.istio.io/aggregate-to-operator";

fn role(name: &str, rules: &Rules) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {AGGREGATE: "true"}},
        "rules": to_list(rules),
    })
}

/// The role that the operator has: all roles with the label [`AGGREGATE`]. Its rules are left to Kubernetes.
fn operator_role() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "istio-operator"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE: "true"}}]},
    })
}

/// The role for what the controller does itself, whatever release it installs.
fn own_role() -> Value {
    let mut rules = Rules::new();
    for (group, resources, verbs) in OWN {
        resources.iter().for_each(|resource| allow(&mut rules, group, resource, &[], verbs));
    }
    for (api_version, kind) in INITIAL_KINDS.iter().filter(|(_, kind)| !is_never_deleted(kind)) {
        allow(&mut rules, group_of(api_version), &plural(kind), &[], &["get", "list", "watch", "delete"]);
    }
    role("istio-operator-own", &rules)
}

/// The minor release of a package, as names of roles have it: `1.30`.
#[must_use]
pub fn line(package: &Package) -> String {
    format!("1.{}", package.switches().release.minor)
}

/// The role for what a release takes: to write what its charts render, and to hold what the roles among that grant.
///
/// # Errors
/// The charts of the package are broken.
pub fn release_role(package: &Package) -> Result<Value, RenderError> {
    let mut rules = Rules::new();
    for spec in specs(package) {
        let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
        let request = request::from_resource(&resource);
        let manifests = match render::build(&request, &ClusterInfo::default(), package, Strictness::Forced) {
            // Not every release knows every platform, nor takes all of this together.
            Err(_) if spec.get("unvalidatedValues").is_some() => continue,
            other => other?,
        };
        for object in manifests.objects() {
            let verbs: &[&str] = if is_never_deleted(object.kind()) {
                &["get", "list", "watch", "create", "patch"]
            } else {
                &["get", "list", "watch", "create", "patch", "delete"]
            };
            allow(&mut rules, object.group(), &plural(object.kind()), &[], verbs);
            allow_what_is_granted(&mut rules, object);
        }
    }
    Ok(role(&format!("istio-operator-release-{}", line(package)), &rules))
}

/// A role as YAML, with a rule on each line: a release has some sixty.
fn to_yaml(mut role: Value) -> String {
    let rules = role.as_object_mut().and_then(|role| role.remove("rules"));
    let rules: Vec<String> =
        rules.iter().filter_map(Value::as_array).flatten().map(|rule| format!("- {rule}\n")).collect();
    // The emitter refuses control characters, which no name of a role has; JSON in one flow, without its end, would not take the
    // rules below it, so the head is then written field by field.
    let head = yaml::to_string(&role).unwrap_or_else(|| {
        let fields = role.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{name}: {value}\n")).collect::<Vec<_>>().concat()
    });
    if rules.is_empty() { head } else { format!("{head}rules:\n{}", rules.concat()) }
}

/// The operator's role and the one for what it does itself, as YAML.
#[must_use]
pub fn own_yaml() -> String {
    format!(
        "# Made by `make role`. The operator's role is made of all roles with the label {AGGREGATE}: the second one here, for\n\
         # what the controller does itself, and one for each line of releases (releases/).\n{}---\n{}",
        to_yaml(operator_role()),
        to_yaml(own_role())
    )
}

/// The role for a release, as YAML.
///
/// # Errors
/// The charts of the package are broken.
pub fn release_yaml(package: &Package) -> Result<String, RenderError> {
    Ok(format!(
        "# Made by `istio-operator role -d {}` from what the charts of that release render, and what the roles among that allow:\n\
         # Kubernetes lets nobody grant more than they have. Wildcards are those of istiod's own role.\n{}",
        package.release(),
        to_yaml(release_role(package)?)
    ))
}

fn allow(rules: &mut Rules, group: &str, resource: &str, names: &[String], verbs: &[&str]) {
    let key = (group.to_owned(), resource.to_owned(), names.to_vec());
    rules.entry(key).or_default().extend(verbs.iter().map(|v| (*v).to_owned()));
}

/// What a role among the objects allows, if it is one.
fn allow_what_is_granted(rules: &mut Rules, object: &Object) {
    if object.group() != "rbac.authorization.k8s.io" || !object.kind().ends_with("Role") {
        return;
    }
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule.get(field).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    for rule in object.value().get("rules").and_then(Value::as_array).into_iter().flatten() {
        let verbs = texts(rule, "verbs");
        let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                allow(rules, &group, &resource, &texts(rule, "resourceNames"), &verbs);
            }
        }
    }
}

/// The rules, with resources of a group that allow the same put together.
fn to_list(rules: &Rules) -> Vec<Value> {
    type Shared<'a> = (&'a str, &'a [String], Vec<&'a str>);
    let mut grouped: BTreeMap<Shared<'_>, Vec<&str>> = BTreeMap::new();
    for ((group, resource, names), verbs) in rules {
        // "*" is all the rest too.
        let verbs: Vec<&str> = if verbs.contains("*") { vec!["*"] } else { verbs.iter().map(String::as_str).collect() };
        grouped.entry((group, names, verbs)).or_default().push(resource);
    }
    let rule = |((group, names, verbs), resources): (Shared<'_>, Vec<&str>)| {
        let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        if let (false, Some(rule)) = (names.is_empty(), rule.as_object_mut()) {
            rule.insert("resourceNames".into(), json!(names));
        }
        rule
    };
    grouped.into_iter().map(rule).collect()
}

/// The plural of a kind, as in URLs.
fn plural(kind: &str) -> String {
    let kind = if kind == KIND { return PLURAL.to_owned() } else { kind.to_lowercase() };
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with("ss") => format!("{kind}es"),
        // Endpoints.
        _ if kind.ends_with('s') => kind,
        _ => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the operator has for the built-in release.
    fn of_builtin() -> Value {
        let (mut own, release) = (own_role(), release_role(&Package::embedded().unwrap()).unwrap());
        own["rules"].as_array_mut().unwrap().extend(release["rules"].as_array().unwrap().clone());
        own
    }

    fn verbs(role: &Value, group: &str, resource: &str) -> BTreeSet<String> {
        let has = |rule: &&Value, field: &str, value: &str| rule[field].as_array().unwrap().iter().any(|v| v == value);
        let rules = role["rules"].as_array().unwrap().iter();
        let rules = rules.filter(|r| has(r, "apiGroups", group) && has(r, "resources", resource));
        rules.flat_map(|r| r["verbs"].as_array().unwrap()).map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_role_allows_to_install_and_never_to_escalate_or_to_delete_crds() {
        let role = of_builtin();
        let all = ["create", "delete", "get", "list", "patch", "watch"].map(str::to_owned);
        assert_eq!(verbs(&role, "apps", "daemonsets"), BTreeSet::from(all.clone()));
        assert!(verbs(&role, "networking.istio.io", "envoyfilters").is_superset(&BTreeSet::from(all)));
        let definitions = verbs(&role, "apiextensions.k8s.io", "customresourcedefinitions");
        assert!(definitions.contains("patch") && !definitions.contains("delete"), "{definitions:?}");
        assert!(!verbs(&role, "", "namespaces").contains("delete"));
        assert!(verbs(&role, "authentication.k8s.io", "tokenreviews").contains("create"), "istiod's role grants it");
        let text = role.to_string();
        assert!(!text.contains("escalate") && !text.contains("\"bind\"") && !text.contains("impersonate"));
    }

    /// Leases are the locks of Kubernetes' own controllers, and its nodes' signs of life.
    #[test]
    fn leases_are_only_in_the_role_that_few_need() {
        let package = Package::embedded().unwrap();
        let role = of_builtin();
        assert_eq!(verbs(&role, "coordination.k8s.io", "leases"), BTreeSet::new());
        let text = std::fs::read_to_string("config/rbac/cni-taint/role.yaml").unwrap();
        let extra = helm_template::yaml::parse(&text).unwrap();
        let spec = json!({"profile": "empty", "components": {"cni": {"enabled": true}},
            "values": {"cni": {"taint": {"enabled": true}}}});
        let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
        let manifests = render::from_resource(&resource, &ClusterInfo::default(), &package).unwrap();
        let mut granted = Rules::new();
        manifests.objects().for_each(|o| allow_what_is_granted(&mut granted, o));
        assert!(granted.keys().any(|(group, ..)| group == "coordination.k8s.io"), "the chart grants none");
        for ((group, resource, _), wanted) in granted {
            let held = &verbs(&role, &group, &resource) | &verbs(&extra, &group, &resource);
            assert!(held.is_superset(&wanted), "{group} {resource}: {wanted:?} are granted, {held:?} are held");
        }
    }

    #[test]
    fn kinds_are_put_in_the_plural_as_kubernetes_does() {
        let plurals = ["NetworkPolicy", "Gateway", "Endpoints", "Ingress", "ConfigMap"].map(plural);
        assert_eq!(plurals, ["networkpolicies", "gateways", "endpoints", "ingresses", "configmaps"]);
    }
}
