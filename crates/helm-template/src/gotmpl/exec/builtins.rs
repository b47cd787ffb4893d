//! The functions of Go's `text/template` itself, except `slice`, which Helm replaces.

use super::super::signature::{Signature, Type};
use super::super::value::{List, ListKind, Value};
use super::super::{escape, format};
use super::Slot;
use super::compare;

/// How a builtin is called.
#[derive(Clone, Copy)]
pub(super) enum Code {
    /// `and`: arguments are evaluated up to the first false one.
    And,
    /// `or`: arguments are evaluated up to the first true one.
    Or,
    /// `call`, which names its argument in its error.
    Call,
    /// A function of its arguments.
    Plain(fn(&[Slot]) -> Result<Slot, String>),
}

/// A row of the table.
pub(super) struct Builtin {
    pub name: &'static str,
    pub signature: Signature,
    pub code: Code,
}

const REFLECT: Option<Type> = Some(Type::Reflect);
const ANY: Option<Type> = Some(Type::Any);

const fn row(name: &'static str, params: &'static [Type], variadic: Option<Type>, code: Code) -> Builtin {
    Builtin { name, signature: Signature { params, variadic }, code }
}

/// All of them.
pub(super) static BUILTINS: &[Builtin] = &[
    row("and", &[Type::Reflect], REFLECT, Code::And),
    row("or", &[Type::Reflect], REFLECT, Code::Or),
    row("call", &[Type::Reflect], REFLECT, Code::Call),
    row("not", &[Type::Reflect], None, Code::Plain(|a| Ok(bool(!first(a).value.is_true())))),
    row("eq", &[Type::Reflect], REFLECT, Code::Plain(|a| equal(a).map(bool))),
    row("ne", &[Type::Reflect, Type::Reflect], None, Code::Plain(|a| Ok(bool(!equal(a)?)))),
    row("lt", &[Type::Reflect, Type::Reflect], None, Code::Plain(|a| less(a).map(bool))),
    row("le", &[Type::Reflect, Type::Reflect], None, Code::Plain(|a| Ok(bool(less(a)? || equal(a)?)))),
    row("gt", &[Type::Reflect, Type::Reflect], None, Code::Plain(|a| Ok(bool(!less(a)? && !equal(a)?)))),
    row("ge", &[Type::Reflect, Type::Reflect], None, Code::Plain(|a| Ok(bool(!less(a)?)))),
    row("index", &[Type::Reflect], REFLECT, Code::Plain(index)),
    row("len", &[Type::Reflect], None, Code::Plain(|a| length(first(a)))),
    row("print", &[], ANY, Code::Plain(|a| Ok(text(format::print(&values(a)))))),
    row("println", &[], ANY, Code::Plain(|a| Ok(text(format::println(&values(a)))))),
    row("printf", &[Type::String], ANY, Code::Plain(|a| Ok(text(printf(a))))),
    row("html", &[], ANY, Code::Plain(|a| Ok(text(escape::html(&joined(a)))))),
    row("js", &[], ANY, Code::Plain(|a| Ok(text(escape::js(&joined(a)))))),
    row("urlquery", &[], ANY, Code::Plain(|a| Ok(text(escape::url_query(&joined(a)))))),
];

fn bool(b: bool) -> Slot {
    Slot::bare(Value::Bool(b))
}

fn text(bytes: Vec<u8>) -> Slot {
    Slot::bare(Value::string(bytes))
}

fn first(arguments: &[Slot]) -> &Slot {
    arguments.first().unwrap_or(&Slot::INVALID)
}

fn values(arguments: &[Slot]) -> Vec<Value> {
    arguments.iter().map(|slot| slot.value.clone()).collect()
}

fn equal(arguments: &[Slot]) -> Result<bool, String> {
    compare::equals_any(first(arguments), arguments.get(1..).unwrap_or_default())
}

fn less(arguments: &[Slot]) -> Result<bool, String> {
    compare::less(first(arguments), arguments.get(1).unwrap_or(&Slot::INVALID))
}

fn printf(arguments: &[Slot]) -> Vec<u8> {
    match &first(arguments).value {
        Value::String(format) => format::printf(format.as_bytes(), &values(arguments.get(1..).unwrap_or_default())),
        _ => Vec::new(),
    }
}

/// What the escaping functions work on: a string as it is, all else printed, nil as an action prints it.
fn joined(arguments: &[Slot]) -> Vec<u8> {
    let shown = |slot: &Slot| if slot.is_nil() { Value::string("<no value>") } else { slot.value.clone() };
    format::print(&arguments.iter().map(shown).collect::<Vec<_>>())
}

fn length(slot: &Slot) -> Result<Slot, String> {
    let length = match &slot.value {
        Value::Nil if slot.boxed => return Err("len of nil pointer".to_owned()),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        Value::String(s) => s.as_bytes().len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) => match object.entry_count() {
            Some(count) => count,
            None => return Err(format!("len of type {}", object.type_name().trim_start_matches('*'))),
        },
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Slot::bare(Value::Int(i64::try_from(length).unwrap_or(i64::MAX))))
}

fn index(arguments: &[Slot]) -> Result<Slot, String> {
    let mut item = first(arguments).clone();
    if item.is_nil() {
        return Err("index of untyped nil".to_owned());
    }
    for key in arguments.iter().skip(1) {
        item = element(&item, key)?;
    }
    Ok(item)
}

fn element(item: &Slot, key: &Slot) -> Result<Slot, String> {
    match &item.value {
        Value::Nil => Err("index of nil pointer".to_owned()),
        Value::String(s) => {
            let at = position(key, s.as_bytes().len())?;
            let byte = s.as_bytes().get(at).ok_or("reflect: string index out of range")?;
            Ok(Slot::bare(Value::Uint64(u64::from(*byte))))
        }
        Value::List(list) => {
            let at = position(key, list.len())?;
            Ok(Slot::item(list.kind(), list.get(at).ok_or("reflect: slice index out of range")?))
        }
        Value::Map(map) => Ok(Slot::entry(map.kind(), map.get_bytes(name(key)?))),
        Value::Object(object) => match object.entries() {
            Some(entries) => {
                let name = name(key)?;
                let found = entries.into_iter().find(|(k, _)| k.as_bytes() == name);
                Ok(Slot::bare(found.map_or_else(no_bytes, |(_, value)| value)))
            }
            None => Err(format!("can't index item of type {}", object.type_name().trim_start_matches('*'))),
        },
        other => Err(format!("can't index item of type {}", other.type_name())),
    }
}

/// The zero value of `[]uint8`, which a missing key of a map of files gives.
pub(super) fn no_bytes() -> Value {
    Value::List(List::new(ListKind::Bytes, Vec::new()))
}

fn position(key: &Slot, length: usize) -> Result<usize, String> {
    let at = match &key.value {
        Value::Int(i) | Value::Int64(i) => *i,
        // Go converts with wrap-around and then finds a negative number.
        Value::Uint64(u) => i64::try_from(*u).unwrap_or(-1),
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    usize::try_from(at).ok().filter(|at| *at <= length).ok_or_else(|| format!("index out of range: {at}"))
}

fn name(key: &Slot) -> Result<&[u8], String> {
    match &key.value {
        Value::String(s) => Ok(s.as_bytes()),
        Value::Nil => Err("value is nil; should be of type string".to_owned()),
        other => Err(format!("value has type {}; should be string", other.type_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::value::{Map, MapKind};
    use super::*;

    #[test]
    fn a_missing_key_gives_the_zero_value_of_the_element_type() {
        let strings = Value::Map(Map::new(MapKind::Strings));
        let slot = element(&Slot::bare(strings), &Slot::bare(Value::string("x"))).unwrap();
        assert!(matches!(slot.value, Value::String(s) if s.as_bytes().is_empty()));
        let any = element(&Slot::bare(Value::map::<&str>([])), &Slot::bare(Value::string("x"))).unwrap();
        assert!(any.is_nil() && any.boxed);
    }
}
