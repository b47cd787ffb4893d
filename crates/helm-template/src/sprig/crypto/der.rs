//! DER, the binary form of keys and certificates: the few types that they need.
//!
//! In: contents. Out: elements (tag, length, contents), and back.

/// Tag of a whole number.
pub(super) const INTEGER: u8 = 0x02;
/// Tag of a bit string.
pub(super) const BIT_STRING: u8 = 0x03;
/// Tag of a byte string.
pub(super) const OCTET_STRING: u8 = 0x04;
/// Tag of an object identifier.
pub(super) const OID: u8 = 0x06;
/// Tag of a text of any characters.
pub(super) const UTF8_STRING: u8 = 0x0c;
/// Tag of a text of few characters.
pub(super) const PRINTABLE_STRING: u8 = 0x13;
/// Tag of a time of the years 1950 to 2049.
pub(super) const UTC_TIME: u8 = 0x17;
/// Tag of any other time.
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// Tag of a sequence.
pub(super) const SEQUENCE: u8 = 0x30;
/// Tag of a set.
pub(super) const SET: u8 = 0x31;
/// `NULL`
pub(super) const NULL: &[u8] = &[0x05, 0];
/// `TRUE`
pub(super) const TRUE: &[u8] = &[0x01, 1, 0xff];

/// The tag of a constructed element with a number of its own.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a primitive element with a number of its own.
pub(super) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// An element with these contents.
pub(super) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = contents.len().to_be_bytes();
            let leading = length.iter().take_while(|b| **b == 0).count();
            let length = length.get(leading..).unwrap_or_default();
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(contents);
    out
}

/// A sequence of finished elements.
pub(super) fn sequence<T: AsRef<[u8]>>(elements: &[T]) -> Vec<u8> {
    let contents: Vec<u8> = elements.iter().flat_map(|e| e.as_ref().iter().copied()).collect();
    element(SEQUENCE, &contents)
}

/// A number that is not negative, from its bytes, highest first.
pub(super) fn integer(magnitude: &[u8]) -> Vec<u8> {
    let leading = magnitude.iter().take_while(|b| **b == 0).count();
    let mut contents = magnitude.get(leading..).unwrap_or_default().to_vec();
    if contents.first().is_none_or(|b| b & 0x80 != 0) {
        contents.insert(0, 0);
    }
    element(INTEGER, &contents)
}

/// A bit string of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

/// A sequence of elements that is being read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these elements.
    pub(super) fn new(elements: &'a [u8]) -> Self {
        Self { rest: elements }
    }

    /// Whether all is read.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The contents of the next element, if it has this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.whole(tag).map(|(_, contents)| contents)
    }

    /// The next element with its head, and its contents, if it has this tag.
    pub(super) fn whole(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (first, after) = self.rest.split_first()?;
        if *first != tag {
            return None;
        }
        let (length, after) = after.split_first()?;
        let (length, after) = if *length < 0x80 {
            (usize::from(*length), after)
        } else {
            let (bytes, after) = after.split_at_checked(usize::from(*length & 0x7f))?;
            // Four bytes are more than any input has; the shortest form is required.
            if !(1..=4).contains(&bytes.len()) || bytes.first() == Some(&0) {
                return None;
            }
            let length = bytes.iter().fold(0, |length, b| length << 8 | usize::from(*b));
            (length, after)
        };
        let (contents, rest) = after.split_at_checked(length)?;
        let whole = self.rest.get(..self.rest.len() - rest.len())?;
        self.rest = rest;
        Some((whole, contents))
    }

    /// The next element as a sequence to read.
    pub(super) fn sequence(&mut self) -> Option<Reader<'a>> {
        self.take(SEQUENCE).map(Reader::new)
    }

    /// The bytes of a number that is not negative, without leading zeros.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, rest @ ..] => Some(rest),
            [first, ..] if first & 0x80 != 0 => None,
            [] => None,
            bytes => Some(bytes),
        }
    }

    /// The bytes of a bit string that has no partial byte.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        self.take(BIT_STRING)?.strip_prefix(&[0])
    }

    /// Steps over the next element if it has this tag.
    pub(super) fn skip(&mut self, tag: u8) {
        self.whole(tag);
    }
}
