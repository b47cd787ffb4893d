//! The status of a resource, which is kept as text, as a tree.
//!
//! Guarantee: a field that cannot be read, since it is nested deeper than a parser that recurses goes, costs itself and none of the
//! others; and who asks is told which. What is not in the tree is not written over: a patch names what differs from it.

use crate::object::inventory;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The status in a text, as [`super::received::ObservedResource::status`] has it; null for none.
#[must_use]
pub fn read_status(text: &str) -> Value {
    read(text).0
}

/// What of a status is not known, for a person; `None` where all of it is.
#[must_use]
pub fn unknown_part(text: &str) -> Option<String> {
    let (status, mut lost) = read(text);
    let lines = inventory::not_understood(&status);
    if !lines.is_empty() {
        lost.push(format!("inventory: {} of its lines are no entries, such as {:?}", lines.len(), lines.first()));
    }
    (!lost.is_empty()).then(|| lost.join("; "))
}

/// The status, and what of it is left out.
fn read(text: &str) -> (Value, Vec<String>) {
    if text.is_empty() {
        return (Value::Null, vec![]);
    }
    let fields: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(Some(fields)) => fields,
        Ok(None) => return (Value::Null, vec![]),
        // The API server takes nothing else than a map.
        Err(error) => return (Value::Null, vec![error.to_string()]),
    };
    let (mut status, mut lost) = (Map::new(), vec![]);
    for (name, field) in fields {
        match serde_json::from_str(field.get()) {
            Ok(value) => drop(status.insert(name, value)),
            Err(error) => lost.push(format!("{name}: {error}")),
        }
    }
    (Value::Object(status), lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_that_is_too_deep_costs_itself_alone() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let text = format!(r#"{{"theirs":{deep},"version":"1.30.3","inventory":["v1 Service a/b u","x"]}}"#);
        assert_eq!(read_status(&text), json!({"version": "1.30.3", "inventory": ["v1 Service a/b u", "x"]}));
        assert_eq!(inventory::of_status(&read_status(&text)).len(), 1);
        let told = unknown_part(&text).unwrap();
        assert!(told.starts_with("theirs: recursion limit exceeded") && told.contains("1 of its lines"), "{told}");
    }

    #[test]
    fn a_status_that_can_be_read_is_read_whole_and_nothing_is_said_of_it() {
        for status in [json!({}), json!({"a\"b": 1, "conditions": [{"type": "Ready"}], "inventory": []}), Value::Null] {
            let text = status.to_string();
            assert_eq!((read_status(&text), unknown_part(&text)), (status, None));
        }
        assert_eq!((read_status(""), unknown_part("")), (Value::Null, None));
        assert!(unknown_part("[]").is_some());
    }
}
