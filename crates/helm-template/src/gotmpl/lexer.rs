//! Cuts a template file into tokens, with Go's rules for trim markers, comments and the ends of words.
//!
//! In: the bytes of a file. Out: one token at a time, each with its position and line; a syntax error is a token too.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Assign,
    Declare,
    Pipe,
    Char,
    LeftParen,
    RightParen,
    Bool,
    CharConstant,
    Complex,
    Number,
    String,
    RawString,
    Dot,
    Nil,
    Field,
    Variable,
    Identifier,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl Kind {
    fn keyword(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"block" => Self::Block,
            b"break" => Self::Break,
            b"continue" => Self::Continue,
            b"define" => Self::Define,
            b"else" => Self::Else,
            b"end" => Self::End,
            b"if" => Self::If,
            b"nil" => Self::Nil,
            b"range" => Self::Range,
            b"template" => Self::Template,
            b"with" => Self::With,
            b"true" | b"false" => Self::Bool,
            _ => return None,
        })
    }

    fn is_keyword(self) -> bool {
        use Kind::{Block, Break, Continue, Define, Dot, Else, End, If, Nil, Range, Template, With};
        matches!(self, Dot | Block | Break | Continue | Define | Else | End | If | Nil | Range | Template | With)
    }
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    /// Its first byte.
    pub pos: usize,
    /// Its bytes; of an error, those at fault, if the message quotes any.
    pub text: &'a [u8],
    /// The line it begins on.
    pub line: usize,
}

/// What a token of kind `Error` complains about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Plain(&'static str),
    BadNumber,
    BadCharacter(char),
    UnknownCharacter(char),
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&super::format::quote(text)).into_owned()
}

impl Lexer<'_> {
    /// A token as a syntax error names it. Only the last token can be an error.
    pub(super) fn describe(&self, token: &Token<'_>) -> String {
        match token.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => match self.fault {
                Fault::Plain(message) => message.to_owned(),
                Fault::BadNumber => format!("bad number syntax: {}", quoted(token.text)),
                Fault::BadCharacter(c) => format!("bad character {}", code_point(c)),
                Fault::UnknownCharacter(c) => format!("unrecognized character in action: {}", code_point(c)),
            },
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(token.text)),
            _ if token.text.len() > 10 => {
                let end = runes(token.text).nth(10).map_or(token.text.len(), |(at, _)| at);
                format!("{}...", quoted(token.text.get(..end).unwrap_or(token.text)))
            }
            _ => quoted(token.text),
        }
    }
}

/// Go's `%#U`.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if super::format::is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// The characters of a text with their positions; a byte that is not UTF-8 is U+FFFD.
fn runes(text: &[u8]) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (c, width) = super::format::decode_rune(text.get(at..)?)?;
        at += width;
        Some((at - width, c))
    })
}

/// The lexer's state: a position in the file and whether it is inside an action.
pub(super) struct Lexer<'a> {
    input: &'a [u8],
    pos: usize,
    start: usize,
    /// The line of `start`.
    line: usize,
    parens: usize,
    in_action: bool,
    /// What is wrong, once a token is an error.
    fault: Fault,
}

const LEFT: [u8; 2] = *b"{{";
const RIGHT: [u8; 2] = *b"}}";
const OPEN_COMMENT: [u8; 2] = *b"/*";
const CLOSE_COMMENT: [u8; 2] = *b"*/";
/// A trim marker and the white space beside it.
const MARKER: usize = 2;

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric())
}

/// The first place of a pair of bytes.
fn find(haystack: &[u8], needle: [u8; 2]) -> Option<usize> {
    let [first, second] = needle;
    let mut from = 0;
    loop {
        let at = from + haystack.get(from..)?.iter().position(|b| *b == first)?;
        if haystack.get(at + 1) == Some(&second) {
            return Some(at);
        }
        from = at + 1;
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, pos: 0, start: 0, line: 1, parens: 0, in_action: false, fault: Fault::Plain("") }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.pos..).unwrap_or_default()
    }

    /// The rest after some more bytes.
    fn after(&self, bytes: usize) -> &'a [u8] {
        self.input.get(self.pos + bytes..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        super::format::decode_rune(self.rest()).map(|(c, _)| c)
    }

    fn next(&mut self) -> Option<char> {
        let (c, width) = super::format::decode_rune(self.rest())?;
        self.pos += width;
        Some(c)
    }

    fn current(&self) -> &'a [u8] {
        self.input.get(self.start..self.pos).unwrap_or_default()
    }

    /// Drops what was read so far.
    fn ignore(&mut self) {
        self.line += super::ast::newlines(self.current());
        self.start = self.pos;
    }

    fn emit(&mut self, kind: Kind) -> Token<'a> {
        let token = Token { kind, pos: self.start, text: self.current(), line: self.line };
        self.ignore();
        token
    }

    fn fail(&mut self, fault: Fault) -> Token<'a> {
        self.fault = fault;
        Token { kind: Kind::Error, pos: self.start, text: self.current(), line: self.line }
    }

    /// The next token; at the end of the file always `Eof` or an error.
    pub(super) fn token(&mut self) -> Token<'a> {
        if self.in_action {
            return self.inside_action();
        }
        loop {
            if let Some(token) = self.text() {
                return token;
            }
        }
    }

    /// Text up to the next action, or the action's beginning; `None` after a comment.
    fn text(&mut self) -> Option<Token<'a>> {
        let Some(length) = find(self.rest(), LEFT) else {
            self.pos = self.input.len();
            return Some(self.emit(if self.pos > self.start { Kind::Text } else { Kind::Eof }));
        };
        if length > 0 {
            let trims = has_left_marker(self.after(length + LEFT.len()));
            let text = self.rest().get(..length).unwrap_or_default();
            let kept = if trims { text.iter().rposition(|b| !is_space(*b)).map_or(0, |i| i + 1) } else { length };
            self.pos += kept;
            let token = (kept > 0).then(|| self.emit(Kind::Text));
            self.pos += length - kept;
            self.ignore();
            if token.is_some() {
                return token;
            }
        }
        self.left_delim()
    }

    fn left_delim(&mut self) -> Option<Token<'a>> {
        self.pos += LEFT.len();
        let marker = if has_left_marker(self.rest()) { MARKER } else { 0 };
        if self.after(marker).starts_with(&OPEN_COMMENT) {
            self.pos += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.in_action = true;
        self.parens = 0;
        self.pos += marker;
        self.ignore();
        Some(token)
    }

    fn comment(&mut self) -> Option<Token<'a>> {
        let Some(length) = find(self.after(OPEN_COMMENT.len()), CLOSE_COMMENT) else {
            return Some(self.fail(Fault::Plain("unclosed comment")));
        };
        self.pos += OPEN_COMMENT.len() + length + CLOSE_COMMENT.len();
        let Some(trims) = self.at_right_delim() else {
            return Some(self.fail(Fault::Plain("comment ends before closing delimiter")));
        };
        self.close(trims);
        self.ignore();
        None
    }

    /// Whether an action ends here, and then whether white space after it is trimmed.
    fn at_right_delim(&self) -> Option<bool> {
        if has_right_marker(self.rest()) && self.after(MARKER).starts_with(&RIGHT) {
            return Some(true);
        }
        self.rest().starts_with(&RIGHT).then_some(false)
    }

    /// Passes the right delimiter and what is trimmed after it.
    fn close(&mut self, trims: bool) {
        self.pos += RIGHT.len();
        if trims {
            self.pos += MARKER;
            self.pos += self.rest().iter().take_while(|b| is_space(**b)).count();
        }
    }

    fn right_delim(&mut self, trims: bool) -> Token<'a> {
        if trims {
            self.pos += MARKER;
            self.ignore();
        }
        self.pos += RIGHT.len();
        let token = self.emit(Kind::RightDelim);
        if trims {
            self.pos += self.rest().iter().take_while(|b| is_space(**b)).count();
            self.ignore();
        }
        self.in_action = false;
        token
    }

    fn inside_action(&mut self) -> Token<'a> {
        if let Some(trims) = self.at_right_delim() {
            return match self.parens {
                0 => self.right_delim(trims),
                _ => self.fail(Fault::Plain("unclosed left paren")),
            };
        }
        let Some(c) = self.peek() else {
            return self.fail(Fault::Plain("unclosed action"));
        };
        if c.is_ascii_whitespace() && c != '\x0c' {
            return self.space();
        }
        let second = self.input.get(self.pos + 1).copied();
        let starts_number = matches!((c, second), ('.', Some(b'0'..=b'9')) | ('+' | '-' | '0'..='9', _))
            // A `.` at the very end is read as a number, which it is not.
            || (c == '.' && second.is_none());
        if starts_number {
            return self.number();
        }
        self.next();
        match c {
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => self.fail(Fault::Plain("expected :=")),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted(b'"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted(b'\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' => self.name(Kind::Variable, Kind::Variable),
            '.' => self.name(Kind::Dot, Kind::Field),
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' if self.parens == 0 => self.fail(Fault::Plain("unexpected right paren")),
            ')' => {
                self.parens -= 1;
                self.emit(Kind::RightParen)
            }
            c if is_word(c) => self.word(),
            ' '..='~' => self.emit(Kind::Char),
            c => self.fail(Fault::UnknownCharacter(c)),
        }
    }

    fn space(&mut self) -> Token<'a> {
        let length = self.rest().iter().take_while(|b| is_space(**b)).count();
        // The last blank may belong to a trim marker.
        if has_right_marker(self.after(length - 1)) && self.after(length - 1 + MARKER).starts_with(&RIGHT) {
            self.pos += length - 1;
            if length == 1 {
                return self.right_delim(true);
            }
        } else {
            self.pos += length;
        }
        self.emit(Kind::Space)
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(c) => {
                matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(')
                    || self.rest().starts_with(&RIGHT)
            }
        }
    }

    fn skip_word(&mut self) {
        loop {
            match self.rest().first() {
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_') => self.pos += 1,
                Some(0x80..) if self.peek().is_some_and(is_word) => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    fn bad_character(&mut self) -> Token<'a> {
        self.fail(Fault::BadCharacter(self.peek().unwrap_or_default()))
    }

    fn word(&mut self) -> Token<'a> {
        self.skip_word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(Kind::keyword(self.current()).unwrap_or(Kind::Identifier))
    }

    /// `.` and `$`, alone or with a name.
    fn name(&mut self, alone: Kind, named: Kind) -> Token<'a> {
        if self.at_terminator() {
            return self.emit(alone);
        }
        self.skip_word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(named)
    }

    fn quoted(&mut self, quote: u8, kind: Kind, unterminated: &'static str) -> Token<'a> {
        loop {
            match self.next() {
                Some('\\') if self.next().is_some_and(|c| c != '\n') => {}
                None | Some('\n' | '\\') => return self.fail(Fault::Plain(unterminated)),
                Some(c) if c == char::from(quote) => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Token<'a> {
        match self.rest().iter().position(|b| *b == b'`') {
            Some(length) => {
                self.pos += length + 1;
                self.emit(Kind::RawString)
            }
            None => self.fail(Fault::Plain("unterminated raw quoted string")),
        }
    }

    fn number(&mut self) -> Token<'a> {
        if !self.scan_number() {
            return self.fail(Fault::BadNumber);
        }
        if !matches!(self.peek(), Some('+' | '-')) {
            return self.emit(Kind::Number);
        }
        if !self.scan_number() || !self.current().ends_with(b"i") {
            return self.fail(Fault::BadNumber);
        }
        self.emit(Kind::Complex)
    }

    fn accept(&mut self, valid: &[u8]) -> bool {
        let accepted = self.rest().first().is_some_and(|b| valid.contains(b));
        self.pos += usize::from(accepted);
        accepted
    }

    fn accept_run(&mut self, valid: &[u8]) {
        while self.accept(valid) {}
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &[u8] = b"0123456789_";
        const HEXADECIMAL: &[u8] = b"0123456789abcdefABCDEF_";
        self.accept(b"+-");
        let mut digits = DECIMAL;
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = HEXADECIMAL;
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if (digits == DECIMAL && self.accept(b"eE")) || (digits == HEXADECIMAL && self.accept(b"pP")) {
            self.accept(b"+-");
            self.accept_run(DECIMAL);
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }
}

fn has_left_marker(text: &[u8]) -> bool {
    matches!(text, [b'-', second, ..] if is_space(*second))
}

fn has_right_marker(text: &[u8]) -> bool {
    matches!(text, [first, b'-', ..] if is_space(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, String)> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut out = Vec::new();
        loop {
            let token = lexer.token();
            out.push((token.kind, String::from_utf8_lossy(token.text).into_owned()));
            if matches!(token.kind, Kind::Eof | Kind::Error) {
                return out;
            }
        }
    }

    #[test]
    fn trim_markers_need_white_space() {
        assert_eq!(kinds("a {{- 3 -}} b")[0], (Kind::Text, "a".into()));
        assert_eq!(kinds("a {{- 3 -}} b").iter().rev().nth(1), Some(&(Kind::Text, "b".into())));
        assert_eq!(kinds("{{-3}}")[1], (Kind::Number, "-3".into()));
    }

    #[test]
    fn a_comment_gives_no_token() {
        assert_eq!(kinds("a{{/* {{x}} */}}b").len(), 3);
        assert_eq!(kinds("a {{- /* x */ -}} b")[1], (Kind::Text, "b".into()));
        assert_eq!(kinds("{{/* x */ }}").last().unwrap().0, Kind::Error);
    }

    #[test]
    fn words_end_where_go_ends_them() {
        let mut lexer = Lexer::new(b"{{.a-b}}");
        lexer.token();
        let token = lexer.token();
        assert_eq!(lexer.describe(&token), "bad character U+002D '-'");
        assert_eq!(kinds("{{.é.b}}")[1], (Kind::Field, ".é".into()));
    }
}
