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
        ("scalar", ["template scalar", "not a map"]),
        ("broken", ["template broken", "line 2"]),
        ("misfit", ["not a pod", "spec.containers[0].tty must be true or false"]),
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
                - {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: app}]}}\n---\n{apiVersion: a.b/v1, kind: Plain}";
    let done = inject_text("f", text, &installation()).unwrap();
    let documents: Vec<&str> = done.text.split("---\n").collect();
    assert_eq!(documents[0], "# first\nkind: Service   # odd\napiVersion: v1\n");
    assert_eq!(documents[2], "{apiVersion: a.b/v1, kind: Plain}\n");
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
    let text = "{apiVersion: v1, kind: Service}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: b, tty: 1}]}\n\
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
            "f:19:37: Pod d: invalid value 'many' for annotation 'status.sidecar.istio.io/port': \"many\" is not a port from 0 to 65535",
        ]
    );
}

#[test]
fn what_is_no_object_is_an_error_with_its_place() {
    let text = "# comments only\n---\nhello world\n---\nfoo: bar\n---\n- a\n---\napiVersion: v1\nkind: List\nitems:\n- kind: Pod\n---\n\
                apiVersion: v1\n";
    let errors = inject_text("f", text, &installation()).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let message = "this is not a Kubernetes object: it must have apiVersion and kind";
    assert_eq!(errors, ["f:3:1", "f:5:1", "f:7:1", "f:12:3: Pod", "f:14:1"].map(|place| format!("{place}: {message}")));
}

/// What the sidecar template of an installation makes of a pod.
fn made_by(template: &str, mesh: &str, object: &Value) -> Value {
    let config = json!({"templates": {"sidecar": template}}).to_string();
    injected(object, &Installation::new(&config, VALUES, mesh, "").unwrap())
}

/// A template that writes a text into an annotation, and what it is then.
fn said(expression: &str, mesh: &str) -> String {
    let template = format!("metadata: {{annotations: {{said: {{{{ printf \"[%v]\" ({expression}) | quote }}}}}}}}");
    let mut object = pod(&json!({"a": "1", "b": "2"}));
    object["metadata"]["labels"] = json!({"app.kubernetes.io/version": "7"});
    object["metadata"]["namespace"] = "shop".into();
    let made = made_by(&template, mesh, &object);
    let said = made["metadata"]["annotations"]["said"].as_str().unwrap();
    said.strip_prefix('[').and_then(|said| said.strip_suffix(']')).unwrap().to_owned()
}

#[test]
fn what_is_not_set_has_getters_and_is_false() {
    let unset = "defaultConfig: {}";
    let set = "defaultConfig: {holdApplicationUntilProxyStarts: true, interceptionMode: TPROXY, \
               tracing: {tlsSettings: {caCertificates: /ca}}}";
    for (expression, without, with) in [
        (".ProxyConfig.HoldApplicationUntilProxyStarts.GetValue", "false", "true"),
        ("ternary 1 2 (not .ProxyConfig.HoldApplicationUntilProxyStarts | not)", "2", "1"),
        ("or .ProxyConfig.HoldApplicationUntilProxyStarts \"none\" | printf \"%v\"", "none", "true"),
        ("default \"none\" .ProxyConfig.GetTracing.GetTlsSettings.GetCaCertificates", "none", "/ca"),
        ("ternary 1 2 (not .ProxyConfig.GetTracing.GetTlsSettings | not)", "2", "1"),
        (".ProxyConfig.InterceptionMode.String", "REDIRECT", "TPROXY"),
        ("annotation .ObjectMeta \"x\" .ProxyConfig.InterceptionMode", "REDIRECT", "TPROXY"),
        ("ternary 1 2 (not .ProxyConfig.InterceptionMode | not)", "2", "1"),
    ] {
        assert_eq!([said(expression, unset), said(expression, set)], [without, with], "{expression}");
    }
    let config = json!({"templates": {"sidecar": "{{ .ProxyConfig.HoldApplicationUntilProxyStarts.Value }}"}});
    let installation = Installation::new(&config.to_string(), VALUES, "", "").unwrap();
    let error = inject(&pod(&json!({})), &installation).unwrap_err()[0].to_string();
    assert!(error.contains("field Value"), "{error}");
}

#[test]
fn templates_of_later_releases_have_their_functions_and_fields() {
    let otel = "extensionProviders: [{name: o, opentelemetry: {service: s, port: 1, \
                serviceAttributeEnrichment: OTEL_SEMANTIC_CONVENTIONS}}]";
    let attributes = "otelResourceAttributes .MeshConfig .ObjectMeta.Annotations .ObjectMeta.Labels .DeploymentMeta.Namespace \
                      .Spec.Containers";
    for (expression, mesh, want) in [
        ("omit .ObjectMeta.Annotations \"a\" \"c\" | toJsonMap", "", r#"{"b":"2"}"#),
        ("strdict \"x\" \"<\" \"y\" | toJsonMap", "", "{\"x\":\"\\u003c\",\"y\":\"\"}"),
        ("toJsonMap (strdict \"a\" \"0\" \"z\" \"1\") .ObjectMeta.Annotations", "", r#"{"a":"1","b":"2","z":"1"}"#),
        ("index (mergeMaps .ObjectMeta.Annotations (strdict \"a\" \"3\")) \"a\"", "", "3"),
        (
            "omitNil (dict \"a\" nil \"b\" (dict \"c\" nil) \"d\" (list nil 1) \"e\" dict) | toJson",
            "",
            r#"{"d":[1],"e":{}}"#,
        ),
        ("omitNil (dict \"a\" (list nil)) | toJson", "", "null"),
        (attributes, "", ""),
        (attributes, otel, "service.namespace=shop,service.version=7,service.instance.id=shop.$(POD_NAME).app"),
        (".MeshConfig.ProxyInboundListenPort", "", "15006"),
        (".InboundTrafficPolicyMode", "inboundTrafficPolicy: {mode: LOCALHOST}", "localhost"),
        ("list .ProxyUID .ProxyGID .CompliancePolicy .NativeSidecars | toJson", "", r#"[1337,1337,"",false]"#),
        (".ProxyInitImage", "", "h/proxyv2:t"),
    ] {
        assert_eq!(said(expression, mesh), want, "{expression}");
    }
}

#[test]
fn a_template_that_cannot_be_parsed_stops_only_those_that_ask_for_it() {
    let config = "templates: {sidecar: 'metadata: {labels: {a: b}}', other: '{{ nope }}'}";
    let installation = Installation::new(config, VALUES, "", "").unwrap();
    assert_eq!(injected(&pod(&json!({})), &installation)["metadata"]["labels"]["a"], "b");
    let errors = inject(&pod(&json!({"inject.istio.io/templates": "other"})), &installation).unwrap_err();
    assert_eq!(errors[0].to_string(), "template: other:1: function \"nope\" not defined");
}

#[test]
fn a_native_sidecar_comes_first_and_takes_what_the_author_wrote() {
    let template = "spec: {initContainers: [{name: istio-init, args: ['-u', '1337']}, {name: istio-proxy, image: p, restartPolicy: Always, \
                    securityContext: {runAsUser: 1337}, env: [{name: A, value: t}]}]} # .ProxyUID";
    let mut object = pod(&json!({"prometheus.io/port": "9102"}));
    let own = json!({"name": "istio-proxy", "image": "auto", "env": [{"name": "B", "value": "own"}],
        "securityContext": {"runAsUser": 2000}});
    object["spec"]["containers"].as_array_mut().unwrap().push(own);
    let made = made_by(template, "", &object);
    assert_eq!(names(&made, "/spec/containers"), ["app"]);
    assert_eq!(names(&made, "/spec/initContainers"), ["istio-init", "istio-proxy", "first"]);
    let proxy = &made["spec"]["initContainers"][1];
    assert_eq!((&proxy["image"], &proxy["restartPolicy"]), (&json!("p"), &json!("Always")));
    assert_eq!(names(proxy, "/env"), ["A", "B", "ISTIO_PROMETHEUS_ANNOTATIONS"]);
    assert_eq!(proxy["securityContext"]["runAsUser"], 2000);
    assert_eq!(made["spec"]["initContainers"][0]["args"], json!(["-u", "2000"]));
    let status = made["metadata"]["annotations"]["sidecar.istio.io/status"].as_str().unwrap();
    assert!(status.starts_with(r#"{"initContainers":["istio-init","istio-proxy"],"containers":null"#), "{status}");
    assert_eq!(made_by(template, "", &made), made, "injected again");
}

#[test]
fn what_an_earlier_release_injected_gives_way_to_a_later_one() {
    let template = |image: &str| format!("spec: {{containers: [{{name: istio-proxy, image: {image}}}]}}");
    let once = made_by(&template("old"), "", &pod(&json!({})));
    let twice = made_by(&template("new"), "", &once);
    assert_eq!(twice["spec"]["containers"][1]["image"], "new");
}
