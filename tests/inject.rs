//! `kube-inject` as a person meets it, with the injection templates that are built in.
//!
//! `tests/inject/golden` has objects and what becomes of them, byte for byte; `UPDATE=1` writes the latter anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

use helm_template::yaml::{Duplicates, parse, parse_documents};
use istio_operator::spec::path;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// A folder with files, and the command run there.
struct TestFolder(tempfile::TempDir);

impl TestFolder {
    fn with(files: &[(&str, &str)]) -> Self {
        let test_folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(test_folder.0.path().join(name), text).unwrap();
        }
        test_folder
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
        command.args(args).current_dir(self.0.path()).env("KUBECONFIG", "none").output().unwrap()
    }

    fn inject(&self, args: &[&str]) -> String {
        let output = self.run(&[&["kube-inject", "-f", "objects.yaml"], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn spec(spec: &str) -> String {
    format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: main}}\nspec: {spec}\n")
}

fn pod(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: shop}}, annotations: {{{annotations}}}}}\n\
         spec: {{containers: [{{name: app, image: app, ports: [{{containerPort: 80}}]}}]}}\n---\n"
    )
}

/// The objects that come of these with a spec.
fn injected(installation: &str, objects: &str) -> Vec<Value> {
    let test_folder = TestFolder::with(&[("operator.yaml", &spec(installation)), ("objects.yaml", objects)]);
    let out = test_folder.inject(&["--operatorFileName", "operator.yaml"]);
    parse_documents(&out, Duplicates::Refuse).unwrap().into_iter().map(|d| d.value).collect()
}

/// What stands at a path in text form, `null` for nothing.
fn below(tree: &Value, text: &str) -> Value {
    path::get(tree, &path::Path::parse(text).unwrap()).cloned().unwrap_or_default()
}

/// What stands at a path, `null` for nothing; `proxy` and `init` stand for the two containers, and below them `--flag` for
/// what follows a flag among the arguments, and `$NAME` for a variable.
fn at(pod: &Value, place: &str) -> Value {
    let (part, rest) = place.split_once(' ').unwrap_or((place, ""));
    let container = |list: &str, names: &[&str]| {
        let containers = pod["spec"][list].as_array().cloned().unwrap_or_default();
        containers.into_iter().find(|c| names.contains(&c["name"].as_str().unwrap())).unwrap_or_default()
    };
    let container = match part {
        "proxy" => container("containers", &["istio-proxy"]),
        "init" => container("initContainers", &["istio-init", "istio-validation"]),
        _ => return below(pod, place),
    };
    if let Some(name) = rest.strip_prefix('$') {
        let env = container["env"].as_array().cloned().unwrap_or_default();
        return env.iter().find(|v| v["name"] == name).map(|v| v["value"].clone()).unwrap_or_default();
    }
    if rest.starts_with('-') {
        let args: Vec<String> =
            container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect();
        let follows = args.iter().position(|a| a == rest).map(|i| args.get(i + 1).cloned().unwrap_or_default());
        let joined = || args.iter().find_map(|a| a.strip_prefix(&format!("{rest}=")).map(str::to_owned));
        return follows.or_else(joined).map(Value::from).unwrap_or_default();
    }
    if rest.is_empty() { container } else { below(&container, rest) }
}

/// Compares what is at places, written `place: JSON`, one to a line.
fn expect(pod: &Value, wanted: &str, given: &str) {
    for line in wanted.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (place, want) = line.split_once(": ").unwrap();
        let want: Value = serde_json::from_str(want).unwrap();
        assert_eq!(at(pod, place), want, "{given}\n{place}");
    }
}

#[test]
fn objects_become_what_the_golden_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inject/golden");
    for (name, installation) in [
        ("sidecar", "{meshConfig: {defaultConfig: {proxyMetadata: {FROM: mesh}}}}"),
        ("gateway", "{revision: canary, values: {global: {network: west, multiCluster: {clusterName: c1}}}}"),
        ("grpc", "{}"),
    ] {
        let objects = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let test_folder = TestFolder::with(&[("operator.yaml", &spec(installation)), ("objects.yaml", &objects)]);
        let got = test_folder.inject(&["--operatorFileName", "operator.yaml"]);
        let expected = folder.join(format!("{name}.injected.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &got).unwrap();
        }
        let want = std::fs::read_to_string(&expected).unwrap();
        let diff = similar::TextDiff::from_lines(&want, &got);
        assert!(want == got, "{name}:\n{}", diff.unified_diff().header("golden", "now"));
    }
}

/// Annotations, and what follows of them.
const ANNOTATIONS: &[(&str, &str)] = &[
    (
        "",
        "init -i: \"*\"\n init -d: \"15090,15021,15020\"\n proxy readinessProbe.periodSeconds: 2\n proxy --concurrency: \"2\"",
    ),
    (
        "sidecar.istio.io/interceptionMode: TPROXY",
        r#"init -m: "TPROXY"
        proxy $ISTIO_META_INTERCEPTION_MODE: "TPROXY"
        proxy securityContext.capabilities.add: ["NET_ADMIN"]
        proxy securityContext.runAsUser: 0"#,
    ),
    ("sidecar.istio.io/interceptionMode: NONE", "init: null"),
    ("sidecar.istio.io/proxyImage: my.io/p:1", "proxy image: \"my.io/p:1\"\n init image: \"my.io/p:1\""),
    ("sidecar.istio.io/proxyImageType: debug", "proxy image: \"docker.io/istio/proxyv2:1.17.8-debug\""),
    (
        "sidecar.istio.io/proxyCPU: 5m, sidecar.istio.io/proxyMemoryLimit: 1024Mi",
        r#"proxy resources: {"requests": {"cpu": "5m"}, "limits": {"memory": "1Gi"}}
        init resources: {"requests": {"cpu": "5m"}, "limits": {"memory": "1Gi"}}"#,
    ),
    (
        "sidecar.istio.io/proxyCPULimit: 2500m, proxy.istio.io/config: 'concurrency: 0'",
        "proxy --concurrency: \"3\"\n proxy resources: {\"limits\": {\"cpu\": \"2500m\"}}",
    ),
    (
        "sidecar.istio.io/logLevel: debug, sidecar.istio.io/componentLogLevel: 'wasm:debug', sidecar.istio.io/agentLogLevel: 'default:debug'",
        r#"proxy --proxyLogLevel: "debug"
        proxy --proxyComponentLogLevel: "wasm:debug"
        proxy --log_output_level: "default:debug"
        init --log_output_level: "default:debug""#,
    ),
    (
        "sidecar.istio.io/enableCoreDump: 'true'",
        "spec.initContainers[1].name: \"enable-core-dump\"\n proxy securityContext.readOnlyRootFilesystem: false",
    ),
    (
        "sidecar.istio.io/capNetBindService: 'true'",
        "proxy securityContext.capabilities.add: [\"NET_BIND_SERVICE\"]\n proxy securityContext.runAsNonRoot: false",
    ),
    (
        "sidecar.istio.io/bootstrapOverride: mine",
        r#"proxy $ISTIO_BOOTSTRAP_OVERRIDE: "/etc/istio/custom-bootstrap/custom_bootstrap.json"
        spec.volumes[name:custom-bootstrap-volume].configMap.name: "mine"
        proxy volumeMounts[name:custom-bootstrap-volume].mountPath: "/etc/istio/custom-bootstrap""#,
    ),
    (
        r#"sidecar.istio.io/userVolume: '{"v":{"emptyDir":{}}}', sidecar.istio.io/userVolumeMount: '{"v":{"mountPath":"/v"}}'"#,
        "spec.volumes[name:v].emptyDir: {}\n proxy volumeMounts[name:v].mountPath: \"/v\"",
    ),
    ("status.sidecar.istio.io/port: '18020'", "init -d: \"15090,15021,18020\""),
    ("status.sidecar.istio.io/port: '0'", "proxy readinessProbe: null\n init -d: \"15090,15021\""),
    (
        "readiness.status.sidecar.istio.io/initialDelaySeconds: '3', readiness.status.sidecar.istio.io/periodSeconds: '4', readiness.status.sidecar.istio.io/failureThreshold: '5'",
        "proxy readinessProbe.initialDelaySeconds: 3\n proxy readinessProbe.periodSeconds: 4\n proxy readinessProbe.failureThreshold: 5",
    ),
    (
        "traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/8, traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.1.0.0/16",
        "init -i: \"10.0.0.0/8\"\n init -x: \"10.1.0.0/16\"",
    ),
    (
        "traffic.sidecar.istio.io/includeInboundPorts: '80', traffic.sidecar.istio.io/excludeInboundPorts: '81'",
        "init -b: \"80\"\n init -d: \"15090,15021,81,15020\"",
    ),
    (
        "traffic.sidecar.istio.io/includeOutboundPorts: '1', traffic.sidecar.istio.io/excludeOutboundPorts: '2'",
        "init -q: \"1\"\n init -o: \"2\"",
    ),
    (
        "traffic.sidecar.istio.io/kubevirtInterfaces: tap0, traffic.sidecar.istio.io/excludeInterfaces: eth1",
        "init -k: \"tap0\"\n init -c: \"eth1\"",
    ),
    (
        "prometheus.istio.io/merge-metrics: 'false'",
        "metadata.annotations: {\"prometheus.istio.io/merge-metrics\": \"false\"}",
    ),
    (
        "kubectl.kubernetes.io/default-container: x, kubectl.kubernetes.io/default-logs-container: x",
        r#"metadata.annotations.kubectl\.kubernetes\.io/default-container: "x""#,
    ),
];

/// Annotations that every injected pod has, and those of the metrics.
const COMMON: [&str; 3] = [
    "sidecar.istio.io/status",
    "kubectl.kubernetes.io/default-container",
    "kubectl.kubernetes.io/default-logs-container",
];

#[test]
fn each_annotation_does_what_it_is_for() {
    let objects: String = ANNOTATIONS.iter().map(|(annotations, _)| pod("p", annotations)).collect();
    let pods = injected("{}", &objects);
    assert_eq!(pods.len(), ANNOTATIONS.len());
    for (mut pod, (annotations, wanted)) in pods.into_iter().zip(ANNOTATIONS) {
        let all = pod["metadata"]["annotations"].as_object_mut().unwrap();
        all.retain(|name, _| annotations.contains(name) || !COMMON.contains(&name.as_str()));
        expect(&pod, wanted, annotations);
    }
}

/// Specs, and what follows of them.
const SPECS: &[(&str, &str)] = &[
    (
        "{revision: canary}",
        r#"proxy $CA_ADDR: "istiod-canary.istio-system.svc:15012"
        proxy $PROXY_CONFIG: "{\"discoveryAddress\":\"istiod-canary.istio-system.svc:15012\"}\n""#,
    ),
    (
        "{components: {cni: {enabled: true}}}",
        r#"init name: "istio-validation"
        init securityContext.runAsUser: 1337
        metadata.annotations.k8s\.v1\.cni\.cncf\.io/networks: "istio-cni"
        metadata.annotations.traffic\.sidecar\.istio\.io/excludeInboundPorts: "15020""#,
    ),
    (
        "{values: {global: {hub: h.io, tag: t, imagePullPolicy: Always, imagePullSecrets: [s], logAsJson: true, meshID: m, proxy: {clusterDomain: d, image: p, privileged: true}}}}",
        r#"proxy image: "h.io/p:t"
        proxy imagePullPolicy: "Always"
        proxy securityContext.privileged: true
        proxy --domain: "$(POD_NAMESPACE).svc.d"
        proxy $ISTIO_META_MESH_ID: "m"
        spec.imagePullSecrets: [{"name": "s"}]"#,
    ),
    (
        "{values: {global: {proxy: {resources: {limits: {cpu: 3000m}, requests: null}}}}, meshConfig: {defaultConfig: {concurrency: 0}}}",
        "proxy --concurrency: \"3\"\n proxy resources.limits.cpu: \"3\"",
    ),
    (
        "{values: {global: {proxy: {lifecycle: {preStop: {exec: {command: [a]}}}}}}}",
        r#"proxy lifecycle: {"preStop": {"exec": {"command": ["a"]}}}"#,
    ),
    (
        "{values: {global: {caName: GkeWorkloadCertificate, jwtPolicy: first-party-jwt}}}",
        r#"spec.volumes[name:gke-workload-certificate].csi: {"driver": "workloadcertificates.security.cloud.google.com"}
        spec.volumes[name:istio-token]: null
        proxy $JWT_POLICY: "first-party-jwt""#,
    ),
    (
        "{components: {pilot: {k8s: {env: [{name: PILOT_ENABLE_INBOUND_PASSTHROUGH, value: 'false'}]}}}}",
        "proxy $REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION: \"true\"",
    ),
    ("{meshConfig: {enablePrometheusMerge: false}}", r"metadata.annotations.prometheus\.io/port: null"),
    (
        "{values: {sidecarInjectorWebhook: {injectedAnnotations: {a: b}, templates: {own: 'metadata: {labels: {own: template}}'}, defaultTemplates: [sidecar, own]}}}",
        "metadata.labels.own: \"template\"\n metadata.annotations.a: \"b\"\n proxy name: \"istio-proxy\"",
    ),
];

#[test]
fn each_setting_of_an_installation_does_what_it_is_for() {
    for (installation, wanted) in SPECS {
        let pods = injected(installation, &pod("p", ""));
        expect(&pods[0], wanted, installation);
    }
}

#[test]
fn names_that_yaml_reads_as_something_else_stay_text() {
    let objects = ["sidecar", "gateway", "grpc-agent", "grpc-simple"].map(|template| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, annotations: {{inject.istio.io/templates: {template}, \
             apm.datadoghq.com/env: '{{\"Y\":\"1\"}}'}}}}\nspec: {{containers: [{{name: 'on', image: app}}]}}\n---\n"
        )
    });
    let installation = "{meshConfig: {defaultConfig: {proxyMetadata: {'N': '1'}}}, values: {global: \
        {imagePullSecrets: ['1e3'], proxy: {tracer: datadog}, sds: {token: {aud: '010'}}}}}";
    for pod in injected(installation, &objects.concat()) {
        let names = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        let containers = names(&pod["spec"]["containers"]);
        assert!(containers.iter().all(|name| ["on", "istio-proxy"].contains(&name.as_str())), "{containers:?}");
        assert!(names(&pod["spec"]["imagePullSecrets"]).iter().all(|name| name == "1e3"), "{pod}");
        if containers.len() == 2 {
            assert_eq!(at(&pod, "proxy $N"), "1", "{pod}");
            assert!(names(&at(&pod, "proxy env")).iter().all(|name| name != "true" && name != "false"), "{pod}");
            let token = at(&pod, "spec.volumes[name:istio-token].projected.sources[0].serviceAccountToken.audience");
            assert_eq!(token, "010");
        }
    }
}

#[test]
fn without_a_template_a_pods_own_annotations_and_init_containers_stay() {
    let objects = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: b, inject.istio.io/templates: gateway}}\n\
         spec: {containers: [{name: istio-proxy, image: auto}], initContainers: [{name: mine}]}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {sidecar.istio.io/interceptionMode: NONE}}\n\
         spec: {containers: [{name: a}], initContainers: [{name: mine}]}\n";
    let pods = injected("{}", objects);
    assert_eq!(pods[0]["metadata"]["annotations"]["a"], "b");
    assert_eq!(pods[0]["metadata"]["annotations"]["inject.istio.io/templates"], "gateway");
    for pod in &pods {
        assert_eq!(pod["spec"]["initContainers"], json!([{"name": "mine", "resources": {}}]));
    }
}

#[test]
fn files_from_the_config_maps_give_the_same_as_the_spec() {
    let test_folder = TestFolder::with(&[("operator.yaml", &spec("{revision: r1}")), ("objects.yaml", &pod("p", ""))]);
    let from_spec = test_folder.inject(&["--operatorFileName", "operator.yaml"]);
    let manifests = text(&test_folder.run(&["manifest", "generate", "-f", "operator.yaml"]).stdout);
    for document in parse_documents(&manifests, Duplicates::Refuse).unwrap() {
        let data = document.value["data"].as_object().cloned().unwrap_or_default();
        for key in ["config", "values", "mesh"] {
            if let Some(text) = data.get(key).and_then(Value::as_str) {
                std::fs::write(test_folder.0.path().join(key), text).unwrap();
            }
        }
    }
    let files = ["--injectConfigFile", "config", "--valuesFile", "values", "--meshConfigFile", "mesh", "-r", "r1"];
    assert_eq!(test_folder.inject(&files), from_spec);
    // A file has precedence over the spec.
    std::fs::write(test_folder.0.path().join("mesh"), "trustDomain: td").unwrap();
    let mixed = test_folder.inject(&["--operatorFileName", "operator.yaml", "--meshConfigFile", "mesh"]);
    assert_eq!(at(&parse(&mixed).unwrap(), "proxy $TRUST_DOMAIN"), "td");
}

#[test]
fn the_result_can_go_to_a_file_and_what_is_skipped_is_told() {
    let skipped =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true, containers: [{name: a}]}\n";
    let test_folder = TestFolder::with(&[("operator.yaml", &spec("{}")), ("objects.yaml", skipped)]);
    let args = ["kube-inject", "-f", "objects.yaml", "--operatorFileName", "operator.yaml", "-o", "out.yaml"];
    let output = test_folder.run(&args);
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(text(&output.stderr), "Warning: skipping injection: Pod p has host networking enabled\n");
    let written = std::fs::read_to_string(test_folder.0.path().join("out.yaml")).unwrap();
    assert!(written.contains("hostNetwork: true") && !written.contains("istio-proxy"), "{written}");
}

#[test]
fn an_annotation_that_makes_no_pod_is_named_with_what_it_wants() {
    for (annotation, why) in [
        ("proxy.istio.io/config: 'concurency: 3'", "concurency: unknown field \"concurency\" (did you mean"),
        ("proxy.istio.io/config: 'proxyMetadata: {A: true}'", "proxyMetadata.A: must be a string, not true"),
        ("proxy.istio.io/config: 'drainDuration: 1500ms'", "drainDuration: invalid value 1500ms: must be at least 1s"),
        ("sidecar.istio.io/proxyCPU: plenty", "want a quantity such as 100m or 1Gi"),
        ("sidecar.istio.io/proxyMemoryLimit: 1 Gi", "want a quantity such as 100m or 1Gi"),
    ] {
        let test_folder = TestFolder::with(&[("operator.yaml", &spec("{}")), ("objects.yaml", &pod("a", annotation))]);
        let output = test_folder.run(&["kube-inject", "-f", "objects.yaml", "--operatorFileName", "operator.yaml"]);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{annotation}");
        let name = annotation.split(':').next().unwrap();
        let message = text(&output.stderr);
        assert!(message.starts_with("Error: objects.yaml:3:56: Pod a: invalid value "), "{message}");
        assert!(message.contains(&format!("for annotation '{name}': {why}")), "{message}");
    }
}

#[test]
fn a_file_of_the_installation_that_cannot_be_read_is_named() {
    let files =
        [("--meshConfigFile", "mesh.yaml"), ("--valuesFile", "values.yaml"), ("--injectConfigFile", "config.yaml")];
    for (flag, file) in files {
        let test_folder =
            TestFolder::with(&[("operator.yaml", &spec("{}")), ("objects.yaml", &pod("a", "")), (file, "a: [\n")]);
        let output =
            test_folder.run(&["kube-inject", "-f", "objects.yaml", "--operatorFileName", "operator.yaml", flag, file]);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{flag}");
        assert!(text(&output.stderr).contains(&format!("{file}: ")), "{}", text(&output.stderr));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_nothing_is_printed() {
    let objects = pod("a", "status.sidecar.istio.io/port: many") + &pod("b", "inject.istio.io/templates: nope");
    let test_folder = TestFolder::with(&[
        ("operator.yaml", &spec("{}")),
        ("remote.yaml", &spec("{profile: remote}")),
        ("objects.yaml", &objects),
    ]);
    let fails = |args: &[&str]| {
        let output = test_folder.run(&[&["kube-inject", "-f", "objects.yaml"], args].concat());
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{args:?}");
        text(&output.stderr)
    };
    assert_eq!(
        fails(&["--operatorFileName", "operator.yaml"]),
        "Error: objects.yaml:3:56: Pod a: invalid value 'many' for annotation 'status.sidecar.istio.io/port': \"many\" is not a \
         port from 0 to 65535\nobjects.yaml:8:56: Pod b: requested template \"nope\" not found; have gateway, grpc-agent, \
         grpc-simple, sidecar\n"
    );
    assert!(fails(&["--operatorFileName", "remote.yaml"]).contains("has no ConfigMap istio-sidecar-injector"));
    assert!(fails(&[]).contains("there is no cluster to ask; give --operatorFileName"));
    assert!(fails(&["--operatorFileName", "absent.yaml"]).contains("absent.yaml"));
}

/// The names of a container's variables, in order.
fn variables(pod: &Value, container: &str) -> Vec<String> {
    let env = at(pod, &format!("spec.containers[name:{container}].env"));
    env.as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_further_template_adds_to_the_proxy_comes_last() {
    let template = "|\n      metadata: {annotations: {given: 'yes', empty: '', nothing: }}\n      spec:\n        containers:\n        \
                    - name: istio-proxy\n          env: [{name: FIRST, value: a}, {name: SECOND, value: b}, \
                    {name: TRUST_DOMAIN, value: mine}]\n";
    let installation = format!(
        "\n  values:\n    global: {{network: west}}\n    sidecarInjectorWebhook:\n     templates:\n      extra: {}",
        template.replace("\n      ", "\n        ")
    );
    let plain = &injected(&installation, &pod("p", ""))[0];
    let found = &injected(&installation, &pod("p", "inject.istio.io/templates: 'sidecar, extra'"))[0];
    let own = ["FIRST", "SECOND"];
    let (before, network): (Vec<_>, Vec<_>) =
        variables(plain, "istio-proxy").into_iter().partition(|n| !n.starts_with("ISTIO_META_NETWORK"));
    let (kept, set): (Vec<_>, Vec<_>) = variables(found, "istio-proxy").into_iter().partition(|n| before.contains(n));
    assert_eq!(kept, before, "the order of the first template stays");
    assert_eq!(set, [own.map(str::to_owned).to_vec(), network].concat());
    let names = variables(found, "istio-proxy");
    let place = |name: &str| names.iter().position(|n| n == name).unwrap();
    assert!(place("FIRST") > place("TRUST_DOMAIN"), "{names:?}");
    expect(found, "proxy $TRUST_DOMAIN: \"mine\"\nproxy $FIRST: \"a\"", "extra");
    let annotations = &found["metadata"]["annotations"];
    let given = ["given", "empty", "nothing"].map(|name| annotations.get(name).and_then(Value::as_str));
    assert_eq!(given, [Some("yes"), None, None]);
}

/// The releases in the cache folder of this machine, by version and folder.
fn real_releases() -> Vec<(String, String)> {
    let variable = |name| std::env::var_os(name).map(std::path::PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let folder = cache.unwrap_or_default().join("istio-operator/releases");
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = found.filter(|release| release.join("manifests/charts").is_dir());
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut found: Vec<_> = found.map(|path| (text(path.file_name().unwrap().as_ref()), text(&path))).collect();
    found.sort();
    found
}

fn minor(version: &str) -> u32 {
    version.split('.').nth(1).unwrap().parse().unwrap()
}

#[test]
fn real_releases_of_this_machine_inject_by_their_own_templates() {
    let releases = real_releases();
    if releases.is_empty() {
        eprintln!("no real releases: ~/.cache/istio-operator/releases has no VERSION/manifests; nothing is injected");
    }
    let template =
        "{metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: a, ports: [{containerPort: 80}]}]}}";
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{template: {template}}}\n---\n"
    );
    let objects = [
        deployment,
        pod("native", "sidecar.istio.io/nativeSidecar: 'true'"),
        pod("gateway", "inject.istio.io/templates: gateway"),
        pod("agent", "inject.istio.io/templates: grpc-agent"),
        pod("simple", "inject.istio.io/templates: grpc-simple"),
    ];
    for (version, folder) in releases {
        let spec = format!(
            "{{installPackagePath: '{folder}', hub: h, tag: {version}, meshConfig: {{defaultConfig: {{concurrency: 2}}}}}}"
        );
        check_pods(&version, &injected(&spec, &objects.concat()));
    }
}

/// What a release makes of a Deployment and of pods that ask for a native sidecar and for other templates.
fn check_pods(version: &str, made: &[Value]) {
    let web = &made[0]["spec"]["template"];
    let wanted = format!(
        r#"proxy image: "h/proxyv2:{version}"
        proxy args[0]: "proxy"
        proxy args[1]: "sidecar"
        proxy --log_output_level: "default:info"
        init image: "h/proxyv2:{version}"
        init args[0]: "istio-iptables"
        init -u: "1337"
        init -d: "15090,15021,15020"
        proxy $ISTIO_META_WORKLOAD_NAME: "web"
        metadata.labels.service\.istio\.io/canonical-name: "web""#
    );
    expect(web, &wanted, version);
    let carried = if minor(version) < 18 { "{}\n" } else { "{\"concurrency\":2}\n" };
    assert_eq!(at(web, "proxy $PROXY_CONFIG"), carried, "{version}");
    let names = |list: &str| -> Vec<String> {
        let list = made[1]["spec"][list].as_array().cloned().unwrap_or_default();
        list.iter().map(|container| container["name"].as_str().unwrap().to_owned()).collect()
    };
    let (before, beside) = if minor(version) >= NATIVE_SINCE {
        (vec!["istio-init", "istio-proxy"], vec!["app"])
    } else {
        (vec!["istio-init"], vec!["app", "istio-proxy"])
    };
    assert_eq!((names("initContainers"), names("containers")), (owned(&before), owned(&beside)), "{version}");
    assert_eq!(at(&made[2], "proxy args[1]"), "router", "{version}");
    assert_eq!(at(&made[3], "proxy $ISTIO_META_GENERATOR"), "grpc", "{version}");
    assert_eq!(at(&made[4], "spec.initContainers[0].name"), "grpc-bootstrap-init", "{version}");
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The minor release from which on a pod may ask for a native sidecar.
const NATIVE_SINCE: u32 = 24;

#[test]
fn folders_and_several_files_are_injected_in_order() {
    let test_folder = TestFolder::with(&[("operator.yaml", &spec("{}")), ("one.yaml", &pod("one", ""))]);
    let folder = test_folder.0.path().join("apps");
    std::fs::create_dir(&folder).unwrap();
    for (file, text) in [("b.yml", pod("b", "")), ("a.json", pod("a", "")), ("notes.txt", "no object".into())] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let args = ["kube-inject", "-f", "apps", "-f", "one.yaml", "--operatorFileName", "operator.yaml"];
    let out = text(&test_folder.run(&args).stdout);
    let made = parse_documents(&out, Duplicates::Refuse).unwrap();
    let names: Vec<String> = made.iter().map(|d| d.value["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["a", "b", "one"]);
    std::fs::create_dir(test_folder.0.path().join("none")).unwrap();
    let none = test_folder.run(&["kube-inject", "-f", "none", "--operatorFileName", "operator.yaml"]);
    assert_eq!(text(&none.stderr), "Error: none has no file that ends in .yaml, .yml or .json\n");
}

#[test]
fn an_input_that_is_no_object_and_an_empty_file_are_named() {
    let test_folder =
        TestFolder::with(&[("operator.yaml", &spec("{}")), ("objects.yaml", "hello world\n"), ("empty.yaml", "\n")]);
    let output = test_folder.run(&["kube-inject", "-f", "objects.yaml", "--operatorFileName", "operator.yaml"]);
    assert!(output.status.code() == Some(1) && output.stdout.is_empty());
    let want = "Error: objects.yaml:1:1: this is not a Kubernetes object: it must have apiVersion and kind\n";
    assert_eq!(text(&output.stderr), want);
    for (flag, key) in [("--injectConfigFile", "config"), ("--valuesFile", "values")] {
        let output = test_folder.run(&[
            "kube-inject",
            "-f",
            "objects.yaml",
            "--operatorFileName",
            "operator.yaml",
            flag,
            "empty.yaml",
        ]);
        let want = format!("Error: empty.yaml is empty; it must have the key `{key}` of the injector's ConfigMap\n");
        assert_eq!(text(&output.stderr), want);
    }
}

#[test]
fn a_cluster_is_named_as_for_all_commands() {
    let test_folder = TestFolder::with(&[("objects.yaml", &pod("p", ""))]);
    let output = test_folder.run(&["kube-inject", "-f", "objects.yaml", "-c", "absent.kubeconfig", "--context", "x"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("there is no cluster to ask; give --operatorFileName"), "{error}");
    assert!(error.contains("absent.kubeconfig"), "{error}");
}

#[test]
fn where_only_nodes_can_say_what_proxies_are_it_is_told() {
    let template = "spec: {containers: [{name: istio-proxy, tty: {{ .NativeSidecars }}}]}";
    let config = json!({"templates": {"sidecar": template}}).to_string();
    for (env, wanted) in [("[]", Some("false")), ("[{name: ENABLE_NATIVE_SIDECARS, value: 'true'}]", None)] {
        let operator = spec(&format!("{{components: {{pilot: {{k8s: {{env: {env}}}}}}}}}"));
        let test_folder = TestFolder::with(&[
            ("operator.yaml", &operator),
            ("objects.yaml", &pod("p", "")),
            ("config.json", &config),
        ]);
        let args = ["kube-inject", "-f", "objects.yaml", "--operatorFileName", "operator.yaml"];
        let output = test_folder.run(&[&args[..], &["--injectConfigFile", "config.json"]].concat());
        let error = text(&output.stderr);
        assert_eq!(
            error.starts_with("Warning: istiod makes proxies native sidecars where"),
            wanted.is_some(),
            "{error}"
        );
        let made = parse_documents(&text(&output.stdout), Duplicates::Refuse).unwrap();
        let is_native = at(&made[0].value, "proxy tty") == true;
        assert_eq!(is_native, wanted.is_none(), "{error}");
    }
}
