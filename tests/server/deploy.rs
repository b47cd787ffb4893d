//! The manifests of `config/`: applied over upstream's operator, and removed again.

use crate::controlplane::operator::Operator;
use crate::lab::{Lab, binary, file};
use serde_json::{Value, json};
use std::process::Command;

pub const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/istio-operator/deployments/istio-operator";

/// What upstream's command line leaves in the cluster, but for its roles.
pub fn upstreams() -> Value {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let container = json!({
        "name": "istio-operator", "image": "docker.io/istio/operator:1.17.8",
        "command": ["operator", "server", "--monitoring-host=127.0.0.1", "--monitoring-port=15014"],
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "privileged": false,
            "readOnlyRootFilesystem": true, "runAsGroup": 1337, "runAsUser": 1337, "runAsNonRoot": true},
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"cpu": "200m", "memory": "256Mi"}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        "env": [
            {"name": "WATCH_NAMESPACE", "value": "istio-system"},
            {"name": "LEADER_ELECTION_NAMESPACE", "value": "istio-operator"},
            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
            {"name": "OPERATOR_NAME", "value": "istio-operator"},
            {"name": "WAIT_FOR_RESOURCES_TIMEOUT", "value": "300s"},
            {"name": "REVISION", "value": ""},
        ],
    });
    let labels = json!({"name": "istio-operator"});
    let meta = json!({"name": "istio-operator", "namespace": "istio-operator"});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-operator"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                "spec": {"serviceAccountName": "istio-operator", "containers": [container]}}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-operator", "namespace": "istio-operator",
            "labels": labels}, "spec": {"ports": [{"name": "http-metrics", "port": 8383, "targetPort": 8383,
            "protocol": "TCP"}], "selector": labels}},
    ]})
}

/// Starts the operator as the kubelet would for this Deployment.
pub fn run_as_deployed(lab: &Lab, deployment: &Value, round: usize) -> Operator {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["/istio-operator"]), "the image has nothing else");
    let mut variables: Vec<(String, String)> = vec![];
    for variable in container["env"].as_array().unwrap() {
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.namespace") => "istio-operator".to_owned(),
            Some("metadata.name") => format!("pod-{round}"),
            Some(other) => panic!("{other}"),
            None => variable["value"].as_str().unwrap_or_default().to_owned(),
        };
        variables.push((variable["name"].as_str().unwrap().to_owned(), value));
    }
    let expand = |text: &str| {
        variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
    };
    let mut command = Command::new(binary());
    let args = container["args"].as_array().unwrap().iter().map(|arg| expand(arg.as_str().unwrap()));
    // What it says is read as text here.
    command.args(args.filter(|arg| !arg.starts_with("--log-format")));
    command.envs(variables.clone()).env("KUBECONFIG", lab.account());
    let folder = lab.plane().dir().unwrap();
    let mut operator = Operator::begin_as(command, folder).unwrap();
    operator.wait_until_ready().unwrap();
    operator
}

/// Waits until so many pods of the operator are ready: the namespace allows only what is `restricted`.
pub fn wait_for_pods(lab: &Lab, count: i64) {
    lab.wait("the operator's pods", || {
        let deployment = lab.get(DEPLOYMENT).ok_or("no Deployment")?;
        let (status, generation) = (&deployment["status"], &deployment["metadata"]["generation"]);
        let is_done = status["observedGeneration"] == *generation && status["updatedReplicas"] == count;
        if is_done && status["readyReplicas"] == count { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
#[ignore = "long: `make test-all`"]
fn it_is_applied_over_upstreams_operator_in_any_way() {
    let lab = Lab::without_operator();
    let config = file("config/default");
    let config = config.to_string_lossy();
    let theirs = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(theirs.path(), upstreams().to_string()).unwrap();
    let theirs = theirs.path().to_string_lossy();
    let ways: [(&[&str], &[&str]); 4] = [
        (&["create", "-f", &theirs], &["apply", "-k", &config]),
        (&["apply", "-f", &theirs], &["apply", "-k", &config]),
        (&["create", "-f", &theirs], &["apply", "--server-side", "--force-conflicts", "-k", &config]),
        (
            &["apply", "--server-side", "--field-manager=istio-operator", "-f", &theirs],
            &["apply", "--server-side", "--force-conflicts", "-k", &config],
        ),
    ];
    for (round, (before, after)) in ways.into_iter().enumerate() {
        lab.kubectl(&["delete", "namespace", "istio-operator", "--timeout=60s"]);
        lab.kubectl(before);
        lab.kubectl(after);
        let deployment = lab.get(DEPLOYMENT).unwrap();
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, "istio-operator:0.1.0", "{before:?} {after:?}");
        let namespace = lab.get("/api/v1/namespaces/istio-operator").unwrap();
        assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
        wait_for_pods(&lab, 2);
        lab.log_in_as_operator();
        let operator = run_as_deployed(&lab, &deployment, round);
        let lease = "/apis/coordination.k8s.io/v1/namespaces/istio-operator/leases/istio-operator-lock";
        assert_eq!(lab.get(lease).unwrap()["spec"]["holderIdentity"], format!("pod-{round}"));
        assert_eq!(operator.terminate().unwrap().code(), Some(0));
    }
}

/// Issue: removed all at once, resources and their definition stay for ever, for nobody is left to let go of them.
#[test]
fn it_is_removed_as_the_readme_says() {
    let lab = Lab::installed("{profile: minimal}");
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/istiooperators.install.istio.io";
    let annotations = lab.get(path).unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    // In the order, and in the words, of the README.
    let readme = std::fs::read_to_string(file("README.md")).unwrap();
    let section = readme.split("## Remove it").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    kubectl ")).collect();
    assert_eq!(commands.len(), 3, "{section}");
    for (number, command) in commands.into_iter().enumerate() {
        let words: Vec<&str> = command.split('#').next().unwrap().split_whitespace().collect();
        lab.kubectl(&[&words[..], &["--timeout=90s"]].concat());
        if number == 0 {
            assert_eq!(lab.deployment("istiod"), None);
            assert_eq!(lab.terminate_operator(), Some(0));
        }
    }
    assert_eq!(lab.get(path), None);
    assert_eq!(lab.get("/api/v1/namespaces/istio-operator"), None);
    assert!(lab.get("/api/v1/namespaces/istio-system").is_some());
}
