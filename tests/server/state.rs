//! What a person does who keeps the operator running: pauses a resource, has everything read anew, and looks at what the
//! operator holds.

use crate::lab::{Lab, touched};
use serde_json::Value;
use std::collections::BTreeSet;

const RESOURCE: [&str; 4] = ["iop", "main", "-n", "istio-system"];
const SERVICE: &str = "/api/v1/namespaces/istio-system/services/istiod";

fn condition(lab: &Lab, kind: &str) -> Option<Value> {
    let status = lab.iop("main")?["status"].take();
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

/// Issue: a resource that was left alone went on saying HEALTHY and was counted as ready.
#[test]
fn a_resource_that_is_left_alone_says_so_and_is_not_counted_as_ready() {
    let lab = Lab::installed("{profile: minimal}");
    let ready = "istio_install_operator_resources{ready=\"true\"}";
    assert_eq!(lab.metric(ready), 1);
    lab.annotate("main", "install.istio.io/ignoreReconcile=true");
    lab.wait("the resource to say that it is left alone", || {
        condition(&lab, "Paused").ok_or_else(|| lab.iop("main").unwrap()["status"].to_string())
    });
    assert_eq!(lab.metric(ready), 0);
    let info = "istio_install_operator_resource_info{namespace=\"istio-system\",name=\"main\",status=\"PAUSED\"";
    assert_eq!(lab.metric(info), 1);
    // A spec that nobody has looked at is not observed.
    lab.apply_spec("{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    let says = |text: &str| {
        lab.wait(&format!("the message to say {text:?}"), || {
            let message = lab.iop("main").unwrap()["status"]["message"].clone();
            if message.as_str().is_some_and(|said| said.contains(text)) { Ok(()) } else { Err(message.to_string()) }
        });
    };
    says("the spec has changed since");
    says("annotated install.istio.io/ignoreReconcile: nothing is applied");
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    let mark = lab.mark();
    lab.annotate("main", "example.com/touched=true");
    assert_eq!(lab.writes_since(mark), [""; 0]);
    let resource = lab.iop("main").unwrap();
    assert_ne!(resource["status"]["observedGeneration"], resource["metadata"]["generation"]);
    // A value that is not understood takes nothing back, and is told.
    lab.annotate("main", "install.istio.io/ignoreReconcile=yes");
    let told = lab.wait("the value to be named", || condition(&lab, "InvalidAnnotation").ok_or_else(String::new));
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with("install.istio.io/ignoreReconcile is \"yes\": want \"true\" or \"false\""),
        "{message}"
    );
    assert!(condition(&lab, "Paused").is_some() && lab.get(SERVICE).is_none());
    lab.wait("an event", || if lab.events("InvalidAnnotation").len() == 1 { Ok(()) } else { Err("none".into()) });
    assert_eq!(lab.events("Paused").len(), 1, "told once");
    lab.annotate("main", "install.istio.io/ignoreReconcile-");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(condition(&lab, "InvalidAnnotation"), None);
    lab.wait("the condition to go and the Service to come back", || {
        let is_so = condition(&lab, "Paused").is_none() && lab.get(SERVICE).is_some() && lab.metric(ready) == 1;
        if is_so { Ok(()) } else { Err(lab.iop("main").unwrap()["status"].to_string()) }
    });
}

/// Issue: what was known of an object was believed for as long as its version stayed, and nothing but a restart had
/// everything read.
#[test]
#[ignore = "long: `make test-all`"]
fn a_request_to_read_everything_anew_is_obeyed_once_and_acknowledged() {
    let lab = Lab::installed("{profile: minimal}");
    let before = lab.owned_at_rest();
    for request in ["1", "2"] {
        let mark = lab.mark();
        lab.annotate("main", &format!("install.istio.io/reconcile-requested-at={request}"));
        lab.wait("the request to be acknowledged", || {
            let status = lab.iop("main").unwrap()["status"].take();
            if status["lastHandledReconcileAt"] == request { Ok(()) } else { Err(status.to_string()) }
        });
        let reads = lab.requests_since(mark).iter().filter(|request| request.starts_with("get ")).count();
        assert!(reads >= before.len(), "{reads} of {} were read", before.len());
        let after = lab.owned_at_rest();
        assert!(touched(&before, &after).is_empty(), "nothing differs, so nothing is written");
    }
    let mark = lab.mark();
    lab.annotate("main", "example.com/touched=true");
    lab.owned_at_rest();
    let reads = lab.requests_since(mark).iter().filter(|request| request.starts_with("get ")).count();
    assert!(reads < before.len(), "a request that was obeyed is none any more: {reads} reads");
}

const ORPHANS: &str = "istio_install_operator_orphaned_objects ";

fn state(lab: &Lab) -> Value {
    serde_json::from_str(&lab.page("/debug/state")).unwrap()
}

/// Issue: nobody could see what the operator held.
#[test]
fn what_the_operator_holds_is_shown() {
    let lab = Lab::installed("{profile: minimal}");
    let shown = state(&lab);
    let resource = &shown["resources"][0];
    assert_eq!((&resource["name"], &resource["isRead"]), (&"main".into(), &true.into()), "{shown:#}");
    let shown = lab.wait("all objects to be shown", || {
        let shown = state(&lab);
        let text = |object: &Value| object["object"].as_str().unwrap().to_owned();
        let mut objects: BTreeSet<String> = shown["objects"].as_array().unwrap().iter().map(text).collect();
        assert!(objects.remove("IstioOperator istio-system/installed-state-main"), "{objects:?}");
        let owned: BTreeSet<String> = lab.owned().into_keys().collect();
        if objects == owned {
            Ok(shown)
        } else {
            Err(format!("{:?} differ; {:#}", objects.symmetric_difference(&owned), shown["watches"]))
        }
    });
    assert!(shown["objects"].as_array().unwrap().iter().all(|object| object["ownerExists"] == true));
    assert!(shown["watches"].as_array().unwrap().iter().all(|watch| watch["isCurrent"] == true), "{shown:#}");
    assert_eq!(lab.metric(ORPHANS), 0);
}

/// Issue: objects whose resource was gone were in no metric.
#[test]
fn objects_whose_resource_is_gone_are_counted() {
    let lab = Lab::installed("{profile: minimal}");
    assert_eq!(lab.metric(ORPHANS), 0);
    // Somebody takes the finalizer away, and the resource.
    lab.annotate("main", "install.istio.io/ignoreReconcile=true");
    lab.wait("the resource to be left alone", || condition(&lab, "Paused").ok_or_else(String::new));
    let none = r#"{"metadata": {"finalizers": null}}"#;
    lab.kubectl(&[&["patch", "--type=merge", "-p", none], &RESOURCE[..]].concat());
    lab.kubectl(&[&["delete"], &RESOURCE[..]].concat());
    lab.wait("the orphans to be counted", || match lab.metric(ORPHANS) {
        0 => Err(String::new()),
        some => Ok(some),
    });
    assert!(state(&lab)["objects"].as_array().unwrap().iter().all(|object| object["ownerExists"] == false));
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(lab.metric(ORPHANS), 0);
}
