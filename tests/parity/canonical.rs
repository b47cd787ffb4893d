//! The form in which objects are compared: by meaning.
//!
//! A null counts as absent; YAML or JSON held in a string (the mesh configuration, the injector's values, filters) counts as
//! what it says; a built-in injection template counts by its name only, since injection has cases of its own.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Objects of an installation.
    Manifest,
    /// Workloads; the empty structs that a typed serializer writes do not count.
    Workload,
}

const BUILT_IN_TEMPLATES: [&str; 4] = ["sidecar", "gateway", "grpc-simple", "grpc-agent"];
const EMPTY_STRUCTS: [&str; 4] = ["strategy", "updateStrategy", "resources", "status"];

/// The canonical form of an object.
pub fn canonical(value: &Value, kind: Kind) -> Value {
    match value {
        Value::Object(map) => Value::Object(fields(map, kind)),
        Value::Array(items) => items.iter().map(|v| canonical(v, kind)).collect(),
        Value::String(text) => match held(text) {
            Some(mut inner) => {
                hide_templates(&mut inner);
                json!({ "~": canonical(&inner, kind) })
            }
            None => value.clone(),
        },
        #[allow(clippy::cast_possible_truncation)] // only where nothing is cut off
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15 => json!(f as i64),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

fn fields(map: &Map<String, Value>, kind: Kind) -> Map<String, Value> {
    let dropped =
        |k: &str, v: &Value| v.is_null() || (kind == Kind::Workload && *v == json!({}) && EMPTY_STRUCTS.contains(&k));
    map.iter().filter(|(k, v)| !dropped(k, v)).map(|(k, v)| (k.clone(), canonical(v, kind))).collect()
}

/// The structure that a string holds; nothing where it is plain text.
fn held(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) && !text.contains('\n') {
        return None;
    }
    let value = serde_json::from_str(text).ok().or_else(|| helm_template::yaml::parse(text).ok())?;
    (value.is_object() || value.is_array()).then_some(value)
}

/// Of the injector's configuration, templates of a user's count by their text and built-in ones by their name.
fn hide_templates(config: &mut Value) {
    for (name, text) in config.get_mut("templates").and_then(Value::as_object_mut).into_iter().flatten() {
        let given = text.as_str().unwrap_or_default();
        if BUILT_IN_TEMPLATES.contains(&name.as_str()) {
            *text = json!("built in");
        } else if !given.starts_with("sha256:") {
            *text = json!(format!("sha256:{}", hex(given.as_bytes(), 32)));
        }
    }
}

/// The digest of a canonical form.
pub fn digest(value: &Value) -> String {
    hex(value.to_string().as_bytes(), 8)
}

fn hex(bytes: &[u8], length: usize) -> String {
    Sha256::digest(bytes).iter().take(length).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Where two canonical forms differ, a line for each path.
pub fn differences(wanted: &Value, got: &Value) -> String {
    let mut text = String::new();
    compare(wanted, got, "", &mut text);
    text
}

fn compare(wanted: &Value, got: &Value, path: &str, text: &mut String) {
    match (wanted, got) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let of = |m: &Map<String, Value>| m.get(key).cloned().unwrap_or_default();
                compare(&of(a), &of(b), &format!("{path}.{key}"), text);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for i in 0..a.len().max(b.len()) {
                let of = |l: &[Value]| l.get(i).cloned().unwrap_or_default();
                compare(&of(a), &of(b), &format!("{path}[{i}]"), text);
            }
        }
        _ if wanted != got => {
            let _ = writeln!(text, "  {path}\n    want {wanted:.300}\n    got  {got:.300}");
        }
        _ => {}
    }
}
