//! Texts of objects that stay as they are written: most of a release is the text of its CRDs, which is held once.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// The text of an object: a part of one that others share. Two are equal if their texts are.
#[derive(Clone, Debug)]
pub(super) struct Written {
    whole: Arc<String>,
    at: Range<usize>,
}

impl Written {
    /// A text of its own.
    pub(super) fn of(text: String) -> Self {
        let at = 0..text.len();
        Self { whole: Arc::new(text), at }
    }

    /// A line, or some, of a text, with the newline after them; `None` if they are no part of it, or it has none there.
    pub(super) fn lines(whole: &Arc<String>, lines: &str) -> Option<Self> {
        let start = lines.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        let at = start..start + lines.len() + 1;
        let is_here = whole.get(at.clone())?.strip_suffix('\n') == Some(lines);
        is_here.then(|| Self { whole: Arc::clone(whole), at })
    }
}

impl Deref for Written {
    type Target = str;

    fn deref(&self) -> &str {
        self.whole.get(self.at.clone()).unwrap_or_default()
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_text_are_not_copied() {
        let whole = Arc::new("a: 1\n---\nb: ä\n".to_owned());
        let part = Written::lines(&whole, &whole[9..14]).unwrap();
        assert_eq!(&*part, "b: ä\n");
        assert_eq!(part.as_ptr(), whole[9..].as_ptr());
        assert_eq!(part, Written::of("b: ä\n".into()));
        // No newline after it, and somebody else's text.
        assert_eq!(Written::lines(&whole, &whole[9..11]), None);
        assert_eq!(Written::lines(&whole, &whole[9..]), None);
        let other = "b: ä".to_owned();
        assert_eq!(Written::lines(&whole, &other), None);
    }
}
