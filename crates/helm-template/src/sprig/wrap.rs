//! Line wrapping and shortening, as `Masterminds/goutils` does it: byte by byte, not character by character.

/// Breaks a text into lines of at most `width` bytes at blanks; an empty line end is `\n`. Words longer than a line
/// are cut if `cut_words`, else they stay whole. Blanks at the start of a new line are dropped.
pub(crate) fn wrap(s: &[u8], width: i64, line_end: &[u8], cut_words: bool) -> Vec<u8> {
    let line_end = if line_end.is_empty() { b"\n" } else { line_end };
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s;
    while rest.len() > width {
        if let Some(stripped) = rest.strip_prefix(b" ") {
            rest = stripped;
            continue;
        }
        let window = rest.get(..=width).unwrap_or(rest);
        let cut = window.iter().rposition(|b| *b == b' ').map(|at| (at, at + 1));
        let cut = cut.or_else(|| cut_words.then_some((width, width))).or_else(|| {
            let beyond = memchr::memchr(b' ', rest.get(width..).unwrap_or_default())?;
            Some((width + beyond, width + beyond + 1))
        });
        let Some((end, next)) = cut else {
            break;
        };
        out.extend_from_slice(rest.get(..end).unwrap_or_default());
        out.extend_from_slice(line_end);
        rest = rest.get(next..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// `abbrev`: shortens at the end to `width` bytes, the dots included.
pub(crate) fn abbrev(width: i64, s: &[u8]) -> Vec<u8> {
    if width < 4 {
        return s.to_vec();
    }
    abbreviate(s, 0, width)
}

/// `abbrevboth`: shortens at both ends, starting at byte `left`.
pub(crate) fn abbrev_both(left: i64, right: i64, s: &[u8]) -> Vec<u8> {
    if right < 4 || left > 0 && right < 7 {
        return s.to_vec();
    }
    abbreviate(s, left, right)
}

/// `goutils.AbbreviateFull` for widths of at least 4; its errors give an empty text.
fn abbreviate(s: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let length = i64::try_from(s.len()).unwrap_or(i64::MAX);
    if length <= width {
        return s.to_vec();
    }
    let part = |from: i64, to: i64| {
        let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
        s.get(from..to).unwrap_or_default()
    };
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return [part(0, width - 3), b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        return [b"...", abbreviate(part(offset, length), 0, width - 3).as_slice()].concat();
    }
    [b"...", part(length - (width - 3), length)].concat()
}

/// A byte seen as the character of the same number, which is how goutils looks at texts.
fn latin1(s: &[u8]) -> impl Iterator<Item = char> {
    s.iter().map(|b| char::from(*b))
}

/// `nospace`: unchanged if there is no white space, else every byte is written as a character of its own.
pub(crate) fn nospace(s: &[u8]) -> Vec<u8> {
    if latin1(s).any(char::is_whitespace) {
        return latin1(s).filter(|c| !c.is_whitespace()).collect::<String>().into_bytes();
    }
    s.to_vec()
}

/// `initials`: the first byte of every word.
pub(crate) fn initials(s: &[u8]) -> Vec<u8> {
    let mut in_gap = true;
    let mut out = String::new();
    for c in latin1(s) {
        if !c.is_whitespace() && in_gap {
            out.push(c);
        }
        in_gap = c.is_whitespace();
    }
    out.into_bytes()
}
