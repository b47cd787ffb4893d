//! What works here though release 1.17 of Istio fails at it or does something else: every row of docs/differences.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

use istio_operator::inject::{Installation, Outcome, inject};
use istio_operator::object::Object;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use istio_operator::spec::request::{self, Request};
use istio_operator::spec::resolve::Strictness;
use serde_json::{Value, json};

#[path = "differences/checks.rs"]
mod checks;
#[path = "differences/sections.rs"]
mod sections;
#[path = "differences/since_124.rs"]
mod since_124;

/// A request from specs in YAML's flow form, one file each, and flags.
fn request(specs: &[&str], sets: &[&str]) -> Request {
    let file = |(i, spec): (usize, &&str)| (format!("{i}.yaml"), format!("kind: IstioOperator\nspec: {spec}\n"));
    from_texts(&specs.iter().enumerate().map(file).collect::<Vec<_>>(), sets)
}

fn from_texts(files: &[(String, String)], sets: &[&str]) -> Request {
    let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
    request::from_files(files, &sets).unwrap_or_else(|e| panic!("{e}"))
}

/// The merged spec.
fn resolved(request: &Request) -> Value {
    let package = Package::embedded().unwrap();
    render::resolve(request, &package, Strictness::Full).unwrap_or_else(|e| panic!("{e}")).spec().clone()
}

fn built(request: &Request) -> Vec<Object> {
    let package = Package::embedded().unwrap();
    let manifests = render::build(request, &ClusterInfo::default(), &package, Strictness::Full);
    manifests.unwrap_or_else(|e| panic!("{e}")).parts.into_iter().flat_map(|p| p.objects).collect()
}

fn object(objects: &[Object], kind: &str, name: &str) -> Value {
    objects.iter().find(|o| o.kind() == kind && o.name() == name).expect("the object").value().into_owned()
}

#[test]
fn a_map_in_two_layers_is_merged_although_upstreams_schema_lacks_it() {
    for (path, first, second, merged) in [
        (
            "/meshConfig/pathNormalization",
            "{meshConfig: {pathNormalization: {normalization: BASE}}}",
            "{meshConfig: {pathNormalization: {normalization: NONE}}}",
            json!({"normalization": "NONE"}),
        ),
        (
            "/values/global/meshNetworks/net",
            "{values: {global: {meshNetworks: {net: {endpoints: [{fromRegistry: a}]}}}}}",
            "{values: {global: {meshNetworks: {net: {gateways: [{address: 1.2.3.4, port: 1}]}}}}}",
            json!({"endpoints": [{"fromRegistry": "a"}], "gateways": [{"address": "1.2.3.4", "port": 1}]}),
        ),
        (
            "/values/telemetry/v2/prometheus/configOverride",
            "{values: {telemetry: {v2: {prometheus: {configOverride: {gateway: {a: b}}}}}}}",
            "{values: {telemetry: {v2: {prometheus: {configOverride: {gateway: {c: d}}}}}}}",
            json!({"gateway": {"a": "b", "c": "d"}}),
        ),
        (
            "/unvalidatedValues/any",
            "{unvalidatedValues: {any: {a: 1}}}",
            "{unvalidatedValues: {any: {b: 2}}}",
            json!({"a": 1, "b": 2}),
        ),
    ] {
        assert_eq!(resolved(&request(&[first, second], &[])).pointer(path), Some(&merged), "{path}");
    }
}

#[test]
fn a_flag_reaches_an_item_of_the_profiles_list_by_its_name() {
    let objects = built(&request(&[], &["components.ingressGateways[name:istio-ingressgateway].enabled=false"]));
    assert!(objects.iter().all(|o| o.name() != "istio-ingressgateway"));
    assert!(objects.iter().any(|o| o.name() == "istiod"));
}

#[test]
fn a_value_of_a_flag_may_hold_equals_signs() {
    let spec = resolved(&request(&[], &["components.pilot.k8s.podAnnotations.q=a=b=c"]));
    assert_eq!(spec.pointer("/components/pilot/k8s/podAnnotations/q"), Some(&json!("a=b=c")));
}

#[test]
fn a_flags_value_that_looks_like_yaml_is_text() {
    let flags = [
        "values.pilot.env.A=a: b",
        "components.pilot.k8s.podAnnotations.x=one: 1\ntwo: 2",
        "meshConfig.accessLogFormat=a: b",
    ];
    let spec = resolved(&request(&[], &flags));
    assert_eq!(spec.pointer("/meshConfig/accessLogFormat"), Some(&json!("a: b")));
    assert_eq!(spec.pointer("/components/pilot/k8s/podAnnotations/x"), Some(&json!("one: 1\ntwo: 2")));
    let env = spec.pointer("/components/pilot/k8s/env").and_then(Value::as_array).unwrap();
    assert!(env.contains(&json!({"name": "A", "value": "a: b"})), "{env:#?}");
}

#[test]
fn quotes_make_a_flags_value_a_string_and_are_no_part_of_it() {
    let flags = ["tag=\"1.10\"", "meshConfig.defaultConfig.proxyMetadata.X=\"true\""];
    let request = request(&[], &flags);
    assert_eq!(resolved(&request)["meshConfig"]["defaultConfig"]["proxyMetadata"]["X"], "true");
    let objects = built(&request);
    let image = "/spec/template/spec/containers/0/image";
    let istiod = object(&objects, "Deployment", "istiod");
    assert_eq!(istiod.pointer(image), Some(&json!("docker.io/istio/pilot:1.10")));
    let gateway = object(&objects, "Deployment", "istio-ingressgateway");
    let env = gateway["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(env.contains(&json!({"name": "X", "value": "true"})), "{env:#?}");
}

#[test]
fn a_line_may_be_longer_than_64_kib() {
    let long = "x".repeat(100_000);
    let spec = format!("{{components: {{pilot: {{k8s: {{podAnnotations: {{long: {long}}}}}}}}}}}");
    let istiod = object(&built(&request(&[&spec], &[])), "Deployment", "istiod");
    assert_eq!(istiod["spec"]["template"]["metadata"]["annotations"]["long"], long);
}

#[test]
fn the_resource_need_not_be_the_first_document_of_its_file() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: IstioOperator\nspec: {profile: demo}\n---\n\
                apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";
    let spec = resolved(&from_texts(&[("all.yaml".into(), text.into())], &[]));
    assert_eq!(spec["profile"], "demo");
    assert_eq!(spec["meshConfig"]["accessLogFile"], "/dev/stdout");
}

#[test]
fn a_file_of_another_kind_is_no_resource() {
    for (text, told) in [
        (
            "apiVersion: sailoperator.io/v1\nkind: Istio\nspec: {profile: demo}\n",
            "f.yaml:2:1: is \"Istio\" of sailoperator",
        ),
        ("apiVersion: apps/v1\nkind: IstioOperator\n", "f.yaml:1:1: apiVersion: \"apps/v1\" is not that of"),
    ] {
        let refused = request::from_files(&[("f.yaml".into(), text.into())], &[]).unwrap_err().to_string();
        assert!(refused.starts_with(told), "{refused}");
    }
}

#[test]
fn spec_may_be_written_before_a_flags_path_for_the_profile_too() {
    let spec = resolved(&request(&[], &["spec.profile=demo"]));
    assert_eq!(spec["meshConfig"]["accessLogFile"], "/dev/stdout");
}

#[test]
fn a_flag_makes_the_list_it_writes_into() {
    for flag in ["components.egressGateways[name:own].enabled=true", "components.egressGateways[0].name=own"] {
        let spec = resolved(&request(&[], &[flag]));
        let gateways = spec["components"]["egressGateways"].as_array().unwrap();
        assert!(gateways.iter().any(|g| g["name"] == "own"), "{flag}: {gateways:?}");
        assert!(gateways.iter().any(|g| g["name"] == "istio-egressgateway"), "{flag}: {gateways:?}");
    }
}

#[test]
fn dots_in_brackets_of_an_overlays_path_need_no_backslash() {
    let spec = "{components: {pilot: {k8s: {overlays: [{kind: MutatingWebhookConfiguration, name: istio-sidecar-injector, \
                patches: [{path: 'webhooks.[name:namespace.sidecar-injector.istio.io].failurePolicy', value: Ignore}]}]}}}}";
    let objects = built(&request(&[spec], &[]));
    let injector = object(&objects, "MutatingWebhookConfiguration", "istio-sidecar-injector");
    let webhooks = injector["webhooks"].as_array().unwrap();
    let ignoring: Vec<_> = webhooks.iter().filter(|w| w["failurePolicy"] == "Ignore").map(|w| &w["name"]).collect();
    assert_eq!(ignoring, ["namespace.sidecar-injector.istio.io"]);
}

#[test]
fn two_overlays_for_one_object_combine() {
    let overlay = |path: &str| format!("{{kind: Deployment, name: istiod, patches: [{{path: {path}, value: set}}]}}");
    let both = [overlay("metadata.labels.first"), overlay("metadata.labels.second")].join(", ");
    let spec = format!("{{components: {{pilot: {{k8s: {{overlays: [{both}]}}}}}}}}");
    let objects = built(&request(&[&spec], &[]));
    let labels = &object(&objects, "Deployment", "istiod")["metadata"]["labels"];
    assert_eq!((&labels["first"], &labels["second"]), (&json!("set"), &json!("set")));
}

#[test]
fn an_overlay_makes_the_list_it_writes_into() {
    let patches = "[{path: 'spec.template.spec.tolerations[0].key', value: dedicated}]";
    let overlay = format!("{{kind: Deployment, name: istiod, patches: {patches}}}");
    let spec = format!("{{components: {{pilot: {{k8s: {{overlays: [{overlay}]}}}}}}}}");
    let objects = built(&request(&[&spec], &[]));
    let pods = &object(&objects, "Deployment", "istiod")["spec"]["template"]["spec"];
    assert_eq!(pods["tolerations"], json!([{"key": "dedicated"}]));
}

#[test]
fn a_variable_that_is_null_is_unset() {
    let objects = built(&request(&["{values: {pilot: {env: {GONE: null, KEPT: 'yes'}}}}"], &[]));
    let pods = &object(&objects, "Deployment", "istiod")["spec"]["template"]["spec"];
    let env = pods["containers"][0]["env"].as_array().unwrap();
    let named = |name: &str| env.iter().find(|e| e["name"] == name);
    assert_eq!((named("GONE"), named("KEPT").unwrap()["value"].as_str()), (None, Some("yes")));
}

#[test]
fn the_pods_of_a_cron_job_may_refuse_a_proxy() {
    let installation = Installation::new("templates: {sidecar: 'metadata: {labels: {a: b}}'}", "{}", "", "").unwrap();
    for map in ["labels", "annotations"] {
        let template = json!({"metadata": {map: {"sidecar.istio.io/inject": "false"}}, "spec": {"containers": []}});
        let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"jobTemplate": {"spec": {"template": template}}}});
        assert!(matches!(inject(&cron, &installation), Ok(Outcome::Skipped(..))), "{map}");
    }
}

#[test]
fn a_file_may_direct_the_merge() {
    let spec =
        resolved(&request(&["{components: {egressGateways: [{name: istio-egressgateway, $patch: delete}]}}"], &[]));
    assert_eq!(spec["components"]["egressGateways"], json!([]));
}

#[test]
fn a_resource_is_warned_of_what_only_the_command_line_refuses() {
    let ports = json!([{"name": "http", "port": 80, "targetPort": 80}]);
    let spec = json!({"components": {"ingressGateways": [
        {"name": "istio-ingressgateway", "k8s": {"service": {"ports": ports}}}]}});
    let request = request::from_resource(&json!({"spec": spec}));
    let package = Package::embedded().unwrap();
    assert!(render::resolve(&request, &package, Strictness::Full).is_err());
    let warnings = render::resolve(&request, &package, Strictness::TakenOver).unwrap().warnings().to_vec();
    assert!(warnings.len() == 1 && warnings[0].contains("requires root"), "{warnings:?}");
}

/// Specs that say something in most sections.
const RICH: [&str; 6] =
    ["k8s-pilot-all", "k8s-ingress-all", "gateway-values", "values-proxy", "demo-tuned", "mesh-config"];

#[test]
fn an_emptied_section_is_an_absent_one_wherever_it_is_written() {
    let package = Package::embedded().unwrap();
    // A few are errors when they are empty, each time the same but for the place in the file.
    let text = |e: render::RenderError| e.to_string().split_once("spec.").unwrap().1.to_owned();
    let resolve = |request: &Request| {
        render::resolve(request, &package, Strictness::Full).map(|r| r.spec().clone()).map_err(text)
    };
    let file = |spec: &Value| ("section.yaml".to_owned(), json!({"kind": "IstioOperator", "spec": spec}).to_string());
    let files = |files: Vec<(String, String)>| request::from_files(&files, &[]).unwrap();
    let rich = RICH.map(|case| {
        let text = std::fs::read_to_string(format!("tests/parity/render/{case}/input.yaml")).unwrap();
        ("rich.yaml".to_owned(), text)
    });
    let all = sections::all();
    assert!(all.len() > 700, "only {} sections", all.len());
    for section in &all {
        let (_, parent) = section.split_last().unwrap();
        let (null, absent) = (sections::spec_with(section, &Value::Null), sections::spec_with(parent, &json!({})));
        let wanted = resolve(&files(vec![file(&absent)]));
        assert_eq!(resolve(&files(vec![file(&null)])), wanted, "{section:?} in a file");
        let resource = request::from_resource(&json!({ "spec": (null.clone()) }));
        assert_eq!(resolve(&resource), wanted, "{section:?} in a resource");
        let rich = &rich[section.len() % rich.len()..][..1];
        let over = |spec: &Value| resolve(&files(rich.iter().cloned().chain([file(spec)]).collect()));
        assert_eq!(over(&null), over(&absent), "{section:?} in a second file");
        let path = section.join(".").replace("Gateways.", "Gateways[name:istio-ingressgateway].");
        if !path.contains("egressGateways[") {
            let flag = request::from_files(&[], &[format!("{path}=null")]).unwrap();
            assert_eq!(resolve(&flag), resolve(&files(vec![])), "--set {path}=null");
        }
    }
}

/// A gateway of a list, enabled.
fn gateway(name: &str, namespace: &str) -> Value {
    json!({"name": name, "namespace": namespace, "enabled": true})
}

#[test]
fn gateways_of_one_name_and_two_namespaces_are_two() {
    let spec = |namespace: &str| json!({"components": {"ingressGateways": [gateway("gw", namespace)]}}).to_string();
    let both = json!({"components": {"ingressGateways": [gateway("gw", "a"), gateway("gw", "b")]}}).to_string();
    for request in [request(&[&both], &[]), request(&[&spec("a"), &spec("b")], &[])] {
        let built = built(&request);
        let found = built.iter().filter(|o| o.kind() == "Deployment" && o.name() == "gw").map(Object::namespace);
        assert_eq!(found.collect::<std::collections::BTreeSet<_>>(), ["a", "b"].into());
    }
}

#[test]
fn a_gateway_does_not_vanish_in_another_of_its_name_and_namespace() {
    let package = Package::embedded().unwrap();
    for lists in [
        json!({"ingressGateways": [gateway("gw", "a"), gateway("gw", "a")]}),
        json!({"ingressGateways": [gateway("gw", ""), gateway("gw", "istio-system")]}),
        json!({"ingressGateways": [gateway("gw", "a")], "egressGateways": [gateway("gw", "a")]}),
    ] {
        let request = request::from_resource(&json!({"spec": {"components": lists}}));
        for strictness in [Strictness::Full, Strictness::Forced, Strictness::TakenOver] {
            let refused = render::build(&request, &ClusterInfo::default(), &package, strictness);
            let message = refused.err().unwrap().to_string();
            assert!(message.contains("give them different names or namespaces"), "{message}");
            assert_eq!(message.matches("spec.components.").count(), 2, "{message}");
        }
    }
}

#[test]
fn metrics_in_an_old_form_do_not_choose_the_version_of_autoscalers() {
    let metrics = "hpaSpec: {metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 61}}]}";
    let objects = built(&request(&[&format!("{{components: {{pilot: {{k8s: {{{metrics}}}}}}}}}")], &[]));
    let autoscaler = object(&objects, "HorizontalPodAutoscaler", "istiod");
    assert_eq!(autoscaler["apiVersion"], "autoscaling/v2");
    let target = json!({"type": "Utilization", "averageUtilization": 61});
    assert_eq!(autoscaler["spec"]["metrics"][0]["resource"], json!({"name": "cpu", "target": target}));
}

#[test]
fn a_tag_that_is_a_number_has_no_exponent() {
    let image = |request: &Request| {
        let istiod = object(&built(request), "Deployment", "istiod");
        istiod["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    assert_eq!(image(&request(&["{tag: 1643215493}"], &[])), "docker.io/istio/pilot:1643215493");
    for tag in [json!(1_643_215_493), json!(20_230_101_123_456_u64)] {
        let request = request::from_resource(&json!({"spec": {"tag": tag}}));
        assert_eq!(image(&request), format!("docker.io/istio/pilot:{tag}"));
    }
}

#[test]
fn a_number_that_is_no_longer_as_it_was_written_is_no_tag() {
    let package = Package::embedded().unwrap();
    let refused = |request: &Request, strictness: Strictness| {
        render::resolve(request, &package, strictness).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let found = refused(&request(&["{tag: 1.10}"], &[]), Strictness::Full);
    assert!(found.contains("must be a string, not the number 1.1; quote it: tag: \"1.10\""), "{found}");
    let found = refused(&request::from_resource(&json!({"spec": {"tag": 1.1}})), Strictness::TakenOver);
    assert!(
        found.contains("must be a string, not the number 1.1; quote it: tag: \"1.1\", or as it was meant"),
        "{found}"
    );
}

/// What the built-in package comes to here, and with upstream's own behaviour.
fn both(specs: &[&str], sets: &[&str]) -> [Result<Value, String>; 2] {
    [false, true].map(|is_upstream| {
        let package = Package::embedded().unwrap().as_upstream(is_upstream);
        let file = |(i, spec): (usize, &&str)| (format!("{i}.yaml"), format!("kind: IstioOperator\nspec: {spec}\n"));
        let files: Vec<_> = specs.iter().enumerate().map(file).collect();
        let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
        let request = request::from_files_for(&files, &sets, package.switches()).map_err(|e| e.to_string())?;
        let manifests = render::build(&request, &ClusterInfo::default(), &package, Strictness::Full);
        let manifests = manifests.map_err(|e| e.to_string())?;
        let objects: Vec<Object> = manifests.parts.into_iter().flat_map(|p| p.objects).collect();
        let istiod = object(&objects, "Deployment", "istiod");
        let gateways = objects.iter().filter(|o| o.kind() == "Deployment" && o.name() != "istiod");
        let gateways: Vec<_> = gateways.map(|o| format!("{}/{}", o.namespace(), o.name())).collect();
        Ok(json!({"istiod": istiod, "gateways": gateways, "warnings": manifests.warnings, "profile": manifests.profile, "spec": manifests.spec}))
    })
}

/// The same, looked at.
fn looked(specs: &[&str], sets: &[&str], pointer: &str) -> [Value; 2] {
    both(specs, sets).map(|found| match found {
        Ok(found) => found.pointer(pointer).cloned().unwrap_or_default(),
        Err(error) => error.into(),
    })
}

#[test]
fn a_null_undoes_a_single_value_of_the_profile() {
    let spec = "{profile: demo, meshConfig: {accessLogFile: null}}";
    assert_eq!(looked(&[spec], &[], "/spec/meshConfig/accessLogFile"), [json!(null), json!("/dev/stdout")]);
}

#[test]
fn upstreams_own_behaviour_may_be_had_where_it_loses_something() {
    let overlay = |patches: &str| format!("{{components: {{pilot: {{k8s: {{overlays: [{patches}]}}}}}}}}");
    let first = "{kind: Deployment, name: istiod, patches: [{path: spec.minReadySeconds, value: 1}]}";
    let second = "{kind: Deployment, name: istiod, patches: [{path: 'spec.list[0]', value: 1}]}";
    let spec = overlay(&format!("{first}, {second}"));
    assert_eq!(looked(&[&spec], &[], "/istiod/spec/minReadySeconds"), [json!(1), json!(null)]);
    assert_eq!(looked(&[&spec], &[], "/istiod/spec/list"), [json!([1]), json!({"[0]": 1})]);
    let gateways = "{components: {ingressGateways: [{name: x, enabled: true, namespace: a}, {name: x, namespace: b}]}}";
    let own = "istio-system/istio-ingressgateway";
    assert_eq!(looked(&[gateways], &[], "/gateways"), [json!(["a/x", own]), json!(["b/x", own])]);
    assert_eq!(looked(&[], &["spec.profile=demo"], "/profile"), [json!("demo"), json!("default")]);
    let number = "{values: {pilot: {env: {A: 1000000, B: null}}}}";
    let written = |found: Value| {
        let env = found.as_array().unwrap().iter().filter(|v| ["A", "B"].contains(&v["name"].as_str().unwrap()));
        env.map(|v| v["value"].clone()).collect::<Value>()
    };
    let env = looked(&[number], &[], "/istiod/spec/template/spec/containers/0/env").map(written);
    assert_eq!(env, [json!(["1000000"]), json!(["1e+06", "<nil>"])]);
    let [here, upstream] = looked(&[], &["meshConfig.accessLogFile=a=b"], "/profile");
    assert_eq!(here, "default");
    assert!(upstream.as_str().unwrap().contains("incorrect format"), "{upstream}");
}

#[test]
fn upstreams_own_behaviour_prints_what_no_server_takes_with_a_warning() {
    let spec = "{components: {pilot: {k8s: {readinessProbe: {exec: {command: [a]}}, strategy: {type: Recreate}}}}}";
    let [here, upstream] = looked(&[spec], &[], "/istiod/spec/template/spec/containers/0/readinessProbe");
    assert_eq!((here.get("httpGet"), upstream.get("httpGet").is_some()), (None, true));
    let [_, warnings] = looked(&[spec], &[], "/warnings");
    let warned = |text: &str| warnings.as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains(text));
    assert!(warned("readinessProbe: must have one of"), "{warnings}");
}
