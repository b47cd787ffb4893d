//! The `--set` language: `a.b[0].c=v,d={x,y}`.
//!
//! In: an argument and the values so far. Out: the values changed in place, or a [`SetError`]. Oddities are Helm's:
//! `=1` does nothing, `a[0]` alone gives an empty list, `a[0].b=` at the end is dropped.
//!
//! ```
//! use helm_template::helm::strvals::Kind;
//!
//! let mut values = serde_json::Map::new();
//! Kind::Typed.apply("image.tag=v2,replicas=3", &mut values)?;
//! Kind::Text.apply("image.tag=7", &mut values)?;
//! assert_eq!(serde_json::json!(values), serde_json::json!({"image": {"tag": "7"}, "replicas": 3}));
//! # Ok::<(), helm_template::helm::strvals::SetError>(())
//! ```

use super::source::os_text;
use super::text::{self, NotInteger};
use serde_json::{Map, Value};
use std::io;

const MAX_INDEX: usize = 65536;
const MAX_DEPTH: usize = 30;

/// Which of the `--set` options an argument belongs to.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// `--set`: `true`, `false`, `null` and integers are typed, the rest is text.
    Typed,
    /// `--set-string`: always text.
    Text,
    /// `--set-file`: the value is a path, replaced by what the function reads.
    File(&'a dyn Fn(&str) -> io::Result<String>),
    /// `--set-json`: values are JSON.
    Json,
    /// `--set-literal`: the value is the rest of the argument, no escapes.
    Literal,
}

impl Kind<'_> {
    /// The option's name.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Typed => "--set",
            Self::Text => "--set-string",
            Self::File(_) => "--set-file",
            Self::Json => "--set-json",
            Self::Literal => "--set-literal",
        }
    }

    /// Applies the argument of such an option to the values.
    ///
    /// # Errors
    /// The argument cannot be read, does not fit the values, or names a file that cannot be read.
    pub fn apply(self, argument: &str, values: &mut Map<String, Value>) -> Result<(), SetError> {
        apply(self, argument, values).map_err(|mistake| match self {
            Kind::Json => SetError::Json { argument: argument.to_owned(), mistake },
            _ => SetError::Argument { option: self.option(), mistake },
        })
    }
}

/// Why an argument cannot be applied to the values; the texts are Helm's.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Of `--set-json`: Helm does not say what is wrong.
    #[error("failed parsing --set-json data {argument}")]
    Json {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        mistake: Mistake,
    },
    /// Of the other options.
    #[error("failed parsing {option} data: {mistake}")]
    Argument {
        /// The option.
        option: &'static str,
        /// What is wrong with its argument.
        mistake: Mistake,
    },
}

impl SetError {
    /// What is wrong with the argument.
    #[must_use]
    pub const fn mistake(&self) -> &Mistake {
        match self {
            Self::Json { mistake, .. } | Self::Argument { mistake, .. } => mistake,
        }
    }
}

/// What is wrong with an argument; the texts are Helm's.
#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    /// The argument ends with a key.
    #[error("key {} has no value", text::quoted(.0))]
    NoValue(String),
    /// A comma follows a key.
    #[error("key {} has no value (cannot end with ,)", text::quoted(.0))]
    Comma(String),
    /// Nothing follows the dot behind a key.
    #[error("key map {} has no value", text::quoted(.0))]
    NoKey(String),
    /// More keys in keys than `MAX_DEPTH`.
    #[error("value name nested level is greater than maximum supported nested level of {MAX_DEPTH}")]
    TooDeep,
    /// The values have something else in the place of a list or a map.
    #[error("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}")]
    Conversion {
        /// Go's type of what is there.
        found: &'static str,
        /// Go's type of what the key asks for.
        wanted: &'static str,
    },
    /// No bracket closes the index.
    #[error("error parsing index: EOF")]
    OpenIndex,
    /// An index that is not a number.
    #[error("error parsing index: {0}")]
    Index(#[from] NotInteger),
    /// An index below zero.
    #[error("negative {0} index not allowed")]
    NegativeIndex(i64),
    /// An index beyond `MAX_INDEX`.
    #[error("index of {0} is greater than maximum supported index of {MAX_INDEX}")]
    LargeIndex(usize),
    /// Something stands between an index and what may follow it.
    #[error("unexpected data at end of array index: [{}]", runes(.0))]
    BehindIndex(String),
    /// No brace closes the list.
    #[error("list must terminate with '}}'")]
    OpenList,
    /// A value that is not valid JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nothing stands where JSON should.
    #[error("EOF")]
    NoJson,
    /// The file of a value cannot be read.
    #[error("open {path}: {}", os_text(error))]
    File {
        /// Its path.
        path: String,
        /// The system's answer.
        error: io::Error,
    },
}

fn runes(text: &str) -> String {
    text.chars().map(text::quoted_rune).collect::<Vec<_>>().join(" ")
}

/// Applies one argument to the values.
fn apply(kind: Kind<'_>, argument: &str, values: &mut Map<String, Value>) -> Result<(), Mistake> {
    let mut parser = Parser { kind, rest: argument };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Mistake(mistake)) => return Err(mistake),
        }
    }
}

/// Why reading stopped.
enum Stop {
    /// The argument is used up: success once at the top.
    End,
    /// A mistake.
    Mistake(Mistake),
}

impl<M: Into<Mistake>> From<M> for Stop {
    fn from(mistake: M) -> Self {
        Self::Mistake(mistake.into())
    }
}

struct Parser<'a> {
    kind: Kind<'a>,
    rest: &'a str,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    /// Reads up to one of the stops: the text, and the stop or `None` at the end.
    fn until(&mut self, stops: &str) -> (String, Option<char>) {
        let literal = matches!(self.kind, Kind::Literal);
        let mut text = String::new();
        while let Some(c) = self.next() {
            if stops.contains(c) && !(literal && c == ',') {
                return (text, Some(c));
            }
            if c == '\\' && !literal {
                match self.next() {
                    Some(escaped) => text.push(escaped),
                    None => break,
                }
            } else {
                text.push(c);
            }
        }
        (text, None)
    }

    /// Reads `key…=value` into a table.
    fn key(&mut self, data: &mut Map<String, Value>, depth: usize) -> Result<(), Stop> {
        let (key, stop) = self.until("=[,.");
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => Err(Mistake::NoValue(key).into()),
            Some('[') => self.indexed(key, data, depth),
            Some('.') => self.nested(key, data, depth + 1),
            Some(',') => Err(Mistake::Comma(key).into()),
            Some(_) => {
                let (value, end) = self.value()?;
                set(data, key, value);
                if end { Err(Stop::End) } else { Ok(()) }
            }
        }
    }

    fn indexed(&mut self, key: String, data: &mut Map<String, Value>, depth: usize) -> Result<(), Stop> {
        let index = self.index()?;
        let mut list = match data.get_mut(&key) {
            None => Vec::new(),
            Some(Value::Array(items)) => std::mem::take(items),
            Some(other) => return Err(unexpected(other, "[]interface {}").into()),
        };
        let result = self.item(&mut list, index, depth);
        set(data, key, Value::Array(list));
        result
    }

    fn nested(&mut self, key: String, data: &mut Map<String, Value>, depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(Mistake::TooDeep.into());
        }
        let mut fresh = Map::new();
        let (inner, is_new) = match data.get_mut(&key) {
            None => (&mut fresh, true),
            Some(Value::Object(table)) => (table, false),
            Some(other) => return Err(unexpected(other, "map[string]interface {}").into()),
        };
        let result = self.key(inner, depth);
        if result.is_ok() && inner.is_empty() {
            return Err(Mistake::NoKey(key).into());
        }
        if is_new && !fresh.is_empty() {
            set(data, key, Value::Object(fresh));
        }
        result
    }

    /// Reads `0]` after an opening bracket.
    fn index(&mut self) -> Result<i64, Stop> {
        let (digits, stop) = self.until("]");
        if stop.is_none() {
            return Err(Mistake::OpenIndex.into());
        }
        Ok(text::atoi(&digits)?)
    }

    /// Reads what follows `[index]` into a list.
    fn item(&mut self, list: &mut Vec<Value>, index: i64, depth: usize) -> Result<(), Stop> {
        let Ok(at) = usize::try_from(index) else {
            return Err(Mistake::NegativeIndex(index).into());
        };
        let (extra, stop) = self.until("[.=");
        if !extra.is_empty() {
            return Err(Mistake::BehindIndex(extra).into());
        }
        match stop {
            None => Err(Stop::End),
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get_mut(at) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(items)) => std::mem::take(items),
                    Some(other) => return Err(unexpected(other, "[]interface {}").into()),
                };
                self.item(&mut inner, next, depth)?;
                set_index(list, at, Value::Array(inner))
            }
            Some('.') => {
                if let Some(slot) = list.get_mut(at) {
                    if !slot.is_object() {
                        *slot = Value::Object(Map::new());
                    }
                    let Value::Object(inner) = slot else { return Ok(()) };
                    return self.key(inner, depth);
                }
                let mut inner = Map::new();
                self.key(&mut inner, depth)?;
                set_index(list, at, Value::Object(inner))
            }
            Some(_) => {
                // In a list the end of the argument does not show: the next key finds it.
                let (value, _) = self.value()?;
                set_index(list, at, value)
            }
        }
    }

    /// Reads the value after `=`; also whether the argument ended with an empty one.
    fn value(&mut self) -> Result<(Value, bool), Stop> {
        match self.kind {
            Kind::Json => Ok((self.json()?, false)),
            Kind::Literal => Ok((Value::String(std::mem::take(&mut self.rest).to_owned()), false)),
            _ if self.rest.is_empty() => Ok((Value::String(String::new()), true)),
            _ if self.rest.starts_with('{') => {
                self.next();
                Ok((self.list()?, false))
            }
            _ => {
                let (text, _) = self.until(",");
                Ok((self.convert(text)?, false))
            }
        }
    }

    fn list(&mut self) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(",}");
            match stop {
                None => return Err(Mistake::OpenList.into()),
                Some('}') => {
                    self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                    items.push(self.convert(text)?);
                    return Ok(Value::Array(items));
                }
                Some(_) => items.push(self.convert(text)?),
            }
        }
    }

    fn convert(&self, text: String) -> Result<Value, Stop> {
        Ok(match self.kind {
            Kind::Typed => typed(text),
            Kind::File(read) => {
                let content = read(&text).map_err(|error| Mistake::File { path: text, error })?;
                Value::String(content)
            }
            _ => Value::String(text),
        })
    }

    fn json(&mut self) -> Result<Value, Stop> {
        if self.blank() {
            return Ok(Value::Null);
        }
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => return Err(e.into()),
            None => return Err(Mistake::NoJson.into()),
        };
        self.rest = self.rest.get(stream.byte_offset()..).unwrap_or_default();
        self.blank();
        Ok(floats(value))
    }

    /// Skips white space and one comma; whether nothing else came.
    fn blank(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        let comma = self.rest.strip_prefix(',');
        self.rest = comma.unwrap_or(self.rest);
        comma.is_some() || self.rest.is_empty()
    }
}

/// JSON numbers are floats to Go.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(floats).collect(),
        Value::Object(table) => table.into_iter().map(|(k, v)| (k, floats(v))).collect(),
        other => other,
    }
}

fn typed(text: String) -> Value {
    let is = |word| text.eq_ignore_ascii_case(word);
    if is("true") || is("false") {
        return Value::Bool(is("true"));
    }
    if is("null") {
        return Value::Null;
    }
    match text.parse::<i64>() {
        Ok(n) if text == "0" || !text.starts_with('0') => Value::from(n),
        _ => Value::String(text),
    }
}

/// An empty key sets nothing.
fn set(data: &mut Map<String, Value>, key: String, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}

fn set_index(list: &mut Vec<Value>, at: usize, value: Value) -> Result<(), Stop> {
    if at > MAX_INDEX {
        return Err(Mistake::LargeIndex(at).into());
    }
    if list.len() <= at {
        list.resize(at + 1, Value::Null);
    }
    if let Some(slot) = list.get_mut(at) {
        *slot = value;
    }
    Ok(())
}

/// Go's complaint about a value of another type.
fn unexpected(value: &Value, wanted: &'static str) -> Mistake {
    let found = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    Mistake::Conversion { found, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(kind: Kind<'_>, arguments: &[&str]) -> Result<Value, String> {
        let mut values = Map::new();
        for argument in arguments {
            apply(kind, argument, &mut values).map_err(|mistake| mistake.to_string())?;
        }
        Ok(Value::Object(values))
    }

    #[test]
    fn values_are_typed_like_helms() {
        for (argument, want) in [
            ("a=TRUE,b=nUll,c=+4,d=-3,e=0", json!({"a": true, "b": null, "c": 4, "d": -3, "e": 0})),
            ("a=1.5,b=007,c=0x1f,d= b,e=\"x\"", json!({"a": "1.5", "b": "007", "c": "0x1f", "d": " b", "e": "\"x\""})),
            ("a=9223372036854775808", json!({"a": "9223372036854775808"})),
            ("a=,b=1", json!({"a": "", "b": 1})),
            ("a={1,x},b={}", json!({"a": [1, "x"], "b": [""]})),
            ("a={1}x=2", json!({"a": [1], "x": 2})),
            ("a[2]=z", json!({"a": [null, null, "z"]})),
            ("a[0].b=1,a[0].c=2,d[0][1]=x", json!({"a": [{"b": 1, "c": 2}], "d": [[null, "x"]]})),
            (r"a\.b=c\,d", json!({"a.b": "c,d"})),
            ("=1,.a=1", json!({})),
            ("a[0]", json!({"a": []})),
            ("a.b=1,a.c=2", json!({"a": {"b": 1, "c": 2}})),
        ] {
            assert_eq!(parse(Kind::Typed, &[argument]), Ok(want), "{argument}");
        }
    }

    #[test]
    fn mistakes_are_told_like_helms() {
        let deep = format!("{}=1", ["a"; 40].join("."));
        for (argument, want) in [
            ("a", "key \"a\" has no value"),
            ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
            ("a.=1", "key map \"a\" has no value"),
            ("a={1", "list must terminate with '}'"),
            ("a[99999]=1", "index of 99999 is greater than maximum supported index of 65536"),
            ("a[-1]=1", "negative -1 index not allowed"),
            ("a[x]=1", "error parsing index: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("a[0]bc=1", "unexpected data at end of array index: ['b' 'c']"),
            (
                "a=1,a.b=2",
                "unable to parse key: interface conversion: interface {} is int64, not map[string]interface {}",
            ),
            ("a=x,a[0]=2", "unable to parse key: interface conversion: interface {} is string, not []interface {}"),
            (&deep, "value name nested level is greater than maximum supported nested level of 30"),
        ] {
            assert_eq!(parse(Kind::Typed, &[argument]), Err(want.to_owned()), "{argument}");
        }
    }

    #[test]
    fn the_other_kinds_have_their_own_values() {
        assert_eq!(parse(Kind::Text, &["a=1,b={2}"]), Ok(json!({"a": "1", "b": ["2"]})));
        assert_eq!(parse(Kind::Literal, &[r"a.b=x,y=\z"]), Ok(json!({"a": {"b": r"x,y=\z"}})));
        assert_eq!(
            parse(Kind::Json, &[r#"a={"x":[1,null]},b=2 , c="#]),
            Ok(json!({"a": {"x": [1.0, null]}, "b": 2.0, " c": null}))
        );
        let read = |path: &str| Ok(format!("<{path}>\n"));
        assert_eq!(parse(Kind::File(&read), &["a=p,b={q,r}"]), Ok(json!({"a": "<p>\n", "b": ["<q>\n", "<r>\n"]})));
        let mut values = Map::new();
        let error = Kind::Json.apply("a={", &mut values).unwrap_err();
        assert_eq!(error.to_string(), "failed parsing --set-json data a={");
        assert!(matches!(error.mistake(), Mistake::Json(_)), "{error:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_reason() {
        let away = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
        let error = Kind::File(&away).apply("a=b,c={p}", &mut Map::new()).unwrap_err();
        assert_eq!(error.to_string(), "failed parsing --set-file data: open b: entity not found");
        assert!(matches!(error.mistake(), Mistake::File { path, .. } if path == "b"), "{error:?}");
    }
}
