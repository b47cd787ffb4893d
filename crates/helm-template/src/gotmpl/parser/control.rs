//! Lists of texts, actions and blocks.

use super::super::ast::{Action, Branch, Invocation, List, Node, Template};
use super::super::lexer::{Kind, Token};
use super::tokens::{Parsed, Parser};
use std::sync::Arc;

/// What ends a list of nodes.
pub(super) enum Stop {
    End,
    /// `else`, and the position of the list that it begins.
    Else,
}

impl Stop {
    pub(super) fn text(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or the end of the list.
pub(super) enum Item {
    Node(Node),
    Stop(Stop),
}

impl<'a> Parser<'_, 'a> {
    /// The body of a `define` or `block` up to its `end`.
    pub(super) fn body_of(&mut self, name: String, context: &str) -> Parsed<()> {
        match self.list()? {
            (root, Stop::End) => self.add(name, root),
            (_, Stop::Else) => self.error(format!("unexpected {{{{else}}}} in {context}")),
        }
    }

    /// Adds a template to those of the file; of two with one name, one must be empty.
    pub(super) fn add(&mut self, name: String, root: List) -> Parsed<()> {
        // Each new template is compared with all that are there.
        self.take(1 + self.shared.templates.len() / 64)?;
        let template = Template { name, file: Arc::clone(&self.shared.file), root };
        match self.shared.templates.iter_mut().find(|t| t.name == template.name) {
            None => self.shared.templates.push(template),
            Some(old) if old.is_empty() => *old = template,
            Some(_) if template.is_empty() => {}
            Some(old) => {
                let name = super::super::format::quote(old.name.as_bytes());
                let name = String::from_utf8_lossy(&name).into_owned();
                return self.error(format!("template: multiple definition of template {name}"));
            }
        }
        Ok(())
    }

    /// Nodes up to `end` or `else`.
    fn list(&mut self) -> Parsed<(List, Stop)> {
        let mut nodes = Vec::new();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Stop(stop) => {
                    nodes.shrink_to_fit();
                    return Ok((List { nodes }, stop));
                }
            }
        }
        self.error("unexpected EOF")
    }

    pub(super) fn text_or_action(&mut self) -> Parsed<Item> {
        self.take(1)?;
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text.into()))),
            Kind::LeftDelim => {
                self.action_line = Some(token.line);
                let item = self.action();
                self.action_line = None;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    /// What follows `{{`.
    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.leave_loop("{{break}}", Node::Break)?,
            Kind::Continue => self.leave_loop("{{continue}}", Node::Continue)?,
            Kind::Else => return self.otherwise(),
            Kind::End => {
                self.expect(&[Kind::RightDelim], "end")?;
                return Ok(Item::Stop(Stop::End));
            }
            Kind::If => Node::If(Box::new(self.branch("if")?)),
            Kind::Range => Node::Range(Box::new(self.branch("range")?)),
            Kind::With => Node::With(Box::new(self.branch("with")?)),
            Kind::Template => self.template()?,
            _ => {
                self.backup();
                let pos = self.peek().pos;
                Node::Action(Box::new(Action { pos, pipe: self.pipeline("command", Kind::RightDelim)? }))
            }
        };
        Ok(Item::Node(node))
    }

    fn leave_loop(&mut self, what: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, what);
        }
        if self.loops == 0 {
            return self.error(format!("{what} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn otherwise(&mut self) -> Parsed<Item> {
        // In `else if` and `else with` the second word stays for the block.
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(&[Kind::RightDelim], "else")?;
        }
        Ok(Item::Stop(Stop::Else))
    }

    fn branch(&mut self, keyword: &'static str) -> Parsed<Branch> {
        let visible = self.variables.len();
        let branch = self.nested(|p| p.branch_parts(keyword));
        self.variables.truncate(visible);
        branch
    }

    fn branch_parts(&mut self, keyword: &'static str) -> Parsed<Branch> {
        let pipe = self.pipeline(keyword, Kind::RightDelim)?;
        self.loops += usize::from(keyword == "range");
        let body = self.list();
        self.loops -= usize::from(keyword == "range");
        let (body, stop) = body?;
        let otherwise = match stop {
            Stop::End => None,
            Stop::Else => Some(self.else_list(keyword)?),
        };
        Ok(Branch { keyword, pos: pipe.pos, pipe, body, otherwise })
    }

    fn else_list(&mut self, keyword: &str) -> Parsed<List> {
        let chained = match (keyword, self.peek().kind) {
            ("if", Kind::If) => "if",
            ("with", Kind::With) => "with",
            _ => {
                return match self.list()? {
                    (list, Stop::End) => Ok(list),
                    (_, Stop::Else) => self.error("expected end; found {{else}}"),
                };
            }
        };
        self.next();
        let branch = Box::new(self.branch(chained)?);
        Ok(List { nodes: vec![if chained == "if" { Node::If(branch) } else { Node::With(branch) }] })
    }

    /// `{{block "name" pipeline}}…{{end}}`: a `define` and its use.
    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        self.nested(|p| Parser::new(p.shared).body_of(name.clone(), CONTEXT))?;
        Ok(Node::Template(Box::new(Invocation { pos: token.pos, name, pipe: Some(pipe) })))
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = if self.next_non_space().kind == Kind::RightDelim {
            None
        } else {
            self.backup();
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(Box::new(Invocation { pos: token.pos, name, pipe })))
    }

    fn template_name(&mut self, token: &Token<'a>, context: &str) -> Parsed<String> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquote(token),
            _ => self.unexpected(token, context),
        }
    }
}
