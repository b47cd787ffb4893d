//! `addons` on a real control plane: what is installed is ready, is ours, and goes again; what is another's stays.

use crate::lab::{Lab, binary};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const NAMES: [&str; 4] = ["prometheus", "jaeger", "grafana", "kiali"];

/// Runs `addons` with what is typed.
fn addons(lab: &Lab, args: &[&str], typed: &str) -> Output {
    let mut command = Command::new(binary());
    command.arg("addons").args(args).env("KUBECONFIG", lab.plane().kubeconfig());
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = pipes.spawn().unwrap();
    // It may have ended without a question.
    let _ = running.stdin.take().unwrap().write_all(typed.as_bytes());
    running.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What is printed on stdout by a command that succeeds.
fn done(lab: &Lab, args: &[&str]) -> String {
    let output = addons(lab, args, "");
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// The version and what is said of the status of each add-on.
fn listed(lab: &Lab, args: &[&str]) -> Vec<(String, String)> {
    let text = done(lab, &[&["list"], args].concat());
    let lines = text.lines().skip(1).zip(NAMES);
    let split = lines.map(|(line, name)| {
        let (version, status) = line.strip_prefix(name).unwrap().trim().split_once(char::is_whitespace).unwrap();
        (version.to_owned(), status.trim().to_owned())
    });
    split.collect()
}

/// Everything that bears the labels of add-ons.
fn there(lab: &Lab) -> String {
    let kinds = "deployments,services,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings";
    lab.kubectl(&["get", kinds, "-A", "-l", "app.kubernetes.io/part-of=istio-addons", "-o", "name"])
}

#[test]
fn add_ons_are_installed_until_they_are_ready_and_removed_again() {
    let lab = Lab::without_operator();
    // Pods that would break the strictest rules are refused.
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    lab.kubectl(&["label", "namespace", "istio-system", enforce]);
    let tried = done(&lab, &["install", "--dry-run"]);
    assert!(tried.lines().all(|line| line.starts_with("create ")) && there(&lab).is_empty(), "{tried}");
    let no = addons(&lab, &["install"], "n\n");
    let question = "This will install Prometheus, Jaeger, Grafana, Kiali in namespace istio-system. Proceed? (y/N) ";
    assert_eq!((no.status.code(), text(&no.stdout)), (Some(1), format!("{question}Cancelled.\n").as_str()));
    assert!(there(&lab).is_empty() && listed(&lab, &[]).iter().all(|(_, status)| status == "not installed"));

    let one = done(&lab, &["install", "kiali", "-y"]);
    assert_eq!(one, "✔ Kiali installed\n");
    let yes = addons(&lab, &["install"], "y\n");
    let ticks: std::collections::BTreeSet<_> = text(&yes.stdout).trim_start_matches(question).lines().collect();
    assert_eq!(
        ticks,
        ["✔ Grafana installed", "✔ Jaeger installed", "✔ Kiali installed", "✔ Prometheus installed"].into()
    );
    assert!(listed(&lab, &[]).iter().all(|(version, status)| status == "ready" && version.contains('.')));
    assert_eq!(there(&lab).lines().count(), tried.lines().count());
    // The same again writes nothing.
    let again = done(&lab, &["install", "--dry-run"]);
    assert!(again.lines().all(|line| line.starts_with("leave ")), "{again}");
    let revised = done(&lab, &["install", "kiali", "--dry-run", "--revision=canary"]);
    assert!(revised.contains("change ConfigMap istio-system/kiali\n"), "{revised}");
    let unknown = addons(&lab, &["install", "kiali", "--dry-run", "--revision=canary"], "");
    assert!(text(&unknown.stderr).contains("there is no control plane of revision canary"), "{unknown:?}");
    lab.kubectl(&["delete", "service", "grafana", "-n", "istio-system"]);
    assert_eq!(listed(&lab, &[])[2].1, "incomplete: no Service istio-system/grafana");
    let data: serde_json::Value = serde_json::from_str(&done(&lab, &["list", "-o", "json"])).unwrap();
    assert_eq!((&data[2]["status"], &data[0]["status"]), (&"incomplete".into(), &"ready".into()), "{data}");

    let asked = done(&lab, &["remove", "grafana", "--dry-run"]);
    assert!(asked.contains("delete Deployment istio-system/grafana\n") && !asked.contains("kiali"), "{asked}");
    let removed = done(&lab, &["remove", "grafana", "-y"]);
    assert!(removed.contains("Removed Deployment:istio-system:grafana.\n"), "{removed}");
    let states: Vec<_> = listed(&lab, &[]).into_iter().map(|(_, status)| status).collect();
    assert_eq!(states, ["ready", "ready", "not installed", "ready"]);
    done(&lab, &["remove", "-y"]);
    assert_eq!(there(&lab), "");
    let nothing = addons(&lab, &["remove", "-y"], "");
    assert!(nothing.status.success() && text(&nothing.stderr).contains("nothing to remove in namespace istio-system"));
}

#[test]
#[ignore = "long: `make test-all`"]
fn what_others_installed_under_the_name_of_an_add_on_stays() {
    let lab = Lab::without_operator();
    lab.kubectl(&["create", "namespace", "metrics"]);
    lab.kubectl(&["create", "deployment", "grafana", "--image=mine", "-n", "metrics"]);
    let place = ["-n", "metrics"];
    assert_eq!(listed(&lab, &place)[2].1, "installed by kubectl-create");
    let refused = addons(&lab, &[&["install", "grafana", "-y"][..], &place].concat(), "");
    let said = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(1) && said.contains("kubectl-create") && said.contains("--force-conflicts"),
        "{said}"
    );
    let image =
        ["get", "deployment", "grafana", "-n", "metrics", "-o", "jsonpath={.spec.template.spec.containers[*].image}"];
    assert_eq!(lab.kubectl(&image), "mine");
    assert_eq!(there(&lab), "", "nothing is left half done");
    let tried = addons(&lab, &[&["install", "grafana", "--dry-run"][..], &place].concat(), "");
    assert!(
        tried.status.code() == Some(1)
            && text(&tried.stderr).contains("metrics/grafana is there, installed by kubectl-create")
    );
    // Who may not look is not told that nothing is there.
    let config = lab.kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]);
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"]["as"] = "nobody".into();
    let nobody = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(nobody.path(), config.to_string()).unwrap();
    let unseen = addons(&lab, &["list", "--kubeconfig", &nobody.path().to_string_lossy()], "");
    assert!(unseen.status.code() == Some(1) && text(&unseen.stdout).matches("forbidden").count() == 4, "{unseen:?}");
    // Unless that is wanted.
    done(&lab, &[&["install", "grafana", "-y", "--force-conflicts"][..], &place].concat());
    assert!(lab.kubectl(&image).contains("grafana:"));
    done(&lab, &[&["remove", "-y"][..], &place].concat());
    assert_eq!(there(&lab), "");
    let nowhere = addons(&lab, &["install", "-y", "-n", "nowhere"], "");
    assert!(text(&nowhere.stderr).contains("there is no namespace nowhere; create it"), "{}", text(&nowhere.stderr));
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_add_on_that_does_not_become_ready_in_time_is_told() {
    let lab = Lab::without_operator();
    lab.kubectl(&["create", "quota", "none", "--hard=pods=0", "-n", "istio-system"]);
    lab.wait("the quota", || {
        let said = lab.kubectl(&["get", "quota", "none", "-n", "istio-system", "-o", "jsonpath={.status.hard.pods}"]);
        if said == "0" { Ok(()) } else { Err(said) }
    });
    let late = addons(&lab, &["install", "jaeger", "-y", "--readiness-timeout=2s"], "");
    let said = text(&late.stderr);
    assert!(
        late.status.code() == Some(1)
            && said.contains("✘ Jaeger: Deployment istio-system/jaeger is not ready after 2s: 0 of 1 pods"),
        "{said}"
    );
}
