//! Texts of objects that stay as they are written: most of a release is the text of its CRDs, which is held once.

use bytes::Bytes;
use std::ops::Deref;
use std::str::{Utf8Error, from_utf8};

/// The text of an object: it may be a part of one that others share. Two are equal if their texts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written(Bytes);

impl Written {
    /// A whole text.
    pub(super) fn new(text: Bytes) -> Result<Self, Utf8Error> {
        from_utf8(&text)?;
        Ok(Self(text))
    }

    /// A line of a text, or some, with the newline after them; `None` if they are not part of it, or it has none there.
    pub(super) fn lines(&self, lines: &str) -> Option<Self> {
        let start = lines.as_ptr().addr().checked_sub(self.0.as_ptr().addr())?;
        let at = start..start + lines.len() + 1;
        let is_here = self.0.get(at.clone())?.strip_suffix(b"\n") == Some(lines.as_bytes());
        is_here.then(|| Self(self.0.slice(at)))
    }
}

impl From<String> for Written {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Deref for Written {
    type Target = str;

    fn deref(&self) -> &str {
        from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_text_are_not_copied() {
        let whole = Written::from("a: 1\n---\nb: ä\n".to_owned());
        let part = whole.lines(&whole[9..14]).unwrap();
        assert_eq!(&*part, "b: ä\n");
        assert_eq!(part.as_ptr(), whole[9..].as_ptr());
        assert_eq!(part, "b: ä\n".to_owned().into());
        // No newline after it, and somebody else's text.
        assert_eq!(whole.lines(&whole[9..11]), None);
        assert_eq!(whole.lines(&whole[9..]), None);
        let other = "b: ä".to_owned();
        assert_eq!(whole.lines(&other), None);
    }

    #[test]
    fn what_is_no_text_is_an_error() {
        assert!(Written::new(Bytes::from_static(b"a: \xff")).is_err());
    }
}
