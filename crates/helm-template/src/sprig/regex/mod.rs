//! Regular expressions with Go's syntax (RE2), iteration, replacement templates and error texts.
//!
//! In: patterns and texts as bytes. Out: matches, replaced texts, pieces. The matching itself is the `regex` crate's,
//! which has the same leftmost-first semantics and linear time; [`syntax`] rewrites Go's patterns for it. Every search
//! is charged to the work budget by the bytes it may read, so that a pattern which reads to the end of the text for
//! each of its matches is stopped too.
//!
//! Known differences: a byte that is not UTF-8 is not a character here, where Go takes it for U+FFFD; patterns may nest
//! 200 deep, not 1000.

mod syntax;
#[cfg(test)]
mod tests;

use super::args::{fixed, int, text};
use super::prices::pattern_size;
use crate::gotmpl::Type::{Int, String as GoString};
use crate::gotmpl::format::quote;
use crate::gotmpl::{Function, Text, Usage, Value};
use regex::bytes::{Captures, Regex, RegexBuilder};

/// The functions of this file. The plain forms panic in Go on a bad pattern, which shows in their error texts.
pub const FUNCTIONS: &[Function] = &[
    fixed("regexMatch", &[GoString, GoString], |m, a| match Pattern::compile(&m.usage, text(a, 0)) {
        Ok(pattern) => pattern.matches(text(a, 1)),
        Err(_) => Ok(Value::Bool(false)),
    }),
    fixed("mustRegexMatch", &[GoString, GoString], |m, a| Pattern::compile(&m.usage, text(a, 0))?.matches(text(a, 1))),
    fixed("regexFind", &[GoString, GoString], |m, a| Pattern::require(&m.usage, text(a, 0))?.find(a)),
    fixed("mustRegexFind", &[GoString, GoString], |m, a| Pattern::compile(&m.usage, text(a, 0))?.find(a)),
    fixed("regexFindAll", &[GoString, GoString, Int], |m, a| Pattern::require(&m.usage, text(a, 0))?.find_all(a)),
    fixed("mustRegexFindAll", &[GoString, GoString, Int], |m, a| Pattern::compile(&m.usage, text(a, 0))?.find_all(a)),
    fixed("regexReplaceAll", &[GoString, GoString, GoString], |m, a| {
        Pattern::require(&m.usage, text(a, 0))?.replace_all(a, Pattern::expand)
    }),
    fixed("mustRegexReplaceAll", &[GoString, GoString, GoString], |m, a| {
        Pattern::compile(&m.usage, text(a, 0))?.replace_all(a, Pattern::expand)
    }),
    fixed("regexReplaceAllLiteral", &[GoString, GoString, GoString], |m, a| {
        Pattern::require(&m.usage, text(a, 0))?.replace_all(a, |_, _, literal| literal.to_vec())
    }),
    fixed("mustRegexReplaceAllLiteral", &[GoString, GoString, GoString], |m, a| {
        Pattern::compile(&m.usage, text(a, 0))?.replace_all(a, |_, _, literal| literal.to_vec())
    }),
    fixed("regexSplit", &[GoString, GoString, Int], |m, a| Pattern::require(&m.usage, text(a, 0))?.split(a)),
    fixed("mustRegexSplit", &[GoString, GoString, Int], |m, a| Pattern::compile(&m.usage, text(a, 0))?.split(a)),
    fixed("regexQuoteMeta", &[GoString], |_, a| Ok(Value::string(quote_meta(text(a, 0))))),
];

/// The most memory a compiled pattern may take, and the most for its automaton during a search. Go has no such limit;
/// it is reached only by patterns that nobody writes by hand.
const SIZE_LIMIT: usize = 16 << 20;

/// The least that a search costs, in bytes read.
const SEARCH: u64 = 300;

/// From this length on, the deadline is checked after each search.
const FAR: usize = 16 << 10;

/// Memory of one piece of a text: a text of its own and an entry in a list.
const PIECE: usize = 80;

/// A compiled pattern.
struct Pattern<'m> {
    regex: Regex,
    /// The budgets that a search is charged to.
    usage: &'m Usage,
    /// The work of reading a byte: some patterns have many states to follow.
    work: u64,
    /// Names of the groups by number; empty for those without.
    names: Vec<String>,
    /// Whether the pattern was the empty text.
    is_empty: bool,
}

impl<'m> Pattern<'m> {
    /// `regexp.Compile`.
    fn compile(usage: &'m Usage, pattern: &[u8]) -> Result<Self, String> {
        let translated = syntax::translate(pattern)?;
        let built = RegexBuilder::new(&translated.pattern)
            .nest_limit(syntax::MAX_DEPTH * 4)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT / 4)
            .build();
        let too_large = |_| syntax::error("expression too large", &String::from_utf8_lossy(pattern));
        let regex = built.map_err(too_large)?;
        let work = 5 + pattern_size(pattern) / 20;
        Ok(Self { regex, usage, work, names: translated.names, is_empty: pattern.is_empty() })
    }

    /// `regexp.MustCompile`: the error as its panic puts it.
    fn require(usage: &'m Usage, pattern: &[u8]) -> Result<Self, String> {
        Self::compile(usage, pattern).map_err(|e| format!("regexp: Compile({}): {e}", backquote(pattern)))
    }

    /// Charges for reading a number of bytes.
    fn look(&self, bytes: usize) -> Result<(), String> {
        self.usage.work((bytes as u64 + SEARCH).saturating_mul(self.work)).map_err(|e| e.to_string())
    }

    /// Charges for a search that began and ended at these positions. It may have read further before it settled for
    /// this match; how far is not known, so that only the deadline bounds it.
    fn found(&self, s: &[u8], start: usize, end: usize) -> Result<(), String> {
        if s.len().saturating_sub(end) > FAR {
            self.usage.tick().map_err(|e| e.to_string())?;
        }
        self.look(end.saturating_sub(start))
    }

    /// Charges for the bytes of a result.
    fn make(&self, bytes: usize) -> Result<(), String> {
        self.usage.make(bytes).map_err(|e| e.to_string())
    }

    fn matches(&self, s: &[u8]) -> Result<Value, String> {
        self.look(s.len())?;
        Ok(Value::Bool(self.regex.is_match(s)))
    }

    /// The leftmost match of the second argument, or an empty text.
    fn find(&self, args: &[Value]) -> Result<Value, String> {
        self.look(text(args, 1).len())?;
        Ok(Value::string(self.regex.find(text(args, 1)).map(|m| m.as_bytes()).unwrap_or_default()))
    }

    /// The first matches, as many as the third argument says; all if it is negative.
    fn find_all(&self, args: &[Value]) -> Result<Value, String> {
        let s = text(args, 1);
        let found = self.all_matches(s, int(args, 2))?;
        Ok(Value::strings(found.into_iter().map(|(start, end)| Text::from(s.get(start..end).unwrap_or_default()))))
    }

    /// Start and end of each match. An empty match right after a match does not count.
    fn all_matches(&self, s: &[u8], limit: i64) -> Result<Vec<(usize, usize)>, String> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.look(s.len())?;
        let mut found = Vec::new();
        let mut at = 0;
        let mut previous_end = None;
        while found.len() < limit && at <= s.len() {
            let Some(next) = self.regex.find_at(s, at) else { break };
            self.found(s, at, next.end())?;
            let is_repeated = next.end() == at && previous_end == Some(next.start());
            at = if next.end() == at { at + rune_width(s, at).max(1) } else { next.end() };
            previous_end = Some(next.end());
            if !is_repeated {
                self.make(PIECE)?;
                found.push((next.start(), next.end()));
            }
        }
        Ok(found)
    }

    /// The second argument with every match replaced by what `write` makes of it and the third argument.
    fn replace_all(&self, args: &[Value], write: fn(&Self, &Captures<'_>, &[u8]) -> Vec<u8>) -> Result<Value, String> {
        let (s, template) = (text(args, 1), text(args, 2));
        self.look(s.len())?;
        let mut out = Vec::new();
        let (mut copied, mut at) = (0, 0);
        while at <= s.len() {
            let Some(captures) = self.regex.captures_at(s, at) else { break };
            let Some(whole) = captures.get(0) else { break };
            self.found(s, at, whole.end())?;
            let before = out.len();
            out.extend_from_slice(s.get(copied..whole.start()).unwrap_or_default());
            // An empty match right after a match is not replaced.
            if whole.end() > copied || whole.start() == 0 {
                // A template may name a group often.
                let references = memchr::memchr_iter(b'$', template).count();
                self.make(references.saturating_mul(whole.len()))?;
                out.extend(write(self, &captures, template));
            }
            self.make(out.len() - before)?;
            copied = whole.end();
            at = whole.end().max(at + rune_width(s, at).max(1));
        }
        out.extend_from_slice(s.get(copied..).unwrap_or_default());
        Ok(Value::string(out))
    }

    /// Go's replacement template: `$1`, `$name`, `${1}`, `$$`; a name is as long as letters, digits and `_` go on.
    fn expand(&self, captures: &Captures<'_>, template: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = template;
        while let Some(dollar) = rest.iter().position(|b| *b == b'$') {
            out.extend_from_slice(rest.get(..dollar).unwrap_or_default());
            rest = rest.get(dollar + 1..).unwrap_or_default();
            if let Some(after) = rest.strip_prefix(b"$") {
                out.push(b'$');
                rest = after;
            } else if let Some((name, after)) = group_reference(rest) {
                out.extend_from_slice(self.group(captures, &name));
                rest = after;
            } else {
                out.push(b'$');
            }
        }
        out.extend_from_slice(rest);
        out
    }

    /// What a group of this number or name matched; of several with the name the first that took part.
    fn group<'a>(&self, captures: &Captures<'a>, name: &str) -> &'a [u8] {
        let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
        let matched = if is_number {
            name.parse().ok().and_then(|number: usize| captures.get(number))
        } else {
            let mut named = self.names.iter().enumerate().filter(|(_, n)| *n == name);
            named.find_map(|(number, _)| captures.get(number))
        };
        matched.map(|m| m.as_bytes()).unwrap_or_default()
    }

    /// The pieces of the second argument between matches, at most as many as the third says; all if it is negative.
    fn split(&self, args: &[Value]) -> Result<Value, String> {
        let (s, limit) = (text(args, 1), int(args, 2));
        if limit == 0 {
            return Ok(Value::strings(Vec::<Text>::new()));
        }
        if !self.is_empty && s.is_empty() {
            return Ok(Value::strings([""]));
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut pieces: Vec<Text> = Vec::new();
        let (mut begin, mut end) = (0, 0);
        for (start, stop) in self.all_matches(s, limit)? {
            if pieces.len() >= most.saturating_sub(1) {
                break;
            }
            end = start;
            if stop != 0 {
                pieces.push(s.get(begin..end).unwrap_or_default().into());
            }
            begin = stop;
        }
        if end != s.len() {
            pieces.push(s.get(begin..).unwrap_or_default().into());
        }
        Ok(Value::strings(pieces))
    }
}

/// The name in `name…` or `{name}…`, and what follows.
fn group_reference(template: &[u8]) -> Option<(String, &[u8])> {
    let (braced, body) = template.strip_prefix(b"{").map_or((false, template), |body| (true, body));
    let readable = body.utf8_chunks().next()?.valid();
    let is_name = |c: char| c == '_' || c.is_alphabetic() || c.is_numeric();
    let end = readable.find(|c| !is_name(c)).unwrap_or(readable.len());
    let name = readable.get(..end).filter(|n| !n.is_empty())?;
    let rest = body.get(end..)?;
    Some((name.to_owned(), if braced { rest.strip_prefix(b"}")? } else { rest }))
}

/// The width of the character at an index; 1 for a byte that is none, 0 at the end.
fn rune_width(s: &[u8], at: usize) -> usize {
    let rest = s.get(at..).unwrap_or_default();
    let readable = rest.get(..4).unwrap_or(rest).utf8_chunks().next().map(|c| c.valid()).unwrap_or_default();
    readable.chars().next().map_or(usize::from(!rest.is_empty()), char::len_utf8)
}

/// A backslash before each byte that means something in a pattern.
fn quote_meta(s: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(s.len());
    for b in s {
        if br"\.+*?()|[]{}^$".contains(b) {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out
}

/// A text in backquotes if Go can write it so, else quoted.
fn backquote(s: &[u8]) -> String {
    match std::str::from_utf8(s) {
        Ok(plain) if !plain.chars().any(|c| c == '`' || c == '\u{feff}' || c == '\x7f' || (c < ' ' && c != '\t')) => {
            format!("`{plain}`")
        }
        _ => String::from_utf8_lossy(&quote(s)).into_owned(),
    }
}
