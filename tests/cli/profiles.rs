//! Profiles as a person meets them.

use super::{run, run_with_stdin, stderr, stdout};
use serde_json::{Value, json};

fn dump(profile: &str) -> Value {
    let output = run(&["profile", "dump", profile]);
    helm_template::yaml::parse(&stdout(&output)).unwrap_or_else(|e| panic!("{profile}: {e}: {}", stderr(&output)))
}

#[test]
fn profiles_are_listed() {
    let expected = "Istio configuration profiles:\n    ambient\n    default\n    demo\n    empty\n    external\n    minimal\n    \
                    openshift\n    preview\n    remote\n";
    assert_eq!(stdout(&run(&["profile", "list"])), expected);
}

#[test]
fn a_part_of_a_profile_is_dumped_in_every_format() {
    let dump = |format: &str| {
        let path = "components.egressGateways";
        stdout(&run(&["profile", "dump", "default", "-p", path, "-o", format]))
    };
    assert_eq!(dump("yaml"), "- enabled: false\n  name: istio-egressgateway\n");
    assert!(dump("json").contains("\"enabled\": false"));
    assert_eq!(dump("flags"), "[0].enabled=false\n[0].name=\"istio-egressgateway\"\n");
}

#[test]
fn profiles_that_differ_exit_with_1_and_equal_ones_with_0() {
    let differ = run(&["profile", "diff", "default", "demo"]);
    assert_eq!(differ.status.code(), Some(1));
    let text = stdout(&differ);
    assert!(text.starts_with("The difference between profiles:\n--- default\n+++ demo\n"), "{text}");
    let gateway = "     egressGateways:\n-    - enabled: false\n+    - enabled: true\n";
    assert!(text.contains(gateway), "{text}");
    let same = run(&["profile", "diff", "demo", "demo"]);
    assert_eq!((same.status.code(), stdout(&same).as_str()), (Some(0), "Profiles are identical\n"));
}

#[test]
fn a_dump_of_a_profile_is_a_spec_that_gives_the_same() {
    let demo = run(&["manifest", "generate", "--set", "profile=demo"]).stdout;
    let whole = stdout(&run(&["profile", "dump", "demo"]));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("spec.yaml");
    std::fs::write(&file, "kind: IstioOperator\nspec: {profile: demo}\n").unwrap();
    let of_file = stdout(&run(&["profile", "dump", "-f", file.to_str().unwrap()]));
    for dumped in [whole, of_file] {
        let again = run_with_stdin(&["manifest", "generate", "-f", "-"], &dumped);
        assert!(again.status.success() && again.stdout == demo, "{}", stderr(&again));
    }
}

#[test]
fn the_demo_profile_shows_everything_at_small_sizes() {
    let (demo, default) = (dump("demo"), dump("default"));
    let autoscales = |name: &str| format!("/spec/values/gateways/{name}/autoscaleEnabled");
    for (place, of_demo, of_default) in [
        ("/spec/components/egressGateways/0/enabled", json!(true), json!(false)),
        ("/spec/meshConfig/accessLogFile", json!("/dev/stdout"), Value::Null),
        ("/spec/components/pilot/k8s/env/0", json!({"name": "PILOT_TRACE_SAMPLING", "value": "100"}), Value::Null),
        ("/spec/meshConfig/extensionProviders/0/name", json!("otel"), Value::Null),
        ("/spec/meshConfig/extensionProviders/1/name", json!("skywalking"), Value::Null),
        ("/spec/values/pilot/autoscaleEnabled", json!(false), json!(true)),
        (&autoscales("istio-ingressgateway"), json!(false), json!(true)),
        (&autoscales("istio-egressgateway"), json!(false), json!(true)),
        ("/spec/components/pilot/k8s/resources/requests", json!({"cpu": "10m", "memory": "100Mi"}), Value::Null),
    ] {
        let at = |dump: &Value| dump.pointer(place).cloned().unwrap_or_default();
        assert_eq!((at(&demo), at(&default)), (of_demo, of_default), "{place}");
    }
    let ports = demo["spec"]["components"]["ingressGateways"][0]["k8s"]["service"]["ports"].as_array().unwrap();
    let ports: Vec<_> = ports.iter().filter_map(|port| port["port"].as_i64()).collect();
    assert_eq!(ports, [15021, 80, 443, 31400, 15443]);
    let profile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/demo.yaml")).unwrap();
    let comment: String = profile.lines().map_while(|line| line.strip_prefix('#')).collect();
    assert!(comment.contains("not for production"), "{comment}");
}
