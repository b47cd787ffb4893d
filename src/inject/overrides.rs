//! Containers that both the pod and the templates have: what the pod's author wrote wins over the templates, now and when
//! the pod is injected again.

use super::annotations::{OVERRIDES, STATUS};
use super::error::InjectError;
use super::mesh::Mesh;
use super::metrics;
use super::pod::{CONTAINERS, INIT_CONTAINERS, PROXY, Pod, name_of};
use super::types;
use crate::spec::strategic::{WorkloadSchema, strategic_merge};
use serde_json::{Map, Value, json};

/// The image of a container that takes its image from the template.
const AUTO: &str = "auto";

fn remembered(pod: &Pod, annotation: &'static str) -> Result<Option<Value>, InjectError> {
    let Some(text) = pod.annotation(annotation) else { return Ok(None) };
    let wrong = |why: String| InjectError::Remembered { annotation, why };
    let tree: Value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    if tree.is_object() { Ok(Some(tree)) } else { Err(wrong("must be a map".to_owned())) }
}

fn overrides(pod: &Pod) -> Result<Map<String, Value>, InjectError> {
    let Some(tree) = remembered(pod, OVERRIDES)? else { return Ok(Map::new()) };
    types::shape("Overrides", &tree).map_err(|misfits| InjectError::Remembered {
        annotation: OVERRIDES,
        why: misfits.iter().map(|m| format!("{} {}", m.path, m.message)).collect::<Vec<_>>().join("; "),
    })
}

fn items<'v>(map: &'v Map<String, Value>, list: &str) -> &'v [Value] {
    map.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The names of the containers of a list that an earlier injection added.
fn injected_names<'s>(status: &'s Value, list: &str) -> Vec<&'s str> {
    status.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The pod as its author wrote it: without what an earlier injection added, and with the containers that it replaced.
pub(super) fn as_written(pod: &Pod, mesh: &Mesh) -> Result<Pod, InjectError> {
    let mut written = pod.clone();
    if let Some(status) = remembered(pod, STATUS)? {
        for list in [CONTAINERS, INIT_CONTAINERS] {
            let injected = injected_names(&status, list);
            if let Some(containers) = written.list_mut(list) {
                containers.retain(|c| !injected.contains(&name_of(c)));
            }
        }
        metrics::forget(&mut written, mesh);
        written.remove_annotations(|name| name == STATUS);
    }
    let own = overrides(pod)?;
    for list in [CONTAINERS, INIT_CONTAINERS] {
        for container in items(&own, list) {
            if written.find(list, name_of(container)).is_none() {
                written.push(list, container.clone());
            }
        }
    }
    Ok(written)
}

/// Merges the author's containers over those of the same names in the injected pod, and keeps them in an annotation.
pub(super) fn reapply(injected: &Pod, original: &Pod, templates: &Pod) -> Result<Pod, InjectError> {
    let known = overrides(original)?;
    let status = remembered(original, STATUS)?.unwrap_or_default();
    let mut tree = injected.tree().clone();
    let mut applied = Map::new();
    for list in [CONTAINERS, INIT_CONTAINERS] {
        // What an earlier injection wrote is nobody's wish.
        let injected = injected_names(&status, list);
        for name in templates.names(list) {
            let own = items(&known, list).iter().find(|c| name_of(c) == name);
            let written = || original.find_for(list, name).filter(|_| !injected.contains(&name));
            let Some(mut own) = own.or_else(written).cloned() else { continue };
            if own.get("image").is_some_and(|image| image == AUTO)
                && let Some(map) = own.as_object_mut()
            {
                map.remove("image");
            }
            let patch = json!({"spec": { list: [own.clone()] }});
            tree = strategic_merge(tree, &patch, &WorkloadSchema)?;
            if let Some(all) = applied.entry(list).or_insert_with(|| json!([])).as_array_mut() {
                all.push(own);
            }
        }
    }
    let mut pod = Pod::shaped(&tree).map_err(InjectError::Result)?;
    if !applied.is_empty() && original.annotation(STATUS).is_none() {
        pod.annotate(OVERRIDES, types::json("Overrides", &Value::Object(applied)));
    }
    Ok(pod)
}

/// Makes the containers that redirect traffic, or check that it is redirected, follow the user that the pod's author gave the
/// proxy: what this user sends is not redirected. With TPROXY, the proxy must be root.
pub(super) fn follow_user(pod: &mut Pod, original: &Pod, proxy: &Map<String, Value>) {
    let own = original.find_for(INIT_CONTAINERS, PROXY).and_then(|proxy| proxy.get("securityContext"));
    let [user, group] = ["runAsUser", "runAsGroup"].map(|id| own.and_then(|own| own.get(id)).cloned());
    let redirecting = ["istio-init", "istio-validation"].into_iter().find(|n| pod.find(INIT_CONTAINERS, n).is_some());
    let (Some(name), true) = (redirecting, user.is_some() || group.is_some()) else { return };
    let mode = pod.annotation("sidecar.istio.io/interceptionMode");
    let is_tproxy = proxy.get("interceptionMode").is_some_and(|m| m == "TPROXY") || mode == Some("TPROXY");
    if is_tproxy && user.is_some() {
        let context = pod.proxy_mut().and_then(|proxy| proxy.get_mut("securityContext")?.as_object_mut());
        if let Some(context) = context {
            context.insert("runAsUser".to_owned(), 0.into());
        }
    }
    let Some(container) = pod.find_mut(INIT_CONTAINERS, name).and_then(Value::as_object_mut) else { return };
    if !is_tproxy && name == "istio-validation" {
        let context = container.entry("securityContext").or_insert_with(|| json!({})).as_object_mut();
        let ids = [("runAsUser", &user), ("runAsGroup", &group)];
        let given = ids.into_iter().filter_map(|(id, value)| Some((id.to_owned(), value.clone()?)));
        if let Some(context) = context {
            context.extend(given);
        }
    }
    // The rules of the network cannot name root.
    let Some(user) = user.as_ref().and_then(Value::as_i64).filter(|user| *user != 0) else { return };
    let Some(args) = container.get_mut("args").and_then(Value::as_array_mut) else { return };
    if let Some(value) = args.iter().position(|arg| arg == "-u").and_then(|at| args.get_mut(at + 1)) {
        *value = user.to_string().into();
    }
}

#[cfg(test)]
mod tests {
    use super::super::injector::Injector;
    use super::*;

    fn pod(annotations: &Value, spec: &Value) -> Pod {
        Pod::new(&json!({ "annotations": annotations }), spec).unwrap()
    }

    #[test]
    fn the_author_wins_and_the_image_auto_is_the_templates() {
        let original = pod(
            &json!({}),
            &json!({"containers": [{"name": "istio-proxy", "image": "auto", "args": ["mine"],
                "env": [{"name": "A", "value": "mine"}], "resources": {"limits": {"cpu": "77m"}}}]}),
        );
        let templates = pod(
            &json!({}),
            &json!({"containers": [{"name": "istio-proxy", "image": "proxy", "args": ["theirs"],
                "env": [{"name": "A", "value": "theirs"}, {"name": "B", "value": "theirs"}],
                "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}]}),
        );
        let merged = reapply(&templates, &original, &templates).unwrap();
        let proxy = merged.find(CONTAINERS, "istio-proxy").unwrap();
        assert_eq!(proxy["image"], "proxy");
        assert_eq!(proxy["args"], json!(["mine"]));
        assert_eq!(proxy["resources"]["limits"], json!({"cpu": "77m", "memory": "1Gi"}));
        assert_eq!(proxy["env"], json!([{"name": "A", "value": "mine"}, {"name": "B", "value": "theirs"}]));
        assert_eq!(
            merged.annotation(OVERRIDES).unwrap(),
            r#"{"containers":[{"name":"istio-proxy","args":["mine"],"env":[{"name":"A","value":"mine"}],"resources":{"limits":{"cpu":"77m"}}}]}"#
        );
    }

    #[test]
    fn what_was_injected_goes_and_what_was_overridden_comes_back() {
        let injected = pod(
            &json!({
                STATUS: r#"{"initContainers":["istio-init"],"containers":["istio-proxy"]}"#,
                OVERRIDES: r#"{"containers":[{"name":"istio-proxy","args":["mine"]}]}"#,
                "prometheus.io/port": "15020",
            }),
            &json!({"containers": [{"name": "app"}, {"name": "istio-proxy", "image": "old"}],
                "initContainers": [{"name": "istio-init"}]}),
        );
        let written = as_written(&injected, &Mesh::parse("", Injector::OLDEST).unwrap()).unwrap();
        assert_eq!(written.names(CONTAINERS), ["app", "istio-proxy"]);
        assert!(written.names(INIT_CONTAINERS).is_empty());
        assert_eq!(written.find(CONTAINERS, "istio-proxy").unwrap().get("image"), None);
        assert!(written.annotation(STATUS).is_none() && written.annotation("prometheus.io/port").is_none());
    }

    #[test]
    fn what_is_remembered_and_cannot_be_read_is_an_error() {
        for (annotation, text) in [(STATUS, "x"), (OVERRIDES, "[]"), (OVERRIDES, r#"{"containers":[{"stdin":1}]}"#)] {
            let pod = pod(&json!({ annotation: text }), &json!({}));
            let error = as_written(&pod, &Mesh::parse("", Injector::OLDEST).unwrap()).unwrap_err().to_string();
            assert!(error.contains(annotation), "{error}");
        }
    }
}
