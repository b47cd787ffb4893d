//! Lists. Every function returns a new list and leaves its argument alone.

use super::args::{at, fixed, from, int, variadic};
use super::cast::{deep_equal, is_empty, items, to_int64};
use crate::gotmpl::Type::{Any, Int};
use crate::gotmpl::{Function, List, Value};

type Outcome = Result<Value, String>;

/// The functions of this file. Those that begin with `must` are the same: the evaluator turns panics into errors.
pub const FUNCTIONS: &[Function] = &[
    variadic("list", &[], Any, |_, a| Ok(Value::list(a.to_vec()))),
    variadic("tuple", &[], Any, |_, a| Ok(Value::list(a.to_vec()))),
    fixed("append", &[Any, Any], |_, a| push(a)),
    fixed("mustAppend", &[Any, Any], |_, a| push(a)),
    fixed("push", &[Any, Any], |_, a| push(a)),
    fixed("mustPush", &[Any, Any], |_, a| push(a)),
    fixed("prepend", &[Any, Any], |_, a| prepend(a)),
    fixed("mustPrepend", &[Any, Any], |_, a| prepend(a)),
    fixed("first", &[Any], |_, a| first(a)),
    fixed("mustFirst", &[Any], |_, a| first(a)),
    fixed("last", &[Any], |_, a| last(a)),
    fixed("mustLast", &[Any], |_, a| last(a)),
    fixed("rest", &[Any], |_, a| rest(a)),
    fixed("mustRest", &[Any], |_, a| rest(a)),
    fixed("initial", &[Any], |_, a| initial(a)),
    fixed("mustInitial", &[Any], |_, a| initial(a)),
    fixed("reverse", &[Any], |_, a| reverse(a)),
    fixed("mustReverse", &[Any], |_, a| reverse(a)),
    fixed("compact", &[Any], |_, a| compact(a)),
    fixed("mustCompact", &[Any], |_, a| compact(a)),
    fixed("uniq", &[Any], |_, a| uniq(a)),
    fixed("mustUniq", &[Any], |_, a| uniq(a)),
    variadic("without", &[Any], Any, |_, a| without(a)),
    variadic("mustWithout", &[Any], Any, |_, a| without(a)),
    fixed("has", &[Any, Any], |_, a| has(a)),
    fixed("mustHas", &[Any, Any], |_, a| has(a)),
    variadic("slice", &[Any], Any, |_, a| slice(a)),
    variadic("mustSlice", &[Any], Any, |_, a| slice(a)),
    fixed("chunk", &[Int, Any], |_, a| chunk(a)),
    fixed("mustChunk", &[Int, Any], |_, a| chunk(a)),
    variadic("concat", &[], Any, |_, a| concat(a)),
];

/// The items of a list, or the text Go gives for what is none.
fn list(v: &Value, complaint: &str) -> Result<Vec<Value>, String> {
    match (v, items(v)) {
        (_, Some(list)) => Ok(list),
        (Value::Nil, None) => Err("runtime error: invalid memory address or nil pointer dereference".to_owned()),
        (_, None) => Err(complaint.replace("{}", v.kind_name())),
    }
}

fn push(args: &[Value]) -> Outcome {
    let mut all = list(at(args, 0), "Cannot push on type {}")?;
    all.push(at(args, 1).clone());
    Ok(Value::list(all))
}

fn prepend(args: &[Value]) -> Outcome {
    let mut all = list(at(args, 0), "Cannot prepend on type {}")?;
    all.insert(0, at(args, 1).clone());
    Ok(Value::list(all))
}

fn first(args: &[Value]) -> Outcome {
    Ok(list(at(args, 0), "Cannot find first on type {}")?.into_iter().next().unwrap_or(Value::Nil))
}

fn last(args: &[Value]) -> Outcome {
    Ok(list(at(args, 0), "Cannot find last on type {}")?.pop().unwrap_or(Value::Nil))
}

fn rest(args: &[Value]) -> Outcome {
    Ok(Value::list(list(at(args, 0), "Cannot find rest on type {}")?.into_iter().skip(1).collect()))
}

fn initial(args: &[Value]) -> Outcome {
    let mut all = list(at(args, 0), "Cannot find initial on type {}")?;
    all.pop();
    Ok(Value::list(all))
}

fn reverse(args: &[Value]) -> Outcome {
    Ok(Value::list(list(at(args, 0), "Cannot find reverse on type {}")?.into_iter().rev().collect()))
}

fn compact(args: &[Value]) -> Outcome {
    let all = list(at(args, 0), "Cannot compact on type {}")?;
    Ok(Value::list(all.into_iter().filter(|v| !is_empty(v)).collect()))
}

fn contains(all: &[Value], wanted: &Value) -> bool {
    all.iter().any(|v| deep_equal(v, wanted))
}

fn uniq(args: &[Value]) -> Outcome {
    let mut kept = Vec::new();
    for v in list(at(args, 0), "Cannot find uniq on type {}")? {
        if !contains(&kept, &v) {
            kept.push(v);
        }
    }
    Ok(Value::list(kept))
}

fn without(args: &[Value]) -> Outcome {
    let all = list(at(args, 0), "Cannot find without on type {}")?;
    Ok(Value::list(all.into_iter().filter(|v| !contains(from(args, 1), v)).collect()))
}

fn has(args: &[Value]) -> Outcome {
    let haystack = at(args, 1);
    if matches!(haystack, Value::Nil) {
        return Ok(Value::Bool(false));
    }
    Ok(Value::Bool(contains(&list(haystack, "Cannot find has on type {}")?, at(args, 0))))
}

/// Items from one index to another; the list keeps its type.
fn slice(args: &[Value]) -> Outcome {
    let all = list(at(args, 0), "list should be type of slice or array but {}")?;
    if all.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int64);
    let end = args.get(2).map_or(i64::try_from(all.len()).unwrap_or(i64::MAX), to_int64);
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = bounds.and_then(|(start, end)| all.get(start..end));
    let part = part.ok_or_else(|| "reflect.Value.Slice: slice index out of bounds".to_owned())?.to_vec();
    Ok(match at(args, 0) {
        Value::List(l) => Value::List(List::new(l.kind(), part)),
        _ => Value::list(part),
    })
}

/// Lists of `size` items, the last one shorter.
fn chunk(args: &[Value]) -> Outcome {
    let all = list(at(args, 1), "Cannot chunk type {}")?;
    match usize::try_from(int(args, 0)) {
        Ok(size) if size > 0 => Ok(Value::list(all.chunks(size).map(|part| Value::list(part.to_vec())).collect())),
        _ => Err("runtime error: makeslice: len out of range".to_owned()),
    }
}

fn concat(args: &[Value]) -> Outcome {
    let parts: Result<Vec<_>, _> = args.iter().map(|v| list(v, "Cannot concat type {} as list")).collect();
    Ok(Value::list(parts?.concat()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_come_out_as_in_helm() {
        crate::sprig::testing::check(include_str!("testdata/lists.txt"));
    }
}
