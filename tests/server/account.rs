//! Who the operator is to the API server.

use crate::controlplane::operator::Operator;
use crate::lab::{Lab, binary, file};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, args: &[&str]) {
    let out = Command::new("openssl").current_dir(folder).args(args).output().unwrap();
    assert!(out.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Issue: a certificate that openssl makes without extensions is of version 1; kubectl takes it, and the operator did not.
#[test]
#[ignore = "long: `make test-all`"]
fn a_client_certificate_of_version_1_is_as_good_as_any() {
    let lab = Lab::without_operator();
    let (plane, folder) = (lab.plane().dir().unwrap().to_owned(), tempfile::tempdir().unwrap());
    let (ca, ca_key) = (plane.join("ca.crt"), plane.join("ca.key"));
    openssl(folder.path(), &["genrsa", "-out", "old.key", "2048"]);
    openssl(folder.path(), &["req", "-new", "-key", "old.key", "-subj", "/O=system:masters/CN=old", "-out", "old.csr"]);
    let [ca, ca_key] = [ca, ca_key].map(|path| path.to_string_lossy().into_owned());
    let sign = ["x509", "-req", "-in", "old.csr", "-CA", &ca, "-CAkey", &ca_key, "-days", "2", "-out", "old.crt"];
    openssl(folder.path(), &sign);
    let text = lab.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = json!({"client-certificate": "old.crt", "client-key": "old.key"});
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let flag = format!("--kubeconfig={}", kubeconfig.display());
    assert!(lab.kubectl(&[&flag, "auth", "whoami"]).contains("old"), "kubectl takes it");
    let operator = Operator::start(&binary(), kubeconfig.as_os_str(), folder.path(), &[]).unwrap();
    lab.watch_over(operator);
    lab.apply_spec("{profile: empty}");
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
#[ignore = "long: `make test-all`"]
fn missing_permissions_are_told_once_with_the_command_that_grants_them() {
    let lab = Lab::start();
    lab.expect_forbidden();
    // Made of others again.
    let role = file("config/rbac/role.yaml");
    lab.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", role.to_str().unwrap()]);
    lab.kubectl(&[
        "delete",
        "clusterrole",
        "-l",
        "install.istio.io/aggregate-to-operator",
        "--field-selector=metadata.name!=istio-operator-own",
    ]);
    lab.apply_spec("{profile: default}");
    let grant = "istio-operator role -d 1.17.8 | kubectl apply -f -";
    let told = |what: &str| {
        let message = lab.wait(what, || {
            let message = lab.iop("main").unwrap()["status"]["message"].as_str().unwrap_or_default().to_owned();
            if message.contains(what) && message.ends_with(grant) { Ok(message) } else { Err(message) }
        });
        assert!(message.len() < 500 && message.matches("permissions").count() == 1, "{message}");
    };
    told("lacks permissions: get customresourcedefinitions.apiextensions.k8s.io");
    let role = Command::new(binary()).args(["role", "-d", "1.17.8"]).output().unwrap();
    let role = String::from_utf8(role.stdout).unwrap();
    // Of what istiod's role grants, one permission is missing: a rule stands on a line.
    let less: Vec<&str> = role.lines().filter(|line| !line.contains("tokenreviews")).collect();
    lab.apply_with(&[], &less.join("\n"));
    told("lacks permissions for ");
    told("create tokenreviews.authentication.k8s.io");
    lab.apply_with(&[], &role);
    lab.wait_for_status("HEALTHY", &[]);
}
