//! Builds syntax trees from tokens; messages are those of Go's parser.
//!
//! In: a file and the functions that it may name. Out: its templates, the file's own body among them. Guarantee: nesting is
//! limited, so that neither parsing nor dropping nor executing a tree recurses without bound; and so are the nodes of all
//! the trees of a set, since a node takes many times the bytes that it is written with.

mod control;
mod pipeline;

use super::ast::{File, FunctionId, List, Node, Template};
use super::error::ParseError;
use super::lexer::{Kind, Lexer, Token};
use std::sync::Arc;

/// How deep blocks and parentheses may be nested. Go allows 10000 parentheses and any number of blocks; no chart comes
/// near either, and this many need less than the stack of a test thread.
const MAX_NESTING: usize = 200;

/// The most nodes of all templates of a set: actions, texts, operands and templates. A node takes some 250 bytes.
pub const MAX_NODES: usize = 300_000;

/// The most bytes of the sources of a set.
const MAX_TEXT: usize = 32 << 20;

/// What may still be parsed into a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub nodes: usize,
    text: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { nodes: MAX_NODES, text: MAX_TEXT }
    }
}

/// Finds the function that a name stands for.
pub(super) type FindFunction<'a> = &'a dyn Fn(&str) -> Option<FunctionId>;

/// Parses a file into its templates.
pub(super) fn parse(
    file: &str,
    text: &[u8],
    functions: FindFunction<'_>,
    room: &mut Room,
) -> Result<Vec<Template>, ParseError> {
    if text.len() > room.text {
        let message =
            format!("more than {MAX_TEXT} bytes of templates; make them smaller, or put plain text into files");
        return Err(ParseError { file: file.to_owned(), line: 1, message });
    }
    room.text -= text.len();
    let mut shared = Shared {
        room: room.nodes,
        lexer: Lexer::new(text),
        functions,
        file: Arc::new(File { name: file.to_owned(), text: text.to_owned() }),
        templates: Vec::new(),
        nesting: 0,
    };
    let mut parser = Parser::new(&mut shared);
    let body = parser.file_body()?;
    parser.add(file.to_owned(), body)?;
    room.nodes = shared.room;
    Ok(shared.templates)
}

type Parsed<T> = Result<T, ParseError>;

/// What the parsers of a file and of the `define`s in it have in common.
struct Shared<'a> {
    lexer: Lexer<'a>,
    functions: FindFunction<'a>,
    file: Arc<File>,
    templates: Vec<Template>,
    nesting: usize,
    /// How many nodes there may still be.
    room: usize,
}

/// The parser of one template's body.
struct Parser<'s, 'a> {
    shared: &'s mut Shared<'a>,
    /// The last tokens read; the first ones of them may have been put back.
    tokens: [Token<'a>; 3],
    put_back: usize,
    /// The variables visible here.
    variables: Vec<String>,
    /// The line of the action being parsed.
    action_line: Option<usize>,
    loops: usize,
}

/// What ends a list of nodes.
enum Stop {
    End,
    /// `else`, and the position of the list that it begins.
    Else,
}

impl Stop {
    fn text(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or the end of the list.
enum Item {
    Node(Node),
    Stop(Stop),
}

impl<'s, 'a> Parser<'s, 'a> {
    fn new(shared: &'s mut Shared<'a>) -> Self {
        let none = Token { kind: Kind::Eof, pos: 0, text: b"", line: 0 };
        Self { shared, tokens: [none; 3], put_back: 0, variables: vec!["$".to_owned()], action_line: None, loops: 0 }
    }

    // Tokens: up to three can be put back.

    fn token_at(&self, index: usize) -> Token<'a> {
        let [first, second, third] = self.tokens;
        match index {
            0 => first,
            1 => second,
            _ => third,
        }
    }

    #[inline]
    fn next(&mut self) -> Token<'a> {
        if self.put_back > 0 {
            self.put_back -= 1;
            return self.token_at(self.put_back);
        }
        let token = self.shared.lexer.token();
        let [first, ..] = &mut self.tokens;
        *first = token;
        token
    }

    fn backup(&mut self) {
        self.put_back += 1;
    }

    /// Puts `first` back before the last token.
    fn backup2(&mut self, first: Token<'a>) {
        self.tokens = [self.token_at(0), first, self.token_at(2)];
        self.put_back = 2;
    }

    /// Puts `first` and `second` back before the last token.
    fn backup3(&mut self, first: Token<'a>, second: Token<'a>) {
        self.tokens = [self.token_at(0), second, first];
        self.put_back = 3;
    }

    fn peek(&mut self) -> Token<'a> {
        let token = self.next();
        self.backup();
        token
    }

    fn next_non_space(&mut self) -> Token<'a> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token<'a> {
        let token = self.next_non_space();
        self.backup();
        token
    }

    // Errors.

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError { file: self.shared.file.name.clone(), line: self.token_at(0).line, message: message.into() })
    }

    fn unexpected<T>(&self, token: &Token<'a>, context: &str) -> Parsed<T> {
        let what = self.shared.lexer.describe(token);
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {what} in {context}"));
        }
        match self.action_line {
            Some(line) if line != token.line => {
                // Go avoids "action in action".
                let joint = if what.ends_with(" action") { "" } else { " in action" };
                self.error(format!("{what}{joint} started at {}:{line}", self.shared.file.name))
            }
            _ => self.error(what),
        }
    }

    fn expect(&mut self, kinds: &[Kind], context: &str) -> Parsed<Token<'a>> {
        let token = self.next_non_space();
        if kinds.contains(&token.kind) { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// Counts nodes.
    fn take(&mut self, nodes: usize) -> Parsed<()> {
        match self.shared.room.checked_sub(nodes) {
            Some(room) => {
                self.shared.room = room;
                Ok(())
            }
            None => {
                self.error(format!("more than {MAX_NODES} actions, operands and texts in all templates; write fewer"))
            }
        }
    }

    /// Runs a part of the grammar one level deeper.
    fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.shared.nesting >= MAX_NESTING {
            return self.error("max expression depth exceeded");
        }
        self.shared.nesting += 1;
        let result = part(self);
        self.shared.nesting -= 1;
        result
    }

    // Lists of nodes.

    /// The body of the file; `define`s in it become templates of their own.
    fn file_body(&mut self) -> Parsed<List> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == Kind::Define {
                    Parser::new(self.shared).definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Stop(stop) => return self.error(format!("unexpected {}", stop.text())),
            }
        }
        Ok(List { nodes })
    }

    /// The rest of `{{define "name"}}…{{end}}`.
    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.expect(&[Kind::String, Kind::RawString], CONTEXT)?;
        let name = self.unquote(&token)?;
        self.expect(&[Kind::RightDelim], CONTEXT)?;
        self.body_of(name, CONTEXT)
    }

    /// The body of a `define` or `block` up to its `end`.
    fn body_of(&mut self, name: String, context: &str) -> Parsed<()> {
        match self.list()? {
            (root, Stop::End) => self.add(name, root),
            (_, Stop::Else) => self.error(format!("unexpected {{{{else}}}} in {context}")),
        }
    }

    /// Adds a template to those of the file; of two with one name, one must be empty.
    fn add(&mut self, name: String, root: List) -> Parsed<()> {
        // Each new template is compared with all that are there.
        self.take(1 + self.shared.templates.len() / 64)?;
        let template = Template { name, file: Arc::clone(&self.shared.file), root };
        match self.shared.templates.iter_mut().find(|t| t.name == template.name) {
            None => self.shared.templates.push(template),
            Some(old) if old.is_empty() => *old = template,
            Some(_) if template.is_empty() => {}
            Some(old) => {
                let name = super::format::quote(old.name.as_bytes());
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

    fn text_or_action(&mut self) -> Parsed<Item> {
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

    fn unquote(&self, token: &Token<'a>) -> Parsed<String> {
        match super::literal::string(token.text) {
            Some(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            None => self.error("invalid syntax"),
        }
    }
}
