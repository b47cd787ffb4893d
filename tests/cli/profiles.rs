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
    let flags =
        "components.egressGateways[0].enabled=false\ncomponents.egressGateways[0].name=\"istio-egressgateway\"\n";
    assert_eq!(dump("flags"), flags, "each as --set takes it");
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

/// The releases at hand: the built-in one, and those in the folder that CONTRIBUTING.md names.
fn releases() -> Vec<String> {
    let cache =
        std::env::var("XDG_CACHE_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cache")).unwrap();
    let folder = std::path::Path::new(&cache).join("istio-operator/releases");
    let there = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = there.map(|path| path.to_str().unwrap().to_owned()).collect();
    if all.is_empty() {
        eprintln!("no release packages in {}: only the built-in profiles are tested", folder.display());
    }
    all.push("1.17.8".to_owned());
    all
}

/// Without empty maps and lists, for which no line is written, and which change nothing.
fn filled(value: &Value) -> Value {
    let is_filled = |value: &Value| !matches!(value, Value::Object(map) if map.is_empty()) && *value != json!([]);
    match value {
        Value::Object(map) => {
            let filled = map.iter().map(|(key, value)| (key.clone(), filled(value)));
            Value::Object(filled.filter(|(_, value)| is_filled(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(filled).filter(is_filled).collect()),
        other => other.clone(),
    }
}

/// Of each profile of each release: the lines say what the dumped spec says, and come to the objects of the profile.
#[test]
#[ignore = "long: `make test-all`"]
fn every_line_of_a_dump_is_taken_and_gives_the_same() {
    for release in releases() {
        let list = stdout(&run(&["profile", "list", "-d", &release]));
        for profile in list.lines().skip(1).map(str::trim) {
            let flags = run(&["profile", "dump", "-d", &release, profile, "-o", "flags"]);
            assert_eq!(stderr(&flags), "", "{release} {profile}");
            let text = stdout(&flags);
            let sets: Vec<&str> = text.lines().flat_map(|line| ["--set", line]).collect();
            let again = run(&[&["profile", "dump", "-d", &release], &sets[..]].concat());
            assert!(again.status.success(), "{release} {profile}: {}", stderr(&again));
            let dumped = stdout(&run(&["profile", "dump", "-d", &release, profile]));
            let of_file = run_with_stdin(&["profile", "dump", "-d", &release, "-f", "-"], &dumped);
            let [again, of_file] =
                [again, of_file].map(|output| filled(&helm_template::yaml::parse(&stdout(&output)).unwrap()));
            assert_eq!(again, of_file, "{release} {profile}");
            let generate = |sets: &[&str]| run(&[&["manifest", "generate", "-d", &release], sets].concat());
            let set = format!("profile={profile}");
            let (again, expected) = (generate(&sets), generate(&["--set", &set]));
            assert!(again.status.success(), "{release} {profile}: {}", stderr(&again));
            assert!(again.stdout == expected.stdout, "{release} {profile}: other objects");
        }
    }
}

#[test]
fn a_value_that_no_flag_can_say_is_told_and_has_no_line() {
    let spec = "kind: IstioOperator\nspec:\n  meshConfig:\n    defaultConfig:\n      proxyMetadata: {A.B: 'a,b', C: '1', D: 'x: y', E: \"one\\ntwo\", F: 'q\"q', \
                G: ' s ', H: 'a=b', I: 'true', 'J[0]': k}\n";
    let dumped = run_with_stdin(&["profile", "dump", "-f", "-", "-o", "flags"], spec);
    let (text, told) = (stdout(&dumped), stderr(&dumped));
    let at = "meshConfig.defaultConfig.proxyMetadata";
    assert!(told.contains(&format!("Warning: {at}.E: no --set can say this value")), "{told}");
    assert!(!text.contains(&format!("{at}.E=")), "{text}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let sets: Vec<&str> = text.lines().flat_map(|line| ["--set", line]).collect();
    let of = |output: &std::process::Output| helm_template::yaml::parse(&stdout(output)).unwrap();
    let again = of(&run(&[&["profile", "dump", "-p", at], &sets[..]].concat()));
    let mut expected = of(&run_with_stdin(&["profile", "dump", "-p", at, "-f", "-"], spec));
    expected.as_object_mut().unwrap().remove("E").unwrap();
    assert_eq!(again, expected);
}

#[test]
fn a_file_with_a_spec_is_compared_on_its_profile() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("spec.yaml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    write("kind: IstioOperator\nmetadata: {name: main}\nspec: {profile: demo}\n");
    let same = run(&["profile", "diff", "demo", path]);
    assert_eq!(
        (same.status.code(), stdout(&same).as_str()),
        (Some(0), "Profiles are identical\n"),
        "{}",
        stderr(&same)
    );
    write("kind: IstioOperator\nspec: {hub: mine.example}\n");
    let differs = run(&["profile", "diff", path, "default"]);
    assert!(
        differs.status.code() == Some(1) && stdout(&differs).contains("-  hub: mine.example"),
        "{}",
        stderr(&differs)
    );
    // A profile has its default beside it.
    let package = dir.path().join("package");
    let package = package.to_str().unwrap();
    assert!(run(&["package", package]).status.success());
    let profile = format!("{package}/profiles/minimal.yaml");
    let same = run(&["profile", "diff", "-d", package, &profile, "minimal"]);
    let text = stdout(&same);
    assert!(
        text.lines().all(|line| !line.starts_with(['+', '-']) || line.contains("profile") || line.contains("minimal")),
        "{text}"
    );
}
