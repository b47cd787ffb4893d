//! Letter case: `title`, `untitle`, `swapcase`, and the snake, kebab and camel forms of `huandu/xstrings`.
//!
//! In: a name in whatever convention. Out: the same words in another one. Bytes that are not UTF-8 are dropped by the
//! word functions where Go drops them, and become U+FFFD elsewhere.

use super::go_text::{is_punct, map_runes, runes, to_lower, to_upper};

/// Go's deprecated `strings.Title`: a character behind a separator becomes upper case, all others stay.
pub(crate) fn title(s: &[u8]) -> Vec<u8> {
    let mut previous = ' ';
    map_runes(s, |c| {
        let starts_word = is_separator(previous);
        previous = c;
        if starts_word { to_upper(c) } else { c }
    })
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_alphanumeric() && c != '_' } else { c.is_whitespace() }
}

/// The first character of every word between white space becomes lower case.
pub(crate) fn untitle(s: &[u8]) -> Vec<u8> {
    let mut starts_word = true;
    map_runes(s, |c| {
        let lowered = if starts_word { to_lower(c) } else { c };
        starts_word = c.is_whitespace();
        lowered
    })
}

/// Upper becomes lower and lower becomes upper.
pub(crate) fn swap(s: &[u8]) -> Vec<u8> {
    map_runes(s, |c| {
        if c.is_uppercase() {
            to_lower(c)
        } else if c.is_lowercase() {
            to_upper(c)
        } else {
            c
        }
    })
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `xstrings.ToPascalCase`. Connectors at the start stay; of a run of connectors one is dropped.
pub(crate) fn pascal(s: &[u8]) -> String {
    let all: Vec<char> = runes(s).map(|(c, _)| c).collect();
    let leading = all.iter().take_while(|c| is_connector(**c)).count();
    let mut out: String = all.iter().take(leading).collect();
    let Some(first) = all.get(leading) else {
        // The original writes the last connector twice when there is nothing else.
        out.extend(all.last());
        return out;
    };
    let mut after_upper = first.is_uppercase();
    let mut current = to_upper(*first);
    for next in all.iter().skip(leading + 1) {
        let previous = std::mem::replace(&mut current, *next);
        if is_connector(current) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            after_upper = current.is_uppercase();
            current = to_upper(current);
            continue;
        }
        if after_upper && current.is_uppercase() {
            current = to_lower(current);
        } else {
            after_upper = false;
        }
        out.push(previous);
    }
    out.push(current);
    out
}

/// The kinds of words xstrings tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

/// The words still to come.
struct Words<'s> {
    rest: &'s [char],
    kind: Word,
    word: Vec<char>,
}

impl Words<'_> {
    fn advance(&mut self) {
        let (kind, length) = next_word(self.rest);
        self.kind = kind;
        let (word, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.word = word.to_vec();
        self.rest = rest;
    }

    /// Whether the word is of a kind before which a connector belongs.
    fn wants_connector(&self) -> bool {
        !matches!(self.kind, Word::Invalid | Word::Connector | Word::Punct)
    }

    /// Writes all words up to the next one that is neither letters nor digits.
    fn write_run(&mut self, out: &mut String, connector: char) {
        while matches!(self.kind, Word::Alphabet | Word::Number) {
            write_lower(out, self.kind, &self.word, connector);
            self.advance();
        }
        if self.wants_connector() {
            out.push(connector);
        }
    }
}

/// `xstrings.ToSnakeCase` and `ToKebabCase`: lower case words with a connector between.
pub(crate) fn with_connector(s: &[u8], connector: char) -> String {
    let valid: Vec<char> = runes(s).map(|(c, _)| c).filter(|c| *c != char::REPLACEMENT_CHARACTER).collect();
    let mut words = Words { rest: &valid, kind: Word::Invalid, word: Vec::new() };
    let mut out = String::new();
    words.advance();
    while !words.rest.is_empty() {
        if words.kind != Word::Connector {
            write_lower(&mut out, words.kind, &words.word, connector);
        }
        let (previous, last) = (words.kind, std::mem::take(&mut words.word));
        words.advance();
        match previous {
            Word::Number => words.write_run(&mut out, connector),
            Word::Connector => write_lower(&mut out, previous, &last, connector),
            Word::Punct => {}
            _ => after_letters(&mut words, &mut out, connector),
        }
    }
    write_lower(&mut out, words.kind, &words.word, connector);
    out
}

/// A number behind letters belongs to them (`Bld4Floor` is `bld4_floor`), unless lower case letters follow it
/// (`HTTP2xx` is `http_2xx`).
fn after_letters(words: &mut Words<'_>, out: &mut String, connector: char) {
    if words.kind != Word::Number {
        if !matches!(words.kind, Word::Connector | Word::Punct) {
            out.push(connector);
        }
        return;
    }
    if words.rest.is_empty() {
        return;
    }
    let number = std::mem::take(&mut words.word);
    words.advance();
    if words.kind != Word::Alphabet {
        write_lower(out, Word::Number, &number, connector);
        if !matches!(words.kind, Word::Connector | Word::Punct) {
            out.push(connector);
        }
        return;
    }
    out.push(connector);
    write_lower(out, Word::Number, &number, connector);
    words.write_run(out, connector);
}

fn write_lower(out: &mut String, kind: Word, word: &[char], connector: char) {
    if kind != Word::Upper && kind != Word::Connector {
        out.extend(word);
        return;
    }
    out.extend(word.iter().map(|c| if is_connector(*c) { connector } else { to_lower(*c) }));
}

/// A letter of a script with words; CJK characters are none.
fn is_alphabet(c: char) -> bool {
    let cjk = matches!(c, '\u{3400}'..='\u{4db5}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}');
    c.is_alphabetic() && !cjk
}

/// Kind and length of the first word.
fn next_word(s: &[char]) -> (Word, usize) {
    let Some((first, rest)) = s.split_first() else {
        return (Word::Invalid, 0);
    };
    let run = |belongs: fn(char) -> bool| 1 + rest.iter().take_while(|c| belongs(**c)).count();
    let small = |c: char| is_alphabet(c) && !c.is_uppercase();
    match *first {
        c if is_connector(c) => (Word::Connector, run(is_connector)),
        c if is_punct(c) => (Word::Punct, run(is_punct)),
        c if c.is_uppercase() => {
            let capitals = run(char::is_uppercase);
            match s.get(capitals) {
                // `HTTPStatus` is `HTTP` and `Status`.
                Some(next) if capitals > 1 && is_alphabet(*next) => (Word::Upper, capitals - 1),
                _ if capitals > 1 => (Word::Upper, capitals),
                _ => (Word::Upper, run(small)),
            }
        }
        c if is_alphabet(c) => (Word::Alphabet, run(small)),
        c if c.is_numeric() => (Word::Number, run(char::is_numeric)),
        _ => (Word::Other, run(|c| !(is_connector(c) || is_alphabet(c) || c.is_numeric() || is_punct(c)))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_change_case_as_in_helm() {
        crate::sprig::testing::check(include_str!("testdata/case.txt"));
    }
}
