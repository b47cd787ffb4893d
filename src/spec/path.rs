//! Paths into a tree: `spec.components.ingressGateways[name:gw].k8s.env[0]`.
//!
//! In: the text of a path as `overlays` and `--set` take it. Out: a [`Path`] of [`Element`]s, and look-up in a tree.
//!
//! | element | selects |
//! |---|---|
//! | `key` | the entry of a map; `\.` and `\[` stand for themselves |
//! | `[N]` | an item of a list; `[-1]` one past the last |
//! | `[key:value]` | the first map in a list whose entry has this text; `[port:443]` finds the number |
//! | `[:regex]`, `[regex]` | the first scalar of a list that the expression matches anywhere |
//!
//! `name[x]` is `name.[x]`. A path is cleaned as a file path (`a//b` is `a/b`, a final `/` is removed), one dot at either end
//! is dropped, empty elements are skipped.
//!
//! Where upstream Istio refuses or misreads a path with one clear meaning, this module takes the meaning: dots in
//! brackets need no escape, `a[0][1]` is two elements, a value may hold `:` (escaped as `\:` or not), text in brackets is
//! not cleaned (`[url:http://x]`).

use std::fmt;

use regex::Regex;
use serde_json::Value;

use crate::api::suggest;
use crate::api::text::escape;

pub use crate::api::text::{join, scalar_text};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// Entry of a map.
    Key(String),
    /// Item of a list; -1 is one past the last.
    Index(i64),
    /// The first map in a list whose entry `key` has the text `value`.
    KeyValue {
        /// Name of the entry.
        key: String,
        /// Its text.
        value: String,
    },
    /// The first scalar in a list that a regular expression matches.
    Match(String),
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(&escape(key)),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::KeyValue { key, value } => write!(f, "[{key}:{value}]"),
            Self::Match(pattern) => write!(f, "[:{pattern}]"),
        }
    }
}

/// A parsed path. Displayed in the form it can be parsed from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    elements: Vec<Element>,
}

/// Why there is nothing at a path, or nothing can be written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path}: {}{}", problem.describe(element), listed(candidates))]
pub struct PathError {
    /// The whole path.
    pub path: String,
    /// The element at which it fails.
    pub element: String,
    /// What is wrong there.
    pub problem: PathProblem,
    /// What there is instead: near keys of the map, or the items of the list.
    pub candidates: Vec<String>,
}

/// The kinds of [`PathError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathProblem {
    /// `[` without `]`.
    Unclosed,
    /// No such key or item.
    NotFound,
    /// An index at or past the end of a list with this many items.
    OutOfRange(usize),
    /// A list of maps is addressed by something else than `[key:value]` or `[N]`.
    NotKeyValue,
    /// Not a valid regular expression.
    BadPattern,
    /// The path goes on below a scalar of this type.
    Leaf(&'static str),
    /// A key for a `list`, or an index for a `map`.
    Misfit(&'static str),
    /// The path is empty.
    Root,
}

impl PathProblem {
    fn describe(self, element: &str) -> String {
        match self {
            Self::Unclosed => format!("element {element} has no closing bracket; write \\[ for a bracket in a key"),
            Self::NotFound => format!("element {element} not found"),
            Self::OutOfRange(length) => {
                format!("index {} exceeds list length {length}", element.trim_matches(['[', ']']))
            }
            Self::NotKeyValue => format!("{element} is not a valid key:value path element for a list of maps"),
            Self::BadPattern => format!("{element} is not a regular expression (RE2 syntax)"),
            Self::Leaf(kind) => format!("leaf type {kind} in non-leaf node {element}"),
            Self::Misfit(kind) => format!("element {element} does not fit a {kind}"),
            Self::Root => "cannot change the root element; name a path below it".to_owned(),
        }
    }
}

fn listed(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!("; there is {}", candidates.join(", ")) }
}

/// The most items that an error names.
const MOST_CANDIDATES: usize = 10;

impl Path {
    /// Parses the text of a path. The empty text and `.` give the empty path. The only error is an unclosed bracket.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let cleaned = if text.contains('[') { text.to_owned() } else { clean(text) };
        let trimmed = cleaned.strip_prefix('.').unwrap_or(&cleaned);
        let trimmed = trimmed.strip_suffix('.').filter(|rest| !rest.ends_with('\\')).unwrap_or(trimmed);
        let mut elements = Vec::new();
        for part in split(trimmed) {
            let fail = |element: &str| PathError {
                path: text.to_owned(),
                element: element.to_owned(),
                problem: PathProblem::Unclosed,
                candidates: Vec::new(),
            };
            let (key, brackets) = part.split_at(unescaped_bracket(&part).unwrap_or(part.len()));
            if !key.is_empty() {
                let key = if brackets.is_empty() && !text.contains('[') { key.to_owned() } else { clean(key) };
                elements.push(Element::Key(unescape(&key)));
            }
            if !brackets.is_empty() {
                bracketed(brackets, &mut elements).ok_or_else(|| fail(brackets))?;
            }
        }
        Ok(Self { elements })
    }

    /// The elements in order.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Whether this is the path of the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// This path below a map key.
    #[must_use]
    pub fn below(mut self, key: &str) -> Self {
        self.elements.insert(0, Element::Key(key.to_owned()));
        self
    }

    /// Whether the first elements are these keys.
    #[must_use]
    pub fn starts_with(&self, keys: &[&str]) -> bool {
        let key = |element: &Element, key: &str| matches!(element, Element::Key(name) if name == key);
        keys.len() <= self.elements.len() && self.elements.iter().zip(keys).all(|(element, name)| key(element, name))
    }

    /// An error at one of this path's elements.
    pub(super) fn error(&self, element: &Element, problem: PathProblem, candidates: Vec<String>) -> PathError {
        PathError { path: self.to_string(), element: element.to_string(), problem, candidates }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, element) in self.elements.iter().enumerate() {
            if index > 0 && matches!(element, Element::Key(_)) {
                f.write_str(".")?;
            }
            write!(f, "{element}")?;
        }
        Ok(())
    }
}

/// The value at a path, if there is one. A number as key selects a list item too (`a.0.b`).
#[must_use]
pub fn get<'a>(root: &'a Value, path: &Path) -> Option<&'a Value> {
    look_up(root, path).ok()
}

/// The string at a JSON pointer.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The value at a path.
///
/// # Errors
/// Why there is none.
pub fn look_up<'a>(root: &'a Value, path: &Path) -> Result<&'a Value, PathError> {
    path.elements().iter().try_fold(root, |node, element| match (node, element) {
        (Value::Object(map), Element::Key(key)) => map.get(key).ok_or_else(|| {
            let near = suggest::nearest(key, map.keys().map(String::as_str));
            path.error(element, PathProblem::NotFound, near)
        }),
        (Value::Array(items), _) => {
            let index = item_index(items, element, path)?;
            items.get(index).ok_or_else(|| out_of_range(items.len(), element, path))
        }
        (Value::Object(_), _) => Err(misfit("map", element, path)),
        _ => Err(leaf(node, element, path)),
    })
}

/// Index of the item an element selects. For `[-1]` and indexes past the end it is the length of the list.
pub(super) fn item_index(items: &[Value], element: &Element, path: &Path) -> Result<usize, PathError> {
    let maps = items.iter().any(Value::is_object);
    match element {
        Element::Index(index) => Ok(usize::try_from(*index).map_or(items.len(), |index| index.min(items.len()))),
        Element::Key(key) => match key.parse::<usize>() {
            Ok(index) => Ok(index.min(items.len())),
            Err(_) => Err(misfit("list", element, path)),
        },
        Element::KeyValue { key, value } if maps => items
            .iter()
            .position(|item| item.get(key).and_then(scalar_text).is_some_and(|text| text == *value))
            .ok_or_else(|| not_found(items, Some(key), element, path)),
        // In a list of scalars the whole text between the brackets is the expression.
        Element::KeyValue { key, value } => item_matching(items, &format!("{key}:{value}"), element, path),
        Element::Match(_) if maps => Err(path.error(element, PathProblem::NotKeyValue, described(items, None))),
        Element::Match(pattern) => item_matching(items, pattern, element, path),
    }
}

/// Index of the item of a list that an element selects, if there is one; `[-1]` and indexes past the end are the last.
#[must_use]
pub fn item_of(items: &[Value], element: &Element) -> Option<usize> {
    let index = item_index(items, element, &Path::default()).ok()?;
    Some(index.min(items.len().checked_sub(1)?))
}

fn item_matching(items: &[Value], pattern: &str, element: &Element, path: &Path) -> Result<usize, PathError> {
    let regex = Regex::new(pattern).map_err(|_| path.error(element, PathProblem::BadPattern, Vec::new()))?;
    items
        .iter()
        .position(|item| scalar_text(item).is_some_and(|text| regex.is_match(&text)))
        .ok_or_else(|| not_found(items, None, element, path))
}

fn not_found(items: &[Value], key: Option<&str>, element: &Element, path: &Path) -> PathError {
    path.error(element, PathProblem::NotFound, described(items, key))
}

/// An index past the end, where that is not allowed.
pub(super) fn out_of_range(length: usize, element: &Element, path: &Path) -> PathError {
    path.error(element, PathProblem::OutOfRange(length), Vec::new())
}

/// A key for a list or an index for a map.
pub(super) fn misfit(kind: &'static str, element: &Element, path: &Path) -> PathError {
    path.error(element, PathProblem::Misfit(kind), Vec::new())
}

/// A path that goes on below a scalar.
pub(super) fn leaf(node: &Value, element: &Element, path: &Path) -> PathError {
    path.error(element, PathProblem::Leaf(kind_of(node)), Vec::new())
}

/// Items as path elements, so that one can be copied into the path.
fn described(items: &[Value], key: Option<&str>) -> Vec<String> {
    let text = |(index, item): (usize, &Value)| match item {
        Value::Object(map) => key
            .into_iter()
            .chain(["name", "port", "containerPort", "key", "type"])
            .find_map(|key| Some(format!("[{key}:{}]", scalar_text(map.get(key)?)?)))
            .unwrap_or_else(|| format!("[{index}]")),
        other => scalar_text(other).unwrap_or_else(|| format!("[{index}]")),
    };
    items.iter().enumerate().take(MOST_CANDIDATES).map(text).collect()
}

/// The type of a value as messages name it.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// Parts between dots that are neither escaped nor in brackets, without empty ones.
fn split(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = vec![String::new()];
    let mut previous = None;
    for c in text.chars() {
        if c == '.' && previous != Some('\\') {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
        previous = Some(c);
    }
    let mut parts: Vec<String> = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(mut part) = pieces.next() {
        // A dot in brackets does not end the element: take pieces until the bracket closes, if it ever does.
        let closes = |part: &str| part.ends_with(']') && !part.ends_with("\\]");
        if unescaped_bracket(&part).is_some() && !closes(&part) {
            let rest: Vec<String> = pieces.by_ref().collect();
            let count = rest.iter().position(|piece| closes(piece)).map_or(0, |index| index + 1);
            for piece in rest.iter().take(count) {
                part.push('.');
                part.push_str(piece);
            }
            let tail: Vec<String> = rest.into_iter().skip(count).collect();
            parts.push(part);
            pieces = tail.into_iter().peekable();
            continue;
        }
        parts.push(part);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn unescaped_bracket(part: &str) -> Option<usize> {
    part.match_indices('[')
        .map(|(index, _)| index)
        .find(|index| !part.get(..*index).is_some_and(|head| head.ends_with('\\')))
}

fn unescape(text: &str) -> String {
    text.replace("\\.", ".").replace("\\[", "[").replace("\\]", "]")
}

/// The elements of `[x]` or `[x][y]`; `None` if the bracket is not closed.
fn bracketed(text: &str, elements: &mut Vec<Element>) -> Option<()> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    // Several groups only if none can be part of an expression such as `[:[a-z][0-9]]`.
    let groups: Vec<Element> = inner.split("][").map(element).collect();
    if groups.len() > 1 && groups.iter().all(|e| matches!(e, Element::Index(_) | Element::KeyValue { .. })) {
        elements.extend(groups);
    } else {
        elements.push(element(inner));
    }
    Some(())
}

fn element(inner: &str) -> Element {
    let inner = inner.replace("\\.", ".");
    if let Ok(index) = inner.parse::<i64>()
        && index >= -1
    {
        return Element::Index(index);
    }
    let key_end = inner
        .match_indices(':')
        .map(|(index, _)| index)
        .find(|index| !inner.get(..*index).is_some_and(|head| head.ends_with('\\')));
    let Some((key, rest)) = key_end.map(|index| inner.split_at(index)) else { return Element::Match(inner) };
    let value = rest.strip_prefix(':').unwrap_or(rest);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() {
        Element::Match(value.to_owned())
    } else if key.chars().all(plain) && !value.is_empty() {
        Element::KeyValue { key: key.to_owned(), value: value.replace("\\:", ":") }
    } else {
        Element::Match(inner)
    }
}

/// A path cleaned as Go's `filepath.Clean` does; the empty text becomes `.`.
pub(super) fn clean(text: &str) -> String {
    let rooted = text.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            _ => kept.push(part),
        }
    }
    let body = kept.join("/");
    match (rooted, body.is_empty()) {
        (true, _) => format!("/{body}"),
        (false, true) => ".".to_owned(),
        (false, false) => body,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(key: &str) -> Element {
        Element::Key(key.to_owned())
    }

    fn pair(key: &str, value: &str) -> Element {
        Element::KeyValue { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn paths_split_into_elements() {
        for (text, elements) in [
            ("", vec![]),
            (".", vec![]),
            ("a.b", vec![key("a"), key("b")]),
            (".a..b.", vec![key("a"), key("b")]),
            ("a.b[name:n1].c", vec![key("a"), key("b"), pair("name", "n1"), key("c")]),
            ("a.b.[name:n1].c", vec![key("a"), key("b"), pair("name", "n1"), key("c")]),
            (r"a.e\.f", vec![key("a"), key("e.f")]),
            (r"a[name:x\.y]", vec![key("a"), pair("name", "x.y")]),
            ("a[name:x.y].z", vec![key("a"), pair("name", "x.y"), key("z")]),
            (r"a[name:x\:y]", vec![key("a"), pair("name", "x:y")]),
            ("a[url:http://x.y/z]", vec![key("a"), pair("url", "http://x.y/z")]),
            ("a.g//h", vec![key("a"), key("g/h")]),
            ("a/", vec![key("a")]),
            ("a[0][-1]", vec![key("a"), Element::Index(0), Element::Index(-1)]),
            ("a[-200]", vec![key("a"), Element::Match("-200".to_owned())]),
            ("a.[:^v3]", vec![key("a"), Element::Match("^v3".to_owned())]),
            ("a.[30m]", vec![key("a"), Element::Match("30m".to_owned())]),
            ("a.[:[a-z][0-9]]", vec![key("a"), Element::Match("[a-z][0-9]".to_owned())]),
            (r"a[name\:x:n1]", vec![key("a"), Element::Match(r"name\:x:n1".to_owned())]),
        ] {
            assert_eq!(Path::parse(text).map(|p| p.elements), Ok(elements), "{text}");
        }
    }

    #[test]
    fn an_unclosed_bracket_is_an_error() {
        let error = Path::parse("a.b[name:x").expect_err("unclosed");
        assert_eq!(
            error.to_string(),
            "path a.b[name:x: element [name:x has no closing bracket; write \\[ for a bracket in a key"
        );
    }

    #[test]
    fn a_displayed_path_parses_to_itself() {
        for text in [r"a.e\.f[name:x.y].c[0]", "a[:^v]", r"a.k\[0]"] {
            let path = Path::parse(text).expect("path");
            assert_eq!(path.to_string(), text);
            assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }
    }

    #[test]
    fn look_up_finds_by_key_index_value_and_expression() {
        let root = json!({"a": {"b": [{"name": "n1", "v": 1}, {"name": "n2", "l": ["x", "y1"]}], "p": [{"port": 443}], "e.f": 5}});
        for (path, value) in [
            ("a.b[name:n1].v", json!(1)),
            ("a.b[1].l[:y]", json!("y1")),
            ("a.b.1.name", json!("n2")),
            ("a.p[port:443].port", json!(443)),
            (r"a.e\.f", json!(5)),
        ] {
            assert_eq!(get(&root, &Path::parse(path).expect("path")), Some(&value), "{path}");
        }
        assert_eq!(get(&root, &Path::parse("a.b[7]").expect("path")), None);
    }

    #[test]
    fn errors_name_what_there_is() {
        let root = json!({"spec": {"values": 1, "list": [{"name": "a"}, {"name": "b"}]}});
        let fail = |path: &str| look_up(&root, &Path::parse(path).expect("path")).expect_err("error").to_string();
        assert_eq!(fail("spec.vlaues"), "path spec.vlaues: element vlaues not found; there is values");
        assert_eq!(
            fail("spec.list[name:c]"),
            "path spec.list[name:c]: element [name:c] not found; there is [name:a], [name:b]"
        );
        assert_eq!(fail("spec.values.x"), "path spec.values.x: leaf type number in non-leaf node x");
        assert_eq!(fail("spec.list[2]"), "path spec.list[2]: index 2 exceeds list length 2");
        assert!(fail("spec.list[x]").contains("[:x] is not a valid key:value path element"));
    }
}
