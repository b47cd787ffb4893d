//! What works here with packages of 1.24 and later though their own command line does something else; with
//! `--upstream-behavior` it is as there.

use super::{Package, Request, Strictness, Value, json, render, request};
use istio_operator::render::ClusterInfo;
use istio_operator::spec::resolve::Resolved;
use std::fs;

/// A profile as such packages have it.
const PROFILE: &str = "
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  hub: docker.io/istio
  tag: 1.30.3
  components:
    base: {enabled: true}
    pilot: {enabled: true}
    ingressGateways: [{name: istio-ingressgateway, enabled: true}]
  values:
    defaultRevision: ''
    global: {istioNamespace: istio-system, configValidation: true}
    gateways: {istio-ingressgateway: {}, istio-egressgateway: {}}
";

/// The built-in charts in a package of the form of 1.30.
fn package(is_upstream: bool) -> (tempfile::TempDir, Package) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("package");
    Package::export(&path).unwrap();
    for old in ["charts/base/crds", "charts/istiod-remote"] {
        fs::remove_dir_all(path.join(old)).unwrap();
    }
    fs::write(path.join("profiles/default.yaml"), PROFILE).unwrap();
    let package = Package::open(&path).unwrap().as_upstream(is_upstream);
    assert!(package.switches().is_since_124());
    (folder, package)
}

/// What a spec comes to here, and with upstream's own behaviour.
fn both(spec: &str, sets: &[&str], look: impl Fn(&Resolved) -> Value) -> [Value; 2] {
    [false, true].map(|is_upstream| {
        let (_folder, package) = package(is_upstream);
        let file = (
            "f.yaml".to_owned(),
            format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {spec}\n"),
        );
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        match request::from_files_for(&[file], &sets, package.switches()) {
            Ok(request) => look(&resolved(&request, &package)),
            Err(error) => error.to_string().into(),
        }
    })
}

fn resolved(request: &Request, package: &Package) -> Resolved {
    render::resolve(request, package, Strictness::Forced).unwrap_or_else(|e| panic!("{e}"))
}

fn at(pointer: &'static str) -> impl Fn(&Resolved) -> Value {
    move |resolved| resolved.spec().pointer(pointer).cloned().unwrap_or_default()
}

/// The components that are installed, gateways with their name.
fn installed(resolved: &Resolved) -> Value {
    let named = resolved.components().iter().map(|enabled| {
        let is_gateway = enabled.component.is_gateways();
        if is_gateway { enabled.name.clone() } else { enabled.component.to_string() }
    });
    named.collect::<Vec<_>>().join(" ").into()
}

#[test]
fn gateways_merge_by_name_over_the_profile_in_every_release() {
    let spec = "{components: {ingressGateways: [{name: own}]}}";
    assert_eq!(both(spec, &[], installed), [json!("Base Pilot own istio-ingressgateway"), json!("Base Pilot own")]);
}

#[test]
fn an_emptied_section_is_an_absent_one_in_every_release() {
    for (spec, pointer, expected) in [
        ("{values: }", "/values/global/configValidation", [json!(true), json!(null)]),
        ("{values: {global: }}", "/values/global/configValidation", [json!(true), json!(null)]),
        ("{components: {pilot: {enabled: }}}", "/components/pilot/enabled", [json!(true), json!(null)]),
        ("{hub: }", "/values/global/hub", [json!("docker.io/istio"), json!("<nil>")]),
        ("{revision: }", "/values/revision", [json!(null), json!("<nil>")]),
    ] {
        assert_eq!(both(spec, &[], at(pointer)), expected, "{spec}");
    }
}

#[test]
fn values_beat_the_apis_fields_in_every_release() {
    let spec =
        "{meshConfig: {accessLogFile: spec}, values: {meshConfig: {accessLogFile: values}, global: {tag: v}}, tag: t}";
    assert_eq!(both(spec, &[], at("/values/meshConfig/accessLogFile")), [json!("values"), json!("spec")]);
    assert_eq!(both(spec, &[], at("/values/global/tag")), [json!("v"), json!("v")]);
    let spec = "{components: {cni: {enabled: false}}, values: {pilot: {cni: {enabled: true}}}}";
    assert_eq!(both(spec, &[], at("/values/pilot/cni/enabled")), [json!(true), json!(false)]);
}

#[test]
fn a_flag_needs_one_equals_sign_and_its_value_may_hold_more() {
    const METADATA: &str = "/meshConfig/defaultConfig/proxyMetadata";
    let line = "meshConfig.defaultConfig.proxyMetadata.X=a=b";
    assert_eq!(both("{}", &[line], at(METADATA)), [json!({"X": "a=b"}), json!({"X=a=b": ""})]);
    let [here, upstream] = both("{}", &["values.global.proxy.logLevel"], at("/values/global/proxy/logLevel"));
    assert!(here.as_str().unwrap().contains("must be path=value"), "{here}");
    assert_eq!(upstream, "");
}

#[test]
fn the_tag_of_a_component_is_a_text_in_every_release() {
    let spec = "{components: {pilot: {tag: '1.10'}}}";
    let tag = |resolved: &Resolved| resolved.components()[1].values.pointer("/pilot/tag").cloned().unwrap();
    assert_eq!(both(spec, &[], tag), [json!("1.10"), json!(1.1)]);
}

#[test]
fn an_autoscaler_of_several_pods_has_a_disruption_budget() {
    let spec = "{components: {pilot: {k8s: {hpaSpec: {minReplicas: 2}}}}}";
    let least = |resolved: &Resolved| {
        resolved.components()[1].values.pointer("/pilot/autoscaleMin").cloned().unwrap_or_default()
    };
    assert_eq!(both(spec, &[], least), [json!(2), json!(null)]);
}

#[test]
fn metrics_in_an_old_form_are_brought_into_the_new_one() {
    let spec = "{components: {pilot: {k8s: {hpaSpec: {metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 5}}]}}}}}";
    let target = |resolved: &Resolved| {
        let resource = resolved.components()[1].k8s.pointer("/hpaSpec/metrics/0/resource").cloned().unwrap();
        json!([resource.pointer("/target/averageUtilization"), resource.get("targetAverageUtilization")])
    };
    assert_eq!(both(spec, &[], target), [json!([5, null]), json!([null, 5])]);
}

#[test]
fn an_overlay_without_effect_is_told_in_every_release() {
    let overlays = json!([{"kind": "Deployment", "name": "none", "patches": [{"path": "a", "value": 1}]},
        {"kind": "Deployment", "name": "istiod", "patches": [{"path": "spec.template.spec.containers[name:none].image", "value": 1}]}]);
    let spec = json!({"components": {"pilot": {"k8s": {"overlays": overlays}}}});
    for is_upstream in [false, true] {
        let (_folder, package) = package(is_upstream);
        let request = request::from_resource(&json!({ "spec": spec }));
        let manifests = render::build(&request, &ClusterInfo::default(), &package, Strictness::Full).unwrap();
        for place in ["overlays[0]", "overlays[1]"] {
            assert!(manifests.warnings.iter().any(|w| w.contains(place)), "{is_upstream} {:#?}", manifests.warnings);
        }
    }
}
