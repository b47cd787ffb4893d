//! Fields that flags and arguments of a command set.

use super::Request;
use crate::spec::path::Path;
use serde_json::{Map, Value};

/// A field that a flag sets to a value, which is taken as it is: `118` of `--revision 118` is text, as a revision is.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The path of the field below the spec, key by key.
    pub path: &'static [&'static str],
    /// Its value.
    pub value: Value,
    /// The flag as it was given, to tell where a problem is.
    pub flag: String,
}

impl Override {
    /// Sets a string field, by a flag such as `--revision`.
    #[must_use]
    pub fn text(path: &'static [&'static str], flag: &str, text: &str) -> Self {
        Self { path, value: Value::String(text.to_owned()), flag: format!("{flag} {text}") }
    }
}

impl Request {
    /// Sets a field, whatever files and `--set` arguments say of it or of its parents.
    pub fn set(&mut self, field: Override) {
        let Override { path, value, flag } = field;
        let below_spec = path.iter().rev().fold(Path::default(), |path, key| path.below(key));
        self.origin.add_override(flag, &value, below_spec.below("spec"));
        let mut node = &mut self.spec;
        for key in path {
            if !node.is_object() {
                *node = Value::Object(Map::new());
            }
            let Some(map) = node.as_object_mut() else { return };
            node = map.entry(*key).or_insert(Value::Null);
        }
        *node = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::request::from_files;
    use serde_json::json;

    #[test]
    fn what_a_flag_says_is_taken_as_it_is_and_located() {
        let file = ("f.yaml".to_owned(), "kind: IstioOperator\nspec:\n  revision: a\n  values: 1\n".to_owned());
        let mut request = from_files(&[file], &["revision=b".to_owned()]).unwrap();
        request.set(Override::text(&["revision"], "--revision", "1.10"));
        request.set(Override::text(&["values", "global", "x"], "--x", "a: b"));
        assert_eq!(request.spec, json!({"revision": "1.10", "values": {"global": {"x": "a: b"}}}));
        assert_eq!(request.origin.locate("spec.revision").as_deref(), Some("--revision 1.10"));
        assert_eq!(request.origin.written("spec.revision").as_deref(), Some("1.10"));
        assert_eq!(request.origin.locate("spec.values.global.x").as_deref(), Some("--x a: b"));
    }
}
