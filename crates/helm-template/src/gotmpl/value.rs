//! The values a template works on: Go's, as far as templates can see them.
//!
//! Maps and lists are shared and mutable (`set $d "k" 1` is seen by everyone who holds `$d`), strings are bytes as in
//! Go, and a value remembers which Go type it has, because functions, comparisons and `typeOf` tell them apart:
//! numbers of a values file are `float64`, those of `--set` are `int64`, literals are `int`.

use super::signature::Signature;
use super::usage::Cost;
use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// A Go string: bytes that are usually, but need not be, UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Rc<[u8]>);

impl Text {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn to_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

impl From<&str> for Text {
    fn from(s: &str) -> Self {
        Self(s.as_bytes().into())
    }
}

impl From<String> for Text {
    fn from(s: String) -> Self {
        Self(s.into_bytes().into())
    }
}

impl From<&[u8]> for Text {
    fn from(s: &[u8]) -> Self {
        Self(s.into())
    }
}

impl From<Vec<u8>> for Text {
    fn from(s: Vec<u8>) -> Self {
        Self(s.into())
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Which Go map type a map has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `map[string]interface {}`
    Any,
    /// `chartutil.Values`: `$`, `.Values` and `.Template`, whose methods win over keys.
    Values,
    /// `map[string]string`, what `split` returns.
    Strings,
}

/// Which Go slice type a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Strings,
    /// `[]int`
    Ints,
    /// `[]uint8`
    Bytes,
}

/// A shared, mutable map in key order.
#[derive(Clone)]
pub struct Map {
    kind: MapKind,
    entries: Rc<RefCell<Entries>>,
}

/// What a map holds.
#[derive(Default)]
struct Entries {
    /// Its entries; none while they are as they were read.
    made: BTreeMap<Text, Value>,
    /// A document, or a part of one, that nobody has looked into: most of a large one is only written out again.
    read: Option<Document>,
}

/// Entries as a reader of JSON or YAML gives them.
pub type Document = serde_json::Map<String, serde_json::Value>;

impl Drop for Entries {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut self.made);
        deeper(entries, |entries| entries.into_values().collect());
    }
}

/// What a list holds.
struct Items(Vec<Value>);

impl Drop for Items {
    fn drop(&mut self) {
        deeper(std::mem::take(&mut self.0), |items| items);
    }
}

thread_local! {
    /// How many lists and maps are being dropped within each other.
    static DROPPING: Cell<usize> = const { Cell::new(0) };
    /// How often a map or list has been changed on this thread.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
}

/// A number that is another one once any map or list of this thread has been changed.
pub(crate) fn changes() -> u64 {
    CHANGES.get()
}

/// Drops what a list or map holds: as everything is dropped, or one after the other if that would go too deep.
fn deeper<T>(held: T, values: impl FnOnce(T) -> Vec<Value>) {
    const DEEPEST: usize = 200;
    let depth = DROPPING.get();
    if depth < DEEPEST {
        DROPPING.set(depth + 1);
        drop(held);
        DROPPING.set(depth);
    } else {
        take_apart(values(held));
    }
}

/// Drops values one after the other, however deep they lie in each other: a loop that wraps a map into a map makes them
/// deeper than any stack.
fn take_apart(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(list) => {
                if let Ok(mut items) = Rc::try_unwrap(list.items).map(RefCell::into_inner) {
                    values.append(&mut items.0);
                }
            }
            Value::Map(map) => {
                if let Ok(mut entries) = Rc::try_unwrap(map.entries).map(RefCell::into_inner) {
                    values.extend(std::mem::take(&mut entries.made).into_values());
                }
            }
            _ => {}
        }
    }
}

impl Map {
    /// An empty map of the given type.
    #[must_use]
    pub fn new(kind: MapKind) -> Self {
        Self { kind, entries: Rc::default() }
    }

    /// A map of the given type with these entries.
    #[must_use]
    pub fn from_entries(kind: MapKind, entries: BTreeMap<Text, Value>) -> Self {
        Self { kind, entries: Rc::new(RefCell::new(Entries { made: entries, read: None })) }
    }

    /// A map that a document was read to, as `fromYaml` gives it: its numbers are `float64`. Values are made of it where
    /// somebody looks.
    #[must_use]
    pub fn from_document(document: Document) -> Self {
        let entries = Entries { made: BTreeMap::new(), read: Some(document) };
        Self { kind: MapKind::Any, entries: Rc::new(RefCell::new(entries)) }
    }

    /// Looks at the document of a map that nobody has looked into.
    pub fn unread<R>(&self, look: impl FnOnce(&Document) -> R) -> Option<R> {
        self.entries.borrow().read.as_ref().map(look)
    }

    /// The same, to write it out: what is taken of it must be given back before anybody can look.
    pub(crate) fn with_unread<R>(&self, work: impl FnOnce(&mut Document) -> R) -> Option<R> {
        self.entries.borrow_mut().read.as_mut().map(work)
    }

    /// Whether nobody else holds the map, or anything in it.
    pub(crate) fn is_unshared(&self) -> bool {
        Rc::strong_count(&self.entries) == 1 && self.entries.borrow().made.values().all(Value::is_unshared)
    }

    /// Makes values of a document.
    fn make(&self) {
        if self.entries.borrow().read.is_some() {
            let entries = &mut *self.entries.borrow_mut();
            let read = entries.read.take().into_iter().flatten();
            entries.made = read.map(|(key, value)| (Text::from(key), Value::from_document(value))).collect();
        }
    }

    fn made(&self) -> Ref<'_, BTreeMap<Text, Value>> {
        self.make();
        Ref::map(self.entries.borrow(), |entries| &entries.made)
    }

    fn made_mut(&self) -> RefMut<'_, BTreeMap<Text, Value>> {
        CHANGES.set(CHANGES.get().wrapping_add(1));
        self.make();
        RefMut::map(self.entries.borrow_mut(), |entries| &mut entries.made)
    }

    /// The Go type.
    #[must_use]
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The same map (shared entries) seen as another Go type.
    #[must_use]
    pub fn retyped(&self, kind: MapKind) -> Self {
        Self { kind, entries: Rc::clone(&self.entries) }
    }

    /// The value of a key, if present.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.made().get(key.as_bytes()).cloned()
    }

    /// The value of a key given as bytes, if present.
    #[must_use]
    pub fn get_bytes(&self, key: &[u8]) -> Option<Value> {
        self.made().get(key).cloned()
    }

    /// Sets a key.
    pub fn set(&self, key: impl Into<Text>, value: Value) {
        let before = self.made_mut().insert(key.into(), value);
        drop(before);
    }

    /// Removes a key and returns what it had.
    #[expect(clippy::must_use_candidate, reason = "removing is what it is for")]
    pub fn remove(&self, key: &[u8]) -> Option<Value> {
        self.made_mut().remove(key)
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.unread(Document::len).unwrap_or_else(|| self.entries.borrow().made.len())
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries now, in key order; later changes do not show.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Text, Value)> {
        self.made().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Shows the entries in key order, as long as the answer is true. Nothing is copied, so the map must not be changed
    /// meanwhile.
    pub fn each(&self, mut show: impl FnMut(&Text, &Value) -> bool) {
        self.made().iter().all(|(key, value)| show(key, value));
    }

    /// Whether two maps are one and the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries)
    }
}

/// A shared, mutable list.
#[derive(Clone)]
pub struct List {
    kind: ListKind,
    items: Rc<RefCell<Items>>,
}

impl List {
    /// A list of the given type with these items.
    #[must_use]
    pub fn new(kind: ListKind, items: Vec<Value>) -> Self {
        Self { kind, items: Rc::new(RefCell::new(Items(items))) }
    }

    /// The Go type.
    #[must_use]
    pub fn kind(&self) -> ListKind {
        self.kind
    }

    /// The items now; later changes do not show.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Value> {
        self.items.borrow().0.clone()
    }

    /// Shows the items, as long as the answer is true. Nothing is copied, so the list must not be changed meanwhile.
    pub fn each(&self, show: impl FnMut(&Value) -> bool) {
        self.items.borrow().0.iter().all(show);
    }

    /// The item at an index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        self.items.borrow().0.get(index).cloned()
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.borrow().0.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.borrow().0.is_empty()
    }

    /// Replaces all items; every holder of the list sees it.
    pub fn replace(&self, items: Vec<Value>) {
        CHANGES.set(CHANGES.get().wrapping_add(1));
        let before = std::mem::replace(&mut *self.items.borrow_mut(), Items(items));
        drop(before);
    }
}

/// A Go struct that templates see, with fields and methods: `.Capabilities`, `.Chart`, `.Files`, a time, a version.
pub trait Object {
    /// The Go type, such as `time.Time` or `*semver.Version`.
    fn type_name(&self) -> &str;
    /// The reflect kind: `struct`, `ptr` or `map`.
    #[expect(clippy::unnecessary_literal_bound, reason = "implementations may keep the name in the object")]
    fn kind_name(&self) -> &str {
        "struct"
    }
    /// An exported field.
    fn field(&self, name: &str) -> Option<Value>;
    /// Whether there is a method of this name.
    fn has_method(&self, _name: &str) -> bool {
        false
    }
    /// Calls a method; `None` when there is none of that name.
    ///
    /// # Errors
    /// Wrong arguments, or what the method itself reports.
    fn call(&self, _name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        None
    }
    /// The parameters of a method, which the evaluator checks before `call` as Go's reflection does; with `None`
    /// the arguments go to `call` as they are.
    fn method_signature(&self, _name: &str) -> Option<Signature> {
        None
    }
    /// Whether Go's `==` works on the type: not if a struct holds lists or maps.
    fn is_comparable(&self) -> bool {
        true
    }
    /// What `{{ . }}` prints (methods `String`/`Error` included).
    fn display(&self) -> String;
    /// What functions print that take the value apart by `%v` without its methods; like `display` for most.
    fn plain(&self) -> String {
        self.display()
    }
    /// What `range` walks, for objects of a map type; `None` where ranging is an error.
    fn entries(&self) -> Option<Vec<(Text, Value)>> {
        None
    }
    /// The number of [`entries`](Self::entries), for objects of a map type.
    fn entry_count(&self) -> Option<usize> {
        self.entries().map(|entries| entries.len())
    }
    /// Whether it is true in `if` and `and`: not an empty map, nil pointer or zero of its type.
    fn is_true(&self) -> bool {
        self.entry_count().is_none_or(|count| count > 0)
    }
    /// The most bytes that printing the object, its JSON form or its entries take.
    fn weight(&self) -> u64 {
        4096
    }
    /// What a call of a method costs.
    fn price(&self, _name: &str, args: &[Value]) -> Cost {
        let texts = |v: &Value| if let Value::String(s) = v { s.as_bytes().len() as u64 } else { 0 };
        let length: u64 = args.iter().map(texts).sum();
        Cost { work: 200 + 100 * length, bytes: 16 * length }
    }
    /// The JSON form, with keys in the order Go writes them (struct order); `Err` is encoding/json's error text.
    ///
    /// # Errors
    /// What cannot be encoded.
    fn to_json(&self) -> Result<String, String>;
    /// For downcasts by functions that take this very type.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// A Go value in a template.
#[derive(Clone)]
pub enum Value {
    /// nil, and what a missing key gives.
    Nil,
    /// bool
    Bool(bool),
    /// int: literals, `len`, `int`
    Int(i64),
    /// int64: `--set`, `add`, `int64`
    Int64(i64),
    /// uint64: fields of a version
    Uint64(u64),
    /// float64: values files, float literals
    Float(f64),
    /// string
    String(Text),
    /// a slice
    List(List),
    /// a map with string keys
    Map(Map),
    /// a struct or pointer
    Object(Rc<dyn Object>),
}

impl Value {
    /// A string value.
    pub fn string(s: impl Into<Text>) -> Self {
        Self::String(s.into())
    }

    /// A `[]interface {}`.
    #[must_use]
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(ListKind::Any, items))
    }

    /// A `[]string`.
    pub fn strings<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(List::new(ListKind::Strings, items.into_iter().map(|s| Self::String(s.into())).collect()))
    }

    /// A new `map[string]interface {}`.
    pub fn map<K: Into<Text>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Map::from_entries(MapKind::Any, entries.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }

    /// Go's truth in `if` and `and`: not the zero value of its type; structs are always true.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) | Self::Int64(i) => *i != 0,
            Self::Uint64(u) => *u != 0,
            Self::Float(f) => *f != 0.0,
            Self::String(s) => !s.as_bytes().is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Map(m) => !m.is_empty(),
            Self::Object(o) => o.is_true(),
        }
    }

    /// `reflect.TypeOf(v).String()`, `<nil>` for nil.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::List(l) => match l.kind() {
                ListKind::Any => "[]interface {}",
                ListKind::Strings => "[]string",
                ListKind::Ints => "[]int",
                ListKind::Bytes => "[]uint8",
            },
            Self::Map(m) => match m.kind() {
                MapKind::Any => "map[string]interface {}",
                MapKind::Values => "chartutil.Values",
                MapKind::Strings => "map[string]string",
            },
            Self::Object(o) => o.type_name(),
        }
    }

    /// `reflect.ValueOf(v).Kind().String()`, `invalid` for nil.
    #[must_use]
    pub fn kind_name(&self) -> &str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) | Self::Int(_) | Self::Int64(_) | Self::Uint64(_) | Self::Float(_) | Self::String(_) => {
                self.type_name()
            }
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Object(o) => o.kind_name(),
        }
    }

    /// Whether nobody else holds the value, or anything in it.
    fn is_unshared(&self) -> bool {
        match self {
            Self::List(list) => {
                Rc::strong_count(&list.items) == 1 && list.items.borrow().0.iter().all(Self::is_unshared)
            }
            Self::Map(map) => map.is_unshared(),
            Self::Object(_) => false,
            _ => true,
        }
    }

    /// What was read from YAML: numbers are `float64`, as in everything Helm reads from it.
    #[must_use]
    pub fn from_document(v: serde_json::Value) -> Self {
        match v {
            serde_json::Value::Number(n) => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(s) => Self::string(s),
            serde_json::Value::Array(items) => Self::list(items.into_iter().map(Self::from_document).collect()),
            serde_json::Value::Object(entries) => Self::Map(Map::from_document(entries)),
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(b) => Self::Bool(b),
        }
    }

    /// From JSON: integers become `int64` (what `--set` gives), other numbers `float64` (what YAML gives).
    #[must_use]
    pub fn from_json(v: &serde_json::Value) -> Self {
        match v {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => Self::Int64(i),
                (None, Some(u)) => Self::Uint64(u),
                _ => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(s) => Self::string(s.as_str()),
            serde_json::Value::Array(a) => Self::list(a.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(o) => Self::map(o.iter().map(|(k, v)| (k.as_str(), Self::from_json(v)))),
        }
    }
}
