//! The parts of the API that are protobuf messages upstream: Helm values and the mesh configuration, as tables.
//!
//! In: a JSON tree and the name of a message. Out: every [`Finding`]: what the message does not know, and what has another
//! type, by the rules of protobuf's JSON form.
//!
//! A table is lines of text. `message NAME` begins a message; below it stands `FIELD TYPE`, where `FIELD|ALIAS` is a field
//! with two spellings, and `oneof GROUP` at the end of a line says that only one field of the group may be set.
//! `enum NAME VALUE...` is an enumeration. The name of a type is looked up in the message itself first, then outwards.
//!
//! | type | JSON |
//! |---|---|
//! | `bool`, `string` | as named |
//! | `int32`, `int64`, `uint32`, `double` | a number, quoted or not |
//! | `duration` | a string in Go's form, such as `1h30m` |
//! | `intOrString` | a whole number or a string |
//! | `struct`, `any` | a map with any content; anything |
//! | `T[]`, `map<T>` | a list; a map with any keys |
//!
//! Null is unset everywhere. Nothing here decides what a value means, only what it looks like.

mod check;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub(crate) use check::whole;

/// Something that does not fit its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, below the path that was given.
    pub path: String,
    /// What, and what is wanted.
    pub message: String,
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// Text.
    String,
    /// A whole number between two others.
    Integer(i64, i64),
    /// Any number.
    Double,
    /// A duration in Go's form.
    Duration,
    /// A whole number or text.
    IntOrString,
    /// A map with any content.
    Struct,
    /// Anything.
    Any,
    /// A list.
    List(Box<Type>),
    /// A map with any keys.
    Map(Box<Type>),
    /// A message of the same table.
    Message(&'static str),
    /// An enumeration of the same table.
    Enum(&'static str),
}

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Another spelling of it.
    pub alias: Option<&'static str>,
    /// Its type.
    pub kind: Type,
    /// The group of which only one field may be set.
    pub oneof: Option<&'static str>,
}

/// How the field names of a table may be spelled besides what it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// Not at all.
    Listed,
    /// Also in snake case, which is what the field is called in protobuf.
    Snake,
}

/// A table of messages and enumerations.
#[derive(Debug)]
pub struct Schema {
    messages: BTreeMap<&'static str, Vec<Field>>,
    enums: BTreeMap<&'static str, Vec<&'static str>>,
    spelling: Spelling,
}

static VALUES: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("values.schema"), Spelling::Listed));
static MESH: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("mesh.schema"), Spelling::Snake));

/// The Helm values of release 1.17; its root is the message `Values`.
#[must_use]
pub fn values() -> &'static Schema {
    &VALUES
}

/// The mesh configuration of release 1.17; its root is the message `MeshConfig`.
#[must_use]
pub fn mesh() -> &'static Schema {
    &MESH
}

impl Schema {
    /// Reads a table. Lines of no known form are left out; a test sees to it that there are none.
    fn parse(text: &'static str, spelling: Spelling) -> Self {
        let mut declared: Vec<(&'static str, Vec<Vec<&'static str>>)> = vec![];
        let mut enums = BTreeMap::new();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let words: Vec<&'static str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["message", name] => declared.push((name, vec![])),
                ["enum", name, values @ ..] => drop(enums.insert(*name, values.to_vec())),
                _ => {
                    if let Some((_, fields)) = declared.last_mut() {
                        fields.push(words);
                    }
                }
            }
        }
        let names: Vec<&'static str> = declared.iter().map(|(name, _)| *name).collect();
        let messages = declared.iter().map(|(name, lines)| {
            let resolve = |wanted: &str| resolve(wanted, name, &names, &enums);
            (*name, lines.iter().filter_map(|words| field(words, &resolve)).collect())
        });
        let messages = messages.collect();
        Self { messages, enums, spelling }
    }

    /// The fields of a message, in the order of the table; none for a message that is not there.
    #[must_use]
    pub fn fields(&self, message: &str) -> &[Field] {
        self.messages.get(message).map(Vec::as_slice).unwrap_or_default()
    }

    /// The values of an enumeration; none for one that is not there.
    #[must_use]
    pub fn values_of(&self, name: &str) -> &[&'static str] {
        self.enums.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The field that a key stands for.
    #[must_use]
    pub fn field(&self, message: &str, key: &str) -> Option<&Field> {
        let is = |field: &&Field| {
            field.name == key
                || field.alias == Some(key)
                || (self.spelling == Spelling::Snake && key.contains('_') && camel_case(key) == field.name)
        };
        self.fields(message).iter().find(is)
    }
}

/// `connect_timeout` to `connectTimeout`, as protobuf makes JSON names.
#[must_use]
pub fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        result.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        result.push_str(letters.as_str());
    }
    result
}

fn field(words: &[&'static str], resolve: &dyn Fn(&str) -> Option<Type>) -> Option<Field> {
    let (names, kind, oneof) = match words {
        [names, kind] => (*names, *kind, None),
        [names, kind, "oneof", group] => (*names, *kind, Some(*group)),
        _ => return None,
    };
    let (name, alias) = names.split_once('|').map_or((names, None), |(name, alias)| (name, Some(alias)));
    Some(Field { name, alias, kind: type_of(kind, resolve)?, oneof })
}

fn type_of(text: &str, resolve: &dyn Fn(&str) -> Option<Type>) -> Option<Type> {
    if let Some(item) = text.strip_suffix("[]") {
        return Some(Type::List(Box::new(type_of(item, resolve)?)));
    }
    if let Some(value) = text.strip_prefix("map<").and_then(|t| t.strip_suffix('>')) {
        return Some(Type::Map(Box::new(type_of(value, resolve)?)));
    }
    Some(match text {
        "bool" => Type::Bool,
        "string" => Type::String,
        "int32" => Type::Integer(i32::MIN.into(), i32::MAX.into()),
        "uint32" => Type::Integer(0, u32::MAX.into()),
        "int64" => Type::Integer(i64::MIN, i64::MAX),
        "double" => Type::Double,
        "duration" => Type::Duration,
        "intOrString" => Type::IntOrString,
        "struct" => Type::Struct,
        "any" => Type::Any,
        name => resolve(name)?,
    })
}

/// The message or enumeration that a name means within a message.
fn resolve(
    wanted: &str,
    within: &str,
    messages: &[&'static str],
    enums: &BTreeMap<&'static str, Vec<&'static str>>,
) -> Option<Type> {
    let mut scope = Some(within);
    loop {
        let full = scope.map_or_else(|| wanted.to_owned(), |scope| format!("{scope}.{wanted}"));
        if let Some(name) = messages.iter().find(|name| **name == full) {
            return Some(Type::Message(name));
        }
        if let Some((name, _)) = enums.get_key_value(full.as_str()) {
            return Some(Type::Enum(name));
        }
        scope = match scope {
            None => return None,
            Some(scope) => scope.rsplit_once('.').map(|(outer, _)| outer),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood() {
        for (text, schema) in [(include_str!("values.schema"), values()), (include_str!("mesh.schema"), mesh())] {
            let lines = |indented: bool, start: &str| {
                text.lines().filter(|l| l.starts_with(' ') == indented && l.trim_start().starts_with(start)).count()
            };
            assert_eq!(schema.messages.len(), lines(false, "message "));
            assert_eq!(schema.enums.len(), lines(false, "enum "));
            assert_eq!(schema.messages.values().map(Vec::len).sum::<usize>(), lines(true, ""));
            assert!(schema.messages.len() > 20 && schema.enums.values().all(|values| !values.is_empty()));
        }
    }

    #[test]
    fn a_type_is_found_in_its_message_first_then_outwards() {
        let kind = |schema: &Schema, message: &str, field: &str| schema.field(message, field).unwrap().kind.clone();
        assert_eq!(kind(values(), "ProxyConfig", "tracer"), Type::Enum("ProxyConfig.Tracer"));
        assert_eq!(kind(values(), "GlobalConfig", "tracer"), Type::Message("GlobalConfig.Tracer"));
        assert_eq!(kind(mesh(), "Tracing.CustomTag", "literal"), Type::Message("Tracing.Literal"));
    }

    #[test]
    fn names_have_the_spellings_that_upstream_reads() {
        for key in ["istio-ingressgateway", "istio_ingressgateway"] {
            assert_eq!(values().field("GatewaysConfig", key).unwrap().name, "istio-ingressgateway");
        }
        assert!(values().field("PilotConfig", "autoscale_enabled").is_none());
        assert!(values().field("GlobalConfig", "proxyInit").is_none());
        for key in ["connectTimeout", "connect_timeout"] {
            assert_eq!(mesh().field("MeshConfig", key).unwrap().name, "connectTimeout");
        }
        assert!(mesh().field("MeshConfig", "mesh_mTLS").is_some());
        assert!(mesh().field("MeshConfig", "connecttimeout").is_none());
    }
}
