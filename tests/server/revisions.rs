//! Several control planes side by side, and the tags that point to them.

use crate::lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

fn webhook(lab: &Lab, name: &str) -> Option<Value> {
    lab.get(&format!("{WEBHOOKS}/{name}"))
}

/// Whether a webhook selects anything.
fn is_active(webhook: &Value) -> bool {
    let hooks = webhook["webhooks"].as_array().unwrap();
    !hooks.iter().all(|hook| hook["namespaceSelector"]["matchLabels"]["istio.io/deactivated"] == "never-match")
}

fn canary(tags: &str) -> String {
    format!("{{profile: minimal, revision: canary, values: {{revisionTags: [{tags}]}}}}")
}

/// An unnamed revision and a canary, which nobody uses.
fn two_revisions(canary_spec: &str) -> Lab {
    let lab = Lab::start();
    lab.apply_spec("{profile: minimal}");
    lab.apply_named("canary", canary_spec);
    for name in ["main", "canary"] {
        lab.wait_for_status_of(name, "HEALTHY", &[]);
        lab.wait_for_use(name, false, "Unused");
    }
    assert!(lab.deployment("istiod").is_some() && lab.deployment("istiod-canary").is_some());
    lab
}

/// Complaints: one operator for each revision, which took each other's resources (istio#28964, #30873, #35139); nobody knew what
/// was still used (istio#1322 of Sail).
#[test]
fn revisions_stand_side_by_side_and_say_who_uses_them() {
    let lab = two_revisions(&canary(""));
    // Namespaces say whose they are, pods whose proxies they have.
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]);
    lab.wait_for_use("main", true, "UsedByNamespaces");
    assert_eq!(lab.in_use("canary").0, false);
    lab.run_with_sidecar("shop", "cart", "default");
    lab.wait_for_use("main", true, "UsedByPods");
}

/// Complaints: default tags and webhooks that contradicted each other (istio#35690, #43932, #50733).
#[test]
fn a_canary_takes_over_from_the_unnamed_revision() {
    let lab = two_revisions(&canary(""));
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]);
    lab.run_with_sidecar("shop", "cart", "default");
    lab.wait_for_use("main", true, "UsedByPods");

    // The canary becomes the default, the other one steps back, and nothing is injected twice.
    lab.apply_named("canary", &canary("default, prod"));
    lab.wait("the unnamed revision to step back", || match webhook(&lab, "istio-sidecar-injector") {
        Some(webhook) if !is_active(&webhook) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(is_active(&webhook(&lab, "istio-revision-tag-default").unwrap()));
    for name in ["main", "canary"] {
        lab.wait_for_status_of(name, "HEALTHY", &[]);
    }
    lab.wait_for_use("canary", true, "UsedByNamespaces");
    lab.run_with_sidecar("shop", "cart", "canary");
    lab.wait_for_use("canary", true, "UsedByPods");
    // By the name of its own revision the namespace would still be injected by the unnamed one if the tag went.
    lab.wait_for_use("main", true, "UsedByNamespaces");
    lab.kubectl(&["label", "namespace", "shop", "istio-injection-", "istio.io/rev=prod"]);
    lab.wait_for_use("main", false, "Unused");
}

/// Upstream's command line makes the first control plane the default, its operator since release 1.19. Without the tag no
/// namespace with `istio-injection=enabled` was injected by a first revision that had a name.
#[test]
fn the_first_control_plane_is_the_default_and_gives_way_when_asked() {
    let lab = Lab::start();
    let validator = || {
        lab.get("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/istiod-default-validator")
            .map(|hook| hook["webhooks"][0]["clientConfig"]["service"]["name"].clone())
    };
    let tag =
        || webhook(&lab, "istio-revision-tag-default").map(|hook| hook["metadata"]["labels"]["istio.io/rev"].clone());
    lab.apply_named("first", "{profile: minimal, revision: before}");
    lab.wait_for_status_of("first", "HEALTHY", &[]);
    assert_eq!((tag(), validator()), (Some("before".into()), Some("istiod-before".into())));
    // The one that takes its place is the default one as well.
    lab.apply_named("first", "{profile: minimal, revision: first}");
    lab.wait("the old one to be gone", || lab.deployment("istiod-before").map_or(Ok(()), |_| Err(String::new())));
    lab.wait_for_status_of("first", "HEALTHY", &[]);
    assert_eq!((tag(), validator()), (Some("first".into()), Some("istiod-first".into())));
    // One that comes later does not take it without being asked to.
    lab.apply_named("second", "{profile: minimal, revision: second}");
    lab.wait_for_status_of("second", "HEALTHY", &[]);
    let before = lab.owned_at_rest();
    assert_eq!((tag(), validator()), (Some("first".into()), Some("istiod-first".into())));
    // It stays where it is when the operator starts anew, and comes back when somebody takes it away.
    lab.kill_operator();
    lab.kubectl(&["delete", "mutatingwebhookconfiguration", "istio-revision-tag-default"]);
    lab.start_operator();
    lab.wait("the tag to be back", || tag().map(drop).ok_or_else(String::new));
    let again = lab.owned_at_rest();
    let touched: Vec<_> =
        again.iter().filter(|(key, stamp)| before.get(*key) != Some(stamp)).map(|(key, _)| key).collect();
    assert_eq!(touched, ["MutatingWebhookConfiguration istio-revision-tag-default"]);

    lab.apply_named("second", "{profile: minimal, revision: second, values: {revisionTags: [default]}}");
    lab.wait("the tag to move", || match (tag(), validator()) {
        (Some(tag), Some(service)) if tag == "second" && service == "istiod-second" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    for name in ["first", "second"] {
        lab.wait_for_status_of(name, "HEALTHY", &[]);
    }
    lab.owned_at_rest();
    assert_eq!((tag(), validator()), (Some("second".into()), Some("istiod-second".into())));
    lab.delete("second");
    lab.wait_for_status_of("first", "HEALTHY", &[]);
    assert_eq!((tag(), validator()), (None, None), "nothing is left that points to what has gone");
}

/// A webhook of somebody else's that selects the same namespaces.
#[test]
#[ignore = "long: `make test-all`"]
fn what_would_inject_twice_is_not_created() {
    let lab = Lab::start();
    let theirs = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "theirs"},
        "webhooks": [{"name": "sidecar-injector.istio.io", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Ignore", "clientConfig": {"url": "https://localhost:1/inject"},
            "namespaceSelector": {"matchLabels": {"istio.io/rev": "third"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]}],
    });
    lab.request("POST", WEBHOOKS, &theirs).unwrap();
    lab.apply_named("third", "{profile: minimal, revision: third}");
    let named = ["istio-sidecar-injector-third", "theirs", "istio.io/rev=third"];
    let status = lab.wait_for_status_of("third", "ERROR", &named);
    let is_conflict = |c: &Value| c["type"] == "Conflict" && c["status"] == "True";
    assert!(status["conditions"].as_array().unwrap().iter().any(is_conflict), "{status:#}");
    assert_eq!(webhook(&lab, "istio-sidecar-injector-third"), None);
    lab.request("DELETE", &format!("{WEBHOOKS}/theirs"), &Value::Null).unwrap();
    lab.wait_for_status_of("third", "HEALTHY", &[]);
    lab.delete("third");
}

#[test]
fn an_unused_revision_goes_when_its_time_has_come() {
    let lab = two_revisions(&canary("default, prod"));
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.kubectl(&["label", "namespace", "shop", "istio.io/rev=prod"]);
    lab.wait_for_use("canary", true, "UsedByNamespaces");
    let annotate = |name: &str, grace: &str| {
        let annotation = format!("install.istio.io/prune-unused-after={grace}");
        lab.annotate(name, &annotation);
    };
    let remark = |name: &str, kind: &str| {
        lab.wait(&format!("{kind} of {name}"), || {
            let conditions = lab.iop(name).unwrap()["status"]["conditions"].take();
            let found = conditions.as_array().unwrap().iter().find(|c| c["type"] == kind).cloned();
            found.ok_or_else(|| conditions.to_string())
        })
    };
    annotate("main", "soon");
    let message = remark("main", "InvalidAnnotation")["message"].clone();
    assert!(message.as_str().unwrap().contains("not a valid duration such as 24h"), "{message}");
    annotate("main", "24h");
    let message = remark("main", "PruneScheduled")["message"].clone();
    assert!(message.as_str().unwrap().contains("nothing uses revision default; it is deleted at 20"), "{message}");
    for name in ["main", "canary"] {
        annotate(name, "1s");
    }
    lab.wait("the unused revision to be gone", || lab.iop("main").map_or(Ok(()), |r| Err(r["status"].to_string())));
    lab.wait_for_status_of("canary", "HEALTHY", &[]);
    assert_eq!(lab.deployment("istiod"), None);
    assert!(lab.deployment("istiod-canary").is_some(), "it is in use");
    assert_eq!(lab.events("Unused").len(), 1, "{:#?}", lab.events("Unused"));
    let of_unnamed: BTreeSet<_> = lab.owned().into_keys().filter(|key| key.ends_with("/istiod")).collect();
    assert!(of_unnamed.is_empty(), "{of_unnamed:?}");
}
