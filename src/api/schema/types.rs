//! What the tables are read into.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The spec, except what the other tables describe.
    Spec,
    /// Helm values, from release 1.17 on.
    Values,
    /// The mesh configuration, from release 1.17 on.
    Mesh,
    /// Kubernetes' workloads, their pods, and what is merged in its own way in other objects.
    Kubernetes,
    /// The spec as releases from 1.24 on decode it.
    Strict,
}

/// A message. Its fields are read when somebody first asks for them: most specs have to do with few messages.
#[derive(Debug, Default)]
pub struct Message {
    /// Its name.
    pub name: &'static str,
    /// Its table; none for the empty message that is given for an unknown name.
    pub table: Option<Table>,
    /// The lines that describe it.
    pub(super) comments: &'static str,
    /// The lines of its fields.
    pub(super) lines: &'static str,
    pub(super) read: OnceLock<Fields>,
}

/// The fields of a message, in the order of the table.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub known: Vec<Field>,
    pub removed: Vec<Field>,
}

/// A field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Another spelling of it.
    pub alias: Option<&'static str>,
    /// Its type.
    pub kind: Type,
    /// The narrower type that releases themselves read.
    pub exact: Option<Type>,
    /// Whether no release reads the field: it is taken here alone.
    pub is_ours: bool,
    /// What it is for, line by line; none where the table does not say.
    pub description: Vec<&'static str>,
    /// The group of which only one field may be set.
    pub oneof: Option<&'static str>,
    /// How two layers of it are merged.
    pub merge: Merge,
    /// Whether unset differs from empty.
    pub presence: Presence,
    /// Whether Go writes it also when it is empty.
    pub always: bool,
    /// Whether its content is not checked.
    pub unchecked: bool,
    /// The first minor release that has it, and the first that has it no more.
    pub releases: Range<u32>,
    /// What takes its place since then; empty where nothing does.
    pub instead: &'static str,
}

/// The type of a field.
#[derive(Clone, Debug)]
pub enum Type {
    /// True or false.
    Bool,
    /// Text.
    String,
    /// A whole number between two others, quoted or not.
    Integer(i64, i64),
    /// A whole number that is not quoted.
    Int,
    /// Any number.
    Double,
    /// A duration in Go's form.
    Duration,
    /// A whole number or text.
    IntOrString,
    /// Any number or text.
    NumberOrString,
    /// An amount of a resource.
    Quantity,
    /// A time.
    Time,
    /// A map with any content.
    Struct,
    /// Anything.
    Any,
    /// A list.
    List(Box<Type>),
    /// A map with any keys.
    Map(Box<Type>),
    /// A message.
    Message(&'static Message),
    /// An enumeration.
    Enum(&'static [&'static str]),
}

/// Whether an unset field differs from an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It does not.
    Implicit,
    /// It does.
    Explicit,
    /// It does, as the field is a message around one scalar.
    Wrapped,
}

/// How a field is merged over the same field of the layer below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Merge {
    /// Maps merge entry by entry, lists are replaced.
    #[default]
    Merge,
    /// Maps and lists are replaced as a whole.
    Replace,
    /// The list's maps are told apart by this entry and merged one by one.
    Key(&'static str),
    /// The list's maps are told apart by their name, and by their namespace where both have one.
    Named,
    /// The list's scalars of both layers, each once.
    Set,
}

/// What a table declares, by name.
#[derive(Default)]
pub(super) struct Declared {
    pub messages: BTreeMap<&'static str, Message>,
    pub enums: BTreeMap<&'static str, &'static [&'static str]>,
}

impl Type {
    /// What is wanted, as the object of "must be".
    #[must_use]
    pub fn wanted(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::String => "a string",
            Self::Integer(..) | Self::Int => "a whole number",
            Self::Double => "a number",
            Self::Duration => "a duration such as \"10s\" or \"1m30s\"",
            Self::IntOrString => "a whole number or a string",
            Self::NumberOrString => "a number or a string",
            Self::Quantity => "a quantity such as 100m or 1Gi",
            Self::Time => "a time",
            Self::Struct | Self::Map(_) | Self::Message(_) => "a map",
            Self::List(_) => "a list",
            Self::Any | Self::Enum(_) => "another value",
        }
    }
}
