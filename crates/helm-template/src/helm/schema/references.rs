//! References of a schema, as Go reads them.
//!
//! Helm's validator lets everything through that Go's `url.Parse` takes: `#/$defs/a[0]`, blanks, quotes, letters of all
//! scripts. The library takes only what RFC 3986 does, so what is not legal is written as percent escapes before it sees
//! them. Both take escapes for what they stand for.

use super::cost::REFERENCES;
use crate::sprig::go_url_problem;
use serde_json::Value as Json;

/// Keywords whose value is data, and no schema.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];
/// Keywords whose keys are names of the author's.
const NAMED: [&str; 7] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
    "dependentRequired",
];

/// Escapes what is not legal in the references of a schema.
pub(super) fn escape(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(escape),
        Json::Object(object) => {
            for (key, value) in object {
                match value {
                    Json::String(text) if is_reference(key) && problem(text).is_none() => *text = escaped(text),
                    Json::Object(named) if NAMED.contains(&key.as_str()) => named.values_mut().for_each(escape),
                    other if !DATA.contains(&key.as_str()) => escape(other),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn is_reference(key: &str) -> bool {
    REFERENCES.contains(&key) || key == "$id" || key == "id"
}

/// Why Go does not take a reference.
pub(super) fn problem(reference: &str) -> Option<String> {
    if reference.contains('\\') {
        return Some("contains \\".to_owned());
    }
    go_url_problem(reference)
}

fn escaped(reference: &str) -> String {
    let (file, fragment) = match reference.split_once('#') {
        Some((file, fragment)) => (file, Some(fragment)),
        None => (reference, None),
    };
    let mut out = String::with_capacity(reference.len());
    // Brackets are legal around the address of a host, and nowhere else.
    let legal: &[u8] = if file.contains("//[") { b"-._~!$&'()*+,;=:@/?%[]" } else { b"-._~!$&'()*+,;=:@/?%" };
    push(&mut out, file, legal);
    if let Some(fragment) = fragment {
        out.push('#');
        push(&mut out, fragment, b"-._~!$&'()*+,;=:@/?%");
    }
    out
}

/// A URL with the fragment as Go writes it.
pub(super) fn in_go_form(url: &str) -> String {
    let Some((file, fragment)) = url.split_once('#') else { return url.to_owned() };
    let mut out = format!("{file}#");
    push(&mut out, fragment, b"-._~$&+,/:;=?@!()*%");
    out
}

fn push(out: &mut String, text: &str, legal: &[u8]) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || legal.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to memory cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_legal_in_a_reference_is_escaped() {
        for (reference, want) in [
            ("#/$defs/a[0]", "#/$defs/a%5B0%5D"),
            ("#/$defs/a b\"^|é", "#/$defs/a%20b%22%5E%7C%C3%A9"),
            ("#/$defs/a%5B0%5D~0~1", "#/$defs/a%5B0%5D~0~1"),
            ("#/$defs/a#b", "#/$defs/a%23b"),
            ("http://[::1]/é#x", "http://[::1]/%C3%A9#x"),
            // Go does not take these: the library shall see them as they are.
            ("#/a%zz", "#/a%zz"),
            ("#/a\\b", "#/a\\b"),
        ] {
            let mut schema =
                json!({"allOf": [{"$ref": reference}], "properties": {"enum": {"$dynamicRef": reference}}});
            escape(&mut schema);
            assert_eq!(schema, json!({"allOf": [{"$ref": want}], "properties": {"enum": {"$dynamicRef": want}}}));
        }
    }

    #[test]
    fn what_only_looks_like_a_reference_stays() {
        let schema =
            json!({"const": {"$ref": "#/ "}, "enum": [{"$ref": "#/ "}], "properties": {"$ref": {"type": "object"}}});
        let mut escaped = schema.clone();
        escape(&mut escaped);
        assert_eq!(escaped, schema);
    }
}
