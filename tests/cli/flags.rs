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
        (vec!["server", "--help"], "--max-concurrent-reconciles"),
        (vec!["x", "precheck", "--help"], "--revision"),
    ] {
        let told = run(&args);
        assert!(told.status.success() && stdout(&told).contains(flag), "{args:?}: {}{}", stdout(&told), stderr(&told));
    }
    let unknown = run(&["instal", "--help"]);
    assert!(unknown.status.code() == Some(2) && stderr(&unknown).contains("'install'"), "{}", stderr(&unknown));
}
