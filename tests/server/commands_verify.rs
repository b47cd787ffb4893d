//! `verify-install` and `version`.

use crate::commands_run::{Said, run};
use crate::lab::Lab;
use serde_json::Value;

#[test]
fn an_installation_is_verified_and_its_versions_are_told() {
    let lab = Lab::without_operator();
    let said = run(&lab, "version").ended(0);
    assert!(said.out.contains("control plane version: none installed\ndata plane version: none\n"), "{said:?}");
    run(&lab, "verify-install").ended(1).warned(&["there is no record of an installation of revision default"]);
    run(&lab, "verify-install --set profile=empty").ended(1).warned(&["nothing to verify"]);
    run(&lab, "install --set profile=demo -y --verify").ended(0);
    let said = run(&lab, "verify-install").ended(0);
    let lines: Vec<&str> = said.out.lines().collect();
    for line in [
        "✔ Deployment: istiod.istio-system checked successfully",
        "✔ CustomResourceDefinition: gateways.networking.istio.io.istio-system checked successfully",
        "Checked 15 custom resource definitions",
        "Checked 3 Istio Deployments",
        "✔ Istio is installed and verified successfully",
    ] {
        assert!(lines.contains(&line), "{line} is not in {}", said.out);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), run(&lab, "manifest generate --set profile=demo").ended(0).out).unwrap();
    let said = run(&lab, &format!("verify-install -f {}", file.path().display())).ended(0);
    assert!(said.out.contains("Checked 3 Istio Deployments"), "manifests are verified, too: {}", said.out);
    // A record may not say its release; the control plane does.
    lab.kubectl(&["label", "iop", "installed-state", "-n", "istio-system", "operator.istio.io/version-"]);
    run(&lab, "verify-install").ended(0);
    run(&lab, "verify-install --revision canary").ended(1).warned(&["revision canary"]);

    let said = run(&lab, "operator status").ended(0);
    let told = [
        "There are no IstioOperator resources.",
        "records of installations: installed-state",
        "uninstall --revision default",
    ];
    assert!(told.iter().all(|told| said.out.contains(told)), "{said:?}");
    // A record tells nothing of what a resource is about to change.
    lab.apply_spec("{profile: demo}");
    run(&lab, "verify-install")
        .ended(1)
        .warned(&["IstioOperator istio-system/main: no operator has reported its status yet"]);
    lab.delete("main");

    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    run(&lab, "verify-install --set profile=demo")
        .ended(1)
        .warned(&["✘ Service: istiod.istio-system: not found", "1 of 63"]);

    lab.run_with_sidecar("default", "cart", "default");
    let Said { out, .. } = run(&lab, "version -o json").ended(0);
    let found: Value = serde_json::from_str(&out).unwrap();
    let istiod = &found["meshVersion"][0];
    assert_eq!(
        (&istiod["revision"], &istiod["release"], &istiod["image"]),
        (&"default".into(), &"1.17.8".into(), &"1.17.8".into())
    );
    // The gateways, and a sidecar of whose image nothing is known.
    let proxies = serde_json::json!([{"version": "1.17.8", "proxies": 2}, {"version": "unknown", "proxies": 1}]);
    assert_eq!(found["dataPlaneVersion"], proxies, "{found:#}");
    let said = run(&lab, "version --short").ended(0);
    let expected = "control plane version: 1.17.8\ndata plane version: 1.17.8 (2 proxies), unknown (1 proxy)\n";
    assert!(said.out.ends_with(expected), "{said:?}");
    let said = run(&lab, "version --remote=false").ended(0);
    assert_eq!(said.out.lines().count(), 1, "{said:?}");

    lab.kubectl(&["delete", "deployment", "istiod", "-n", "istio-system"]);
    run(&lab, "verify-install").ended(1).warned(&["nothing says which release", "with -d"]);
    run(&lab, "verify-install -d 1.17.8").ended(1).warned(&["Deployment: istiod.istio-system: not found"]);
}
