//! Keys that a file has twice in one map: the last one counts, and whoever wrote it should know.

use helm_template::yaml::DuplicateKey;
use std::fmt;

/// A key that a file has twice in one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The file.
    pub file: String,
    /// The key and both places.
    pub found: DuplicateKey,
}

impl Duplicate {
    /// The duplicate keys of a document.
    #[must_use]
    pub fn of(file: &str, found: &[DuplicateKey]) -> Vec<Self> {
        found.iter().map(|found| Self { file: file.to_owned(), found: found.clone() }).collect()
    }

    /// `FILE:LINE:COLUMN` of the second occurrence.
    #[must_use]
    pub fn location(&self) -> String {
        format!("{}:{}:{}", self.file, self.found.again.line, self.found.again.column)
    }

    /// The message to the user, without the location and the key.
    #[must_use]
    pub fn message(&self) -> String {
        let line = self.found.first.line;
        match self.found.key.as_str() {
            "<<" => format!("stands in this map already, at line {line}; both are merged, where keys of this one win"),
            _ => format!("is already set in this map, at line {line}; this one counts, so remove one of them"),
        }
    }
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.location(), self.found.key, self.message())
    }
}
