//! `upgrade plan` of files.

use crate::{code, data, folder, package, resource, run, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The built-in package under the tag of another release.
fn stamp(folder: &Path, name: &str, tag: &str) {
    assert_eq!(code(&run(folder, &format!("package {name}"))), 0);
    let profile = folder.join(name).join("profiles/default.yaml");
    let text = fs::read_to_string(&profile).unwrap();
    assert!(text.contains("1.17.8"));
    fs::write(profile, text.replace("1.17.8", tag)).unwrap();
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[test]
fn a_plan_of_a_file_tells_what_differs_and_nothing_is_in_the_way() {
    let folder = folder(&[("a.yaml", &resource("{profile: demo}"))]);
    stamp(folder.path(), "next", "1.18.2");
    let output = run(folder.path(), "upgrade plan -f a.yaml --to next -o json");
    assert_eq!((code(&output), stderr(&output)), (0, ""));
    let plan = data(&output);
    assert_eq!((&plan["from"], &plan["to"]), (&"1.17.8".into(), &"1.18.2".into()));
    assert_eq!((texts(&plan["blockedBy"]), texts(&plan["skippedMinors"])), (vec![], vec![]));
    let restarts = ["egressgateway", "ingressgateway"].map(|name| format!("Deployment istio-system/istio-{name}"));
    let expected = [&restarts[0], &restarts[1], "Deployment istio-system/istiod"];
    assert_eq!(texts(&plan["restarts"]), expected);
    assert!(plan["proxies"]["unknown"].as_str().unwrap().contains("no cluster"));
    let yaml = run(folder.path(), "upgrade plan -f a.yaml --to next -o yaml");
    assert_eq!(helm_template::yaml::parse(stdout(&yaml)).unwrap(), plan);
    let text = run(folder.path(), "upgrade plan -f a.yaml --to next");
    for line in [
        "a.yaml: from 1.17.8",
        "Pods that restart, of:",
        "Proxies: an istiod of 1.18 supports proxies of 1.17 and 1.18",
    ] {
        assert!(stdout(&text).contains(line), "{line} is missing in\n{}", stdout(&text));
    }
    let same = run(folder.path(), "upgrade plan -f a.yaml --to 1.17.8");
    assert!(stdout(&same).contains("0 to create, 0 to change, 0 to delete"), "{}", stdout(&same));
    assert!(stdout(&same).contains("No pods restart."), "{}", stdout(&same));
}

#[test]
fn what_a_release_refuses_or_would_move_back_is_in_the_way() {
    let spec =
        "{profile: minimal, values: {pilot: {plugins: [a]}, telemetry: {v2: {accessLogPolicy: {enabled: true}}}}}";
    let folder = folder(&[("a.yaml", &resource(spec))]);
    stamp(folder.path(), "later", "1.22.4");
    let output = run(folder.path(), "upgrade plan -f a.yaml --to later");
    assert_eq!((code(&output), stderr(&output)), (1, ""));
    for line in [
        "This is in the way:",
        "spec.values.pilot.plugins: unknown field \"plugins\": release 1.22 removed it; remove it",
        "spec.values.telemetry.v2.accessLogPolicy: removed in 1.21; use the Telemetry API",
        "Skipped minor releases: 1.18, 1.19, 1.20, 1.21.",
        "Objects that differ: unknown.",
        "Pods that restart: unknown.",
    ] {
        assert!(stdout(&output).contains(line), "{line} is missing in\n{}", stdout(&output));
    }
    let back = run(folder.path(), "upgrade plan --set profile=minimal -d later --to 1.17.8 -o json");
    assert_eq!(code(&back), 1, "{}", stderr(&back));
    assert!(texts(&data(&back)["blockedBy"])[0].contains("release 1.17.8 is older than 1.22.4"));
}

#[test]
fn a_plan_needs_a_spec_and_a_release() {
    let folder = folder(&[("a.yaml", &resource("{}"))]);
    for (flags, expected, said) in [
        ("--to 1.17.8", 2, "-f"),
        ("-f a.yaml", 2, "--to"),
        ("main -f a.yaml --to 1.17.8", 2, "cannot be used with"),
        ("-f a.yaml --to 1.17.8 -o flags", 2, "possible values"),
        ("-f a.yaml --to ./nowhere", 1, "nowhere"),
        ("-f missing.yaml --to 1.17.8", 1, "missing.yaml"),
    ] {
        let output = run(folder.path(), &format!("upgrade plan {flags}"));
        assert_eq!((code(&output), stdout(&output)), (expected, ""), "{flags}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{flags}: {}", stderr(&output));
    }
}

#[test]
fn a_plan_between_real_releases_has_their_hazards() {
    let (Some(old), Some(new)) = (package("1.23.6"), package("1.30.3")) else { return };
    let spec = "{profile: default, values: {pilot: {resources: null}, global: {proxy: {privileged: false}}}}";
    let folder = folder(&[("a.yaml", &resource(spec))]);
    let command = format!("upgrade plan -f a.yaml -d {} --to {} -o json", old.display(), new.display());
    let output = run(folder.path(), &command);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let plan = data(&output);
    assert_eq!(
        (&plan["from"], &plan["to"], &plan["needsKubernetes"]),
        (&"1.23.6".into(), &"1.30.3".into(), &"1.32".into())
    );
    let hazards: Vec<&str> = plan["hazards"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap()).collect();
    assert_eq!(hazards, ["OtherOperator", "NullsCount", "NoDisruptionBudget", "RegistryChanges", "BehaviorChanges"]);
    assert_eq!(texts(&plan["skippedMinors"]).len(), 6);
    let added: Vec<&str> =
        plan["addedFields"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert!(
        added.contains(&"spec.values.pilot.envVarFrom") && !added.iter().any(|path| path.contains(".cni.")),
        "{added:?}"
    );
}
