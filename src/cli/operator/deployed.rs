//! What a Deployment of an operator says of how it was deployed. Pure.

use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeMap;

/// The operator's name, of which those of its objects are made, and of its container.
pub(super) const NAME: &str = "istio-operator";
/// The variable that says which namespaces it watches.
pub(super) const WATCHED: &str = "WATCH_NAMESPACE";
/// The program of this operator's container; upstream's has another one.
const PROGRAM: &str = "/istio-operator";

/// Variables that people set, besides what flags say: what their resources may do, and how much is logged.
const KEPT: [&str; 3] = [WATCHED, "PRIVILEGED_NAMESPACES", "LOG_LEVEL"];

/// What is kept of an operator that is there; nothing where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deployed {
    /// Its image, if it is this operator and not upstream's.
    pub(super) image: Option<String>,
    /// The Secrets that it is pulled with.
    pub(super) pull_secrets: Vec<String>,
    /// Those of its variables that people set.
    variables: BTreeMap<String, String>,
}

impl Deployed {
    /// Of a Deployment.
    pub(super) fn read(live: &DynamicObject) -> Self {
        let pod = live.data.pointer("/spec/template/spec");
        let list = |value: Option<&Value>, field: &str| -> Vec<Value> {
            value.and_then(|value| value.get(field)?.as_array().cloned()).unwrap_or_default()
        };
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let containers = list(pod, "containers");
        let container = containers.iter().find(|one| text(one, "name").as_deref() == Some(NAME));
        let is_ours = list(container, "command").iter().any(|word| word == PROGRAM);
        // One without a value is empty; what is from elsewhere is not known.
        let variable = |one: &Value| {
            let value = text(one, "value").or_else(|| one.get("valueFrom").is_none().then(String::new))?;
            Some((text(one, "name")?, value))
        };
        let env = list(container, "env");
        let all = env.iter().filter_map(variable).filter(|(name, _)| KEPT.contains(&name.as_str()));
        Self {
            image: container.and_then(|container| text(container, "image")).filter(|_| is_ours),
            pull_secrets: list(pod, "imagePullSecrets").iter().filter_map(|secret| text(secret, "name")).collect(),
            // What upstream calls alike but for the first may mean something else.
            variables: all.filter(|(name, _)| is_ours || name == WATCHED).collect(),
        }
    }

    /// A variable that it keeps.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The image of flags: what they do not say is as it is, or else as in `default`.
    pub(super) fn image_with(&self, hub: Option<&str>, tag: Option<&str>, default: &str) -> String {
        let now = self.image.as_deref().unwrap_or(default);
        if hub.is_none() && tag.is_none() {
            return now.to_owned();
        }
        let ((repository, old), (name, newest)) = (parts(now), parts(default));
        let repository = match hub {
            Some(hub) => format!("{}/{name}", hub.trim_end_matches('/')),
            None => repository.to_owned(),
        };
        format!("{repository}:{}", tag.or(old).or(newest).unwrap_or("latest"))
    }
}

/// Where an image is, and its tag; a digest goes with the image that it is of.
fn parts(image: &str) -> (&str, Option<&str>) {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

/// Whether an image says which registry it is from; else each node takes one of its own, or asks Docker Hub.
pub(super) fn names_registry(image: &str) -> bool {
    parts(image).0.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn deployed(command: &Value) -> Deployed {
        let live = from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME},
            "spec": {"template": {"spec": {"imagePullSecrets": [{"name": "s"}], "containers": [
                {"name": "mesh-proxy", "image": "proxy"},
                {"name": NAME, "image": "registry.example.com:5000/a/op:1", "command": command, "env": [
                    {"name": WATCHED, "value": "mesh,other"}, {"name": "LOG_LEVEL", "value": "debug"},
                    {"name": "PRIVILEGED_NAMESPACES"}, {"name": "POD_NAME", "value": "x"}]}]}}}}));
        Deployed::read(&live.unwrap())
    }

    #[test]
    fn what_was_set_before_is_read_from_the_deployment() {
        let found = deployed(&json!([PROGRAM]));
        assert_eq!(
            (found.image.as_deref(), &found.pull_secrets[..]),
            (Some("registry.example.com:5000/a/op:1"), &["s".to_owned()][..])
        );
        let values = [WATCHED, "LOG_LEVEL", "PRIVILEGED_NAMESPACES", "POD_NAME"].map(|name| found.variable(name));
        assert_eq!(values, [Some("mesh,other"), Some("debug"), Some(""), None]);
        let upstreams = deployed(&json!(["operator", "server"]));
        assert_eq!((upstreams.image.as_deref(), upstreams.variable("LOG_LEVEL")), (None, None));
        assert_eq!(upstreams.variable(WATCHED), Some("mesh,other"));
    }

    #[test]
    fn an_image_stays_but_for_what_a_flag_says_of_it() {
        let of = |image: &str| Deployed { image: Some(image.to_owned()), ..Deployed::default() };
        let default = "istio-operator:0.1.0";
        let there = of("registry.example.com:5000/a/op:1");
        for (hub, tag, expected) in [
            (None, None, "registry.example.com:5000/a/op:1"),
            (None, Some("2"), "registry.example.com:5000/a/op:2"),
            (Some("b/"), None, "b/istio-operator:1"),
            (Some("b"), Some("2"), "b/istio-operator:2"),
        ] {
            assert_eq!(there.image_with(hub, tag, default), expected);
        }
        let pinned = of("r.io/op@sha256:00");
        assert_eq!(pinned.image_with(None, None, default), "r.io/op@sha256:00");
        assert_eq!(pinned.image_with(None, Some("2"), default), "r.io/op:2");
        assert_eq!(Deployed::default().image_with(Some("b"), None, default), "b/istio-operator:0.1.0");
        assert_eq!(
            ["istio-operator:0.1.0", "a/b:1", "r.io/a:1", "localhost/a"].map(names_registry),
            [false, false, true, true]
        );
    }
}
