//! The syntax tree of a template, and its printing.
//!
//! Every node knows where it begins in the file and prints itself as Go's parser prints its nodes, because error texts
//! quote the failing node. Nodes hold no reference-counted values, so a tree may be shared by threads.

use super::error::Location;
use super::literal::Number;
use std::fmt;
use std::sync::Arc;

/// A node as error texts need it.
pub(super) trait Place: fmt::Display {
    /// The byte at which error texts place the node.
    fn pos(&self) -> usize;
}

/// The text a template was parsed from.
pub(super) struct File {
    pub name: String,
    pub text: Vec<u8>,
}

/// A template: a file's body or a `define`.
pub(super) struct Template {
    pub name: String,
    pub file: Arc<File>,
    pub root: List,
}

impl Template {
    /// Whether the body is nothing but white space and comments.
    pub(super) fn is_empty(&self) -> bool {
        self.root.nodes.iter().all(|n| matches!(n, Node::Text(text) if is_blank(text)))
    }

    /// Where a byte of the file stands.
    pub(super) fn locate(&self, pos: usize) -> Location {
        let before = self.file.text.get(..pos).unwrap_or(&self.file.text);
        let line = 1 + newlines(before);
        let column = before.iter().rev().take_while(|b| **b != b'\n').count();
        Location { file: self.file.name.clone(), line, column }
    }
}

/// The number of line ends.
pub(super) fn newlines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// Go's `bytes.TrimSpace` leaves nothing.
fn is_blank(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|t| t.chars().all(char::is_whitespace))
}

/// A sequence of nodes.
pub(super) struct List {
    pub nodes: Vec<Node>,
}

/// A part of a template's body.
pub(super) enum Node {
    Text(Box<[u8]>),
    Action(Box<Action>),
    Break,
    Continue,
    If(Box<Branch>),
    Range(Box<Branch>),
    With(Box<Branch>),
    Template(Box<Invocation>),
}

/// `{{ pipeline }}`
pub(super) struct Action {
    pub pos: usize,
    pub pipe: Pipe,
}

/// `if`, `range` or `with`.
pub(super) struct Branch {
    pub keyword: &'static str,
    pub pos: usize,
    pub pipe: Pipe,
    pub body: List,
    pub otherwise: Option<List>,
}

/// `{{ template "name" pipeline }}`
pub(super) struct Invocation {
    pub pos: usize,
    pub name: String,
    pub pipe: Option<Pipe>,
}

/// `$a, $b := command | command`
pub(super) struct Pipe {
    pub pos: usize,
    /// The variables are assigned (`=`), not declared.
    pub assigns: bool,
    pub variables: Vec<String>,
    pub commands: Vec<Command>,
}

/// An operand, possibly a function or method, and its arguments.
pub(super) struct Command {
    pub pos: usize,
    pub first: Operand,
    pub arguments: Vec<Operand>,
}

/// What stands between blanks in a command.
pub(super) enum Operand {
    Bool(Literal<bool>),
    Dot(Literal<()>),
    Nil(Literal<()>),
    Number(Box<Literal<Number>>),
    String(Literal<Quoted>),
    Field(Path),
    Variable(Path),
    Function(Box<Called>),
    Chain(Box<Chain>),
    Pipe(Box<Pipe>),
}

/// A constant.
pub(super) struct Literal<T> {
    pub pos: usize,
    pub value: T,
}

/// A string as written and as meant.
pub(super) struct Quoted {
    pub source: String,
    pub text: Box<[u8]>,
}

/// `.a.b`, or `$v.a.b` with the variable's name first.
pub(super) struct Path {
    pub pos: usize,
    pub names: Vec<String>,
}

/// Which of the functions of its set of templates a name stands for.
#[derive(Clone, Copy)]
pub(super) struct FunctionId(pub(super) usize);

/// A function by name.
pub(super) struct Called {
    pub pos: usize,
    pub name: String,
    pub id: FunctionId,
}

/// `(…).a.b`
pub(super) struct Chain {
    pub pos: usize,
    pub base: Operand,
    pub names: Vec<String>,
}

impl Operand {
    /// The node itself, for error texts.
    pub(super) fn place(&self) -> &dyn Place {
        match self {
            Self::Pipe(pipe) => &**pipe,
            _ => self,
        }
    }
}

impl Place for Operand {
    fn pos(&self) -> usize {
        match self {
            Self::Bool(l) => l.pos,
            Self::Dot(l) | Self::Nil(l) => l.pos,
            Self::Number(l) => l.pos,
            Self::String(l) => l.pos,
            Self::Field(p) | Self::Variable(p) => p.pos,
            Self::Function(f) => f.pos,
            Self::Chain(c) => c.pos,
            Self::Pipe(p) => p.pos,
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(l) => write!(f, "{}", l.value),
            Self::Dot(_) => f.write_str("."),
            Self::Nil(_) => f.write_str("nil"),
            Self::Number(l) => f.write_str(&l.value.text),
            Self::String(l) => f.write_str(&l.value.source),
            Self::Field(p) => dotted(f, &p.names),
            Self::Variable(p) => f.write_str(&p.names.join(".")),
            Self::Function(c) => f.write_str(&c.name),
            Self::Chain(c) => write!(f, "{c}"),
            // In a command and before a chain a pipeline is printed with parentheses.
            Self::Pipe(p) => write!(f, "({p})"),
        }
    }
}

fn dotted(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl Place for Chain {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)?;
        dotted(f, &self.names)
    }
}

impl Place for Command {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

impl Place for Pipe {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if i > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl Place for Action {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{}}}}}", self.pipe)
    }
}

impl Place for Invocation {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = super::format::quote(self.name.as_bytes());
        write!(f, "{{{{template {}", String::from_utf8_lossy(&name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl Place for Branch {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{} {}}}}}{}", self.keyword, self.pipe, self.body)?;
        if let Some(list) = &self.otherwise {
            write!(f, "{{{{else}}}}{list}")?;
        }
        f.write_str("{{end}}")
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| write!(f, "{node}"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Self::Action(action) => write!(f, "{action}"),
            Self::Break => f.write_str("{{break}}"),
            Self::Continue => f.write_str("{{continue}}"),
            Self::If(branch) | Self::Range(branch) | Self::With(branch) => write!(f, "{branch}"),
            Self::Template(invocation) => write!(f, "{invocation}"),
        }
    }
}
