//! The command line as a person meets it: what goes to stdout and stderr, and the exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

#[path = "cli/flags.rs"]
mod flags;
#[path = "cli/folders.rs"]
mod folders;
#[path = "cli/profiles.rs"]
mod profiles;

use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_istio-operator")).args(args).env_remove("KUBECONFIG").output().unwrap()
}

fn run_with_stdin(args: &[&str], stdin: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_istio-operator"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// (kind, name) of every document.
fn objects(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{}", stderr(output));
    helm_template::yaml::parse_documents(&stdout(output), helm_template::yaml::Duplicates::LastWins)
        .unwrap()
        .into_iter()
        .map(|d| (d.value["kind"].as_str().unwrap().into(), d.value["metadata"]["name"].as_str().unwrap().into()))
        .collect()
}

#[test]
fn every_profile_gives_the_number_of_objects_that_release_1_17_gives() {
    for (profile, count) in
        [("default", 57), ("minimal", 50), ("demo", 61), ("empty", 0), ("preview", 57), ("ambient", 57)]
    {
        let found = objects(&run(&["manifest", "generate", "--set", &format!("profile={profile}")]));
        assert_eq!(found.len(), count, "{profile}");
    }
}

#[test]
fn definitions_come_first_and_services_last() {
    let found = objects(&run(&["manifest", "generate"]));
    assert_eq!(found.first().unwrap().0, "CustomResourceDefinition");
    assert_eq!(found.last().unwrap().0, "Service");
}

#[test]
fn one_spec_gives_the_same_bytes_twice() {
    let args = ["manifest", "generate", "--set", "profile=demo"];
    assert_eq!(run(&args).stdout, run(&args).stdout);
}

#[test]
fn a_gateway_without_a_wanted_architecture_still_has_an_affinity() {
    let output = run(&["manifest", "generate", "--set", "values.global.arch.amd64=0"]);
    assert!(stdout(&output).contains("- key: kubernetes.io/arch"), "{}", stderr(&output));
}

#[test]
fn texts_among_the_templates_of_a_package_are_no_objects() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("package");
    let package = package.to_str().unwrap();
    assert!(run(&["package", package]).status.success());
    std::fs::write(format!("{package}/charts/base/templates/read-me.txt"), "{{ .Release.Name }} is there").unwrap();
    let output = run(&["manifest", "generate", "--manifests", package]);
    assert_eq!(output.stdout, run(&["manifest", "generate"]).stdout, "{}", stderr(&output));
}

#[test]
fn a_chart_is_rendered_as_helm_does() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("templates")).unwrap();
    std::fs::write(dir.path().join("Chart.yaml"), "{apiVersion: v2, name: c, version: 1.0.0}").unwrap();
    std::fs::write(dir.path().join("templates/a.yaml"), "a: {{ .Release.Name }}\n").unwrap();
    let output = run(&["chart", "template", "mine", dir.path().to_str().unwrap()]);
    assert_eq!(stdout(&output), "---\n# Source: c/templates/a.yaml\na: mine\n", "{}", stderr(&output));
}

#[test]
fn only_the_components_asked_for_are_printed() {
    let found = objects(&run(&["manifest", "generate", "--component", "IngressGateways"]));
    assert!(found.iter().all(|(_, name)| name.starts_with("istio-ingressgateway")), "{found:?}");
    let wrong = run(&["manifest", "generate", "--component", "X"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        stderr(&wrong).contains("Valid options: [Base Pilot Cni IstiodRemote Ztunnel IngressGateways EgressGateways]")
    );
}

#[test]
fn output_goes_into_one_file_per_component() {
    let dir = tempfile::tempdir().unwrap();
    let result = run(&["manifest", "generate", "--set", "profile=demo", "-o", dir.path().to_str().unwrap()]);
    assert!(result.status.success() && result.stdout.is_empty(), "{}", stderr(&result));
    for file in [
        "Base/Base.yaml",
        "Base/Pilot/Pilot.yaml",
        "Base/Pilot/IngressGateways/IngressGateways.yaml",
        "Base/Pilot/EgressGateways/EgressGateways.yaml",
    ] {
        assert!(dir.path().join(file).exists(), "{file}");
    }
}

#[test]
fn every_problem_of_a_file_is_named_with_its_line_and_nothing_is_printed() {
    let input = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  hubb: x\n  components:\n    pilot:\n      enabld: true\n";
    let result = run_with_stdin(&["manifest", "generate", "-f", "-"], input);
    assert_eq!(result.status.code(), Some(1));
    assert!(result.stdout.is_empty());
    let message = stderr(&result);
    assert!(message.contains("stdin:4:3: spec.hubb: unknown field \"hubb\" (did you mean \"hub\"?)"), "{message}");
    assert!(message.contains("stdin:7:7: spec.components.pilot.enabld: unknown field"), "{message}");
    assert_eq!(message.lines().count(), 2, "a problem on a line: {message}");
}

#[test]
fn problems_of_values_and_mesh_config_are_named_with_file_or_flag() {
    let input = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  values:\n    pilot:\n      autoscaleEnabled: \
                 sometimes\n  meshConfig:\n    accessLogEncoding: XML\n";
    let flag = "values.global.proxy.includeIPRanges=1.2.3";
    let args = ["manifest", "generate", "-f", "-", "--set", flag];
    let result = run_with_stdin(&args, input);
    assert_eq!(result.status.code(), Some(1));
    assert!(result.stdout.is_empty());
    let message = stderr(&result);
    for problem in [
        "stdin:6:7: spec.values.pilot.autoscaleEnabled: must be true or false, not the string \"sometimes\"",
        "stdin:8:5: spec.meshConfig.accessLogEncoding: unknown value \"XML\": must be one of TEXT, JSON",
        "--set values.global.proxy.includeIPRanges=1.2.3: spec.values.global.proxy.includeIPRanges: invalid value \"1.2.3\"",
    ] {
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn force_lets_a_wrong_value_pass_with_a_warning_and_a_wrong_field_not() {
    let forced = run(&["manifest", "generate", "--set", "values.nosuch=1", "--force"]);
    assert_eq!(objects(&forced).len(), 57);
    assert!(stderr(&forced).contains("Warning: --set values.nosuch=1: spec.values.nosuch: unknown field"));
    assert_eq!(run(&["manifest", "generate", "--set", "nosuch=1", "--force"]).status.code(), Some(1));
    assert_eq!(run(&["manifest", "generate", "--set", "unvalidatedValues.nosuch=1"]).status.code(), Some(0));
}

#[test]
fn a_field_beside_the_spec_that_no_resource_has_is_named() {
    let input = "kind: IstioOperator\nmetadata:\n  nam: x\nprofile: demo\n";
    let message = stderr(&run_with_stdin(&["manifest", "generate", "-f", "-"], input));
    assert!(message.contains("stdin:4:1: profile: unknown field \"profile\""), "{message}");
    assert!(message.contains("stdin:3:3: metadata.nam: unknown field \"nam\" (did you mean \"name\""), "{message}");
}

#[test]
fn an_annotation_of_a_file_that_is_not_understood_is_told() {
    let input =
        "kind: IstioOperator\nmetadata:\n  annotations: {install.istio.io/relase: 1.30.3}\nspec: {profile: empty}\n";
    let result = run_with_stdin(&["manifest", "generate", "-f", "-"], input);
    assert_eq!(result.status.code(), Some(0), "{}", stderr(&result));
    let expected = "install.istio.io/relase is unknown, and counts for nothing (did you mean \"release\"?)";
    assert!(stderr(&result).contains(expected), "{}", stderr(&result));
}

#[test]
fn an_unknown_profile_is_refused_with_those_there_are() {
    let result = run(&["manifest", "generate", "--set", "profile=dmeo"]);
    assert_eq!(result.status.code(), Some(1));
    let message = stderr(&result);
    assert!(
        message.contains("unknown profile \"dmeo\" (did you mean \"demo\"?): choose one of ambient, default"),
        "{message}"
    );
}

#[test]
fn a_wrong_flag_is_a_wrong_use() {
    assert_eq!(run(&["manifest", "generate", "--nope"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
}

/// Before anybody asks a cluster: of `init`, too.
#[test]
fn flags_that_name_nothing_possible_are_told_all_at_once() {
    let flags = ["--hub=http://foo", "--tag=x y", "--watchedNamespaces=a,B b", "-r", "X"];
    for command in [["operator", "dump"], ["operator", "init"]] {
        let refused = run(&[&command[..], &flags].concat());
        assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(2), ""), "{}", stderr(&refused));
        let told = stderr(&refused);
        for flag in ["--hub \"http://foo\"", "--tag \"x y\"", "--watchedNamespaces \"B b\"", "--revision \"X\""] {
            assert!(told.contains(flag), "{flag} is not in {told}");
        }
    }
}

/// That a command prints what a file has, which `make` writes.
fn assert_is_committed(command: &[&str], path: &str, target: &str) {
    let output = run(command);
    let (committed, printed) = (std::fs::read_to_string(path).unwrap(), stdout(&output));
    let header = command.join(" ");
    let difference =
        similar::TextDiff::from_lines(&committed, &printed).unified_diff().header(path, &header).to_string();
    assert!(difference.is_empty(), "{path} is out of date: run `make {target}`\n{difference}");
}

#[test]
fn the_crd_is_the_committed_one() {
    assert_is_committed(&["crd"], "crds/istiooperators.install.istio.io.yaml", "crds");
}

#[test]
fn the_role_is_the_committed_one() {
    assert_is_committed(&["role"], "config/rbac/role.yaml", "role");
    assert_is_committed(&["role", "-d", "1.17.8"], "config/rbac/releases/1.17.yaml", "role");
}

/// The role of each line of releases, where a package of that line is at hand: in the folder that CONTRIBUTING.md names.
#[test]
fn the_roles_of_other_releases_are_the_committed_ones() {
    let cache =
        std::env::var("XDG_CACHE_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cache")).unwrap();
    let folder = std::path::Path::new(&cache).join("istio-operator/releases");
    let packages: Vec<_> =
        std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    if packages.is_empty() {
        eprintln!("no release packages in {}: only the role of the built-in release is compared", folder.display());
    }
    for package in packages {
        let version = package.file_name().unwrap().to_str().unwrap();
        let line = version.split('.').take(2).collect::<Vec<_>>().join(".");
        // A few of them: each takes seconds.
        if !["1.20", "1.23", "1.26", "1.30"].contains(&line.as_str()) {
            continue;
        }
        let path = format!("config/rbac/releases/{line}.yaml");
        assert_is_committed(&["role", "-d", package.to_str().unwrap()], &path, "role RELEASES=FOLDER");
    }
}

#[test]
fn a_collector_that_is_no_url_is_refused_before_anything_starts() {
    let args = ["run", "--otlp-endpoint=collector:4317"];
    for (more, named) in [(None, "collector:4317/v1/traces"), (Some("--otlp-traces-endpoint=other/v2"), "other/v2")] {
        let result = run(&args.into_iter().chain(more).collect::<Vec<_>>());
        assert_eq!(result.status.code(), Some(1));
        let message = stderr(&result);
        assert!(
            message.contains("--otlp-endpoint") && message.contains(&format!("{named:?} is not a valid URL")),
            "{message}"
        );
    }
}

/// What a spec given on stdin comes to, and what is said about it.
fn generate(spec: &str, more: &[&str]) -> Output {
    let input = format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n{spec}");
    run_with_stdin(&[&["manifest", "generate", "-f", "-"], more].concat(), &input)
}

#[test]
fn an_empty_line_of_a_spec_removes_nothing_of_the_installation() {
    let whole = run(&["manifest", "generate"]).stdout;
    for spec in [
        "",
        "  components:\n",
        "  components: {}\n",
        "  components:\n    base:\n",
        "  components:\n    pilot:\n",
        "  components:\n    pilot:\n      enabled:\n",
        "  components:\n    pilot:\n      k8s: ~\n",
        "  components:\n    ingressGateways:\n",
        "  components:\n    ingressGateways: []\n",
        "  components:\n    ingressGateways:\n    -\n",
        "  components:\n    ingressGateways:\n    - name: istio-ingressgateway\n      enabled:\n      k8s: null\n",
        "  values:\n",
        "  values:\n    global:\n",
        "  values:\n    gateways:\n      istio-ingressgateway:\n",
        "  unvalidatedValues:\n    global: null\n",
        "  meshConfig:\n",
        "  meshConfig:\n    defaultConfig:\n",
    ] {
        let output = generate(spec, &[]);
        assert!(output.status.success() && output.stdout == whole, "{spec}: {}", stderr(&output));
    }
    for flag in ["components=null", "components.pilot=null", "components.pilot.enabled=null", "values.global=null"] {
        let output = run(&["manifest", "generate", "--set", flag]);
        assert!(output.status.success() && output.stdout == whole, "{flag}: {}", stderr(&output));
    }
}

#[test]
fn an_empty_line_of_a_profile_removes_nothing_of_the_default_one() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("package");
    let package = package.to_str().unwrap();
    assert!(run(&["package", package]).status.success());
    let profile = "spec:\n  components:\n    pilot:\n    ingressGateways:\n  values:\n    global:\n  meshConfig:\n    rootNamespace:\n";
    std::fs::write(format!("{package}/profiles/mine.yaml"), profile).unwrap();
    let generate = |profile: &str| {
        let profile = format!("profile={profile}");
        run(&["manifest", "generate", "--manifests", package, "--set", &profile])
    };
    assert_eq!(objects(&generate("mine")).len(), 57);
    assert_eq!(stdout(&generate("mine")), stdout(&generate("default")));
    let dump = run(&["profile", "dump", "mine", "--manifests", package]);
    assert!(!stdout(&dump).contains("null"), "{}", stdout(&dump));
}

#[test]
fn a_key_that_stands_twice_counts_last_with_a_warning() {
    for (spec, counts, key, again, first) in [
        ("  profile: demo\n  profile: minimal\n", 50, "profile", "5:3", 4),
        ("  components:\n    pilot: {enabled: false, enabled: true}\n", 57, "enabled", "5:29", 5),
        ("  components: {pilot: {}}\n  components:\n    pilot: {enabled: false}\n", 30, "components", "5:3", 4),
        ("  values: {a: &a {pilot: {}, pilot: {}}, <<: *a}\n", 0, "pilot", "4:30", 4),
    ] {
        let output = generate(spec, &["--force"]);
        let found = output.status.success().then(|| objects(&output).len());
        assert!(counts == 0 || found == Some(counts), "{spec}: {found:?} {}", stderr(&output));
        let word = format!("Warning: stdin:{again}: {key}: is already set in this map, at line {first}");
        assert!(stderr(&output).matches(&word).count() == 1, "{spec}: {}", stderr(&output));
        let strict = generate(spec, &["--strict", "--force"]);
        assert_eq!((strict.status.code(), strict.stdout.len()), (Some(1), 0), "{spec}");
        assert!(stderr(&strict).contains(&word.replace("Warning", "Error")), "{spec}: {}", stderr(&strict));
    }
    let json = r#"{"kind": "IstioOperator", "spec": {"profile": "demo", "profile": "empty"}}"#;
    let output = run_with_stdin(&["manifest", "generate", "-f", "-"], json);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
    assert!(stderr(&output).contains("Warning: stdin:1:55: profile: is already set"), "{}", stderr(&output));
}

#[test]
fn a_key_that_stands_twice_is_found_in_every_file_that_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).map(|()| path(name)).unwrap();
    assert!(run(&["package", &path("package")]).status.success());
    write("package/profiles/mine.yaml", "spec:\n  hub: a\n  hub: docker.io/istio\n");
    let second = "kind: ConfigMap\n---\nkind: IstioOperator\nspec:\n  values: {}\n  values: {}\n";
    let (spec, plain) = (write("spec.yaml", second), write("plain.yaml", "kind: IstioOperator\n"));
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: []\n  containers: [{name: a, image: i}]\n";
    let pod = write("pod.yaml", pod);
    let values = write("values.json", r#"{"global": {}, "global": {}}"#);
    for (args, place, code) in [
        (
            vec!["manifest", "generate", "-d", &path("package"), "--set", "profile=mine"],
            "profiles/mine.yaml:3:3: hub",
            0,
        ),
        (vec!["profile", "dump", "-f", &spec], "spec.yaml:6:3: values", 0),
        (vec!["profile", "diff", "default", "mine", "-d", &path("package")], "profiles/mine.yaml:3:3: hub", 1),
        (vec!["kube-inject", "-f", &pod, "--operatorFileName", &plain], "pod.yaml:6:3: containers", 0),
        (vec!["kube-inject", "-f", &pod, "--operatorFileName", &spec], "spec.yaml:6:3: values", 0),
        (
            vec!["kube-inject", "-f", &pod, "--operatorFileName", &plain, "--valuesFile", &values],
            "values.json:1:16: global",
            0,
        ),
    ] {
        let warned = run(&args);
        let said = stderr(&warned);
        let line = said.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{args:?}: {said}"));
        assert!(line.starts_with("Warning: "), "{line}");
        assert!(code != 0 || warned.status.success() || args.contains(&"--valuesFile"), "{args:?}: {said}");
        let strict = run(&[args.clone(), vec!["--strict"]].concat());
        assert_eq!((strict.status.code(), stdout(&strict).as_str()), (Some(1), ""), "{args:?}");
        assert!(stderr(&strict).contains(place) && !stderr(&strict).contains("Warning"), "{}", stderr(&strict));
    }
}

/// (namespace, name) of every Deployment.
fn deployments(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{}", stderr(output));
    let documents = helm_template::yaml::parse_documents(&stdout(output), helm_template::yaml::Duplicates::LastWins);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let found = documents.unwrap().into_iter().map(|d| d.value).filter(|value| value["kind"] == "Deployment");
    found.map(|value| (text(&value["metadata"]["namespace"]), text(&value["metadata"]["name"]))).collect()
}

#[test]
fn gateways_of_one_name_in_two_namespaces_are_two_gateways() {
    let gateway =
        |name: &str, namespace: &str| format!("    - {{name: {name}, namespace: {namespace}, enabled: true}}\n");
    let list = |gateways: &[String]| format!("  components:\n    ingressGateways:\n{}", gateways.concat());
    let found = |output: &Output, name: &str| -> Vec<String> {
        let mut all = deployments(output);
        all.sort();
        all.into_iter().filter(|(_, n)| n == name).map(|(namespace, _)| namespace).collect()
    };
    for name in ["gw", "istio-ingressgateway"] {
        let output = generate(&list(&[gateway(name, "a"), gateway(name, "b")]), &[]);
        assert_eq!(found(&output, name), ["a", "b"], "{name}");
    }
    // One namespace moves the profile's, as in 1.17.
    let output = generate(&list(&[gateway("istio-ingressgateway", "a")]), &[]);
    assert_eq!(found(&output, "istio-ingressgateway"), ["a"]);

    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, spec: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("kind: IstioOperator\nspec:\n{spec}")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (file("a.yaml", &list(&[gateway("gw", "a")])), file("b.yaml", &list(&[gateway("gw", "b")])));
    let output = run(&["manifest", "generate", "-f", &a, "-f", &b]);
    assert_eq!(found(&output, "gw"), ["a", "b"]);
    let flag = "components.ingressGateways[name:gw].k8s.replicaCount=2";
    let unclear = run(&["manifest", "generate", "-f", &a, "-f", &b, "--set", flag]);
    assert_eq!(unclear.status.code(), Some(1));
    assert!(stderr(&unclear).contains("there are 2 gateways [name:gw]"), "{}", stderr(&unclear));
}

#[test]
fn a_gateway_that_would_vanish_in_another_is_refused_with_both_places() {
    for (spec, second, first) in [
        (
            "  components:\n    ingressGateways:\n    - {name: gw, enabled: true}\n    - {name: gw, enabled: true}\n",
            "stdin:7:7: spec.components.ingressGateways[1]: there is another gateway gw without a namespace",
            "at stdin:6:7",
        ),
        (
            "  components:\n    egressGateways:\n    - {name: gw, namespace: a}\n    - {name: x}\n    - {name: gw, namespace: a}\n",
            "stdin:8:7: spec.components.egressGateways[2]: there is another gateway gw in namespace a",
            "at stdin:6:7",
        ),
        (
            "  components:\n    ingressGateways:\n    - {name: gw, enabled: true}\n    - {name: gw, namespace: istio-system, enabled: true}\n",
            "stdin:7:7: spec.components.ingressGateways[1]: is gateway gw in namespace istio-system",
            "and so is stdin:6:7",
        ),
        (
            "  components:\n    ingressGateways:\n    - {name: gw, enabled: true}\n    egressGateways:\n    - {name: gw, enabled: true}\n",
            "stdin:8:7: spec.components.egressGateways[0]: is gateway gw in namespace istio-system",
            "and so is stdin:6:7",
        ),
        (
            "  components:\n    ingressGateways:\n    - {name: istiod, enabled: true}\n",
            "spec.components.pilot and spec.components.ingressGateways[name:istiod] both render Deployment istio-system/istiod",
            "",
        ),
    ] {
        let output = generate(spec, &[]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{spec}");
        let message = stderr(&output);
        assert!(message.contains(second) && message.contains(first), "{message}");
    }
}

#[test]
fn old_metrics_of_an_autoscaler_come_out_in_the_form_that_clusters_have() {
    let metrics = "hpaSpec: {metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 61}}, {type: Pods, pods: {metricName: m, targetAverageValue: 5}}]}";
    let spec = format!(
        "  components:\n    pilot:\n      k8s: {{{metrics}}}\n    ingressGateways:\n    - name: own\n      enabled: true\n      k8s: {{{metrics}}}\n"
    );
    let output = generate(&spec, &[]);
    let documents = helm_template::yaml::parse_documents(&stdout(&output), helm_template::yaml::Duplicates::LastWins);
    let of_kind = |d: &serde_json::Value| d["kind"] == "HorizontalPodAutoscaler";
    let all: Vec<_> = documents.unwrap().into_iter().map(|d| d.value).filter(of_kind).collect();
    assert_eq!(all.len(), 3, "{}", stderr(&output));
    for autoscaler in all {
        let metrics = &autoscaler["spec"]["metrics"];
        assert_eq!(autoscaler["apiVersion"], "autoscaling/v2");
        if autoscaler["metadata"]["name"] != "istio-ingressgateway" {
            let target = serde_json::json!({"type": "Utilization", "averageUtilization": 61});
            assert_eq!(metrics[0]["resource"], serde_json::json!({"name": "cpu", "target": target}));
            let target = serde_json::json!({"type": "AverageValue", "averageValue": 5});
            assert_eq!(metrics[1]["pods"], serde_json::json!({"metric": {"name": "m"}, "target": target}));
        }
    }
    let mixed = "  components:\n    pilot:\n      k8s:\n        hpaSpec:\n          metrics:\n          - type: Resource\n            resource: {name: cpu, targetAverageUtilization: 61, target: {type: Utilization}}\n";
    let refused = generate(mixed, &[]);
    let message = stderr(&refused);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{message}");
    let place = "stdin:10:13: spec.components.pilot.k8s.hpaSpec.metrics[0].resource: targetAverageUtilization";
    assert!(message.contains(place), "{message}");
}

/// The image of istiod.
fn image(output: &Output) -> String {
    let lines = stdout(output);
    let image = lines.lines().find_map(|line| line.trim().strip_prefix("image: docker.io/istio/pilot:"));
    image.unwrap_or_else(|| panic!("{}", stderr(output))).to_owned()
}

#[test]
fn a_tag_that_looks_like_a_number_is_printed_as_it_was_written() {
    for tag in ["12", "1643215493", "20230101123456", "12345678901234567890", "123456789012345678901234567890"] {
        for spec in [
            format!("  tag: {tag}\n"),
            format!("  components: {{pilot: {{tag: {tag}}}}}\n"),
            format!("  values: {{global: {{tag: {tag}}}}}\n"),
            format!("  values: {{pilot: {{tag: {tag}}}}}\n"),
            format!("  unvalidatedValues: {{global: {{tag: {tag}}}}}\n"),
        ] {
            assert_eq!(image(&generate(&spec, &[])), tag, "{spec}");
        }
        assert_eq!(image(&run(&["manifest", "generate", "--set", &format!("tag={tag}")])), tag);
    }
    for (tag, same) in [("1.17", "1.17"), ("true", "true"), ("2023-01-01", "2023-01-01"), ("\"1.10\"", "1.10")] {
        assert_eq!(image(&generate(&format!("  tag: {tag}\n"), &[])), same);
    }
}

#[test]
fn a_number_that_was_meant_as_text_is_refused_with_what_to_write() {
    for text in ["1.10", "1e3", "0x10", "007", "1_000", "yes", "on", "1.0"] {
        for (spec, place, key) in [
            (format!("  tag: {text}\n"), "stdin:4:3: spec.tag", "tag"),
            (format!("  components:\n    cni:\n      tag: {text}\n"), "stdin:6:7: spec.components.cni.tag", "tag"),
            (
                format!("  values:\n    pilot:\n      env: {{A.B: {text}}}\n"),
                "stdin:6:13: spec.values.pilot.env.A\\.B",
                "A.B",
            ),
            (
                format!("  values:\n    cni:\n      podAnnotations: {{a: {text}}}\n"),
                "spec.values.cni.podAnnotations.a",
                "a",
            ),
            (format!("  hub: {text}\n"), "stdin:4:3: spec.hub", "hub"),
            (
                format!("  meshConfig:\n    rootNamespace: {text}\n"),
                "stdin:5:5: spec.meshConfig.rootNamespace",
                "rootNamespace",
            ),
        ] {
            let output = generate(&spec, &[]);
            let message = stderr(&output);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{spec}");
            assert!(message.contains(place) && message.contains("must be a string, not "), "{message}");
            assert!(message.contains(&format!("; quote it: {key}: \"{text}\"")), "{message}");
        }
    }
    let flag = stderr(&run(&["manifest", "generate", "--set", "tag=1.10"]));
    assert!(flag.contains("spec.tag: must be a string, not the number 1.1; quote it: --set 'tag=\"1.10\"'"), "{flag}");
    assert_eq!(image(&run(&["manifest", "generate", "--set", "tag=\"1.10\""])), "1.10");
}

#[test]
fn whole_numbers_among_texts_of_the_values_are_texts_as_written() {
    let spec = "  values:\n    pilot:\n      env: {LONG: 1643215493}\n      podAnnotations: {long: 1643215493}\n    gateways:\n      \
                istio-ingressgateway:\n        env: {LONG: 1643215493}\n        podAnnotations: {long: 1643215493, short: 5}\n        \
                serviceAnnotations: {long: 20230101}\n";
    let output = generate(spec, &[]);
    let text = stdout(&output);
    assert!(output.status.success() && !text.contains("e+0"), "{}", stderr(&output));
    for line in ["value: \"1643215493\"", "long: \"1643215493\"", "short: \"5\"", "long: \"20230101\""] {
        assert!(text.contains(line), "{line}");
    }
}

#[test]
fn a_number_that_a_profile_means_as_text_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("package");
    let package = package.to_str().unwrap();
    assert!(run(&["package", package]).status.success());
    let generate = |tag: &str| {
        std::fs::write(format!("{package}/profiles/mine.yaml"), format!("spec:\n  tag: {tag}\n")).unwrap();
        run(&["manifest", "generate", "--manifests", package, "--set", "profile=mine"])
    };
    assert_eq!(image(&generate("1643215493")), "1643215493");
    let refused = generate("1.10");
    let place = "profiles/mine.yaml:2:3: spec.tag: must be a string, not the number 1.1; quote it: tag: \"1.10\"";
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains(place), "{}", stderr(&refused));
}
