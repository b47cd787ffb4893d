//! `tag`, `experimental` and `operator`, as far as they need no cluster: their help, what is invalid usage, and what is said
//! where there is no cluster.

use super::{code, folder, run, stderr, stdout};
use std::collections::BTreeSet;

/// The commands that have examples.
const COMMANDS: [&str; 11] = [
    "tag set",
    "tag generate",
    "tag list",
    "tag remove",
    "experimental revision list",
    "experimental revision describe",
    "experimental precheck",
    "operator init",
    "operator remove",
    "operator status",
    "operator adopt",
];

/// The examples of a help, without what is said of them.
fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().filter_map(|line| line.trim_start().strip_prefix("istio-operator "));
    let command = |line: &str| line.split(" # ").next().unwrap().trim().to_owned();
    lines.map(command).collect()
}

#[test]
fn the_examples_of_the_help_are_used_rightly() {
    let spec = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: a}\nspec: {}\n";
    let folder = folder(&[("iop.yaml", spec), ("spec.yaml", spec)]);
    let mut all = BTreeSet::new();
    for command in COMMANDS {
        let help = run(folder.path(), &format!("{command} --help"));
        let found = examples(stdout(&help));
        assert!(!found.is_empty(), "{command}: {}", stdout(&help));
        all.extend(found);
    }
    assert!(all.len() >= 12, "{all:#?}");
    for example in all {
        // The release of an example need not be at hand; nothing is fetched before the cluster is found.
        let output = run(folder.path(), &example);
        assert_eq!(code(&output), 1, "{example}: {}{}", stdout(&output), stderr(&output));
        assert!(stderr(&output).starts_with("Error: "), "{example}: {}", stderr(&output));
        assert!(stderr(&output).contains("find a cluster"), "{example}: {}", stderr(&output));
    }
}

#[test]
fn what_is_no_name_of_a_tag_is_a_wrong_use() {
    let folder = folder(&[]);
    for (command, told) in [
        ("tag set Prod --revision a", "must have only a-z, 0-9 and -"),
        ("tag set prod", "--revision"),
        ("tag set prod --revision a --wrong", "--wrong"),
        ("tag set prod --revision a --auto-inject-namespaces", "is for the tag default"),
        ("tag set prod -r a --webhook-name A_b", "RFC 1123"),
        ("tag list -o xml", "xml"),
        ("tag remove", "<TAG>"),
        ("x revision describe", "<REVISION>"),
        ("x precheck -r A", "must have only a-z, 0-9 and -"),
        ("operator remove --purge -r a", "cannot be used with"),
        ("operator init --readiness-timeout soon", "soon"),
        ("operator dump -o table", "table"),
        ("operator status -o xml", "xml"),
        ("operator adopt", "name a resource of the cluster, or a file with -f"),
        ("operator adopt main -f iop.yaml", "cannot be used with"),
    ] {
        let output = run(folder.path(), command);
        assert_eq!(code(&output), 2, "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{command}: {}", stderr(&output));
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_named_in_one_line() {
    let config = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]}"#;
    let folder = folder(&[("none", config)]);
    for command in ["tag list", "x revision list", "x precheck", "operator init", "operator remove", "operator status"]
    {
        let output = run(folder.path(), command);
        assert_eq!(code(&output), 1, "{command}: {}", stderr(&output));
        let told = "Error: the API server http://127.0.0.1:9 cannot be reached: ";
        assert!(stderr(&output).starts_with(told) && stderr(&output).lines().count() == 1, "{}", stderr(&output));
    }
}

#[test]
fn a_file_that_is_no_resource_is_refused_before_anything_is_done() {
    let folder = folder(&[("iop.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")]);
    let output = run(folder.path(), "operator init -f iop.yaml");
    assert_eq!(code(&output), 1);
    let told = "Error: iop.yaml must have one IstioOperator resource of install.istio.io/v1alpha1, and has 0\n";
    assert_eq!(stderr(&output), told);
}

#[test]
fn the_dump_is_data_in_both_forms() {
    let folder = folder(&[]);
    let json = super::data(&run(folder.path(), "operator dump -o json --watchedNamespaces="));
    let yaml = run(folder.path(), "operator dump --watchedNamespaces=");
    let documents = stdout(&yaml).split("---\n").filter(|document| !document.trim().is_empty()).count();
    assert_eq!(json["items"].as_array().unwrap().len(), documents);
    assert!(stdout(&yaml).contains("name: WATCH_NAMESPACE\n          value: \"\"\n"), "{}", stdout(&yaml));
}
