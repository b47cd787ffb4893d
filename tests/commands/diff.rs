//! `manifest diff` of files, specs and releases.

use crate::{code, data, folder, package, resource, run, stderr, stdout};
use std::fs;
use std::process::Command;

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: one}, spec: {type: ClusterIP}}";
const SECRET: &str =
    "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: one}, data: {key: dG9wLXNlY3JldA==}}";

#[test]
fn files_are_compared_by_their_objects_and_not_by_their_text() {
    let other = format!(
        "# A comment.\n---\n{SECRET}\n---\nkind: Service\nmetadata:\n  namespace: one\n  name: a\nspec:\n  type: ClusterIP\napiVersion: v1\n"
    );
    let list = format!("{{apiVersion: v1, kind: List, items: [{SECRET}, {SERVICE}]}}");
    let files = [("a.yaml", &*format!("{SERVICE}\n---\n{SECRET}\n")), ("b.yaml", &*other), ("c.yml", &*list)];
    let folder = folder(&files);
    for other in ["b.yaml", "c.yml"] {
        let output = run(folder.path(), &format!("manifest diff a.yaml {other}"));
        assert_eq!((code(&output), stdout(&output)), (0, "Manifests are identical\n"), "{}", stderr(&output));
    }
}

#[test]
fn what_differs_is_told_as_text_table_and_data_with_exit_code_1() {
    let changed = SERVICE.replace("ClusterIP", "LoadBalancer");
    let folder = folder(&[("a.yaml", SERVICE), ("b.yaml", &format!("{changed}\n---\n{SECRET}"))]);
    let output = run(folder.path(), "manifest diff a.yaml b.yaml");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    for line in
        ["--- Service one/a", "-  type: ClusterIP", "+  type: LoadBalancer", "--- /dev/null", "+++ Secret one/s"]
    {
        assert!(stdout(&output).lines().any(|other| other == line), "{line} is missing in\n{}", stdout(&output));
    }
    let table = run(folder.path(), "manifest diff a.yaml b.yaml -o table");
    let expected = "CHANGE  OBJECT         FIELDS\ncreate  Secret one/s\nchange  Service one/a  .spec.type\n";
    assert_eq!((code(&table), stdout(&table)), (1, expected));
    let json = run(folder.path(), "manifest diff a.yaml b.yaml -o json");
    let found = data(&json);
    assert_eq!((code(&json), &found["equal"], &found["summary"]["create"]), (1, &false.into(), &1.into()));
    let field = &found["objects"][1]["fields"][0];
    assert_eq!((&field["path"], &field["before"]), (&".spec.type".into(), &"ClusterIP".into()));
    let yaml = run(folder.path(), "manifest diff a.yaml b.yaml -o yaml");
    assert_eq!(helm_template::yaml::parse(stdout(&yaml)).unwrap(), found);
    for output in [output, table, json, yaml] {
        assert!(!stdout(&output).contains("dG9w") && !stdout(&output).contains("top-secret"), "a secret is printed");
    }
}

#[test]
fn objects_are_selected_ignored_and_renamed() {
    let (renamed, changed) = (SERVICE.replace("name: a", "name: b"), SERVICE.replace("ClusterIP", "LoadBalancer"));
    let files = [("a.yaml", SERVICE), ("b.yaml", &*renamed), ("c.yaml", &*format!("{changed}\n---\n{SECRET}"))];
    let folder = folder(&files);
    for (flags, expected) in [
        ("a.yaml b.yaml", 1),
        ("a.yaml b.yaml --rename Service:*:a->Service:*:b", 0),
        ("a.yaml c.yaml --select Service:one:*", 1),
        ("a.yaml c.yaml --select Deployment", 1),
        ("a.yaml c.yaml --ignore Service:*:a,Secret:one:s", 0),
        ("a.yaml c.yaml --ignore Service:*:a:spec.type --select Service", 0),
    ] {
        let output = run(folder.path(), &format!("manifest diff {flags}"));
        assert_eq!(code(&output), expected, "{flags}: {}{}", stdout(&output), stderr(&output));
    }
}

#[test]
fn what_is_selected_and_not_there_is_not_identical() {
    let folder = folder(&[("a.yaml", SERVICE), ("spec.yaml", &resource("{profile: minimal}"))]);
    for (command, told) in [
        ("a.yaml a.yaml --select Servce", "--select Servce:: fits no object (did you mean \"Service\"?)"),
        ("a.yaml a.yaml --select Service:two:*", "there are Service one/a"),
        ("-f spec.yaml --to-set tag=x --select Deployment:*:istoid", "there are Deployment istio-system/istiod"),
    ] {
        let output = run(folder.path(), &format!("manifest diff {command}"));
        assert_eq!((code(&output), stdout(&output)), (1, ""), "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{command}: {}", stderr(&output));
    }
    let some = run(folder.path(), "manifest diff a.yaml a.yaml --select Service,Secret");
    assert_eq!((code(&some), stdout(&some)), (0, "Manifests are identical\n"));
    assert!(stderr(&some).starts_with("Warning: --select Secret:: fits no object"), "{}", stderr(&some));
    for (flag, told) in [
        ("--ignore Servce", "Warning: --ignore Servce:: fits no object (did you mean \"Service\"?)\n"),
        (
            "--rename Service:one:b->Service:one:c",
            "Warning: --rename Service:one:b fits no object; there are Service one/a\n",
        ),
        ("--rename Service:one:a->Service:one:a --ignore Service:one:a:spec", ""),
    ] {
        let output = run(folder.path(), &format!("manifest diff a.yaml a.yaml {flag}"));
        assert_eq!((code(&output), stderr(&output)), (0, told), "{flag}");
    }
}

#[test]
fn wrong_use_is_exit_code_2_and_what_cannot_be_read_is_1() {
    let folder = folder(&[("a.yaml", SERVICE), ("broken.yaml", "a: [b"), ("other.yaml", "a: b"), ("empty/a.txt", "")]);
    for (flags, expected, said) in [
        ("", 2, "--to-filename"),
        (" a.yaml", 2, ""),
        (" a.yaml a.yaml --cluster", 2, "cannot be used with"),
        (" a.yaml a.yaml --select a:b:c:d", 2, "KIND:NAMESPACE:NAME"),
        (" a.yaml a.yaml --rename a", 2, "OLD->NEW"),
        (" a.yaml a.yaml -o csv", 2, "possible values"),
        (" --cluster", 2, "-f"),
        (" - -", 2, "stdin"),
        (" a.yaml missing.yaml", 1, "missing.yaml"),
        (" a.yaml broken.yaml", 1, "broken.yaml: not YAML"),
        (" a.yaml other.yaml", 1, "other.yaml: a document has no apiVersion"),
        (" a.yaml empty", 1, "no files that end in .yaml"),
        (" -f missing.yaml --to-set a=b", 1, "missing.yaml"),
    ] {
        let output = run(folder.path(), &format!("manifest diff{flags}"));
        assert_eq!((code(&output), stdout(&output)), (expected, ""), "{flags}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{flags}: {}", stderr(&output));
    }
}

#[test]
fn without_a_cluster_one_line_says_so() {
    let server = "https://127.0.0.1:1";
    let config = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{server}'}}}}], users: [{{name: u, user: {{}}}}]}}"
    );
    let folder = folder(&[("a.yaml", &resource("{}"))]);
    for (text, said) in [
        ("", "none (of KUBECONFIG) does not exist, and this is not a pod"),
        (&*config, "the API server https://127.0.0.1:1 cannot be reached"),
    ] {
        if !text.is_empty() {
            fs::write(folder.path().join("none"), text).unwrap();
        }
        for command in ["manifest diff -f a.yaml --cluster", "upgrade plan main --to 1.17.8"] {
            let output = run(folder.path(), command);
            assert_eq!((code(&output), stderr(&output).lines().count()), (1, 1), "{command}: {}", stderr(&output));
            assert!(stderr(&output).contains(said), "{command}: {}", stderr(&output));
        }
    }
}

#[test]
fn a_directory_of_manifests_is_equal_to_the_specs_own() {
    let folder = folder(&[("a.yaml", &resource("{profile: demo}"))]);
    assert_eq!(code(&run(folder.path(), "manifest generate -f a.yaml -o out")), 0);
    let printed = run(folder.path(), "manifest generate -f a.yaml");
    fs::write(folder.path().join("all.yaml"), &printed.stdout).unwrap();
    let output = run(folder.path(), "manifest diff -r out all.yaml");
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn two_specs_are_compared_by_what_they_come_to() {
    let files = [("a.yaml", &*resource("{profile: default}")), ("b.yaml", &*resource("{profile: demo}"))];
    let folder = folder(&files);
    assert_eq!(code(&run(folder.path(), "manifest diff -f a.yaml --to-filename a.yaml")), 0);
    let found = data(&run(folder.path(), "manifest diff -f a.yaml --to-filename b.yaml -o json"));
    let created = found["objects"].as_array().unwrap().iter().filter(|object| object["change"] == "create");
    assert!(
        created.into_iter().any(|object| object["name"] == "istio-egressgateway" && object["kind"] == "Deployment")
    );
    let tag = "manifest diff -f a.yaml --set profile=minimal --to-set tag=1.17.9 -o table --select Deployment";
    let output = run(folder.path(), tag);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 2, "{}", stdout(&output));
    assert!(stdout(&output).contains(".spec.template.spec.containers[name:discovery].image"), "{}", stdout(&output));
    let piped = |to: &str| {
        let mut operator = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
        operator.current_dir(folder.path()).args(["manifest", "diff", "-f", "-", "--to-set", to]);
        operator.stdin(fs::File::open(folder.path().join("b.yaml")).unwrap()).output().unwrap()
    };
    // Stdin can be read but once.
    assert_eq!([piped("profile=demo"), piped("profile=minimal")].map(|output| code(&output)), [0, 1]);
    let wrong = run(folder.path(), "manifest diff -f a.yaml --to-set values.pilot.nonsense=1");
    assert_eq!(code(&wrong), 1);
    assert!(stderr(&wrong).contains("spec.values.pilot.nonsense"), "{}", stderr(&wrong));
}

#[test]
fn two_releases_are_compared_for_one_spec() {
    let folder = folder(&[("a.yaml", &resource("{profile: default}"))]);
    assert_eq!(code(&run(folder.path(), "package same")), 0);
    let output = run(folder.path(), "manifest diff -f a.yaml -d same --to-release 1.17.8");
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let (Some(old), Some(new)) = (package("1.23.6"), package("1.30.3")) else { return };
    let command = format!("manifest diff -f a.yaml -d {} --to-release {} -o json", old.display(), new.display());
    let output = run(folder.path(), &command);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let found = data(&output);
    let has = |change: &str, kind: &str, name: &str| {
        let all = found["objects"].as_array().unwrap().iter();
        all.into_iter().any(|o| o["change"] == change && o["kind"] == kind && o["name"] == name)
    };
    assert!(has("create", "ConfigMap", "values"));
    assert!(has("create", "CustomResourceDefinition", "trafficextensions.extensions.istio.io"));
    assert!(has("delete", "PodDisruptionBudget", "istiod"));
    assert!(has("change", "Deployment", "istiod"));
}
