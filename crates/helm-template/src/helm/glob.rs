//! The two pattern languages of Helm.
//!
//! [`matches_path`] is Go's `filepath.Match` (`.helmignore`, `--show-only`): `*` and `?` stop at `/`, `[a-z]`, `[^a]`,
//! `\` escapes. [`Glob`] is the language of `.Files.Glob`: `*` stops at `/`, `**` crosses it, `{a,b}`, `[abc]`, `[a-z]`,
//! `[!a]`.

use std::cell::Cell;

/// Why a `filepath.Match` pattern cannot be read; the text is Go's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Whether `name` matches a `filepath.Match` pattern as a whole.
///
/// As in Go the pattern is read only as far as the comparison goes, so an error behind a mismatch may stay unseen.
///
/// # Errors
/// A bracket that does not close or an escape at the end.
pub fn matches_path(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let mut pattern: Vec<char> = pattern.chars().collect();
    let mut name: Vec<char> = name.chars().collect();
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = scan_chunk(&pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(!name.contains(&'/'));
        }
        let (after, ok) = match_chunk(&chunk, &name)?;
        if ok && (after.is_empty() || !pattern.is_empty()) {
            name = after;
            continue;
        }
        if star {
            let mut from = 0;
            while name.get(from).is_some_and(|c| *c != '/') {
                let tail = name.get(from + 1..).unwrap_or_default();
                let (after, ok) = match_chunk(&chunk, tail)?;
                if ok && (after.is_empty() || !pattern.is_empty()) {
                    name = after;
                    continue 'pattern;
                }
                from += 1;
            }
        }
        while !pattern.is_empty() {
            let (_, chunk, rest) = scan_chunk(&pattern);
            pattern = rest;
            match_chunk(&chunk, &[])?;
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Splits off the leading stars and the text up to the next star outside brackets.
fn scan_chunk(pattern: &[char]) -> (bool, Vec<char>, Vec<char>) {
    let stars = pattern.iter().take_while(|c| **c == '*').count();
    let body = pattern.get(stars..).unwrap_or_default();
    let (mut in_range, mut end) = (false, body.len());
    let mut at = 0;
    while let Some(c) = body.get(at) {
        match c {
            '\\' => at += 1,
            '[' => in_range = true,
            ']' => in_range = false,
            '*' if !in_range => {
                end = at;
                break;
            }
            _ => {}
        }
        at += 1;
    }
    let end = end.min(body.len());
    let (chunk, rest) = body.split_at_checked(end).unwrap_or((body, &[]));
    (stars > 0, chunk.to_vec(), rest.to_vec())
}

/// Matches a star-free chunk at the start of a name: what is left of the name, and whether it matched.
fn match_chunk(chunk: &[char], name: &[char]) -> Result<(Vec<char>, bool), BadPattern> {
    let mut name = name.iter().copied();
    let mut pattern = chunk.iter().copied().peekable();
    // After a mismatch the rest of the chunk is still read, for errors only.
    let mut failed = false;
    while let Some(c) = pattern.next() {
        let mut next = None;
        if !failed {
            next = name.next();
            failed = next.is_none();
        }
        match c {
            '[' => {
                let hit = match_range(&mut pattern, next.unwrap_or('\0'))?;
                failed |= !hit;
            }
            '?' => failed |= next == Some('/'),
            '\\' => {
                let literal = pattern.next().ok_or(BadPattern)?;
                failed |= next != Some(literal);
            }
            literal => failed |= next != Some(literal),
        }
    }
    Ok(if failed { (Vec::new(), false) } else { (name.collect(), true) })
}

/// Reads the rest of a `[…]` and tells whether it holds the character.
fn match_range<I: Iterator<Item = char>>(pattern: &mut std::iter::Peekable<I>, c: char) -> Result<bool, BadPattern> {
    let negated = pattern.next_if_eq(&'^').is_some();
    let (mut hit, mut count) = (false, 0);
    loop {
        if count > 0 && pattern.next_if_eq(&']').is_some() {
            return Ok(hit != negated);
        }
        let low = range_char(pattern)?;
        let high = if pattern.next_if_eq(&'-').is_some() { range_char(pattern)? } else { low };
        hit |= low <= c && c <= high;
        count += 1;
    }
}

fn range_char<I: Iterator<Item = char>>(pattern: &mut std::iter::Peekable<I>) -> Result<char, BadPattern> {
    let c = match pattern.next() {
        None | Some('-' | ']') => return Err(BadPattern),
        Some('\\') => pattern.next().ok_or(BadPattern)?,
        Some(c) => c,
    };
    // Go wants more pattern after every character of a range.
    if pattern.peek().is_none() { Err(BadPattern) } else { Ok(c) }
}

/// A compiled `.Files.Glob` pattern.
#[derive(Debug)]
pub struct Glob {
    parts: Vec<Part>,
    /// Comparisons that may still be made for this path.
    left: Cell<u32>,
}

/// How many comparisons a pattern may need for one path.
const MOST_STEPS: u32 = 20_000;

/// The work of matching one path, besides reading it: what has many ways to match may try them all.
#[must_use]
pub fn work(pattern: &[u8]) -> u64 {
    const STEP: u64 = 20;
    let choices = pattern.iter().filter(|b| matches!(b, b'*' | b'{' | b',')).count();
    // `dir/**/*.yaml` has three stars, and needs no more than a path has parts.
    if choices > 4 { STEP * u64::from(MOST_STEPS) } else { STEP * 100 }
}

/// A pattern that is too long, or that has too many ways to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pattern takes too long to match; use fewer stars and braces")]
pub struct TooComplex;

#[derive(Debug)]
enum Part {
    Char(char),
    /// `?`: one character but `/`
    Single,
    /// `*`: characters but `/`
    Any,
    /// `**`: any characters
    Super,
    /// `[abc]` or `[a-z]`
    Set {
        chars: Vec<char>,
        range: Option<(char, char)>,
        not: bool,
    },
    /// `{a,b}`
    Either(Vec<Vec<Part>>),
}

impl Glob {
    /// Compiles a pattern; one that cannot be read acts as `**`, as in Helm.
    ///
    /// # Errors
    /// It is longer than any path.
    pub fn new(pattern: &str) -> Result<Self, TooComplex> {
        const LONGEST: usize = 4096;
        if pattern.len() > LONGEST {
            return Err(TooComplex);
        }
        let chars: Vec<char> = pattern.chars().collect();
        let parts = parse_glob(&chars).unwrap_or_else(|| vec![Part::Super]);
        Ok(Self { parts, left: Cell::new(MOST_STEPS) })
    }

    /// Whether a path matches as a whole.
    ///
    /// # Errors
    /// That takes too long to find out.
    pub fn matches(&self, path: &str) -> Result<bool, TooComplex> {
        let chars: Vec<char> = path.chars().collect();
        self.left.set(MOST_STEPS);
        let matched = self.match_parts(&Link { parts: &self.parts, then: None }, &chars);
        if self.left.get() == 0 { Err(TooComplex) } else { Ok(matched) }
    }

    fn match_parts(&self, link: &Link<'_>, text: &[char]) -> bool {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            return false;
        }
        let Some((first, rest)) = link.parts.split_first() else {
            return link.then.map_or(text.is_empty(), |outer| self.match_parts(outer, text));
        };
        let after = Link { parts: rest, then: link.then };
        let one = |wanted: &dyn Fn(char) -> bool| {
            text.split_first().is_some_and(|(c, tail)| wanted(*c) && self.match_parts(&after, tail))
        };
        match first {
            Part::Char(c) => one(&|t| t == *c),
            Part::Single => one(&|t| t != '/'),
            Part::Set { chars, range, not } => one(&|t| {
                let inside = chars.contains(&t) || range.is_some_and(|(low, high)| low <= t && t <= high);
                inside != *not
            }),
            Part::Either(branches) => {
                branches.iter().any(|branch| self.match_parts(&Link { parts: branch, then: Some(&after) }, text))
            }
            Part::Any | Part::Super => {
                let crosses = matches!(first, Part::Super);
                let reach = text.iter().take_while(|c| crosses || **c != '/').count();
                (0..=reach).any(|n| text.get(n..).is_some_and(|tail| self.match_parts(&after, tail)))
            }
        }
    }
}

/// Reads a pattern; `None` for one the language refuses.
fn parse_glob(chars: &[char]) -> Option<Vec<Part>> {
    // One level per open brace: the finished branches and the branch being read.
    let mut levels: Vec<(Vec<Vec<Part>>, Vec<Part>)> = vec![(Vec::new(), Vec::new())];
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        let nested = levels.len() > 1;
        let part = match c {
            '{' => {
                levels.push((Vec::new(), Vec::new()));
                continue;
            }
            ',' if nested => {
                let (done, current) = levels.last_mut()?;
                done.push(std::mem::take(current));
                continue;
            }
            '}' if nested => close_brace(&mut levels)?,
            '[' => {
                let (part, next) = parse_set(chars, at)?;
                at = next;
                part
            }
            '?' => Part::Single,
            '*' if chars.get(at) == Some(&'*') => {
                at += 1;
                Part::Super
            }
            '*' => Part::Any,
            '\\' => {
                let Some(literal) = chars.get(at) else { continue };
                at += 1;
                Part::Char(*literal)
            }
            literal => Part::Char(literal),
        };
        levels.last_mut()?.1.push(part);
    }
    // An open brace at the end closes by itself.
    while levels.len() > 1 {
        let part = close_brace(&mut levels)?;
        levels.last_mut()?.1.push(part);
    }
    levels.pop().map(|(_, parts)| parts)
}

fn close_brace(levels: &mut Vec<(Vec<Vec<Part>>, Vec<Part>)>) -> Option<Part> {
    let (mut done, current) = levels.pop()?;
    done.push(current);
    Some(Part::Either(done))
}

/// Reads `abc]` or `a-z]` after the bracket: the part, and the place behind it.
fn parse_set(chars: &[char], mut at: usize) -> Option<(Part, usize)> {
    let not = chars.get(at) == Some(&'!');
    at += usize::from(not);
    if chars.get(at + 1) == Some(&'-') {
        let (low, high) = (*chars.get(at)?, *chars.get(at + 2)?);
        if chars.get(at + 3) != Some(&']') || high < low {
            return None;
        }
        return Some((Part::Set { chars: Vec::new(), range: Some((low, high)), not }, at + 4));
    }
    let mut set = Vec::new();
    loop {
        match *chars.get(at)? {
            ']' => break,
            '\\' => {
                set.push(*chars.get(at + 1)?);
                at += 2;
            }
            c => {
                set.push(c);
                at += 1;
            }
        }
    }
    if set.is_empty() { None } else { Some((Part::Set { chars: set, range: None, not }, at + 1)) }
}

/// What remains to be matched: these parts, then those of the enclosing levels.
struct Link<'a> {
    parts: &'a [Part],
    then: Option<&'a Link<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_of_a_path_pattern_stops_at_a_slash() {
        for (pattern, name, want) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "d/a.txt", false),
            ("d/*", "d/a.txt", true),
            ("templates/.?*", "templates/.hidden", true),
            ("templates/.?*", "templates/.", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a\\*", "a*", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("", "", true),
        ] {
            assert_eq!(matches_path(pattern, name), Ok(want), "{pattern} on {name}");
        }
        assert_eq!(matches_path("[a", "a"), Err(BadPattern));
        assert_eq!(matches_path("a\\", "ab"), Err(BadPattern));
    }

    #[test]
    fn a_file_glob_knows_double_stars_sets_and_branches() {
        for (pattern, name, want) in [
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("files/*.txt", "files/a.txt", true),
            ("files/*.txt", "files/d/a.txt", false),
            ("files/**.txt", "files/d/a.txt", true),
            ("{a,b}.c", "b.c", true),
            ("{a,b/*}.c", "b/x.c", true),
            ("[!a]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("?.c", "/.c", false),
            ("a{b", "ab", true),
            ("[", "anything/at/all", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(name), Ok(want), "{pattern} on {name}");
        }
    }
}
