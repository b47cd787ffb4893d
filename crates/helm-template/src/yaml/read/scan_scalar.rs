//! Scalars: literal and folded blocks, quoted text, plain text.

use super::scanner::{Scan, Scanner, TokenKind};
use super::source::{is_blank, is_blank_or_end, is_break, is_break_or_end};

/// What happens to the newlines at the end of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

/// Line breaks inside a scalar that are not yet part of its text.
#[derive(Default)]
struct Breaks {
    first: Option<char>,
    more: String,
}

impl Breaks {
    fn add(&mut self, c: char) {
        if self.first.is_some() { self.more.push(c) } else { self.first = Some(c) }
    }

    /// Adds the breaks to a text: a single newline becomes a blank, of several newlines the first goes.
    fn fold_into(&mut self, text: &mut String) {
        match self.first.take() {
            Some('\n') if self.more.is_empty() => text.push(' '),
            Some('\n') | None => {}
            Some(c) => text.push(c),
        }
        text.push_str(&self.more);
        self.more.clear();
    }
}

impl Scanner<'_> {
    pub(super) fn block_scalar(&mut self, literal: bool) -> Scan<()> {
        let start = self.source.mark();
        self.source.skip();
        let (chomp, increment) = self.block_header()?;
        let mut indent = if increment > 0 { self.parent_indent().unwrap_or(0) + increment } else { 0 };
        let mut text = String::new();
        let mut leading: Option<char> = None;
        let mut trailing = self.block_breaks(&mut indent)?;
        let mut leading_blank = false;
        while self.source.mark().column == indent && self.source.current() != '\0' {
            let blank = is_blank(self.source.current());
            if !literal && leading == Some('\n') && !leading_blank && !blank {
                if trailing.is_empty() {
                    text.push(' ');
                }
            } else {
                text.extend(leading);
            }
            text.push_str(&trailing);
            leading_blank = blank;
            text.push_str(self.source.take_line());
            leading = self.source.line_break();
            trailing = self.block_breaks(&mut indent)?;
        }
        if chomp != Chomp::Strip {
            text.extend(leading);
        }
        if chomp == Chomp::Keep {
            text.push_str(&trailing);
        }
        self.push(TokenKind::Scalar { text, plain: false }, start);
        Ok(())
    }

    /// The rest of the line after `|` or `>`.
    fn block_header(&mut self) -> Scan<(Chomp, usize)> {
        let mut chomp = self.chomping();
        let mut increment = 0;
        if let Some(digit) = self.source.current().to_digit(10) {
            if digit == 0 {
                return self.fail("found an indentation indicator equal to 0");
            }
            increment = digit as usize;
            self.source.skip();
            if chomp.is_none() {
                chomp = self.chomping();
            }
        }
        self.source.skip_blanks();
        self.source.skip_comment();
        if !is_break_or_end(self.source.current()) {
            return self.fail("did not find expected comment or line break");
        }
        self.source.line_break();
        Ok((chomp.unwrap_or(Chomp::Clip), increment))
    }

    fn chomping(&mut self) -> Option<Chomp> {
        let chomp = match self.source.current() {
            '+' => Chomp::Keep,
            '-' => Chomp::Strip,
            _ => return None,
        };
        self.source.skip();
        Some(chomp)
    }

    /// Moves over indentation and empty lines of a block; finds the indentation if it is not yet known (0).
    fn block_breaks(&mut self, indent: &mut usize) -> Scan<String> {
        let mut breaks = String::new();
        let mut deepest = 0;
        loop {
            let column = self.source.mark().column;
            let outside = *indent == 0 || column < *indent;
            if outside && self.source.current() == ' ' {
                self.source.skip();
                continue;
            }
            deepest = deepest.max(column);
            if outside && self.source.current() == '\t' {
                return self.fail("found a tab character where an indentation space is expected");
            }
            match self.source.line_break() {
                Some(c) => breaks.push(c),
                None => break,
            }
        }
        if *indent == 0 {
            *indent = deepest.max(self.content_column()).max(1);
        }
        Ok(breaks)
    }

    pub(super) fn quoted_scalar(&mut self, single: bool) -> Scan<()> {
        let start = self.source.mark();
        let quote = if single { '\'' } else { '"' };
        self.source.skip();
        let mut text = String::new();
        let mut breaks = Breaks::default();
        loop {
            if self.source.at_document_marker('-') || self.source.at_document_marker('.') {
                return self.fail("found unexpected document indicator");
            }
            if self.source.current() == '\0' {
                return self.fail("found unexpected end of stream");
            }
            // After an escaped line break all blanks that follow are indentation.
            let mut joined = self.quoted_word(single, quote, &mut text)?;
            if self.source.current() == quote {
                break;
            }
            let mut blanks = String::new();
            let mut broken = false;
            loop {
                let c = self.source.current();
                if is_blank(c) {
                    if joined { self.source.skip() } else { self.source.read(&mut blanks) }
                } else if let Some(c) = self.source.line_break() {
                    if joined && !broken {
                        breaks.more.push(c);
                    } else {
                        breaks.add(c);
                    }
                    broken |= !joined;
                    joined = true;
                } else {
                    break;
                }
            }
            if joined { breaks.fold_into(&mut text) } else { text.push_str(&blanks) }
        }
        self.source.skip();
        self.push(TokenKind::Scalar { text, plain: false }, start);
        Ok(())
    }

    /// Text up to a blank, a line break or the closing quote. True after an escaped line break.
    fn quoted_word(&mut self, single: bool, quote: char, text: &mut String) -> Scan<bool> {
        while !is_blank_or_end(self.source.current()) {
            let (c, next) = (self.source.current(), self.source.peek(1));
            if single && c == quote && next == quote {
                text.push(quote);
                self.source.skip();
                self.source.skip();
            } else if c == quote {
                break;
            } else if !single && c == '\\' && is_break(next) {
                self.source.skip();
                self.source.line_break();
                return Ok(true);
            } else if !single && c == '\\' {
                self.escape(next, text)?;
            } else {
                self.source.read(text);
                let ordinary = |c| c != quote && !is_blank_or_end(c) && (single || c != '\\');
                text.push_str(self.source.take_while(|c, _| ordinary(c)));
            }
        }
        Ok(false)
    }

    fn escape(&mut self, code: char, text: &mut String) -> Scan<()> {
        let c = match code {
            '0' => '\0',
            'a' => '\u{07}',
            'b' => '\u{08}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{0B}',
            'f' => '\u{0C}',
            'r' => '\r',
            'e' => '\u{1B}',
            ' ' | '"' | '\'' | '\\' => code,
            'N' => '\u{85}',
            '_' => '\u{A0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' => return self.escaped_code(2, text),
            'u' => return self.escaped_code(4, text),
            'U' => return self.escaped_code(8, text),
            _ => return self.fail("found unknown escape character"),
        };
        self.source.skip();
        self.source.skip();
        text.push(c);
        Ok(())
    }

    fn escaped_code(&mut self, digits: usize, text: &mut String) -> Scan<()> {
        self.source.skip();
        self.source.skip();
        let mut value = 0_u32;
        for ahead in 0..digits {
            let Some(digit) = self.source.peek(ahead).to_digit(16) else {
                return self.fail("did not find expected hexdecimal number");
            };
            value = value.wrapping_mul(16).wrapping_add(digit);
        }
        let Some(c) = char::from_u32(value) else {
            return self.fail("found invalid Unicode character escape code");
        };
        text.push(c);
        (0..digits).for_each(|_| self.source.skip());
        Ok(())
    }

    pub(super) fn plain_scalar(&mut self) -> Scan<()> {
        let start = self.source.mark();
        let least = self.content_column();
        let mut text = String::new();
        let mut blanks = String::new();
        let mut breaks = Breaks::default();
        loop {
            let marker = self.source.at_document_marker('-') || self.source.at_document_marker('.');
            if marker || self.source.current() == '#' {
                break;
            }
            let flow = self.flow_level > 0;
            let word = self.source.take_while(|c, next| continues_plain(c, next, flow));
            if !word.is_empty() {
                if breaks.first.is_some() {
                    breaks.fold_into(&mut text);
                } else {
                    text.push_str(&blanks);
                }
                blanks.clear();
                text.push_str(word);
            }
            if !is_blank(self.source.current()) && !is_break(self.source.current()) {
                break;
            }
            self.plain_blanks(least, &mut blanks, &mut breaks)?;
            if self.flow_level == 0 && self.source.mark().column < least {
                break;
            }
        }
        self.push(TokenKind::Scalar { text, plain: true }, start);
        if breaks.first.is_some() {
            self.key_allowed = true;
        }
        Ok(())
    }

    fn plain_blanks(&mut self, least: usize, blanks: &mut String, breaks: &mut Breaks) -> Scan<()> {
        loop {
            let c = self.source.current();
            if is_blank(c) {
                if breaks.first.is_some() {
                    if c == '\t' && self.source.mark().column < least {
                        return self.fail("found a tab character that violates indentation");
                    }
                    self.source.skip();
                } else {
                    self.source.read(blanks);
                }
            } else if let Some(c) = self.source.line_break() {
                blanks.clear();
                breaks.add(c);
            } else {
                return Ok(());
            }
        }
    }
}

fn continues_plain(c: char, next: &dyn Fn() -> char, flow: bool) -> bool {
    let ends = (c == ':' && is_blank_or_end(next())) || (flow && matches!(c, ',' | '?' | '[' | ']' | '{' | '}'));
    !is_blank_or_end(c) && !ends
}
