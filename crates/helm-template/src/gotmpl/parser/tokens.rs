//! The parser as it reads tokens: what is put back, errors, and the limits.

use super::super::ast::{File, FunctionId, Template};
use super::super::error::ParseError;
use super::super::lexer::{Kind, Lexer, Token};
use super::super::literal;
use std::sync::Arc;

/// How deep blocks and parentheses may be nested. Go allows 10000 parentheses and any number of blocks; no chart comes
/// near either, and this many need less than the stack of a test thread.
const MAX_NESTING: usize = 200;

/// The most nodes of all templates of a set: actions, texts, operands and templates. A node takes some 250 bytes.
pub const MAX_NODES: usize = 300_000;

/// Finds the function that a name stands for.
pub(in crate::gotmpl) type FindFunction<'a> = &'a dyn Fn(&str) -> Option<FunctionId>;

pub(super) type Parsed<T> = Result<T, ParseError>;

/// What the parsers of a file and of the `define`s in it have in common.
pub(super) struct Shared<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) functions: FindFunction<'a>,
    pub(super) file: Arc<File>,
    pub(super) templates: Vec<Template>,
    pub(super) nesting: usize,
    /// How many nodes there may still be.
    pub(super) room: usize,
}

/// The parser of one template's body.
pub(super) struct Parser<'s, 'a> {
    pub(super) shared: &'s mut Shared<'a>,
    /// The last tokens read; the first ones of them may have been put back.
    pub(super) tokens: [Token<'a>; 3],
    pub(super) put_back: usize,
    /// The variables visible here.
    pub(super) variables: Vec<String>,
    /// The line of the action being parsed.
    pub(super) action_line: Option<usize>,
    pub(super) loops: usize,
}

impl<'s, 'a> Parser<'s, 'a> {
    pub(super) fn new(shared: &'s mut Shared<'a>) -> Self {
        let none = Token { kind: Kind::Eof, pos: 0, text: b"", line: 0 };
        Self { shared, tokens: [none; 3], put_back: 0, variables: vec!["$".to_owned()], action_line: None, loops: 0 }
    }

    // Tokens: up to three can be put back.

    pub(super) fn token_at(&self, index: usize) -> Token<'a> {
        let [first, second, third] = self.tokens;
        match index {
            0 => first,
            1 => second,
            _ => third,
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Token<'a> {
        if self.put_back > 0 {
            self.put_back -= 1;
            return self.token_at(self.put_back);
        }
        let token = self.shared.lexer.token();
        let [first, ..] = &mut self.tokens;
        *first = token;
        token
    }

    pub(super) fn backup(&mut self) {
        self.put_back += 1;
    }

    /// Puts `first` back before the last token.
    pub(super) fn backup2(&mut self, first: Token<'a>) {
        self.tokens = [self.token_at(0), first, self.token_at(2)];
        self.put_back = 2;
    }

    /// Puts `first` and `second` back before the last token.
    pub(super) fn backup3(&mut self, first: Token<'a>, second: Token<'a>) {
        self.tokens = [self.token_at(0), second, first];
        self.put_back = 3;
    }

    pub(super) fn peek(&mut self) -> Token<'a> {
        let token = self.next();
        self.backup();
        token
    }

    pub(super) fn next_non_space(&mut self) -> Token<'a> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self) -> Token<'a> {
        let token = self.next_non_space();
        self.backup();
        token
    }

    // Errors.

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError { file: self.shared.file.name.clone(), line: self.token_at(0).line, message: message.into() })
    }

    pub(super) fn unexpected<T>(&self, token: &Token<'a>, context: &str) -> Parsed<T> {
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

    pub(super) fn expect(&mut self, kinds: &[Kind], context: &str) -> Parsed<Token<'a>> {
        let token = self.next_non_space();
        if kinds.contains(&token.kind) { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// Counts nodes.
    pub(super) fn take(&mut self, nodes: usize) -> Parsed<()> {
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
    pub(super) fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.shared.nesting >= MAX_NESTING {
            return self.error("max expression depth exceeded");
        }
        self.shared.nesting += 1;
        let result = part(self);
        self.shared.nesting -= 1;
        result
    }

    pub(super) fn unquote(&self, token: &Token<'a>) -> Parsed<String> {
        match literal::string(token.text) {
            Some(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            None => self.error("invalid syntax"),
        }
    }
}
