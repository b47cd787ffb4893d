//! The functions that Helm adds to sprig's and that need the running engine, and the methods of `.Values`.

use super::tables;
use crate::gotmpl::{
    CallError, Cost, ExecFunction, Executor, Function, Functions, Map, MapKind, Method, Type, Value, format, price,
};
use crate::sprig;
use crate::yaml;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// How often `include` may be within itself, per name.
const MAX_INCLUDES: usize = 1000;

/// The text that Go prints for nil, and that Helm deletes.
pub const NO_VALUE: &[u8] = b"<no value>";

/// Why a [`Lookup`] has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The cluster did not answer: the same question may be answered later.
    #[error("{0}")]
    Unavailable(String),
    /// The cluster refuses to answer, or does not know the API.
    #[error("{0}")]
    Refused(String),
}

impl LookupError {
    /// Whether the same question may be answered later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<LookupError> for CallError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Unavailable(message) => Self::unavailable(message),
            LookupError::Refused(message) => Self::text(message),
        }
    }
}

/// Answers `lookup`: the objects of a cluster.
pub trait Lookup: Send + Sync {
    /// The object, or the list of objects for an empty name; an empty object if there is none.
    ///
    /// # Errors
    /// The text becomes part of the error of the render.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Map<String, serde_json::Value>, LookupError>;
}

/// No cluster: every look-up finds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

impl Lookup for Offline {
    fn lookup(
        &self,
        _: &str,
        _: &str,
        _: &str,
        _: &str,
    ) -> Result<serde_json::Map<String, serde_json::Value>, LookupError> {
        Ok(serde_json::Map::new())
    }
}

/// The state that the functions of one render share.
pub struct State {
    included: RefCell<HashMap<String, usize>>,
    lookup: Arc<dyn Lookup>,
}

impl State {
    /// The state at the start of a render.
    #[must_use]
    pub fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { included: RefCell::default(), lookup }
    }
}

/// All functions of a Helm template.
#[must_use]
pub fn functions() -> Arc<Functions> {
    static ALL: LazyLock<Arc<Functions>> = LazyLock::new(|| {
        let functions = Functions::new().with(&sprig::functions()).with(PLAIN).with_exec_functions(EXEC);
        let functions = functions.priced(sprig::PRICES);
        Arc::new(functions.with_values_methods(VALUES_METHODS))
    });
    Arc::clone(&ALL)
}

/// Host names are not resolved while rendering.
const PLAIN: &[Function] =
    &[Function { name: "getHostByName", params: &[Type::String], variadic: None, call: |_, _| Ok(Value::string("")) }];

const EXEC: &[ExecFunction] = &[
    ExecFunction { name: "include", params: &[Type::String, Type::Any], variadic: None, call: include },
    ExecFunction { name: "tpl", params: &[Type::String, Type::Any], variadic: None, call: tpl },
    ExecFunction { name: "required", params: &[Type::String, Type::Any], variadic: None, call: required },
    ExecFunction { name: "fail", params: &[Type::String], variadic: None, call: fail },
    ExecFunction { name: "lookup", params: &[Type::String; 4], variadic: None, call: lookup },
];

fn state<'e>(executor: &Executor<'e>) -> Result<&'e State, CallError> {
    executor.state().downcast_ref().ok_or_else(|| CallError::text("the render has no state"))
}

/// An argument that the evaluator has checked to be a text.
fn text(args: &[Value], at: usize) -> String {
    match args.get(at) {
        Some(Value::String(s)) => s.to_str().into_owned(),
        _ => String::new(),
    }
}

fn argument(args: &[Value], at: usize) -> Value {
    args.get(at).cloned().unwrap_or(Value::Nil)
}

fn include(executor: &mut Executor<'_>, args: &[Value]) -> Result<Value, CallError> {
    let name = text(args, 0);
    let state = state(executor)?;
    {
        let mut included = state.included.borrow_mut();
        let count = included.entry(name.clone()).or_default();
        if *count > MAX_INCLUDES {
            return Err(CallError::text(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        *count += 1;
    }
    let result = executor.execute(&name, argument(args, 1));
    if let Some(count) = state.included.borrow_mut().get_mut(&name) {
        *count -= 1;
    }
    Ok(Value::string(result?))
}

fn tpl(executor: &mut Executor<'_>, args: &[Value]) -> Result<Value, CallError> {
    const NAME: &str = "gotpl";
    let Some(Value::String(source)) = args.first() else { return Ok(Value::string("")) };
    let quoted = || String::from_utf8_lossy(&format::quote(shown(source.as_bytes()))).into_owned();
    // The templates that an outer `tpl` defined are copied.
    let copied = executor.templates().own() as u64 * 100;
    executor.usage().work(copied)?;
    let outer = executor.templates();
    let mut set = outer.clone();
    let mut parsed = set.parse(NAME, source.as_bytes());
    if parsed.is_ok() && outer.contains(NAME) {
        // Inside another `tpl` the name is taken, and a text that is blank would not replace the outer one: an action
        // that writes nothing makes it count.
        set = outer.clone();
        parsed = set.parse(NAME, [source.as_bytes(), b"{{\"\"}}"].concat());
    }
    parsed.map_err(|e| CallError::text(format!("cannot parse template {}: {e}", quoted())))?;
    let written = executor
        .execute_in(set, NAME, argument(args, 1))
        .map_err(|e| CallError::nested(format!("error during tpl function execution for {}: ", quoted()), e))?;
    Ok(Value::string(without_no_value(written)))
}

/// As much of a template as an error shows.
fn shown(source: &[u8]) -> &[u8] {
    const MOST: usize = 16 << 10;
    source.get(..MOST).unwrap_or(source)
}

/// Deletes what Go prints for nil.
#[must_use]
pub fn without_no_value(text: Vec<u8>) -> Vec<u8> {
    let (mut out, mut start) = (Vec::new(), 0);
    for at in memchr::memmem::find_iter(&text, NO_VALUE) {
        out.extend_from_slice(text.get(start..at).unwrap_or_default());
        start = at + NO_VALUE.len();
    }
    if start == 0 {
        return text;
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
    out
}

fn required(_: &mut Executor<'_>, args: &[Value]) -> Result<Value, CallError> {
    match argument(args, 1) {
        Value::Nil => Err(CallError::abort(text(args, 0))),
        Value::String(s) if s.as_bytes().is_empty() => Err(CallError::abort(text(args, 0))),
        value => Ok(value),
    }
}

fn fail(_: &mut Executor<'_>, args: &[Value]) -> Result<Value, CallError> {
    Err(CallError::abort(text(args, 0)))
}

fn lookup(executor: &mut Executor<'_>, args: &[Value]) -> Result<Value, CallError> {
    let cluster = &state(executor)?.lookup;
    let found = cluster.lookup(&text(args, 0), &text(args, 1), &text(args, 2), &text(args, 3))?;
    Ok(Value::from_json(&serde_json::Value::Object(found)))
}

/// The methods of `.Values`, `$` and `.Template`, which hide keys of the same names.
const VALUES_METHODS: &[Method] = &[
    Method { name: "YAML", params: &[], variadic: None, cost: written, call: |map, _| as_yaml(map) },
    Method { name: "Table", params: &[Type::String], variadic: None, cost: looked_up, call: table },
    Method {
        name: "AsMap",
        params: &[],
        variadic: None,
        cost: looked_up,
        call: |map, _| Ok(Value::Map(map.retyped(MapKind::Any))),
    },
    Method {
        name: "Encode",
        params: &[Type::Any],
        variadic: None,
        cost: looked_up,
        call: |_, _| Err("no writer in templates".to_owned()),
    },
    Method { name: "PathValue", params: &[Type::String], variadic: None, cost: looked_up, call: path_value },
];

/// What writing all values costs.
fn written(map: &Map, _: &[Value]) -> Cost {
    const LARGE: u64 = 1 << 30;
    let size = price::printed(&Value::Map(map.clone()), LARGE);
    Cost { work: size.saturating_mul(20), bytes: size.saturating_mul(8) }
}

/// What finding a value by its path costs.
fn looked_up(_: &Map, args: &[Value]) -> Cost {
    let length = text(args, 0).len() as u64;
    Cost { work: 100 + length * 20, bytes: length }
}

fn as_yaml(map: &Map) -> Result<Value, String> {
    let json = tables::to_json(&Value::Map(map.clone()));
    yaml::to_string(&json).map(Value::string).ok_or_else(|| "values cannot be written as YAML".to_owned())
}

fn table(map: &Map, args: &[Value]) -> Result<Value, String> {
    let path = text(args, 0);
    match tables::table(map, &path) {
        Ok(table) => Ok(Value::Map(table.retyped(MapKind::Values))),
        Err(part) => Err(format!("{} is not a table", super::text::quoted(part))),
    }
}

fn path_value(map: &Map, args: &[Value]) -> Result<Value, String> {
    let path = text(args, 0);
    if path.is_empty() {
        return Err("YAML path cannot be empty".to_owned());
    }
    let key = path.rsplit('.').next().unwrap_or(&path);
    tables::path_value(map, &path).ok_or_else(|| format!("{} is not a value", super::text::quoted(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_no_value_is_deleted() {
        for (text, want) in
            [("", ""), ("a", "a"), ("a<no value>b<no value>", "ab"), ("<no <no value>value>", "<no value>")]
        {
            assert_eq!(without_no_value(text.as_bytes().to_vec()), want.as_bytes(), "{text}");
        }
    }
}
