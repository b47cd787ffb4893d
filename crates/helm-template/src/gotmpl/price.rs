//! What calling a function costs, worked out from its arguments before it runs.
//!
//! In: a row of a price table and the arguments. Out: a [`Cost`], or the error that the budgets do not allow the call.
//! Guarantees: what a function makes is known before it makes it; a value that occurs several times within another is
//! counted as often as it would be printed, and the counting itself ends where the budgets end.

use super::usage::{Cost, Exhausted, Usage};
use super::value::{Document, ListKind, Value};

/// Which size of the arguments the cost of a call grows with.
#[derive(Clone, Copy)]
pub enum Measure {
    /// None: every call costs the same.
    Constant,
    /// The bytes of the arguments that are strings.
    Texts,
    /// The items of the arguments that are lists or maps, and the bytes of those that are strings.
    Items,
    /// The size of the arguments with all that is in them, printed and indented.
    Trees,
    /// As `Trees`, but every map is written with the keys that lead to it.
    Paths,
    /// The function's own rule tells work and bytes.
    Rule(fn(&[Value]) -> Cost),
}

/// How much of a function's result counts as made by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ResultSize {
    /// Nothing: the result is a number or a bool, or was there before.
    NotCounted,
    /// The string, or the list or map without what is in it.
    Shallow,
    /// The result with everything in it.
    Deep,
    /// The bytes that the price names.
    AsPriced,
}

/// What a call costs.
#[derive(Clone, Copy)]
pub struct Price {
    /// Units of work of every call.
    pub base: u64,
    /// What the rest grows with.
    pub measure: Measure,
    /// Units of work for each unit of the measure.
    pub work: u64,
    /// The most bytes that each unit of the measure takes while the function runs.
    pub bytes: u64,
    /// How much of the result counts as made.
    pub result: ResultSize,
}

/// The rows of a price table: names of functions, and what each of them costs.
pub type Prices = [(&'static [&'static str], Price)];

/// The price of functions that no table names.
pub(super) static USUAL: Price =
    Price { base: 100, measure: Measure::Trees, work: 10, bytes: 16, result: ResultSize::Deep };

/// What a value takes besides its bytes: a list's item, a text's head.
const ITEM: u64 = 24;
/// What a map's entry takes besides its key's bytes.
const ENTRY: u64 = 100;
/// What a map takes that has any entry.
const MAP: u64 = 500;
/// Values that contain themselves are deeper than this; all functions stop there.
const MAX_DEPTH: u64 = 501;

impl Price {
    /// Pays for a call.
    ///
    /// # Errors
    /// The budgets do not allow it: the function must not run.
    #[inline]
    pub(super) fn pay(&self, usage: &Usage, arguments: &[Value]) -> Result<(), Exhausted> {
        if let Measure::Constant = self.measure { usage.work(self.base) } else { self.pay_measured(usage, arguments) }
    }

    fn pay_measured(&self, usage: &Usage, arguments: &[Value]) -> Result<(), Exhausted> {
        let by_text = |v: &Value| if let Value::String(s) = v { s.as_bytes().len() as u64 } else { 0 };
        let size = match self.measure {
            Measure::Constant => 0,
            Measure::Rule(rule) => {
                let cost = rule(arguments);
                usage.afford(Cost { work: cost.work.saturating_add(self.base), bytes: cost.bytes })?;
                return match self.result {
                    ResultSize::AsPriced => usage.make(usize::try_from(cost.bytes).unwrap_or(usize::MAX)),
                    _ => Ok(()),
                };
            }
            Measure::Texts => arguments.iter().map(by_text).sum(),
            Measure::Items => arguments.iter().map(|v| by_text(v) + items(v)).sum(),
            Measure::Trees => self.tree(usage, arguments, false)?,
            Measure::Paths => self.tree(usage, arguments, true)?,
        };
        let work = size.saturating_mul(self.work).saturating_add(self.base);
        usage.afford(Cost { work, bytes: size.saturating_mul(self.bytes) })
    }

    /// Measures whole values. What the measuring itself takes is paid too.
    fn tree(&self, usage: &Usage, arguments: &[Value], paths: bool) -> Result<u64, Exhausted> {
        let is_scalar = |v: &Value| !matches!(v, Value::List(_) | Value::Map(_) | Value::Object(_));
        if arguments.iter().all(is_scalar) {
            let size = |v: &Value| if let Value::String(s) = v { s.as_bytes().len() as u64 } else { 0 };
            return Ok(arguments.iter().map(|v| ITEM + size(v)).sum());
        }
        let spent = usage.spent();
        let budgets = usage.budgets();
        let most = |left: u64, each: u64| left.checked_div(each).unwrap_or(u64::MAX);
        let work = most(budgets.work.saturating_sub(spent.work), self.work.max(1));
        let limit = work.min(most(budgets.bytes.saturating_sub(spent.bytes), self.bytes));
        let mut meter = Meter { total: 0, nodes: 0, limit, paths };
        for value in arguments {
            meter.value(value, 0, 0);
        }
        usage.work(meter.nodes * 2)?;
        Ok(meter.total)
    }

    /// Counts what a function has made.
    ///
    /// # Errors
    /// It is too much.
    #[inline]
    pub(super) fn settle(&self, usage: &Usage, result: &Value) -> Result<(), Exhausted> {
        match self.result {
            ResultSize::NotCounted | ResultSize::AsPriced => Ok(()),
            _ => self.settle_made(usage, result),
        }
    }

    fn settle_made(&self, usage: &Usage, result: &Value) -> Result<(), Exhausted> {
        let bytes = match (self.result, result) {
            (ResultSize::NotCounted | ResultSize::AsPriced, _) => return Ok(()),
            (_, Value::String(s)) => s.as_bytes().len() as u64 + ITEM,
            (ResultSize::Shallow, Value::Map(map)) => {
                let mut bytes = MAP;
                map.each(|key, _| {
                    bytes += ENTRY + key.as_bytes().len() as u64;
                    true
                });
                bytes
            }
            (ResultSize::Shallow, other) => items(other) * ITEM,
            (ResultSize::Deep, other) => weight(other, usage.budgets().bytes),
        };
        usage.make(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// The items of a list or map.
fn items(value: &Value) -> u64 {
    match value {
        Value::List(list) => list.len() as u64,
        Value::Map(map) => map.len() as u64,
        _ => 0,
    }
}

/// The size of a value's printed form with all that is in it, up to a limit.
#[must_use]
pub fn printed(value: &Value, limit: u64) -> u64 {
    let mut meter = Meter { total: 0, nodes: 0, limit, paths: false };
    meter.value(value, 0, 0);
    meter.total
}

/// The bytes that a value takes in memory with all that is in it, up to a limit.
#[must_use]
pub fn weight(value: &Value, limit: u64) -> u64 {
    weigh(value, limit, 0)
}

/// The bytes that a JSON object will take in memory as a map of [`Value`]s.
#[must_use]
pub fn weight_of_json(object: &serde_json::Map<String, serde_json::Value>) -> u64 {
    use serde_json::Value as Json;
    fn weigh(value: &Json) -> u64 {
        match value {
            Json::String(s) => s.len() as u64,
            Json::Array(items) => items.iter().map(|item| ITEM + weigh(item)).sum(),
            Json::Object(object) => MAP + weight_of_json(object),
            Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        }
    }
    object.iter().map(|(key, value)| ENTRY + key.len() as u64 + weigh(value)).sum()
}

fn weigh(value: &Value, limit: u64, depth: u64) -> u64 {
    let mut total = 0_u64;
    if depth > MAX_DEPTH {
        return total;
    }
    match value {
        Value::String(s) => total = s.as_bytes().len() as u64,
        Value::List(list) if list.kind() == ListKind::Any || list.kind() == ListKind::Strings => {
            list.each(|item| {
                total += ITEM + weigh(item, limit.saturating_sub(total), depth + 1);
                total <= limit
            });
        }
        Value::List(list) => total = list.len() as u64 * ITEM,
        Value::Map(map) => {
            total = MAP;
            if let Some(unread) = map.unread(weight_of_json) {
                return total.saturating_add(unread);
            }
            map.each(|key, item| {
                total += ENTRY + key.as_bytes().len() as u64 + weigh(item, limit.saturating_sub(total), depth + 1);
                total <= limit
            });
        }
        _ => {}
    }
    total
}

/// Counts the bytes of a value's printed form.
struct Meter {
    total: u64,
    nodes: u64,
    /// Where counting stops.
    limit: u64,
    paths: bool,
}

impl Meter {
    fn is_over(&self) -> bool {
        self.total > self.limit
    }

    /// `path` is the length of the keys that lead here.
    fn value(&mut self, value: &Value, depth: u64, path: u64) {
        // A scalar takes a line of its own, indented.
        self.total += ITEM + 2 * depth + if self.paths { path } else { 0 };
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::String(s) => self.total += s.as_bytes().len() as u64,
            Value::List(list) if list.kind() == ListKind::Bytes || list.kind() == ListKind::Ints => {
                self.total += list.len() as u64 * (ITEM + 2 * depth);
            }
            Value::List(list) => list.each(|item| {
                self.value(item, depth + 1, path);
                !self.is_over()
            }),
            Value::Map(map) if map.unread(|entries| self.entries(entries, depth, path)).is_some() => {}
            Value::Map(map) => map.each(|key, item| {
                let length = key.as_bytes().len() as u64;
                self.total += length;
                self.value(item, depth + 1, path + length + 1);
                !self.is_over()
            }),
            Value::Object(object) => self.total += object.weight(),
            _ => {}
        }
    }

    /// The same of what was read and nobody has looked into.
    fn document(&mut self, value: &serde_json::Value, depth: u64, path: u64) {
        self.total += ITEM + 2 * depth + if self.paths { path } else { 0 };
        self.nodes += 1;
        match value {
            serde_json::Value::String(s) => self.total += s.len() as u64,
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.document(item, depth + 1, path)),
            serde_json::Value::Object(entries) => self.entries(entries, depth, path),
            _ => {}
        }
    }

    fn entries(&mut self, entries: &Document, depth: u64, path: u64) {
        for (key, item) in entries {
            let length = key.len() as u64;
            self.total += length;
            self.document(item, depth + 1, path + length + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::usage::Budgets;
    use super::*;
    use crate::gotmpl::{Map, MapKind};

    fn doubled(times: usize) -> Value {
        (0..times).fold(Value::Int(1), |v, _| Value::map([("l", v.clone()), ("r", v)]))
    }

    #[test]
    fn what_is_shared_counts_as_often_as_it_is_printed() {
        let usage = Usage::new(Budgets::default());
        let small = USUAL.tree(&usage, &[doubled(3)], false).unwrap();
        let large = USUAL.tree(&usage, &[doubled(10)], false).unwrap();
        assert!(large > 100 * small, "{small} {large}");
        let ended = USUAL.pay(&usage, &[doubled(100)]);
        assert!(ended.is_err());
    }

    #[test]
    fn a_map_that_contains_itself_is_measured() {
        let map = Map::new(MapKind::Any);
        map.set("self", Value::Map(map.clone()));
        assert_eq!(USUAL.pay(&Usage::default(), &[Value::Map(map.clone())]), Ok(()));
        map.set("again", Value::Map(map.clone()));
        assert!(USUAL.pay(&Usage::default(), &[Value::Map(map)]).is_err());
    }
}
