//! `--set` lines as a release's own command line takes them.

use super::tree::{self, Form};
use super::{ExactError, elements, in_brackets};
use crate::spec::set::value_of_type;
use crate::spec::switches::{Pipeline, Switches};
use serde_json::{Map, Value};

/// Fields whose values are texts whatever they look like, with the first minor release that takes them so. Below the spec,
/// and for a field with a dot at its end all that begins so.
const TEXTS_UNTIL_123: [(u32, &str); 2] = [(21, "compatibilityVersion"), (21, "values.compatibilityVersion")];
/// From 1.18 to 1.23 all variables of proxies are texts, wherever they came from, once a line speaks of one.
const VARIABLES: &str = "meshConfig.defaultConfig.proxyMetadata";

/// The profile is chosen before `spec.` is dropped, so that this chooses none; nor does an empty one.
const SPELT_OUT: &str = "spec.profile";

/// A line that cannot be used at all.
const FORM: &str = "set flag has incorrect format, must be path=value";

/// Writes a line into a resource.
///
/// # Errors
/// The line has no form that the release takes, or its path leads nowhere.
pub fn set(resource: &mut Value, line: &str, switches: &Switches) -> Result<(), ExactError> {
    match switches.pipeline {
        Pipeline::Until123 => until_123(resource, line, switches),
        Pipeline::Since124 => since_124(resource, line, switches),
    }
}

fn until_123(resource: &mut Value, line: &str, switches: &Switches) -> Result<(), ExactError> {
    let (path, text) = parts(line).ok_or_else(|| ExactError::new(line, FORM))?;
    if path == SPELT_OUT || (path == "profile" && text.is_empty()) {
        return Ok(());
    }
    let path = path.strip_prefix("spec.").unwrap_or(path);
    let is_text = TEXTS_UNTIL_123.iter().any(|(first, field)| switches.release.minor >= *first && *field == path);
    let value = if is_text { Value::String(text.to_owned()) } else { typed(path, text)? };
    tree::apply(resource, &format!("spec.{path}"), &value, Form::Spec)?;
    if switches.release.minor >= 18 && path.contains(VARIABLES) {
        let variables = resource.pointer_mut("/spec/meshConfig/defaultConfig/proxyMetadata");
        for value in variables.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            if value.is_number() || value.is_boolean() {
                *value = Value::String(crate::api::text::scalar_text(value).unwrap_or_default());
            }
        }
    }
    Ok(())
}

fn since_124(resource: &mut Value, line: &str, switches: &Switches) -> Result<(), ExactError> {
    // It is put below the spec before blanks are cut off; without an equals sign it is all path.
    let line = format!("spec.{line}");
    let parts = if switches.values_of_flags_hold_equals_signs() { at_first(&line) } else { parts(&line) };
    let (path, text) = parts.unwrap_or((&line, ""));
    let is_text = crate::spec::set::is_text_since_124(path);
    let value = if is_text { Value::String(text.to_owned()) } else { typed(path, text)? };
    let Some(resource) = resource.as_object_mut() else { return Ok(()) };
    write(resource, &elements(path), value).map_err(|message| ExactError::new(path, message))
}

/// The value of a text. `inf` and `nan` are numbers, which no configuration can hold.
fn typed(path: &str, text: &str) -> Result<Value, ExactError> {
    let is_word = !text.bytes().any(|b| b.is_ascii_digit());
    if is_word && text.parse::<f64>().is_ok_and(|number| !number.is_finite()) {
        return Err(ExactError::new(path, format!("{text} is a number that cannot be written")));
    }
    Ok(value_of_type(text))
}

/// Path and text of a line with one equals sign.
fn parts(line: &str) -> Option<(&str, &str)> {
    at_first(line).filter(|(_, text)| !text.contains('='))
}

/// What is before the first equals sign, and after it.
fn at_first(line: &str) -> Option<(&str, &str)> {
    let (path, text) = line.split_once('=')?;
    Some((path.trim(), text.trim()))
}

/// Writes a value at a path from 1.24 on; below a null it is lost.
fn write(map: &mut Map<String, Value>, path: &[String], value: Value) -> Result<(), String> {
    match path {
        [] => Ok(()),
        [key, item, rest @ ..] if item.starts_with('[') => {
            let list = map.entry(key.as_str()).or_insert_with(|| Value::Array(vec![]));
            let Value::Array(list) = list else { return Err(format!("{key} is not a list")) };
            let at = item_of(list, item)?;
            match (list.get_mut(at), rest) {
                (None, []) => list.push(value),
                (None, rest) => {
                    let mut made = Map::new();
                    write(&mut made, rest, value)?;
                    list.push(Value::Object(made));
                }
                (Some(Value::Object(item)), rest) if !rest.is_empty() => write(item, rest, value)?,
                // Upstream's own process dies.
                (Some(_), _) => return Err(format!("{key}{item} is not a map")),
            }
            Ok(())
        }
        [key] => {
            map.insert(key.clone(), value);
            Ok(())
        }
        [key, rest @ ..] => match map.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => write(inner, rest, value),
            Value::Null => Ok(()),
            _ => Err(format!("{key} is not a map")),
        },
    }
}

/// The place of an item in a list; its length for a new one.
fn item_of(list: &[Value], item: &str) -> Result<usize, String> {
    let inner = in_brackets(item).unwrap_or_default();
    if let Some((key, text)) = inner.split_once(':') {
        let found = list.iter().position(|item| item.get(key).and_then(Value::as_str) == Some(text));
        return found.ok_or_else(|| format!("element {item} not found"));
    }
    let number = inner.parse::<i64>().map_err(|_| format!("unknown segment {item}"))?;
    Ok(usize::try_from(number).unwrap_or(list.len()).min(list.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::switches::Release;
    use serde_json::json;

    fn resource(minor: u32, lines: &[&str]) -> Value {
        let pipeline = if minor >= 24 { Pipeline::Since124 } else { Pipeline::Until123 };
        let switches = Switches { pipeline, release: Release { minor, patch: 0 }, ..Switches::default() };
        let mut resource = json!({"spec": {"components": null}});
        for line in lines {
            set(&mut resource, line, &switches).unwrap();
        }
        resource["spec"].take()
    }

    #[test]
    fn what_is_a_text_is_a_matter_of_the_release() {
        for (minor, line, pointer, expected) in [
            (17, "compatibilityVersion=1.10", "/compatibilityVersion", json!(1.1)),
            (21, "compatibilityVersion=1.10", "/compatibilityVersion", json!("1.10")),
            (23, "tag=1.10", "/tag", json!(1.1)),
            (24, "tag=1.10", "/tag", json!("1.10")),
            (24, "components.x.tag=1.10", "/components", json!(null)),
            (23, "meshConfig.defaultConfig.proxyMetadata.X=1", "/meshConfig/defaultConfig/proxyMetadata/X", json!("1")),
            (17, "meshConfig.defaultConfig.proxyMetadata.X=1", "/meshConfig/defaultConfig/proxyMetadata/X", json!(1)),
            (30, "meshConfig.defaultConfig.proxyMetadata.X=t", "/meshConfig/defaultConfig/proxyMetadata/X", json!("t")),
            (30, "hub=\"x\"", "/hub", json!("\"x\"")),
            (30, "hub=a=b", "/hub=a=b", json!("")),
            (31, "hub=a=b", "/hub", json!("a=b")),
            (23, "spec.hub=x", "/hub", json!("x")),
            (24, "spec.hub=x", "/spec/hub", json!("x")),
            (24, "values.x", "/values/x", json!("")),
            (24, "values.x=a=b", "/values/x=a=b", json!("")),
            (24, " hub = x ", "/ hub", json!("x")),
        ] {
            assert_eq!(resource(minor, &[line]).pointer(pointer), Some(&expected), "1.{minor} {line}");
        }
    }

    #[test]
    fn lists_are_made_by_number_and_items_found_by_name() {
        let made = resource(30, &["values.l[0].name=a", "values.l[name:a].x=1", "values.l[5].name=b"]);
        assert_eq!(made["values"]["l"], json!([{"name": "a", "x": 1}, {"name": "b"}]));
        let mut one = json!({});
        let switches = Switches { pipeline: Pipeline::Since124, ..Switches::default() };
        assert!(set(&mut one, "values.l[name:a].x=1", &switches).is_err());
        assert!(set(&mut json!({}), "a=b=c", &Switches::default()).is_err());
        assert!(set(&mut json!({}), "a=Inf", &Switches::default()).is_err());
    }
}
