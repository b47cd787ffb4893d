//! Writes scalars and indicators and keeps track of column and indentation.
//!
//! The three facts about the output position (`column`, `whitespace`, `indention`) decide where blanks and newlines go;
//! they are kept exactly as the emitters of yaml.v2 and yaml.v3 keep theirs, since folding and the compact forms (`- - 1`,
//! `- a: 1`) follow from them.

use std::iter::Peekable;
use std::str::Chars;

use super::Dialect;
use super::style::{Style, choose, is_break, is_printable};

/// Indentation per level.
const STEP: usize = 2;

/// Past this column yaml.v2 breaks a scalar at the next single blank.
const FOLD_WIDTH: usize = 80;

/// Output text and position.
pub(super) struct Emitter {
    out: String,
    dialect: Dialect,
    /// Characters on the current line.
    column: usize,
    /// The last thing written separates words.
    whitespace: bool,
    /// Only indentation and list dashes are on the line so far.
    indention: bool,
    /// `None` before the outermost collection.
    indent: Option<usize>,
}

impl Emitter {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { out: String::new(), dialect, column: 0, whitespace: true, indention: true, indent: None }
    }

    pub(super) fn finish(mut self) -> String {
        self.indent = None;
        self.start_line();
        self.out
    }

    pub(super) fn indent(&self) -> Option<usize> {
        self.indent
    }

    pub(super) fn set_indent(&mut self, indent: Option<usize>) {
        self.indent = indent;
    }

    pub(super) fn indent_more(&mut self) {
        self.indent = Some(self.indent.map_or(0, |indent| indent + STEP));
    }

    pub(super) fn at_indentation(&self) -> bool {
        self.indention
    }

    /// A newline unless the position is where a line's content starts already, then indentation.
    pub(super) fn start_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.newline();
        }
        self.out.extend(std::iter::repeat_n(' ', indent.saturating_sub(self.column)));
        self.column = self.column.max(indent);
        self.whitespace = true;
        self.indention = true;
    }

    /// `-`, `?`, `:`, quotes and block headers. `spaced`: a blank must stand before it; `keeps_indentation`: the line
    /// still counts as indentation afterwards, so that a collection may start on it.
    pub(super) fn indicator(&mut self, text: &str, spaced: bool, keeps_indentation: bool) {
        if spaced && !self.whitespace {
            self.put(' ');
        }
        self.put_all(text);
        self.whitespace = false;
        self.indention = self.indention && keeps_indentation;
    }

    /// A word that needs neither quotes nor folding.
    pub(super) fn word(&mut self, text: &str) {
        if !self.whitespace {
            self.put(' ');
        }
        self.put_all(text);
        self.whitespace = false;
        self.indention = false;
    }

    /// A string in the style that fits it. A `key` is never folded.
    pub(super) fn text(&mut self, text: &str, key: bool) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(STEP, |indent| indent + STEP));
        let fold = !key && self.dialect == Dialect::V2;
        match choose(text, key, self.dialect) {
            Style::Plain => self.plain(text, fold),
            Style::Single => {
                self.indicator("'", true, false);
                self.single(text, fold);
                self.indicator("'", false, false);
            }
            Style::Double => {
                self.indicator("\"", true, false);
                self.double(text, fold);
                self.indicator("\"", false, false);
            }
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, fold: bool) {
        // No blank of a short text stands past the fold.
        if !fold || self.column + 1 + text.len() <= FOLD_WIDTH {
            return self.word(text);
        }
        if !self.whitespace {
            self.put(' ');
        }
        let mut after_space = false;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if c == ' ' && !after_space && self.column > FOLD_WIDTH && rest.peek() != Some(&' ') {
                self.start_line();
            } else {
                self.put(c);
                self.indention = false;
            }
            after_space = c == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, fold: bool) {
        let (mut after_space, mut after_break) = (false, false);
        let mut rest = text.chars().peekable();
        let mut first = true;
        while let Some(c) = rest.next() {
            if c == ' ' {
                let inner = !first && rest.peek().is_some_and(|next| *next != ' ');
                if fold && inner && !after_space && self.column > FOLD_WIDTH {
                    self.start_line();
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                self.put_break(c, !after_break);
                after_break = true;
            } else {
                if after_break {
                    self.start_line();
                }
                if c == '\'' {
                    self.put(c);
                }
                self.put(c);
                self.indention = false;
                (after_space, after_break) = (false, false);
            }
            first = false;
        }
    }

    fn double(&mut self, text: &str, fold: bool) {
        // A byte order mark at the start makes the emitters escape every character.
        let escape_all = text.starts_with('\u{FEFF}');
        let mut after_space = false;
        let mut rest = text.chars().peekable();
        let mut first = true;
        while let Some(c) = rest.next() {
            if escape_all || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.put_all(&escape(c));
                after_space = false;
            } else if c == ' ' {
                self.double_blank(fold && !first && !after_space, &mut rest);
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
            first = false;
        }
    }

    fn double_blank(&mut self, may_fold: bool, rest: &mut Peekable<Chars<'_>>) {
        if may_fold && self.column > FOLD_WIDTH && rest.peek().is_some() {
            self.start_line();
            if rest.peek() == Some(&' ') {
                self.put('\\');
            }
        } else {
            self.put(' ');
        }
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false);
        }
        let mut ends = text.chars().rev().map(is_break);
        match (ends.next(), ends.next()) {
            (Some(true), Some(false)) => {}
            (Some(true), _) => self.indicator("+", false, false),
            _ => self.indicator("-", false, false),
        }
        self.newline();
        self.indention = true;
        self.whitespace = true;
        let mut after_break = true;
        for piece in text.split_inclusive(is_break) {
            let line = piece.trim_end_matches(is_break);
            if !line.is_empty() {
                if after_break {
                    self.start_line();
                }
                self.put_all(line);
                self.indention = false;
                after_break = false;
            }
            if let Some(c) = piece.chars().next_back().filter(|c| is_break(*c)) {
                self.put_break(c, false);
                after_break = true;
            }
        }
    }

    /// A line break of the text itself. In flow scalars the first newline of a run is doubled, since one is folded away.
    fn put_break(&mut self, c: char, double: bool) {
        if c == '\n' {
            if double {
                self.newline();
            }
            self.newline();
        } else {
            self.put(c);
            self.column = 0;
        }
        self.indention = true;
    }

    fn newline(&mut self) {
        self.out.push('\n');
        self.column = 0;
        // yaml.v3 notes this with every newline, yaml.v2 wherever it matters; the outcome is the same.
        self.indention = true;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_all(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{07}' => 'a',
        '\u{08}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{0B}' => 'v',
        '\u{0C}' => 'f',
        '\r' => 'r',
        '\u{1B}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{A0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return match code {
                0..=0xFF => format!("\\x{code:02X}"),
                0x100..=0xFFFF => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
