//! Text to tokens, with the grammar of libyaml, which yaml.v2 shares.
//!
//! The one difficulty of YAML's tokens: whether a scalar is a key is only known at the `:` behind it. Hence a possible key
//! is remembered, tokens are held back while it may still become one, and a key token is put in front of it then. The
//! scanner also knows the indentation and makes start and end tokens of it.

use std::collections::VecDeque;

use super::error::YamlError;
use super::source::{Mark, Source, is_blank, is_blank_or_end};

/// Longest distance between the start of a key and its `:`.
const KEY_REACH: usize = 1024;

/// A token and where it starts.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: Mark,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    StreamEnd,
    Version { major: u32, minor: u32 },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, plain: bool },
}

/// What may turn out to be a key.
#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token: usize,
    mark: Mark,
}

pub(super) type Scan<T> = Result<T, YamlError>;

/// Makes tokens on demand.
pub(super) struct Scanner<'t> {
    pub(super) source: Source<'t>,
    tokens: VecDeque<Token>,
    /// Tokens handed out so far.
    taken: usize,
    ended: bool,
    pub(super) flow_level: usize,
    /// Indentation of the innermost block collection, -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    pub(super) key_allowed: bool,
    /// One possible key per flow level.
    keys: Vec<SimpleKey>,
    /// Token number and flow level of possible keys; a handful at most.
    keys_by_token: Vec<(usize, usize)>,
    /// The first token is known not to become a key any more.
    ready: bool,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            source: Source::new(text),
            tokens: VecDeque::new(),
            taken: 0,
            ended: false,
            flow_level: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![SimpleKey::default()],
            keys_by_token: Vec::new(),
            ready: false,
        }
    }

    /// The next token without taking it. At the end of the text it is the end token, again and again.
    pub(super) fn peek(&mut self) -> Scan<&Token> {
        while !self.ready && self.needs_more()? && !self.ended {
            let fetched = self.fetch();
            if self.source.meets_forbidden() {
                return Err(YamlError::reader("control characters are not allowed"));
            }
            fetched?;
        }
        self.ready = true;
        if self.tokens.is_empty() {
            self.push(TokenKind::StreamEnd, self.source.mark());
        }
        self.tokens.front().ok_or_else(|| YamlError::reader("found unexpected end of stream"))
    }

    /// Takes the token that [`Self::peek`] showed.
    pub(super) fn take(&mut self) -> Option<Token> {
        self.taken += 1;
        self.ready = false;
        self.tokens.pop_front()
    }

    fn needs_more(&mut self) -> Scan<bool> {
        if self.tokens.is_empty() {
            return Ok(true);
        }
        match self.keys_by_token.iter().find(|(token, _)| *token == self.taken) {
            Some((_, level)) => self.key_is_valid(*level),
            None => Ok(false),
        }
    }

    pub(super) fn fail<T>(&self, problem: &str) -> Scan<T> {
        Err(YamlError::scanner(self.source.mark(), problem))
    }

    pub(super) fn push(&mut self, kind: TokenKind, start: Mark) {
        self.tokens.push_back(Token { kind, start });
    }

    /// Column that a continued plain scalar or a block scalar must reach.
    pub(super) fn content_column(&self) -> usize {
        usize::try_from(self.indent + 1).unwrap_or(0)
    }

    pub(super) fn parent_indent(&self) -> Option<usize> {
        usize::try_from(self.indent).ok()
    }

    fn fetch(&mut self) -> Scan<()> {
        self.skip_to_token();
        let mark = self.source.mark();
        self.unroll(isize::try_from(mark.column).unwrap_or(isize::MAX));
        let (c, next) = (self.source.current(), self.source.peek(1));
        let flow = self.flow_level > 0;
        match c {
            '\0' => self.stream_end(),
            '%' if mark.column == 0 => self.directive(),
            '-' if self.source.at_document_marker('-') => self.document_marker(TokenKind::DocumentStart),
            '.' if self.source.at_document_marker('.') => self.document_marker(TokenKind::DocumentEnd),
            '[' => self.flow_start(TokenKind::FlowSequenceStart),
            '{' => self.flow_start(TokenKind::FlowMappingStart),
            ']' => self.flow_end(TokenKind::FlowSequenceEnd),
            '}' => self.flow_end(TokenKind::FlowMappingEnd),
            ',' => self.indicator(TokenKind::FlowEntry, true),
            '-' if is_blank_or_end(next) => self.block_entry(),
            '?' if flow || is_blank_or_end(next) => self.key(),
            ':' if flow || is_blank_or_end(next) => self.value(),
            '*' | '&' => {
                self.save_key()?;
                self.key_allowed = false;
                self.anchor(c == '*')
            }
            '!' => {
                self.save_key()?;
                self.key_allowed = false;
                self.tag()
            }
            '|' | '>' if !flow => {
                self.remove_key()?;
                self.key_allowed = true;
                self.block_scalar(c == '|')
            }
            '\'' | '"' => {
                self.save_key()?;
                self.key_allowed = false;
                self.quoted_scalar(c == '\'')
            }
            _ if starts_plain(c, next, flow) => {
                self.save_key()?;
                self.key_allowed = false;
                self.plain_scalar()
            }
            _ => self.fail("found character that cannot start any token"),
        }
    }

    /// Moves over blanks, comments and line breaks. A TAB is not a blank where it could be taken for indentation.
    fn skip_to_token(&mut self) {
        loop {
            let tabs = self.flow_level > 0 || !self.key_allowed;
            self.source.take_while(|c, _| c == ' ' || (tabs && c == '\t'));
            self.source.skip_comment();
            if self.source.line_break().is_none() {
                return;
            }
            if self.flow_level == 0 {
                self.key_allowed = true;
            }
        }
    }

    fn key_is_valid(&mut self, level: usize) -> Scan<bool> {
        let mark = self.source.mark();
        let Some(key) = self.keys.get_mut(level).filter(|key| key.possible) else { return Ok(false) };
        if key.mark.line < mark.line || key.mark.index + KEY_REACH < mark.index {
            if key.required {
                return self.fail("could not find expected ':'");
            }
            key.possible = false;
            let token = key.token;
            self.forget(token);
            return Ok(false);
        }
        Ok(true)
    }

    fn forget(&mut self, key: usize) {
        self.keys_by_token.retain(|(token, _)| *token != key);
    }

    fn save_key(&mut self) -> Scan<()> {
        if !self.key_allowed {
            return Ok(());
        }
        let mark = self.source.mark();
        let required = self.flow_level == 0 && self.parent_indent() == Some(mark.column);
        let token = self.taken + self.tokens.len();
        self.remove_key()?;
        let level = self.keys.len() - 1;
        if let Some(key) = self.keys.last_mut() {
            *key = SimpleKey { possible: true, required, token, mark };
        }
        self.keys_by_token.push((token, level));
        Ok(())
    }

    fn remove_key(&mut self) -> Scan<()> {
        let Some(key) = self.keys.last_mut().filter(|key| key.possible) else { return Ok(()) };
        if key.required {
            return self.fail("could not find expected ':'");
        }
        key.possible = false;
        let token = key.token;
        self.forget(token);
        Ok(())
    }

    /// Starts a block collection if this column is deeper than the current one. `token`: the number of the token before
    /// which it starts, the end of the queue if none.
    fn roll(&mut self, column: usize, token: Option<usize>, kind: TokenKind, start: Mark) {
        let column = isize::try_from(column).unwrap_or(isize::MAX);
        if self.flow_level > 0 || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        let place = token.map_or(self.tokens.len(), |token| token.saturating_sub(self.taken).min(self.tokens.len()));
        self.tokens.insert(place, Token { kind, start });
    }

    /// Ends block collections that are deeper than this column.
    fn unroll(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(TokenKind::BlockEnd, self.source.mark());
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn stream_end(&mut self) -> Scan<()> {
        self.source.finish_line();
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        self.ended = true;
        self.push(TokenKind::StreamEnd, self.source.mark());
        Ok(())
    }

    fn directive(&mut self) -> Scan<()> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        self.scan_directive()
    }

    fn document_marker(&mut self, kind: TokenKind) -> Scan<()> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.source.mark();
        (0..3).for_each(|_| self.source.skip());
        self.push(kind, start);
        Ok(())
    }

    /// A one-character token that ends a possible key.
    fn indicator(&mut self, kind: TokenKind, key_allowed: bool) -> Scan<()> {
        self.remove_key()?;
        self.key_allowed = key_allowed;
        self.one_character(kind);
        Ok(())
    }

    fn one_character(&mut self, kind: TokenKind) {
        let start = self.source.mark();
        self.source.skip();
        self.push(kind, start);
    }

    fn flow_start(&mut self, kind: TokenKind) -> Scan<()> {
        self.save_key()?;
        let token = self.taken + self.tokens.len();
        self.keys.push(SimpleKey { token, mark: self.source.mark(), ..SimpleKey::default() });
        self.flow_level += 1;
        self.key_allowed = true;
        self.one_character(kind);
        Ok(())
    }

    fn flow_end(&mut self, kind: TokenKind) -> Scan<()> {
        self.remove_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(key) = self.keys.pop() {
                self.forget(key.token);
            }
        }
        self.key_allowed = false;
        self.one_character(kind);
        Ok(())
    }

    fn block_entry(&mut self) -> Scan<()> {
        if self.flow_level == 0 {
            if !self.key_allowed {
                return self.fail("block sequence entries are not allowed in this context");
            }
            let mark = self.source.mark();
            self.roll(mark.column, None, TokenKind::BlockSequenceStart, mark);
        }
        self.indicator(TokenKind::BlockEntry, true)
    }

    fn key(&mut self) -> Scan<()> {
        if self.flow_level == 0 {
            if !self.key_allowed {
                return self.fail("mapping keys are not allowed in this context");
            }
            let mark = self.source.mark();
            self.roll(mark.column, None, TokenKind::BlockMappingStart, mark);
        }
        self.indicator(TokenKind::Key, self.flow_level == 0)
    }

    fn value(&mut self) -> Scan<()> {
        let level = self.keys.len() - 1;
        if self.key_is_valid(level)? {
            let key = self.keys.last().copied().unwrap_or_default();
            let place = key.token.saturating_sub(self.taken).min(self.tokens.len());
            self.tokens.insert(place, Token { kind: TokenKind::Key, start: key.mark });
            self.roll(key.mark.column, Some(key.token), TokenKind::BlockMappingStart, key.mark);
            if let Some(key) = self.keys.last_mut() {
                key.possible = false;
            }
            self.forget(key.token);
            self.key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.key_allowed {
                    return self.fail("mapping values are not allowed in this context");
                }
                let mark = self.source.mark();
                self.roll(mark.column, None, TokenKind::BlockMappingStart, mark);
            }
            self.key_allowed = self.flow_level == 0;
        }
        self.one_character(TokenKind::Value);
        Ok(())
    }
}

fn starts_plain(c: char, next: char, flow: bool) -> bool {
    let indicator = matches!(
        c,
        '-' | '?'
            | ':'
            | ','
            | '['
            | ']'
            | '{'
            | '}'
            | '#'
            | '&'
            | '*'
            | '!'
            | '|'
            | '>'
            | '\''
            | '"'
            | '%'
            | '@'
            | '`'
    );
    let ordinary = !is_blank_or_end(c) && !indicator;
    ordinary || (c == '-' && !is_blank(next)) || (!flow && matches!(c, '?' | ':') && !is_blank_or_end(next))
}
