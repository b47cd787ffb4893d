//! Something wrong with a spec, and where.

use std::fmt;

/// What begins the advice to write a text in quotes, at the end of a message.
pub(in crate::spec) const QUOTE: &str = "; quote it: ";

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It cannot be understood, such as an unknown field or a wrong type.
    Form,
    /// It cannot work, as far as we know; `--force` lets it pass.
    Content,
    /// A misuse. Upstream's command line refuses it, even with `--force`; its controller does not check it.
    Use,
    /// Worth a warning.
    Doubt,
    /// A file that it names cannot be read now.
    Unreadable,
}

/// Something wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as `spec.components.pilot`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
    /// `FILE:LINE:COLUMN` where it came from a file, `--set FLAG` where it came from a flag.
    pub location: Option<String>,
    /// How much it matters.
    pub kind: Kind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Problems in one sentence.
pub(in crate::spec) fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Problem {
    /// What a problem and its repetition have in common, to find repetitions among thousands: what is wrong, and the last field
    /// of the path without its numbers. The rest may differ: items of a merged list have other indexes, and old values are
    /// copied to another place.
    #[must_use]
    pub fn gist(&self) -> (String, String) {
        let (_, last) = self.path.rsplit_once('.').unwrap_or_default();
        // What to write depends on whether the place is known.
        let what = self.message.split(QUOTE).next().unwrap_or_default();
        (what.to_owned(), last.chars().filter(|c| !c.is_ascii_digit()).collect())
    }
}
