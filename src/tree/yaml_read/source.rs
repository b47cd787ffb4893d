//! The text under the scanner: a position that moves forward, and what stands at it.

use super::spans::Position;

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
pub(super) struct Source {
    chars: Vec<char>,
    mark: Mark,
    /// The text ends before a character that YAML does not allow.
    cut: bool,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut chars = Vec::with_capacity(text.len());
        chars.extend(text.chars().take_while(|c| is_allowed(*c)));
        let cut = chars.iter().map(|c| c.len_utf8()).sum::<usize>() < text.len();
        Self { chars, mark: Mark::default(), cut }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether a forbidden character is so near that it is an error by now.
    pub(super) fn meets_forbidden(&self) -> bool {
        self.cut && self.mark.index + 4 >= self.chars.len() / BLOCK * BLOCK
    }

    /// The character this far ahead.
    pub(super) fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.mark.index + ahead).copied().unwrap_or('\0')
    }

    pub(super) fn current(&self) -> char {
        self.peek(0)
    }

    /// Moves over one character of a line.
    pub(super) fn skip(&mut self) {
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Moves over one character of a line and adds it to a text.
    pub(super) fn read(&mut self, out: &mut String) {
        out.push(self.current());
        self.skip();
    }

    /// Moves over a line break, which it returns as the text it stands for; nothing if there is none.
    pub(super) fn line_break(&mut self) -> Option<char> {
        let (width, text) = match self.current() {
            '\r' if self.peek(1) == '\n' => (2, '\n'),
            '\r' | '\n' | '\u{85}' => (1, '\n'),
            c @ ('\u{2028}' | '\u{2029}') => (1, c),
            _ => return None,
        };
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
            while !is_break_or_end(self.current()) {
                self.skip();
            }
        }
    }

    /// Whether `---` or `...` stands here at the start of a line.
    pub(super) fn at_document_marker(&self, marker: char) -> bool {
        self.mark.column == 0 && (0..3).all(|ahead| self.peek(ahead) == marker) && is_blank_or_end(self.peek(3))
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
