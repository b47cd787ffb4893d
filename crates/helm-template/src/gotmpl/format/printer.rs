//! Prints operands: what all print functions have in common.

use super::super::value::{List, ListKind, Map, MapKind, Value};

/// How deep values are printed, and from what size on nothing more is added.
const MAX_DEPTH: usize = 200;
const MAX_BYTES: usize = 64 << 20;

/// The flags of one verb.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are Go's flag characters")]
pub(super) struct Flags {
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    /// `%#v`
    pub(super) go_syntax: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Output and the flags of the verb at work.
#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: Vec<u8>,
    pub(super) flags: Flags,
    /// How many lists and maps are being printed.
    pub(super) depth: usize,
}

impl Printer {
    /// An operand.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'v' | 'T') => self.pad(b"<nil>"),
            (_, 'T') => self.string(value.type_name().as_bytes(), 's', value),
            (_, 'p') => self.pointer(value),
            // Only errors could be wrapped, and only by another function.
            (Value::Nil, _) | (_, 'w') => self.bad_verb(value, verb),
            _ => self.value(value, verb),
        }
    }

    /// A value that is not nil, with all it contains.
    pub(super) fn value(&mut self, value: &Value, verb: char) {
        match value {
            Value::Nil if self.flags.go_syntax => self.out.extend_from_slice(b"interface {}(nil)"),
            Value::Nil => self.out.extend_from_slice(b"<nil>"),
            Value::Bool(b) if matches!(verb, 't' | 'v') => self.pad(if *b { b"true" } else { b"false" }),
            Value::Bool(_) => self.bad_verb(value, verb),
            Value::Int(i) | Value::Int64(i) => self.integer(i.unsigned_abs(), *i < 0, true, verb, value),
            Value::Uint64(u) => self.integer(*u, false, false, verb, value),
            Value::Float(f) => self.float(*f, verb, value),
            Value::String(s) => self.string(s.as_bytes(), verb, value),
            Value::List(list) => self.container(|p| p.list(list, verb, value)),
            Value::Map(map) => self.container(|p| p.map(map, verb)),
            Value::Object(object) => self.string(object.plain().as_bytes(), verb, value),
        }
    }

    fn container(&mut self, print: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH || self.out.len() > MAX_BYTES {
            self.out.extend_from_slice(b"...");
            return;
        }
        self.depth += 1;
        print(self);
        self.depth -= 1;
    }

    fn list(&mut self, list: &List, verb: char, value: &Value) {
        let items = list.snapshot();
        if list.kind() == ListKind::Bytes && matches!(verb, 's' | 'q' | 'x' | 'X') {
            return self.string(&bytes_of(&items), verb, value);
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

    pub(super) fn rune(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
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
