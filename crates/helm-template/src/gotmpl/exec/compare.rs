//! `eq ne lt le gt ge`.

use super::super::format::printf;
use super::super::value::Value;
use super::Slot;
use std::cmp::Ordering;
use std::rc::Rc;

/// What `eq` and `lt` tell apart; values of other types have no basic kind.
#[derive(Clone, Copy)]
enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(&'a [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(b) => Basic::Bool(*b),
        Value::Int(i) | Value::Int64(i) => Basic::Int(*i),
        Value::Uint64(u) => Basic::Uint(*u),
        Value::Float(f) => Basic::Float(*f),
        Value::String(s) => Basic::String(s.as_bytes()),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) => return None,
    })
}

/// The order of two basic values, `None` for NaN; `Err` means kinds that cannot be compared.
fn order(a: Basic<'_>, b: Basic<'_>) -> Result<Option<Ordering>, ()> {
    Ok(match (a, b) {
        (Basic::Bool(a), Basic::Bool(b)) => Some(a.cmp(&b)),
        (Basic::Int(a), Basic::Int(b)) => Some(a.cmp(&b)),
        (Basic::Uint(a), Basic::Uint(b)) => Some(a.cmp(&b)),
        (Basic::Int(a), Basic::Uint(b)) => Some(i128::from(a).cmp(&i128::from(b))),
        (Basic::Uint(a), Basic::Int(b)) => Some(i128::from(a).cmp(&i128::from(b))),
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b),
        (Basic::String(a), Basic::String(b)) => Some(a.cmp(b)),
        _ => return Err(()),
    })
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

/// Whether the first value equals any of the others, which are looked at from left to right.
pub(super) fn equals_any(first: &Slot, others: &[Slot]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equals(&first.value, &other.value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(a: &Value, b: &Value) -> Result<bool, String> {
    match (basic(a), basic(b)) {
        (Some(x), Some(y)) => match order(x, y) {
            Ok(ordering) => Ok(ordering == Some(Ordering::Equal)),
            Err(()) => Err(incompatible(a, b)),
        },
        (None, None) => equals_composite(a, b),
        _ if matches!(a, Value::Nil) || matches!(b, Value::Nil) => Ok(false),
        _ => Err(incompatible(a, b)),
    }
}

fn equals_composite(a: &Value, b: &Value) -> Result<bool, String> {
    let text =
        |format: &str, values: &[Value]| Err(String::from_utf8_lossy(&printf(format.as_bytes(), values)).into_owned());
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        _ if a.kind_name() != b.kind_name() => text(
            "non-comparable types %s: %v, %s: %v",
            &[a.clone(), Value::string(a.type_name()), Value::string(b.type_name()), b.clone()],
        ),
        (Value::Object(x), Value::Object(y)) if x.kind_name() != "map" && y.is_comparable() => {
            Ok(Rc::ptr_eq(x, y)
                || (x.kind_name() == "struct" && a.type_name() == b.type_name() && x.plain() == y.plain()))
        }
        _ => text("non-comparable type %s: %v", &[b.clone(), Value::string(b.type_name())]),
    }
}

/// Whether the first value is less than the second.
pub(super) fn less(a: &Slot, b: &Slot) -> Result<bool, String> {
    let invalid = || "invalid type for comparison".to_owned();
    let (x, y) = (basic(&a.value).ok_or_else(invalid)?, basic(&b.value).ok_or_else(invalid)?);
    match (x, order(x, y)) {
        (_, Err(())) => Err(incompatible(&a.value, &b.value)),
        (Basic::Bool(_), _) => Err(invalid()),
        (_, Ok(ordering)) => Ok(ordering == Some(Ordering::Less)),
    }
}
