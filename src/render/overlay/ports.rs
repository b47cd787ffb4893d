//! Ports of a Service, merged by port and protocol: the API's own merge key is the port alone, which would mix up TCP and
//! UDP.

use super::outcome::Notice;
use crate::object::Object;
use serde_json::{Map, Value, json};

/// An overlay's port replaces the one of the same number and protocol as a whole; the others follow in their order. Without
/// ports in the overlay the base stays.
#[must_use]
pub fn merge(base: &[Value], overlay: &[Value]) -> Vec<Value> {
    let mut merged: Vec<((Value, String), Value)> = vec![];
    for port in base.iter().map(with_protocol).chain(overlay.iter().map(from_spec)) {
        let number = port.get("port").cloned().unwrap_or_default();
        let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned();
        let id = (number, protocol);
        match merged.iter_mut().find(|(other, _)| *other == id) {
            Some(slot) => slot.1 = port,
            None => merged.push((id, port)),
        }
    }
    merged.into_iter().map(|(_, port)| complete(port)).collect()
}

/// Drops the ports of a container that are listed twice alike, as charts do where two ports of a Service lead to one: they
/// say nothing new, and server-side apply refuses them.
pub(super) fn join_equal(object: &mut Object) {
    const CONTAINERS: &str = "/spec/template/spec/containers";
    let has_twice = |container: &Value| {
        let ports = container.get("ports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        ports.iter().enumerate().any(|(i, port)| ports.iter().take(i).any(|p| p == port))
    };
    if object.is_crd()
        || !object.value().pointer(CONTAINERS).and_then(Value::as_array).is_some_and(|c| c.iter().any(has_twice))
    {
        return;
    }
    let containers = object.value_mut().pointer_mut(CONTAINERS).and_then(Value::as_array_mut);
    for ports in containers.into_iter().flatten().filter_map(|c| c.get_mut("ports")?.as_array_mut()) {
        let mut kept: Vec<Value> = vec![];
        for port in ports.drain(..) {
            if !kept.contains(&port) {
                kept.push(port);
            }
        }
        *ports = kept;
    }
}

/// Protocols that are taken as TCP, as in 1.17.
pub(super) fn unknown_protocols(ports: &[Value], path: &str) -> Vec<Notice> {
    let protocols = ports.iter().map(|p| p.get("protocol").and_then(Value::as_str).unwrap_or_default());
    let unknown = protocols.enumerate().filter(|(_, p)| !["", "tcp", "udp"].contains(&p.to_lowercase().as_str()));
    let notice = |(i, protocol): (usize, &str)| {
        Notice::new(format!("{path}.ports[{i}].protocol"), format!("{protocol:?} is taken as TCP; use an overlay"))
    };
    unknown.map(notice).collect()
}

fn with_protocol(port: &Value) -> Value {
    let mut port = port.clone();
    if let Some(port) = port.as_object_mut() {
        port.entry("protocol").or_insert_with(|| "TCP".into());
    }
    port
}

fn from_spec(port: &Value) -> Value {
    let mut result = Map::new();
    for field in ["name", "port", "nodePort", "appProtocol", "targetPort"] {
        if let Some(value) = port.get(field).filter(|v| !v.is_null()) {
            result.insert(field.into(), value.clone());
        }
    }
    let udp = port.get("protocol").and_then(Value::as_str).is_some_and(|p| p.eq_ignore_ascii_case("udp"));
    result.insert("protocol".into(), if udp { "UDP" } else { "TCP" }.into());
    Value::Object(result)
}

/// As Go writes the type: a target port always, a node port and an application protocol only when set.
fn complete(mut port: Value) -> Value {
    if let Some(port) = port.as_object_mut() {
        port.entry("targetPort").or_insert_with(|| json!(0));
        for field in ["nodePort", "appProtocol", "name"] {
            if port.get(field).is_some_and(|v| *v == json!(0) || *v == json!("")) {
                port.remove(field);
            }
        }
    }
    port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_replaces_the_same_port_and_protocol_as_a_whole() {
        let base = [json!({"port": 80, "name": "a", "targetPort": 8080}), json!({"port": 53, "protocol": "UDP"})];
        let overlay = [json!({"port": 80, "name": "b"}), json!({"port": 53, "protocol": "tcp"})];
        assert_eq!(
            merge(&base, &overlay),
            [
                json!({"port": 80, "name": "b", "protocol": "TCP", "targetPort": 0}),
                json!({"port": 53, "protocol": "UDP", "targetPort": 0}),
                json!({"port": 53, "protocol": "TCP", "targetPort": 0}),
            ]
        );
    }
}
