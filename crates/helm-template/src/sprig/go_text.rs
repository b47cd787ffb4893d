//! Go's `strings` and `unicode` on byte strings that are usually, but need not be, UTF-8.
//!
//! In: bytes. Out: bytes. As in Go, an invalid byte counts as one character of its own and reads as U+FFFD.

use memchr::memmem;

/// The characters of a text, each with its bytes.
pub(crate) fn runes(s: &[u8]) -> impl Iterator<Item = (char, &[u8])> {
    s.utf8_chunks().flat_map(|chunk| {
        let (text, rest) = (chunk.valid(), chunk.invalid());
        let bytes = move |at: usize, c: char| text.as_bytes().get(at..at + c.len_utf8()).unwrap_or_default();
        let valid = text.char_indices().map(move |(at, c)| (c, bytes(at, c)));
        valid.chain(rest.chunks(1).map(|b| (char::REPLACEMENT_CHARACTER, b)))
    })
}

/// `strings.Map` for mappings that drop nothing.
pub(crate) fn map_runes(s: &[u8], mut f: impl FnMut(char) -> char) -> Vec<u8> {
    runes(s).map(|(c, _)| f(c)).collect::<String>().into_bytes()
}

/// `strings.SplitN`; `None` as the limit is `strings.Split`. An empty separator splits between characters.
pub(crate) fn split<'a>(s: &'a [u8], separator: &[u8], limit: Option<usize>) -> Vec<&'a [u8]> {
    if limit == Some(0) {
        return Vec::new();
    }
    let full = |parts: &[&[u8]]| limit.is_some_and(|n| parts.len() + 1 >= n);
    let mut parts = Vec::new();
    if separator.is_empty() {
        let mut rest = s;
        for (_, bytes) in runes(s) {
            if full(&parts) {
                break;
            }
            parts.push(bytes);
            rest = rest.get(bytes.len()..).unwrap_or_default();
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        return parts;
    }
    let mut start = 0;
    for at in memmem::find_iter(s, separator) {
        if full(&parts) {
            break;
        }
        parts.push(s.get(start..at).unwrap_or_default());
        start = at + separator.len();
    }
    parts.push(s.get(start..).unwrap_or_default());
    parts
}

/// `strings.ReplaceAll`; an empty old text matches before every character and at the end.
pub(crate) fn replace(s: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    if old.is_empty() {
        let mut out = new.to_vec();
        for (_, bytes) in runes(s) {
            out.extend_from_slice(bytes);
            out.extend_from_slice(new);
        }
        return out;
    }
    split(s, old, None).join(new)
}

/// `strings.TrimFunc`.
pub(crate) fn trim_by(s: &[u8], unwanted: impl Fn(char) -> bool) -> &[u8] {
    if let Ok(text) = std::str::from_utf8(s) {
        return text.trim_matches(unwanted).as_bytes();
    }
    let (mut at, mut kept) = (0, None::<(usize, usize)>);
    for (c, bytes) in runes(s) {
        let end = at + bytes.len();
        if !unwanted(c) {
            kept = Some((kept.map_or(at, |(start, _)| start), end));
        }
        at = end;
    }
    kept.and_then(|(start, end)| s.get(start..end)).unwrap_or_default()
}

/// `strings.TrimSpace`.
pub(crate) fn trim_space(s: &[u8]) -> &[u8] {
    trim_by(s, char::is_whitespace)
}

/// `strings.Repeat`.
pub(crate) fn repeat(s: &[u8], count: i64) -> Result<Vec<u8>, String> {
    /// Far more than any manifest; Go has no limit but memory.
    const MAX: usize = 1 << 30;
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count".to_owned())?;
    match s.len().checked_mul(count) {
        Some(total) if total <= MAX => Ok(s.repeat(count)),
        _ => Err("strings: Repeat output length overflow".to_owned()),
    }
}

/// `unicode.ToUpper`: the mapping of one character to one character.
pub(crate) fn to_upper(c: char) -> char {
    single(c, c.to_uppercase())
}

/// `unicode.ToLower`.
pub(crate) fn to_lower(c: char) -> char {
    if c == 'İ' { 'i' } else { single(c, c.to_lowercase()) }
}

/// Characters whose full mapping has several characters (`ß`) have no simple one.
fn single(c: char, mut mapped: impl ExactSizeIterator<Item = char>) -> char {
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

/// `unicode.IsPunct`, with the blocks of general and CJK punctuation beyond Latin-1.
pub(crate) fn is_punct(c: char) -> bool {
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        '¡'
        | '§'
        | '«'
        | '¶'
        | '·'
        | '»'
        | '¿'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{2043}'
        | '\u{2045}'..='\u{2051}'
        | '\u{2053}'..='\u{205e}'
        | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}'
        | '\u{3014}'..='\u{301f}' => true,
        _ => c.is_ascii_punctuation(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_obeys_the_limit() {
        assert_eq!(split(b"a,b,c", b",", Some(2)), [&b"a"[..], b"b,c"]);
        assert_eq!(split(b"a,b,c", b",", Some(1)), [b"a,b,c"]);
        assert_eq!(split(b",,", b",", None), [b"", b"", b""]);
        assert_eq!(split(b"abc", b"", None), [b"a", b"b", b"c"]);
        assert_eq!(split(b"abc", b"", Some(2)), [&b"a"[..], b"bc"]);
        assert_eq!(split(b"", b",", None), [b""]);
        assert!(split(b"", b"", None).is_empty());
    }

    #[test]
    fn trimming_takes_from_both_ends_of_any_bytes() {
        for (text, trimmed) in [("\u{a0} a b\n", "a b"), (" \t", ""), ("", ""), ("x", "x")] {
            assert_eq!(trim_space(text.as_bytes()), trimmed.as_bytes(), "{text:?}");
        }
        assert_eq!(trim_space(b" \xff \xfe "), b"\xff \xfe");
    }
}
