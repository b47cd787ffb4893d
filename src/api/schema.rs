//! Schema building blocks that Rust's own types do not express.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! schema_type {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema_type!(
    /// A number or a string such as `25%`.
    IntOrString,
    { "x-kubernetes-int-or-string": true }
);
schema_type!(
    /// A whole number of 32 bits; protobuf's JSON form also allows it quoted.
    Integer,
    { "x-kubernetes-int-or-string": true, "format": "integer", "minimum": -2_147_483_648_i64, "maximum": 2_147_483_647 }
);
schema_type!(
    /// The same of 64 bits.
    Long,
    { "x-kubernetes-int-or-string": true, "format": "integer" }
);
schema_type!(
    /// The same of 32 bits without sign.
    Count,
    { "x-kubernetes-int-or-string": true, "format": "integer", "minimum": 0, "maximum": 4_294_967_295_i64 }
);
schema_type!(
    /// Any JSON value.
    Anything,
    { "x-kubernetes-preserve-unknown-fields": true }
);
schema_type!(
    /// An object with any content.
    FreeMap,
    { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
);

/// The schema of a type, with every subschema in place and OpenAPI's `nullable`, as CRDs need it.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::openapi3().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of a type for checking values against it: each named type once, which is many times smaller than
/// [`schema_of`], and quicker to make.
pub struct Checked(serde_json::Value);

impl Checked {
    /// Of a type.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        let settings = schemars::generate::SchemaSettings::openapi3().with(|s| s.meta_schema = None);
        let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        forget_null(&mut schema);
        Self(schema)
    }

    /// The schema of the whole.
    #[must_use]
    pub fn root(&self) -> &serde_json::Value {
        &self.0
    }

    /// The schema itself, where only the name of a type is given.
    #[must_use]
    pub fn follow<'s>(&'s self, schema: &'s serde_json::Value) -> &'s serde_json::Value {
        let wrapped = ["allOf", "anyOf"].iter().find_map(|key| schema.get(key)?.get(0));
        let named = wrapped.unwrap_or(schema).get("$ref").and_then(serde_json::Value::as_str);
        let found = named.and_then(|name| self.0.pointer(name.strip_prefix('#')?));
        found.or(wrapped).unwrap_or(schema)
    }
}

/// Null is unset everywhere, so that no schema needs to say so.
fn forget_null(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    map.insert("type".into(), one);
                }
            }
            map.values_mut().for_each(forget_null);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::istio_operator::IstioOperatorSpec;
    use serde_json::Value;

    /// Both forms of a schema say the same at every place.
    fn compare(checked: &Checked, schema: &Value, inlined: &Value, path: &str, seen: &mut usize) {
        let schema = checked.follow(schema);
        *seen += 1;
        for key in ["type", "format", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"] {
            assert_eq!(schema.get(key), inlined.get(key), "{key} of {path}");
        }
        for key in ["items", "additionalProperties"] {
            match (schema.get(key), inlined.get(key)) {
                (Some(a), Some(b)) => compare(checked, a, b, &format!("{path}[]"), seen),
                (a, b) => assert_eq!(a, b, "{key} of {path}"),
            }
        }
        let of = |s: &Value| s.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let (a, b) = (of(schema), of(inlined));
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "fields of {path}");
        for (name, schema) in &a {
            compare(checked, schema, &b[name], &format!("{path}.{name}"), seen);
        }
    }

    #[test]
    fn the_schema_for_checks_says_what_the_whole_one_says() {
        let mut seen = 0;
        let mut whole = schema_of::<IstioOperatorSpec>();
        forget_null(&mut whole);
        let checked = Checked::of::<IstioOperatorSpec>();
        compare(&checked, checked.root(), &whole, "spec", &mut seen);
        assert!(seen > 1000, "only {seen} places");
    }
}
