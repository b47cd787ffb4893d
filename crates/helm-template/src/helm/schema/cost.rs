//! How long checking values against a schema may take, worked out before it is done.
//!
//! The library that checks follows every reference each time it meets it: with twenty schemas that each refer twice to the
//! next one, that is a million steps. So its steps are counted here first, with every choice taken, against the budgets of
//! the render. Patterns are counted by the size that they have once they are compiled.

use super::super::preparation::Preparation;
use crate::sprig::pattern_size;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// The work of one step: one schema held against one value.
const STEP: u64 = 400;
/// The largest pattern. The library compiles patterns of up to ten times that size.
const LARGEST_PATTERN: u64 = 100_000;
/// How deep schemas may lead to schemas on one way through the values.
const DEEPEST: usize = 1000;

/// Keywords whose value is a schema that is held against the same value.
const SAME: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords with a list of such schemas.
const SAME_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords whose schema is held against each item or property.
const EACH: [&str; 7] = [
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
];
/// Keywords that refer to a schema.
pub(super) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Pays for checking values against a schema.
///
/// # Errors
/// It would take too long, or one of the patterns is too large.
pub(super) fn pay(schema: &Json, values: &Json, preparation: &Preparation) -> Result<(), String> {
    let mut schemas = Schemas { root: schema, anchors: HashMap::new(), names: HashMap::new(), preparation };
    schemas.index(schema)?;
    schemas.visit(&Visit { schema, value: values, base: schema, before: None, depth: 0 })
}

/// A schema about to be held against a value.
struct Visit<'v> {
    schema: &'v Json,
    value: &'v Json,
    /// The schema around with a name of its own.
    base: &'v Json,
    /// The schema that led here, if it was held against the same value.
    before: Option<&'v Visit<'v>>,
    depth: usize,
}

/// The schemas of a file.
struct Schemas<'s> {
    root: &'s Json,
    /// By `$anchor` and `$dynamicAnchor`.
    anchors: HashMap<&'s str, Vec<&'s Json>>,
    /// By the last part of `$id`.
    names: HashMap<&'s str, Vec<&'s Json>>,
    preparation: &'s Preparation,
}

impl<'s> Schemas<'s> {
    fn step(&self, count: usize) -> Result<(), String> {
        self.preparation.pay_for("checking the values against the schema", STEP * count as u64, 0)
    }

    /// Notes names, and pays for reading and compiling.
    fn index(&mut self, schema: &'s Json) -> Result<(), String> {
        self.step(1)?;
        match schema {
            Json::Array(items) => items.iter().try_for_each(|item| self.index(item)),
            Json::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Json::as_str);
                for anchor in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text) {
                    self.anchors.entry(anchor).or_default().push(schema);
                }
                for id in ["$id", "id"].into_iter().filter_map(text) {
                    match id.strip_prefix('#') {
                        Some(anchor) => self.anchors.entry(anchor).or_default().push(schema),
                        None => self.names.entry(last_part(id)).or_default().push(schema),
                    }
                }
                self.pattern(text("pattern"))?;
                if let Some(Json::Object(patterns)) = object.get("patternProperties") {
                    patterns.keys().try_for_each(|pattern| self.pattern(Some(pattern)))?;
                }
                object.values().try_for_each(|inner| self.index(inner))
            }
            _ => Ok(()),
        }
    }

    fn pattern(&self, pattern: Option<&str>) -> Result<(), String> {
        let Some(pattern) = pattern else { return Ok(()) };
        let size = pattern_size(pattern.as_bytes());
        if size > LARGEST_PATTERN {
            return Err("a pattern of the schema is too large; use fewer repetitions".to_owned());
        }
        self.step(100 + usize::try_from(size).unwrap_or(usize::MAX))
    }

    fn visit(&self, visit: &Visit<'_>) -> Result<(), String> {
        self.step(1)?;
        let Json::Object(schema) = visit.schema else { return Ok(()) };
        if visit.depth > DEEPEST {
            return Err(format!("the schema leads more than {DEEPEST} schemas deep; make it flatter"));
        }
        // What goes round without getting further is told by the library.
        let mut before = visit.before;
        while let Some(earlier) = before {
            if std::ptr::eq(earlier.schema, visit.schema) {
                return Ok(());
            }
            before = earlier.before;
        }
        let named = schema.get("$id").and_then(Json::as_str).is_some_and(|id| !id.starts_with('#'));
        let base = if named { visit.schema } else { visit.base };
        let same = |inner: &Json| {
            self.visit(&Visit { schema: inner, value: visit.value, base, before: Some(visit), depth: visit.depth + 1 })
        };
        for reference in REFERENCES.iter().filter_map(|key| schema.get(*key)?.as_str()) {
            self.resolve(reference, base).into_iter().try_for_each(same)?;
        }
        SAME.iter().filter_map(|key| schema.get(*key)).try_for_each(same)?;
        let lists = SAME_LISTS.iter().filter_map(|key| schema.get(*key)?.as_array());
        lists.flatten().try_for_each(same)?;
        for key in ["dependentSchemas", "dependencies"] {
            schema.get(key).and_then(Json::as_object).into_iter().flat_map(Map::values).try_for_each(same)?;
        }
        let sizes = ["enum", "const", "required"].iter().filter_map(|key| schema.get(*key));
        self.step(sizes.map(|v| v.as_array().map_or(1, Vec::len)).sum())?;
        self.inside(visit, schema, base)
    }

    /// The items and properties of the value.
    fn inside(&self, visit: &Visit<'_>, schema: &Map<String, Json>, base: &Json) -> Result<(), String> {
        let on = |inner: &Json, value: &Json| {
            self.visit(&Visit { schema: inner, value, base, before: None, depth: visit.depth + 1 })
        };
        let each: Vec<&Json> = EACH.iter().filter_map(|key| schema.get(*key)).collect();
        match visit.value {
            Json::Array(items) => {
                // Items are compared by what they are, once and again if they may be equal.
                self.step(items.len() * if schema.contains_key("uniqueItems") { 20 } else { 1 })?;
                for (at, item) in items.iter().enumerate() {
                    each.iter().filter(|s| s.is_object()).try_for_each(|inner| on(inner, item))?;
                    for list in ["prefixItems", "items"] {
                        schema.get(list).and_then(|l| l.get(at)).map_or(Ok(()), |inner| on(inner, item))?;
                    }
                }
                Ok(())
            }
            Json::Object(properties) => {
                let patterns = schema.get("patternProperties").and_then(Json::as_object);
                let declared = schema.get("properties").and_then(Json::as_object);
                self.step(declared.map_or(0, Map::len))?;
                for (name, value) in properties {
                    each.iter().try_for_each(|inner| on(inner, value))?;
                    declared.and_then(|d| d.get(name)).map_or(Ok(()), |inner| on(inner, value))?;
                    patterns.into_iter().flat_map(Map::values).try_for_each(|inner| on(inner, value))?;
                }
                Ok(())
            }
            Json::String(text) => self.step(text.len() / 64),
            _ => Ok(()),
        }
    }

    /// All schemas that a reference may mean.
    fn resolve<'r>(&'r self, reference: &str, base: &'r Json) -> Vec<&'r Json> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let bases = match file {
            "" => vec![base, self.root],
            name => self.names.get(last_part(name)).cloned().unwrap_or_default(),
        };
        let fragment = percent_decoded(fragment);
        if fragment.is_empty() {
            return bases.into_iter().take(1).collect();
        }
        if fragment.starts_with('/') {
            return bases.into_iter().find_map(|base| base.pointer(&fragment)).into_iter().collect();
        }
        self.anchors.get(fragment.as_str()).cloned().unwrap_or_default()
    }
}

fn last_part(url: &str) -> &str {
    let path = url.split('#').next().unwrap_or(url).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// A text without percent escapes; what is not an escape stays.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        if let Some(decoded) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chain(one: impl Fn(usize) -> Json) -> Json {
        let definitions: Map<String, Json> = (0..60).map(|i| (format!("d{i}"), one(i + 1))).collect();
        json!({ "$ref": "#/$defs/d0", "$defs": definitions })
    }

    #[test]
    fn what_doubles_is_too_much_and_what_does_not_is_fine() {
        let values = json!({"a": [1, 2, {"b": "c"}]});
        let once = chain(|i| json!({ "$ref": format!("#/$defs/d{i}") }));
        assert_eq!(pay(&once, &values, &Preparation::default()), Ok(()));
        for twice in [
            chain(|i| json!({"allOf": [{"$ref": format!("#/$defs/d{i}")}, {"$ref": format!("#/%24defs/d{i}")}]})),
            chain(|i| json!({"not": {"$ref": format!("#/$defs/d{i}")}, "if": {"$ref": format!("#/$defs/d{i}")}})),
        ] {
            assert!(pay(&twice, &values, &Preparation::default()).is_err());
        }
    }

    #[test]
    fn a_schema_that_leads_to_itself_is_left_to_the_library() {
        let values = json!({"a": {"a": {"a": 1}}});
        assert_eq!(pay(&json!({"$ref": "#"}), &values, &Preparation::default()), Ok(()));
        let tree = json!({"$defs": {"t": {"additionalProperties": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"});
        assert_eq!(pay(&tree, &values, &Preparation::default()), Ok(()));
    }
}
