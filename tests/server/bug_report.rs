//! `bug-report` and `completion`: what they give of a cluster, and that a cluster which gives nothing is not a failure.

use crate::lab::{Lab, binary};
use flate2::read::GzDecoder;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

/// The files of an archive.
fn unpack(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name.strip_prefix("bug-report/").unwrap().to_owned(), text)
    };
    archive.entries().unwrap().map(read).collect()
}

fn report(kubeconfig: &OsStr, args: &[&str]) -> (Output, BTreeMap<String, String>) {
    report_with(0, kubeconfig, args)
}

/// The same where nothing of the cluster can be read: what is said, and the files.
fn report_without_cluster(kubeconfig: &OsStr, args: &[&str]) -> (String, BTreeMap<String, String>) {
    let (output, files) = report_with(1, kubeconfig, args);
    (String::from_utf8(output.stderr).unwrap(), files)
}

fn report_with(code: i32, kubeconfig: &OsStr, args: &[&str]) -> (Output, BTreeMap<String, String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.tar.gz");
    let mut command = Command::new(binary());
    command.env("KUBECONFIG", kubeconfig).args(["bug-report", "-o"]).arg(&path).args(args);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    let files = unpack(&path);
    (output, files)
}

#[test]
fn a_bug_report_has_all_but_what_is_secret_and_says_what_is_missing() {
    let lab = Lab::installed("{profile: demo}");
    // A package that is there, and that a resource has nobody's machine read.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("profiles")).unwrap();
    let labels = "labels: {install.operator.istio.io/owning-resource: main}";
    lab.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: hidden, namespace: istio-system, {labels}}}\nstringData: {{a: hush-hush}}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: seen, namespace: istio-system, {labels}}}\n\
         data: {{a: 'https://me:hush-hush@host/', b: as it is}}\n\
         ---\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: other, namespace: istio-system}}\n\
         spec: {{installPackagePath: {}}}\n",
        folder.path().display()
    ));
    let (output, files) = report(lab.plane().kubeconfig(), &["--timeout=90s"]);
    for name in [
        "versions.txt",
        "resources/istio-system/main.yaml",
        "manifests/istio-system/main.yaml",
        "objects/Deployment/istio-system/istiod.yaml",
        "objects/Secret/istio-system/hidden.yaml",
        "objects/MutatingWebhookConfiguration/istio-sidecar-injector.yaml",
        "objects/Namespace/istio-system.yaml",
        "events/istio-system.txt",
    ] {
        assert!(files.contains_key(name), "{name} is not among {:?}", files.keys());
    }
    assert!(files["resources/istio-system/main.yaml"].contains("status: HEALTHY"));
    assert!(files["manifests/istio-system/main.yaml"].contains("name: istio-ingressgateway"));
    assert!(files["objects/ConfigMap/istio-system/seen.yaml"].contains("as it is"));
    assert!(files["versions.txt"].contains("Kubernetes v1."), "{}", files["versions.txt"]);
    assert!(files.values().all(|text| !text.contains("hush-hush") && !text.contains("aHVzaC1odXNo")));
    let redacted = &files["redacted.txt"];
    assert!(redacted.contains("hidden.yaml data.a: a value of a Secret"), "{redacted}");
    assert!(redacted.contains("seen.yaml data.a: a password in an address"), "{redacted}");
    // Nobody keeps the logs of kwok's pods.
    let missing = &files["missing.txt"];
    assert!(missing.contains("logs/istio-system/istiod-") && missing.contains("discovery.log: "), "{missing}");
    let refused = "istio-system/other: its package";
    assert!(
        missing.contains(refused) && missing.contains("is not in the cache; name it with --manifests"),
        "{missing}"
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("report.tar.gz") && said.contains("places redacted"), "{said}");
    let only = report(lab.plane().kubeconfig(), &["--include=elsewhere", "--exclude=istio-system", "--since=1h"]).1;
    // Objects of no namespace may bear its name in theirs.
    let is_of_it = |name: &&String| name.contains("/istio-system/") || *name == "objects/Namespace/istio-system.yaml";
    assert_eq!(only.keys().find(is_of_it), None);
    assert!(only["missing.txt"].contains("namespace elsewhere: there is none of this name (--include)"));
    let full = report(lab.plane().kubeconfig(), &["--max-size=1"]).1;
    let size = full.values().map(String::len).sum::<usize>();
    assert!(full["missing.txt"].contains("(--max-size)") && size < 2 << 20, "{size}: {:?}", full.keys());
}

#[test]
fn a_bug_report_names_what_is_forbidden_and_who_cannot_be_reached() {
    let lab = Lab::installed("{profile: minimal}");
    let token = lab.kubectl(&["create", "token", "default", "-n", "default"]);
    let mut config: serde_json::Value =
        serde_json::from_str(&lab.kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"])).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, config.to_string()).unwrap();
    let (said, mut files) = report_without_cluster(path.as_os_str(), &[]);
    assert!(said.lines().count() == 1 && said.starts_with("Error: nothing of the cluster could be read: "), "{said}");
    let missing = files.remove("missing.txt").unwrap();
    assert!(!missing.contains("Status {"), "{missing}");
    for part in ["IstioOperator resources: ", "objects of kind Secret: ", "pods of istiod: ", "is forbidden"] {
        assert!(missing.contains(part), "{part}: {missing}");
    }
    // Whoever may see two namespaces need not see all.
    for namespace in ["istio-system", "default"] {
        let binding = ["create", "rolebinding", "sees", "--clusterrole=view", "--serviceaccount=default:default", "-n"];
        lab.kubectl(&[&binding[..], &[namespace]].concat());
    }
    let files = report(path.as_os_str(), &["--include=istio-system,default"]).1;
    assert!(files.contains_key("objects/Service/istio-system/istiod.yaml"), "{:?}", files.keys());
    config["clusters"][0]["cluster"] = json!({"server": "https://127.0.0.1:1"});
    std::fs::write(&path, config.to_string()).unwrap();
    let (said, files) = report_without_cluster(path.as_os_str(), &["--timeout=5s"]);
    let away = "the API server https://127.0.0.1:1 cannot be reached: ";
    assert!(said.lines().count() == 1 && said.starts_with(&format!("Error: {away}")), "{said}");
    assert!(files["missing.txt"].starts_with(&format!("the cluster: {away}")), "{}", files["missing.txt"]);
    let files = report_without_cluster(OsStr::new("/nowhere"), &[]).1;
    assert!(files["missing.txt"].contains("the cluster: find a cluster"), "{}", files["missing.txt"]);
    let old = folder.path().join("old");
    std::fs::write(&old, "precious").unwrap();
    let again = Command::new(binary()).args(["bug-report", "-o"]).arg(&old).output().unwrap();
    assert!(again.status.code() == Some(1) && std::fs::read_to_string(&old).unwrap() == "precious");
    let new = folder.path().join("new");
    let mut full = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" bug-report -o \"$1\"";
    let full = full.args(["-c", script]).arg(binary()).arg(&new).env("KUBECONFIG", "/nowhere").output().unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(full.status.code() == Some(1) && !new.exists() && left == 2, "half an archive stays: {full:?}");
}

#[test]
fn a_bug_report_that_cannot_be_meant_is_refused_and_stdout_takes_one() {
    let run = |args: &[&str]| {
        let mut command = Command::new(binary());
        command.arg("bug-report").args(args).env("KUBECONFIG", "/nowhere").output().unwrap()
    };
    for (args, part) in [
        (&["--max-size", "0"][..], "--max-size"),
        (&["--include", "a,b", "--exclude", "b"], "namespace b is both in --include and in --exclude"),
    ] {
        let refused = run(args);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(part), "{args:?}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("piped");
    std::fs::write(&path, run(&["-o", "-"]).stdout).unwrap();
    assert!(unpack(&path)["missing.txt"].contains("/nowhere (of KUBECONFIG) does not exist"));
    let taken = run(&["-o", &path.to_string_lossy()]);
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(taken.status.code() == Some(1) && said.contains("remove it, or name another one with -o"), "{said}");
}

/// What bash is told that may follow.
fn suggested(kubeconfig: &OsStr, words: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.env("KUBECONFIG", kubeconfig).env("COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let output = command.arg("--").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_shell_is_told_names_of_the_cluster_and_never_an_error() {
    let lab = Lab::installed("{profile: minimal, revision: canary}");
    let kubeconfig = lab.plane().kubeconfig();
    let told = |words: &[&str]| suggested(kubeconfig, words);
    assert!(told(&["istio-operator", "upgrade", "plan", "ma"]).lines().any(|name| name == "main"));
    assert!(told(&["istio-operator", "upgrade", "plan", "-r", ""]).lines().any(|name| name == "canary"));
    assert!(told(&["istio-operator", "bug-report", "--include", "istio-s"]).contains("istio-system"));
    assert!(told(&["istio-operator", "profile", "dump", "de"]).contains("demo"));
    assert!(told(&["istio-operator", "mani"]).contains("manifest"));
    assert!(told(&["istio-operator", "completion", ""]).contains("fish"));
    let nowhere = OsStr::new("/nowhere");
    assert!(!suggested(nowhere, &["istio-operator", "upgrade", "plan", "ma"]).contains("main"));
    assert!(suggested(nowhere, &["istio-operator", "profile", "dump", "de"]).contains("demo"));
    let path = kubeconfig.to_str().unwrap();
    assert!(suggested(nowhere, &["istio-operator", "upgrade", "plan", "-c", path, "ma"]).contains("main"));
}

#[test]
fn each_shell_gets_a_script_and_bash_takes_its_own() {
    for (shell, word) in [
        ("bash", "complete"),
        ("zsh", "compdef"),
        ("fish", "complete"),
        ("powershell", "Register"),
        ("elvish", "edit:"),
    ] {
        let output = Command::new(binary()).args(["completion", shell]).output().unwrap();
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && script.contains(word) && script.contains("istio-operator"), "{script}");
    }
    let script = format!("source <({} completion bash); complete -p istio-operator", binary().display());
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("-F"), "{output:?}");
}
