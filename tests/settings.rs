//! What is written has an effect, or a person is told: the fields of the API, component by component.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

use istio_operator::api::schema::{self, Message, OLDEST, Table};
use istio_operator::object::Object;
use istio_operator::object::manifests::Manifests;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use istio_operator::spec::merge::merge_patch;
use istio_operator::spec::request;
use istio_operator::spec::resolve::Strictness;
use serde_json::{Value, json};

fn build(spec: &Value) -> Result<Manifests, String> {
    let request = request::from_resource(&json!({ "spec": spec }));
    let package = Package::embedded().unwrap();
    render::build(&request, &ClusterInfo::default(), &package, Strictness::TakenOver).map_err(|e| e.to_string())
}

fn objects(spec: &Value) -> Vec<Object> {
    build(spec).unwrap_or_else(|e| panic!("{e}")).parts.into_iter().flat_map(|p| p.objects).collect()
}

fn pods(spec: &Value, workload: &str) -> Value {
    let all = objects(spec);
    let is_wanted = |o: &&Object| o.value().pointer("/spec/template").is_some() && o.name() == workload;
    all.iter().find(is_wanted).expect("the workload").value()["spec"]["template"]["spec"].clone()
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|i| i["name"] == name).unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

fn fields(message: &Message) -> Vec<&'static str> {
    message.fields_in(OLDEST).map(|f| f.name).collect()
}

/// Every component: its field, its workload, and a spec in which it is installed.
fn components() -> Vec<(&'static str, &'static str, Value)> {
    let gateway = |name: &str| json!([{"name": name, "enabled": true}]);
    vec![
        ("base", "", json!({})),
        ("pilot", "istiod", json!({})),
        ("cni", "istio-cni-node", json!({"components": {"cni": {"enabled": true}}})),
        ("istiodRemote", "", json!({"profile": "remote"})),
        ("ingressGateways", "in", json!({"components": {"ingressGateways": gateway("in")}})),
        ("egressGateways", "out", json!({"components": {"egressGateways": gateway("out")}})),
    ]
}

/// The component's settings merged over a spec, and their path.
fn with(spec: &Value, component: &str, workload: &str, settings: &Value) -> (Value, String) {
    let mut spec = spec.clone();
    if component.ends_with("Gateways") {
        let mut gateway = json!({"name": workload, "enabled": true});
        merge_patch(&mut gateway, settings);
        spec["components"][component] = json!([gateway]);
        (spec, format!("spec.components.{component}[name:{workload}]"))
    } else {
        merge_patch(&mut spec, &json!({"components": {component: settings}}));
        (spec, format!("spec.components.{component}"))
    }
}

/// Whether a spec makes other objects than another, or is refused, or is warned of with the path.
fn is_noticed(plain: &Value, changed: &Value, path: &str) -> bool {
    let with_change = match build(changed) {
        Err(error) => {
            assert!(error.contains(path), "{path}: {error}");
            return true;
        }
        Ok(manifests) => manifests,
    };
    with_change.warnings.iter().any(|w| w.contains(path)) || with_change.parts != build(plain).unwrap().parts
}

/// A value for each setting.
fn sample(field: &str) -> Value {
    match field {
        "affinity" => json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}]}}),
        "env" => json!([{"name": "NEW", "value": "x"}]),
        "hpaSpec" => json!({"maxReplicas": 77}),
        "imagePullPolicy" => json!("Always"),
        "nodeSelector" | "podAnnotations" | "serviceAnnotations" => json!({"a": "b"}),
        "podDisruptionBudget" => json!({"maxUnavailable": 3}),
        "priorityClassName" => json!("high"),
        "readinessProbe" => json!({"periodSeconds": 77}),
        "replicaCount" => json!(7),
        "resources" => json!({"requests": {"cpu": "77m"}}),
        "service" => json!({"type": "NodePort", "ports": [{"name": "p", "port": 7777, "targetPort": 7777}]}),
        "strategy" => json!({"rollingUpdate": {"maxUnavailable": "77%"}}),
        "tolerations" => json!([{"key": "a", "operator": "Exists"}]),
        "securityContext" => json!({"runAsUser": 77}),
        "volumes" => json!([{"name": "v", "emptyDir": {}}]),
        "volumeMounts" => json!([{"name": "v", "mountPath": "/v"}]),
        "overlays" => json!([{"kind": "Deployment", "name": "nobody", "patches": [{"path": "a", "value": 1}]}]),
        other => panic!("no value for {other}"),
    }
}

#[test]
fn every_setting_of_every_component_has_an_effect_or_is_told() {
    let mut silent = vec![];
    for (component, workload, spec) in components() {
        for field in fields(schema::settings()) {
            let mut settings = json!({"k8s": {field: sample(field)}});
            if field == "volumeMounts" {
                settings["k8s"]["volumes"] = sample("volumes");
            }
            let (changed, path) = with(&spec, component, workload, &settings);
            let plain = with(&spec, component, workload, &json!({"k8s": {"volumes": settings["k8s"]["volumes"]}})).0;
            let plain = if field == "volumeMounts" && !workload.is_empty() { plain } else { spec.clone() };
            if !is_noticed(&plain, &changed, &format!("{path}.k8s.{field}")) {
                silent.push(format!("{component} {field}"));
            }
        }
    }
    assert!(silent.is_empty(), "without effect, and nobody is told: {silent:?}");
}

#[test]
fn every_field_of_every_component_has_an_effect_or_is_told() {
    let mut silent = vec![];
    for (component, workload, spec) in components() {
        let all = match component {
            "base" => fields(Table::Spec.message("BaseComponentSpec")),
            c if c.ends_with("Gateways") => fields(Table::Spec.message("GatewaySpec")),
            _ => fields(Table::Spec.message("ComponentSpec")),
        };
        for field in all.into_iter().filter(|f| *f != "k8s") {
            let value = match field {
                "enabled" => json!(false),
                "namespace" | "name" => json!("elsewhere"),
                "hub" => json!("registry.example/other"),
                "tag" => json!("other"),
                "label" => json!({"a": "b"}),
                "spec" => json!({"x": 1}),
                other => panic!("no value for {other}"),
            };
            let (changed, path) = with(&spec, component, workload, &json!({ field: value }));
            if !is_noticed(&spec, &changed, &format!("{path}.{field}")) {
                silent.push(format!("{component} {field}"));
            }
        }
    }
    assert!(silent.is_empty(), "without effect, and nobody is told: {silent:?}");
}

#[test]
fn every_field_of_the_spec_has_an_effect_or_is_told() {
    let mut silent = vec![];
    for field in fields(schema::spec()) {
        let value = match field {
            "profile" => json!("demo"),
            "installPackagePath" => continue, // Another package; its own error names it.
            "hub" => json!("registry.example/other"),
            "tag" | "revision" | "namespace" | "resourceSuffix" => json!("other"),
            "defaultRevision" => json!(true),
            "meshConfig" => json!({"accessLogFile": "/dev/stderr"}),
            "components" => json!({"cni": {"enabled": true}}),
            "addonComponents" => json!({"mine": {"enabled": true}}),
            "values" | "unvalidatedValues" => json!({"global": {"logAsJson": true}}),
            other => panic!("no value for {other}"),
        };
        if !is_noticed(&json!({}), &json!({ field: value }), &format!("spec.{field}")) {
            silent.push(field);
        }
    }
    assert!(silent.is_empty(), "without effect, and nobody is told: {silent:?}");
}

#[test]
fn the_profiles_themselves_are_not_warned_of() {
    for profile in ["default", "demo", "minimal", "empty", "external", "openshift", "preview", "remote", "ambient"] {
        let warnings = build(&json!({"profile": profile})).unwrap_or_else(|e| panic!("{profile}: {e}")).warnings;
        assert!(warnings.is_empty(), "{profile}: {warnings:?}");
    }
}

#[test]
fn a_setting_whose_object_is_not_installed_says_why() {
    let autoscale = json!({"pilot": {"autoscaleEnabled": false}});
    let budget = json!({"global": {"defaultPodDisruptionBudget": {"enabled": false}}});
    for (values, settings, wanted) in [
        (&autoscale, json!({"hpaSpec": {"maxReplicas": 3}}), "values.pilot.autoscaleEnabled"),
        (&budget, json!({"podDisruptionBudget": {"minAvailable": 2}}), "values.global.defaultPodDisruptionBudget"),
        (&json!({"revision": "b"}), json!({"priorityClassName": "high"}), "there is istiod-b"),
    ] {
        let field = settings.as_object().unwrap().keys().next().unwrap().clone();
        let spec = json!({"values": values, "components": {"pilot": {"k8s": settings}}});
        let warnings = build(&spec).unwrap().warnings;
        let path = format!("spec.components.pilot.k8s.{field}: ");
        assert!(warnings.iter().any(|w| w.contains(&path) && w.contains(wanted)), "{field}: {warnings:?}");
    }
}

#[test]
fn a_zero_that_the_api_cannot_hold_is_told() {
    let k8s = json!({"replicaCount": 0, "securityContext": {"runAsUser": 0, "runAsNonRoot": false},
        "hpaSpec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}},
        "service": {"ports": [{"name": "a", "port": 7777, "nodePort": 0}]}});
    let warnings = build(&json!({"components": {"pilot": {"k8s": k8s}}})).unwrap().warnings;
    for told in
        ["replicaCount", "securityContext.runAsUser", "securityContext.runAsNonRoot", "stabilizationWindowSeconds"]
    {
        assert!(warnings.iter().any(|w| w.contains(told)), "{told}: {warnings:?}");
    }
    assert!(!warnings.iter().any(|w| w.contains("nodePort")), "{warnings:?}");
}

#[test]
fn volumes_reach_every_workload_in_both_forms() {
    for (component, workload, spec) in components().into_iter().filter(|(_, w, _)| !w.is_empty()) {
        let settings = json!({"k8s": {
            "volumes": [
                {"name": "plain", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
                {"name": "proto", "volumeSource": {"configMap": {"localObjectReference": {"name": "c"}, "optional": true}}},
                {"name": "scratch", "volumeSource": {"emptyDir": {"sizeLimit": {"string": "1Gi"}}}},
                {"name": "all", "volumeSource": {"projected": {"sources": [
                    {"secret": {"localObjectReference": {"name": "s"}}}, {"configMap": {"name": "c"}}]}}}],
            "volumeMounts": [{"name": "plain", "mountPath": "/plain", "readOnly": true},
                {"name": "proto", "mountPath": "/proto", "subPath": "x"}, {"name": "all", "mountPath": "/all"}]}});
        let found = pods(&with(&spec, component, workload, &settings).0, workload);
        let before = pods(&spec, workload);
        let volume = |name: &str| named(&found["volumes"], name);
        assert_eq!(volume("plain"), &settings["k8s"]["volumes"][0], "{component}");
        assert_eq!(volume("proto"), &json!({"name": "proto", "configMap": {"name": "c", "optional": true}}));
        assert_eq!(volume("scratch"), &json!({"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}));
        let sources = json!([{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]);
        assert_eq!(volume("all"), &json!({"name": "all", "projected": {"sources": sources}}));
        let mounts = found["containers"][0]["volumeMounts"].as_array().unwrap();
        for mount in settings["k8s"]["volumeMounts"].as_array().unwrap() {
            assert!(mounts.contains(mount), "{component}: {mounts:?}");
        }
        let count = |pods: &Value, list: &str| pods.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
        for (list, more) in [("/volumes", 4), ("/containers/0/volumeMounts", 3)] {
            assert_eq!(count(&found, list), count(&before, list) + more, "{component}{list}");
        }
    }
}

#[test]
fn a_volume_of_a_charts_name_takes_its_place_and_a_mount_is_merged() {
    let k8s = json!({"volumes": [{"name": "local-certs", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "cacerts", "secret": {"secretName": "mine"}}],
        "volumeMounts": [{"name": "local-certs", "mountPath": "/etc/cacerts", "subPath": "x"}]});
    let found = pods(&json!({"components": {"pilot": {"k8s": k8s}}}), "istiod");
    let claim = json!({"name": "local-certs", "persistentVolumeClaim": {"claimName": "c"}});
    assert_eq!(named(&found["volumes"], "local-certs"), &claim);
    let secret = json!({"name": "cacerts", "secret": {"secretName": "mine", "optional": true}});
    assert_eq!(named(&found["volumes"], "cacerts"), &secret);
    let mounts = found["containers"][0]["volumeMounts"].as_array().unwrap();
    let at: Vec<_> = mounts.iter().filter(|m| m["mountPath"] == "/etc/cacerts").collect();
    let merged = json!({"name": "local-certs", "mountPath": "/etc/cacerts", "subPath": "x", "readOnly": true});
    assert_eq!(at, [&merged]);
}

#[test]
fn what_excludes_the_charts_choice_takes_its_place() {
    let env = json!([{"name": "REVISION", "valueFrom": {"secretKeyRef": {"localObjectReference": {"name": "s"}, "key": "k"}}},
        {"name": "POD_NAME", "value": "fixed"}]);
    let k8s = json!({"env": env, "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 9}});
    let found = pods(&json!({"components": {"pilot": {"k8s": k8s}}}), "istiod");
    let container = &found["containers"][0];
    let reference = json!({"name": "REVISION", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    assert_eq!(named(&container["env"], "REVISION"), &reference);
    assert_eq!(named(&container["env"], "POD_NAME"), &json!({"name": "POD_NAME", "value": "fixed"}));
    let probe = &container["readinessProbe"];
    assert_eq!((probe.get("httpGet"), &probe["tcpSocket"]), (None, &json!({"port": 8080})));
}

#[test]
fn the_strategy_of_the_node_agent_is_how_its_daemon_set_is_updated() {
    let cni = json!({"enabled": true, "k8s": {"strategy": {"rollingUpdate": {"maxUnavailable": "33%"}}}});
    let all = objects(&json!({"components": {"cni": cni}}));
    let agent = all.iter().find(|o| o.kind() == "DaemonSet").unwrap().value();
    let update = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "33%"}});
    assert_eq!((agent["spec"].get("strategy"), &agent["spec"]["updateStrategy"]), (None, &update));
}

#[test]
fn what_two_components_render_names_both() {
    let gateway = json!([{"name": "istiod", "enabled": true}]);
    let error = build(&json!({"components": {"ingressGateways": gateway}})).unwrap_err();
    for path in ["spec.components.ingressGateways[name:istiod]", "spec.components.pilot"] {
        assert!(error.contains(path), "{error}");
    }
    assert!(error.contains("Deployment istio-system/istiod"), "{error}");
}

/// Settings that reach the pods of a gateway, whoever completes them.
#[test]
fn a_gateway_that_is_injected_takes_the_settings_of_all_gateways() {
    for list in ["ingressGateways", "egressGateways"] {
        let key = if list == "ingressGateways" { "istio-ingressgateway" } else { "istio-egressgateway" };
        let global = json!({"imagePullPolicy": "Always", "priorityClassName": "high", "proxy": {"enableCoreDump": true},
            "defaultTolerations": [{"key": "a", "operator": "Exists"}], "defaultNodeSelector": {"pool": "x"}});
        let pods = |template: &str| {
            let values = json!({"global": global, "gateways": {key: {"injectionTemplate": template}}});
            let gateways = json!({list: [{"name": key, "enabled": true}]});
            pods(&json!({"values": values, "components": gateways}), key)
        };
        let (full, injected) = (pods(""), pods("gateway"));
        for path in
            ["/containers/0/imagePullPolicy", "/priorityClassName", "/initContainers", "/tolerations", "/affinity"]
        {
            assert!(full.pointer(path).is_some(), "{list} {path}");
            assert_eq!(full.pointer(path), injected.pointer(path), "{list} {path}");
        }
    }
}

/// The built-in package with a text in one of its files changed.
fn package_with(file: &str, old: &str, new: &str) -> (tempfile::TempDir, Package) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("package");
    Package::export(&path).unwrap();
    let text = std::fs::read_to_string(path.join(file)).unwrap();
    assert!(text.contains(old), "{file}: {text}");
    std::fs::write(path.join(file), text.replace(old, new)).unwrap();
    let package = Package::open(&path).unwrap();
    (folder, package)
}

fn keys_with(package: &Package) -> Vec<String> {
    let request = request::from_resource(
        &json!({"spec": {"namespace": "elsewhere", "values": {"global": {"istioNamespace": "elsewhere"}}}}),
    );
    let manifests = render::build(&request, &ClusterInfo::default(), package, Strictness::Full).unwrap();
    manifests.keys().iter().map(ToString::to_string).collect()
}

#[test]
fn an_object_has_the_namespace_that_its_kind_has() {
    let file = "charts/istio-control/istio-discovery/templates/shared/serviceaccount.yaml";
    let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let line = text.lines().find(|l| l.trim_start().starts_with("namespace:")).unwrap();
    let (_folder, package) = package_with(file, &format!("{line}\n"), "");
    let keys = keys_with(&package);
    assert!(keys.contains(&"ServiceAccount elsewhere/istiod".to_owned()), "{keys:#?}");

    let file = "charts/istio-control/istio-discovery/templates/shared/clusterrole.yaml";
    let (_folder, package) = package_with(file, "metadata:\n", "metadata:\n  namespace: {{ .Release.Namespace }}\n");
    let keys = keys_with(&package);
    assert!(keys.contains(&"ClusterRole istiod-clusterrole-elsewhere".to_owned()), "{keys:#?}");
}

#[test]
fn two_ports_of_a_gateway_may_lead_to_one_port_of_its_pods() {
    let ports = json!([{"name": "a", "port": 80, "targetPort": 8080}, {"name": "b", "port": 8081, "targetPort": 8080}]);
    let gateway = json!({"name": "gw", "enabled": true, "k8s": {"service": {"ports": ports}}});
    let found = pods(&json!({"components": {"ingressGateways": [gateway]}}), "gw");
    let listed = found["containers"][0]["ports"].as_array().unwrap();
    assert_eq!(listed.iter().filter(|p| p["containerPort"] == 8080).count(), 1, "{listed:?}");
}

#[test]
fn a_setting_without_its_container_is_refused() {
    let file = "charts/istio-control/istio-discovery/templates/deployment.yaml";
    let (_folder, package) = package_with(file, "- name: discovery", "- name: other");
    for field in ["env", "imagePullPolicy", "readinessProbe", "resources", "volumeMounts"] {
        let spec = json!({"components": {"pilot": {"k8s": {field: sample(field)}}}});
        let request = request::from_resource(&json!({ "spec": spec }));
        let error = render::build(&request, &ClusterInfo::default(), &package, Strictness::TakenOver).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&format!("spec.components.pilot.k8s.{field}: Deployment")), "{error}");
        assert!(error.contains("no container discovery") && error.contains("other"), "{error}");
    }
}
