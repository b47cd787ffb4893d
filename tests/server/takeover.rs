//! A cluster that another operator has installed, and operators that follow each other.

use crate::controlplane::operator::Operator;
use crate::lab::{Lab, touched};
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const EARLIER: &str = "kubectl.kubernetes.io/last-applied-configuration";
const CONFIG: &str = "/api/v1/namespaces/istio-system/configmaps/istio";

/// What upstream's operator leaves: every object applied by its field manager, with the labels of its owner, and with the
/// whole of itself in an annotation.
pub fn as_upstream_left_it(lab: &Lab) {
    let version = lab.get("/version").unwrap();
    let text = |field: &str| version[field].as_str().unwrap().to_owned();
    let cluster_info =
        ClusterInfo { version: Some((text("gitVersion"), text("major"), text("minor"))), ..ClusterInfo::default() };
    let resource = json!({"metadata": {"name": "main", "namespace": "istio-system"}, "spec": {"profile": "default"}});
    let manifests = render::from_resource(&resource, &cluster_info, &Package::embedded().unwrap()).unwrap();
    let objects = manifests.parts.into_iter().flat_map(|part| part.objects).map(|object| {
        let mut value = object.value().into_owned();
        let whole = value.to_string();
        value["metadata"]["annotations"][EARLIER] = whole.into();
        value
    });
    let is_definition = |o: &Value| o["kind"] == "CustomResourceDefinition";
    let (definitions, others): (Vec<Value>, Vec<Value>) = objects.partition(is_definition);
    for group in [definitions, others] {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": group}).to_string();
        lab.apply_with(&["--server-side", "--force-conflicts", "--field-manager=istio-operator"], &list);
        lab.wait_established(&["crd/envoyfilters.networking.istio.io"]);
    }
}

fn edit_config(lab: &Lab, manager: &str, data: &Value) {
    let path = format!("{CONFIG}?fieldManager={manager}");
    let mut config = lab.get(CONFIG).unwrap();
    config["data"].as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    lab.request("PUT", &path, &config).unwrap();
}

/// Complaints: fields that nobody wants any more stayed for ever (istio#31028, #42068), and what an older version had
/// installed was never pruned (istio#20329).
#[test]
fn what_upstreams_operator_installed_is_adopted_in_place() {
    let lab = Lab::without_operator();
    as_upstream_left_it(&lab);
    let left_over = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "of-1-16", "namespace": "istio-system", "labels": {
        "operator.istio.io/managed": "Reconcile", "operator.istio.io/version": "1.16.0", "operator.istio.io/component": "Pilot",
        "install.operator.istio.io/owning-resource": "main",
        "install.operator.istio.io/owning-resource-namespace": "istio-system"}}, "spec": {"ports": [{"port": 1}]}});
    lab.apply_with(&["--server-side", "--field-manager=istio-operator"], &left_over.to_string());
    edit_config(&lab, "istioctl", &json!({"stale": "of istioctl"}));
    edit_config(&lab, "somebody", &json!({"mine": "of somebody"}));
    for name in ["istiod", "istio-ingressgateway"] {
        lab.kubectl(&["rollout", "status", "deployment", name, "-n", "istio-system", "--timeout=60s"]);
    }
    let before = lab.owned_at_rest();
    lab.start_operator();
    let mark = lab.mark();
    lab.apply_spec("{profile: default}");
    lab.wait_for_status("HEALTHY", &[]);
    let after = lab.owned_at_rest();
    assert!(touched(&before, &after).is_empty(), "{:?}", touched(&before, &after));
    let changed: Vec<_> =
        after.iter().filter(|(key, now)| before[*key] != **now).map(|(key, _)| key.as_str()).collect();
    assert_eq!(changed, ["ConfigMap istio-system/istio"]);
    let gone: Vec<_> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    assert_eq!(gone, ["Service istio-system/of-1-16"]);
    let data = &lab.get(CONFIG).unwrap()["data"];
    assert!(data["stale"].is_null() && data["mine"] == "of somebody", "{data:#}");
    let about_objects = |w: &String| !w.contains("istiooperators") && !w.contains("events");
    let writes: Vec<_> = lab.writes_since(mark).into_iter().filter(about_objects).collect();
    assert_eq!(writes.len(), 3, "the hand-over, its application, and the left-over: {writes:#?}");
}

fn elected(lab: &Lab, name: &str) -> Operator {
    let pod = format!("--pod-name={name}");
    lab.start_another(name, &["--leader-election-namespace=istio-operator", &pod, "--renew-deadline=3s"])
}

fn leads(lab: &Lab, name: &str) -> Result<(), String> {
    match lab.get("/apis/coordination.k8s.io/v1/namespaces/istio-operator/leases/istio-operator-lock") {
        Some(lease) if lease["spec"]["holderIdentity"] == name => Ok(()),
        other => Err(other.map(|l| l["spec"].to_string()).unwrap_or_default()),
    }
}

/// Complaint: every change of leader rewrote what was there.
#[test]
fn operators_follow_each_other_without_a_gap_and_without_a_write() {
    let lab = Lab::installed("{profile: default}");
    lab.owned_at_rest();
    lab.terminate_operator();
    let mut first = elected(&lab, "first");
    lab.wait("the first to lead", || leads(&lab, "first"));
    let mut second = elected(&lab, "second");
    lab.wait("the first one's pass", || match first.metric("istio_install_operator_reconcile_total").unwrap() {
        0 => Err("none".into()),
        _ => Ok(()),
    });
    assert_eq!(second.metric("istio_install_operator_reconcile_total").unwrap(), 0, "it stands by");
    let (mark, begun) = (lab.mark(), Instant::now());
    assert_eq!(first.terminate().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "stepped down after {:?}", begun.elapsed());
    lab.wait("the second to lead", || leads(&lab, "second"));
    assert!(begun.elapsed() < Duration::from_secs(4), "followed after {:?}", begun.elapsed());
    lab.wait("the second one's pass", || match second.metric("istio_install_operator_reconcile_total").unwrap() {
        0 => Err("none".into()),
        _ => Ok(()),
    });
    assert_eq!(lab.writes_since(mark), Vec::<String>::new(), "nothing but the Lease");
}

/// Complaint: a leader that lost its lock crashed (istio#27509, #23569).
#[test]
fn a_leader_who_finds_the_lease_anothers_stops_at_once() {
    let lab = Lab::without_operator();
    let mut leader = elected(&lab, "first");
    lab.wait("it to lead", || leads(&lab, "first"));
    // And leaves all work to that one.
    let stolen = r#"{"spec": {"holderIdentity": "thief"}}"#;
    lab.kubectl(&["patch", "lease", "istio-operator-lock", "-n", "istio-operator", "--type=merge", "-p", stolen]);
    let ended = lab.wait("it to end", || leader.ended().unwrap().ok_or_else(|| "it runs".into()));
    assert_eq!(ended.code(), Some(0));
    assert!(leads(&lab, "thief").is_ok(), "it took the Lease back before its time");
}
