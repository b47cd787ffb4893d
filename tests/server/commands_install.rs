//! `install`, as a person uses it.

use crate::commands_run::{Said, command, run, run_typing};
use crate::lab::Lab;
use crate::small::{PACKAGES, VERSION};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

const DEMO: &str = "install --set profile=demo -y";
const DEFAULT: &str = "Making this installation the default for injection and validation.";

#[test]
fn a_demo_is_installed_from_nothing_in_upstreams_words() {
    let lab = Lab::empty();
    let said = run(&lab, "install --set profile=empty -y --verify").ended(0).warned(&["no record"]);
    assert_eq!(said.out, "✔ Installation complete\n");
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
    assert_eq!(lines[4..], ["✔ Installation complete", DEFAULT]);
    let expected = ["This will change:", "  Other objects: create 1 (Namespace istio-system)", "  Istiod: create 27"];
    let said = said.warned(&expected);
    assert!(!said.err.contains('\u{1b}') && !said.err.contains("not known"), "{}", said.err);
    for name in ["istiod", "istio-ingressgateway", "istio-egressgateway"] {
        assert_eq!(lab.deployment(name).unwrap()["status"]["readyReplicas"], 1, "{name}");
    }
    let record = lab.iop("installed-state").unwrap();
    assert_eq!(record["metadata"]["annotations"]["install.istio.io/ignoreReconcile"], "true");
    let dump = run(&lab, "profile dump demo -o json").ended(0).out;
    assert_eq!(record["spec"], without_nulls(serde_json::from_str::<Value>(&dump).unwrap()["spec"].take()));
    let tag = lab.get("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-revision-tag-default");
    assert_eq!(tag.unwrap()["webhooks"].as_array().unwrap().len(), 4);

    // A second time nothing is written.
    let before = versions(&lab);
    let context = lab.kubectl(&["config", "current-context"]);
    let again = format!("apply --set profile=demo -y --force --context {}", context.trim());
    let said = run(&lab, &again).ended(0).warned(&["Nothing will change: "]);
    assert_eq!(said.out.lines().skip(4).collect::<Vec<_>>(), ["✔ Installation complete", DEFAULT]);
    assert_eq!(versions(&lab), before);
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
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

#[test]
#[ignore = "long: `make test-all`"]
fn without_a_yes_nothing_is_written() {
    let lab = Lab::without_operator();
    let mark = lab.mark();
    for (typed, words) in [("n\n", "install --set profile=demo"), ("", "install --set profile=demo")] {
        let words = format!("{words} --kubeconfig {}", lab.account().display());
        let said = run_typing(&lab, &words, typed).ended(1);
        assert!(said.out.ends_with("Proceed? (y/N) Cancelled.\n"), "{said:?}");
    }
    let core = "\"Istio core\" \"Istiod\"";
    for (flags, components) in [
        ("profile=minimal", core.to_owned()),
        ("components.cni.enabled=true", format!("{core} \"CNI\" \"Ingress gateways\"")),
        (
            "profile=demo --set components.egressGateways[name:istio-egressgateway].enabled=false",
            format!("{core} \"Ingress gateways\""),
        ),
    ] {
        let words = format!("install --set {flags} --kubeconfig {}", lab.account().display());
        let said = run_typing(&lab, &words, "n\n").ended(1);
        assert!(said.out.contains(&format!(" profile with [{components}] components ")), "{said:?}");
    }
    for profile in ["default", "ambient", "preview", "openshift", "external", "remote"] {
        let words = format!("install --dry-run --set profile={profile} --kubeconfig {}", lab.account().display());
        let part = if ["external", "remote"].contains(&profile) { "create " } else { "Istiod: create " };
        run(&lab, &words).ended(0).warned(&[part]);
    }
    assert_eq!(lab.writes_since(mark), Vec::<String>::new());
    assert!(!lab.requests_since(mark).is_empty());
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_installation_that_is_stopped_says_how_far_it_is_and_goes_on() {
    let lab = Lab::without_operator();
    let stuck = "install --set profile=demo --set components.pilot.k8s.nodeSelector.disk=none-such -y";
    let start = || command(&lab, stuck).spawn().unwrap();
    let killed = start();
    lab.wait("the first objects", || lab.get(ROLE).map(drop).ok_or_else(String::new));
    signal("KILL", killed.id());
    killed.wait_with_output().unwrap();

    let mut stopped = start();
    let mut line = String::new();
    BufReader::new(stopped.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "✔ Istio core installed\n");
    let begun = Instant::now();
    signal("INT", stopped.id());
    let said = Said::of(&stopped.wait_with_output().unwrap()).ended(1);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    said.warned(&["Interrupted. Installed: Istio core. Not installed or not ready: Istiod", "again to go on"]);

    let begun = Instant::now();
    let said = run(&lab, &format!("{stuck} --readiness-timeout 3s")).ended(1);
    assert_eq!(said.out, "✔ Istio core installed\n");
    assert!(begun.elapsed() > Duration::from_secs(3));
    let waits = "Istiod: not ready after 3s: Deployment istio-system/istiod: 0 of 1 pods";
    said.warned(&["- Istiod waits: ", &format!("✘ {waits}"), "node affinity/selector", "failed to install manifests"]);
    assert!(lab.deployment("istio-ingressgateway").is_none() && lab.iop("installed-state").is_none());

    let said = run(&lab, DEMO).ended(0).warned(&["Istiod: change "]);
    assert!(said.out.ends_with(&format!("✔ Installation complete\n{DEFAULT}\n")), "{said:?}");
}

const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istiod-clusterrole-istio-system";

fn signal(signal: &str, process: u32) {
    let done = Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_control_plane_is_upgraded_stays_and_does_not_go_back() {
    let lab = Lab::without_operator();
    let packages = format!("--package-dir {PACKAGES}");
    run(&lab, &format!("upgrade -y -d {VERSION} {packages}"))
        .ended(1)
        .warned(&["no control plane of revision default"]);
    run(&lab, "install --set profile=minimal -y").ended(0);
    let said = run(&lab, &format!("upgrade --set profile=minimal -y -d {VERSION} {packages}")).ended(0);
    said.warned(&["is of release 1.17.8; this is release 1.30.99", "leaves out 12 minor releases", "Istiod: "]);
    let image = || {
        let istiod = lab.deployment("istiod").unwrap();
        istiod["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    assert!(image().ends_with(":1.30.99"), "{}", image());
    // Nobody names a release: it stays with its own.
    run(&lab, &format!("install --set profile=minimal -y {packages}")).ended(0).warned(&["Nothing will change"]);
    run(&lab, "install --set profile=minimal -y -d 1.17.8").ended(1).warned(&["--allow-downgrade", "1.30.99"]);
    run(&lab, "upgrade --set profile=minimal -y").ended(1).warned(&["--allow-downgrade"]);
    assert!(image().ends_with(":1.30.99"), "{}", image());
}

#[test]
fn what_a_command_may_not_do_or_cannot_reach_is_told() {
    let lab = Lab::without_operator();
    run(&lab, "install --no-such-flag").ended(2);
    run(&lab, "install -y --readiness-timeout 5").ended(2).warned(&["is not a duration"]);
    run(&lab, "install -y --context none-such").ended(1).warned(&["none-such"]);
    run(&lab, "install -y --kubeconfig /none/such").ended(1).warned(&["/none/such"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig").display().to_string();
    let text = lab.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let token = lab.kubectl(&["create", "token", "default", "-n", "default"]);
    config["users"][0]["user"] = serde_json::json!({"token": token.trim()});
    std::fs::write(&file, config.to_string()).unwrap();
    for words in ["install -y", "uninstall -y --purge", "verify-install"] {
        run(&lab, &format!("{words} --kubeconfig {file}")).ended(1).warned(&["forbidden"]);
    }
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    std::fs::write(&file, config.to_string()).unwrap();
    for words in ["install -y", "upgrade -y", "uninstall -y --purge", "verify-install", "version --remote=true"] {
        run(&lab, &format!("{words} --kubeconfig {file}")).ended(1).warned(&["https://127.0.0.1:1 cannot be reached"]);
    }
    let said = run(&lab, &format!("version --kubeconfig {file}")).ended(0).warned(&["cannot be reached"]);
    assert!(said.out.starts_with("client version: "), "{said:?}");
}

#[test]
#[ignore = "long: `make test-all`"]
fn what_is_no_longer_wanted_goes_unless_it_is_in_use() {
    let lab = Lab::without_operator();
    run(&lab, DEMO).ended(0);
    let said = run(&lab, "install --set profile=minimal -y").ended(0);
    said.warned(&["  Ingress gateways: delete 6 ("]);
    assert!(lab.deployment("istio-ingressgateway").is_none() && lab.deployment("istiod").is_some());

    let without = "install --set profile=minimal --set components.pilot.enabled=false -y";
    lab.kubectl(&["label", "namespace", "default", "istio-injection=enabled"]);
    run(&lab, without).ended(0).warned(&["kept: Deployment istio-system/istiod", "is in use, by Namespace default"]);
    assert!(lab.deployment("istiod").is_some());
    lab.kubectl(&["label", "namespace", "default", "istio-injection-"]);
    run(&lab, without).ended(0).warned(&["Istiod: delete "]);
    assert!(lab.deployment("istiod").is_none());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.yaml").display().to_string();
    let text = "kind: IstioOperator\nmetadata: {name: main}\nspec: {profile: demo, revision: canary}\n";
    std::fs::write(&file, text).unwrap();
    run(&lab, &format!("install -y -f {file}")).ended(0);
    assert!(lab.deployment("istiod-canary").is_some() && lab.iop("installed-state-main-canary").is_some());
    // What only has the name of something installed is not ours to delete; files may come by stdin.
    lab.kubectl(&["delete", "configmap", "istio-canary", "-n", "istio-system"]);
    lab.kubectl(&["create", "configmap", "istio-canary", "-n", "istio-system"]);
    run(&lab, "tag set prod --revision canary").ended(0);
    let said = run_typing(&lab, "uninstall -y -f -", text).ended(0);
    assert!(said.out.contains("  Removed MutatingWebhookConfiguration::istio-revision-tag-prod."), "{}", said.out);
    said.warned(&[
        "these gateways are deleted: ",
        "These stay, for nothing on them says",
        "ConfigMap istio-system/istio-canary",
    ]);
    lab.kubectl(&["get", "configmap", "istio-canary", "-n", "istio-system"]);
    for name in ["istiod-canary", "istio-ingressgateway", "istio-egressgateway"] {
        assert!(lab.deployment(name).is_none(), "{name}");
    }
    assert!(lab.iop("installed-state-main-canary").is_none() && lab.iop("installed-state").is_some());
    // What was never installed has no record, and nobody else's goes for it.
    let gateway = "kind: IstioOperator\nmetadata: {name: gw}\n\
        spec: {profile: empty, components: {ingressGateways: [{name: gw, enabled: true}]}}\n";
    run_typing(&lab, "uninstall -y -f -", gateway);
    assert!(lab.iop("installed-state").is_some());
    lab.kubectl(&["get", "crd", "gateways.networking.istio.io"]);
}
