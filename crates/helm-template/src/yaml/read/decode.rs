//! A graph of nodes to a tree: scalars get their types, aliases and merge keys are resolved.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value};

use super::compose::{Graph, Kind, MAX_DEPTH, Node, NodeId};
use super::error::YamlError;
use super::spans::Position;
use super::{DuplicateKey, Duplicates};
use crate::number::{format_float_g, format_float_g32};
use crate::yaml::scalar::{Scalar, resolve, resolve_tagged};

/// Most text that aliases may repeat.
const MAX_REPEATED: usize = 64 << 20;

/// The alias budget of yaml.v2: up to the first count of nodes 99 % may come from aliases, from the second on 10 %.
const RATIO_RANGE: (f64, f64) = (400_000.0, 4_000_000.0);

/// What numbers become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// All floats, as Go's `encoding/json` reads them.
    Floats,
    /// Integers stay integers.
    Typed,
}

/// Makes the tree of one document.
pub(super) struct Decoder<'a> {
    graph: &'a Graph,
    numbers: Numbers,
    duplicates: Duplicates,
    nodes: usize,
    aliased: usize,
    repeated: usize,
    alias_depth: usize,
    /// Aliases that are being followed.
    active: HashSet<NodeId>,
    /// Keys that stand twice, where somebody wants to know.
    noted: Option<Vec<DuplicateKey>>,
}

type Entries = Map<String, Value>;

impl<'a> Decoder<'a> {
    pub(super) fn new(graph: &'a Graph, numbers: Numbers, duplicates: Duplicates) -> Self {
        Self {
            graph,
            numbers,
            duplicates,
            nodes: 0,
            aliased: 0,
            repeated: 0,
            alias_depth: 0,
            active: HashSet::new(),
            noted: None,
        }
    }

    /// The tree, and the keys that stand twice in a map of the text.
    pub(super) fn noting(mut self) -> Result<(Value, Vec<DuplicateKey>), YamlError> {
        self.noted = Some(vec![]);
        let value = self.node(self.graph.root(), 0, 0)?;
        let mut noted = self.noted.unwrap_or_default();
        // A map that is merged elsewhere is met again.
        noted.sort_by_key(|duplicate| duplicate.again);
        noted.dedup();
        Ok((value, noted))
    }

    pub(super) fn document(mut self) -> Result<Value, YamlError> {
        self.node(self.graph.root(), 0, 0)
    }

    fn node(&mut self, node: &'a Node, id: NodeId, depth: usize) -> Result<Value, YamlError> {
        self.count(node)?;
        if depth > MAX_DEPTH {
            return Err(YamlError::at(node.position, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        match &node.kind {
            Kind::Scalar { text, tag, plain } => self.scalar(node.position, text, tag.as_deref(), *plain),
            Kind::Sequence(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(self.node(self.graph.node(*item), *item, depth + 1)?);
                }
                Ok(Value::Array(list))
            }
            Kind::Mapping(entries) => {
                let mut map = Map::new();
                self.entries(entries, &mut map, depth)?;
                Ok(Value::Object(map))
            }
            Kind::Alias { name, target } => self
                .through_alias(node, id, name, |decoder| decoder.node(decoder.graph.node(*target), *target, depth + 1)),
        }
    }

    fn through_alias<T>(
        &mut self,
        node: &Node,
        id: NodeId,
        name: &str,
        body: impl FnOnce(&mut Self) -> Result<T, YamlError>,
    ) -> Result<T, YamlError> {
        if !self.active.insert(id) {
            return Err(YamlError::at(node.position, format!("anchor '{name}' value contains itself")));
        }
        self.alias_depth += 1;
        let out = body(self)?;
        self.alias_depth -= 1;
        self.active.remove(&id);
        Ok(out)
    }

    fn count(&mut self, node: &Node) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.alias_depth > 0 {
            self.aliased += 1;
            if let Kind::Scalar { text, .. } = &node.kind {
                self.repeated += text.len();
            }
        }
        let over =
            self.aliased > 100 && self.nodes > 1000 && ratio(self.aliased, self.nodes) > allowed_ratio(self.nodes);
        if over || self.repeated > MAX_REPEATED {
            return Err(YamlError::at(node.position, "document contains excessive aliasing".to_owned()));
        }
        Ok(())
    }

    fn entries(&mut self, entries: &'a [NodeId], map: &mut Entries, depth: usize) -> Result<(), YamlError> {
        let mut seen: HashMap<String, Position> = HashMap::new();
        for pair in entries.chunks_exact(2) {
            let (Some(&key_id), Some(&value_id)) = (pair.first(), pair.get(1)) else { continue };
            let (key_node, value_node) = (self.graph.node(key_id), self.graph.node(value_id));
            if is_merge(key_node) {
                self.note(&mut seen, "<<", key_node.position)?;
                self.merge(value_node, value_id, map, depth)?;
                continue;
            }
            let key = self.key(key_node, key_id, value_node)?;
            self.note(&mut seen, &key, key_node.position)?;
            let value = self.node(value_node, value_id, depth + 1)?;
            map.insert(key, value);
        }
        Ok(())
    }

    /// Remembers a key of a map; one that stands there already is refused or noted, if anybody cares.
    fn note(&mut self, seen: &mut HashMap<String, Position>, key: &str, again: Position) -> Result<(), YamlError> {
        let refuses = self.duplicates == Duplicates::Refuse && key != "<<";
        if !refuses && self.noted.is_none() {
            return Ok(());
        }
        let Some(first) = seen.insert(key.to_owned(), again) else { return Ok(()) };
        if refuses {
            return Err(YamlError::at(again, format!("key {key:?} is already set in this map; remove one")));
        }
        if let Some(noted) = &mut self.noted {
            noted.push(DuplicateKey { key: key.to_owned(), first, again });
        }
        Ok(())
    }

    /// `<<`: takes over the entries of a map, of an alias to a map, or of a list of both (the first of them wins).
    fn merge(&mut self, node: &'a Node, id: NodeId, map: &mut Entries, depth: usize) -> Result<(), YamlError> {
        match &node.kind {
            Kind::Sequence(items) => {
                for item in items.iter().rev() {
                    self.merge_one(self.graph.node(*item), *item, map, depth + 1)?;
                }
                Ok(())
            }
            _ => self.merge_one(node, id, map, depth),
        }
    }

    fn merge_one(&mut self, node: &'a Node, id: NodeId, map: &mut Entries, depth: usize) -> Result<(), YamlError> {
        self.count(node)?;
        if depth > MAX_DEPTH {
            return Err(YamlError::at(node.position, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        match &node.kind {
            Kind::Mapping(entries) => self.entries(entries, map, depth),
            Kind::Alias { name, target } => match &self.graph.node(*target).kind {
                Kind::Mapping(entries) => {
                    self.through_alias(node, id, name, |decoder| decoder.entries(entries, map, depth + 1))
                }
                _ => Err(wants_map(node)),
            },
            _ => Err(wants_map(node)),
        }
    }

    fn key(&mut self, node: &'a Node, id: NodeId, value: &Node) -> Result<String, YamlError> {
        self.count(node)?;
        match &node.kind {
            Kind::Alias { name, target } => {
                let target = *target;
                self.through_alias(node, id, name, |decoder| decoder.key(decoder.graph.node(target), target, value))
            }
            Kind::Scalar { text, tag, plain } => self.scalar_key(node.position, text, tag.as_deref(), *plain, value),
            Kind::Sequence(_) | Kind::Mapping(_) => {
                Err(YamlError::at(node.position, format!("invalid map key: {}", self.go_syntax(node, 0))))
            }
        }
    }

    fn scalar_key(
        &self,
        position: Position,
        text: &str,
        tag: Option<&str>,
        plain: bool,
        value: &Node,
    ) -> Result<String, YamlError> {
        let unsupported = |message: &str, kind: &str, key: &str| {
            let go = format!("unsupported map key of type: {kind}, key: {key}, value: {}", self.go_syntax(value, 0));
            YamlError::in_json(position, message.to_owned(), go)
        };
        match typed(position, text, tag, plain)? {
            Typed::Null => {
                Err(unsupported("a map key is missing or null; quote it if null is its name", "%!s(<nil>)", "<nil>"))
            }
            Typed::Unsigned(int) if self.numbers == Numbers::Floats => {
                Err(unsupported("the number is too large for a map key; quote it", "uint64", &format!("{int:#x}")))
            }
            typed => Ok(typed.into_key()),
        }
    }

    fn scalar(&self, position: Position, text: &str, tag: Option<&str>, plain: bool) -> Result<Value, YamlError> {
        let floats = self.numbers == Numbers::Floats;
        #[expect(clippy::cast_precision_loss, reason = "Helm reads every number as a float")]
        Ok(match typed(position, text, tag, plain)? {
            Typed::Null => Value::Null,
            Typed::Bool(bool) => Value::Bool(bool),
            Typed::Int(int) if floats => float(position, int as f64)?,
            Typed::Unsigned(int) if floats => float(position, int as f64)?,
            Typed::Int(int) => Value::Number(int.into()),
            Typed::Unsigned(int) => Value::Number(int.into()),
            Typed::Float(number) => float(position, number)?,
            Typed::Text(text) => Value::String(text),
        })
    }

    /// A node as Go's `%#v` prints what it decodes to; for error messages.
    fn go_syntax(&self, node: &Node, depth: usize) -> String {
        if depth > 8 {
            return "...".to_owned();
        }
        match &node.kind {
            Kind::Alias { target, .. } => self.go_syntax(self.graph.node(*target), depth + 1),
            Kind::Scalar { text, tag, plain } => match typed(node.position, text, tag.as_deref(), *plain) {
                Ok(Typed::Null) | Err(_) if depth == 0 => "<nil>".to_owned(),
                Ok(Typed::Null) | Err(_) => "interface {}(nil)".to_owned(),
                Ok(Typed::Text(text)) => format!("{text:?}"),
                Ok(Typed::Unsigned(int)) => format!("{int:#x}"),
                Ok(Typed::Float(float)) => format_float_g(float),
                Ok(other) => other.into_key(),
            },
            Kind::Sequence(items) => {
                let items: Vec<_> = items.iter().map(|id| self.go_syntax(self.graph.node(*id), depth + 1)).collect();
                format!("[]interface {{}}{{{}}}", items.join(", "))
            }
            Kind::Mapping(entries) => {
                let mut out = String::from("map[interface {}]interface {}{");
                for (n, id) in entries.iter().enumerate() {
                    let separator = if n % 2 == 1 {
                        ":"
                    } else if n == 0 {
                        ""
                    } else {
                        ", "
                    };
                    let _ = write!(out, "{separator}{}", self.go_syntax(self.graph.node(*id), depth + 1));
                }
                out + "}"
            }
        }
    }
}

/// A scalar with its type.
enum Typed {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

impl Typed {
    fn into_key(self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(bool) => bool.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Unsigned(int) => int.to_string(),
            Self::Float(float) if float.is_nan() => ".nan".to_owned(),
            Self::Float(float) if float.is_infinite() => if float > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
            Self::Float(float) => match format_float_g32(float).as_str() {
                "+Inf" => ".inf".to_owned(),
                "-Inf" => "-.inf".to_owned(),
                text => text.to_owned(),
            },
            Self::Text(text) => text,
        }
    }
}

fn typed(position: Position, text: &str, tag: Option<&str>, plain: bool) -> Result<Typed, YamlError> {
    let scalar = match tag {
        None if !plain => Scalar::Text,
        None => resolve(text),
        Some(tag) if tag == "!!binary" || tag == "tag:yaml.org,2002:binary" => {
            return binary(text)
                .map(Typed::Text)
                .ok_or_else(|| YamlError::at(position, "!!binary value contains invalid base64 data".to_owned()));
        }
        Some(tag) => resolve_tagged(tag, text).map_err(|message| YamlError::at(position, message))?,
    };
    Ok(match scalar {
        Scalar::Null => Typed::Null,
        Scalar::Bool(bool) => Typed::Bool(bool),
        Scalar::Int(int) => Typed::Int(int),
        Scalar::Unsigned(int) => Typed::Unsigned(int),
        Scalar::Float(float) => Typed::Float(float),
        Scalar::Timestamp | Scalar::Text => Typed::Text(text.to_owned()),
    })
}

/// The text a scalar has as a key; `None` if it cannot be one.
pub(super) fn key_text(node: &Node) -> Option<String> {
    let Kind::Scalar { text, tag, plain } = &node.kind else { return None };
    typed(node.position, text, tag.as_deref(), *plain).ok().map(Typed::into_key)
}

/// Whether a key is `<<` and means a merge.
pub(super) fn is_merge(node: &Node) -> bool {
    let Kind::Scalar { text, tag, plain } = &node.kind else { return false };
    text == "<<" && (*plain || tag.as_deref() == Some("tag:yaml.org,2002:merge"))
}

fn wants_map(node: &Node) -> YamlError {
    YamlError::at(node.position, "map merge requires map or sequence of maps as the value".to_owned())
}

fn float(position: Position, float: f64) -> Result<Value, YamlError> {
    Number::from_f64(float).map(Value::Number).ok_or_else(|| {
        let name = format_float_g(float);
        YamlError::in_json(
            position,
            format!("number {name} has no place in a configuration; quote it if text is meant"),
            format!("json: unsupported value: {name}"),
        )
    })
}

fn binary(text: &str) -> Option<String> {
    const ENGINE: GeneralPurpose =
        GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    ENGINE.decode(packed).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn allowed_ratio(nodes: usize) -> f64 {
    let (low, high) = RATIO_RANGE;
    let share = ((nodes as f64 - low) / (high - low)).clamp(0.0, 1.0);
    0.99 - 0.89 * share
}
