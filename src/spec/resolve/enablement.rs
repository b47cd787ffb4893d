//! The old way to enable the two default gateways, `values.gateways.<name>.enabled`, still decides where the user writes it.

use crate::spec::problem::{Kind, Problem};
use serde_json::Value;

const GATEWAYS: [(&str, &str); 2] =
    [("istio-ingressgateway", "ingressGateways"), ("istio-egressgateway", "egressGateways")];

/// Carries the user's old enablement over to the merged document.
///
/// # Errors
/// The merged spec has no gateway of that name.
pub fn apply_legacy(user: &Value, document: &mut Value) -> Result<(), Problem> {
    for (name, list) in GATEWAYS {
        let path = format!("/values/gateways/{name}/enabled");
        let Some(enabled) = user.pointer(&path).filter(|e| !e.is_null()) else { continue };
        let gateways = document.pointer_mut(&format!("/spec/components/{list}")).and_then(Value::as_array_mut);
        let gateway = gateways.and_then(|all| all.iter_mut().find(|g| g.get("name").is_some_and(|n| n == name)));
        let Some(gateway) = gateway.and_then(Value::as_object_mut) else {
            return Err(Problem {
                path: format!("spec.values.gateways.{name}.enabled"),
                message: format!("there is no gateway named {name} in spec.components.{list} to enable"),
                location: None,
                kind: Kind::Form,
            });
        };
        gateway.insert("enabled".into(), enabled.clone());
    }
    Ok(())
}
