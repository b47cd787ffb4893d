//! The nodes of a template's body.

use super::super::ast::{Branch, Invocation, List, Node, Place, Template};
use super::super::error::{ExecError, Failure, Problem, quoted_node};
use super::super::format;
use super::super::price::{Measure, Price, ResultSize};
use super::super::usage::Exhausted;
use super::super::value::Value;
use super::{Executor, Slot, State, Variable};
use std::sync::Arc;

/// What is printed without a function.
const PRINTED: Price = Price { base: 0, measure: Measure::Trees, work: 4, bytes: 4, result: ResultSize::NotCounted };

/// What is walked by `range`, of which a copy is made.
const WALKED: Price = Price { base: 0, measure: Measure::Items, work: 12, bytes: 48, result: ResultSize::NotCounted };

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Through,
    Break,
    Continue,
}

/// Executes a template's body, writing to the executor.
pub(super) fn run(executor: &mut Executor<'_>, template: &Template, data: Slot) -> Result<(), ExecError> {
    let dot = data.clone();
    let mut state = State { executor, template, at: None, variables: vec![Variable { name: "$", slot: data }] };
    state.list(&dot, &template.root).map(|_| ())
}

impl<'t> State<'_, '_, 't> {
    /// The error of the node being evaluated.
    #[cold]
    pub(super) fn fail(&self, problem: impl Into<Problem>) -> ExecError {
        let problem = problem.into();
        let (pos, node) = self.at.map_or((0, String::new()), |node| (node.pos(), quoted_node(&node)));
        ExecError::At(Box::new(Failure {
            location: self.template.locate(pos),
            template: self.template.name.clone(),
            node,
            problem,
        }))
    }

    /// As [`fail`](Self::fail), for a result.
    pub(super) fn err<T>(&self, text: impl Into<String>) -> Result<T, ExecError> {
        Err(self.fail(Problem::Text(text.into())))
    }

    pub(super) fn within(&self, budget: Result<(), Exhausted>) -> Result<(), ExecError> {
        budget.map_err(|e| self.fail(e))
    }

    pub(super) fn place(&mut self, node: &'t dyn Place) {
        self.at = Some(node);
    }

    fn list(&mut self, dot: &Slot, list: &'t List) -> Result<Flow, ExecError> {
        let deeper = self.executor.descend();
        self.within(deeper)?;
        for node in &list.nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::Through {
                self.executor.ascend();
                return Ok(flow);
            }
        }
        self.executor.ascend();
        Ok(Flow::Through)
    }

    fn node(&mut self, dot: &Slot, node: &'t Node) -> Result<Flow, ExecError> {
        match node {
            Node::Text(text) => {
                let before = self.executor.out.len();
                self.executor.out.extend_from_slice(text);
                let budget = self.executor.account(before);
                self.within(budget)?;
            }
            Node::Action(action) => {
                self.place(&**action);
                let slot = self.pipeline(dot, &action.pipe)?;
                if action.pipe.variables.is_empty() {
                    self.place(&**action);
                    self.print(&slot.value)?;
                }
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::If(branch) => return self.conditional(dot, branch, false),
            Node::With(branch) => return self.conditional(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(invocation) => self.invoke(dot, invocation)?,
        }
        Ok(Flow::Through)
    }

    fn print(&mut self, value: &Value) -> Result<(), ExecError> {
        if matches!(value, Value::List(_) | Value::Map(_) | Value::Object(_)) {
            self.within(PRINTED.pay(self.executor.usage(), std::slice::from_ref(value)))?;
        }
        let out = &mut self.executor.out;
        let before = out.len();
        match value {
            Value::Nil => out.extend_from_slice(b"<no value>"),
            Value::String(text) => out.extend_from_slice(text.as_bytes()),
            Value::Object(object) => out.extend_from_slice(object.display().as_bytes()),
            other => format::display_to(other, out),
        }
        let budget = self.executor.account(before);
        self.within(budget)
    }

    fn conditional(&mut self, dot: &Slot, branch: &'t Branch, with: bool) -> Result<Flow, ExecError> {
        let visible = self.variables.len();
        self.place(branch);
        let slot = self.pipeline(dot, &branch.pipe)?;
        let flow = if slot.value.is_true() {
            self.list(if with { &slot } else { dot }, &branch.body)
        } else if let Some(list) = &branch.otherwise {
            self.list(dot, list)
        } else {
            Ok(Flow::Through)
        };
        self.variables.truncate(visible);
        flow
    }

    fn range(&mut self, dot: &Slot, branch: &'t Branch) -> Result<Flow, ExecError> {
        let visible = self.variables.len();
        self.place(branch);
        let slot = self.pipeline(dot, &branch.pipe)?;
        let ran = self.passes(branch, &slot.value)?;
        let flow = match (&branch.otherwise, ran) {
            (Some(list), false) => self.list(dot, list),
            _ => Ok(Flow::Through),
        };
        self.variables.truncate(visible);
        // In Go a `break` in the `else` part ends this loop, a `continue` there continues the one around it.
        flow.map(|flow| if flow == Flow::Break { Flow::Through } else { flow })
    }

    /// Runs the body for every element; whether there was any.
    fn passes(&mut self, branch: &'t Branch, value: &Value) -> Result<bool, ExecError> {
        match value {
            Value::Nil => Ok(false),
            Value::Int(n) => self.count(branch, *n, Value::Int),
            Value::Int64(n) => self.count(branch, *n, Value::Int64),
            Value::Uint64(n) => {
                let most = i64::try_from(*n).unwrap_or(i64::MAX);
                self.count(branch, most, |i| Value::Uint64(i.unsigned_abs()))
            }
            Value::List(list) => {
                let kind = list.kind();
                let length = list.len();
                for i in 0..length {
                    // The list may have been changed meanwhile; Go's slices keep their length.
                    let item = Slot::item(kind, list.get(i).unwrap_or(Value::Nil));
                    let index = Slot::bare(Value::Int(i64::try_from(i).unwrap_or(i64::MAX)));
                    if self.pass(branch, index, item)? == Flow::Break {
                        break;
                    }
                }
                Ok(length > 0)
            }
            Value::Map(map) => {
                self.within(WALKED.pay(self.executor.usage(), std::slice::from_ref(value)))?;
                let entries = map.snapshot();
                let ran = !entries.is_empty();
                for (key, value) in entries {
                    let item = Slot::entry(map.kind(), Some(value));
                    if self.pass(branch, Slot::bare(Value::String(key)), item)? == Flow::Break {
                        break;
                    }
                }
                Ok(ran)
            }
            Value::Object(object) if object.entry_count().is_some() => {
                self.within(PRINTED.pay(self.executor.usage(), std::slice::from_ref(value)))?;
                self.within(self.executor.usage().make(usize::try_from(object.weight()).unwrap_or(usize::MAX)))?;
                let entries = object.entries().unwrap_or_default();
                let ran = !entries.is_empty();
                for (key, value) in entries {
                    if self.pass(branch, Slot::bare(Value::String(key)), Slot::bare(value))? == Flow::Break {
                        break;
                    }
                }
                Ok(ran)
            }
            other => {
                self.within(PRINTED.pay(self.executor.usage(), std::slice::from_ref(other)))?;
                let shown = format::display(other);
                self.err(format!("range can't iterate over {}", String::from_utf8_lossy(&shown)))
            }
        }
    }

    /// A loop over the numbers below `n`.
    fn count(&mut self, branch: &'t Branch, n: i64, value: fn(i64) -> Value) -> Result<bool, ExecError> {
        if branch.pipe.variables.len() > 1 {
            return self.err(format!("can't use {n} to iterate over more than one variable"));
        }
        for i in 0..n {
            if self.pass(branch, Slot::INVALID, Slot::bare(value(i)))? == Flow::Break {
                break;
            }
        }
        Ok(n > 0)
    }

    /// One pass of a loop.
    fn pass(&mut self, branch: &'t Branch, index: Slot, item: Slot) -> Result<Flow, ExecError> {
        let budget = self.executor.usage().iterate();
        self.within(budget)?;
        let mark = self.variables.len();
        let dot = item.clone();
        match branch.pipe.variables.as_slice() {
            [] => {}
            [only] if branch.pipe.assigns => self.assign(only, item)?,
            [_] => self.set_top(1, item),
            [first, second, ..] if branch.pipe.assigns => {
                self.assign(first, index)?;
                self.assign(second, item)?;
            }
            [_, _, ..] => {
                self.set_top(1, item);
                self.set_top(2, index);
            }
        }
        let flow = self.list(&dot, &branch.body)?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// Sets the n-th variable from the end.
    fn set_top(&mut self, n: usize, slot: Slot) {
        if let Some(variable) = self.variables.iter_mut().rev().nth(n - 1) {
            variable.slot = slot;
        }
    }

    pub(super) fn assign(&mut self, name: &str, slot: Slot) -> Result<(), ExecError> {
        match self.variables.iter_mut().rev().find(|v| v.name == name) {
            Some(variable) => {
                variable.slot = slot;
                Ok(())
            }
            None => self.err(format!("undefined variable: {name}")),
        }
    }

    fn invoke(&mut self, dot: &Slot, invocation: &'t Invocation) -> Result<(), ExecError> {
        self.place(invocation);
        let Some(template) = self.executor.set.get(&invocation.name).map(Arc::clone) else {
            let name = format::quote(invocation.name.as_bytes());
            return self.err(format!("template {} not defined", String::from_utf8_lossy(&name)));
        };
        let budget = self.executor.enter();
        self.within(budget)?;
        let argument = match &invocation.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Slot::INVALID,
        };
        let result = run(self.executor, &template, argument);
        self.executor.leave();
        result
    }
}
