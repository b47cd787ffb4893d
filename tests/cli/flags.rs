//! What is given in flags, taken as it is written.

use super::{image, objects, run, stderr, stdout};

/// Issue: flags travelled as the text of `--set`, so `118` was a number, and a directory with `: ` in its name a map.
#[test]
fn flags_are_taken_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("package");
    assert!(run(&["package", package.to_str().unwrap()]).status.success());
    let profile = "spec:\n  tag: mine\n";
    for odd in
        ["118", "1.30", "true", "null", "007", "1e3", "a: b", "{a: b}", "[a]", "a,b", "a=b", "a.b[0]", "\"q\"", "-x"]
    {
        std::fs::write(package.join(format!("profiles/{odd}.yaml")), profile).unwrap();
        let renamed = dir.path().join(odd);
        std::os::unix::fs::symlink(&package, &renamed).unwrap();
        let manifests = format!("--manifests={}", renamed.display());
        let generated = run(&["manifest", "generate", &manifests, "--set", "profile=minimal"]);
        assert!(objects(&generated).len() > 40, "{odd}");
        // With a dot it is the name of a file.
        if odd.contains('.') {
            continue;
        }
        let dumped = run(&["profile", "dump", &manifests, "-p", "tag", "--", odd]);
        assert_eq!((stdout(&dumped).as_str(), stderr(&dumped).as_str()), ("mine\n", ""), "{odd}");
    }
    for revision in ["118", "007", "true", "null", "1e3"] {
        let generated = run(&["manifest", "generate", "--set", "profile=minimal", "--revision", revision]);
        let name = format!("istiod-{revision}");
        assert!(objects(&generated).contains(&("Deployment".into(), name)), "{revision}: {}", stderr(&generated));
    }
    for (revision, place) in [("a: b", "--revision a: b: spec.revision: "), ("A_b", "--revision A_b: spec.revision: ")]
    {
        let refused = run(&["manifest", "generate", "--revision", revision]);
        assert!(refused.status.code() == Some(1) && stderr(&refused).contains(place), "{}", stderr(&refused));
    }
}

#[test]
fn durations_of_flags_are_go_durations() {
    for (flag, wrong) in [("--renew-deadline", "10"), ("--max-silence", "0s"), ("--deletion-hold", "1d")] {
        let refused = run(&["run", flag, wrong]);
        let message = stderr(&refused);
        assert!(refused.status.code() == Some(2) && message.contains("such as 10s, 1m30s, 1.5s or 500ms"), "{message}");
    }
}

#[test]
fn of_files_and_flags_what_stands_last_counts() {
    let dir = tempfile::tempdir().unwrap();
    let file = |tag: &str| {
        let path = dir.path().join(tag);
        std::fs::write(&path, format!("kind: IstioOperator\nspec: {{tag: {tag}}}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = (file("one"), file("other"));
    for (args, tag) in [
        (vec!["-f", &one, "-f", &other], "other"),
        (vec!["-f", &other, "-f", &one], "one"),
        (vec!["--set", "tag=1", "--set", "tag=2"], "2"),
        (vec!["--set", "tag=2", "-f", &one], "2"),
    ] {
        assert_eq!(image(&run(&[&["manifest", "generate"], &args[..]].concat())), tag, "{args:?}");
    }
}

/// Only the command that is named has its flags made.
#[test]
fn a_command_has_its_flags_by_each_of_its_names() {
    for (args, flag) in [
        (vec!["install", "--help"], "--readiness-timeout"),
        (vec!["apply", "--help"], "--readiness-timeout"),
        (vec!["help", "install"], "--readiness-timeout"),
        (vec!["manifest", "apply", "--help"], "--readiness-timeout"),
        (vec!["help", "manifest", "generate"], "--component"),
        (vec!["server", "--help"], "--watch-namespace"),
        (vec!["x", "precheck", "--help"], "--revision"),
    ] {
        let told = run(&args);
        assert!(told.status.success() && stdout(&told).contains(flag), "{args:?}: {}{}", stdout(&told), stderr(&told));
    }
    let unknown = run(&["instal", "--help"]);
    assert!(unknown.status.code() == Some(2) && stderr(&unknown).contains("'install'"), "{}", stderr(&unknown));
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// What a command prints with these arguments, which it must take.
fn printed(line: &str) -> String {
    let output = run(&line.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn lists_are_data_where_that_is_asked_for() {
    let profiles: serde_json::Value = serde_json::from_str(&printed("profile list -o json")).unwrap();
    assert!(profiles.as_array().unwrap().contains(&serde_json::json!({"name": "demo"})), "{profiles}");
    assert_eq!(printed("profile list -o table"), printed("profile list"));
    assert!(printed("profile list").starts_with("Istio configuration profiles:\n    ambient\n"));
    assert!(printed("profile list -o yaml").contains("- name: demo\n"));
    let version: serde_json::Value = serde_json::from_str(&printed("version --remote=false -o json")).unwrap();
    assert!(version["clientVersion"]["version"].is_string(), "{version}");
    assert_eq!(printed("version --remote=false -o table"), printed("version --remote=false"));
}

#[test]
fn a_report_is_also_text_under_the_name_of_a_table() {
    let folder = folder(&[("a.yaml", "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n")]);
    let plan = |form: &str| {
        let file = folder.path().join("a.yaml").display().to_string();
        stdout(&run(&["upgrade", "plan", "-f", &file, "--to", "1.17.8", "-o", form]))
    };
    assert!(plan("text").lines().count() > 1);
    assert_eq!(plan("table"), plan("text"));
    for command in ["x precheck", "operator adopt main", "verify-install"] {
        let line = format!("{command} -o table -c none");
        let output = run(&line.split(' ').collect::<Vec<_>>());
        // The form is taken, and then there is no cluster.
        assert_eq!(output.status.code(), Some(1), "{line}: {}", stderr(&output));
    }
}

#[test]
fn flags_of_istioctl_without_effect_are_taken_and_told() {
    let output = run(&["profile", "list", "--vklog=9", "--dry-run"]);
    let told = stderr(&output);
    assert!(output.status.success() && told.contains("Warning: --vklog has no effect here\n"), "{told}");
    assert!(told.contains("Warning: --dry-run has no effect here: nothing is changed anyway\n"), "{told}");
    assert_eq!(stdout(&output), printed("profile list"));
    let refused = run(&["manifest", "generate", "--filter", "a"]);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(2), String::new()), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--component"), "{}", stderr(&refused));
}

#[test]
fn objects_without_a_namespace_are_injected_for_the_one_of_the_flag() {
    let spec = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}\n";
    let folder = folder(&[("spec.yaml", spec), ("pod.yaml", pod)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (spec, pod) = (path("spec.yaml"), path("pod.yaml"));
    let inject = |flags: &[&str]| run(&[&["kube-inject", "-f", &pod, "--operatorFileName", &spec], flags].concat());
    let injected = inject(&["-n", "shop"]);
    assert!(stdout(&injected).contains("namespaces/shop/pods/a"), "{}{}", stdout(&injected), stderr(&injected));
    let left = inject(&["-n", "kube-system"]);
    assert!(stderr(&left).contains("a namespace of the cluster's own"), "{}", stderr(&left));
}
