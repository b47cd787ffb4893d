//! Maps: building, reading, changing and merging. `set`, `unset`, `merge` and `mergeOverwrite` change their first map
//! in place, visible through every reference to it.

use super::args::{at, fixed, from, map, text, variadic};
use super::cast::{is_empty, strval};
use crate::gotmpl::Type::{Any, Map as AnyMap, String};
use crate::gotmpl::{Function, List, Map, MapKind, Text, Value};

type Outcome = Result<Value, std::string::String>;

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    variadic("dict", &[], Any, |_, a| Ok(dict(a))),
    fixed("get", &[AnyMap, String], |_, a| Ok(map(a, 0).get_bytes(text(a, 1)).unwrap_or_else(|| Value::string("")))),
    fixed("set", &[AnyMap, String, Any], |_, a| {
        map(a, 0).set(text(a, 1), at(a, 2).clone());
        Ok(Value::Map(map(a, 0)))
    }),
    fixed("unset", &[AnyMap, String], |_, a| {
        map(a, 0).remove(text(a, 1));
        Ok(Value::Map(map(a, 0)))
    }),
    fixed("hasKey", &[AnyMap, String], |_, a| Ok(Value::Bool(map(a, 0).get_bytes(text(a, 1)).is_some()))),
    variadic("pluck", &[String], AnyMap, |_, a| {
        let maps = maps(from(a, 1));
        Ok(Value::list(maps.iter().filter_map(|m| m.get_bytes(text(a, 0))).collect()))
    }),
    // Go's order is random; the sorted order is one that it may give.
    variadic("keys", &[], AnyMap, |_, a| {
        let entries = maps(a).iter().flat_map(Map::snapshot).collect::<Vec<_>>();
        Ok(Value::strings(entries.into_iter().map(|(key, _)| key)))
    }),
    fixed("values", &[AnyMap], |_, a| Ok(Value::list(map(a, 0).snapshot().into_iter().map(|(_, v)| v).collect()))),
    variadic("pick", &[AnyMap], String, |_, a| Ok(filtered(a, |named| named))),
    variadic("omit", &[AnyMap], String, |_, a| Ok(filtered(a, |named| !named))),
    variadic("dig", &[], Any, |_, a| dig(a)),
    variadic("merge", &[AnyMap], AnyMap, |_, a| merge_all(a, false)),
    variadic("mustMerge", &[AnyMap], AnyMap, |_, a| merge_all(a, false)),
    variadic("mergeOverwrite", &[AnyMap], AnyMap, |_, a| merge_all(a, true)),
    variadic("mustMergeOverwrite", &[AnyMap], AnyMap, |_, a| merge_all(a, true)),
    fixed("deepCopy", &[Any], |_, a| deep_copy(a)),
    fixed("mustDeepCopy", &[Any], |_, a| deep_copy(a)),
];

/// Only a map that contains itself is nested deeper than this; Go would exhaust its stack.
const MAX_DEPTH: usize = 500;

/// An error at a depth that only a map that contains itself reaches.
fn limited(depth: usize) -> Result<(), std::string::String> {
    if depth > MAX_DEPTH {
        return Err("a map contains itself, directly or through others; take the inner one out with unset".to_owned());
    }
    Ok(())
}

fn maps(args: &[Value]) -> Vec<Map> {
    args.iter().filter_map(|v| if let Value::Map(m) = v { Some(m.clone()) } else { None }).collect()
}

fn dict(args: &[Value]) -> Value {
    let map = Map::new(MapKind::Any);
    for pair in args.chunks(2) {
        map.set(strval(at(pair, 0)), pair.get(1).cloned().unwrap_or_else(|| Value::string("")));
    }
    Value::Map(map)
}

/// A new map with the entries whose keys are, or are not, among the arguments.
fn filtered(args: &[Value], keep: fn(bool) -> bool) -> Value {
    let named = |key: &Text| from(args, 1).iter().any(|wanted| matches!(wanted, Value::String(s) if s == key));
    let kept = map(args, 0).snapshot().into_iter().filter(|(key, _)| keep(named(key)));
    Value::Map(Map::from_entries(MapKind::Any, kept.collect()))
}

/// `dig KEY… DEFAULT MAP`: the value at a path, or the default where a key is absent.
fn dig(args: &[Value]) -> Outcome {
    let Some((keys @ [_, ..], [default, start])) = args.split_last_chunk() else {
        return Err("dig needs at least three arguments".to_owned());
    };
    let converted = |v: &Value, wanted: &str| {
        let actual = if matches!(v, Value::Nil) { "nil" } else { v.type_name() };
        format!("interface conversion: interface {{}} is {actual}, not {wanted}")
    };
    if matches!(start, Value::Map(m) if m.kind() == MapKind::Any)
        && let Some(key) = keys.iter().find(|key| !matches!(key, Value::String(_)))
    {
        return Err(converted(key, "string"));
    }
    let mut current = start.clone();
    for key in keys {
        let step = match (&current, key) {
            (Value::Map(m), Value::String(key)) if m.kind() == MapKind::Any => m.get_bytes(key.as_bytes()),
            _ => return Err(converted(&current, "map[string]interface {}")),
        };
        match step {
            Some(value) => current = value,
            None => return Ok(default.clone()),
        }
    }
    Ok(current)
}

fn merge_all(args: &[Value], overwrite: bool) -> Outcome {
    let target = map(args, 0);
    for source in maps(from(args, 1)) {
        merge(&target, &source, overwrite, 0)?;
    }
    Ok(Value::Map(target))
}

/// mergo 1.0.1 on maps: maps on both sides are merged, other values of the source are taken if the target has none or
/// an empty one, or if they are to overwrite. What is taken is shared with the source.
fn merge(target: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), std::string::String> {
    limited(depth)?;
    if target.is_same(source) {
        return Ok(());
    }
    for (key, value) in source.snapshot() {
        if matches!(value, Value::Nil) {
            if overwrite {
                target.set(key, value);
            }
            continue;
        }
        let present = target.get_bytes(key.as_bytes());
        if let (Some(Value::Map(inner)), Value::Map(from)) = (&present, &value) {
            merge(inner, from, overwrite, depth + 1)?;
            if !inner.is_empty() {
                continue;
            }
        }
        if overwrite || present.is_none_or(|v| is_empty(&v)) {
            target.set(key, value);
        }
    }
    Ok(())
}

fn deep_copy(args: &[Value]) -> Outcome {
    match at(args, 0) {
        Value::Nil => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        v => copy(v, 0),
    }
}

fn copy(v: &Value, depth: usize) -> Outcome {
    limited(depth)?;
    Ok(match v {
        Value::Map(m) => {
            let entries = m.snapshot().into_iter().map(|(k, v)| Ok((k, copy(&v, depth + 1)?)));
            Value::Map(Map::from_entries(m.kind(), entries.collect::<Result<_, std::string::String>>()?))
        }
        Value::List(l) => {
            let items: Result<_, _> = l.snapshot().iter().map(|v| copy(v, depth + 1)).collect();
            Value::List(List::new(l.kind(), items?))
        }
        _ => v.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gotmpl::format::display;

    fn nested(key: &str, value: Value) -> (Map, Map) {
        let inner = Map::from_entries(MapKind::Any, [(Text::from(key), value)].into());
        let outer = Map::new(MapKind::Any);
        outer.set("a", Value::Map(inner.clone()));
        (outer, inner)
    }

    #[test]
    fn maps_come_out_as_in_helm() {
        crate::sprig::testing::check(include_str!("testdata/dicts.txt"));
    }

    #[test]
    fn an_inner_map_that_only_the_source_has_is_shared_with_it() {
        let (source, inner) = nested("x", Value::Int(1));
        let target = Map::new(MapKind::Any);
        merge(&target, &source, false, 0).unwrap();
        inner.set("later", Value::Int(2));
        assert_eq!(display(&Value::Map(target)), b"map[a:map[later:2 x:1]]");
    }

    #[test]
    fn an_inner_map_that_both_have_stays_the_targets() {
        let (source, of_source) = nested("x", Value::Int(1));
        let target = Map::new(MapKind::Any);
        let of_target = Map::new(MapKind::Any);
        target.set("a", Value::Map(of_target.clone()));
        merge(&target, &source, true, 0).unwrap();
        of_source.set("viaSource", Value::Int(2));
        of_target.set("viaTarget", Value::Int(3));
        assert_eq!(display(&Value::Map(target)), b"map[a:map[viaTarget:3 x:1]]");
    }

    #[test]
    fn a_deep_copy_shares_nothing() {
        let (original, inner) = nested("x", Value::Int(1));
        let copied = copy(&Value::Map(original), 0).unwrap();
        inner.set("x", Value::Int(2));
        assert_eq!(display(&copied), b"map[a:map[x:1]]");
    }

    #[test]
    fn a_map_that_contains_itself_is_an_error_and_no_endless_loop() {
        let (outer, inner) = nested("x", Value::Int(1));
        inner.set("self", Value::Map(outer.clone()));
        inner.set("again", Value::Map(outer.clone()));
        let (other, other_inner) = nested("y", Value::Int(1));
        other_inner.set("self", Value::Map(other.clone()));
        other_inner.set("again", Value::Map(other.clone()));
        assert!(merge(&outer, &other, true, 0).is_err());
        assert!(copy(&Value::Map(outer.clone()), 0).is_err());
        assert!(merge(&outer, &outer, true, 0).is_ok());
    }
}
