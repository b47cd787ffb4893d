//! Base64 and base32 with padding, as Go's `encoding/base64` and `encoding/base32` write and read them.
//!
//! In: bytes. Out: the other form, or Go's error text with the position of the first bad byte. Line ends in the input
//! are skipped.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Standard base64.
pub(crate) fn base64(s: &[u8]) -> Vec<u8> {
    encode(s, BASE64, 6, 4)
}

/// Standard base32.
pub(crate) fn base32(s: &[u8]) -> Vec<u8> {
    encode(s, BASE32, 5, 8)
}

fn encode(s: &[u8], alphabet: &[u8], bits: u32, quantum: usize) -> Vec<u8> {
    let mask = (1_u32 << bits) - 1;
    let symbol = |value: u32| {
        let index = usize::try_from(value & mask).unwrap_or(0);
        alphabet.get(index).copied().unwrap_or(b'=')
    };
    let mut out = Vec::with_capacity(s.len().div_ceil(3) * 4);
    let (mut pending, mut width) = (0_u32, 0);
    for b in s {
        pending = (pending << 8) | u32::from(*b);
        width += 8;
        while width >= bits {
            width -= bits;
            out.push(symbol(pending >> width));
        }
        pending &= 0xff;
    }
    if width > 0 {
        out.push(symbol(pending << (bits - width)));
    }
    out.resize(out.len().next_multiple_of(quantum), b'=');
    out
}

/// Packs symbol values of `bits` each into bytes; bits that fill no byte are dropped.
fn pack(values: &[u8], bits: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len());
    let (mut pending, mut width) = (0_u32, 0);
    for value in values {
        pending = (pending << bits) | u32::from(*value);
        width += bits;
        if width >= 8 {
            width -= 8;
            out.push((pending >> width).to_le_bytes()[0]);
            pending &= (1 << width) - 1;
        }
    }
    out
}

fn value_of(alphabet: &[u8], symbol: u8) -> Option<u8> {
    alphabet.iter().position(|b| *b == symbol).and_then(|at| u8::try_from(at).ok())
}

fn is_line_end(b: u8) -> bool {
    b == b'\n' || b == b'\r'
}

/// Reads standard base64.
pub(crate) fn decode64(s: &[u8]) -> Result<Vec<u8>, String> {
    let bad = |at: usize| format!("illegal base64 data at input byte {at}");
    let mut values = Vec::with_capacity(s.len());
    for (at, b) in s.iter().enumerate().filter(|(_, b)| !is_line_end(**b)) {
        if let Some(value) = value_of(BASE64, *b) {
            values.push(value);
            continue;
        }
        // Padding: two signs behind two symbols, one behind three, and nothing but line ends after them.
        let mut rest = s.iter().enumerate().skip(at + 1).filter(|(_, b)| !is_line_end(**b));
        match (*b, values.len() % 4) {
            (b'=', 2) => match rest.next() {
                None => return Err(bad(s.len())),
                Some((_, b'=')) => {}
                Some((next, _)) => return Err(bad(next - 1)),
            },
            (b'=', 3) => {}
            _ => return Err(bad(at)),
        }
        return rest.next().map_or_else(|| Ok(pack(&values, 6)), |(garbage, _)| Err(bad(garbage)));
    }
    match values.len() % 4 {
        0 => Ok(pack(&values, 6)),
        missing_after => Err(bad(s.len() - missing_after)),
    }
}

/// Reads standard base32. Positions are counted without line ends.
pub(crate) fn decode32(s: &[u8]) -> Result<Vec<u8>, String> {
    let s: Vec<u8> = s.iter().copied().filter(|b| !is_line_end(*b)).collect();
    let bad = |at: usize| format!("illegal base32 data at input byte {at}");
    let mut values = Vec::with_capacity(s.len());
    for (at, b) in s.iter().enumerate() {
        let (position, rest) = (values.len() % 8, s.get(at + 1..).unwrap_or_default());
        if *b != b'=' || position < 2 || rest.len() >= 8 {
            values.push(value_of(BASE32, *b).ok_or_else(|| bad(at))?);
            continue;
        }
        if rest.len() + position < 7 {
            return Err(bad(s.len()));
        }
        if let Some(wrong) = rest.iter().take(7 - position).position(|b| *b != b'=') {
            return Err(bad(at + wrong));
        }
        return if matches!(position, 3 | 6) { Err(bad(at)) } else { Ok(pack(&values, 5)) };
    }
    match values.len() % 8 {
        0 => Ok(pack(&values, 5)),
        missing_after => Err(bad(s.len() - missing_after)),
    }
}
