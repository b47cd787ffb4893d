//! From the text of a table to its messages. Each table is read once and stays in memory.

use super::types::{Field, Merge, Message, Messages, Presence, Table, Type};
use std::collections::BTreeMap;

/// A message as it stands in the text.
struct Declared {
    name: &'static str,
    description: Vec<&'static str>,
    /// Each field's words and description.
    fields: Vec<(Vec<&'static str>, Vec<&'static str>)>,
}

/// The messages of a table. Lines that cannot be read are left out; a test checks that there are none.
pub(super) fn table(table: Table, text: &'static str) -> Messages {
    let mut declared: Vec<Declared> = vec![];
    let mut enums = BTreeMap::new();
    let mut comments: Vec<&'static str> = vec![];
    for line in text.lines() {
        if let Some(comment) = line.trim_start().strip_prefix('#') {
            comments.push(comment.trim_start());
            continue;
        }
        let description = std::mem::take(&mut comments);
        let words: Vec<&'static str> = line.split_whitespace().collect();
        match (words.as_slice(), declared.last_mut()) {
            ([], _) => {}
            (["message", name], _) if !line.starts_with(' ') => {
                declared.push(Declared { name, description, fields: vec![] });
            }
            (["enum", name, values @ ..], _) if !line.starts_with(' ') => {
                enums.insert(*name, &*values.to_vec().leak());
            }
            (_, Some(last)) => last.fields.push((words, description)),
            _ => {}
        }
    }
    let declared = declared.into_iter().map(|message| (message.name, message)).collect();
    let mut reader = Reader { table, declared: &declared, enums, known: Messages::new(), open: vec![] };
    for message in declared.values() {
        reader.message(message);
    }
    reader.known
}

struct Reader<'d> {
    table: Table,
    declared: &'d BTreeMap<&'static str, Declared>,
    enums: BTreeMap<&'static str, &'static [&'static str]>,
    known: Messages,
    /// The messages that are being read: none may contain itself.
    open: Vec<&'static str>,
}

impl Reader<'_> {
    fn message(&mut self, declared: &Declared) -> Option<&'static Message> {
        if let Some(known) = self.known.get(declared.name) {
            return Some(known);
        }
        if self.open.contains(&declared.name) {
            return None;
        }
        self.open.push(declared.name);
        let fields = declared.fields.iter();
        let read = fields.filter_map(|(words, description)| self.field(declared.name, words, description));
        let (removed, fields): (Vec<_>, Vec<_>) = read.partition(|(_, is_removed)| *is_removed);
        let only = |fields: Vec<(Field, bool)>| fields.into_iter().map(|(field, _)| field).collect();
        self.open.pop();
        let message: &'static Message = Box::leak(Box::new(Message {
            name: declared.name,
            table: Some(self.table),
            description: declared.description.clone(),
            fields: only(fields),
            removed: only(removed),
        }));
        self.known.insert(declared.name, message);
        Some(message)
    }

    /// A field, and whether it is `removed`.
    fn field(&mut self, within: &str, words: &[&'static str], description: &[&'static str]) -> Option<(Field, bool)> {
        let [names, kind, said @ ..] = words else { return None };
        let (name, alias) = names.split_once('|').map_or((*names, None), |(name, alias)| (name, Some(alias)));
        let (pointer, kind) = kind.strip_prefix('*').map_or((false, *kind), |kind| (true, kind));
        let mut field = Field {
            name,
            alias,
            kind: self.kind(kind, within)?,
            exact: None,
            is_ours: false,
            description: description.to_vec(),
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
                "exactly" => field.exact = Some(self.kind(said.next()?, within)?),
                "ours" => field.is_ours = true,
                "since" => field.releases.start = said.next()?.parse().ok()?,
                "until" => field.releases.end = said.next()?.parse().ok()?,
                "use" => field.instead = said.by_ref().collect::<Vec<_>>().join(" ").leak(),
                _ => return None,
            }
        }
        let is_explicit = match self.table {
            Table::Kubernetes => matches!(field.kind, Type::Any),
            _ => field.oneof.is_some() || has_presence(&field.kind),
        };
        if is_explicit && field.presence == Presence::Implicit {
            field.presence = Presence::Explicit;
        }
        Some((field, is_removed))
    }

    fn kind(&mut self, text: &'static str, within: &str) -> Option<Type> {
        if let Some(item) = text.strip_suffix("[]") {
            return Some(Type::List(Box::new(self.kind(item, within)?)));
        }
        if let Some(value) = text.strip_prefix("map<").and_then(|t| t.strip_suffix('>')) {
            return Some(Type::Map(Box::new(self.kind(value, within)?)));
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
            name => self.named(name, within)?,
        })
    }

    /// The message or enumeration that a name means within a message.
    fn named(&mut self, wanted: &'static str, within: &str) -> Option<Type> {
        match wanted.split_once('/') {
            Some(("values", name)) => return Table::Values.find(name).map(Type::Message),
            Some(("mesh", name)) => return Table::Mesh.find(name).map(Type::Message),
            Some(("kubernetes", name)) => return Table::Kubernetes.find(name).map(Type::Message),
            Some(_) => return None,
            None => {}
        }
        let declared = self.declared;
        let mut scope = Some(within);
        loop {
            let full = scope.map_or_else(|| wanted.to_owned(), |scope| format!("{scope}.{wanted}"));
            if let Some(message) = declared.get(full.as_str()) {
                return self.message(message).map(Type::Message);
            }
            if let Some(values) = self.enums.get(full.as_str()) {
                return Some(Type::Enum(values));
            }
            scope = scope?.rsplit_once('.').map(|(outer, _)| outer);
        }
    }
}

/// Whether protobuf tells an unset field of this type from an empty one.
fn has_presence(kind: &Type) -> bool {
    let is_long = matches!(kind, Type::Integer(_, most) if *most > u32::MAX.into());
    is_long || matches!(kind, Type::Any | Type::Struct | Type::Message(_) | Type::Duration | Type::IntOrString)
}
