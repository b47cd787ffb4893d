//! Builds syntax trees from tokens; messages are those of Go's parser.
//!
//! In: a file and the functions that it may name. Out: its templates, the file's own body among them. Guarantee: nesting is
//! limited, so that neither parsing nor dropping nor executing a tree recurses without bound; and so are the nodes of all
//! the trees of a set, since a node takes many times the bytes that it is written with.

mod control;
mod pipeline;
mod tokens;

use super::ast::{File, List, Template};
use super::error::ParseError;
use super::lexer::{Kind, Lexer};
use control::Item;
use std::sync::Arc;
use tokens::{Parsed, Parser, Shared};

pub(super) use tokens::FindFunction;
pub use tokens::MAX_NODES;

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

impl Parser<'_, '_> {
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
}
