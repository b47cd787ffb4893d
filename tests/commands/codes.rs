//! Exit codes of the commands that write nothing to a cluster, by one rule: 2 is a word of the command line that is wrong whatever
//! files, packages and clusters hold, or that is not one of the names a command offers; 1 is what was named and is not there, cannot be
//! read or is refused, and a difference; 0 is the rest.

use crate::{code, folder, resource, run, stderr, stdout};

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ClusterIP}}";

#[test]
fn the_exit_code_says_whether_the_use_was_wrong_or_something_failed() {
    let folder = folder(&[
        ("a.yaml", &resource("{}")),
        ("bad.yaml", &resource("{hubb: x}")),
        ("broken.yaml", "a: [b"),
        ("sail.yaml", "apiVersion: sailoperator.io/v1\nkind: Istio\nspec: {}\n"),
        ("service.yaml", SERVICE),
        ("file", ""),
    ]);
    for (command, expected) in [
        ("crd", 0),
        ("role", 0),
        ("role -d latest", 2),
        ("role -d ./nothing", 1),
        ("manifest generate --set profile=empty", 0),
        ("manifest generate -f a.yaml --component Nope", 2),
        ("manifest generate --set profile", 2),
        ("manifest generate --set a[b=c", 2),
        ("manifest generate --nope", 2),
        ("manifest generate -d 1.30", 2),
        ("manifest generate -d v1.30", 2),
        ("manifest generate -d ftp://x/a", 2),
        ("manifest generate -d ./nothing", 1),
        ("manifest generate -d a.yaml", 1),
        ("manifest generate -f missing.yaml", 1),
        ("manifest generate -f bad.yaml", 1),
        ("manifest generate -f broken.yaml", 1),
        ("manifest generate -f sail.yaml", 1),
        ("manifest generate --set profile=nope", 1),
        ("manifest generate -f a.yaml -o file", 1),
        ("manifest translate --set profile=minimal", 0),
        ("manifest translate -f sail.yaml", 1),
        ("manifest translate -f a.yaml -o file", 1),
        ("manifest diff service.yaml service.yaml", 0),
        ("manifest diff service.yaml a.yaml", 1),
        ("manifest diff service.yaml", 2),
        ("manifest diff service.yaml service.yaml --select a:b:c:d", 2),
        ("manifest diff service.yaml service.yaml --select Deployment", 1),
        ("manifest diff -f a.yaml", 2),
        ("manifest diff -f a.yaml --to-release latest", 2),
        ("manifest diff -f sail.yaml --cluster", 1),
        ("profile list", 0),
        ("profile list -d 1.30", 2),
        ("profile dump", 0),
        ("profile dump NOPE", 2),
        ("profile dump ./nope.yaml", 1),
        ("profile dump demo -f a.yaml", 2),
        ("profile dump demo -o csv", 2),
        ("profile dump demo -p nope", 1),
        ("profile diff demo demo", 0),
        ("profile diff default demo", 1),
        ("profile diff default nope", 2),
        ("profile diff default missing.yaml", 1),
        ("profile diff default a.yaml", 0),
        ("profile diff - -", 2),
        ("release list", 0),
        ("release list --package-dir ./nothing", 1),
        ("release fetch", 2),
        ("release fetch latest", 2),
        ("release fetch 1.30", 2),
        ("release fetch ./nothing", 1),
        ("release fetch p.tar.gz", 1),
        ("upgrade plan -f a.yaml --to 1.17.8", 0),
        ("upgrade plan -f a.yaml --to 1.30", 2),
        ("upgrade plan -f a.yaml --to nope", 2),
        ("upgrade plan -f broken.yaml --to 1.17.8", 1),
        ("upgrade plan -f sail.yaml --to 1.17.8", 1),
        ("upgrade plan --to 1.17.8", 2),
        ("version", 0),
        ("version --remote=true", 1),
        ("version --remote=perhaps", 2),
        ("version -r nope", 0), // no cluster can be asked
        ("kube-inject -f missing.yaml", 1),
        ("kube-inject", 2),
        ("completion bash", 0),
        ("completion nope", 2),
        ("chart template a ./nothing", 1),
        ("package file", 1),
        ("package", 2),
        ("nope", 2),
    ] {
        let output = run(folder.path(), command);
        assert_eq!(code(&output), expected, "{command}: {}", stderr(&output));
        assert!(expected == 0 || !stderr(&output).is_empty() || !stdout(&output).is_empty(), "{command}");
        assert!(expected != 2 || stdout(&output).is_empty(), "{command}: {}", stdout(&output));
        let is_told = |line: &str| line.to_lowercase().starts_with("error: ");
        assert!(expected != 2 || stderr(&output).lines().any(is_told), "{command}: {}", stderr(&output));
    }
}

#[test]
fn manifests_are_verified_as_they_are_and_specs_are_checked() {
    let folder = folder(&[("service.yaml", SERVICE), ("a.yaml", &resource("{}")), ("broken.yaml", "a: [b")]);
    for (file, told) in [
        ("service.yaml", "find a cluster"),
        ("a.yaml", "find a cluster"),
        ("broken.yaml", "read broken.yaml"),
        ("missing.yaml", "read missing.yaml"),
    ] {
        let output = run(folder.path(), &format!("verify-install -f {file}"));
        assert_eq!(code(&output), 1);
        assert!(stderr(&output).contains(told), "{file}: {}", stderr(&output));
    }
}
