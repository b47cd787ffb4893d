//! The texts of `html`, `js` and `urlquery`.

use super::format::{decode_rune, is_print};

/// Go's `HTMLEscapeString`.
pub(super) fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    out
}

/// Go's `JSEscapeString`.
pub(super) fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((c, width)) = decode_rune(rest) {
        let (this, after) = rest.split_at_checked(width).unwrap_or((rest, b""));
        match c {
            '\\' | '\'' | '"' => out.extend_from_slice(&[b'\\', this.first().copied().unwrap_or_default()]),
            '<' | '>' | '&' | '=' | '\0'..' ' => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
            '\x7f' => out.push(0x7f),
            c if is_print(c) => out.extend_from_slice(this),
            c => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
        }
        rest = after;
    }
    out
}

/// Go's `url.QueryEscape`.
pub(super) fn url_query(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_go_does() {
        assert_eq!(html(b"<a b=\"c\">'&\0"), "&lt;a b=&#34;c&#34;&gt;&#39;&amp;\u{fffd}".as_bytes());
        assert_eq!(js("<é\u{200b}'\"\\\n=".as_bytes()), "\\u003Cé\\u200B\\'\\\"\\\\\\u000A\\u003D".as_bytes());
        assert_eq!(url_query("a b/é~".as_bytes()), b"a+b%2F%C3%A9~");
    }
}
