//! From the text of a table to its messages, and from the lines of a message to its fields. Each is read once and stays in memory.

use super::types::{Declared, Field, Fields, Merge, Message, Presence, Table, Type};
use memchr::memchr_iter;
use std::sync::OnceLock;

/// Where a declaration begins: its comments, its own line, and the lines below it.
struct Head {
    comments: usize,
    line: usize,
    below: usize,
}

/// What a table declares.
pub(super) fn table(table: Table, text: &'static str) -> Declared {
    let mut declared = Declared::default();
    let heads = heads(text);
    let ends = heads.iter().skip(1).map(|next| next.comments).chain([text.len()]);
    for (head, end) in heads.iter().zip(ends) {
        let part = |begin, end| text.get(begin..end).unwrap_or_default();
        let mut words = part(head.line, head.below).split_whitespace();
        match (words.next(), words.next()) {
            (Some("message"), Some(name)) => {
                let (comments, lines) = (part(head.comments, head.line), part(head.below, end));
                let message = Message { name, table: Some(table), comments, lines, read: OnceLock::new() };
                declared.messages.insert(name, message);
            }
            (Some("enum"), Some(name)) => {
                declared.enums.insert(name, words.collect::<Vec<_>>().leak());
            }
            _ => {}
        }
    }
    declared
}

fn heads(text: &str) -> Vec<Head> {
    let (mut heads, mut comments, mut end) = (vec![], None, 0);
    for next in memchr_iter(b'\n', text.as_bytes()).map(|newline| newline + 1).chain([text.len()]) {
        let begin = end;
        end = next;
        match text.as_bytes().get(begin) {
            Some(b'#') => comments = comments.or(Some(begin)),
            Some(b'm' | b'e') => {
                heads.push(Head { comments: comments.take().unwrap_or(begin), line: begin, below: end });
            }
            _ => comments = None,
        }
    }
    heads
}

impl Message {
    /// The message of this name and table that has these fields instead of its own.
    #[must_use]
    pub fn with_fields(&self, known: Vec<Field>) -> Self {
        let read = OnceLock::from(Fields { known, removed: vec![] });
        Self { name: self.name, table: self.table, read, ..Self::default() }
    }

    /// Its fields.
    pub fn fields(&self) -> &[Field] {
        &self.read().known
    }

    /// Fields of older releases, which only merges know.
    pub fn removed(&self) -> &[Field] {
        &self.read().removed
    }

    /// What it is, line by line; nothing where the table does not say.
    pub fn description(&self) -> Vec<&'static str> {
        description(self.comments)
    }

    fn read(&self) -> &Fields {
        self.read.get_or_init(|| fields(self))
    }
}

/// What comments say, line by line.
fn description(comments: &'static str) -> Vec<&'static str> {
    comments.lines().filter_map(comment).collect()
}

fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix('#').map(str::trim_start)
}

/// The fields of a message. Lines that cannot be read are left out; a test checks that there are none.
fn fields(message: &Message) -> Fields {
    let mut fields = Fields::default();
    let mut description = vec![];
    for line in message.lines.lines() {
        if let Some(comment) = comment(line) {
            description.push(comment);
            continue;
        }
        let words: Vec<&'static str> = line.split_whitespace().collect();
        match field(message, &words, std::mem::take(&mut description)) {
            Some((field, false)) => fields.known.push(field),
            Some((field, true)) => fields.removed.push(field),
            None => {}
        }
    }
    fields
}

/// A field, and whether it is `removed`.
fn field(message: &Message, words: &[&'static str], description: Vec<&'static str>) -> Option<(Field, bool)> {
    let ([names, kind, said @ ..], Some(table)) = (words, message.table) else { return None };
    let kind_of = |text| kind_of(text, table, message.name);
    let (name, alias) = names.split_once('|').map_or((*names, None), |(name, alias)| (name, Some(alias)));
    let (pointer, kind) = kind.strip_prefix('*').map_or((false, *kind), |kind| (true, kind));
    let mut field = Field {
        name,
        alias,
        kind: kind_of(kind)?,
        exact: None,
        is_ours: false,
        description,
        oneof: None,
        merge: Merge::Merge,
        presence: if pointer { Presence::Explicit } else { Presence::Implicit },
        always: false,
        unchecked: false,
        releases: 0..u32::MAX,
        instead: "",
    };
    let mut is_removed = false;
    let mut said = said.iter().copied();
    while let Some(word) = said.next() {
        match word {
            "oneof" => field.oneof = Some(said.next()?),
            "merge" => field.merge = Merge::Key(said.next()?),
            "named" => field.merge = Merge::Named,
            "set" => field.merge = Merge::Set,
            "replace" => field.merge = Merge::Replace,
            "always" => field.always = true,
            "wrapped" => field.presence = Presence::Wrapped,
            "unchecked" => field.unchecked = true,
            "removed" => is_removed = true,
            "exactly" => field.exact = Some(kind_of(said.next()?)?),
            "ours" => field.is_ours = true,
            "since" => field.releases.start = said.next()?.parse().ok()?,
            "until" => field.releases.end = said.next()?.parse().ok()?,
            "use" => field.instead = said.by_ref().collect::<Vec<_>>().join(" ").leak(),
            _ => return None,
        }
    }
    let is_explicit = match table {
        Table::Kubernetes => matches!(field.kind, Type::Any),
        _ => field.oneof.is_some() || has_presence(&field.kind),
    };
    if is_explicit && field.presence == Presence::Implicit {
        field.presence = Presence::Explicit;
    }
    Some((field, is_removed))
}

/// The type that a text means within a message of a table.
fn kind_of(text: &'static str, table: Table, within: &str) -> Option<Type> {
    if let Some(item) = text.strip_suffix("[]") {
        return Some(Type::List(Box::new(kind_of(item, table, within)?)));
    }
    if let Some(value) = text.strip_prefix("map<").and_then(|t| t.strip_suffix('>')) {
        return Some(Type::Map(Box::new(kind_of(value, table, within)?)));
    }
    Some(match text {
        "bool" => Type::Bool,
        "string" => Type::String,
        "int32" => Type::Integer(i32::MIN.into(), i32::MAX.into()),
        "uint32" => Type::Integer(0, u32::MAX.into()),
        "int64" => Type::Integer(i64::MIN, i64::MAX),
        "int" => Type::Int,
        "double" => Type::Double,
        "duration" => Type::Duration,
        "intOrString" => Type::IntOrString,
        "numberOrString" => Type::NumberOrString,
        "quantity" => Type::Quantity,
        "time" => Type::Time,
        "struct" => Type::Struct,
        "any" => Type::Any,
        name => named(name, table, within)?,
    })
}

/// The message or enumeration that a name means within a message.
fn named(wanted: &'static str, table: Table, within: &str) -> Option<Type> {
    match wanted.split_once('/') {
        Some(("values", name)) => return Table::Values.find(name).map(Type::Message),
        Some(("mesh", name)) => return Table::Mesh.find(name).map(Type::Message),
        Some(("kubernetes", name)) => return Table::Kubernetes.find(name).map(Type::Message),
        Some(_) => return None,
        None => {}
    }
    let declared = table.declared();
    let mut scope = Some(within);
    loop {
        let full = scope.map_or_else(|| wanted.to_owned(), |scope| format!("{scope}.{wanted}"));
        if let Some(message) = declared.messages.get(full.as_str()) {
            return Some(Type::Message(message));
        }
        if let Some(values) = declared.enums.get(full.as_str()) {
            return Some(Type::Enum(values));
        }
        scope = scope?.rsplit_once('.').map(|(outer, _)| outer);
    }
}

/// Whether protobuf tells an unset field of this type from an empty one.
fn has_presence(kind: &Type) -> bool {
    let is_long = matches!(kind, Type::Integer(_, most) if *most > u32::MAX.into());
    is_long || matches!(kind, Type::Any | Type::Struct | Type::Message(_) | Type::Duration | Type::IntOrString)
}
