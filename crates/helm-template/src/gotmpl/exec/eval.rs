//! Pipelines, commands, fields and variables.

use super::super::ast::{Chain, Command, Literal, Operand, Path, Pipe, Place};
use super::super::error::{ExecError, Problem};
use super::super::literal::Number;
use super::super::signature::Signature;
use super::super::usage::LEVEL;
use super::super::value::{MapKind, Value};
use super::builtins::no_bytes;
use super::call::{Arguments, Method, Target};
use super::{Slot, State, Variable};

/// The result of evaluating something.
pub(super) type Evaluated = Result<Slot, ExecError>;

impl<'t> State<'_, '_, 't> {
    /// The value of a pipeline, after setting its variables.
    pub(super) fn pipeline(&mut self, dot: &Slot, pipe: &'t Pipe) -> Evaluated {
        let deeper = self.executor.descend();
        self.within(deeper)?;
        self.within(self.executor.usage().work(LEVEL))?;
        self.place(pipe);
        let mut value: Option<Slot> = None;
        for command in &pipe.commands {
            // What comes out of a pipeline is never an interface: a nil one becomes no value.
            let slot = self.command(dot, command, value)?;
            value = Some(Slot::bare(slot.value));
        }
        let value = value.unwrap_or(Slot::INVALID);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push(Variable { name, slot: value.clone() });
            }
        }
        self.executor.ascend();
        Ok(value)
    }

    fn command(&mut self, dot: &Slot, command: &'t Command, last: Option<Slot>) -> Evaluated {
        let arguments = Arguments { nodes: &command.arguments, last };
        match &command.first {
            Operand::Field(path) => self.field_path(dot, &command.first, path, arguments),
            Operand::Chain(chain) => self.chain(dot, chain, arguments),
            Operand::Function(called) => {
                self.place(&command.first);
                let target = Target::Function(called.id);
                self.call(dot, target, command, &called.name, arguments)
            }
            Operand::Pipe(pipe) => {
                self.not_a_function(&command.first, &arguments)?;
                self.pipeline(dot, pipe)
            }
            Operand::Variable(path) => self.variable_path(dot, &command.first, path, arguments),
            constant => {
                self.place(constant.place());
                self.not_a_function(constant, &arguments)?;
                match constant {
                    Operand::Nil(_) => self.err("nil is not a command"),
                    other => self.constant(dot, other),
                }
            }
        }
    }

    /// A literal or dot where any type will do.
    pub(super) fn constant(&mut self, dot: &Slot, operand: &'t Operand) -> Evaluated {
        self.place(operand.place());
        match operand {
            Operand::Bool(literal) => Ok(Slot::bare(Value::Bool(literal.value))),
            Operand::Dot(_) => Ok(dot.clone()),
            Operand::Number(number) => self.number(number),
            Operand::String(literal) => {
                self.within(self.executor.usage().make(literal.value.text.len()))?;
                Ok(Slot::bare(Value::string(&*literal.value.text)))
            }
            other => self.err(format!("can't handle assignment of {} to empty interface argument", other.place())),
        }
    }

    fn number(&self, literal: &Literal<Number>) -> Evaluated {
        let number = &literal.value;
        if number.complex {
            return self.err(format!("complex constant {} is not supported", number.text));
        }
        match (number.float, number.int) {
            (Some(float), _) if number.is_written_as_float() => Ok(Slot::bare(Value::Float(float))),
            (_, Some(int)) => Ok(Slot::bare(Value::Int(int))),
            _ => self.err(format!("{} overflows int", number.text)),
        }
    }

    fn not_a_function(&self, first: &'t Operand, arguments: &Arguments<'t>) -> Result<(), ExecError> {
        if arguments.any() {
            return self.err(format!("can't give argument to non-function {}", first.place()));
        }
        Ok(())
    }

    /// `.a.b` with the arguments of its last name.
    pub(super) fn field_path(
        &mut self,
        dot: &Slot,
        node: &'t Operand,
        path: &'t Path,
        arguments: Arguments<'t>,
    ) -> Evaluated {
        self.place(node);
        self.fields(dot, dot.clone(), node, &path.names, arguments)
    }

    /// `$v.a.b`
    pub(super) fn variable_path(
        &mut self,
        dot: &Slot,
        node: &'t Operand,
        path: &'t Path,
        arguments: Arguments<'t>,
    ) -> Evaluated {
        self.place(node);
        let Some((name, fields)) = path.names.split_first() else {
            return self.err("a variable without a name");
        };
        let Some(variable) = self.variables.iter().rev().find(|v| v.name == name) else {
            return self.err(format!("undefined variable: {name}"));
        };
        let slot = variable.slot.clone();
        self.within(self.executor.usage().work(self.variables.len() as u64 / VARIABLES))?;
        if fields.is_empty() {
            self.not_a_function(node, &arguments)?;
            return Ok(slot);
        }
        self.fields(dot, slot, node, fields, arguments)
    }

    /// `(…).a.b`
    pub(super) fn chain(&mut self, dot: &Slot, chain: &'t Chain, arguments: Arguments<'t>) -> Evaluated {
        self.place(chain);
        let receiver = self.argument(dot, None, &chain.base)?;
        self.fields(dot, receiver, chain, &chain.names, arguments)
    }

    fn fields(
        &mut self,
        dot: &Slot,
        mut receiver: Slot,
        node: &'t dyn Place,
        names: &'t [String],
        arguments: Arguments<'t>,
    ) -> Evaluated {
        let Some((last, others)) = names.split_last() else {
            return Ok(receiver);
        };
        self.within(self.executor.usage().work(FIELD * names.len() as u64))?;
        for name in others {
            receiver = self.field(dot, &receiver, node, name, Arguments::NONE)?;
        }
        self.field(dot, &receiver, node, last, arguments)
    }

    fn field(
        &mut self,
        dot: &Slot,
        receiver: &Slot,
        node: &'t dyn Place,
        name: &'t str,
        arguments: Arguments<'t>,
    ) -> Evaluated {
        match &receiver.value {
            // A field of no value is not a value; of a nil interface it is an error.
            Value::Nil if !receiver.boxed => Ok(Slot::INVALID),
            Value::Nil => self.err(format!("nil pointer evaluating interface {{}}.{name}")),
            Value::Map(map) => {
                if map.kind() == MapKind::Values
                    && let Some(method) = self.executor.set.functions().values_method(name)
                {
                    let signature = Signature { params: method.params, variadic: method.variadic };
                    // Some of them write all values.
                    let cost = |args: &[Value]| (method.cost)(map, args);
                    let invoke = |args: &[Value]| (method.call)(map, args);
                    let method = Method { signature: Some(signature), cost: &cost, invoke: &invoke };
                    return self.call(dot, Target::Method(method), node, name, arguments);
                }
                if arguments.any() {
                    return self.err(format!("{name} is not a method but has arguments"));
                }
                Ok(Slot::entry(map.kind(), map.get(name)))
            }
            Value::Object(object) => {
                if object.has_method(name) {
                    let invoke = |args: &[Value]| {
                        object.call(name, args).unwrap_or_else(|| Err(format!("method {name} is missing")))
                    };
                    let cost = |args: &[Value]| object.price(name, args);
                    let method = Method { signature: object.method_signature(name), cost: &cost, invoke: &invoke };
                    return self.call(dot, Target::Method(method), node, name, arguments);
                }
                let is_map = object.kind_name() == "map";
                if is_map {
                    let cost = object.price(name, &[]);
                    self.within(self.executor.usage().afford(cost))?;
                    self.within(self.executor.usage().make(usize::try_from(cost.bytes).unwrap_or(usize::MAX)))?;
                }
                let missing = || if is_map { Some(no_bytes()) } else { None };
                let Some(value) = object.field(name).or_else(missing) else {
                    return self.no_field(receiver, name);
                };
                if arguments.any() {
                    let why = if is_map { "is not a method but has arguments" } else { NOT_INVOKED };
                    return self.err(format!("{name} {why}"));
                }
                Ok(Slot::result(value))
            }
            _ => self.no_field(receiver, name),
        }
    }

    fn no_field(&self, receiver: &Slot, name: &str) -> Evaluated {
        Err(self.fail(Problem::Text(format!("can't evaluate field {name} in type {}", receiver.type_name()))))
    }
}

/// The work of looking up a field.
const FIELD: u64 = 20;

/// The variables that one unit of work searches through.
const VARIABLES: u64 = 8;

const NOT_INVOKED: &str = "has arguments but cannot be invoked as function";
