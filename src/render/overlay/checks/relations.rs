//! What an API server wants of several places of an object together.

use super::place::{Found, Path, each};
use crate::spec::path::scalar_text;
use serde_json::Value;
use std::collections::BTreeMap;

/// The probes of a container.
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HANDLERS: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn items<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|v| !v.is_null())
}

/// The fields of a group that are set.
fn set<'f>(value: &Value, group: &[&'f str]) -> Vec<&'f str> {
    group.iter().copied().filter(|field| has(value, field)).collect()
}

fn scalar(value: &Value, field: &str) -> Option<String> {
    value.get(field).filter(|v| !v.is_null()).and_then(scalar_text)
}

/// Items of a list that say they are the same as an earlier one; `name` gives what an item is told apart by.
fn twice(list: &[Value], path: &str, what: &str, name: impl Fn(&Value) -> Option<String>, found: &mut Found) {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (i, item) in list.iter().enumerate() {
        let Some(name) = name(item).filter(|n| !n.is_empty()) else { continue };
        match first.get(&name) {
            Some(other) => found.push((format!("{path}[{i}]"), format!("has the {what} {name} of item {other}"))),
            None => drop(first.insert(name, i)),
        }
    }
}

fn port_and_protocol(item: &Value, field: &str) -> Option<String> {
    let protocol = Some(text(item, "protocol")).filter(|p| !p.is_empty()).unwrap_or("TCP");
    Some(format!("{}/{protocol}", scalar(item, field)?))
}

/// A selector selects, and selects the pods of its own template.
pub(super) fn selector(object: &Value, found: &mut Found) {
    const SELECTOR: &str = "spec.selector";
    let Some(selector) = object.pointer("/spec/selector").filter(|s| s.is_object()) else { return };
    let labels = object.pointer("/spec/template/metadata/labels");
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    if wanted.is_none_or(serde_json::Map::is_empty) && items(selector, "matchExpressions").is_empty() {
        found.push((SELECTOR.to_owned(), "must not be empty: it would select every pod".to_owned()));
    }
    for (key, value) in wanted.into_iter().flatten() {
        if labels.and_then(|l| l.get(key)) != Some(value) {
            let value = scalar_text(value).unwrap_or_default();
            let message = format!("must have {key}: {value}, which {SELECTOR} wants of the pods");
            found.push(("spec.template.metadata.labels".to_owned(), message));
        }
    }
}

/// The pods of a workload.
pub(super) fn template_pod(object: &Value, found: &mut Found) {
    pod_at(object, "spec.template.spec", found);
}

/// The pods of a job that is repeated.
pub(super) fn cron_pod(object: &Value, found: &mut Found) {
    pod_at(object, "spec.jobTemplate.spec.template.spec", found);
}

/// A pod.
pub(super) fn pod(object: &Value, found: &mut Found) {
    pod_at(object, "spec", found);
}

fn pod_at(object: &Value, place: &str, found: &mut Found) {
    each(object, place, &Path::Root, &mut |pod, path| {
        let path = &path.to_string();
        volumes(pod, path, found);
        let mut volumes: Vec<&str> = items(pod, "volumes").iter().map(|v| text(v, "name")).collect();
        volumes.extend(
            items(object.get("spec").unwrap_or(object), "volumeClaimTemplates")
                .iter()
                .filter_map(|c| c.pointer("/metadata/name").and_then(Value::as_str)),
        );
        for list in ["containers", "initContainers"] {
            let list_path = format!("{path}.{list}");
            twice(items(pod, list), &list_path, "name", |c| scalar(c, "name"), found);
            for (i, one) in items(pod, list).iter().enumerate() {
                let names_own = list == "initContainers"
                    && items(pod, "containers").iter().any(|c| text(c, "name") == text(one, "name"));
                if names_own && !text(one, "name").is_empty() {
                    found.push((format!("{list_path}[{i}].name"), "is the name of a container, too".to_owned()));
                }
                container(one, &format!("{list_path}[{i}]"), &volumes, found);
            }
        }
    });
}

fn volumes(pod: &Value, path: &str, found: &mut Found) {
    let path = format!("{path}.volumes");
    twice(items(pod, "volumes"), &path, "name", |v| scalar(v, "name"), found);
    for (i, volume) in items(pod, "volumes").iter().enumerate() {
        let sources = volume.as_object().into_iter().flatten().filter(|(key, v)| *key != "name" && !v.is_null());
        let sources: Vec<&str> = sources.map(|(key, _)| key.as_str()).collect();
        // Without any it is an empty directory.
        if sources.len() > 1 {
            found.push((format!("{path}[{i}]"), format!("must have one source, not {}", sources.join(" and "))));
        }
    }
}

fn container(one: &Value, path: &str, volumes: &[&str], found: &mut Found) {
    let env = items(one, "env");
    twice(env, &format!("{path}.env"), "name", |v| scalar(v, "name"), found);
    for (i, variable) in env.iter().enumerate() {
        if has(variable, "valueFrom") && !text(variable, "value").is_empty() {
            let message = format!("{} must have a value or valueFrom, not both", text(variable, "name"));
            found.push((format!("{path}.env[{i}]"), message));
        }
    }
    let ports = items(one, "ports");
    twice(ports, &format!("{path}.ports"), "port", |p| port_and_protocol(p, "containerPort"), found);
    twice(ports, &format!("{path}.ports"), "name", |p| scalar(p, "name"), found);
    let mounts = items(one, "volumeMounts");
    twice(mounts, &format!("{path}.volumeMounts"), "path", |m| scalar(m, "mountPath"), found);
    for (i, mount) in mounts.iter().enumerate() {
        let name = text(mount, "name");
        if !name.is_empty() && !volumes.contains(&name) {
            found.push((format!("{path}.volumeMounts[{i}].name"), format!("the pod has no volume {name}")));
        }
    }
    for field in PROBES {
        let Some(probe) = one.get(field).filter(|p| p.is_object()) else { continue };
        let handlers = set(probe, &HANDLERS);
        if handlers.len() != 1 {
            let are = if handlers.is_empty() { "none".to_owned() } else { handlers.join(" and ") };
            found.push((format!("{path}.{field}"), format!("must have one of {}, not {are}", HANDLERS.join(", "))));
        }
    }
}

/// A Service leads somewhere.
pub(super) fn service(object: &Value, found: &mut Found) {
    const PORTS: &str = "spec.ports";
    let Some(spec) = object.get("spec") else { return };
    let ports = items(spec, "ports");
    let is_name = text(spec, "type") == "ExternalName";
    if ports.is_empty() && !is_name && text(spec, "clusterIP") != "None" {
        found.push((PORTS.to_owned(), "must have at least one port".to_owned()));
    }
    if is_name && text(spec, "externalName").is_empty() {
        found.push(("spec.externalName".to_owned(), "is missing; an ExternalName needs it".to_owned()));
    }
    for (i, port) in ports.iter().enumerate().filter(|_| ports.len() > 1) {
        if text(port, "name").is_empty() {
            found.push((format!("{PORTS}[{i}].name"), "is missing; each of several ports needs a name".to_owned()));
        }
    }
    twice(ports, PORTS, "port", |p| port_and_protocol(p, "port"), found);
    twice(ports, PORTS, "name", |p| scalar(p, "name"), found);
}

/// An autoscaler has room.
pub(super) fn autoscaler(object: &Value, found: &mut Found) {
    let number = |field: &str| object.pointer(field).and_then(Value::as_f64);
    if let (Some(least), Some(most)) = (number("/spec/minReplicas"), number("/spec/maxReplicas"))
        && least > most
    {
        found.push(("spec.minReplicas".to_owned(), format!("must not be more than spec.maxReplicas, {most}")));
    }
}

/// A disruption budget says one of two.
pub(super) fn budget(object: &Value, found: &mut Found) {
    let both = ["minAvailable", "maxUnavailable"];
    if object.get("spec").is_some_and(|spec| set(spec, &both).len() == 2) {
        found.push(("spec".to_owned(), format!("must have {}, not both", both.join(" or "))));
    }
}

/// A service account has a namespace; that of a binding without one is unknown.
pub(super) fn cluster_subjects(object: &Value, found: &mut Found) {
    for (i, subject) in items(object, "subjects").iter().enumerate() {
        if text(subject, "kind") == "ServiceAccount" && text(subject, "namespace").is_empty() {
            found.push((format!("subjects[{i}].namespace"), "is missing; a ServiceAccount needs it here".to_owned()));
        }
    }
}

/// A webhook is called at one place, by one name.
pub(super) fn webhooks(object: &Value, found: &mut Found) {
    let all = items(object, "webhooks");
    twice(all, "webhooks", "name", |w| scalar(w, "name"), found);
    for (i, webhook) in all.iter().enumerate() {
        let Some(client) = webhook.get("clientConfig").filter(|c| c.is_object()) else { continue };
        if set(client, &["url", "service"]).len() != 1 {
            found.push((format!("webhooks[{i}].clientConfig"), "must have one of url and service".to_owned()));
        }
    }
}
