//! The functions that injection templates have besides sprig's.
//!
//! They are written for templates that come from charts, where a mistake must not go unnoticed: text that should be JSON
//! and is not is an error here.

use super::mesh::Mesh;
use super::view::Struct;
use super::{maps, telemetry};
use helm_template::gotmpl::Type::{Any, Int, String as GoString};
use helm_template::gotmpl::{CallError, ExecFunction, Executor, Function, Functions, Type, Value, format};
use helm_template::json;
use helm_template::sprig::{self, encoding};
use helm_template::yaml;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The environment variables of the injector that templates can read.
pub(super) type Environment = BTreeMap<String, String>;

/// What functions know beside their arguments.
pub(super) struct State {
    pub(super) environment: Environment,
    pub(super) mesh: Mesh,
}

/// All functions of an injection template.
pub(super) fn functions() -> Arc<Functions> {
    static ALL: LazyLock<Arc<Functions>> = LazyLock::new(|| {
        let all =
            Functions::new().with(&sprig::functions()).with(PLAIN).with(maps::FUNCTIONS).with(telemetry::FUNCTIONS);
        Arc::new(all.with_exec_functions(EXEC).priced(sprig::PRICES))
    });
    Arc::clone(&ALL)
}

const fn plain(name: &'static str, params: &'static [Type], call: helm_template::gotmpl::FunctionCall) -> Function {
    Function { name, params, variadic: None, call }
}

const PLAIN: &[Function] = &[
    plain("isset", &[Any, GoString], |_, a| Ok(Value::Bool(entry(at(a, 0), &text(a, 1)).is_some()))),
    plain("annotation", &[Any, GoString, Any], |_, a| Ok(annotation(a))),
    plain("valueOrDefault", &[Any, Any], |_, a| {
        let unset = matches!(at(a, 0), Value::Nil) || matches!(at(a, 0), Value::String(s) if s.as_bytes().is_empty());
        Ok(at(a, usize::from(unset)).clone())
    }),
    plain("excludeInboundPort", &[Any, GoString], |_, a| {
        Ok(Value::string(exclude_port(&shown(at(a, 0)), &text(a, 1))))
    }),
    plain("includeInboundPorts", &[Any], |_, a| Ok(Value::string(ports(at(a, 0), true)))),
    plain("applicationPorts", &[Any], |_, a| Ok(Value::string(ports(at(a, 0), false)))),
    plain("kubevirtInterfaces", &[GoString], |_, a| Ok(at(a, 0).clone())),
    plain("excludeInterfaces", &[GoString], |_, a| Ok(at(a, 0).clone())),
    plain("appendMultusNetwork", &[GoString, GoString], |_, a| {
        Ok(Value::string(append_network(&text(a, 0), &text(a, 1))))
    }),
    plain("structToJSON", &[Any], |_, a| to_json(at(a, 0)).map(Value::string)),
    plain("toJSON", &[Any], |_, a| to_json(at(a, 0)).map(Value::string)),
    plain("fromJSON", &[GoString], |_, a| {
        let tree: serde_json::Value = serde_json::from_str(&text(a, 0)).map_err(|e| format!("not JSON: {e}"))?;
        Ok(encoding::from_tree(&tree))
    }),
    plain("toYaml", &[Any], |_, a| {
        let tree = encoding::to_tree(at(a, 0), true).ok_or("the value cannot be written as YAML")?;
        Ok(Value::string(yaml::to_string(&tree).ok_or("the value cannot be written as YAML")?))
    }),
    plain("indent", &[Int, GoString], |_, a| {
        let Value::Int(width) = at(a, 0) else { return Ok(at(a, 1).clone()) };
        let width = usize::try_from(*width).unwrap_or(0).min(1000);
        Ok(Value::string(text(a, 1).replace('\n', &format!("\n{}", " ".repeat(width)))))
    }),
    plain("directory", &[GoString], |_, a| {
        let path = text(a, 0);
        Ok(Value::string(path.rfind('/').and_then(|i| path.get(..=i)).unwrap_or_default()))
    }),
    plain("contains", &[GoString, GoString], |_, a| Ok(Value::Bool(text(a, 1).contains(&text(a, 0))))),
    plain("toLower", &[GoString], |_, a| Ok(Value::string(text(a, 0).to_lowercase()))),
    // Durations are strings here already.
    plain("formatDuration", &[Any], |_, a| Ok(Value::string(shown(at(a, 0))))),
];

const EXEC: &[ExecFunction] = &[
    ExecFunction {
        name: "env",
        params: &[GoString, GoString],
        variadic: None,
        call: |executor, a| Ok(env(executor, a)),
    },
    ExecFunction { name: "protoToJSON", params: &[Any], variadic: None, call: message_json },
];

fn state<'e>(executor: &Executor<'e>) -> Option<&'e State> {
    executor.state().downcast_ref::<State>()
}

fn env(executor: &Executor<'_>, args: &[Value]) -> Value {
    let set = state(executor).and_then(|state| state.environment.get(&text(args, 0)));
    Value::string(set.filter(|v| !v.is_empty()).cloned().unwrap_or_else(|| text(args, 1)))
}

fn at(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}

/// An argument that the evaluator has checked to be a string.
fn text(args: &[Value], index: usize) -> String {
    match at(args, index) {
        Value::String(s) => s.to_str().into_owned(),
        _ => String::new(),
    }
}

/// As `fmt.Sprint` prints it.
fn shown(value: &Value) -> String {
    String::from_utf8_lossy(&format::display(value)).into_owned()
}

fn entry(map: &Value, key: &str) -> Option<Value> {
    match map {
        Value::Map(map) => map.get(key),
        _ => None,
    }
}

/// An annotation of an object's metadata, or else the text of the default.
fn annotation(args: &[Value]) -> Value {
    let annotations = match at(args, 0) {
        Value::Object(metadata) => metadata.field("Annotations").unwrap_or(Value::Nil),
        _ => Value::Nil,
    };
    entry(&annotations, &text(args, 1)).unwrap_or_else(|| Value::string(shown(at(args, 2))))
}

/// A comma-separated list of ports with one more; an empty one, `0`, and one that is listed already are not added.
fn exclude_port(port: &str, list: &str) -> String {
    let port = port.trim();
    if port.is_empty() || port == "0" || list.split(',').any(|p| p == port) {
        return list.to_owned();
    }
    let kept = list.split(',').map(str::trim).filter(|p| !p.is_empty());
    kept.chain([port]).collect::<Vec<_>>().join(",")
}

/// The TCP ports of containers, with those of the proxy or without.
fn ports(containers: &Value, proxy_too: bool) -> String {
    let Value::List(containers) = containers else { return String::new() };
    let field = |value: &Value, name: &str| match value {
        Value::Object(object) => object.field(name).unwrap_or(Value::Nil),
        _ => Value::Nil,
    };
    let mut found = vec![];
    for container in containers.snapshot() {
        let Value::List(ports) = field(&container, "Ports") else { continue };
        if !proxy_too && shown(&field(&container, "Name")) == super::pod::PROXY {
            continue;
        }
        let tcp = |port: &Value| !["UDP", "SCTP"].contains(&shown(&field(port, "Protocol")).as_str());
        found.extend(ports.snapshot().iter().filter(|p| tcp(p)).map(|p| shown(&field(p, "ContainerPort"))));
    }
    found.join(",")
}

/// Adds a network, which may be written `NAMESPACE/NAME`, to those that a pod asks Multus for, as JSON or as a comma-separated
/// list, unless it is among them.
fn append_network(existing: &str, network: &str) -> String {
    let (namespace, name) = network.split_once('/').unwrap_or(("", network));
    let known = existing.trim();
    let listed: Option<Vec<serde_json::Value>> = serde_json::from_str(known).ok();
    let is_there = match listed {
        Some(networks) => networks.iter().any(|n| {
            let text = |field: &str| n.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
            text("name") == name && text("namespace") == namespace
        }),
        None => known.split(',').any(|n| n.trim() == network),
    };
    if is_there {
        return existing.to_owned();
    }
    match known.rfind(']') {
        _ if known.is_empty() => network.to_owned(),
        Some(end) if known.starts_with('[') => {
            let before = known.get(..end).unwrap_or_default();
            let comma = if before.trim_end().ends_with('[') { "" } else { ", " };
            let place = if namespace.is_empty() { String::new() } else { format!(", \"namespace\": \"{namespace}\"") };
            format!("{before}{comma}{{\"name\": \"{name}\"{place}}}{}", known.get(end..).unwrap_or_default())
        }
        _ => format!("{existing}, {network}"),
    }
}

/// The JSON of a message as it is written into the pod.
fn message_json(executor: &mut Executor<'_>, args: &[Value]) -> Result<Value, CallError> {
    let message = match at(args, 0) {
        Value::Object(object) => object.as_any().downcast_ref::<Struct>().filter(|m| m.name() == "ProxyConfig"),
        _ => None,
    };
    let json = match (message, state(executor)) {
        (Some(proxy), Some(state)) => state.mesh.proxy_json(proxy.tree()),
        _ => to_json(at(args, 0))?,
    };
    Ok(Value::string(json))
}

fn to_json(value: &Value) -> Result<String, String> {
    match value {
        Value::Nil => Ok("{}".to_owned()),
        Value::Object(object) if object.as_any().is::<Struct>() => object.to_json(),
        other => {
            let tree = encoding::to_tree(other, true).ok_or("the value cannot be written as JSON")?;
            Ok(json::to_string(&tree))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_added_to_a_list_once() {
        for (port, list, want) in [
            ("15020", "", "15020"),
            ("15020", "80, 81", "80,81,15020"),
            ("15020", "80,15020", "80,15020"),
            ("0", "80", "80"),
            ("", "80", "80"),
        ] {
            assert_eq!(exclude_port(port, list), want, "{port} {list}");
        }
    }

    #[test]
    fn a_network_is_added_in_the_form_of_the_others() {
        for (existing, want) in [
            ("", "istio-cni"),
            ("a", "a, istio-cni"),
            ("a, b", "a, b, istio-cni"),
            ("a,istio-cni", "a,istio-cni"),
            (r#"[{"name": "istio-cni"}]"#, r#"[{"name": "istio-cni"}]"#),
            (r#"[{"name": "a"}]"#, r#"[{"name": "a"}, {"name": "istio-cni"}]"#),
            ("[]", r#"[{"name": "istio-cni"}]"#),
        ] {
            assert_eq!(append_network(existing, "istio-cni"), want, "{existing}");
        }
        for (existing, want) in [
            ("a", "a, default/istio-cni"),
            (r#"[{"name": "a"}]"#, r#"[{"name": "a"}, {"name": "istio-cni", "namespace": "default"}]"#),
            (r#"[{"name": "istio-cni"}]"#, r#"[{"name": "istio-cni"}, {"name": "istio-cni", "namespace": "default"}]"#),
            (
                r#"[{"name": "istio-cni", "namespace": "default"}]"#,
                r#"[{"name": "istio-cni", "namespace": "default"}]"#,
            ),
        ] {
            assert_eq!(append_network(existing, "default/istio-cni"), want, "{existing}");
        }
    }
}
