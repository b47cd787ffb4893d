//! The operator ends in the middle, or begins beside what is there.

use crate::dice::from_environment;
use crate::lab::{Inventory, Lab, missing_in};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
#[ignore = "long: `make test-all`"]
fn an_operator_killed_in_the_middle_finishes_after_its_restart() {
    let lab = Lab::start();
    lab.apply_spec("{profile: demo}");
    lab.wait("the first Deployment", || lab.deployment("istiod").map(drop).ok_or_else(|| "none yet".into()));
    lab.kill_operator();
    assert_eq!(lab.deployment("istio-egressgateway"), None, "killed too late to show anything");

    lab.start_operator();
    lab.wait_for_status("HEALTHY", &[]);
    let before = lab.owned_at_rest();
    assert_eq!(before.keys().cloned().collect::<Vec<_>>(), Vec::from_iter(lab.wanted("{profile: demo}")));
    assert_eq!(
        replica_sets(&lab),
        BTreeMap::from(["istio-egressgateway", "istio-ingressgateway", "istiod"].map(|name| (name.to_owned(), 1)))
    );
}

#[test]
fn a_restart_on_a_healthy_cluster_writes_nothing() {
    // What the API server writes otherwise than we do is not a difference either.
    let lab = Lab::installed(ODD);
    lab.owned_at_rest();
    assert_eq!(lab.terminate_operator(), Some(0));
    let (before, resource, mark) = (lab.owned_at_rest(), lab.iop("main"), lab.mark());
    let elects = ["--leader-election-namespace=istio-operator", "--renew-deadline=10s"];
    lab.watch_over(lab.start_another("elected", &elects));
    lab.wait("the first pass", || match lab.metric("istio_install_operator_reconcile_total{result=\"ok\"}") {
        0 => Err("no pass yet".into()),
        _ => Ok(()),
    });
    let after = lab.owned_at_rest();
    // A pass over what has not changed.
    lab.annotate("main", "look=again");
    lab.wait("one more pass", || match lab.metric("istio_install_operator_reconcile_total{result=\"ok\"}") {
        0 | 1 => Err("no pass yet".into()),
        _ => Ok(()),
    });
    nothing_is_written_for_a_while(&lab, mark);
    assert_eq!(changed(&before, &after), Vec::<&str>::new());
    assert_eq!(lab.iop("main").unwrap()["status"], resource.unwrap()["status"]);
}

/// Complaints: what a resource had installed was left (istio#23280, #29066, #31274, #35657) where labels did not tell.
#[test]
fn the_inventory_outlives_the_operator_and_labels() {
    let lab = Lab::installed("{profile: demo}");
    assert_eq!(lab.terminate_operator(), Some(0));
    let edit = |args: &[&str]| lab.kubectl(&[args, &["-n", "istio-system"]].concat());
    let (owner, component) = ("install.operator.istio.io/owning-resource-", "operator.istio.io/managed-");
    edit(&["label", "service", "istio-egressgateway", owner, component]);
    edit(&["annotate", "serviceaccount", "istio-egressgateway-service-account", "install.istio.io/prune=false"]);
    edit(&["annotate", "poddisruptionbudget", "istio-egressgateway", "install.istio.io/prune=False"]);
    lab.apply_spec("{profile: default}");
    lab.start_operator();
    lab.wait_for_status("HEALTHY", &[]);
    let path = |kind: &str, name: &str| format!("/api/v1/namespaces/istio-system/{kind}/{name}");
    assert_eq!(lab.get(&path("services", "istio-egressgateway")), None, "it lost its labels, not its owner");
    assert_eq!(lab.deployment("istio-egressgateway"), None);
    lab.delete("main");
    let left: Vec<_> = lab.owned().into_keys().filter(|k| !k.starts_with("CustomResourceDefinition ")).collect();
    let kept = [
        "PodDisruptionBudget istio-system/istio-egressgateway",
        "ServiceAccount istio-system/istio-egressgateway-service-account",
    ];
    assert_eq!(left, kept, "they were to be kept");
}

/// But the Lease. `STEADY` is for how many seconds.
fn nothing_is_written_for_a_while(lab: &Lab, mark: u64) {
    let end = Instant::now() + Duration::from_secs(from_environment("STEADY", 20));
    while Instant::now() < end {
        let writes = lab.writes_since(mark);
        if !writes.is_empty() {
            lab.fail(&format!("written beside the Lease: {writes:#?}"));
        }
        // The passing of time is what this is about.
        std::thread::sleep(Duration::from_secs(1));
    }
    let leases = lab.requests_since(mark).into_iter().filter(|request| request.starts_with("update leases")).count();
    assert!(leases > 0, "the Lease is written, and the audit log says so");
}

/// Values that are stored in another form than they are sent, or not at all.
const ODD: &str = r#"{profile: demo, components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {
    service: {type: NodePort, ports: [{name: status-port, port: 15021}, {name: http2, port: 80, targetPort: 0},
        {name: https, port: 443, targetPort: 8443, nodePort: 0, protocol: TCP}]},
    resources: {requests: {cpu: "0.5", memory: 1024Mi}, limits: {cpu: 2000m, memory: "1073741824"}},
    env: [{name: EMPTY, value: ""}, {name: NUMBER, value: "1"}],
    podAnnotations: {}, tolerations: [], nodeSelector: {}, affinity: {},
    hpaSpec: {minReplicas: 1, maxReplicas: 5,
        metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]},
    strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: "0%"}}}}]}}"#;

/// How many ReplicaSets each Deployment has.
fn replica_sets(lab: &Lab) -> BTreeMap<String, usize> {
    let all = lab.get("/apis/apps/v1/namespaces/istio-system/replicasets").unwrap();
    let mut counts = BTreeMap::new();
    for set in all["items"].as_array().unwrap() {
        *counts.entry(set["metadata"]["ownerReferences"][0]["name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// What was added, removed, or written in any way.
fn changed<'a>(before: &'a Inventory, after: &'a Inventory) -> Vec<&'a str> {
    let written = before.iter().filter(|(k, a)| after.get(*k).is_some_and(|b| b != *a)).map(|(k, _)| k.as_str());
    written.chain(missing_in(before, after)).chain(missing_in(after, before)).collect()
}
