//! The examples of every help, run: each does what it says, or needs a cluster and says so.

use crate::folder;
use clap::Command as Described;
use istio_operator::cli::command;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What an example may name: a spec, manifests, workloads.
const SPEC: &str = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: main, namespace: istio-system}\nspec: {}\n";
const OTHER: &str = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: main, namespace: istio-system}\nspec: {profile: minimal}\n";
const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: one}, spec: {type: ClusterIP}}\n";
const WORKLOAD: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {a: b}}, \
                        template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}\n";

/// What a command ends with that found no cluster.
const NO_CLUSTER: &str = "find a cluster";

/// Every command with its examples, as a shell would part them.
fn examples() -> Vec<Vec<String>> {
    fn add(found: &mut Vec<Vec<String>>, command: &Described) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in text.lines().filter(|line| line.starts_with("  ")) {
            let Some(begin) = line.find("istio-operator ") else { continue };
            let line = line[begin..].split(" # ").next().unwrap().split([')', '|', '>']).next().unwrap();
            found.push(line.split_whitespace().skip(1).map(str::to_owned).collect());
        }
        command.get_subcommands().for_each(|below| add(found, below));
    }
    let mut found = vec![];
    add(&mut found, &command());
    found.sort();
    found.dedup();
    assert!(found.len() > 40, "{found:#?}");
    found
}

/// Packages of the releases that examples name: the small one, under their versions.
fn packages(folder: &Path, examples: &[Vec<String>]) {
    let versions = examples.iter().flatten().filter(|word| {
        word.starts_with("1.") && word.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    for version in versions {
        let package = folder.join("packages").join(version);
        copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages/1.30.99")), &package);
        let profile = package.join("profiles/default.yaml");
        let text = fs::read_to_string(&profile).unwrap();
        assert!(text.contains("1.30.99"));
        fs::write(profile, text.replace("1.30.99", version)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).unwrap() }
    }
}

/// Whether a command takes the flag.
fn takes(example: &[String], flag: &str) -> bool {
    let mut command = command();
    command.build();
    let mut found = &command;
    for word in example {
        match found
            .get_subcommands()
            .find(|below| below.get_name() == word || below.get_all_aliases().any(|alias| alias == word))
        {
            Some(below) => found = below,
            None => break,
        }
    }
    found.get_arguments().any(|arg| arg.get_long() == Some(flag))
}

#[test]
fn every_example_of_a_help_works_or_misses_a_cluster_only() {
    let folder = folder(&[
        ("spec.yaml", SPEC),
        ("iop.yaml", SPEC),
        ("a.yaml", SPEC),
        ("b.yaml", OTHER),
        ("before.yaml", SERVICE),
        ("after.yaml", SERVICE),
        ("manifests.yaml", SERVICE),
        ("pod.yaml", WORKLOAD),
        ("charts/istiod/Chart.yaml", "apiVersion: v2\nname: istiod\nversion: 1.0.0\n"),
        ("app.yaml", WORKLOAD),
        ("deployment.yaml", WORKLOAD),
    ]);
    let examples = examples();
    packages(folder.path(), &examples);
    for mut example in examples {
        // Nothing is asked of the world.
        if example.iter().any(|word| word.contains("://")) {
            continue;
        }
        if takes(&example, "package-dir") {
            example.extend(["--package-dir".to_owned(), folder.path().join("packages").display().to_string()]);
        }
        let mut operator = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
        operator.current_dir(folder.path()).args(&example).stdin(Stdio::null());
        operator.env("KUBECONFIG", folder.path().join("none")).env("XDG_CACHE_HOME", folder.path().join("cache"));
        let output = operator.output().unwrap();
        let (code, told) = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        let is_difference = example.iter().any(|word| word == "diff") && code == Some(1) && !output.stdout.is_empty();
        let misses_cluster = code == Some(1) && told.contains(NO_CLUSTER);
        assert!(code == Some(0) || is_difference || misses_cluster, "{}: {code:?}: {told}", example.join(" "));
    }
}
