use super::*;
use crate::api::component::Component;
use crate::object::manifests::{Manifests, Part};
use crate::object::{Object, read_all};
use crate::render::RenderError;
use crate::spec::problem::{Kind, Problem};
use crate::spec::resolve::ResolveError;
use crate::spec::switches::Switches;
use serde_json::json;

fn side(release: &str, outcome: Result<Manifests, Vec<String>>) -> Side {
    let switches = Switches::of_package(Some(release), &std::iter::empty());
    let problem = |text: String| {
        let (path, message) = text.split_once(": ").unwrap_or((&text, ""));
        let (path, message) = (path.to_owned(), message.to_owned());
        Problem { path, message, location: None, kind: Kind::Form }
    };
    let outcome = outcome.map_err(|problems| {
        let problems = problems.into_iter().map(problem).collect();
        RenderError::from(ResolveError::Invalid(problems)).into()
    });
    Side { release: release.to_owned(), switches, outcome }
}

fn manifests(parts: &[(Component, &str)]) -> Manifests {
    let part = |(component, text): &(Component, &str)| Part { component: *component, objects: read_all(text).unwrap() };
    Manifests { parts: parts.iter().map(part).collect(), namespace: "istio-system".into(), ..Manifests::default() }
}

fn plan(spec: &Value, from: &Side, to: &Side, cluster: &ClusterFacts) -> UpgradePlan {
    let (resource, from_source) = ("f.yaml".to_owned(), "-d".to_owned());
    Upgrade { resource, from_source, spec, profile: None, from, to, allowed_release: None, cluster }.plan()
}

fn names(plan: &UpgradePlan) -> Vec<&str> {
    plan.hazards.iter().map(|hazard| hazard.name).collect()
}

fn istiod(image: &str, selector: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: istiod, namespace: istio-system}}, spec: {{selector: \
         {{matchLabels: {{{selector}}}}}, template: {{spec: {{containers: [{{name: discovery, image: {image}}}]}}}}}}}}"
    )
}

#[test]
fn fields_that_are_gone_are_named_with_what_takes_their_place() {
    let spec = json!({"addonComponents": {}, "values": {"pilot": {"plugins": [], "configSource": {}, "env": {"a": "b"}},
        "global": {"configRootNamespace": "x", "foo": 1}, "istio_cni": {"enabled": true, "cniBinDir": "/b"},
        "telemetry": {"v2": {"accessLogPolicy": {"enabled": true}}}}});
    let found = |minors| fields::gone(&spec, None, minors).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(found((17, 17)), Vec::<String>::new());
    let expected = [
        "spec.addonComponents: removed in 1.24; remove it",
        "spec.values.global.configRootNamespace: removed in 1.23; use meshConfig.rootNamespace",
        "spec.values.pilot.configSource: removed in 1.23; use meshConfig.configSources",
        "spec.values.pilot.plugins: removed in 1.22; remove it",
        "spec.values.telemetry.v2.accessLogPolicy: removed in 1.21; use the Telemetry API",
    ];
    let mut all = found((17, 30));
    all.retain(|line| !line.contains("istio_cni"));
    assert_eq!(all, expected);
    assert!(found((17, 30)).iter().any(|line| line.starts_with("spec.values.istio_cni.cniBinDir: ")));
    assert_eq!(found((17, 21)), [expected[4]]);
    let newer = json!({"compatibilityVersion": "1.22"});
    assert_eq!(
        fields::gone(&newer, None, (23, 17))[0].to_string(),
        "spec.compatibilityVersion: not there yet; remove it"
    );
}

#[test]
fn new_fields_are_those_of_components_that_are_installed() {
    let paths = |installed: Option<&Manifests>| -> Vec<String> {
        fields::added(installed, (22, 30)).into_iter().map(|field| format!("{} {}", field.path, field.since)).collect()
    };
    let without_cni = paths(Some(&manifests(&[(Component::Pilot, "")])));
    for path in [
        "spec.values.global.waypoint 1.24",
        "spec.values.pilot.envVarFrom 1.26",
        "spec.components.*.k8s.service.ipFamilies 1.24",
    ] {
        let is_there = without_cni.iter().any(|other| other.starts_with(path));
        assert!(is_there, "{path} is missing in {without_cni:#?}");
    }
    assert!(!without_cni.iter().any(|path| path.starts_with("spec.values.cni.")));
    assert!(paths(None).contains(&"spec.values.cni.daemonSetLabels 1.28".to_owned()));
    assert_eq!(fields::added(None, (30, 30)), []);
    assert_eq!(fields::added(None, (26, 23)), [], "an older release has nothing new");
    let since = |path: &str, minors| {
        fields::added(None, minors).into_iter().find(|field| field.path == path).map(|field| field.since)
    };
    let constraints = "spec.values.pilot.topologySpreadConstraints";
    assert_eq!([since(constraints, (17, 20)), since(constraints, (17, 30))], ["1.19"; 2].map(|it| Some(it.to_owned())));
}

#[test]
fn a_field_that_says_what_the_profile_says_is_told_as_needless() {
    let spec = json!({"values": {"global": {"useMCP": false, "oneNamespace": true}}});
    let profile = json!({"values": {"global": {"useMCP": false, "oneNamespace": false}}});
    let told: Vec<_> = fields::gone(&spec, Some(&profile), (17, 30)).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "spec.values.global.oneNamespace: removed in 1.22; remove it",
            "spec.values.global.useMCP: removed in 1.23; remove it: it says what the profile says now",
        ]
    );
}

#[test]
fn a_budget_that_goes_with_its_workload_is_no_hazard() {
    let gateway = |kind: &str, version: &str| {
        format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: gw, namespace: n}}, spec: {{}}}}")
    };
    let both = format!("{}\n---\n{}", gateway("Deployment", "apps/v1"), gateway("PodDisruptionBudget", "policy/v1"));
    let old = manifests(&[(Component::Pilot, &istiod("r/pilot:1", "a: b")), (Component::IngressGateways, &both)]);
    let new = manifests(&[(Component::Pilot, &istiod("r/pilot:1", "a: b"))]);
    let (from, to) = (side("1.29.0", Ok(old)), side("1.30.0", Ok(new)));
    let told = plan(&json!({"compatibilityVersion": "1.29"}), &from, &to, &ClusterFacts::default());
    assert_eq!(names(&told), ["ComponentGoes"]);
}

#[test]
fn what_the_present_release_refuses_too_is_told_as_such() {
    let refused = |problem: &str| Err(vec![problem.to_owned(), "spec.y: gone".to_owned()]);
    let (from, to) = (side("1.17.8", Err(vec!["spec.x: unknown".into()])), side("1.30.3", refused("spec.x: unknown")));
    let told = plan(&json!({}), &from, &to, &ClusterFacts::default());
    assert_eq!(told.blocked_by, ["spec.x: unknown (1.17.8 refuses it, too)", "spec.y: gone"]);
}

#[test]
fn a_profile_is_ambient_by_what_it_comes_to_if_that_is_known() {
    let spec = json!({"profile": "ambient", "compatibilityVersion": "1.20"});
    let told = |outcome: fn() -> Result<Manifests, Vec<String>>| {
        let plan = plan(&spec, &side("1.20.0", outcome()), &side("1.21.0", outcome()), &ClusterFacts::default());
        plan.hazards.iter().any(|hazard| hazard.name == "AmbientRedirection")
    };
    assert!(!told(|| Ok(manifests(&[(Component::Pilot, &istiod("r/pilot:1", "a: b"))]))));
    assert!(told(|| Err(vec!["refused".to_owned()])));
}

#[test]
fn where_nothing_is_installed_nothing_behaves_otherwise() {
    let (from, to) = (side("1.29.0", Ok(Manifests::default())), side("1.30.3", Ok(Manifests::default())));
    assert_eq!(names(&plan(&json!({}), &from, &to, &ClusterFacts::default())), <[&str; 0]>::default());
}

#[test]
fn a_plan_tells_what_differs_and_whose_pods_restart() {
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}}";
    let old = manifests(&[(Component::Pilot, &istiod("docker.io/istio/pilot:1.22.0", "app: istiod"))]);
    let new = format!("{}\n---\n{config}", istiod("docker.io/istio/pilot:1.23.0", "app: istiod"));
    let new = manifests(&[(Component::Pilot, &new)]);
    let (from, to) = (side("1.22.0", Ok(old)), side("1.23.6", Ok(new)));
    let plan = plan(&json!({"compatibilityVersion": "1.22"}), &from, &to, &ClusterFacts::default());
    assert_eq!(plan.restarts.as_deref(), Some(&["Deployment istio-system/istiod".to_owned()][..]));
    let told: Vec<_> = plan.objects.as_ref().unwrap().changes.iter().map(ToString::to_string).collect();
    let image = ".spec.template.spec.containers[name:discovery].image";
    assert_eq!(
        told,
        ["create ConfigMap istio-system/istio".to_owned(), format!("change Deployment istio-system/istiod: {image}")]
    );
    assert_eq!(
        (names(&plan), plan.skipped_minors.len(), plan.needs_kubernetes.as_str()),
        (vec!["OtherOperator"], 0, "1.26")
    );
    assert_eq!(plan.blocked_by, Vec::<String>::new());
    let text = plan.to_string();
    assert!(
        text.contains("an istiod of 1.23 supports proxies of 1.22 and 1.23; those of 1.22 go on working"),
        "{text}"
    );
    assert!(text.contains("unknown: no cluster was asked"), "{text}");
}

#[test]
fn what_a_release_refuses_is_in_the_way_and_what_differs_is_unknown() {
    let (from, to) = (side("1.17.8", Ok(Manifests::default())), side("1.30.3", Err(vec!["spec.x: unknown".into()])));
    let refused = plan(&json!({}), &from, &to, &ClusterFacts::default());
    assert_eq!(refused.blocked_by, ["spec.x: unknown"]);
    assert_eq!((refused.objects.is_none(), refused.restarts), (true, None));
    assert_eq!(refused.skipped_minors.len(), 12);
    assert!(refused.proxies.rule.ends_with("those of 1.17 have to be restarted as soon as the new istiod is ready"));
    let (from, to) = (side("1.30.3", Err(vec!["spec.y".into()])), side("1.30.1", Ok(Manifests::default())));
    let back = plan(&json!({}), &from, &to, &ClusterFacts::default());
    assert!(back.blocked_by[0].contains("release 1.30.1 is older than 1.30.3"), "{:?}", back.blocked_by);
    assert!(back.notes[0].contains("spec.y") && back.objects.is_none(), "{:?}", back.notes);
}

#[test]
fn a_proxy_may_be_one_minor_release_behind_and_none_ahead() {
    let proxy = |namespace: &str, version: Option<&str>| Proxy {
        namespace: namespace.into(),
        version: version.map(str::to_owned),
    };
    let running = vec![
        proxy("a", Some("v1.9.8")),
        proxy("a", Some("1.29.0-distroless")),
        proxy("a", Some("1.29.0-distroless")),
        proxy("b", Some("1.31.0")),
        proxy("b", Some("latest")),
        proxy("b", None),
    ];
    let (from, to) = (side("1.29.0", Ok(Manifests::default())), side("1.30.3", Ok(Manifests::default())));
    let cluster = ClusterFacts { kubernetes: Some(28), proxies: Proxies::Known(running), ..ClusterFacts::default() };
    let plan = plan(&json!({"compatibilityVersion": "1.29"}), &from, &to, &cluster);
    let [a, b] = &plan.proxies.namespaces[..] else { panic!("{:?}", plan.proxies) };
    assert_eq!((a.must_restart, a.unknown, a.versions["1.29.0-distroless"]), (1, 0, 2));
    assert_eq!((b.must_restart, b.unknown), (1, 2));
    assert_eq!(names(&plan), ["KubernetesTooOld"]);
}

/// A hazard, a spec, both releases, and what they come to.
type Row = (&'static str, Value, (&'static str, &'static str), [Vec<(Component, String)>; 2]);

fn rows() -> Vec<Row> {
    use Component::{Cni, IngressGateways, Pilot, Ztunnel};
    let object = |kind: &str, version: &str, namespace: &str, name: &str, rest: &str| {
        format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}}, {rest}}}")
    };
    let agent = |namespace: &str, image: &str| {
        object("DaemonSet", "apps/v1", namespace, "ztunnel", &format!("spec: {{template: {{spec: {{x: {image}}}}}}}"))
    };
    let crd = |served: bool| {
        let versions = format!("spec: {{versions: [{{name: v1, served: {served}}}]}}");
        object("CustomResourceDefinition", "apiextensions.k8s.io/v1", "''", "gateways", &versions)
    };
    let mesh = |mesh: &str| object("ConfigMap", "v1", "istio-system", "istio", &format!("data: {{mesh: '{mesh}'}}"));
    let budget = object("PodDisruptionBudget", "policy/v1", "istio-system", "istiod", "spec: {}");
    let (small, pilot) = (istiod("r/pilot:1", "a: b"), |text: &str| vec![(Pilot, text.to_owned())]);
    let both = |text: &str| [pilot(text), pilot(text)];
    let with = |component, text: &str| vec![(Pilot, small.clone()), (component, text.to_owned())];
    let none = || [vec![], vec![]];
    vec![
        ("OtherOperator", json!({}), ("1.22.0", "1.23.0"), none()),
        (
            "FirstPartyTokens",
            json!({"values": {"global": {"jwtPolicy": "first-party-jwt"}}}),
            ("1.21.0", "1.22.0"),
            none(),
        ),
        ("ComponentComes", json!({}), ("1.29.0", "1.30.0"), [pilot(&small), with(Cni, &agent("ns", "1"))]),
        ("ComponentGoes", json!({}), ("1.29.0", "1.30.0"), [with(IngressGateways, &budget), pilot(&small)]),
        ("NullsCount", json!({"values": {"pilot": {"resources": null}}}), ("1.23.0", "1.24.0"), none()),
        ("SelectorChanges", json!({}), ("1.29.0", "1.30.0"), [pilot(&small), pilot(&istiod("r/pilot:1", "a: c"))]),
        ("VersionGone", json!({}), ("1.29.0", "1.30.0"), [pilot(&crd(true)), pilot(&crd(false))]),
        ("NoDisruptionBudget", json!({}), ("1.27.0", "1.28.0"), [pilot(&budget), vec![]]),
        (
            "TracingEnds",
            json!({}),
            ("1.21.0", "1.22.0"),
            [pilot(&mesh("{defaultConfig: {tracing: {zipkin: {address: z}}}}")), pilot(&mesh("{defaultConfig: {}}"))],
        ),
        ("RegistryChanges", json!({}), ("1.29.0", "1.30.0"), [pilot(&small), pilot(&istiod("s/pilot:1", "a: b"))]),
        ("BehaviorChanges", json!({}), ("1.29.0", "1.30.0"), both(&small)),
        ("CniMoves", json!({}), ("1.29.0", "1.30.0"), [with(Cni, &agent("ns", "1")), with(Cni, &agent("ms", "1"))]),
        ("CniRepairs", json!({}), ("1.20.0", "1.21.0"), [with(Cni, &agent("ns", "1")), with(Cni, &agent("ns", "1"))]),
        ("AmbientRedirection", json!({}), ("1.20.0", "1.21.0"), [with(Ztunnel, ""), with(Ztunnel, "")]),
        ("AmbientHostNetwork", json!({}), ("1.25.0", "1.26.0"), [with(Ztunnel, ""), with(Ztunnel, "")]),
        ("AmbientRules", json!({}), ("1.28.0", "1.29.0"), [with(Ztunnel, ""), with(Ztunnel, "")]),
        (
            "AmbientNodes",
            json!({}),
            ("1.29.0", "1.30.0"),
            [with(Ztunnel, &agent("ns", "1")), with(Ztunnel, &agent("ns", "2"))],
        ),
    ]
}

#[test]
fn each_hazard_is_told_where_it_is_there_and_not_where_nothing_differs() {
    let made = |parts: &[(Component, String)]| {
        Ok(manifests(&parts.iter().map(|(component, text)| (*component, text.as_str())).collect::<Vec<_>>()))
    };
    // These have tests of their own, or need more than a row.
    let mut tested = vec!["KubernetesTooOld", "NamespaceMoves", "GatewaysReplaced"];
    for (name, spec, (old, new), [before, after]) in rows() {
        let (from, to) = (side(old, made(&before)), side(new, made(&after)));
        let told = plan(&spec, &from, &to, &ClusterFacts::default());
        assert!(names(&told).contains(&name), "{name}: {:?}", names(&told));
        let to = side("1.31.0", made(&after));
        let same = plan(&json!({"compatibilityVersion": "1.30"}), &to, &to, &ClusterFacts::default());
        assert_eq!(names(&same), Vec::<&str>::new(), "{name}");
        tested.push(name);
    }
    for hazard in HAZARDS {
        assert!(tested.contains(&hazard.name), "{} has no test", hazard.name);
    }
}

#[test]
fn a_control_plane_that_moves_and_gateways_that_are_replaced_are_hazards() {
    let moved = |namespace: &str| Ok(Manifests { namespace: namespace.into(), ..Manifests::default() });
    let mut to = side("1.24.0", moved("istio-system"));
    to.switches.is_upstream = true;
    let spec = json!({"compatibilityVersion": "1.23", "components": {"ingressGateways": [{"name": "a"}]}});
    let told = plan(&spec, &side("1.23.0", moved("istio")), &to, &ClusterFacts::default());
    assert_eq!(names(&told), ["OtherOperator", "NamespaceMoves", "GatewaysReplaced"]);
    assert_eq!(told.hazards[1].at, ["from istio to istio-system"]);
    assert_eq!(told.hazards[2].at, ["spec.components.ingressGateways"]);
}

#[test]
fn an_operator_of_istios_own_is_told_where_one_is_or_may_be() {
    let told = |release: &str, operators: Operators| {
        let (from, to) = (side(release, Ok(Manifests::default())), side("1.30.3", Ok(Manifests::default())));
        let plan = plan(&json!({}), &from, &to, &ClusterFacts { operators, ..ClusterFacts::default() });
        plan.hazards.into_iter().find(|hazard| hazard.name == "OtherOperator").map(|hazard| hazard.at)
    };
    let one = || Operators::Known(vec!["Deployment istio-operator/istio-operator".to_owned()]);
    let at = vec!["Deployment istio-operator/istio-operator".to_owned()];
    assert_eq!([told("1.22.0", one()), told("1.29.0", one())], [Some(at.clone()), Some(at)]);
    assert_eq!(told("1.22.0", Operators::Known(vec![])), None);
    let unknown = || Operators::Unknown("deployments is forbidden".to_owned());
    let at = vec!["it is not known whether one runs: deployments is forbidden".to_owned()];
    assert_eq!([told("1.22.0", unknown()), told("1.29.0", unknown())], [Some(at), None]);
}

#[test]
fn of_a_definition_only_that_its_schema_differs_is_told() {
    let crd = |a: &str, b: &str| {
        Object::new(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "x"}, "spec": {"versions": [{"name": "v1", "schema": {"a": a, "b": b}}]}}))
        .unwrap()
    };
    let changes = diff::compare(&[crd("1", "2")], &[crd("3", "4")], &Selection::default());
    assert_eq!(PlannedChange::of(&changes[0]).fields, [".spec.versions[name:v1].schema"]);
}
