//! Prints operands: what all print functions have in common.

use super::super::value::{List, ListKind, Map, MapKind, Value};
use super::output::{BadVerb, Printer};

/// How deep values are printed, and from what size on nothing more is added.
const MAX_DEPTH: usize = 200;
const MAX_BYTES: usize = 64 << 20;

impl Printer {
    /// An operand.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'v' | 'T') => self.pad(b"<nil>"),
            (_, 'T') => self.pad(self.cut(value.type_name().as_bytes())),
            (_, 'p') => self.pointer(value),
            // Only errors could be wrapped, and only by another function.
            (Value::Nil, _) | (_, 'w') => self.bad_verb(value, verb),
            _ => self.value(value, verb),
        }
    }

    /// A value that is not nil, with all it contains.
    pub(super) fn value(&mut self, value: &Value, verb: char) {
        let printed = match value {
            Value::Nil => {
                self.out.extend_from_slice(if self.flags.go_syntax { b"interface {}(nil)" } else { b"<nil>" });
                Ok(())
            }
            Value::Bool(b) if matches!(verb, 't' | 'v') => {
                self.pad(if *b { b"true" } else { b"false" });
                Ok(())
            }
            Value::Bool(_) => Err(BadVerb),
            Value::Int(i) | Value::Int64(i) => self.integer(i.unsigned_abs(), *i < 0, true, verb),
            Value::Uint64(u) => self.integer(*u, false, false, verb),
            Value::Float(f) => self.float(*f, verb),
            Value::String(s) => self.string(s.as_bytes(), verb, self.flags.go_syntax),
            Value::List(list) => self.container(|p| p.list(list, verb, value)),
            Value::Map(map) => self.container(|p| {
                p.map(map, verb);
                Ok(())
            }),
            Value::Object(object) => self.string(object.plain().as_bytes(), verb, false),
        };
        if printed.is_err() {
            self.bad_verb(value, verb);
        }
    }

    fn container(&mut self, print: impl FnOnce(&mut Self) -> Result<(), BadVerb>) -> Result<(), BadVerb> {
        if self.depth >= MAX_DEPTH || self.out.len() > MAX_BYTES {
            self.out.extend_from_slice(b"...");
            return Ok(());
        }
        self.depth += 1;
        let printed = print(self);
        self.depth -= 1;
        printed
    }

    fn list(&mut self, list: &List, verb: char, value: &Value) -> Result<(), BadVerb> {
        let items = list.snapshot();
        if list.kind() == ListKind::Bytes && matches!(verb, 's' | 'q' | 'x' | 'X') {
            return self.string(&bytes_of(&items), verb, false);
        }
        let (open, separator, close): (_, &[u8], _) = if self.flags.go_syntax {
            let name = if list.kind() == ListKind::Bytes { "[]byte" } else { value.type_name() };
            self.out.extend_from_slice(name.as_bytes());
            (b'{', b", ", b'}')
        } else {
            (b'[', b" ", b']')
        };
        self.out.push(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.extend_from_slice(separator);
            }
            self.value(item, verb);
        }
        self.out.push(close);
        Ok(())
    }

    fn map(&mut self, map: &Map, verb: char) {
        let (open, separator, close): (_, &[u8], _) =
            if self.flags.go_syntax { ("{", b", ", b'}') } else { ("map[", b" ", b']') };
        if self.flags.go_syntax {
            let name = match map.kind() {
                MapKind::Any => "map[string]interface {}",
                MapKind::Values => "chartutil.Values",
                MapKind::Strings => "map[string]string",
            };
            self.out.extend_from_slice(name.as_bytes());
        }
        self.out.extend_from_slice(open.as_bytes());
        for (i, (key, item)) in map.snapshot().into_iter().enumerate() {
            if i > 0 {
                self.out.extend_from_slice(separator);
            }
            self.value(&Value::String(key), verb);
            self.out.push(b':');
            self.value(&item, verb);
        }
        self.out.push(close);
    }

    /// `%p` of a map or list; there are no addresses to show.
    fn pointer(&mut self, value: &Value) {
        match value {
            Value::Map(_) | Value::List(_) => self.pad(b"0xc000000000"),
            _ => self.bad_verb(value, 'p'),
        }
    }

    /// `%!d(string=x)`
    pub(super) fn bad_verb(&mut self, value: &Value, verb: char) {
        self.out.extend_from_slice(b"%!");
        self.rune(verb);
        self.out.push(b'(');
        if let Value::Nil = value {
            self.out.extend_from_slice(b"<nil>");
        } else {
            self.out.extend_from_slice(value.type_name().as_bytes());
            self.out.push(b'=');
            self.value(value, 'v');
        }
        self.out.push(b')');
    }
}

/// The bytes of a `[]uint8`.
fn bytes_of(items: &[Value]) -> Vec<u8> {
    let byte = |item: &Value| match item {
        Value::Int(i) | Value::Int64(i) => u8::try_from(*i).ok(),
        Value::Uint64(u) => u8::try_from(*u).ok(),
        _ => None,
    };
    items.iter().filter_map(byte).collect()
}
