//! The end of a resource some of whose objects do not go.

use crate::deletion::{ask_to_delete, gone};
use crate::lab::Lab;
use istio_operator::api::FINALIZER;
use serde_json::json;
use std::time::{Duration, Instant};

const SERVICE: &str = "service/istio-ingressgateway";
const HELD_BY: &str = "service.kubernetes.io/load-balancer-cleanup";
const DELETES: &str = "delete services istio-system/istio-ingressgateway";
const DELETED: &str = "istio_install_operator_resource_deletion_total{kind=\"/Service\"";

fn set_finalizers(lab: &Lab, object: &str, finalizers: &[&str]) {
    let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
    lab.kubectl(&["patch", object, "-n", "istio-system", "--type=merge", "-p", &patch]);
}

fn force(lab: &Lab, name: &str) {
    lab.annotate(name, "install.istio.io/force-delete=true");
}

/// Lets some time pass in which something happens again and again.
fn spend(lab: &Lab, time: Duration, mut act: impl FnMut(u64)) {
    let (begun, mut turn) = (Instant::now(), 0);
    lab.wait("some time to pass", || {
        turn += 1;
        act(turn);
        if begun.elapsed() >= time { Ok(()) } else { Err("not yet".into()) }
    });
}

/// Complaint: every cloud keeps the Service of a load balancer for a while, and some for ever; the operator asked for it two
/// hundred times a second, and said nothing of it.
#[test]
#[ignore = "long: `make test-all`"]
fn a_deletion_that_waits_says_for_what_and_asks_little() {
    let lab = Lab::installed("{profile: default}");
    set_finalizers(&lab, SERVICE, &[HELD_BY]);
    let begun = lab.mark();
    ask_to_delete(&lab, "iop", "main");
    lab.wait_for_status("RECONCILING", &["Service istio-system/istio-ingressgateway", HELD_BY, "force-delete"]);
    assert_eq!(lab.deployment("istiod"), None, "everything else goes at once");

    // Somebody writes to the object all the time, as clouds do.
    let (mark, seconds) = (lab.mark(), 20);
    spend(&lab, Duration::from_secs(seconds), |turn| {
        let note = format!("turn={turn}");
        lab.kubectl(&["annotate", SERVICE, "-n", "istio-system", "--overwrite", &note]);
    });
    let requests = lab.requests_since(mark);
    let limit = usize::try_from(2 * seconds).unwrap();
    assert!(requests.len() <= limit, "{} requests in {seconds} s: {:#?}", requests.len(), &requests[..40]);
    let deletes = lab.writes_since(begun).iter().filter(|write| write.starts_with(DELETES)).count();
    assert_eq!(deletes, 1, "it was deleted more than once");
    assert_eq!(lab.metric(DELETED), 2, "those of istiod and of the gateway, each once");

    let released = Instant::now();
    set_finalizers(&lab, SERVICE, &[]);
    gone(&lab, "main");
    assert!(released.elapsed() < Duration::from_secs(20), "it took {:?} to be noticed", released.elapsed());
    assert!(lab.events("LeftBehind").is_empty());
}

#[test]
#[ignore = "long: `make test-all`"]
fn whoever_insists_does_not_wait() {
    let lab = Lab::installed("{profile: default}");
    set_finalizers(&lab, SERVICE, &[HELD_BY]);
    ask_to_delete(&lab, "iop", "main");
    lab.wait_for_status("RECONCILING", &[HELD_BY]);
    let insisted = Instant::now();
    force(&lab, "main");
    gone(&lab, "main");
    assert!(insisted.elapsed() < Duration::from_secs(20), "it took {:?}", insisted.elapsed());
    let left = lab.events("LeftBehind");
    assert_eq!(left.len(), 1, "{left:#?}");
    let text = left[0]["message"].as_str().unwrap();
    assert!(text.contains("Service istio-system/istio-ingressgateway") && text.contains(HELD_BY), "{text}");
}

#[test]
fn a_deletion_that_orphans_leaves_everything() {
    let lab = Lab::installed("{profile: minimal}");
    let before = lab.owned_at_rest();
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--cascade=orphan", "--timeout=60s"]);
    let after = lab.owned_at_rest();
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let told = lab.events("Orphaned");
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_resource_that_no_operator_has_ever_worked_on_ends() {
    let lab = Lab::without_operator();
    lab.apply_spec("{profile: minimal}");
    let patch = json!({"metadata": {"finalizers": [FINALIZER]}}).to_string();
    lab.kubectl(&["patch", "iop", "main", "-n", "istio-system", "--type=merge", "-p", &patch]);
    ask_to_delete(&lab, "iop", "main");
    lab.start_operator();
    gone(&lab, "main");
    assert!(lab.events("LeftBehind").is_empty());
}

/// Complaint: a list by a label that cannot exist was refused for every kind, for five minutes.
#[test]
fn a_resource_whose_name_is_no_label_value_ends() {
    let lab = Lab::start();
    let name = format!("long.{}", "x".repeat(240));
    lab.apply_named(&name, "{profile: minimal}");
    lab.wait("the finalizer", || {
        let resource = lab.iop(&name).ok_or("no resource")?;
        let finalizers = resource["metadata"]["finalizers"].to_string();
        if finalizers.contains("istio") { Ok(()) } else { Err(finalizers) }
    });
    lab.wait_for_status_of(&name, "ERROR", &[]);
    let begun = Instant::now();
    lab.kubectl(&["delete", "iop", &name, "-n", "istio-system", "--timeout=60s"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    let all = lab.get("/api/v1/namespaces/istio-system/events").unwrap();
    let of_it = |event: &&serde_json::Value| event["involvedObject"]["name"] == *name;
    let told: Vec<_> = all["items"].as_array().unwrap().iter().filter(of_it).map(|e| e["reason"].to_string()).collect();
    assert!(!told.is_empty(), "nothing was told of it");
    assert!(!told.iter().any(|reason| reason.contains("LeftBehind")), "{told:?}");
}
