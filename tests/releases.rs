//! Releases beside the built-in one: a small package of our own with the shape of 1.24 to 1.30 (`tests/packages`), and real ones
//! where the cache folder of this machine has them, as `istio-operator/releases/VERSION/manifests`.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "packages/small.rs"]
mod small;

use helm_template::yaml::{Duplicates, parse_documents};
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use istio_operator::spec::request;
use istio_operator::spec::resolve::Strictness;
use serde_json::{Value, json};
use small::{PACKAGE, PACKAGES, VERSION};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Those that all releases have.
const PROFILES: [&str; 5] = ["default", "demo", "minimal", "ambient", "empty"];

/// `manifest generate`, with a spec on stdin.
fn generate_from(args: &[&str], spec: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    command.args(["manifest", "generate", "-f", "-"]).args(args).env_remove("KUBECONFIG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let resource = format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n{spec}");
    child.stdin.take().unwrap().write_all(resource.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The same of the small package.
fn of_small(args: &[&str], spec: &str) -> Output {
    generate_from(&[&["-d", PACKAGE], args].concat(), spec)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn objects(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    let documents = parse_documents(str::from_utf8(&output.stdout).unwrap(), Duplicates::Refuse).unwrap();
    documents.into_iter().map(|document| document.value).filter(|value| !value.is_null()).collect()
}

fn names(objects: &[Value]) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    objects.iter().map(|object| format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))).collect()
}

#[track_caller]
fn object<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} in {:?}", names(objects)))
}

fn container(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]["containers"][0]
}

fn variable<'o>(workload: &'o Value, name: &str) -> Option<&'o str> {
    let all = container(workload)["env"].as_array().unwrap();
    all.iter().find(|variable| variable["name"] == name)?["value"].as_str()
}

/// The profile `demo` has both gateways, `ambient` the agents of nodes, and none has what 1.17 has beside them.
#[test]
fn each_profile_of_a_newer_release_gives_its_objects() {
    let of = |profile: &str| names(&objects(&of_small(&["--set", &format!("profile={profile}")], "")));
    let [default, demo, minimal, ambient, empty] = PROFILES.map(of);
    let only = |more: &BTreeSet<String>, less: &BTreeSet<String>| {
        more.difference(less).map(|name| name.split_once(' ').unwrap().1.to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(empty, BTreeSet::new());
    assert_eq!(only(&minimal, &default), BTreeSet::new());
    let gateway = |name: &str| ["", "-sds", "-service-account"].map(|end| format!("{name}{end}"));
    assert_eq!(only(&default, &minimal), gateway("istio-ingressgateway").into());
    let egress = gateway("istio-egressgateway").into();
    assert!(only(&demo, &default).is_superset(&egress), "{demo:?}");
    let agents = ["istio-cni", "istio-cni-config", "istio-cni-node", "ztunnel"].map(str::to_owned);
    assert_eq!(only(&ambient, &minimal), agents.into());
    assert!(default.contains("CustomResourceDefinition trafficextensions.extensions.istio.io"));
    assert!(default.contains("ConfigMap values"));
    for gone in ["PodDisruptionBudget istiod", "EnvoyFilter stats-filter-1.17", "ClusterRole istiod-istio-system"] {
        assert!(!default.contains(gone), "{gone}");
    }
}

#[test]
fn values_are_laid_over_the_profiles_of_charts_and_these_over_defaults() {
    let memory = |args: &[&str], spec: &str| {
        let objects = objects(&of_small(&[&["--component", "Pilot"], args].concat(), spec));
        let istiod = object(&objects, "Deployment", "istiod");
        let autoscaler = names(&objects).contains("HorizontalPodAutoscaler istiod");
        (container(istiod)["resources"]["requests"]["memory"].as_str().map(str::to_owned), autoscaler)
    };
    let found = |text: &str, autoscaler| (Some(text.to_owned()), autoscaler);
    assert_eq!(memory(&[], ""), found("2048Mi", true));
    assert_eq!(memory(&["--set", "profile=demo"], ""), found("100Mi", false));
    let own = "spec: {values: {pilot: {autoscaleEnabled: true, resources: {requests: {memory: 1Gi}}}}}";
    assert_eq!(memory(&["--set", "profile=demo"], own), found("1Gi", true));
    // A null reaches the charts, and takes what the profile has.
    let none = "spec: {values: {pilot: {resources: null}}}";
    assert_eq!(memory(&["--set", "profile=demo"], none), (None, false));
}

#[test]
fn a_compatibility_version_and_a_platform_are_profiles_too() {
    let objects = |set: &str| objects(&of_small(&["--set", "profile=ambient", "--set", set], ""));
    let variables = |set: &str| {
        let objects = objects(set);
        let istiod = object(&objects, "Deployment", "istiod");
        ["AS_IN_1_28", "AS_IN_1_29", "PILOT_ENABLE_AMBIENT"].map(|name| variable(istiod, name).is_some())
    };
    assert_eq!(variables("tag=x"), [false, false, true]);
    assert_eq!(variables("compatibilityVersion=1.29"), [false, true, true]);
    assert_eq!(variables("compatibilityVersion=1.28"), [true, true, true]);
    let agent = |set: &str| {
        let objects = objects(set);
        let node = object(&objects, "DaemonSet", "istio-cni-node");
        node["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"].clone()
    };
    assert_eq!(agent("tag=x"), "/opt/cni/bin");
    assert_eq!(agent("values.global.platform=gke"), "/home/kubernetes/bin");
    for (set, what) in [
        ("compatibilityVersion=1.12", "there is no compatibility version 1.12"),
        ("values.global.platform=moon", "there is no platform moon"),
        ("values.profile=none", "there is no profile none"),
    ] {
        let output = of_small(&["--set", set], "");
        assert!(!output.status.success() && stderr(&output).contains(what), "{set}: {}", stderr(&output));
    }
}

#[test]
fn ztunnel_reads_its_own_values_and_global_ones_at_the_top() {
    let spec = "spec: {profile: ambient, hub: example.com/istio, components: {ztunnel: {tag: '1.10'}},
       values: {global: {istioNamespace: istio-system, variant: distroless}, ztunnel: {env: {A: b}, resourceName: z}}}";
    let objects = objects(&of_small(&["--component", "Ztunnel"], spec));
    let ztunnel = object(&objects, "DaemonSet", "z");
    assert_eq!(container(ztunnel)["image"], "example.com/istio/ztunnel:1.10-distroless");
    assert_eq!(variable(ztunnel, "A"), Some("b"));
    assert_eq!(variable(ztunnel, "CA_ADDRESS"), Some("istiod.istio-system.svc:15012"));
}

/// Upstream's own merge replaces the list, and loses the gateway of the profile.
#[test]
fn lists_of_gateways_merge_by_name_unless_upstreams_way_is_wanted() {
    let spec = "spec: {components: {ingressGateways: [{name: mine, enabled: true, label: {istio: mine}}]}}";
    let services = |args: &[&str]| {
        let all = names(&objects(&of_small(args, spec)));
        all.into_iter().filter_map(|name| name.strip_prefix("Service ").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(services(&[]), ["istio-ingressgateway", "istiod", "mine"]);
    assert_eq!(services(&["--upstream-behavior"]), ["istiod", "mine"]);
}

#[test]
fn a_budget_is_for_several_pods_however_they_are_asked_for() {
    let budgets = |args: &[&str], spec: &str| {
        let all = names(&objects(&of_small(args, spec)));
        all.iter().filter(|name| name.starts_with("PodDisruptionBudget")).count()
    };
    let values = "spec: {values: {pilot: {autoscaleMin: 2}}}";
    let settings = "spec: {components: {pilot: {k8s: {hpaSpec: {minReplicas: 2}}}}}";
    assert_eq!((budgets(&[], ""), budgets(&[], values), budgets(&[], settings)), (0, 1, 1));
    let upstream = ["--upstream-behavior"];
    assert_eq!((budgets(&upstream, values), budgets(&upstream, settings)), (1, 0));
}

#[test]
fn the_definitions_are_those_that_nobody_excludes() {
    let definitions = |set: &[&str]| {
        let sets: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
        let output = of_small(&sets, "");
        let all = objects(&output);
        let crds = all.iter().filter(|object| object["kind"] == "CustomResourceDefinition");
        assert!(crds.clone().all(|crd| crd["metadata"]["labels"]["app.kubernetes.io/part-of"] == "istio"));
        (crds.count(), stderr(&output))
    };
    assert_eq!(definitions(&[]), (6, String::new()));
    assert_eq!(definitions(&["values.base.excludedCRDs[0]=gateways.networking.istio.io"]).0, 5);
    let (none, warning) = definitions(&["values.base.enableCRDTemplates=false"]);
    assert!(none == 0 && warning.contains("Warning: ") && warning.contains("apply files/crds.yaml"), "{warning}");
}

#[test]
fn the_notes_of_charts_warn_and_refuse() {
    let output = of_small(&["--set", "values.global.proxy.tracer=zipkin"], "");
    assert!(!objects(&output).is_empty());
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("Warning: spec.components.pilot: global.proxy.tracer is deprecated"), "{said}");
    let output = of_small(&["--set", "values.global.pilotCertProvider=kubernetes"], "");
    assert!(
        !output.status.success() && stderr(&output).contains("has no certificates any more"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_value_that_a_release_does_not_know_names_the_release() {
    for (set, words) in [
        ("values.cni.taint.enabled=true", &["unknown field \"taint\"", "1.18"][..]),
        ("values.global.oneNamespace=true", &["unknown field \"oneNamespace\"", "1.22"]),
        ("values.telemetry.v2.prometheus.wasmEnabled=true", &["unknown field", "1.21", "Telemetry API"]),
        ("values.nothing=1", &["unknown field \"nothing\""]),
        ("profile=stable", &["unknown profile \"stable\"", "ambient, default, demo, empty, minimal", "1.30.99"]),
    ] {
        let said = stderr(&of_small(&["--set", set], ""));
        assert!(words.iter().all(|word| said.contains(word)), "{set}: {said}");
    }
    // What only newer releases have.
    let old = generate_from(&["--set", "values.gatewayClasses.a.service=1"], "");
    assert!(!old.status.success() && stderr(&old).contains("unknown field \"gatewayClasses\""), "{}", stderr(&old));
    assert!(of_small(&["--set", "values.gatewayClasses.a.service=1"], "").status.success());
}

/// What a control plane was installed with, as users wrote it and as it came out.
#[test]
fn what_came_of_the_values_is_in_a_config_map() {
    let objects = objects(&of_small(&["--set", "values.pilot.traceSampling=7", "-r", "canary"], ""));
    let values = object(&objects, "ConfigMap", "values-canary");
    let read = |key: &str| serde_json::from_str::<Value>(values["data"][key].as_str().unwrap()).unwrap();
    let (original, merged) = (read("original-values"), read("merged-values"));
    assert_eq!(original["pilot"]["traceSampling"], 7);
    assert_eq!((&original["autoscaleMax"], &original["revision"]), (&Value::Null, &json!("canary")));
    assert_eq!((&merged["traceSampling"], &merged["autoscaleMax"]), (&json!(7), &json!(5)));
    assert!(names(&objects).contains("Deployment istiod-canary"));
}

#[test]
fn a_package_is_a_folder_a_release_an_archive_or_a_version() {
    let dir = tempfile::tempdir().unwrap();
    let release = dir.path().join("istio-1.30.99");
    small::write_release(&release);
    let archive = dir.path().join("istio.tar.gz");
    fs::write(&archive, small::archive(1)).unwrap();
    let expected = of_small(&[], "");
    assert_eq!(objects(&expected).len(), 28);
    let (cache, packages) = (dir.path().join("cache"), dir.path().join("none"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let cache = text(&cache);
    for (location, packages) in [
        (text(&release), &text(&packages)),
        (text(&release.join("manifests")), &text(&packages)),
        (text(&archive), &text(&packages)),
        (VERSION.to_owned(), &PACKAGES.to_owned()),
    ] {
        let output = generate_from(&["-q", "-d", &location, "--package-dir", packages, "--cache-dir", &cache], "");
        assert_eq!(stderr(&output), "", "{location}");
        assert!(output.stdout == expected.stdout, "{location}");
    }
    let annotated = "metadata: {annotations: {install.istio.io/release: 1.30.99}}";
    assert!(generate_from(&["--package-dir", PACKAGES], annotated).stdout == expected.stdout);
    let located = format!("spec: {{installPackagePath: {}}}", text(&archive));
    assert!(generate_from(&["-q", "--cache-dir", &cache], &located).stdout == expected.stdout);
    let template = format!("{}/istio-{{version}}.99", text(dir.path()));
    let other = stderr(&generate_from(&["-q", "-d", "1.30", "--release-source", &template], ""));
    assert!(other.contains("it is of release 1.30.99, not 1.30"), "{other}");
}

/// The releases in the cache folder of this machine, by their folders.
fn real_releases() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let folder = cache.unwrap_or_default().join("istio-operator/releases");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.retain(|release| release.join("manifests/profiles").is_dir());
    found.sort();
    found
}

#[test]
fn real_releases_of_this_machine_render_in_each_profile() {
    let releases = real_releases();
    if releases.is_empty() {
        eprintln!("no real releases: ~/.cache/istio-operator/releases has no VERSION/manifests; nothing is rendered");
    }
    let mut wrong = vec![];
    for release in &releases {
        let version = release.file_name().unwrap().to_str().unwrap();
        let package = Package::open(release).unwrap();
        assert_eq!(package.release(), version);
        for profile in PROFILES {
            let request = request::from_resource(&json!({"spec": {"profile": profile}}));
            let built = render::build(&request, &ClusterInfo::default(), &package, Strictness::Full);
            match built.map(|manifests| manifests.objects().count()) {
                Ok(count) if (count == 0) == (profile == "empty") => {}
                Ok(count) => wrong.push(format!("{version} {profile}: {count} objects")),
                Err(error) => wrong.push(format!("{version} {profile}: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
