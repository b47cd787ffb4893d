//! `install`, as a person uses it.

use crate::commands_run::{run, run_typing};
use crate::lab::Lab;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

const DEMO: &str = "install --set profile=demo -y";

#[test]
fn a_demo_is_installed_from_nothing_in_upstreams_words() {
    let lab = Lab::empty();
    let begun = Instant::now();
    let said = run_typing(&lab, "install --set profile=demo", "y\n").ended(0);
    println!("the demo took {:?}", begun.elapsed());
    let question = "This will install the Istio 1.17.8 demo profile with [\"Istio core\" \"Istiod\" \"Ingress gateways\" \
                    \"Egress gateways\"] components into the cluster. Proceed? (y/N) ";
    let told = said.out.strip_prefix(question).unwrap_or_else(|| panic!("{said:?}"));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["✔ Istio core installed", "✔ Istiod installed"], "{said:?}");
    let gateways = BTreeSet::from(["✔ Ingress gateways installed", "✔ Egress gateways installed"]);
    assert_eq!(lines[2..4].iter().copied().collect::<BTreeSet<_>>(), gateways);
    assert_eq!(lines[4..], ["✔ Installation complete"]);
    let expected = ["This will change:", "  Other objects: create 1 (Namespace istio-system)", "  Istiod: create 26"];
    let said = said.warned(&expected);
    assert!(!said.err.contains('\u{1b}') && !said.err.contains("not known"), "{}", said.err);
    for name in ["istiod", "istio-ingressgateway", "istio-egressgateway"] {
        assert_eq!(lab.deployment(name).unwrap()["status"]["readyReplicas"], 1, "{name}");
    }
    let record = lab.iop("installed-state").unwrap();
    assert_eq!(record["metadata"]["annotations"]["install.istio.io/ignoreReconcile"], "true");
    assert_eq!((&record["spec"]["profile"], &record["spec"]["tag"]), (&"demo".into(), &"1.17.8".into()));

    // A second time nothing is written.
    let before = versions(&lab);
    let said = run(&lab, DEMO).ended(0).warned(&["Nothing will change: "]);
    assert!(said.out.ends_with("✔ Installation complete\n") && said.out.lines().count() == 5, "{said:?}");
    assert_eq!(versions(&lab), before);
}

/// The versions of all objects of the installation, without what controllers write by themselves.
fn versions(lab: &Lab) -> Vec<(String, String)> {
    let record = lab.iop("installed-state").unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let kinds = "crd,sa,cm,svc,deploy,role,rolebinding,clusterrole,clusterrolebinding,pdb,envoyfilter,\
                 mutatingwebhookconfiguration,validatingwebhookconfiguration";
    let text = lab.kubectl(&["get", kinds, "-A", "-l", "operator.istio.io/component", "-o", "json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    let of = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| (format!("{} {}", o["kind"], of(o, "name")), of(o, "resourceVersion")))
        .collect();
    assert!(all.len() > 55, "{}", all.len());
    all.push(("record".to_owned(), record));
    all
}
