//! `.Files`: the files of a chart that are neither templates nor have a fixed meaning.

use super::glob::{self, Glob};
use super::source::ChartFile;
use crate::gotmpl::{Cost, List, ListKind, Object, Signature, Text, Type, Value};
use crate::json;
use crate::yaml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a byte takes in a list.
const BYTE: u64 = 24;

/// Files by name.
#[derive(Clone, Default)]
pub struct Files(BTreeMap<String, Bytes>);

impl Files {
    /// The files of a chart; of two with one name the later counts.
    #[must_use]
    pub fn new(files: &[ChartFile]) -> Self {
        Self(files.iter().map(|f| (f.name.clone(), f.data.clone())).collect())
    }

    /// The object that templates see.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    fn data(&self, name: &str) -> &[u8] {
        self.0.get(name).map(AsRef::as_ref).unwrap_or_default()
    }

    fn glob(&self, pattern: &str) -> Result<Self, String> {
        let glob = Glob::new(pattern).map_err(|e| e.to_string())?;
        let mut found = BTreeMap::new();
        for (name, data) in &self.0 {
            if glob.matches(name).map_err(|e| e.to_string())? {
                found.insert(name.clone(), data.clone());
            }
        }
        Ok(Self(found))
    }

    /// The bytes of all names, and of all contents.
    fn size(&self) -> (u64, u64) {
        let sum = |(names, contents), (name, data): (&String, &Bytes)| {
            (names + name.len() as u64 + 100, contents + data.len() as u64)
        };
        self.0.iter().fold((0, 0), sum)
    }

    fn lines(&self, name: &str) -> Value {
        let data = self.data(name);
        if data.is_empty() {
            return Value::strings::<&str>([]);
        }
        Value::strings(data.strip_suffix(b"\n").unwrap_or(data).split(|b| *b == b'\n'))
    }

    /// `toYaml` of base name → text.
    fn as_config(&self, text: impl Fn(&[u8]) -> String) -> Value {
        let entries = self.0.iter().map(|(name, data)| {
            let base = name.rsplit('/').next().unwrap_or(name);
            (base.to_owned(), serde_json::Value::String(text(data)))
        });
        let yaml = yaml::to_string(&serde_json::Value::Object(entries.collect())).unwrap_or_default();
        Value::string(yaml.strip_suffix('\n').unwrap_or(&yaml))
    }

    /// The files as JSON, contents in base 64.
    fn json(&self) -> serde_json::Value {
        self.0.iter().map(|(name, data)| (name.clone(), serde_json::Value::from(STANDARD.encode(data)))).collect()
    }
}

/// A `[]byte`.
fn bytes(data: &[u8]) -> Value {
    Value::List(List::new(ListKind::Bytes, data.iter().map(|b| Value::Int(i64::from(*b))).collect()))
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind_name(&self) -> &'static str {
        "map"
    }

    fn field(&self, name: &str) -> Option<Value> {
        // An absent key of a map of bytes is an empty list of bytes.
        Some(bytes(self.data(name)))
    }

    fn has_method(&self, name: &str) -> bool {
        self.method_signature(name).is_some()
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        let params: &[Type] = match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => &[Type::String],
            "AsConfig" | "AsSecrets" => &[],
            _ => return None,
        };
        Some(Signature { params, variadic: None })
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let argument = match args {
            [Value::String(s)] => s.to_str().into_owned(),
            _ => String::new(),
        };
        Some(Ok(match name {
            "Get" => Value::string(self.data(&argument)),
            "GetBytes" => bytes(self.data(&argument)),
            "Glob" => return Some(self.glob(&argument).map(Self::into_value)),
            "Lines" => self.lines(&argument),
            "AsConfig" => self.as_config(|data| String::from_utf8_lossy(data).into_owned()),
            "AsSecrets" => self.as_config(|data| STANDARD.encode(data)),
            _ => return None,
        }))
    }

    fn display(&self) -> String {
        let entries: Vec<String> =
            self.0.iter().map(|(name, data)| format!("{name}:{}", super::text::plain(&bytes(data)))).collect();
        format!("map[{}]", entries.join(" "))
    }

    fn entry_count(&self) -> Option<usize> {
        Some(self.0.len())
    }

    /// Printed as numbers, which take more than the items of a list.
    fn weight(&self) -> u64 {
        let (names, contents) = self.size();
        names + contents * BYTE
    }

    fn price(&self, name: &str, args: &[Value]) -> Cost {
        let file = match args {
            [Value::String(s)] => self.data(&s.to_str()),
            [] => self.data(name),
            _ => &[],
        };
        let length = file.len() as u64;
        let (names, contents) = self.size();
        match name {
            "Get" => Cost { work: 100 + length / 16, bytes: length },
            "Lines" => {
                Cost { work: 100 + length * 4, bytes: length + 64 * memchr::memchr_iter(b'\n', file).count() as u64 }
            }
            // As text and as YAML, each line indented.
            "AsConfig" | "AsSecrets" => Cost { work: names + contents * 10, bytes: names + contents * 8 },
            "Glob" => {
                let pattern = args.iter().map(|v| if let Value::String(s) = v { glob::work(s.as_bytes()) } else { 0 });
                Cost { work: names * 10 + self.0.len() as u64 * pattern.sum::<u64>(), bytes: names * 2 }
            }
            // As numbers.
            _ => Cost { work: 100 + length * 2, bytes: length * BYTE },
        }
    }

    fn entries(&self) -> Option<Vec<(Text, Value)>> {
        Some(self.0.iter().map(|(name, data)| (name.as_str().into(), bytes(data))).collect())
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(json::to_string(&self.json()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, argument: &str) -> String {
        let files = Files::new(&[ChartFile::new("d/a.txt", "one\ntwo\n"), ChartFile::new("d/b.txt", &b"\xff"[..])]);
        let args = if argument.is_empty() { vec![] } else { vec![Value::string(argument)] };
        super::super::text::plain(&files.call(method, &args).unwrap().unwrap())
    }

    #[test]
    fn the_methods_do_what_helms_do() {
        for (method, argument, want) in [
            ("Get", "d/a.txt", "one\ntwo\n"),
            ("Get", "none", ""),
            ("GetBytes", "none", "[]"),
            ("Lines", "d/a.txt", "[one two]"),
            ("Lines", "none", "[]"),
            ("AsSecrets", "", "a.txt: b25lCnR3bwo=\nb.txt: /w=="),
            ("AsConfig", "", "a.txt: |\n  one\n  two\nb.txt: \u{fffd}"),
        ] {
            assert_eq!(call(method, argument), want, "{method} {argument}");
        }
    }
}
