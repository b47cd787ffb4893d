//! A quick check for text of plain ASCII, as nearly all text is, so that the slow ways are left to the rest.

/// Bytes checked in one go.
const CHUNK: usize = 64;

/// Whether there is nothing in a text but printable ASCII and newlines.
// Not inlined: a program that is compiled for size would check byte by byte.
#[inline(never)]
pub(crate) fn is_printable(text: &str) -> bool {
    // Without an early end inside of it, a chunk is checked many bytes at a time.
    let all = |chunk: &[u8]| chunk.iter().fold(true, |all, b| all & matches!(b, b' '..=b'~' | b'\n'));
    text.as_bytes().chunks(CHUNK).all(all)
}

#[cfg(test)]
mod tests {
    use super::is_printable;

    #[test]
    fn one_odd_character_anywhere_is_found() {
        let plain = " ~a\n".repeat(50);
        assert!(is_printable(&plain) && is_printable(""));
        for odd in ["\t", "\r", "\u{7f}", "\0", "é", "\u{2028}"] {
            for at in [0, 63, 64, 150, 200] {
                let mut text = plain.clone();
                text.insert_str(at, odd);
                assert!(!is_printable(&text), "{odd:?} at {at}");
            }
        }
    }
}
