//! The form in which objects are compared: by meaning.
//!
//! A null counts as absent; YAML or JSON held in a string (the mesh configuration, the injector's values, filters) counts as
//! what it says, and is `{"~": what it says}`; a built-in injection template counts by its name only, since injection has
//! cases of its own.

use helm_template::yaml::{parse, to_string_pretty};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

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
                // A typed serializer leaves what a string holds as it is.
                json!({ "~": canonical(&inner, Kind::Manifest) })
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
    let value = serde_json::from_str(text).ok().or_else(|| parse(text).ok())?;
    (value.is_object() || value.is_array()).then_some(value)
}

/// Of the injector's configuration, templates of a user's count by their text and built-in ones by their name.
fn hide_templates(config: &mut Value) {
    for (name, text) in config.get_mut("templates").and_then(Value::as_object_mut).into_iter().flatten() {
        let given = text.as_str().unwrap_or_default();
        if BUILT_IN_TEMPLATES.contains(&name.as_str()) {
            *text = json!("built in");
        } else if !given.starts_with("sha256:") {
            *text = json!(format!("sha256:{}", sha256(given)));
        }
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A canonical form as YAML text whose canonical form it is: what a string holds stands in it as YAML.
pub fn to_text(form: &Value, kind: Kind) -> String {
    let text = to_string_pretty(&readable(form)).unwrap();
    assert!(canonical(&parse(&text).unwrap(), kind) == *form, "it reads differently from what it is:\n{text}");
    text
}

fn readable(form: &Value) -> Value {
    match form {
        Value::Object(map) => match map.get("~") {
            Some(inner) => {
                let inner = readable(inner);
                // One line would be taken for plain text unless it is JSON.
                let yaml = to_string_pretty(&inner).filter(|yaml| yaml.trim().contains('\n'));
                yaml.unwrap_or_else(|| inner.to_string()).into()
            }
            None => map.iter().map(|(key, value)| (key.clone(), readable(value))).collect::<Map<_, _>>().into(),
        },
        Value::Array(items) => items.iter().map(readable).collect(),
        scalar => scalar.clone(),
    }
}
