//! Kubernetes' types in protobuf's form, which upstream's API has for references, quantities and the sources of volumes, as
//! the API server reads them.

use serde_json::{Map, Value};

/// A reference to an object of the same namespace: embedded in Go, a field of its own in protobuf.
const REFERENCE: &str = "localObjectReference";
/// The source of a volume, embedded likewise.
const SOURCE: &str = "volumeSource";
/// Fields that are quantities, which protobuf wraps.
const QUANTITIES: [&str; 3] = ["sizeLimit", "divisor", "storage"];

/// The value in Kubernetes' form; what has it already stays.
pub(super) fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => {
            let mut flat = Map::new();
            for (key, value) in map {
                let wrapped = value.get("string").filter(|_| QUANTITIES.contains(&key.as_str()));
                match (key.as_str(), wrapped.cloned().unwrap_or_else(|| plain(value))) {
                    (REFERENCE | SOURCE, Value::Object(inner)) => flat.extend(inner),
                    (_, value) => drop(flat.insert(key.clone(), value)),
                }
            }
            Value::Object(flat)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn embedded_types_and_quantities_are_flat() {
        for (given, want) in [
            (json!({"volumeSource": {"emptyDir": {}}, "name": "v"}), json!({"name": "v", "emptyDir": {}})),
            (
                json!([{"secretKeyRef": {"localObjectReference": {"name": "s"}, "key": "k"}}]),
                json!([{"secretKeyRef": {"name": "s", "key": "k"}}]),
            ),
            (json!({"divisor": {"string": "1m"}, "sizeLimit": "1Gi"}), json!({"divisor": "1m", "sizeLimit": "1Gi"})),
            (
                json!({"name": "v", "nfs": {"path": "/", "server": "s"}}),
                json!({"name": "v", "nfs": {"path": "/", "server": "s"}}),
            ),
        ] {
            assert_eq!(plain(&given), want);
        }
    }
}
