//! The form of the API's types as constants, for checking values against them: nothing is made when a program starts.

use super::schema::{Anything, Count, FreeMap, IntOrString, Integer, Long};
use std::collections::BTreeMap;

/// The form of a value. Null is unset everywhere, so that no form needs to say so.
#[derive(Debug)]
pub enum Shape {
    /// True or false.
    Bool,
    /// Text.
    String,
    /// A whole number between two others, quoted or not.
    Integer(i64, i64),
    /// A number or text.
    IntOrString,
    /// Anything.
    Any,
    /// A map with any content.
    FreeMap,
    /// A list.
    List(&'static Shape),
    /// A map with any keys.
    Map(&'static Shape),
    /// A map with these keys.
    Message(&'static [Field]),
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its form.
    pub shape: &'static Shape,
}

/// A type whose values have a known form.
pub trait Shaped {
    /// The form.
    const SHAPE: &'static Shape;
}

impl Shape {
    /// The form of a field of a message; none for what is no message or has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Shape> {
        let Self::Message(fields) = self else { return None };
        fields.iter().find(|f| f.name == name).map(|f| f.shape)
    }
}

macro_rules! shapes {
    ($( $kind:ty = $shape:expr; )*) => { $(
        impl Shaped for $kind {
            const SHAPE: &'static Shape = &$shape;
        }
    )* };
}

shapes! {
    bool = Shape::Bool;
    String = Shape::String;
    Integer = Shape::Integer(i32::MIN as i64, i32::MAX as i64);
    Count = Shape::Integer(0, u32::MAX as i64);
    Long = Shape::Integer(i64::MIN, i64::MAX);
    IntOrString = Shape::IntOrString;
    Anything = Shape::Any;
    FreeMap = Shape::FreeMap;
}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: &'static Shape = T::SHAPE;
}

impl<T: Shaped> Shaped for Vec<T> {
    const SHAPE: &'static Shape = &Shape::List(T::SHAPE);
}

impl<T: Shaped> Shaped for BTreeMap<String, T> {
    const SHAPE: &'static Shape = &Shape::Map(T::SHAPE);
}

/// Declares messages of the API: each field optional, and named as in JSON.
macro_rules! messages {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$fdoc:meta])* $field:ident : $ty:ty ),* $(,)? } )*) => { $(
        $(#[$doc])*
        #[derive(schemars::JsonSchema)]
        #[allow(non_snake_case, reason = "named as in JSON")]
        pub struct $name { $( $(#[$fdoc])* pub $field: Option<$ty>, )* }

        impl $crate::api::shape::Shaped for $name {
            const SHAPE: &'static $crate::api::shape::Shape = &$crate::api::shape::Shape::Message(&[
                $( $crate::api::shape::Field {
                    name: $crate::api::shape::plain(stringify!($field)),
                    shape: <$ty as $crate::api::shape::Shaped>::SHAPE,
                }, )*
            ]);
        }
    )* };
}
pub(super) use messages;

/// The name of a field that is a word of Rust.
pub(super) const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::istio_operator::IstioOperatorSpec;
    use crate::api::schema::schema_of;
    use serde_json::{Value, json};

    /// The parts of a schema that a shape knows, without what lies below.
    fn described(shape: &Shape) -> Value {
        let integer = |least: i64, most: i64| {
            let ends = if most == i64::MAX { json!({}) } else { json!({"minimum": least, "maximum": most}) };
            let mut schema = json!({"x-kubernetes-int-or-string": true, "format": "integer"});
            schema.as_object_mut().unwrap().append(&mut ends.as_object().unwrap().clone());
            schema
        };
        match shape {
            Shape::Bool => json!({"type": "boolean"}),
            Shape::String => json!({"type": "string"}),
            Shape::Integer(least, most) => integer(*least, *most),
            Shape::IntOrString => json!({"x-kubernetes-int-or-string": true}),
            Shape::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
            Shape::FreeMap => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            Shape::List(_) => json!({"type": "array"}),
            Shape::Map(_) | Shape::Message(_) => json!({"type": "object"}),
        }
    }

    /// Both forms of a type say the same at every place.
    fn compare(shape: &Shape, schema: &Value, path: &str, seen: &mut usize) {
        *seen += 1;
        let mut said = schema.clone();
        let map = said.as_object_mut().unwrap();
        map.retain(|key, _| !matches!(key.as_str(), "description" | "nullable" | "title" | "$schema"));
        let below: Vec<Option<Value>> =
            ["items", "additionalProperties", "properties"].iter().map(|key| map.remove(*key)).collect();
        if let Some(Value::Array(kinds)) = map.get("type").cloned() {
            let [kind] = kinds.iter().filter(|k| **k != "null").collect::<Vec<_>>()[..] else { panic!("{path}") };
            map.insert("type".into(), kind.clone());
        }
        assert_eq!(said, described(shape), "{path}");
        match (shape, below.as_slice()) {
            (Shape::List(inner), [Some(items), None, None]) => compare(inner, items, &format!("{path}[]"), seen),
            (Shape::Map(inner), [None, Some(values), None]) => compare(inner, values, &format!("{path}.*"), seen),
            (Shape::Message(fields), [None, None, Some(properties)]) => {
                let mut names: Vec<_> = fields.iter().map(|f| f.name).collect();
                names.sort_unstable();
                assert_eq!(names, properties.as_object().unwrap().keys().collect::<Vec<_>>(), "{path}");
                for field in *fields {
                    compare(field.shape, &properties[field.name], &format!("{path}.{}", field.name), seen);
                }
            }
            (_, below) => assert!(below.iter().all(Option::is_none), "{path}: {below:?}"),
        }
    }

    #[test]
    fn the_shape_of_the_spec_says_what_its_schema_says() {
        let mut seen = 0;
        compare(IstioOperatorSpec::SHAPE, &schema_of::<IstioOperatorSpec>(), "spec", &mut seen);
        assert!(seen > 1000, "only {seen} places");
    }

    #[test]
    fn a_field_that_is_a_word_of_rust_has_its_plain_name() {
        assert_eq!((plain("r#type"), plain("role")), ("type", "role"));
    }
}
