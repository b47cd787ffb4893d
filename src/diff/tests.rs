use super::*;
use crate::object::read_all;
use serde_json::json;

fn objects(text: &str) -> Vec<Object> {
    read_all(text).unwrap()
}

/// `change KEY: path path` of each object that differs.
fn told(before: &str, after: &str, selection: &Selection) -> Vec<String> {
    let changes = compare(&objects(before), &objects(after), selection);
    let paths = |change: &ObjectChange| change.fields.iter().map(|f| f.path.clone()).collect::<Vec<_>>().join(" ");
    changes.iter().map(|c| format!("{} {}: {}", c.change.name(), c.key, paths(c))).collect()
}

const ALL: fn() -> Selection = Selection::default;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: a, namespace: ns, labels: {x: '1', z: '2'}}
spec: {ports: [{port: 80, name: http}, {port: 443, name: https}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: ns}
data: {mesh: '{a: 1, b: {c: 2}}', other: text}
";

#[test]
fn the_order_of_documents_and_of_keys_does_not_count() {
    let other = "
kind: ConfigMap
data: {other: text, mesh: \"b:\\n  c: 2\\na: 1\\n\"}
metadata: {namespace: ns, name: c, annotations: null}
apiVersion: v1
---
apiVersion: v1
kind: Service
metadata: {labels: {z: '2', x: '1'}, name: a, namespace: ns}
spec: {ports: [{name: http, port: 80}, {port: 443, name: https}]}
";
    assert_eq!(told(SERVICE, other, &ALL()), Vec::<String>::new());
}

#[test]
fn each_field_that_differs_is_named_by_its_path() {
    let other = SERVICE
        .replace("{port: 80, name: http}", "{port: 8080, name: http, protocol: TCP}")
        .replace("z: '2'", "a.b/c: '2'")
        .replace("c: 2", "c: 3")
        .replace("port: 443, name: https", "port: 443, name: tls");
    let expected = [
        "change ConfigMap ns/c: .data.mesh.b.c",
        "change Service ns/a: .metadata.labels.a\\.b/c .metadata.labels.z .spec.ports[name:http].port \
         .spec.ports[name:http].protocol .spec.ports[name:https] .spec.ports[name:tls]",
    ];
    assert_eq!(told(SERVICE, &other, &ALL()), expected);
    let changes = compare(&objects(SERVICE), &objects(&other), &ALL());
    let port = changes[1].fields.iter().find(|f| f.path.ends_with("[name:http].port")).unwrap();
    assert_eq!((&port.before, &port.after), (&Some(json!(80)), &Some(json!(8080))));
}

#[test]
fn a_list_whose_items_have_changed_places_differs() {
    let other = SERVICE.replace(
        "[{port: 80, name: http}, {port: 443, name: https}]",
        "[{port: 443, name: https}, {port: 80, name: http}]",
    );
    assert_eq!(told(SERVICE, &other, &ALL()), ["change Service ns/a: .spec.ports[*].name"]);
}

#[test]
fn objects_of_one_side_are_created_or_deleted() {
    let (service, config) = SERVICE.split_once("---").unwrap();
    assert_eq!(told(service, config, &ALL()), ["create ConfigMap ns/c: ", "delete Service ns/a: "]);
    let changes = compare(&objects(service), &objects(config), &ALL());
    assert_eq!(Summary::of(&changes), Summary { create: 1, change: 0, delete: 1 });
    let text = unified(&changes, 3);
    assert!(text.starts_with("--- /dev/null\n+++ ConfigMap ns/c\n@@"), "{text}");
    assert!(text.contains("--- Service ns/a\n+++ /dev/null\n"), "{text}");
}

#[test]
fn what_a_secret_holds_is_nowhere() {
    let secret = |data: &str| {
        let last = "kubectl.kubernetes.io/last-applied-configuration";
        format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: s, annotations: {{{last}: 'c2VjcmV0 {data}'}}}}, {data}}}"
        )
    };
    let before = secret("data: {a: c2VjcmV0LTE=, b: c2VjcmV0LTI=, gone: c2VjcmV0LTM=}, stringData: {t: c2VjcmV0}");
    let after = secret("data: {a: c2VjcmV0LTE=, b: c2VjcmV0LTQ=, new: c2VjcmV0LTU=}, stringData: c2VjcmV0");
    for (before, after) in [(&*before, &*after), (&*after, &*before), ("", &*before), (&*after, "")] {
        let changes = compare(&objects(before), &objects(after), &ALL());
        let printed = format!("{}{}{}", unified(&changes, 99), json!(changes), table(&changes));
        assert!(!changes.is_empty() && !printed.contains("c2VjcmV0"), "{printed}");
    }
    let changes = compare(&objects(&before), &objects(&after), &ALL());
    let paths: Vec<_> = changes[0].fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, [".data.b", ".data.gone", ".data.new", ".stringData"]);
    assert!(compare(&objects(&before), &objects(&before), &ALL()).is_empty());
}

#[test]
fn patterns_select_ignore_and_rename_objects() {
    let other = SERVICE.replace("port: 80", "port: 81").replace("c: 2", "c: 3");
    let select = |select: &str, ignore: &str| told(SERVICE, &other, &Selection::parse(select, ignore, "").unwrap());
    assert_eq!(select("::", "").len(), 2);
    assert_eq!(select("Service:*:a", ""), ["change Service ns/a: .spec.ports[name:http].port"]);
    assert_eq!(select("Service", "").len(), 1);
    assert_eq!(select("Service:other:a,ConfigMap:n*:", "").len(), 1);
    assert_eq!(select("::", "ConfigMap:ns:c").len(), 1);
    assert_eq!(select("::", "ConfigMap:ns:*:data.mesh"), ["change Service ns/a: .spec.ports[name:http].port"]);
    assert_eq!(select("", "*:*:*:spec.ports,ConfigMap"), Vec::<String>::new());
    assert_eq!(select("", "*:*:*:spec.ports[*].port,ConfigMap"), Vec::<String>::new());
    let renamed = SERVICE.replace("name: a,", "name: b,");
    let rename = Selection::parse("", "", "Service:*:a->Service:*:b").unwrap();
    assert_eq!(told(SERVICE, &renamed, &rename), Vec::<String>::new());
    assert_eq!(told(SERVICE, &renamed, &ALL()), ["delete Service ns/a: ", "create Service ns/b: "]);
    assert!(matches!(Selection::parse("a:b:c:d", "", ""), Err(PatternError::Parts(_))));
    assert!(matches!(Selection::parse("", "", "a:b:c"), Err(PatternError::Pair(_))));
}

#[test]
fn a_changed_pod_template_replaces_pods() {
    let workload = |image: &str, replicas: u32| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, spec: {{replicas: {replicas}, \
             template: {{spec: {{containers: [{{name: c, image: {image}}}]}}}}}}}}"
        )
    };
    let replaces = |after: &str| compare(&objects(&workload("a", 1)), &objects(after), &ALL())[0].replaces_pods();
    assert!(replaces(&workload("b", 1)));
    assert!(!replaces(&workload("a", 2)));
}

#[test]
fn a_pattern_that_fits_nothing_is_told_with_what_is_near() {
    let text = "{apiVersion: v1, kind: Service, metadata: {name: istiod, namespace: one}}\n---\n\
                {apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod, namespace: one}}";
    let keys: BTreeSet<ObjectKey> = objects(text).iter().map(Object::key).collect();
    for (select, told, is_nothing) in [
        ("", vec![], false),
        ("::,Service", vec![], false),
        ("Service", vec![], false),
        ("Deploymnt", vec!["Deploymnt:: fits no object (did you mean \"Deployment\"?)"], true),
        ("Gateway", vec!["Gateway:: fits no object; the kinds here are Deployment, Service"], true),
        ("Service:m:*,Deployment", vec!["Service:m:* fits no object; there are Service one/istiod"], false),
        ("::istoid", vec!["::istoid fits no object; there are Service one/istiod, Deployment one/istiod"], true),
    ] {
        let selection = Selection::parse(select, "", "").unwrap();
        assert_eq!(selection.without_objects(&keys), told, "{select}");
        assert_eq!(selection.selects_nothing(&keys), is_nothing, "{select}");
    }
    let none = Selection::parse("Service", "", "").unwrap();
    assert_eq!(none.without_objects(&BTreeSet::new()), ["Service:: fits no object: there are no objects"]);
}
