//! Argo CD and Flux: their rules of health, replayed over what a resource's status really goes through.
//!
//! Argo CD reads `.status.status` alone; Flux reads what kstatus does: `observedGeneration`, then conditions. What a watch
//! delivered is judged, all of it, so that no passing state goes unseen.

use crate::lab::{Lab, file};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Argo CD's health of a resource of this kind.
fn argo(resource: &Value) -> &'static str {
    if !resource["metadata"]["deletionTimestamp"].is_null() {
        return "Progressing";
    }
    let status = &resource["status"]["status"];
    match (status.as_str(), status.as_i64()) {
        (Some("NONE"), _) | (_, Some(0)) => "Unknown",
        (Some("HEALTHY"), _) | (_, Some(3)) => "Healthy",
        (Some("ERROR"), _) | (_, Some(4)) => "Degraded",
        _ => "Progressing",
    }
}

/// What kstatus computes, and Flux waits for.
fn kstatus(resource: &Value) -> &'static str {
    if !resource["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    let status = &resource["status"];
    if let Some(observed) = status.get("observedGeneration")
        && *observed != resource["metadata"]["generation"]
    {
        return "InProgress";
    }
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let is =
        |kind: &str| conditions.iter().find(|c| c["type"] == kind).map(|c| c["status"].as_str().unwrap_or_default());
    match (is("Reconciling"), is("Stalled"), is("Ready")) {
        (Some("True"), ..) => "InProgress",
        (_, Some("True"), _) => "Failed",
        (.., Some("True") | None) => "Current",
        _ => "InProgress",
    }
}

/// Everything that a watch tells of the resource `main`.
struct Watch {
    kubectl: Child,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Watch {
    fn start(lab: &Lab) -> Self {
        let mut command = Command::new(lab.plane().kubectl_path());
        command.env("KUBECONFIG", lab.plane().kubeconfig()).stdout(Stdio::piped()).stderr(Stdio::null());
        let path = "/apis/install.istio.io/v1alpha1/namespaces/istio-system/istiooperators?watch=true&fieldSelector=metadata.name%3Dmain";
        let mut kubectl = command.args(["get", "--raw", path]).spawn().unwrap();
        let seen = Arc::new(Mutex::new(vec![]));
        let (all, lines) = (Arc::clone(&seen), BufReader::new(kubectl.stdout.take().unwrap()).lines());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap();
                all.lock().unwrap().push(event["object"].clone());
            }
        });
        Self { kubectl, seen }
    }

    /// What has been seen until a state was there that is this.
    fn until(&self, lab: &Lab, what: &str, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        lab.wait(what, || {
            let mut seen = self.seen.lock().unwrap();
            let end = seen.iter().position(&is_it).ok_or_else(|| format!("{:?}", seen.last()))?;
            Ok(seen.drain(..=end).collect())
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

/// The healths one after the other, without repetitions.
fn course(states: &[Value], health: fn(&Value) -> &'static str) -> Vec<&'static str> {
    let mut all: Vec<_> = states.iter().map(health).collect();
    all.dedup();
    all
}

fn gateway(name: &str) -> String {
    let gateway = json!({"name": name, "enabled": true});
    json!({"profile": "empty", "components": {"ingressGateways": [gateway]}}).to_string()
}

#[test]
fn argo_cd_and_flux_see_an_installation_go_forward_and_never_fail() {
    let lab = Lab::start();
    let watch = Watch::start(&lab);
    lab.apply_spec(&gateway("first"));
    let is_done = |r: &Value| argo(r) == "Healthy" && kstatus(r) == "Current" && r["status"]["status"] == "HEALTHY";
    let states = watch.until(&lab, "an installation", is_done);
    assert_eq!(course(&states, argo), ["Progressing", "Healthy"]);
    // What has no status yet is current to kstatus; the first write comes at once.
    assert!(matches!(*course(&states, kstatus), ["Current", "InProgress", "Current"] | ["InProgress", "Current"]));
    lab.apply_spec(&gateway("second"));
    let states = watch.until(&lab, "a change", |r| is_done(r) && r["metadata"]["generation"] == 2);
    let blind: Vec<_> =
        states.iter().filter(|r| kstatus(r) == "Current" && r["status"]["observedGeneration"] != 2).collect();
    assert!(blind.is_empty(), "an old result is taken for that of a new spec: {blind:#?}");
    assert!(course(&states, argo).iter().all(|health| *health != "Degraded"), "{:?}", course(&states, argo));
    assert!(course(&states, argo).contains(&"Progressing"), "{:?}", course(&states, argo));
}

#[test]
fn argo_cd_and_flux_see_that_a_spec_is_wrong_and_that_it_was_mended() {
    let lab = Lab::installed(&gateway("first"));
    let watch = Watch::start(&lab);
    lab.apply_spec("{profile: nonsense}");
    let failed = |r: &Value| argo(r) == "Degraded" && kstatus(r) == "Failed";
    let states = watch.until(&lab, "an error", failed);
    assert_eq!(
        states.last().unwrap()["status"]["observedGeneration"],
        states.last().unwrap()["metadata"]["generation"]
    );
    lab.apply_spec(&gateway("first"));
    watch.until(&lab, "to be mended", |r| argo(r) == "Healthy" && kstatus(r) == "Current");
}

#[test]
fn a_resource_that_goes_is_progressing_and_terminating_until_it_is_gone() {
    let lab = Lab::installed(&gateway("first"));
    let watch = Watch::start(&lab);
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--wait=false"]);
    let goes = |r: &Value| r["metadata"]["deletionTimestamp"].is_string();
    let states = watch.until(&lab, "the deletion", goes);
    let last = states.last().unwrap();
    assert_eq!((argo(last), kstatus(last)), ("Progressing", "Terminating"));
    lab.wait("its end", || lab.iop("main").map_or(Ok(()), |r| Err(r["status"].to_string())));
}

/// One application may hold definition and resource: the former comes first, and neither tool may need more than one try of
/// what it cannot know yet.
#[test]
fn a_sync_that_has_the_definition_before_the_resource_takes_both() {
    let lab = Lab::start();
    let definition = file("crds/istiooperators.install.istio.io.yaml");
    lab.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &definition.to_string_lossy()]);
    let live =
        lab.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/istiooperators.install.istio.io").unwrap();
    let kept = &live["metadata"]["annotations"];
    assert_eq!(kept["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
    assert_eq!(kept["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    // Both tools apply server-side with a manager of their own, and find nothing to do afterwards.
    let resource = format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: main, namespace: istio-system}}\nspec: {}\n",
        gateway("first")
    );
    for manager in ["argocd-controller", "kustomize-controller"] {
        lab.apply_with(&["--server-side", "--force-conflicts", &format!("--field-manager={manager}")], &resource);
    }
    lab.wait_for_status("HEALTHY", &[]);
    let before = lab.iop("main").unwrap()["metadata"]["resourceVersion"].clone();
    lab.apply_with(&["--server-side", "--field-manager=argocd-controller"], &resource);
    assert_eq!(
        lab.iop("main").unwrap()["metadata"]["resourceVersion"],
        before,
        "a sync of what is there writes nothing"
    );
}
