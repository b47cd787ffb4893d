//! PEM, the text form of keys and certificates.
//!
//! Texts are written by the crate `pem-rfc7468`. They are read here, as Go's `encoding/pem` reads them: the crate
//! accepts neither headers nor text after a block, nor lines of varying length. Reading takes one pass over the text.

use crate::sprig::base::decode64;
use der::pem::{LineEnding, encode_string};

/// A text with one block.
///
/// # Errors
/// The label is not valid; all those used here are.
pub(super) fn encode(label: &str, contents: &[u8]) -> Result<String, String> {
    encode_string(label, LineEnding::LF, contents).map_err(|e| e.to_string())
}

/// Label and contents of the first block that can be read. Text around blocks, headers, and blocks without an end are
/// skipped.
pub(super) fn decode(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = String::from_utf8_lossy(text);
    // The label and the lines of the block that is open.
    let mut block: Option<(&str, Vec<&str>)> = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(label) = line.strip_prefix("-----BEGIN ") {
            block = label.strip_suffix("-----").map(|label| (label, Vec::new()));
        } else if let Some(end) = line.strip_prefix("-----END ") {
            if let Some((label, lines)) = block.take()
                && end.strip_suffix("-----") == Some(label)
                && let Some(contents) = contents(&lines)
            {
                return Some((label.to_owned(), contents));
            }
        } else if let Some((_, lines)) = &mut block {
            lines.push(line);
        }
    }
    None
}

/// The bytes in the lines of a block. Headers must be followed by something, as in Go.
fn contents(lines: &[&str]) -> Option<Vec<u8>> {
    let headers = lines.iter().take_while(|line| line.contains(':')).count();
    let body = lines.get(headers..).filter(|body| headers == 0 || !body.is_empty())?;
    let body: Vec<u8> = body.iter().flat_map(|line| line.bytes()).filter(|b| !matches!(b, b' ' | b'\t')).collect();
    decode64(&body).ok()
}
