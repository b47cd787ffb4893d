//! Slash-separated paths, as Go's `path` and (on Unix) `path/filepath` treat them: as text; no file system is read.

use super::args::{fixed, text};
use crate::gotmpl::Type::String;
use crate::gotmpl::{Function, Host, Value};

/// The functions of this file; `os…` forms are the same on Unix.
pub const FUNCTIONS: &[Function] = &[
    fixed("base", &[String], call_base),
    fixed("osBase", &[String], call_base),
    fixed("dir", &[String], call_dir),
    fixed("osDir", &[String], call_dir),
    fixed("clean", &[String], call_clean),
    fixed("osClean", &[String], call_clean),
    fixed("ext", &[String], call_ext),
    fixed("osExt", &[String], call_ext),
    fixed("isAbs", &[String], call_is_abs),
    fixed("osIsAbs", &[String], call_is_abs),
];

type Outcome = Result<Value, std::string::String>;

#[allow(clippy::unnecessary_wraps)] // the form of a function table
fn call_base(_: &Host, args: &[Value]) -> Outcome {
    Ok(Value::string(base(text(args, 0))))
}

#[allow(clippy::unnecessary_wraps)]
fn call_dir(_: &Host, args: &[Value]) -> Outcome {
    let path = text(args, 0);
    Ok(Value::string(clean(split_last(path).0)))
}

#[allow(clippy::unnecessary_wraps)]
fn call_clean(_: &Host, args: &[Value]) -> Outcome {
    Ok(Value::string(clean(text(args, 0))))
}

#[allow(clippy::unnecessary_wraps)]
fn call_ext(_: &Host, args: &[Value]) -> Outcome {
    Ok(Value::string(ext(text(args, 0))))
}

#[allow(clippy::unnecessary_wraps)]
fn call_is_abs(_: &Host, args: &[Value]) -> Outcome {
    Ok(Value::Bool(text(args, 0).starts_with(b"/")))
}

/// Everything up to and with the last slash, and the rest.
fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    path.split_at(start)
}

/// The last element; `.` for an empty path, `/` for one of slashes only.
fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let Some(last) = path.iter().rposition(|b| *b != b'/') else {
        return b"/";
    };
    split_last(path.get(..=last).unwrap_or(path)).1
}

/// The suffix of the last element from its last dot.
fn ext(path: &[u8]) -> &[u8] {
    let name = split_last(path).1;
    let dot = name.iter().rposition(|b| *b == b'.');
    dot.and_then(|dot| name.get(dot..)).unwrap_or_default()
}

/// The shortest path of the same meaning: no empty elements, no `.`, and `..` taken out with the element before it.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|b| *b == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => {
                    kept.pop();
                }
                None if rooted => {}
                _ => kept.push(element),
            },
            _ => kept.push(element),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_what_helm_makes_of_them() {
        crate::sprig::testing::check(include_str!("testdata/paths.txt"));
    }
}
