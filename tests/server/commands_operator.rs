//! `operator init`, `dump`, `remove` and `status`, as a person uses them on a cluster.

use crate::commands_revision::{nobody, run, run_as, said};
use crate::lab::{Lab, binary, file, touched};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Objects of manifests by kind, namespace and name.
fn objects(text: &str) -> BTreeMap<String, Value> {
    let documents = parse_documents(text, Duplicates::Refuse).unwrap();
    let values = documents.into_iter().map(|document| document.value).filter(|value| !value.is_null());
    let name =
        |value: &Value| format!("{} {}/{}", value["kind"], value["metadata"]["namespace"], value["metadata"]["name"]);
    values.map(|value| (name(&value), value)).collect()
}

#[test]
#[ignore = "long: `make test-all`"]
fn the_operator_is_deployed_as_its_dump_says_and_removed_again() {
    let lab = Lab::empty();
    let (dump, _) = said(&run(&lab, "operator dump"), 0);
    let kustomized = lab.kubectl(&["kustomize", &file("config/default").to_string_lossy()]);
    let (ours, theirs) = (objects(&dump), objects(&kustomized));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "both ways deploy the same");
    for (name, object) in &ours {
        // kustomize folds the texts of the CRD in its own way.
        let is_definition = object["kind"] == "CustomResourceDefinition";
        let of = |object: &Value| if is_definition { object["metadata"].clone() } else { object.clone() };
        assert_eq!(of(object), of(&theirs[name]), "{name}");
    }

    let (_, stderr) = said(&run(&lab, "operator remove -y"), 1);
    assert!(stderr.contains("Operator controller is not installed in istio-operator namespace"), "{stderr}");
    let (stdout, _) = said(&run(&lab, "operator init --dry-run"), 0);
    assert!(stdout.contains("Deployment istio-operator/istio-operator would be created\n"), "{stdout}");
    assert_eq!(lab.get("/api/v1/namespaces/istio-operator"), None);

    let folder = tempfile::tempdir().unwrap();
    let iop = folder.path().join("iop.yaml");
    let resource = |name: &str| {
        format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: {name}, namespace: mesh}}\n\
             spec: {{profile: minimal}}\n"
        )
    };
    // What is wrong with the resource is told before anything is done.
    std::fs::write(&iop, resource("main").replace("minimal", "demoo")).unwrap();
    let (_, stderr) = said(&run(&lab, &format!("operator init -f {}", iop.display())), 1);
    assert!(stderr.contains("demoo"), "{stderr}");
    assert_eq!(lab.get("/api/v1/namespaces/istio-operator"), None);
    std::fs::write(&iop, resource("main")).unwrap();
    let command = format!(
        "operator init --hub registry.example.com --imagePullSecrets s --watchedNamespaces mesh,other -f {}",
        iop.display()
    );
    let (stdout, _) = said(&run(&lab, &command), 0);
    assert_eq!(
        stdout,
        "Installing operator controller in namespace: istio-operator using image: registry.example.com/istio-operator:0.1.0\n\
         Operator controller will watch namespaces: mesh,other\n\
         ✔ Istio operator installed\n\
         ✔ IstioOperator mesh/main applied; see istio-operator operator status\n\
         ✔ Installation complete\n"
    );
    for namespace in ["mesh", "other"] {
        assert!(lab.get(&format!("/api/v1/namespaces/{namespace}")).is_some(), "{namespace}");
    }
    init_again(&lab);

    // A second one beside it leaves it alone, and goes without what the first one needs. A namespace of others stays as it is.
    said(&run(&lab, "operator init -r canary --operatorNamespace other"), 0);
    let (_, stderr) = said(&run(&lab, "operator init --operatorNamespace other"), 1);
    assert!(stderr.contains("ClusterRoleBinding istio-operator is of an operator of another namespace"), "{stderr}");
    let labels = lab.get("/api/v1/namespaces/other").unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels, json!({"kubernetes.io/metadata.name": "other"}));
    let (stdout, _) = said(&run(&lab, "operator remove -r canary -y --operatorNamespace other"), 0);
    assert!(stdout.contains("Removed Deployment:other:istio-operator-canary."), "{stdout}");
    assert!(!stdout.contains("ClusterRole:"), "{stdout}");

    // A resource that waits for the operator keeps it.
    lab.kubectl(&[
        "patch",
        "iop",
        "main",
        "-n",
        "mesh",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":["istio-finalizer.install.istio.io"]}}"#,
    ]);
    let (_, stderr) = said(&run(&lab, "operator remove -y"), 1);
    assert!(stderr.contains("could not be deleted without it: mesh/main; delete them first"), "{stderr}");
    let (stdout, _) = said(&run(&lab, "operator remove -r default -y"), 1);
    assert_eq!(stdout, "", "the operator of no revision works on all");
    let (stdout, _) = said(&run(&lab, "operator remove --force"), 1);
    assert_eq!(stdout, "Cancelled.\n");
    // What is called alike is somebody else's.
    let exporter = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istio-operator-exporter, namespace: istio-operator}\n\
        spec: {replicas: 0, selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: \
        [{name: exporter, image: x}]}}}\n";
    lab.apply(exporter);
    let (stdout, _) = said(&run(&lab, "operator remove --purge --force -y"), 0);
    assert!(stdout.ends_with("✔ Removal complete\n"), "{stdout}");
    lab.kubectl(&["delete", "deployment", "istio-operator-exporter", "-n", "istio-operator"]);
    for gone in ["deployments", "services", "serviceaccounts"] {
        let left = lab.kubectl(&["get", gone, "-n", "istio-operator", "-o", "name"]);
        assert!(!left.contains("istio-operator"), "{left}");
    }
    let roles = lab.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
    assert!(!roles.contains("istio-operator"), "{roles}");
    assert!(lab.get("/apis/install.istio.io/v1alpha1/namespaces/mesh/istiooperators/main").is_some());
    lab.kubectl(&["patch", "iop", "main", "-n", "mesh", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);

    let nobody = nobody(&lab, folder.path());
    for command in ["operator init", "operator remove -y", "operator status"] {
        let (_, stderr) = said(&run_as(nobody.as_os_str(), command), 1);
        assert!(stderr.contains("forbidden") && stderr.lines().count() == 1, "{command}: {stderr}");
    }
}

/// What no flag says stays as it is, and what changes is told.
fn init_again(lab: &Lab) {
    let deployment = "/apis/apps/v1/namespaces/istio-operator/deployments/istio-operator";
    let before = lab.get(deployment).unwrap();
    let (stdout, _) = said(&run(lab, "operator init"), 0);
    let begin = "Operator controller is already installed in istio-operator namespace.\n\
         Upgrading operator controller in namespace: istio-operator using image: registry.example.com/istio-operator:0.1.0\n\
         Operator controller will watch namespaces: mesh,other\n✔";
    assert!(stdout.starts_with(begin), "{stdout}");
    assert_eq!(lab.get(deployment).unwrap()["spec"], before["spec"]);
    let (stdout, _) = said(&run(lab, "operator init --tag 0.2.0 --dry-run"), 0);
    let image =
        "image: \"registry.example.com/istio-operator:0.1.0\" -> \"registry.example.com/istio-operator:0.2.0\"\n";
    assert!(
        stdout.contains("Deployment istio-operator/istio-operator changes:\n") && stdout.contains(image),
        "{stdout}"
    );
}

#[test]
fn the_status_of_a_resource_says_what_waits_and_who_reconciles_it() {
    let lab = Lab::installed("{profile: minimal}");
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]);
    lab.wait_for_use("main", true, "UsedByNamespaces");
    let (stdout, _) = said(&run(&lab, "operator status main -n istio-system -o json"), 0);
    let state: Value = serde_json::from_str(&stdout).unwrap();
    let main = &state["resources"][0];
    assert_eq!(
        (&main["name"], &main["status"], &main["usedBy"]["namespaces"][0]),
        (&"main".into(), &"HEALTHY".into(), &"shop".into())
    );
    let objects = main["objects"].as_array().unwrap();
    assert!(objects.len() > 40 && objects.iter().all(|object| object["health"] == "ready"), "{main:#}");
    let (stdout, _) = said(&run(&lab, "operator status -o table"), 0);
    let counts = format!("{0}/{0}", objects.len());
    let line: Vec<&str> = stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(line[..7], ["istio-system", "main", "default", "minimal", "1.17.8", "HEALTHY", &counts], "{stdout}");

    // It is drawn again when something changes.
    let mut watching = Command::new(binary())
        .args(["operator", "status", "--watch"])
        .env("KUBECONFIG", lab.plane().kubeconfig())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("IstioOperator istio-system/main: HEALTHY")));
    lab.apply_spec("{profile: none-such}");
    let is_drawn = lines.any(|line| line.starts_with("IstioOperator istio-system/main: ERROR"));
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(is_drawn);
    lab.wait_for_status("ERROR", &[]);
    said(&run(&lab, "operator status"), 1);
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    said(&run(&lab, "operator status main --exit-code"), 0);

    lab.kill_operator();
    lab.kubectl(&["delete", "deployment", "istiod", "-n", "istio-system"]);
    lab.apply_spec("{profile: minimal, tag: 1.17.9}");
    said(&run(&lab, "operator status"), 0);
    let (stdout, _) = said(&run(&lab, "operator status --exit-code"), 1);
    for told in [
        "! it is not known whether an operator reconciles this resource: there is no Lease",
        "✘ Deployment istio-system/istiod: is not there",
        "used by: 1 namespaces (shop)",
    ] {
        assert!(stdout.contains(told), "{told} is not in\n{stdout}");
    }
    let (_, stderr) = said(&run(&lab, "operator status second"), 1);
    assert!(stderr.contains("there is no IstioOperator \"second\" in any namespace"), "{stderr}");
}

/// Complaint: nobody could tell beforehand what a takeover does to an installation that serves.
#[test]
#[ignore = "long: `make test-all`"]
fn what_kubectl_installed_is_adopted_without_a_restart_as_was_told() {
    let lab = Lab::without_operator();
    let folder = tempfile::tempdir().unwrap();
    let iop = folder.path().join("iop.yaml");
    let head = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n";
    std::fs::write(
        &iop,
        format!("{head}metadata: {{name: main, namespace: istio-system}}\nspec: {{profile: minimal}}\n"),
    )
    .unwrap();
    let (manifest, _) = said(&run(&lab, "manifest generate --set profile=minimal"), 0);
    let (definitions, others): (Vec<_>, Vec<_>) =
        objects(&manifest).into_values().partition(|object| object["kind"] == "CustomResourceDefinition");
    let list = |items: Vec<Value>| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    lab.apply_with(&["--server-side"], &list(definitions));
    lab.wait_established(&["crd/envoyfilters.networking.istio.io"]);
    lab.apply(&list(others));
    lab.kubectl(&["rollout", "status", "deployment", "istiod", "-n", "istio-system", "--timeout=60s"]);
    let before = lab.deployment("istiod").unwrap();

    let command = |flags: &str| format!("operator adopt -f {} {flags}", iop.display());
    let (stdout, _) = said(&run(&lab, &command("--dry-run -o json")), 0);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["restarts"], &report["unknown"]), (&json!([]), &json!([])), "{report:#}");
    let pieces = report["objects"].as_array().unwrap();
    let istiod = pieces.iter().find(|piece| piece["object"] == "Deployment istio-system/istiod").unwrap();
    let fields = istiod["takenOver"]["kubectl-client-side-apply"].as_array().unwrap();
    assert!(fields.contains(&".spec.template.spec.serviceAccountName".into()), "{istiod:#}");
    let changed: Vec<&str> = istiod["changed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(changed.iter().any(|path| path.ends_with("owning-resource-namespace")), "{changed:#?}");
    assert!(changed.iter().all(|path| path.starts_with(".metadata.")), "only who has it changes: {changed:#?}");
    let paths: std::collections::BTreeSet<&str> = changed.iter().copied().collect();
    assert_eq!(paths.len(), changed.len(), "each field is told once: {changed:#?}");
    assert_eq!(lab.deployment("istiod").unwrap()["metadata"], before["metadata"], "a dry run writes nothing");

    let (stdout, _) = said(&run(&lab, &command("-o yaml --force")), 1);
    assert!(stdout.ends_with("Cancelled.\n"), "{stdout}");
    // One without leader election would have no Lease.
    let (_, stderr) = said(&run(&lab, &command("-y")), 1);
    assert!(
        stderr.contains("it is not known whether an operator works, and two must not: there is no Lease"),
        "{stderr}"
    );
    let (stdout, stderr) = said(&run(&lab, &command("-y --force")), 0);
    assert!(stdout.contains("\nNo pod restarts.\n"), "{stdout}");
    assert!(stdout.ends_with("✔ Everything of IstioOperator istio-system/main is taken over, and ready\n"), "{stdout}");
    assert!(stderr.contains("No operator reconciles it yet"), "{stderr}");
    let after = lab.deployment("istiod").unwrap();
    assert_eq!(after["spec"], before["spec"], "no pod restarts");
    assert_eq!(after["metadata"]["labels"]["install.operator.istio.io/owning-resource"], "main");
    let managers = after["metadata"]["managedFields"].to_string();
    assert!(!managers.contains("kubectl-client-side-apply"), "{managers}");

    // What one resource has another one leaves to it, as was told.
    let rest = lab.owned_at_rest();
    let text = format!(
        "{head}metadata: {{name: other, namespace: istio-system}}\nspec: {{profile: minimal, revision: canary}}\n"
    );
    let other = folder.path().join("other.yaml");
    std::fs::write(&other, text).unwrap();
    let (stdout, _) = said(&run(&lab, &format!("operator adopt -f {} -y --force", other.display())), 0);
    assert!(stdout.lines().any(|line| line.contains("ClusterRole ") && line.contains("is left alone")), "{stdout}");
    let canary = lab.deployment("istiod-canary").unwrap();
    let owner = |object: &Value| object["metadata"]["labels"]["install.operator.istio.io/owning-resource"].clone();
    assert_eq!(owner(&canary), "other");
    let shared = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-reader-clusterrole-istio-system";
    assert_eq!(owner(&lab.get(shared).unwrap()), "main");
    assert_eq!(touched(&rest, &lab.owned()), std::collections::BTreeSet::new());

    // The operator finds everything as it wants it.
    let rest = lab.owned_at_rest();
    let (stdout, _) = said(&run(&lab, "operator status"), 0);
    assert!(stdout.contains("operator reconciles this resource: there is no Lease"), "{stdout}");
    let _operator = lab.start_another("leading", &["--leader-election-namespace=istio-operator"]);
    lab.wait_for_status("HEALTHY", &[]);
    lab.wait_for_status_of("other", "HEALTHY", &[]);
    assert_eq!(touched(&rest, &lab.owned()), std::collections::BTreeSet::new());
    let (stdout, _) = said(&run(&lab, "operator status"), 0);
    assert!(
        stdout.starts_with("IstioOperator istio-system/main: HEALTHY ") && !stdout.contains("reconciles"),
        "{stdout}"
    );
    lab.annotate("main", "install.istio.io/ignoreReconcile=true");
    let (stdout, _) = said(&run(&lab, "operator adopt main -y"), 0);
    assert!(stdout.contains("The operator takes IstioOperator istio-system/main over"), "{stdout}");
    assert!(stdout.contains("\n✔ IstioOperator istio-system/main: HEALTHY"), "{stdout}");
    // What the operator then says of it counts.
    let text = format!(
        "{head}metadata: {{name: late, namespace: istio-system, annotations: {{install.istio.io/release: 1.17.99}}}}\n\
         spec: {{profile: minimal, revision: late}}\n"
    );
    std::fs::write(&other, text).unwrap();
    let (stdout, stderr) = said(&run(&lab, &format!("operator adopt -f {} -d 1.17.8 -y", other.display())), 1);
    assert!(stdout.contains("The operator takes IstioOperator istio-system/late over"), "{stdout}");
    assert!(stderr.contains("IstioOperator istio-system/late: ACTION_REQUIRED"), "{stderr}");
    lab.delete("late");
    assert_eq!(lab.iop("main").unwrap()["metadata"]["annotations"]["install.istio.io/ignoreReconcile"], Value::Null);
    // Two resources of one revision would write the same objects.
    let text = format!("{head}metadata: {{name: twin, namespace: istio-system}}\nspec: {{profile: minimal}}\n");
    std::fs::write(&iop, text).unwrap();
    let (_, stderr) = said(&run(&lab, &command("-y")), 1);
    assert!(stderr.contains("IstioOperator istio-system/main is of revision default too"), "{stderr}");
    assert!(lab.iop("twin").is_none());
    let (_, stderr) = said(&run(&lab, "operator adopt second --dry-run"), 1);
    assert!(stderr.contains("there is no IstioOperator istio-system/second"), "{stderr}");
}
