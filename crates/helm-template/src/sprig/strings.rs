//! Text functions: trimming, case, quoting, cutting, splitting and joining.
//!
//! Positions and lengths count bytes, as in Go; letters are mapped character by character.

use super::args::{at, fixed, int, text, variadic};
use super::cast::{items, string_list, strslice, strval};
use super::go_text::{map_runes, repeat, replace, split, to_lower, to_upper, trim_by, trim_space};
use super::{case, wrap};
use crate::gotmpl::Type::{Any, Int, String};
use crate::gotmpl::format::{display, quote};
use crate::gotmpl::{Function, ListKind, Map, MapKind, Value};
use memchr::memmem;

/// The functions of this file, with those of `case` and `wrap`.
pub const FUNCTIONS: &[Function] = &[
    fixed("hello", &[], |_, _| Ok(Value::string("Hello!"))),
    fixed("trim", &[String], |_, a| Ok(Value::string(trim_space(text(a, 0))))),
    fixed("trimAll", &[String, String], |_, a| Ok(trim_all(a))),
    fixed("trimall", &[String, String], |_, a| Ok(trim_all(a))),
    fixed("trimSuffix", &[String, String], |_, a| {
        Ok(Value::string(text(a, 1).strip_suffix(text(a, 0)).unwrap_or(text(a, 1))))
    }),
    fixed("trimPrefix", &[String, String], |_, a| {
        Ok(Value::string(text(a, 1).strip_prefix(text(a, 0)).unwrap_or(text(a, 1))))
    }),
    fixed("upper", &[String], |_, a| Ok(Value::string(map_runes(text(a, 0), to_upper)))),
    fixed("lower", &[String], |_, a| Ok(Value::string(map_runes(text(a, 0), to_lower)))),
    fixed("title", &[String], |_, a| Ok(Value::string(case::title(text(a, 0))))),
    fixed("untitle", &[String], |_, a| Ok(Value::string(case::untitle(text(a, 0))))),
    fixed("swapcase", &[String], |_, a| Ok(Value::string(case::swap(text(a, 0))))),
    fixed("snakecase", &[String], |_, a| Ok(Value::string(case::with_connector(text(a, 0), '_')))),
    fixed("kebabcase", &[String], |_, a| Ok(Value::string(case::with_connector(text(a, 0), '-')))),
    fixed("camelcase", &[String], |_, a| Ok(Value::string(case::pascal(text(a, 0))))),
    fixed("repeat", &[Int, String], |_, a| repeat(text(a, 1), int(a, 0)).map(Value::string)),
    fixed("replace", &[String, String, String], |_, a| Ok(Value::string(replace(text(a, 2), text(a, 0), text(a, 1))))),
    fixed("contains", &[String, String], |_, a| Ok(Value::Bool(memmem::find(text(a, 1), text(a, 0)).is_some()))),
    fixed("hasPrefix", &[String, String], |_, a| Ok(Value::Bool(text(a, 1).starts_with(text(a, 0))))),
    fixed("hasSuffix", &[String, String], |_, a| Ok(Value::Bool(text(a, 1).ends_with(text(a, 0))))),
    fixed("trunc", &[Int, String], |_, a| Ok(Value::string(trunc(int(a, 0), text(a, 1))))),
    fixed("substr", &[Int, Int, String], |_, a| substr(int(a, 0), int(a, 1), text(a, 2))),
    fixed("nospace", &[String], |_, a| Ok(Value::string(wrap::nospace(text(a, 0))))),
    fixed("initials", &[String], |_, a| Ok(Value::string(wrap::initials(text(a, 0))))),
    fixed("indent", &[Int, String], |_, a| indent(int(a, 0), text(a, 1)).map(Value::string)),
    fixed("nindent", &[Int, String], |_, a| {
        let lines = indent(int(a, 0), text(a, 1))?;
        Ok(Value::string([b"\n", lines.as_slice()].concat()))
    }),
    fixed("wrap", &[Int, String], |_, a| Ok(Value::string(wrap::wrap(text(a, 1), int(a, 0), b"", false)))),
    fixed("wrapWith", &[Int, String, String], |_, a| {
        Ok(Value::string(wrap::wrap(text(a, 2), int(a, 0), text(a, 1), true)))
    }),
    fixed("abbrev", &[Int, String], |_, a| Ok(Value::string(wrap::abbrev(int(a, 0), text(a, 1))))),
    fixed("abbrevboth", &[Int, Int, String], |_, a| {
        Ok(Value::string(wrap::abbrev_both(int(a, 0), int(a, 1), text(a, 2))))
    }),
    fixed("plural", &[String, String, Int], |_, a| {
        let chosen = usize::from(int(a, 2) != 1);
        Ok(at(a, chosen).clone())
    }),
    variadic("quote", &[], Any, |_, a| Ok(each(a, |v| quote(&strval(v))))),
    variadic("squote", &[], Any, |_, a| Ok(each(a, |v| [b"'", display(v).as_slice(), b"'"].concat()))),
    variadic("cat", &[], Any, |_, a| Ok(each(a, display))),
    fixed("toString", &[Any], |_, a| Ok(Value::string(strval(at(a, 0))))),
    fixed("toStrings", &[Any], |_, a| Ok(to_strings(at(a, 0)))),
    fixed("join", &[String, Any], |_, a| Ok(Value::string(strslice(at(a, 1)).join(text(a, 0))))),
    fixed("split", &[String, String], |_, a| Ok(numbered(&split(text(a, 1), text(a, 0), None)))),
    fixed("splitn", &[String, Int, String], |_, a| {
        Ok(numbered(&split(text(a, 2), text(a, 0), usize::try_from(int(a, 1)).ok())))
    }),
    fixed("splitList", &[String, String], |_, a| Ok(Value::strings(split(text(a, 1), text(a, 0), None)))),
    fixed("sortAlpha", &[Any], |_, a| Ok(sort_alpha(at(a, 0)))),
];

fn trim_all(args: &[Value]) -> Value {
    let unwanted: std::collections::BTreeSet<char> = super::go_text::runes(text(args, 0)).map(|(c, _)| c).collect();
    Value::string(trim_by(text(args, 1), |c| unwanted.contains(&c)))
}

/// The values that are not nil, each as a text, with blanks between.
fn each(args: &[Value], form: impl Fn(&Value) -> Vec<u8>) -> Value {
    let parts: Vec<Vec<u8>> = args.iter().filter(|v| !matches!(v, Value::Nil)).map(form).collect();
    Value::string(parts.join(&b' '))
}

fn trunc(count: i64, s: &[u8]) -> &[u8] {
    let Ok(wanted) = usize::try_from(count.unsigned_abs()) else { return s };
    if count < 0 {
        return if s.len() > wanted { s.get(s.len() - wanted..).unwrap_or(s) } else { s };
    }
    s.get(..wanted).unwrap_or(s)
}

fn substr(start: i64, end: i64, s: &[u8]) -> Result<Value, std::string::String> {
    let length = s.len();
    let out_of_range = |what: std::string::String| format!("runtime error: slice bounds out of range [{what}]");
    let to = usize::try_from(end).ok();
    let Ok(from) = usize::try_from(start) else {
        let Some(to) = to else { return Err(out_of_range(format!(":{end}"))) };
        let cut = s.get(..to).ok_or_else(|| out_of_range(format!(":{end}")) + &format!(" with length {length}"))?;
        return Ok(Value::string(cut));
    };
    let cut = match to.filter(|to| *to <= length) {
        Some(to) => s.get(from..to).ok_or_else(|| out_of_range(format!("{start}:{end}")))?,
        None => s.get(from..).ok_or_else(|| out_of_range(format!("{start}:{length}")))?,
    };
    Ok(Value::string(cut))
}

fn indent(spaces: i64, s: &[u8]) -> Result<Vec<u8>, std::string::String> {
    let pad = repeat(b" ", spaces)?;
    let line_break = [b"\n", pad.as_slice()].concat();
    Ok([pad, replace(s, b"\n", &line_break)].concat())
}

/// A `map[string]string` with the keys `_0`, `_1`, ….
fn numbered(parts: &[&[u8]]) -> Value {
    let map = Map::new(MapKind::Strings);
    for (i, part) in parts.iter().enumerate() {
        map.set(format!("_{i}"), Value::string(*part));
    }
    Value::Map(map)
}

/// A `[]string` is returned as it is, not copied; anything else becomes a new list.
fn to_strings(v: &Value) -> Value {
    match v {
        Value::List(l) if l.kind() == ListKind::Strings => v.clone(),
        _ => string_list(strslice(v)),
    }
}

/// Sorts a `[]string` in place, visible through every reference to it; other lists are copied.
fn sort_alpha(v: &Value) -> Value {
    if items(v).is_none() {
        return string_list([strval(v)]);
    }
    let mut texts = strslice(v);
    texts.sort();
    match v {
        Value::List(l) if l.kind() == ListKind::Strings => {
            l.replace(texts.into_iter().map(Value::string).collect());
            v.clone()
        }
        _ => string_list(texts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sprig::testing;

    #[test]
    fn texts_come_out_as_in_helm() {
        testing::check(include_str!("testdata/strings.txt"));
    }

    #[test]
    fn a_string_list_is_sorted_in_place() {
        let list = Value::strings(["b", "a"]);
        let sorted = sort_alpha(&list);
        assert_eq!(display(&list), b"[a b]");
        assert_eq!(display(&sorted), b"[a b]");
        let mixed = Value::list(vec![Value::string("b"), Value::string("a")]);
        sort_alpha(&mixed);
        assert_eq!(display(&mixed), b"[b a]");
    }
}
