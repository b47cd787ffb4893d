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
