//! PEM, the text form of keys and certificates.

use crate::sprig::base::{base64, decode64};

/// A text with one block.
pub(super) fn encode(label: &str, contents: &[u8]) -> Vec<u8> {
    let mut out = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in base64(contents).chunks(64) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend(format!("-----END {label}-----\n").into_bytes());
    out
}

/// Label and contents of the first block that can be read; text around it is skipped, and so are headers in it.
pub(super) fn decode(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|l| l.strip_suffix("-----")) else { continue };
        let end = format!("-----END {label}-----");
        let mut ahead = lines.clone();
        let body: String = ahead.by_ref().take_while(|l| *l != end).filter(|l| !l.contains(':')).collect();
        let is_closed = text.lines().any(|l| l.trim_end() == end);
        let body: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        if let Some(contents) = decode64(&body).ok().filter(|_| is_closed) {
            return Some((label.to_owned(), contents));
        }
    }
    None
}
