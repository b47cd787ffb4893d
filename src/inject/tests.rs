use super::stream::inject_text;
use super::*;

const CONFIG: &str = r#"
defaultTemplates: [proxy]
aliases: {both: [proxy, extra]}
injectedAnnotations: {added/by: installation}
templates:
  proxy: |
    metadata:
      labels: {owner: "{{ .DeploymentMeta.Name }}", kind: "{{ .TypeMeta.Kind }}"}
    spec:
      initContainers:
      - name: istio-init
      containers:
      - name: istio-proxy
        image: {{ .ProxyImage }}
        env:
        - {name: ISTIO_META_CLUSTER_ID, value: template}
        - {name: APPS, value: "{{ applicationPorts .Spec.Containers }}"}
        - {name: FROM_INJECTOR, value: "{{ env `GIVEN` `none` }}"}
  extra: |
    spec:
      volumes: [{name: extra, emptyDir: {}}]
  nothing: "{{ if .Values.absent }}spec: {}{{ end }}"
  scalar: "just text"
  broken: "spec: [\n"
  misfit: "spec: {containers: [{name: istio-proxy, tty: maybe}]}"
  keyless: "spec: {containers: [{image: a}]}"
  failing: "{{ .Values.a.b.c }}"
  unknown: "{{ .Pod }}"
  deep: '{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}'
  long: '{{ define "y" }}{{ range until 2000 }}{{ range until 2000 }}a{{ end }}{{ end }}{{ end }}{{ template "y" }}'
"#;

const VALUES: &str = r#"{"global": {"hub": "h", "tag": "t"}, "sidecarInjectorWebhook": {"rewriteAppHTTPProbe": true}}"#;

fn installation() -> Installation {
    Installation::new(CONFIG, VALUES, "", "").unwrap()
}

fn pod(annotations: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}],
            "initContainers": [{"name": "first"}]}})
}

fn injected(object: &Value, installation: &Installation) -> Value {
    match inject(object, installation).unwrap() {
        Outcome::Injected(object) => object,
        other => panic!("{other:?}"),
    }
}

fn names(object: &Value, list: &str) -> Vec<String> {
    let items = object.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    items.iter().map(|item| pod::name_of(item).to_owned()).collect()
}

fn error(object: &Value) -> String {
    let errors = inject(object, &installation()).unwrap_err();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn templates_see_the_pod_and_its_owner_and_are_merged_into_it() {
    let pod = injected(&pod(&json!({})), &installation().with_environment([("GIVEN".into(), "x".into())]));
    assert_eq!(pod["metadata"]["labels"], json!({"owner": "p", "kind": "Pod"}));
    assert_eq!(pod["metadata"]["annotations"]["added/by"], "installation");
    assert_eq!(names(&pod, "/spec/containers"), ["app", "istio-proxy"]);
    assert_eq!(names(&pod, "/spec/initContainers"), ["first", "istio-init"]);
    let env = json!([{"name": "ISTIO_META_CLUSTER_ID", "value": "template"}, {"name": "APPS", "value": "80"},
        {"name": "FROM_INJECTOR", "value": "x"}]);
    assert_eq!(pod["spec"]["containers"][1]["env"], env);
    assert_eq!(pod["spec"]["containers"][1]["image"], "h/proxyv2:t");
    assert_eq!(
        pod["metadata"]["annotations"]["sidecar.istio.io/status"],
        r#"{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":null,"imagePullSecrets":null,"revision":"default"}"#
    );
}

#[test]
fn a_pod_names_its_templates_and_an_alias_stands_for_several() {
    for (asked, volumes, containers) in [
        ("extra", vec!["extra"], vec!["app"]),
        (" proxy , extra ", vec!["extra"], vec!["app", "istio-proxy"]),
        ("both", vec!["extra"], vec!["app", "istio-proxy"]),
        ("nothing", vec![], vec!["app"]),
    ] {
        let pod = injected(&pod(&json!({"inject.istio.io/templates": asked})), &installation());
        assert_eq!(names(&pod, "/spec/volumes"), volumes, "{asked}");
        assert_eq!(names(&pod, "/spec/containers"), containers, "{asked}");
    }
}

#[test]
fn a_template_that_fails_is_named_with_the_place() {
    for (asked, parts) in [
        ("nope", ["\"nope\" not found", "have broken, deep, extra, failing"]),
        ("", ["\"\" not found", "have"]),
        ("scalar", ["template scalar", "no map"]),
        ("broken", ["template broken", "line 2"]),
        ("misfit", ["no pod", "spec.containers[0].tty must be true or false"]),
        ("keyless", ["merged", "name"]),
        ("failing", ["failing:1:", "a.b.c"]),
        ("deep", ["deep:1:", "maximum template depth"]),
        ("long", ["long:1:", "loop passes"]),
        ("unknown", ["unknown:1:", "can't evaluate field Pod"]),
    ] {
        let error = error(&pod(&json!({"inject.istio.io/templates": asked})));
        assert!(parts.iter().all(|part| error.contains(part)), "{asked}: {error}");
    }
}

#[test]
fn cluster_and_network_replace_what_the_template_says_and_a_label_wins() {
    let values = r#"{"global": {"tag": "t", "network": "n1", "multiCluster": {"clusterName": "c1"}}}"#;
    let installation = Installation::new(CONFIG, values, "", "").unwrap();
    let variables = |pod: &Value| {
        let env = pod.pointer("/spec/containers/1/env").and_then(Value::as_array).unwrap().clone();
        env.iter().map(|v| format!("{}={}", pod::name_of(v), v["value"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let mut given = pod(&json!({}));
    let plain = injected(&given, &installation);
    assert_eq!(variables(&plain)[2..], ["ISTIO_META_CLUSTER_ID=c1", "ISTIO_META_NETWORK=n1"]);
    assert_eq!(plain["metadata"]["labels"][NETWORK_LABEL], "n1");
    given["metadata"]["labels"] = json!({ NETWORK_LABEL: "n2" });
    let labelled = injected(&given, &installation);
    assert_eq!(variables(&labelled)[3], "ISTIO_META_NETWORK=n2");
    assert_eq!(labelled["metadata"]["labels"][NETWORK_LABEL], "n2");
}

#[test]
fn the_proxy_comes_first_when_the_application_waits_for_it() {
    let hold = json!({"proxy.istio.io/config": "holdApplicationUntilProxyStarts: true"});
    assert_eq!(names(&injected(&pod(&hold), &installation()), "/spec/containers"), ["istio-proxy", "app"]);
    let values = r#"{"global": {"tag": "t", "proxy": {"holdApplicationUntilProxyStarts": true}}}"#;
    let everywhere = Installation::new(CONFIG, values, "", "").unwrap();
    assert_eq!(names(&injected(&pod(&json!({})), &everywhere), "/spec/containers"), ["istio-proxy", "app"]);
}

#[test]
fn every_kind_with_pods_is_injected_where_its_pods_are() {
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "app"}]}});
    for (api_version, kind) in [
        ("v1", "ReplicationController"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("apps.openshift.io/v1", "DeploymentConfig"),
    ] {
        let object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "w"}, "spec": {"template": template}});
        let made = injected(&object, &installation());
        assert_eq!(names(&made, "/spec/template/spec/containers"), ["app", "istio-proxy"], "{kind}");
        assert_eq!(made["spec"]["template"]["metadata"]["labels"]["kind"], kind);
    }
    let job = json!({"spec": {"template": template}});
    let cron =
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "w"}, "spec": {"jobTemplate": job}});
    let made = injected(&cron, &installation());
    assert_eq!(names(&made, "/spec/jobTemplate/spec/template/spec/containers"), ["app", "istio-proxy"]);
    assert_eq!(made["spec"]["jobTemplate"]["metadata"]["labels"]["owner"], "w");
    for (api_version, kind) in [("v1", "Service"), ("extensions/v1beta1", "Deployment"), ("example.com/v1", "Job")] {
        let other = json!({"apiVersion": api_version, "kind": kind, "spec": {"template": template}});
        assert!(matches!(inject(&other, &installation()), Ok(Outcome::Untouched)), "{kind}");
    }
}

#[test]
fn a_pod_is_left_alone_when_it_says_so_or_cannot_have_a_proxy() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut object = pod(&json!({}));
        change(&mut object);
        match inject(&object, &installation()).unwrap() {
            Outcome::Skipped(_, reason) => reason,
            _ => "injected".to_owned(),
        }
    };
    assert_eq!(changed(&|p| p["spec"]["hostNetwork"] = true.into()), "Pod p has host networking enabled");
    for namespace in IGNORED_NAMESPACES {
        let reason = changed(&|p| p["metadata"]["namespace"] = namespace.into());
        assert!(reason.ends_with("is in a namespace of the cluster's own"), "{reason}");
    }
    for (word, injects) in [("false", false), ("no", false), ("maybe", false), ("True", true), ("ON", true), ("", true)]
    {
        for map in ["labels", "annotations"] {
            let said = changed(&|p| p["metadata"][map] = json!({"sidecar.istio.io/inject": word}));
            assert_eq!(said == "injected", injects, "{map} {word}");
        }
    }
    let label_wins = changed(&|p| {
        p["metadata"]["labels"] = json!({"sidecar.istio.io/inject": "true"});
        p["metadata"]["annotations"] = json!({"sidecar.istio.io/inject": "false"});
    });
    assert_eq!(label_wins, "injected");
}

#[test]
fn the_pods_of_a_cron_job_may_say_no_as_well() {
    let pods = json!({"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}, "spec": {"containers": []}});
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
        "spec": {"jobTemplate": {"spec": {"template": pods}}}});
    assert!(matches!(inject(&cron, &installation()), Ok(Outcome::Skipped(..))));
}

#[test]
fn a_pod_injected_twice_is_the_same_as_once() {
    let app = json!({"name": "app", "readinessProbe": {"httpGet": {"port": 80, "path": "/r"}}});
    let own = json!({"name": "istio-proxy", "image": "auto", "args": ["mine"]});
    let mut object = pod(&json!({"prometheus.io/port": "9102", "inject.istio.io/templates": "both"}));
    object["spec"]["containers"] = json!([app, own]);
    let once = injected(&object, &installation());
    assert_eq!(injected(&once, &installation()), once);
}

#[test]
fn what_has_no_pods_stays_byte_for_byte_and_lists_are_looked_into() {
    let text = "# first\nkind: Service   # odd\napiVersion: v1\n--- # next\n\n---\napiVersion: v1\nkind: List\nitems:\n\
                - {apiVersion: v1, kind: Service, spec: {ports: [ ]}}\n\
                - {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: app}]}}\n---\nplain";
    let done = inject_text("f", text, &installation()).unwrap();
    let documents: Vec<&str> = done.text.split("---\n").collect();
    assert_eq!(documents[0], "# first\nkind: Service   # odd\napiVersion: v1\n");
    assert_eq!(documents[2], "plain\n");
    assert_eq!(documents[3], "");
    let list = helm_template::yaml::parse(documents[1]).unwrap();
    assert_eq!(list["items"][0], json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": []}}));
    assert_eq!(names(&list, "/items/1/spec/containers"), ["app", "istio-proxy"]);
    assert_eq!(list["metadata"], json!({}));
}

#[test]
fn a_list_in_a_list_is_looked_into() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: app}]}}";
    let text = format!("apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: List, items: [{pod}]}}\n");
    let done = inject_text("f", &text, &installation()).unwrap();
    let list = helm_template::yaml::parse(done.text.trim_end_matches("---\n")).unwrap();
    assert_eq!(names(&list, "/items/0/items/0/spec/containers"), ["app", "istio-proxy"]);
    let wrong = text.replace("name: app", "name: app, tty: 1");
    let errors = inject_text("f", &wrong, &installation()).unwrap_err();
    assert_eq!(errors[0].to_string(), "f:4:121: Pod p: spec.containers[0].tty must be true or false, not the number 1");
    let errors = inject_text("f", "apiVersion: v1\nkind: List\nitems: 5\n", &installation()).unwrap_err();
    assert_eq!(errors[0].to_string(), "f:3:1: List: items must be a list, not the number 5");
}

#[test]
fn everything_wrong_in_a_text_is_told_with_file_line_and_column() {
    let text = "kind: Service\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: b, tty: 1}]}\n\
                ---\nx: y: z\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: c}\n---\napiVersion: v1\nkind: List\nitems:\n\
                - apiVersion: v1\n  kind: Pod\n  metadata: {name: d, annotations: {status.sidecar.istio.io/port: many}}\n  \
                spec: {}\n";
    let errors = inject_text("f", text, &installation()).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "f:6:31: Pod a: spec.containers[0].tty must be true or false, not the number 1",
            "f:8:5: mapping values are not allowed in this context",
            "f:19:37: Pod d: invalid value 'many' for annotation 'status.sidecar.istio.io/port': \"many\" is no port from 0 to 65535",
        ]
    );
}
