//! The samples of `config/samples`: whether a real API server takes them as they are, and whether they fit together.

use crate::lab::{Lab, file};
use helm_template::yaml::{Duplicates, parse_documents};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
    let old = std::fs::read_to_string(samples().join("bookinfo/networking/gateway.yaml")).unwrap();
    lab.apply_with(&["-n", "shop", "--validate=strict"], &old.replace("io/v1beta1", "io/v1alpha3"));
    let read = lab.get("/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices/bookinfo").unwrap();
    assert_eq!(fields(&read, "uri").len(), 5);
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
