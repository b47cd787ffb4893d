//! Calls of functions and methods, and the types of their arguments.

use super::super::ast::{FunctionId, Operand, Place};
use super::super::error::{CallError, ExecError, Problem};
use super::super::price::{Measure, Price};
use super::super::signature::{Signature, Type};
use super::super::usage::{Cost, Exhausted, LEVEL};
use super::super::value::{ListKind, MapKind, Value};
use super::builtins::{Builtin, Code};
use super::eval::Evaluated;
use super::functions::{Callable, Callee};
use super::{Slot, State};

/// The arguments of a command: those written, and the value piped in.
pub(super) struct Arguments<'t> {
    pub nodes: &'t [Operand],
    pub last: Option<Slot>,
}

impl Arguments<'_> {
    pub(super) const NONE: Self = Self { nodes: &[], last: None };

    /// Whether there is any argument.
    pub(super) fn any(&self) -> bool {
        !self.nodes.is_empty() || self.last.is_some()
    }

    fn len(&self) -> usize {
        self.nodes.len() + usize::from(self.last.is_some())
    }
}

/// What a call gives: the function's result or error, unless its arguments or the budgets fail first.
type Called = Result<Result<Slot, CallError>, ExecError>;

/// What is called.
#[derive(Clone, Copy)]
pub(super) enum Target<'f> {
    Function(FunctionId),
    /// A method, whose arguments are only checked if its signature is known.
    Method(Method<'f>),
}

/// A method of some value.
#[derive(Clone, Copy)]
pub(super) struct Method<'f> {
    pub signature: Option<Signature>,
    pub cost: &'f dyn Fn(&[Value]) -> Cost,
    pub invoke: &'f dyn Fn(&[Value]) -> Result<Value, String>,
}

impl<'t> State<'_, '_, 't> {
    /// Calls `target` after evaluating its arguments; `node` is at fault if it reports an error.
    pub(super) fn call(
        &mut self,
        dot: &Slot,
        target: Target<'_>,
        node: &'t dyn Place,
        name: &'t str,
        arguments: Arguments<'t>,
    ) -> Evaluated {
        let deeper = self.executor.descend();
        self.within(deeper)?;
        let result = match target {
            Target::Method(method) => self.method(dot, method, node, name, arguments)?,
            Target::Function(id) => match self.executor.set.functions().get(id) {
                Some(Callable { code: Callee::Plain(function), price }) => {
                    let signature = Signature { params: function.params, variadic: function.variadic };
                    let values = values(self.arguments(dot, signature, name, arguments)?);
                    self.pay(price, &values, node)?;
                    let result = (function.call)(self.executor.host(), &values);
                    self.settle(price, result.map_err(|text| self.reported(text)))?
                }
                Some(Callable { code: Callee::Exec(function), price }) => {
                    let signature = Signature { params: function.params, variadic: function.variadic };
                    let values = values(self.arguments(dot, signature, name, arguments)?);
                    self.pay(price, &values, node)?;
                    let result = (function.call)(self.executor, &values);
                    self.settle(price, result)?
                }
                Some(Callable { code: Callee::Builtin(builtin), price }) => {
                    self.builtin(dot, (builtin, price), node, name, arguments)?
                }
                None => return self.err(format!("function {name} is not one of this set of templates")),
            },
        };
        self.executor.ascend();
        result.map_err(|error| {
            self.place(node);
            self.fail(Problem::Calling { function: name.to_owned(), error })
        })
    }

    fn method(
        &mut self,
        dot: &Slot,
        method: Method<'_>,
        node: &'t dyn Place,
        name: &str,
        arguments: Arguments<'t>,
    ) -> Called {
        let any = Signature { params: &[], variadic: Some(Type::Any) };
        let values = values(self.arguments(dot, method.signature.unwrap_or(any), name, arguments)?);
        let cost = (method.cost)(&values);
        self.bought(self.executor.usage().afford(cost), node)?;
        let result = (method.invoke)(&values);
        self.within(self.executor.usage().make(usize::try_from(cost.bytes).unwrap_or(usize::MAX)))?;
        Ok(result.map(Slot::result).map_err(|text| self.reported(text)))
    }

    /// What a function reported, which is a text only; a budget that ran out inside of it is still known to be one.
    #[cold]
    fn reported(&self, text: String) -> CallError {
        match self.executor.usage().ran_out() {
            Some(exhausted) => CallError::exhausted(text, exhausted),
            None => CallError::text(text),
        }
    }

    /// Pays for a call that is about to be made.
    fn pay(&mut self, price: &Price, arguments: &[Value], node: &'t dyn Place) -> Result<(), ExecError> {
        self.bought(price.pay(self.executor.usage(), arguments), node)
    }

    /// If the budgets do not allow a call, the error is placed at the call; all other errors are placed as if there were no
    /// prices.
    fn bought(&mut self, paid: Result<(), Exhausted>, node: &'t dyn Place) -> Result<(), ExecError> {
        paid.map_err(|exhausted| {
            self.place(node);
            self.fail(exhausted)
        })
    }

    /// Counts what a call has made.
    fn settle(&self, price: &Price, result: Result<Value, CallError>) -> Called {
        if let Ok(value) = &result {
            self.within(price.settle(self.executor.usage(), value))?;
        }
        Ok(result.map(Slot::result))
    }

    fn builtin(
        &mut self,
        dot: &Slot,
        (builtin, price): (&Builtin, &Price),
        node: &'t dyn Place,
        name: &str,
        arguments: Arguments<'t>,
    ) -> Called {
        match builtin.code {
            Code::And => self.decide(dot, false, name, arguments).map(Ok),
            Code::Or => self.decide(dot, true, name, arguments).map(Ok),
            Code::Plain(code) => {
                let slots = self.arguments(dot, builtin.signature, name, arguments)?;
                let paid = match price.measure {
                    Measure::Constant => self.executor.usage().work(price.base),
                    _ => price.pay(self.executor.usage(), &slots.iter().map(|s| s.value.clone()).collect::<Vec<_>>()),
                };
                self.bought(paid, node)?;
                let result = code(&slots).map_err(CallError::from);
                if let Ok(slot) = &result {
                    self.within(price.settle(self.executor.usage(), &slot.value))?;
                }
                Ok(result)
            }
            Code::Call => {
                let written = arguments.nodes.first().map(|node| node.place().to_string());
                let slots = self.arguments(dot, builtin.signature, name, arguments)?;
                let callee = slots.first().unwrap_or(&Slot::INVALID);
                if callee.is_nil() {
                    return Ok(Err(CallError::text("call of nil")));
                }
                let type_name = callee.value.type_name();
                let named = written.unwrap_or_else(|| match &callee.value {
                    Value::String(s) => s.to_str().into_owned(),
                    _ => format!("<{type_name} Value>"),
                });
                Ok(Err(CallError::text(format!("non-function {named} of type {type_name}"))))
            }
        }
    }

    /// `and` and `or`: the first argument whose truth is `wanted`, or else the last one.
    fn decide(&mut self, dot: &Slot, wanted: bool, name: &str, arguments: Arguments<'t>) -> Evaluated {
        if !arguments.any() {
            return self.err(format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        self.within(self.executor.usage().work(LEVEL + ARGUMENT * arguments.len() as u64))?;
        let mut slot = Slot::INVALID;
        for node in arguments.nodes {
            slot = self.argument(dot, Some(Type::Reflect), node)?;
            if slot.value.is_true() == wanted {
                return Ok(slot);
            }
        }
        Ok(arguments.last.unwrap_or(slot))
    }

    /// Evaluates, counts and checks arguments.
    fn arguments(
        &mut self,
        dot: &Slot,
        signature: Signature,
        name: &str,
        arguments: Arguments<'t>,
    ) -> Result<Vec<Slot>, ExecError> {
        let Signature { params, variadic } = signature;
        let count = arguments.len();
        if variadic.is_some() && count < params.len() {
            let (want, got) = (params.len(), arguments.nodes.len());
            return self.err(format!("wrong number of args for {name}: want at least {want} got {got}"));
        }
        if variadic.is_none() && count != params.len() {
            return self.err(format!("wrong number of args for {name}: want {} got {count}", params.len()));
        }
        self.within(self.executor.usage().work(LEVEL + ARGUMENT * count as u64))?;
        let expected = |i: usize| params.get(i).copied().or(variadic).unwrap_or(Type::Any);
        let mut slots = Vec::with_capacity(count);
        for (i, node) in arguments.nodes.iter().enumerate() {
            slots.push(self.argument(dot, Some(expected(i)), node)?);
        }
        if let Some(last) = arguments.last {
            slots.push(self.check(last, Some(expected(count - 1)))?);
        }
        Ok(slots)
    }

    /// Evaluates an argument for a parameter of some type; without a type any value is fine.
    pub(super) fn argument(&mut self, dot: &Slot, expected: Option<Type>, node: &'t Operand) -> Evaluated {
        self.place(node.place());
        let slot = match node {
            Operand::Dot(_) => dot.clone(),
            Operand::Nil(_) => {
                let expected = expected.unwrap_or(Type::Any);
                return match zero(expected) {
                    Some(slot) => Ok(slot),
                    None => self.err(format!("cannot assign nil to {}", expected.name())),
                };
            }
            Operand::Field(path) => self.field_path(dot, node, path, Arguments::NONE)?,
            Operand::Variable(path) => self.variable_path(dot, node, path, Arguments::NONE)?,
            Operand::Pipe(pipe) => self.pipeline(dot, pipe)?,
            Operand::Function(called) => {
                self.call(dot, Target::Function(called.id), node, &called.name, Arguments::NONE)?
            }
            Operand::Chain(chain) => self.chain(dot, chain, Arguments::NONE)?,
            literal => return self.literal(dot, expected.unwrap_or(Type::Any), literal),
        };
        self.check(slot, expected)
    }

    /// A literal for a parameter of some type.
    fn literal(&mut self, dot: &Slot, expected: Type, node: &'t Operand) -> Evaluated {
        let found = |what: &str| format!("expected {what}; found {node}");
        let (value, what) = match (expected, node) {
            (Type::Any | Type::Reflect, _) => return self.constant(dot, node),
            (Type::Bool, Operand::Bool(l)) => (Some(Value::Bool(l.value)), "bool"),
            (Type::Bool, _) => (None, "bool"),
            (Type::String, Operand::String(l)) => {
                self.within(self.executor.usage().make(l.value.text.len()))?;
                (Some(Value::string(&*l.value.text)), "string")
            }
            (Type::String, _) => (None, "string"),
            (Type::Int, Operand::Number(l)) => (l.value.int.map(Value::Int), "integer"),
            (Type::Int64, Operand::Number(l)) => (l.value.int.map(Value::Int64), "integer"),
            (Type::Int | Type::Int64, _) => (None, "integer"),
            (Type::Uint32, Operand::Number(l)) => (l.value.uint.map(|u| Value::Uint64(u & 0xFFFF_FFFF)), UNSIGNED),
            (Type::Uint32, _) => (None, UNSIGNED),
            (Type::Float, Operand::Number(l)) => (l.value.float.map(Value::Float), "float"),
            (Type::Float, _) => (None, "float"),
            (Type::Map | Type::List | Type::Time | Type::Certificate, _) => {
                return self.err(format!("can't handle {node} for arg of type {}", expected.name()));
            }
        };
        match value {
            Some(value) => Ok(Slot::bare(value)),
            None => self.err(found(what)),
        }
    }

    /// Whether a value may be given for a parameter, as Go's reflection decides.
    fn check(&self, slot: Slot, expected: Option<Type>) -> Evaluated {
        let Some(expected) = expected else {
            return Ok(slot);
        };
        if slot.is_invalid() {
            return zero(expected)
                .ok_or_else(|| self.fail(Problem::Text(format!("invalid value; expected {}", expected.name()))));
        }
        let value = match (expected, slot.value) {
            (Type::Any | Type::Reflect, value) => return Ok(Slot { value, boxed: slot.boxed }),
            // A named map type is assignable to its underlying type, and then is of that type.
            (Type::Map, Value::Map(map)) if map.kind() == MapKind::Values => Value::Map(map.retyped(MapKind::Any)),
            (_, value) if fits(&value, expected) => value,
            (_, value) => {
                let got = if matches!(value, Value::Nil) { Type::Any.name() } else { value.type_name() };
                return self.err(format!("wrong type for value; expected {}; got {got}", expected.name()));
            }
        };
        Ok(Slot::bare(value))
    }
}

/// The work of evaluating an argument, besides what it calls.
const ARGUMENT: u64 = 20;

const UNSIGNED: &str = "unsigned integer";

fn values(slots: Vec<Slot>) -> Vec<Value> {
    slots.into_iter().map(|slot| slot.value).collect()
}

/// Whether a value has exactly the type of a parameter.
fn fits(value: &Value, expected: Type) -> bool {
    match (expected, value) {
        (Type::Any | Type::Reflect, _)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Int64, Value::Int64(_))
        | (Type::Float, Value::Float(_))
        | (Type::String, Value::String(_)) => true,
        (Type::Map, Value::Map(map)) => map.kind() == MapKind::Any,
        (Type::List, Value::List(list)) => list.kind() == ListKind::Any,
        (Type::Time | Type::Certificate, Value::Object(object)) => object.type_name() == expected.name(),
        _ => false,
    }
}

/// What nil is for a parameter: only types that can be nil have it. A nil map or list is given as an empty one.
fn zero(expected: Type) -> Option<Slot> {
    match expected {
        Type::Any => Some(Slot::boxed(Value::Nil)),
        Type::Reflect => Some(Slot::INVALID),
        Type::Map => Some(Slot::bare(Value::map::<&str>([]))),
        Type::List => Some(Slot::bare(Value::list(Vec::new()))),
        _ => None,
    }
}
