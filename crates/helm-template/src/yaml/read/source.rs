//! The text under the scanner: a position that moves forward, and what stands at it.

use super::spans::Position;
use crate::ascii;

/// Characters are decoded in blocks of this many; a control character is noticed when its block is.
const BLOCK: usize = 512;

/// A place in the text, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Mark {
    pub(super) fn position(self) -> Position {
        Position { line: self.line + 1, column: self.column + 1 }
    }
}

/// A text and a position in it. Past the end there are only NULs, which no text holds.
pub(super) struct Source<'t> {
    text: &'t str,
    /// The position in bytes; the mark counts characters.
    at: usize,
    mark: Mark,
    /// Characters before one that YAML does not allow, where the text is cut.
    cut: Option<usize>,
    /// Nothing in the text but printable ASCII and newlines: a byte is a character, and a line ends with `\n`.
    is_simple: bool,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let is_simple = ascii::is_printable(text);
        let forbidden = if is_simple { None } else { text.char_indices().find(|(_, c)| !is_allowed(*c)) };
        let kept = forbidden.and_then(|(end, _)| text.get(..end));
        let cut = kept.map(|kept| kept.chars().count());
        Self { text: kept.unwrap_or(text), at: 0, mark: Mark::default(), cut, is_simple }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether a forbidden character is so near that it is an error by now.
    pub(super) fn meets_forbidden(&self) -> bool {
        self.cut.is_some_and(|cut| self.mark.index + 4 >= cut / BLOCK * BLOCK)
    }

    fn char_at(&self, at: usize) -> char {
        match self.text.as_bytes().get(at) {
            None => '\0',
            Some(byte) if byte.is_ascii() => char::from(*byte),
            Some(_) => self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\0'),
        }
    }

    /// The character this far ahead.
    pub(super) fn peek(&self, ahead: usize) -> char {
        let mut at = self.at;
        for _ in 0..ahead {
            at += self.char_at(at).len_utf8();
        }
        self.char_at(at)
    }

    pub(super) fn current(&self) -> char {
        self.char_at(self.at)
    }

    /// Moves over one character of a line.
    pub(super) fn skip(&mut self) {
        self.at += self.current().len_utf8();
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Moves over one character of a line and adds it to a text.
    pub(super) fn read(&mut self, out: &mut String) {
        out.push(self.current());
        self.skip();
    }

    /// Moves over characters of a line while a test of each and of the one behind it holds; gives what it moved over.
    pub(super) fn take_while(&mut self, test: impl Fn(char, &dyn Fn() -> char) -> bool) -> &'t str {
        let (mut at, mut count) = (self.at, 0);
        while at < self.text.len() {
            let c = self.char_at(at);
            let next = at + c.len_utf8();
            if !test(c, &|| self.char_at(next)) {
                break;
            }
            at = next;
            count += 1;
        }
        self.take(at - self.at, count)
    }

    /// Moves to the end of the line; gives what it moved over.
    pub(super) fn take_line(&mut self) -> &'t str {
        if !self.is_simple {
            return self.take_while(|c, _| !is_break_or_end(c));
        }
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.take(count, count)
    }

    /// Moves over that many bytes, which are that many characters of a line.
    fn take(&mut self, bytes: usize, characters: usize) -> &'t str {
        let taken = self.text.get(self.at..self.at + bytes).unwrap_or_default();
        self.at += bytes;
        self.mark.index += characters;
        self.mark.column += characters;
        taken
    }

    /// Moves over a line break, which it returns as the text it stands for; nothing if there is none.
    pub(super) fn line_break(&mut self) -> Option<char> {
        let c = self.current();
        let (width, text) = match c {
            '\r' if self.peek(1) == '\n' => (2, '\n'),
            '\r' | '\n' | '\u{85}' => (1, '\n'),
            '\u{2028}' | '\u{2029}' => (1, c),
            _ => return None,
        };
        self.at += if width == 2 { 2 } else { c.len_utf8() };
        self.mark = Mark { index: self.mark.index + width, line: self.mark.line + 1, column: 0 };
        Some(text)
    }

    /// Ends the last line, for the marks of what follows the text.
    pub(super) fn finish_line(&mut self) {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }

    pub(super) fn skip_blanks(&mut self) {
        while is_blank(self.current()) {
            self.skip();
        }
    }

    /// Moves over a comment up to the end of its line.
    pub(super) fn skip_comment(&mut self) {
        if self.current() == '#' {
            self.take_line();
        }
    }

    /// Whether `---` or `...` stands here at the start of a line.
    pub(super) fn at_document_marker(&self, marker: char) -> bool {
        self.mark.column == 0
            && self.current() == marker
            && (1..3).all(|ahead| self.peek(ahead) == marker)
            && is_blank_or_end(self.peek(3))
    }
}

fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Blank or TAB.
pub(super) fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn is_break_or_end(c: char) -> bool {
    is_break(c) || c == '\0'
}

pub(super) fn is_blank_or_end(c: char) -> bool {
    is_blank(c) || is_break_or_end(c)
}

/// Characters of anchors and tag handles.
pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
