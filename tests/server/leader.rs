//! The election: who holds the Lease keeps it as long as it lives, and nobody else writes meanwhile.

use crate::controlplane::operator::Operator;
use crate::controlplane::wait;
use crate::lab::Lab;
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/istio-operator/leases";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/istio-operator/leases/istio-operator-lock";
const ELECTS: &str = "--leader-election-namespace=istio-operator";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// What the Lease says.
fn lease(lab: &Lab) -> Value {
    lab.get(LEASE).map(|lease| lease["spec"].clone()).unwrap_or_default()
}

fn wait_for_holder(lab: &Lab, holder: &str) {
    lab.wait(&format!("{holder} to lead"), || match lease(lab) {
        lease if lease["holderIdentity"] == holder => Ok(()),
        other => Err(other.to_string()),
    });
}

/// Takes the connections of a webhook, and never answers; gives its port, and the connections so far.
fn silent_webhook() -> (u16, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(Mutex::new(vec![]));
    let all = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming() {
            all.lock().unwrap().push(stream.unwrap());
        }
    });
    (port, taken)
}

/// A policy engine that is down, which everybody is told is harmless: it may be ignored.
fn hang_our_writes(lab: &Lab, port: u16) {
    let selector = json!({"matchLabels": {"operator.istio.io/managed": "Reconcile"}});
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hangs"},
        "webhooks": [{"name": "hangs.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "NoneOnDryRun",
            "failurePolicy": "Ignore", "timeoutSeconds": 30, "objectSelector": selector,
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/")},
            "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}]}],
    });
    lab.request("POST", CONFIGURATIONS, &webhook).unwrap();
}

/// Issue: writes that hung took all requests there may be, and the Lease was not renewed.
#[test]
#[ignore = "long: `make test-all`"]
fn a_webhook_that_hangs_costs_nobody_the_lease() {
    let lab = Lab::without_operator();
    let (port, taken) = silent_webhook();
    hang_our_writes(&lab, port);
    let mut operator = lab.start_another("leads", &[ELECTS, "--pod-name=leads"]);
    wait_for_holder(&lab, "leads");
    let resource = |number| {
        let name = format!("gateway-{number}");
        format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: {name}, namespace: istio-system}}\n\
             spec: {{profile: empty, components: {{ingressGateways: [{{name: {name}, enabled: true}}]}}}}\n"
        )
    };
    lab.apply(&(0..300).map(resource).collect::<Vec<_>>().join("---\n"));
    lab.wait("writes to hang", || match taken.lock().unwrap().len() {
        many if many > 30 => Ok(()),
        few => Err(format!("{few} do")),
    });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) {
        if let Some(ended) = operator.ended().unwrap() {
            panic!("it ended with {ended} after {:?}:\n{}", begun.elapsed(), operator.log_tail(5));
        }
        let lease = lease(&lab);
        assert!(lease["holderIdentity"] == "leads" && lease["leaseTransitions"] == 0, "{lease}");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(operator.metric("istio_install_operator_leader ").unwrap(), 1);
    assert!(operator.get("/healthz").unwrap().is_ok());
    // In the middle of all these writes.
    let begun = Instant::now();
    assert_eq!(operator.terminate().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert_eq!(lease(&lab)["holderIdentity"], "", "the Lease was given up");
}

/// Issue: anything that touched the Lease between its being read and written made the leader step down.
#[test]
fn a_lease_that_others_annotate_is_not_lost() {
    let lab = Lab::without_operator();
    let mut operator = lab.start_another("leads", &[ELECTS, "--pod-name=leads", "--renew-deadline=1s"]);
    wait_for_holder(&lab, "leads");
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(15) {
        let touch = json!({"metadata": {"annotations": {"touched": count.to_string()}}});
        merge(&lab, &touch);
        count += 1;
        // Often enough to meet most renewals, and not each attempt of one.
        thread::sleep(Duration::from_millis(8));
        if let Some(ended) = operator.ended().unwrap() {
            panic!("it ended with {ended} after {:?}:\n{}", begun.elapsed(), operator.log_tail(5));
        }
    }
    assert_eq!(lease(&lab)["leaseTransitions"], 0);
    let annotations = lab.get(LEASE).unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["touched"], (count - 1).to_string(), "what others wrote on it stays");
    assert_eq!(operator.terminate().unwrap().code(), Some(0));
}

/// A merge patch of the Lease, by somebody else.
fn merge(lab: &Lab, patch: &Value) {
    let request = http::Request::builder().method("PATCH").uri(LEASE);
    let request = request.header("content-type", "application/merge-patch+json");
    let request = request.body(patch.to_string().into_bytes()).unwrap();
    let _: Value = lab.block_on(lab.client().request(request)).unwrap();
}

/// Issue: who stood by waited for as long as it was told itself, and not for as long as the holder may work.
#[test]
#[ignore = "long: `make test-all`"]
fn who_stands_by_waits_for_as_long_as_the_lease_says() {
    let lab = Lab::without_operator();
    let foreign = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "istio-operator-lock"}, "spec": {"holderIdentity": "slow", "leaseDurationSeconds": 9,
            "renewTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 4}});
    lab.request("POST", LEASES, &foreign).unwrap();
    let begun = Instant::now();
    let mut operator = lab.start_another("next", &[ELECTS, "--pod-name=next", "--renew-deadline=1s"]);
    assert!(operator.get("/readyz").unwrap().is_ok(), "who could read the Lease stands by");
    assert_eq!(operator.metric("istio_install_operator_leader ").unwrap(), 0);
    wait_for_holder(&lab, "next");
    let waited = begun.elapsed();
    assert!((9..20).contains(&waited.as_secs()), "it took the Lease after {waited:?}");
    assert_eq!(lease(&lab)["leaseTransitions"], 5);
    assert_eq!(operator.metric("istio_install_operator_lease_transitions ").unwrap(), 5);
}

/// Issue: whoever stands by was ready before it could read the Lease, and so was who led and could not work.
#[test]
fn a_leader_is_ready_only_once_it_can_work() {
    let lab = Lab::without_operator();
    lab.kubectl(&["delete", "-k", "crds"]);
    let folder = tempfile::tempdir().unwrap();
    let args = [ELECTS, "--pod-name=leads"];
    let mut operator = Operator::begin(&crate::lab::binary(), lab.account().as_os_str(), folder.path(), &args).unwrap();
    wait_for_holder(&lab, "leads");
    let said = wait("what is missing", Duration::from_secs(30), || {
        let answer = operator.get("/readyz")?;
        Ok(answer.map_or_else(|no| if no.contains("not defined") { Ok(no) } else { Err(no) }, Ok))
    });
    let said = said.unwrap();
    assert!(said.contains(" 503 ") && said.contains("istio-operator crd | kubectl apply"), "{said}");
    lab.kubectl(&["apply", "--server-side", "-k", "crds"]);
    lab.wait_established(&["crd/istiooperators.install.istio.io"]);
    operator.wait_until_ready().unwrap();
    assert_eq!(operator.terminate().unwrap().code(), Some(0));
}

/// Issue: a process that was stopped, as a paused machine is, wrote on before it noticed that another one leads.
#[test]
#[ignore = "long: `make test-all`"]
fn a_leader_that_was_stopped_for_long_writes_nothing_when_it_goes_on() {
    let lab = Lab::without_operator();
    for round in 0..4 {
        let name = format!("stopped-{round}");
        let pod = format!("--pod-name={name}");
        let args = [ELECTS, &pod, "--renew-deadline=2s", "--kube-api-qps=10"];
        let mut operator = lab.start_another(&name, &args);
        wait_for_holder(&lab, &name);
        let mark = lab.mark();
        lab.apply_named(&format!("of-{round}"), "{profile: demo}");
        lab.wait("the middle of a pass", || match lab.writes_since(mark).len() {
            0..5 => Err("few writes".into()),
            _ => Ok(()),
        });
        operator.signal("STOP").unwrap();
        // The passing of time is the fault.
        thread::sleep(Duration::from_secs(5));
        merge(&lab, &json!({"spec": {"holderIdentity": "another", "renewTime": "2026-01-01T00:00:00.000000Z"}}));
        let mark = lab.mark();
        operator.signal("CONT").unwrap();
        let ended =
            wait("the end", Duration::from_secs(20), || Ok(operator.ended()?.ok_or_else(|| "it runs".to_owned())));
        assert_eq!(ended.unwrap().code(), Some(0));
        assert_eq!(lab.writes_since(mark), [""; 0], "round {round}");
        merge(&lab, &json!({"spec": {"holderIdentity": ""}}));
    }
}

/// Issue: a Lease that could not be given up, since nothing answered any more, kept the process from ending.
#[test]
#[ignore = "long: `make test-all`"]
fn a_leader_ends_although_nothing_answers_any_more() {
    let lab = Lab::without_operator();
    let proxy = lab.proxy(1, 0);
    let operator = lab.start_behind(&proxy, &[ELECTS, "--pod-name=leads"]);
    wait_for_holder(&lab, "leads");
    proxy.set_black_hole(true);
    let begun = Instant::now();
    assert_eq!(operator.terminate().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
}
