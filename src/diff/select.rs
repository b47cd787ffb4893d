//! Which objects and fields are compared, and by which names.
//!
//! A pattern is `KIND:NAMESPACE:NAME`, as with upstream's `manifest diff`: a part that is empty, missing or `*` is anything, and a
//! `*` within a part is any characters. `KIND:NAMESPACE:NAME:PATH` is a field of such objects, with all that is in it.

use super::fields::{below, id, is_below, key_of};
use crate::api::suggest;
use crate::object::ObjectKey;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Why a flag is not a list of patterns.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// It has too many parts.
    #[error("{0:?} must be KIND:NAMESPACE:NAME, such as Deployment:istio-system:* (to ignore a field: and :PATH)")]
    Parts(String),
    /// It is not a pair.
    #[error("{0:?} must be OLD->NEW, such as Service:*:istiod->Service:*:istiod-canary")]
    Pair(String),
}

/// Objects, or a field of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    kind: String,
    namespace: String,
    name: String,
    path: Option<String>,
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let mut parts = text.trim().splitn(4, ':').map(|part| part.trim().to_owned());
        let mut next = || parts.next().unwrap_or_default();
        let (kind, namespace, name) = (next(), next(), next());
        let path = parts.next().map(|path| format!(".{}", path.trim_start_matches('.')));
        Self { kind, namespace, name, path }
    }

    fn finds(&self, keys: &BTreeSet<ObjectKey>) -> bool {
        self.is_everything() || keys.iter().any(|key| self.fits(key))
    }

    fn is_everything(&self) -> bool {
        [&self.kind, &self.namespace, &self.name].into_iter().all(|part| part.is_empty() || part == "*")
    }

    fn fits(&self, key: &ObjectKey) -> bool {
        let parts = [(&self.kind, &key.kind), (&self.namespace, &key.namespace), (&self.name, &key.name)];
        parts.into_iter().all(|(pattern, text)| pattern.is_empty() || is_like(pattern, text))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.namespace, self.name)
    }
}

/// So many objects are named where a pattern fits none.
const NAMED: usize = 8;

/// Whether a text is what a pattern with `*` says.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.filter_map(|at| text.get(at..)).any(|tail| is_like(rest, tail))
}

/// What is compared; by default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    select: Vec<Pattern>,
    ignore: Vec<Pattern>,
    rename: Vec<(Pattern, Pattern)>,
}

impl Selection {
    /// From the three flags, each a list separated by commas.
    ///
    /// # Errors
    /// It is not a pattern.
    pub fn parse(select: &str, ignore: &str, rename: &str) -> Result<Self, PatternError> {
        let items = |list: &'_ str| -> Vec<String> {
            list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let whole = |text: &str| match Pattern::parse(text) {
            Pattern { path: Some(_), .. } => Err(PatternError::Parts(text.to_owned())),
            pattern => Ok(pattern),
        };
        let pair = |text: &String| {
            let (old, new) = text.split_once("->").ok_or_else(|| PatternError::Pair(text.clone()))?;
            Ok((whole(old)?, whole(new)?))
        };
        Ok(Self {
            select: items(select).iter().map(|text| whole(text)).collect::<Result<_, _>>()?,
            ignore: items(ignore).iter().map(|text| Pattern::parse(text)).collect(),
            rename: items(rename).iter().map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// Whether an object is compared.
    #[must_use]
    pub fn includes(&self, key: &ObjectKey) -> bool {
        let is_selected = self.select.is_empty() || self.select.iter().any(|pattern| pattern.fits(key));
        is_selected && !self.ignore.iter().any(|pattern| pattern.path.is_none() && pattern.fits(key))
    }

    /// The patterns for what is to be compared that fit none of these objects, each with what there is near it: a sentence.
    /// Nothing of a selection that is of everything.
    #[must_use]
    pub fn without_objects(&self, keys: &BTreeSet<ObjectKey>) -> Vec<String> {
        unfit(self.select.iter(), keys)
    }

    /// The same of what is to be left out.
    #[must_use]
    pub fn ignored_without_objects(&self, keys: &BTreeSet<ObjectKey>) -> Vec<String> {
        unfit(self.ignore.iter(), keys)
    }

    /// The same of what is to be renamed, among the objects of the first side.
    #[must_use]
    pub fn renamed_without_objects(&self, before: &BTreeSet<ObjectKey>) -> Vec<String> {
        unfit(self.rename.iter().map(|(old, _)| old), before)
    }

    /// Whether something else than everything is to be compared, and of that there is nothing among these objects.
    #[must_use]
    pub fn selects_nothing(&self, keys: &BTreeSet<ObjectKey>) -> bool {
        !self.select.is_empty() && !self.select.iter().any(|pattern| pattern.finds(keys))
    }

    /// The fields of an object that are not compared.
    fn paths(&self, key: &ObjectKey) -> Vec<&str> {
        self.ignore.iter().filter(|p| p.fits(key)).filter_map(|pattern| pattern.path.as_deref()).collect()
    }

    /// The key by which an object of the first side is compared.
    #[must_use]
    pub fn renamed(&self, key: ObjectKey) -> ObjectKey {
        let Some((_, new)) = self.rename.iter().find(|(old, _)| old.fits(&key)) else { return key };
        let or = |new: &String, old: String| if new.is_empty() || new == "*" { old } else { new.clone() };
        ObjectKey {
            kind: or(&new.kind, key.kind),
            namespace: or(&new.namespace, key.namespace),
            name: or(&new.name, key.name),
            group: key.group,
        }
    }

    /// Gives the second side those fields of the first that are ignored, so that they do not differ.
    pub(super) fn carry_over(&self, key: &ObjectKey, before: &Value, after: &mut Value) {
        let paths = self.paths(key);
        if !paths.is_empty() {
            carry(&paths, "", before, after);
        }
    }
}

/// The patterns that fit none of these objects, each with what there is near it: a sentence.
fn unfit<'p>(patterns: impl Iterator<Item = &'p Pattern>, keys: &BTreeSet<ObjectKey>) -> Vec<String> {
    let unfit = patterns.filter(|pattern| !pattern.finds(keys));
    unfit.map(|pattern| format!("{pattern} fits no object{}", near(pattern, keys))).collect()
}

/// What there is near a pattern that fits nothing, as the end of a sentence: kinds, or the objects of its kind.
fn near(pattern: &Pattern, keys: &BTreeSet<ObjectKey>) -> String {
    let is_kind = |key: &&ObjectKey| pattern.kind.is_empty() || is_like(&pattern.kind, &key.kind);
    let alike: Vec<&ObjectKey> = keys.iter().filter(is_kind).collect();
    if alike.is_empty() {
        let kinds: BTreeSet<&str> = keys.iter().map(|key| key.kind.as_str()).collect();
        let hint = suggest::hint(&pattern.kind, kinds.iter().copied());
        return if kinds.is_empty() {
            ": there are no objects".to_owned()
        } else if hint.is_empty() {
            format!("; the kinds here are {}", kinds.into_iter().collect::<Vec<_>>().join(", "))
        } else {
            hint
        };
    }
    let names = suggest::nearest(&pattern.name, alike.iter().map(|key| key.name.as_str()));
    let namesakes: Vec<&ObjectKey> = alike.iter().copied().filter(|key| names.contains(&key.name)).collect();
    let shown = if namesakes.is_empty() { alike } else { namesakes };
    let told: Vec<String> = shown.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match shown.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; there are {}{more}", told.join(", "))
}

fn is_ignored(paths: &[&str], at: &str) -> bool {
    paths.iter().any(|path| is_below(at, path) || (path.contains('*') && is_like(path, at)))
}

fn carry(paths: &[&str], at: &str, before: &Value, after: &mut Value) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => carry_map(paths, at, before, after),
        (Value::Array(before), Value::Array(after)) => {
            let key = key_of(before, after);
            for (i, item) in after.iter_mut().enumerate() {
                let name = key.and_then(|key| Some((key, id(item, key)?)));
                let (old, at) = match &name {
                    Some((key, name)) => {
                        let old = before.iter().find(|old| id(old, key).as_ref() == Some(name));
                        (old, format!("{at}[{key}:{name}]"))
                    }
                    None => (before.get(i), format!("{at}[{i}]")),
                };
                match old {
                    Some(old) if is_ignored(paths, &at) => item.clone_from(old),
                    Some(old) => carry(paths, &at, old, item),
                    None => {}
                }
            }
        }
        _ => {}
    }
}

fn carry_map(paths: &[&str], at: &str, before: &Map<String, Value>, after: &mut Map<String, Value>) {
    after.retain(|name, _| before.contains_key(name) || !is_ignored(paths, &below(at, name)));
    for (name, old) in before {
        let at = below(at, name);
        if is_ignored(paths, &at) {
            after.insert(name.clone(), old.clone());
        } else if let Some(new) = after.get_mut(name) {
            carry(paths, &at, old, new);
        }
    }
}
