//! The samples of `config/samples`: whether a real API server takes them as they are, and whether they fit together.

use crate::lab::{Lab, binary, file};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The fields of the Gateway API that the samples use, for a strict API server; its own definitions are not part of Istio.
const GATEWAY_API: &str = include_str!("gateway_api.yaml");

/// All files below a folder of the samples.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

/// The objects of a file.
fn objects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    parse_documents(&text, Duplicates::Refuse).unwrap().into_iter().map(|document| document.value).collect()
}

fn samples() -> PathBuf {
    file("config/samples")
}

/// All objects of Bookinfo, with the files they stand in.
fn bookinfo() -> Vec<(String, Value)> {
    let all = files(&samples().join("bookinfo")).into_iter();
    all.flat_map(|path| objects(&path).into_iter().map(move |object| (path.display().to_string(), object))).collect()
}

/// Everything below a value that has this field.
fn fields<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(list) => list.iter().flat_map(|value| fields(value, name)).collect(),
        Value::Object(map) => {
            let here = map.get(name).into_iter();
            here.chain(map.values().flat_map(|value| fields(value, name))).collect()
        }
        _ => vec![],
    }
}

#[test]
fn an_api_server_takes_every_sample_strictly_and_without_a_warning() {
    let lab = Lab::without_operator();
    lab.kubectl(&["apply", "--server-side", "-f", &file("charts/base/crds").to_string_lossy()]);
    lab.apply(GATEWAY_API);
    lab.kubectl(&["create", "namespace", "shop"]);
    // Pods that would break the strictest rules are warned of.
    lab.kubectl(&["label", "namespace", "shop", "pod-security.kubernetes.io/warn=restricted"]);
    lab.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
    let flags = ["apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors"];
    let folders = [samples().join("bookinfo"), samples().join("sleep")].map(|folder| folder.display().to_string());
    let of_users = ["-n", "shop", "-R", "-f", &folders[0], "-f", &folders[1]];
    let taken = lab.kubectl(&[&flags[..], &of_users].concat());
    assert_eq!(taken.lines().count(), bookinfo().len() + 3, "{taken}");
    lab.kubectl(&[&flags[..], &["-f", &samples().join("demo.yaml").display().to_string()]].concat());
    // And the older version of Istio's objects that clusters may hold.
    for name in ["gateway", "destination-rules", "egress"] {
        let old = std::fs::read_to_string(samples().join(format!("bookinfo/networking/{name}.yaml"))).unwrap();
        lab.apply_with(&["-n", "shop", "--validate=strict"], &old.replace("io/v1beta1", "io/v1alpha3"));
    }
    let read = |path: &str| lab.get(&format!("/apis/networking.istio.io/v1beta1/namespaces/shop/{path}")).unwrap();
    assert_eq!(fields(&read("virtualservices/bookinfo"), "uri").len(), 5);
    assert_eq!(read("gateways/bookinfo-gateway")["spec"]["selector"], json!({"istio": "ingressgateway"}));
    assert_eq!(read("destinationrules/reviews")["spec"]["subsets"].as_array().unwrap().len(), 3);
    assert_eq!(read("serviceentries/example-org")["spec"]["location"], "MESH_EXTERNAL");
}

#[test]
fn bookinfo_is_four_services_with_accounts_and_six_deployments() {
    let mut kinds = BTreeMap::new();
    for object in objects(&samples().join("bookinfo/bookinfo.yaml")) {
        *kinds.entry(object["kind"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let expected = [("Deployment", 6), ("Service", 4), ("ServiceAccount", 4)];
    assert_eq!(kinds, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

#[test]
fn each_deployment_of_bookinfo_gets_a_proxy_and_nothing_else_changes() {
    let (path, spec) = (samples().join("bookinfo/bookinfo.yaml"), samples().join("demo.yaml"));
    let mut inject = Command::new(binary());
    let output = inject.args(["kube-inject", "-f"]).arg(&path).arg("--operatorFileName").arg(spec).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let injected: Vec<_> =
        parse_documents(&text, Duplicates::Refuse).unwrap().into_iter().map(|document| document.value).collect();
    let before = objects(&path);
    assert_eq!(injected.len(), before.len());
    let names = |containers: &Value| -> Vec<String> {
        let all = containers.as_array().into_iter().flatten();
        all.map(|container| container["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut deployments = 0;
    for (before, after) in before.iter().zip(&injected) {
        if before["kind"] != "Deployment" {
            assert_eq!(before, after);
            continue;
        }
        deployments += 1;
        let (before, after) = (&before["spec"]["template"]["spec"], &after["spec"]["template"]["spec"]);
        let mut expected = names(&before["containers"]);
        expected.push("istio-proxy".to_owned());
        assert_eq!(names(&after["containers"]), expected);
        assert_eq!(names(&after["initContainers"]), ["istio-init"]);
        assert_eq!(after["serviceAccountName"], before["serviceAccountName"]);
    }
    assert_eq!(deployments, 6);
}

/// A kind and a name in a file of the samples, where in the object to look, and what must be there.
type Promise = (&'static str, &'static str, &'static str, &'static str);

/// What a tutorial says of each sample. All that must be there is written in JSON.
const PROMISES: &[Promise] = &[
    // What the gateway lets in.
    ("gateway", "Gateway bookinfo-gateway", "/spec/selector", r#"{"istio": "ingressgateway"}"#),
    (
        "gateway",
        "Gateway bookinfo-gateway",
        "/spec/servers",
        r#"[{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]"#,
    ),
    (
        "gateway",
        "VirtualService bookinfo",
        "/spec/http",
        r#"[{"match": [{"uri": {"exact": "/productpage"}}, {"uri": {"prefix": "/static"}}, {"uri": {"exact": "/login"}},
            {"uri": {"exact": "/logout"}}, {"uri": {"prefix": "/api/v1/products"}}],
            "route": [{"destination": {"host": "productpage", "port": {"number": 9080}}}]}]"#,
    ),
    // Which version answers.
    (
        "destination-rules",
        "DestinationRule reviews",
        "/spec/trafficPolicy",
        r#"{"loadBalancer": {"simple": "RANDOM"}}"#,
    ),
    (
        "destination-rules",
        "DestinationRule reviews",
        "/spec/subsets",
        r#"[{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}},
            {"name": "v3", "labels": {"version": "v3"}}]"#,
    ),
    (
        "reviews-v3",
        "VirtualService reviews",
        "/spec/http",
        r#"[{"route": [{"destination": {"host": "reviews", "subset": "v3"}}]}]"#,
    ),
    (
        "reviews-jason-v2-others-v3",
        "VirtualService reviews",
        "/spec/http",
        r#"[{"match": [{"headers": {"end-user": {"exact": "jason"}}}],
            "route": [{"destination": {"host": "reviews", "subset": "v2"}}]},
            {"route": [{"destination": {"host": "reviews", "subset": "v3"}}]}]"#,
    ),
    (
        "reviews-matches",
        "VirtualService reviews",
        "/spec/http/0/match",
        r#"[{"uri": {"prefix": "/reviews"}, "method": {"exact": "GET"}, "queryParams": {"beta": {"exact": "true"}}},
            {"headers": {"user-agent": {"regex": ".*Firefox.*"}}, "sourceLabels": {"app": "productpage"}}]"#,
    ),
    (
        "reviews-90-10",
        "VirtualService reviews",
        "/spec/http",
        r#"[{"route": [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10}]}]"#,
    ),
    (
        "reviews-80-20",
        "VirtualService reviews",
        "/spec/http",
        r#"[{"route": [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 80},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 20}]}]"#,
    ),
    // What is slow, or fails.
    (
        "ratings-delay",
        "VirtualService ratings",
        "/spec/http/0/match",
        r#"[{"headers": {"end-user": {"exact": "jason"}}}]"#,
    ),
    (
        "ratings-delay",
        "VirtualService ratings",
        "/spec/http/0/fault",
        r#"{"delay": {"percentage": {"value": 100}, "fixedDelay": "7s"}}"#,
    ),
    (
        "ratings-abort",
        "VirtualService ratings",
        "/spec/http/0/match",
        r#"[{"headers": {"end-user": {"exact": "jason"}}}]"#,
    ),
    (
        "ratings-abort",
        "VirtualService ratings",
        "/spec/http/0/fault",
        r#"{"abort": {"percentage": {"value": 100}, "httpStatus": 500}}"#,
    ),
    ("reviews-timeout", "VirtualService reviews", "/spec/http/0/timeout", r#""0.5s""#),
    (
        "details-circuit-breaking",
        "DestinationRule details",
        "/spec/trafficPolicy",
        r#"{"connectionPool": {"tcp": {"maxConnections": 1},
            "http": {"http1MaxPendingRequests": 1, "maxRequestsPerConnection": 1}},
            "outlierDetection": {"consecutive5xxErrors": 1, "interval": "1s", "baseEjectionTime": "3m", "maxEjectionPercent": 100}}"#,
    ),
    ("reviews-mirror", "VirtualService reviews", "/spec/http/0/mirror", r#"{"host": "reviews", "subset": "v3"}"#),
    ("reviews-mirror", "VirtualService reviews", "/spec/http/0/mirrorPercentage", r#"{"value": 50}"#),
];

#[test]
fn each_sample_says_what_the_tutorial_says_of_it() {
    for (name, object, place, expected) in PROMISES {
        let all = objects(&samples().join(format!("bookinfo/networking/{name}.yaml")));
        let (kind, called) = object.split_once(' ').unwrap();
        let found = all.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == called).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(found.pointer(place), Some(&expected), "{name}: {object} {place}");
    }
    // One Service chooses the pods of all versions.
    let all = objects(&samples().join("bookinfo/bookinfo.yaml"));
    let service = all.iter().find(|o| o["kind"] == "Service" && o["metadata"]["name"] == "reviews").unwrap();
    assert_eq!(service["spec"]["selector"], json!({"app": "reviews"}));
    let labels = all.iter().map(|object| &object["spec"]["template"]["metadata"]["labels"]);
    let versions: Vec<_> =
        labels.filter(|labels| labels["app"] == "reviews").map(|labels| &labels["version"]).collect();
    assert_eq!(versions, ["v1", "v2", "v3"]);
}

#[test]
fn routes_of_samples_lead_to_services_and_subsets_that_there_are() {
    let all = bookinfo();
    let of_kind = |kind: &'static str| all.iter().filter(move |(_, object)| object["kind"] == kind);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut hosts: BTreeSet<String> = of_kind("Service").map(|(_, object)| text(&object["metadata"]["name"])).collect();
    hosts.extend(of_kind("ServiceEntry").flat_map(|(_, object)| fields(object, "hosts")).map(|list| text(&list[0])));
    hosts.insert("istio-egressgateway.istio-system.svc.cluster.local".to_owned());
    let pods: BTreeSet<_> = of_kind("Deployment")
        .map(|(_, object)| &object["spec"]["template"]["metadata"]["labels"])
        .map(|labels| (text(&labels["app"]), text(&labels["version"])))
        .collect();
    let mut subsets = BTreeSet::new();
    for (path, rule) in of_kind("DestinationRule") {
        let host = text(&rule["spec"]["host"]);
        for subset in rule["spec"]["subsets"].as_array().unwrap() {
            let version = text(&subset["labels"]["version"]);
            assert!(version.is_empty() || pods.contains(&(host.clone(), version)), "{path}: no pods of {subset}");
            subsets.insert((host.clone(), text(&subset["name"])));
        }
    }
    let mut routes = 0;
    for (path, service) in of_kind("VirtualService") {
        for destination in ["destination", "mirror"].into_iter().flat_map(|name| fields(service, name)) {
            let (host, subset) = (text(&destination["host"]), text(&destination["subset"]));
            assert!(hosts.contains(&host), "{path}: no Service {host}");
            assert!(subset.is_empty() || subsets.contains(&(host.clone(), subset.clone())), "{path}: {host} {subset}");
            routes += 1;
        }
        for route in fields(service, "route") {
            let weights: Vec<i64> = fields(route, "weight").iter().map(|weight| weight.as_i64().unwrap()).collect();
            assert!(weights.is_empty() || weights.iter().sum::<i64>() == 100, "{path}: {weights:?}");
        }
    }
    assert!(routes > 30, "{routes}");
    for (path, route) in of_kind("HTTPRoute") {
        let named = fields(route, "backendRefs").into_iter().flat_map(|list| list.as_array().unwrap());
        for backend in named {
            assert!(hosts.contains(&text(&backend["name"])), "{path}: no Service {backend}");
        }
    }
}
