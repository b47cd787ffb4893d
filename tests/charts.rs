//! The charts as they lie in the repository: whole, each text once, and worth the same to Helm as to the operator.
//!
//! What charts have in common stands in one of them and is a link in the others; Helm follows links, and says so in its log. The
//! real Helm is that of `HELM_BIN`, or the one that `tests/controlplane` builds.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "controlplane/binaries.rs"]
mod binaries;

use helm_template::helm::{Chart, KubeVersion};
use istio_operator::api::component::{self, Component};
use istio_operator::object::{self, Object, ObjectKey};
use istio_operator::release::{Package, RELEASE};
use istio_operator::render::{self, chart};
use istio_operator::spec::request;
use istio_operator::spec::resolve::{Enabled, Strictness};
use istio_operator::spec::switches::Switches;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The Kubernetes version that charts see on both sides.
const KUBE_VERSION: &str = "1.28.0";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files and links below a folder; links are not followed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], vec![]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

/// The folders of all charts below `charts/`, those of subcharts left out.
fn charts() -> Vec<String> {
    let all = below(&root().join("charts"));
    let folders = all.iter().filter(|file| file.ends_with("Chart.yaml")).filter_map(|file| file.parent());
    let folders: BTreeSet<&Path> = folders.collect();
    let inner = |folder: &Path| folder.ancestors().skip(1).any(|above| folders.contains(above));
    let names = folders.iter().filter(|folder| !inner(folder));
    names.map(|folder| folder.strip_prefix(root().join("charts")).unwrap().to_str().unwrap().to_owned()).collect()
}

fn folder(chart: &str) -> PathBuf {
    root().join("charts").join(chart)
}

fn helm() -> Command {
    let binary = std::env::var_os("HELM_BIN").map_or_else(|| binaries::find("helm").unwrap(), PathBuf::from);
    let home = std::env::temp_dir();
    let mut command = Command::new(binary);
    command.env("HOME", home).env("TZ", "UTC").env_remove("KUBECONFIG");
    command
}

fn operator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    command.env("TZ", "UTC").env_remove("KUBECONFIG");
    command
}

/// What both print for `template istio FOLDER …`.
fn both(folder: &Path, args: &[&str]) -> [Output; 2] {
    let mut commands = [helm(), operator()];
    commands[1].arg("chart");
    commands.map(|mut command| {
        let usual = ["--namespace", "istio-system", "--kube-version", KUBE_VERSION];
        command.args(["template", "istio"]).arg(folder).args(usual).args(args).output().unwrap()
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Sets of values beside the defaults, by chart.
const VALUES: &[(&str, &[&str])] = &[
    ("base", &["base.enableCRDTemplates=true,global.remotePilotAddress=192.0.2.7"]),
    ("istio-control/istio-discovery", &["revision=canary,revisionTags={prod},telemetry.v2.stackdriver.enabled=true"]),
    ("istio-cni", &["cni.taint.enabled=true,cni.resourceQuotas.enabled=true"]),
    (
        "istiod-remote",
        &[
            "global.configCluster=true,global.remotePilotAddress=192.0.2.7,revision=canary",
            "telemetry.enabled=true,pilot.configMap=true,global.omitSidecarInjectorConfigMap=false,global.meshID=m",
            "global.remotePilotAddress=istiod.example.com,telemetry=null,istiodRemote.injectionPath=/inject/cluster/c",
        ],
    ),
    ("gateways/istio-ingress", &["gateways.istio-ingressgateway.injectionTemplate=gateway"]),
    ("gateways/istio-egress", &["gateways.istio-egressgateway.name=out,global.proxy.enableCoreDump=true"]),
    ("default", &["revision=canary"]),
    ("gateway", &["kind=DaemonSet,networkGateway=n"]),
    ("addons/grafana", &["prometheusURL=http://prometheus.metrics:9090"]),
    ("addons/jaeger", &["maxTraces=100"]),
    ("addons/kiali", &["istioNamespace=mesh,tag=v2.11"]),
    ("addons/prometheus", &["scrapeInterval=5s,resources=null"]),
];

#[test]
fn every_chart_as_committed_renders_with_helm_to_the_same_bytes() {
    let named: BTreeSet<&str> = VALUES.iter().map(|(chart, _)| *chart).collect();
    assert_eq!(named, charts().iter().map(String::as_str).collect(), "a chart is in no test");
    for (chart, values) in VALUES {
        let sets = values.iter().map(|set| vec!["--include-crds", "--set", set]);
        for args in sets.chain([vec!["--include-crds"]]) {
            let [theirs, ours] = both(&folder(chart), &args);
            assert!(theirs.status.success(), "{chart} {args:?}: {}", text(&theirs.stderr));
            assert!(theirs.stdout.len() > 1000, "{chart} {args:?} renders to next to nothing");
            assert_eq!(text(&ours.stderr), text(&theirs.stderr), "{chart} {args:?}");
            assert!(ours.stdout == theirs.stdout, "{chart} {args:?} renders to something else than with Helm");
            // Nothing but the links is remarked on.
            let other = text(&theirs.stderr).lines().find(|line| !line.contains("found symbolic link in path"));
            assert_eq!(other, None, "{chart} {args:?}");
        }
    }
}

/// The enabled components of a spec that uses every chart of the operator's.
fn components(package: &Package) -> Vec<Enabled> {
    let on = json!({"enabled": true});
    let gateways = |name: &str| json!([{"name": name, "enabled": true}]);
    let here = json!({"components": {"cni": on, "egressGateways": gateways("istio-egressgateway")}});
    let remote = json!({"profile": "remote", "values": {"global": {"remotePilotAddress": "192.0.2.7"}}});
    let holding = json!({"profile": "remote", "values": {"global": {"configCluster": true}}});
    let resolve = |spec: &Value| {
        let request = request::from_resource(&json!({ "spec": spec }));
        render::resolve(&request, package, Strictness::Full).unwrap().components().to_vec()
    };
    [here, remote, holding].iter().flat_map(resolve).collect()
}

/// Objects by key, in the namespace that the operator would give them.
fn by_key(objects: Vec<Object>, namespace: &str) -> BTreeMap<ObjectKey, Value> {
    let settled = objects.into_iter().map(|mut object| {
        object.settle(namespace);
        (object.key(), object.value().into_owned())
    });
    settled.collect()
}

#[test]
fn helm_makes_the_operators_objects_of_a_components_values() {
    let package = Package::embedded().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let version = KubeVersion::parse(KUBE_VERSION).unwrap();
    let capabilities =
        chart::capabilities(Some(&(version.version, version.major, version.minor)), &Switches::default());
    let enabled = components(&package);
    let used: BTreeSet<_> = enabled.iter().map(|enabled| enabled.component).collect();
    // The built-in release has no ztunnel.
    let all = component::ALL.into_iter().filter(|component| *component != Component::Ztunnel);
    assert_eq!(used, all.collect());
    for enabled in enabled {
        let name = enabled.component.info().chart;
        let values = directory.path().join("values.json");
        fs::write(&values, enabled.values.to_string()).unwrap();
        let mut command = helm();
        command.args(["template", "istio", "--include-crds", "--kube-version", KUBE_VERSION, "--namespace"]);
        command.arg(&enabled.namespace).arg(folder(name)).arg("--values").arg(&values);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let theirs = by_key(object::read_all(text(&output.stdout)).unwrap(), &enabled.namespace);
        let (ours, _) =
            chart::render(&enabled, &package.chart(enabled.component).unwrap(), &capabilities, package.switches())
                .unwrap();
        let ours = by_key(ours, &enabled.namespace);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{name}");
        let other = ours.iter().find(|(key, object)| theirs[*key] != **object);
        assert!(other.is_none(), "{name}: {} differs", other.unwrap().0);
    }
}

#[test]
fn a_remote_istiod_is_configured_as_one_that_runs_here() {
    let set = "global.omitSidecarInjectorConfigMap=false,global.externalIstiod=true,global.configCluster=true,\
               pilot.configMap=true,telemetry.enabled=true";
    let objects = |chart: &str| {
        let [theirs, _] = both(&folder(chart), &["--set", set]);
        by_key(object::read_all(text(&theirs.stdout)).unwrap(), "istio-system")
    };
    let (here, remote) = (objects("istio-control/istio-discovery"), objects("istiod-remote"));
    let is_process = |key: &ObjectKey| {
        ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"].contains(&key.kind.as_str())
    };
    for (key, object) in here.iter().filter(|(key, _)| !is_process(key)) {
        assert!(remote.get(key) == Some(object), "{key} differs in istiod-remote");
    }
    let is_injector = |key: &ObjectKey| key.kind == "ConfigMap" && key.name == "istio-sidecar-injector";
    let (_, injector) = here.iter().find(|(key, _)| is_injector(key)).unwrap();
    let config = helm_template::yaml::parse(injector["data"]["config"].as_str().unwrap()).unwrap();
    for name in ["sidecar", "gateway", "grpc-simple", "grpc-agent"] {
        assert!(config["templates"][name].as_str().unwrap().len() > 1000, "the template {name} is empty");
    }
    let crds =
        |kinds: &BTreeMap<ObjectKey, Value>| kinds.keys().filter(|k| k.kind == "CustomResourceDefinition").count();
    assert_eq!(crds(&remote), fs::read_dir(folder("base/crds")).unwrap().count());
}

#[test]
fn the_repository_itself_is_the_release_package_that_is_built_in() {
    let directory = tempfile::tempdir().unwrap();
    let generate = |args: &[&str]| {
        let output = operator().args(["manifest", "generate"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output.stdout
    };
    for set in ["profile=demo", "profile=remote", "components.cni.enabled=true"] {
        let from = ["--set", set, "--manifests", root().to_str().unwrap()];
        assert!(generate(&["--set", set]) == generate(&from), "{set}");
    }
    // What is exported has files in place of links, so that Helm has nothing to remark.
    let package = directory.path().join("package");
    assert!(operator().arg("package").arg(&package).status().unwrap().success());
    assert!(below(&package).iter().all(|file| !file.is_symlink()));
    for chart in charts() {
        let exported = package.join("charts").join(&chart);
        let [theirs, ours] = both(&exported, &[]);
        let [here, _] = both(&folder(&chart), &[]);
        assert_eq!([text(&theirs.stderr), text(&ours.stderr)], ["", ""], "{chart}");
        assert!(theirs.stdout == here.stdout && ours.stdout == here.stdout, "{chart}");
        assert!(exported.join("README.md").is_file() && exported.join("values.schema.json").is_file(), "{chart}");
    }
}

/// Files of two charts that may be alike, and why.
const ALIKE: &[(&str, &str, &str)] = &[(
    "base/templates/clusterrole.yaml",
    "istio-control/istio-discovery/templates/shared/clusterrole.yaml",
    "the rights of control planes before revisions are kept as they were; those of a revision may change",
)];

#[test]
fn no_file_stands_twice_and_no_run_of_lines_in_two_charts() {
    /// Shorter runs are lists that happen to be alike, such as what a webhook judges.
    const LONGEST_RUN: usize = 25;
    let folder = root().join("charts");
    let files: Vec<_> = below(&folder).into_iter().filter(|file| !file.is_symlink()).collect();
    let names: Vec<&str> = files.iter().map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
    assert!(names.len() > 100);
    let charts = charts();
    let chart = |name: &str| charts.iter().find(|chart| name.starts_with(&format!("{chart}/")));
    let (mut texts, mut runs, mut alike) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for (file, name) in files.iter().zip(&names) {
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for run in lines.windows(LONGEST_RUN) {
            let other = *runs.entry(run.join("\n")).or_insert(*name);
            if chart(other) != chart(name) {
                alike.insert((other, *name));
            }
        }
        let is_long = lines.len() > 5;
        let other: Option<&str> = texts.insert(text, *name).filter(|_| is_long);
        assert_eq!(other, None, "{name} stands there once more");
    }
    let expected = ALIKE.iter().map(|(one, other, _)| (*one, *other)).collect();
    assert_eq!(alike, expected, "these have {LONGEST_RUN} lines in common");
}

#[test]
fn every_link_of_a_chart_leads_to_another_place_in_the_repository() {
    let links: Vec<_> = below(&root().join("charts")).into_iter().filter(|file| file.is_symlink()).collect();
    assert!(!links.is_empty());
    for link in links {
        let target = fs::read_link(&link).unwrap();
        assert!(target.is_relative(), "{} is absolute", link.display());
        let target = link.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", link.display()));
        assert!(target.starts_with(root().canonicalize().unwrap()), "{} leads outside", link.display());
    }
    let own = "istiooperators.install.istio.io.yaml";
    assert_eq!(
        folder("base/crds").join(own).canonicalize().unwrap(),
        root().join("crds").join(own).canonicalize().unwrap()
    );
}

#[test]
fn every_chart_says_what_it_is_and_how_it_is_used() {
    for name in charts() {
        let folder = folder(&name);
        let chart = Chart::load(&folder).unwrap();
        let metadata: Value =
            helm_template::yaml::parse(&fs::read_to_string(folder.join("Chart.yaml")).unwrap()).unwrap();
        for field in ["description", "kubeVersion", "home"] {
            assert!(metadata[field].as_str().is_some_and(|text| text.len() > 5), "{name}: {field}");
        }
        for field in ["sources", "keywords"] {
            assert!(metadata[field].as_array().is_some_and(|list| !list.is_empty()), "{name}: {field}");
        }
        let fixed = json!(["v2", "application", RELEASE]);
        assert_eq!(json!(["apiVersion", "type", "version"].map(|f| &metadata[f])), fixed, "{name}");
        // An add-on is an application of its own.
        assert_eq!(metadata["appVersion"] != RELEASE, name.starts_with("addons/"), "{name}");
        assert!(chart.schema.is_some(), "{name} has no values.schema.json");
        let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(readme.starts_with(&format!("# {}\n", chart.metadata.name)), "{name}: README.md");
        assert!(readme.contains(&format!(" charts/{name} -n ")), "{name}: README.md does not show how to install it");
        assert!((10..40).contains(&readme.lines().count()), "{name}: README.md is to be short");
    }
}

/// The values that the table of a README is about; its head may name the section that they stand in.
fn values_named_in(readme: &str) -> Vec<String> {
    let (mut section, mut named) = (String::new(), vec![]);
    for line in readme.lines().filter(|line| line.starts_with('|')) {
        let quoted = line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
        let paths = quoted.map(|name| format!("{section}/{}", name.trim_end_matches(".*").replace('.', "/")));
        let paths: Vec<_> = paths.collect();
        if line.starts_with("| value") { section = paths.concat() } else { named.extend(paths) }
    }
    named
}

#[test]
fn every_value_that_a_readme_names_is_one_of_the_charts() {
    for name in charts() {
        let chart = Chart::load(&folder(&name)).unwrap();
        let values = [&chart].into_iter().chain(&chart.dependencies).map(|chart| Value::from(chart.values.clone()));
        let values: Vec<_> = values.collect();
        for path in values_named_in(&fs::read_to_string(folder(&name).join("README.md")).unwrap()) {
            assert!(values.iter().any(|values| values.pointer(&path).is_some()), "{name}: README.md names {path}");
        }
    }
}

#[test]
fn a_value_of_a_wrong_type_is_refused_by_name() {
    for (chart, set, named) in [
        ("base", "base.enableCRDTemplates=maybe", "enableCRDTemplates"),
        ("istio-control/istio-discovery", "pilot.env=text", "env"),
        ("istio-cni", "cni.chained=text", "chained"),
        ("istiod-remote", "global.configCluster=text", "configCluster"),
        ("gateways/istio-ingress", "gateways.istio-ingressgateway.ports=text", "ports"),
        ("gateways/istio-egress", "gateways.istio-egressgateway.runAsRoot=text", "runAsRoot"),
        ("default", "global=text", "global"),
        ("gateway", "kind=Pod", "kind"),
        ("addons/jaeger", "maxTraces=text", "maxTraces"),
    ] {
        let [theirs, ours] = both(&folder(chart), &["--set", set]);
        assert!(!theirs.status.success(), "{chart} takes {set}");
        assert!(text(&theirs.stderr).contains(named), "{chart}: {}", text(&theirs.stderr));
        assert_eq!(text(&ours.stderr), text(&theirs.stderr), "{chart}");
    }
}
