//! Probes of the application go to the agent, which asks the application itself: the kubelet has no certificate for
//! mutual TLS, and a redirected TCP connection always succeeds.

use super::annotations::STATUS_PORT;
use super::pod::PROXY;
use super::pod::{self, CONTAINERS, INIT_CONTAINERS, Pod, name_of};
use super::types;
use crate::api::schema::Type;
use serde_json::{Map, Value, json};

/// The environment variable that tells the agent what the probes were.
const ORIGINALS: &str = "ISTIO_KUBE_APP_PROBERS";

/// Where a container has a probe, and the path at which the agent answers for it, around the container's name; then the same
/// of what a container does once it has started and before it stops.
const PROBES: [(&str, [&str; 2]); 5] = [
    ("/readinessProbe", ["/app-health/", "/readyz"]),
    ("/livenessProbe", ["/app-health/", "/livez"]),
    ("/startupProbe", ["/app-health/", "/startupz"]),
    ("/lifecycle/preStop", ["/app-lifecycle/", "/prestopz"]),
    ("/lifecycle/postStart", ["/app-lifecycle/", "/poststartz"]),
];

/// What the agent of a release takes over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agent {
    /// Its port; probes that already go there are not noted as originals.
    pub(super) port: i64,
    /// Whether it does so with `preStop` and `postStart`.
    pub(super) hooks: bool,
}

impl Agent {
    fn probes(self) -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
        PROBES.into_iter().filter(move |(place, _)| self.hooks || !place.starts_with("/lifecycle/"))
    }
}

/// The ways of probing that the agent takes over; a command runs in the container itself.
const HANDLERS: [&str; 3] = ["httpGet", "tcpSocket", "grpc"];

/// Rewrites the probes of all containers but the proxy; without a proxy, none.
///
/// Of a pod that was injected before, the originals noted then stay.
pub(super) fn rewrite(pod: &mut Pod, agent: Agent, injected_before: bool) {
    if pod.proxy_mut().is_none() {
        return;
    }
    let originals = originals(pod, agent);
    if !originals.is_empty()
        && let Some(proxy) = pod.proxy_mut()
    {
        remember(proxy, originals, injected_before);
    }
    let port = pod.annotation(STATUS_PORT).and_then(|p| p.trim().parse().ok()).unwrap_or(agent.port);
    for list in [CONTAINERS, INIT_CONTAINERS] {
        let containers = pod.list_mut(list).map(Vec::as_mut_slice).unwrap_or_default();
        for container in containers.iter_mut().filter(|c| name_of(c) != PROXY) {
            let name = name_of(container).to_owned();
            for (place, answer) in agent.probes() {
                if let Some(probe) = container.pointer_mut(place).and_then(Value::as_object_mut) {
                    redirect(probe, &answer.join(&name), port);
                }
            }
        }
    }
}

/// What the agent must ask instead, by the path at which it is asked.
fn originals(pod: &Pod, agent: Agent) -> Map<String, Value> {
    let mut found = Map::new();
    let all = [CONTAINERS, INIT_CONTAINERS].into_iter().flat_map(|list| pod.list(list));
    for container in all.filter(|c| name_of(c) != PROXY) {
        for (place, answer) in agent.probes() {
            if let Some(prober) = container.pointer(place).and_then(|probe| original(probe, container, agent.port)) {
                found.insert(answer.join(name_of(container)), prober);
            }
        }
    }
    found
}

fn original(probe: &Value, container: &Value, agent: i64) -> Option<Value> {
    let handler = HANDLERS.into_iter().find(|h| probe.get(h).is_some())?;
    let mut action = probe.get(handler)?.clone();
    if handler != "grpc" {
        let port = match action.get("port") {
            Some(Value::String(name)) => port_named(container, name)?,
            Some(port) if port.as_i64() == Some(agent) => return None,
            Some(port) => port.clone(),
            None => return None,
        };
        action.as_object_mut()?.insert("port".to_owned(), port);
    }
    let mut prober = json!({ handler: action });
    if let (Some(prober), Some(timeout)) = (prober.as_object_mut(), probe.get("timeoutSeconds")) {
        prober.insert("timeoutSeconds".to_owned(), timeout.clone());
    }
    Some(prober)
}

fn port_named(container: &Value, name: &str) -> Option<Value> {
    let ports = container.get("ports")?.as_array()?;
    ports.iter().find(|p| name_of(p) == name)?.get("containerPort").cloned()
}

fn remember(proxy: &mut Value, mut originals: Map<String, Value>, injected_before: bool) {
    let variables = proxy.get_mut("env").and_then(Value::as_array_mut);
    let known = variables.and_then(|env| env.iter_mut().find(|v| name_of(v) == ORIGINALS)).filter(|_| injected_before);
    let kind = Type::Map(Box::new(Type::Message(types::find("Prober"))));
    if let Some(known) = known {
        let before = known.get("value").and_then(Value::as_str).map(serde_json::from_str::<Map<String, Value>>);
        // What an earlier injection left and cannot be read stays as it is, as upstream's injector leaves it.
        let Some(Ok(mut all)) = before else { return };
        // A probe with the path of its own answer goes to the agent already, whatever port an annotation gave the agent.
        let answers = |path: &str, prober: &Value| prober.pointer("/httpGet/path").is_some_and(|p| p == path);
        originals.retain(|path, prober| !all.contains_key(path) || !answers(path, prober));
        all.append(&mut originals);
        if let Some(variable) = known.as_object_mut() {
            variable.insert("value".to_owned(), types::json_of(&kind, &Value::Object(all)).into());
        }
    } else {
        pod::add_variable(proxy, ORIGINALS, &types::json_of(&kind, &Value::Object(originals)));
    }
}

/// Makes a probe, of whatever kind, an HTTP request to the agent.
fn redirect(probe: &mut Map<String, Value>, path: &str, port: i64) {
    let Some(handler) = HANDLERS.into_iter().find(|h| probe.contains_key(*h)) else { return };
    let mut action = if handler == "httpGet" { probe.remove(handler).unwrap_or_default() } else { json!({}) };
    if handler != "httpGet" {
        probe.remove(handler);
    }
    if let Some(action) = action.as_object_mut() {
        action.insert("path".to_owned(), path.into());
        action.insert("port".to_owned(), port.into());
        if action.get("scheme").is_some_and(|s| s == "HTTPS") {
            action.insert("scheme".to_owned(), "HTTP".into());
        }
    }
    probe.insert("httpGet".to_owned(), action);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(annotations: &Value, app: &Value, proxy: &Value, before: bool) -> Pod {
        let spec = json!({"containers": [app, proxy]});
        let mut pod = Pod::new(&json!({ "annotations": annotations }), &spec).unwrap();
        rewrite(&mut pod, Agent { port: 15020, hooks: false }, before);
        pod
    }

    fn remembered(pod: &Pod) -> String {
        let proxy = pod.find(CONTAINERS, PROXY).unwrap();
        proxy.pointer("/env/0/value").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    #[test]
    fn each_way_of_probing_becomes_a_request_to_the_agent_and_is_remembered() {
        let app = json!({"name": "a", "ports": [{"name": "web", "containerPort": 80}],
            "readinessProbe": {"httpGet": {"path": "/x?a&b", "port": "web", "scheme": "HTTPS"}, "timeoutSeconds": 4},
            "livenessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 2},
            "startupProbe": {"grpc": {"port": 82}}});
        let pod = rewritten(&json!({}), &app, &json!({"name": "istio-proxy"}), false);
        assert_eq!(
            remembered(&pod),
            "{\"/app-health/a/livez\":{\"tcpSocket\":{\"port\":81}},\
             \"/app-health/a/readyz\":{\"httpGet\":{\"path\":\"/x?a\\u0026b\",\"port\":80,\"scheme\":\"HTTPS\"},\"timeoutSeconds\":4},\
             \"/app-health/a/startupz\":{\"grpc\":{\"port\":82,\"service\":null}}}"
        );
        let app = pod.find(CONTAINERS, "a").unwrap();
        let get = |answer: &str| json!({"path": format!("/app-health/a/{answer}"), "port": 15020});
        assert_eq!(app["livenessProbe"], json!({"httpGet": get("livez"), "periodSeconds": 2}));
        assert_eq!(app["startupProbe"], json!({"httpGet": get("startupz")}));
        assert_eq!(app["readinessProbe"]["httpGet"]["scheme"], "HTTP");
    }

    #[test]
    fn what_a_container_does_before_it_stops_goes_to_an_agent_that_takes_it() {
        let app = json!({"name": "a", "lifecycle": {"preStop": {"httpGet": {"path": "/bye", "port": 80}},
            "postStart": {"exec": {"command": ["x"]}}}});
        let helper = json!({"name": "h", "readinessProbe": {"tcpSocket": {"port": 81}}});
        let spec = json!({"containers": [app], "initContainers": [helper, {"name": "istio-proxy"}]});
        for hooks in [false, true] {
            let mut pod = Pod::new(&json!({}), &spec).unwrap();
            rewrite(&mut pod, Agent { port: 15020, hooks }, false);
            let [probe, hook] = [
                r#""/app-health/h/readyz":{"tcpSocket":{"port":81}}"#,
                r#""/app-lifecycle/a/prestopz":{"httpGet":{"path":"/bye","port":80}}"#,
            ];
            let proxy = pod.find(INIT_CONTAINERS, PROXY).unwrap();
            let want = if hooks { format!("{{{probe},{hook}}}") } else { format!("{{{probe}}}") };
            assert_eq!(proxy["env"][0]["value"], want);
            let path = if hooks { "/app-lifecycle/a/prestopz" } else { "/bye" };
            let app = pod.find(CONTAINERS, "a").unwrap();
            assert_eq!(app["lifecycle"]["preStop"]["httpGet"]["path"], path);
            assert_eq!(app["lifecycle"]["postStart"], json!({"exec": {"command": ["x"]}}));
        }
    }

    #[test]
    fn a_command_stays_and_a_port_without_a_number_is_not_remembered() {
        let app = json!({"name": "a", "livenessProbe": {"exec": {"command": ["x"]}},
            "readinessProbe": {"httpGet": {"port": "nowhere"}}});
        let pod = rewritten(&json!({}), &app, &json!({"name": "istio-proxy"}), false);
        assert_eq!(pod.find(CONTAINERS, "a").unwrap()["livenessProbe"], json!({"exec": {"command": ["x"]}}));
        assert_eq!(remembered(&pod), "");
    }

    #[test]
    fn an_annotation_names_another_port_of_the_agent() {
        let app = json!({"name": "a", "readinessProbe": {"httpGet": {"port": 80}}});
        let annotations = json!({"status.sidecar.istio.io/port": "18020"});
        let pod = rewritten(&annotations, &app, &json!({"name": "istio-proxy"}), false);
        assert_eq!(pod.find(CONTAINERS, "a").unwrap()["readinessProbe"]["httpGet"]["port"], 18020);
    }

    #[test]
    fn a_pod_injected_before_keeps_what_was_remembered() {
        let app = json!({"name": "a", "readinessProbe": {"httpGet": {"path": "/app-health/a/readyz", "port": 15020}},
            "livenessProbe": {"tcpSocket": {"port": 81}}});
        let old = r#"{"/app-health/a/readyz":{"httpGet":{"path":"/r","port":80}}}"#;
        let proxy = json!({"name": "istio-proxy", "env": [{"name": ORIGINALS, "value": old}]});
        let pod = rewritten(&json!({}), &app, &proxy, true);
        assert_eq!(
            remembered(&pod),
            r#"{"/app-health/a/livez":{"tcpSocket":{"port":81}},"/app-health/a/readyz":{"httpGet":{"path":"/r","port":80}}}"#
        );
    }

    #[test]
    fn a_probe_that_went_to_another_port_stays_so_when_injected_again() {
        let app = json!({"name": "a", "readinessProbe": {"httpGet": {"path": "/app-health/a/readyz", "port": 18020}}});
        let old = r#"{"/app-health/a/readyz":{"httpGet":{"path":"/r","port":80}}}"#;
        let proxy = json!({"name": "istio-proxy", "env": [{"name": ORIGINALS, "value": old}]});
        let pod = rewritten(&json!({ STATUS_PORT: "18020" }), &app, &proxy, true);
        assert_eq!(remembered(&pod), old);
        let changed = json!({"name": "a", "readinessProbe": {"httpGet": {"path": "/new", "port": 81}}});
        let pod = rewritten(&json!({ STATUS_PORT: "18020" }), &changed, &proxy, true);
        assert_eq!(remembered(&pod), r#"{"/app-health/a/readyz":{"httpGet":{"path":"/new","port":81}}}"#);
    }

    #[test]
    fn without_a_proxy_probes_stay() {
        let app = json!({"name": "a", "readinessProbe": {"httpGet": {"port": 80}}});
        let pod = rewritten(&json!({}), &app, &json!({"name": "b"}), false);
        assert_eq!(pod.find(CONTAINERS, "a").unwrap()["readinessProbe"], app["readinessProbe"]);
    }
}
