//! What is shipped to deploy the operator: the Helm chart of `config/helm` and the kustomizations of `config/`, without a cluster.
//! `tests/server/deploy.rs` and `tests/server/deploy_helm.rs` apply them.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "controlplane/binaries.rs"]
mod binaries;

use helm_template::yaml;
use istio_operator::object::{self, ObjectKey, OwnerId};
use istio_operator::process::metrics::Metrics;
use istio_operator::process::metrics::labels::ReconcileResult;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CHART: &str = "config/helm/istio-operator";
const FULL: &str = "tests/deploy/values.yaml";
const KEEP: [(&str, &str); 2] = [
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];

type Objects = BTreeMap<ObjectKey, Value>;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The real Helm, where it is or can be built.
fn helm() -> Option<Command> {
    let given = std::env::var_os("HELM_BIN").map(PathBuf::from);
    match given.map_or_else(|| binaries::find("helm"), Ok) {
        Ok(helm) => Some(Command::new(helm)),
        Err(why) => {
            eprintln!("not compared with Helm: {why:#}");
            None
        }
    }
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    command.arg("chart");
    command
}

fn template(mut command: Command, chart: &Path, args: &[&str]) -> Output {
    command.env("HOME", std::env::temp_dir()).env_remove("KUBECONFIG");
    command.args(["template", "istio-operator"]).arg(chart).args(["-n", "istio-operator"]).args(args);
    if !args.contains(&"--kube-version") {
        command.args(["--kube-version", "1.35.0"]);
    }
    command.output().unwrap()
}

/// The objects of a text, with the namespaces that Helm and kubectl would give them: those that they name.
fn by_key(text: &str) -> Objects {
    let all = object::read_all(text).unwrap();
    all.into_iter().map(|object| (object.key(), object.value().into_owned())).collect()
}

/// The objects of the chart with these arguments.
fn chart(args: &[&str]) -> Objects {
    let output = template(ours(), &file(CHART), args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    by_key(text(&output.stdout))
}

fn kustomized(folder: &str) -> Objects {
    let output = Command::new(binaries::find("kubectl").unwrap()).arg("kustomize").arg(file(folder)).output().unwrap();
    assert!(output.status.success(), "{folder}: {}", text(&output.stderr));
    by_key(text(&output.stdout))
}

fn names(objects: &Objects) -> Vec<String> {
    objects.keys().map(|key| format!("{} {}/{}", key.kind, key.namespace, key.name)).collect()
}

#[test]
fn the_chart_renders_with_helm_to_the_same_bytes() {
    let full = file(FULL);
    for args in [vec![], vec!["-f", full.to_str().unwrap()], vec!["--set", "watchNamespaces={*}"]] {
        let ours = template(ours(), &file(CHART), &args);
        assert!(ours.status.success(), "{args:?}: {}", text(&ours.stderr));
        let Some(helm) = helm() else { return };
        let theirs = template(helm, &file(CHART), &args);
        assert_eq!(text(&ours.stderr), text(&theirs.stderr), "{args:?}");
        assert!(ours.stdout == theirs.stdout, "{args:?} render to something else than with Helm");
    }
}

#[test]
fn the_packaged_chart_is_the_chart_of_the_repository() {
    let Some(mut helm) = helm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let packed = helm.arg("package").arg(file(CHART)).arg("-d").arg(folder.path()).output().unwrap();
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let archive = folder.path().join(format!("istio-operator-{}.tgz", env!("CARGO_PKG_VERSION")));
    let packed = template(ours(), &archive, &[]);
    // Nothing to remark: there are files in place of links.
    assert_eq!(text(&packed.stderr), "");
    assert!(packed.stdout == template(ours(), &file(CHART), &[]).stdout);
}

/// Without what says by whom it was applied, and what tells what is kept.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("annotations");
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels
            .retain(|name, _| !name.starts_with("app.kubernetes.io/") && !["helm.sh/chart", "name"].contains(&&**name));
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    object
}

#[test]
fn the_chart_and_kustomize_come_to_the_same_objects() {
    let set =
        "rbac.namespaced=false,networkPolicy.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true";
    let chart = chart(&["--set", set]);
    let folders = ["config/default", "config/prometheus", "config/network-policy"];
    let mut all: Objects = folders.into_iter().flat_map(kustomized).collect();
    all.retain(|key, _| key.kind != "Namespace");
    assert_eq!(names(&chart), names(&all));
    for (key, object) in &all {
        assert_eq!(bare(&chart[key]), bare(object), "{key:?}");
    }
}

/// Rules of roles one by one: group, resource, name or none, verb.
fn rights(role: &Value) -> BTreeSet<[String; 4]> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let mut names = texts(&rule["resourceNames"]);
        if names.is_empty() {
            names.push(String::new());
        }
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for name in &names {
                    let verbs = texts(&rule["verbs"]);
                    all.extend(verbs.into_iter().map(|verb| [group.clone(), resource.clone(), name.clone(), verb]));
                }
            }
        }
    }
    all
}

fn rights_of(objects: &Objects, kind: &str) -> BTreeSet<[String; 4]> {
    objects.iter().filter(|(key, _)| key.kind == kind).flat_map(|(_, role)| rights(role)).collect()
}

#[test]
fn roles_of_watched_namespaces_have_what_the_cluster_role_lacks() {
    let (config, chart) = (kustomized("config/rbac"), chart(&["--set", "watchNamespaces={istio-system,team}"]));
    let (whole, cluster) = (rights_of(&config, "ClusterRole"), rights_of(&chart, "ClusterRole"));
    let left: BTreeSet<_> = whole.difference(&cluster).cloned().collect();
    assert!(cluster.is_subset(&whole) && left.len() == 4, "{left:#?}");
    for namespace in ["istio-system", "team"] {
        let (_, role) = chart.iter().find(|(key, _)| key.kind == "Role" && key.namespace == namespace).unwrap();
        assert_eq!(rights(role), left, "{namespace}");
    }
    // Whoever works on all namespaces has it everywhere, and nothing else.
    let everywhere = self::chart(&["--set", "watchNamespaces={*}"]);
    for kind in ["Role", "ClusterRole"] {
        assert_eq!(rights_of(&everywhere, kind), rights_of(&config, kind));
    }
    // Fewer releases, fewer rights.
    let fewer = rights_of(&self::chart(&["--set", "rbac.releases={1.17}"]), "ClusterRole");
    assert!(fewer.is_subset(&cluster) && fewer.len() < cluster.len());
}

#[test]
fn nothing_that_is_removed_takes_the_definition_along() {
    let is_kept = |object: &Value| KEEP.iter().all(|(name, value)| object["metadata"]["annotations"][name] == *value);
    let chart = chart(&[]);
    assert!(chart.keys().all(|key| key.kind != "Namespace"), "Helm would delete it with all that is in it");
    let controller = kustomized("config/controller");
    assert!(controller.keys().all(|key| key.kind != "CustomResourceDefinition"));
    for objects in [&chart, &controller, &kustomized("config/default"), &kustomized("crds")] {
        for (key, object) in objects {
            let is_definition = key.kind == "CustomResourceDefinition";
            assert_eq!(is_kept(object), is_definition || key.kind == "Namespace", "{key:?}");
            assert_eq!(
                object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep",
                is_definition,
                "{key:?}"
            );
        }
    }
}

#[test]
fn packages_come_from_volumes_of_any_kind() {
    let objects = chart(&["-f", file(FULL).to_str().unwrap()]);
    let (_, deployment) = objects.iter().find(|(key, _)| key.kind == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let find = |list: &Value, name: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["name"] == name)
            .unwrap_or_else(|| panic!("no {name}"))
            .clone()
    };
    let container = &pod["containers"][0];
    let args: Vec<_> = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert!(args.contains(&"--package-dir=/packages"), "{args:?}");
    for (name, source, folder) in [
        ("release-1-30", "image", "/packages/release-1-30/packages"),
        ("shared", "persistentVolumeClaim", "/packages/shared"),
        ("archive", "configMap", "/packages/archive"),
    ] {
        let volume = find(&pod["volumes"], &format!("packages-{name}"));
        assert_eq!(volume.as_object().unwrap().len(), 2, "{volume}");
        assert!(volume[source].is_object(), "{volume}");
        let mount = find(&container["volumeMounts"], &format!("packages-{name}"));
        assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&json!(format!("/packages/{name}")), &json!(true)));
        assert!(args.contains(&format!("--package-dir={folder}").as_str()), "{args:?}");
    }
    let cache = find(&pod["volumes"], "cache");
    assert!(cache["persistentVolumeClaim"].is_object() && cache["emptyDir"].is_null(), "{cache}");
    for (name, value) in [
        ("DEFAULT_RELEASE", "1.30.3"),
        ("RELEASE_SOURCE", "oci://registry.example/istio:{version}"),
        ("ALLOW_PACKAGE", "https://packages.example/istio,oci://registry.example/istio"),
        ("PACKAGE_PULL_SECRET", "istio-operator/packages"),
        ("REVISION", "canary"),
        ("WATCH_NAMESPACE", "istio-system,team"),
    ] {
        assert_eq!(find(&container["env"], name)["value"], value);
    }
}

#[test]
fn an_operator_of_a_revision_has_everything_by_names_of_its_own() {
    let revision = chart(&["--set", "revision=canary,rbac.cniTaint=true"]);
    for (key, object) in revision.iter().filter(|(key, _)| key.kind != "CustomResourceDefinition") {
        assert!(key.name.starts_with("istio-operator-canary"), "{key:?}");
        let names = [&object["spec"]["selector"]["name"], &object["spec"]["selector"]["matchLabels"]["name"]];
        let others = [&object["roleRef"]["name"], &object["subjects"][0]["name"]];
        for name in names.into_iter().chain(others).filter_map(Value::as_str) {
            assert!(name.starts_with("istio-operator-canary"), "{key:?} has {name}");
        }
    }
    let locks =
        rights_of(&revision, "Role").into_iter().filter(|[_, what, name, _]| what == "leases" && !name.is_empty());
    assert_eq!(
        locks.map(|[_, _, name, _]| name).collect::<BTreeSet<_>>(),
        ["istio-operator-lock-canary".to_owned()].into()
    );
}

#[test]
fn an_older_kubernetes_gets_only_fields_that_it_knows() {
    let policy = |version: &str| {
        let objects = chart(&["--kube-version", version]);
        let (_, budget) = objects.into_iter().find(|(key, _)| key.kind == "PodDisruptionBudget").unwrap();
        budget["spec"]["unhealthyPodEvictionPolicy"].clone()
    };
    assert_eq!(
        ["1.22.17", "1.25.16-gke.1", "1.26.0-eks-1", "1.35.0"].map(policy),
        [Value::Null, Value::Null, json!("AlwaysAllow"), json!("AlwaysAllow")]
    );
    let refused = template(ours(), &file(CHART), &["--kube-version", "1.21.14"]);
    assert!(text(&refused.stderr).contains("kubeVersion"), "{}", text(&refused.stderr));
}

#[test]
fn a_value_that_is_wrong_is_refused_by_name() {
    for (set, named) in [
        ("replica=1", "replica"),
        ("watchNamespaces=null", "watchNamespaces"),
        ("watchNamespaces={Istio}", "/watchNamespaces/0"),
        ("image.digest=abc", "/image/digest"),
        ("packages.volumes[0].name=a", "/packages/volumes/0"),
        ("packages.source=https://packages.example/istio.tar.gz", "/packages/source"),
        ("packages.allow={packages.example}", "/packages/allow/0"),
        ("rbac.releases={1.99}", "there is no role for 1.99, only for 1.17,"),
        ("podLabels.name=other", "/podLabels/name"),
        ("crd.instal=false", "instal"),
    ] {
        let refused = template(ours(), &file(CHART), &["--set", set]);
        assert!(!refused.status.success(), "{set} is taken");
        assert!(text(&refused.stderr).contains(named), "{set}: {}", text(&refused.stderr));
    }
}

#[test]
fn the_chart_and_the_manifests_have_the_version_of_the_operator() {
    let version = env!("CARGO_PKG_VERSION");
    let metadata = yaml::parse(&std::fs::read_to_string(file(CHART).join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!((&metadata["version"], &metadata["appVersion"]), (&json!(version), &json!(version)));
    let config = kustomized("config/operator");
    let (_, deployment) = config.iter().find(|(key, _)| key.kind == "Deployment").unwrap();
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &json!(format!("istio-operator:{version}")));
}

/// The metrics of an operator to which everything has happened that alerts are about.
fn eventful_metrics() -> String {
    let metrics = Metrics::new("1.17.8", "");
    metrics.resources.set_info(&OwnerId::new("istio-system", "main"), Some(("ERROR", "1.17.8")));
    metrics.reconciles.results.inc(ReconcileResult::Failed);
    metrics.client.watch_errors.inc("apps/Deployment".to_owned());
    metrics.objects.repaired.inc("apps/Deployment".to_owned());
    metrics.to_text()
}

#[test]
fn every_alert_asks_for_metrics_there_are_and_has_a_section() {
    let metrics = eventful_metrics();
    let operations = std::fs::read_to_string(file("docs/operations.md")).unwrap();
    let rules = yaml::parse(&std::fs::read_to_string(file("config/prometheus/rules.yaml")).unwrap()).unwrap();
    let alerts = rules["spec"]["groups"][0]["rules"].as_array().unwrap();
    let mut told = vec![];
    for alert in alerts {
        let [name, expression, runbook] =
            [&alert["alert"], &alert["expr"], &alert["annotations"]["runbook"]].map(|value| value.as_str().unwrap());
        let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let words = expression.split(|character| !is_of_name(character));
        let asked: Vec<_> = words.filter(|word| word.starts_with("istio_install_operator_")).collect();
        assert!(!asked.is_empty(), "{name} asks for nothing");
        for metric in asked {
            let series = metrics.lines().find(|line| line.split(['{', ' ']).next() == Some(metric));
            let series = series.unwrap_or_else(|| panic!("{name} asks for {metric}, which there is not"));
            // The labels that it is matched or summed up by.
            let by = expression.split("by (").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
            let matched = expression.split('{').nth(1).and_then(|rest| rest.split(['=', '!']).next());
            for label in by.split(", ").chain(matched).filter(|label| !label.is_empty()) {
                // Prometheus says of every series from where it has it.
                let is_of_target = ["namespace", "job"].contains(&label) && !series.contains('{');
                let has = is_of_target || series.contains(&format!("{label}="));
                assert!(has, "{name} asks for {label} of {series}");
            }
        }
        assert_eq!(runbook, format!("docs/operations.md#{}", name.to_lowercase()));
        assert!(operations.contains(&format!("\n### {name}\n")), "{name} has no section in docs/operations.md");
        told.push(name);
    }
    let sections = operations.lines().filter_map(|line| line.strip_prefix("### IstioOperator")).count();
    assert_eq!(sections, told.len(), "a section is of no alert");
}

/// The step or job of a workflow that `uses` something, with what it names.
fn used(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: ")).collect()
}

#[test]
fn workflows_pin_every_action_and_have_no_rights_but_those_they_name() {
    let mut found = vec![];
    for entry in std::fs::read_dir(file(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for action in used(&text).into_iter().filter(|action| !action.starts_with("./")) {
            let (pin, comment) =
                action.split_once('@').unwrap().1.split_once(" # v").unwrap_or_else(|| panic!("{action}"));
            let is_commit = pin.len() == 40 && pin.chars().all(|digit| digit.is_ascii_hexdigit());
            assert!(is_commit && comment.contains('.'), "{name}: {action} can change");
        }
        let workflow = yaml::parse(&text).unwrap();
        assert_eq!(workflow["permissions"], json!({}), "{name}");
        for (job, what) in workflow["jobs"].as_object().unwrap() {
            assert!(what["permissions"].is_object(), "{name}: {job} names no permissions");
            let limit = what["timeout-minutes"].as_u64().unwrap_or(if what["uses"].is_string() { 1 } else { u64::MAX });
            assert!(limit <= 60, "{name}: {job} may take {limit} minutes");
        }
        // What a branch's author can write is not put into a shell.
        for word in ["github.event.", "github.head_ref", "pull_request_target"] {
            let uses = text.lines().filter(|line| line.contains(word) && !line.contains("github.event_name"));
            assert_eq!(uses.count(), 0, "{name} uses {word}");
        }
        found.push(name);
    }
    found.sort();
    assert_eq!(found, ["advisories.yml", "check.yml", "release.yml", "test.yml"]);
}

#[test]
fn workflows_call_targets_of_make_that_there_are() {
    let makefile = std::fs::read_to_string(file("Makefile")).unwrap();
    for name in ["check", "release"] {
        let text = std::fs::read_to_string(file(&format!(".github/workflows/{name}.yml"))).unwrap();
        let calls = text.split("make ").skip(1).map(|rest| rest.split(['\n', ')', '"']).next().unwrap());
        let words = calls.flat_map(str::split_whitespace);
        let goals: BTreeSet<_> = words.filter(|word| !word.contains(['=', '-', '$'])).collect();
        assert!(!goals.is_empty(), "{name}");
        for goal in goals {
            assert!(makefile.contains(&format!("\n{goal}:")), "{name}: there is no `make {goal}`");
        }
    }
}
