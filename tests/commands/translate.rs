//! `manifest translate`: what Helm makes of the values is what `manifest generate` prints, but for what is told.

use crate::{binaries, code, folder, package, resource, run, stderr, stdout};
use istio_operator::diff::{self, ObjectChange, Selection};
use istio_operator::object::{Object, read_all};
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use istio_operator::spec::request;
use istio_operator::spec::resolve::Strictness;
use istio_operator::translation::{HelmRelease, translate};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a library call says of a spec and a package.
fn translated(spec: &str, package: &Package) -> Vec<HelmRelease> {
    let request = request::from_files_for(&[("a.yaml".into(), resource(spec))], &[], package.switches()).unwrap();
    let resolved = render::resolve(&request, package, Strictness::Full).unwrap();
    translate(&resolved, package, &ClusterInfo::default()).unwrap()
}

/// `change KEY path` for each field that differs.
fn told<'c>(changes: impl IntoIterator<Item = &'c ObjectChange>) -> BTreeSet<String> {
    let lines = changes.into_iter().flat_map(|change| {
        let begin = format!("{} {}", change.change.name(), change.key);
        let fields: Vec<_> = change.fields.iter().map(|field| format!("{begin} {}", field.path)).collect();
        if fields.is_empty() { vec![begin] } else { fields }
    });
    lines.collect()
}

/// What the real Helm makes of a release's values file.
fn by_helm(release: &HelmRelease, charts: &Path, values: &Path, kubernetes: &str) -> Vec<Object> {
    let binary = std::env::var_os("HELM_BIN").map_or_else(|| binaries::find("helm").unwrap(), PathBuf::from);
    let mut helm = Command::new(binary);
    helm.env("HOME", std::env::temp_dir()).env("TZ", "UTC").env_remove("KUBECONFIG");
    helm.args(["template", &release.name]).arg(charts.join(release.chart)).arg("--values").arg(values);
    helm.args(["--namespace", &release.namespace, "--kube-version", kubernetes]);
    helm.arg(if release.skips_crds { "--skip-crds" } else { "--include-crds" });
    let output = helm.output().unwrap();
    assert!(output.status.success(), "{}: {}", release.name, stderr(&output));
    let mut objects = read_all(stdout(&output)).unwrap();
    for object in &mut objects {
        object.settle(&release.namespace);
    }
    objects
}

/// Shows for a spec and a package that everything that Helm does otherwise is told, and nothing else.
fn check(spec: &str, package: &Path) -> BTreeSet<String> {
    let folder = folder(&[("a.yaml", &resource(spec))]);
    let flags = format!("-f a.yaml -d {}", package.display());
    let output = run(folder.path(), &format!("manifest translate {flags} -o helm"));
    assert_eq!((code(&output), stdout(&output)), (0, ""), "{}", stderr(&output));
    let opened = Package::open(package).unwrap();
    let kubernetes = opened.switches().offline_kubernetes().0;
    let releases = translated(spec, &opened);
    let helm = releases.iter().flat_map(|release| {
        let values = folder.path().join("helm").join(format!("{}-values.yaml", release.name));
        by_helm(release, &package.join("charts"), &values, kubernetes.trim_start_matches('v'))
    });
    let helm: Vec<Object> = helm.collect();
    let generated = run(folder.path(), &format!("manifest generate {flags}"));
    assert_eq!(code(&generated), 0, "{}", stderr(&generated));
    let generated = read_all(stdout(&generated)).unwrap();
    let found = told(&diff::compare(&helm, &generated, &Selection::default()));
    assert_eq!(found, told(releases.iter().flat_map(|release| &release.differences)), "{}", package.display());
    // What is in the way of Helm is only the name of the release.
    found.into_iter().filter(|line| !line.contains(".labels.")).collect()
}

const PLAIN: &str = "{profile: default, components: {cni: {enabled: true}, egressGateways: [{name: out, enabled: true}]}, meshConfig: {accessLogFile: /dev/stdout},
    values: {pilot: {resources: {requests: {cpu: 600m}}, env: {A: b}}}}";

/// With settings and overlays that no chart knows.
const SET: &str =
    "{profile: default, components: {pilot: {k8s: {nodeSelector: {disk: ssd}, overlays: [{kind: Deployment,
    name: istiod, patches: [{path: spec.template.spec.priorityClassName, value: high}]}]}}}}";

const UNKNOWN_TO_CHARTS: [&str; 2] = [
    "change Deployment istio-system/istiod .spec.template.spec.nodeSelector",
    "change Deployment istio-system/istiod .spec.template.spec.priorityClassName",
];

#[test]
fn helm_makes_of_the_values_what_is_generated_but_for_what_is_told() {
    let folder = folder(&[]);
    assert_eq!(code(&run(folder.path(), "package built-in")), 0);
    let mut packages = vec![folder.path().join("built-in")];
    packages.extend(["1.23.6", "1.26.8", "1.30.3"].into_iter().filter_map(package));
    for package in packages {
        assert_eq!(check(PLAIN, &package), BTreeSet::new(), "{}", package.display());
        let expected = UNKNOWN_TO_CHARTS.map(str::to_owned).into();
        let mut found = check(SET, &package);
        // The chart has no node selector, or an empty one.
        found = found.into_iter().map(|line| line.replace(".nodeSelector.disk", ".nodeSelector")).collect();
        assert_eq!(found, expected, "{}", package.display());
    }
}

#[test]
fn a_translation_is_yaml_with_the_commands_and_what_helm_cannot_do() {
    let folder = folder(&[("a.yaml", &resource(SET))]);
    let output = run(folder.path(), "manifest translate -f a.yaml");
    assert_eq!((code(&output), stderr(&output)), (0, ""));
    let text = stdout(&output);
    let values = helm_template::yaml::parse_documents(text, helm_template::yaml::Duplicates::Refuse).unwrap();
    assert_eq!(values.iter().filter(|document| document.value.get("global").is_some()).count(), 3, "{text}");
    for line in [
        "# helm upgrade --install istio-base \"$CHARTS/base\" --namespace istio-system",
        "# istiod-values.yaml: component Pilot, chart istio-control/istio-discovery",
        "# not with Helm: Deployment istio-system/istiod: .spec.template.spec.nodeSelector: nothing with Helm",
        "# not with Helm: Deployment istio-system/istiod: .spec.template.spec.priorityClassName: nothing with Helm, \"high\"",
        "# not with Helm: labels that name the release (release): istiod with Helm, istio here",
    ] {
        assert!(text.lines().any(|other| other.starts_with(line)), "{line} is missing in\n{text}");
    }
}

#[test]
fn files_of_a_translation_have_a_script_and_say_what_helm_cannot_do() {
    let two = "{components: {ingressGateways: [{name: istio-ingressgateway, enabled: true}, \
               {name: istio-ingressgateway, namespace: edge, enabled: true, k8s: {nodeSelector: {a: b}}}]}}";
    let folder = folder(&[("a.yaml", &resource(two))]);
    let output = run(folder.path(), "manifest translate -f a.yaml -o out/helm");
    assert_eq!((code(&output), stdout(&output)), (0, ""), "{}", stderr(&output));
    let read = |name: &str| fs::read_to_string(folder.path().join("out/helm").join(name)).unwrap();
    let script = read("install.sh");
    for name in ["istio-base", "istiod", "istio-system-istio-ingressgateway", "edge-istio-ingressgateway"] {
        let file = format!("{name}-values.yaml");
        assert!(read(&file).contains("global:"), "{file}");
        assert!(script.contains(&format!("--values {file} --wait\n")), "{script}");
    }
    assert!(Command::new("sh").arg("-n").arg(folder.path().join("out/helm/install.sh")).status().unwrap().success());
    let readme = read("README.md");
    assert!(readme.contains("- Deployment edge/istio-ingressgateway: .spec.template.spec.nodeSelector"), "{readme}");
    assert!(readme.contains("apply that folder yourself"), "{readme}");
    let refused = run(folder.path(), "manifest translate --set values.pilot.nonsense=1 -o nothing");
    assert_eq!((code(&refused), folder.path().join("nothing").exists()), (1, false), "{}", stderr(&refused));
}
