//! `.helmignore`: which files of a chart directory are left out.
//!
//! Rules are tried in order and the first that decides wins. A rule with `!` ignores at once everything it does *not*
//! match, which is what Helm does, surprising as it is.

use super::glob::{BadPattern, matches_path};

/// Why an ignore file cannot be used; the texts are Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `**` is not part of the language.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// Longer than any path that it could match.
    #[error("a rule of .helmignore is longer than {LONGEST} bytes")]
    TooLong,
    /// A bracket or escape that does not end.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
}

/// The longest rule.
const LONGEST: usize = 1024;

/// The rules of one chart directory.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: String,
    /// With a `/` the whole relative path is compared, without one the last segment.
    whole_path: bool,
    negated: bool,
    directories_only: bool,
}

impl Rules {
    /// Reads an ignore file (empty text for none) and adds Helm's own rule, which drops dotfiles in `templates/`.
    ///
    /// # Errors
    /// A pattern that cannot be read.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines().chain(["templates/.?*"]) {
            rules.extend(Rule::parse(line.trim())?);
        }
        Ok(Self(rules))
    }

    /// How many comparisons [`ignores`](Self::ignores) may take: one for each rule and some hundred bytes that meet.
    #[must_use]
    pub fn cost(&self, path: &str) -> usize {
        self.0.iter().map(|rule| 1 + rule.pattern.len() * path.len() / 1000).sum()
    }

    /// Whether a path, relative to the chart and with `/` between its parts, is ignored.
    #[must_use]
    pub fn ignores(&self, path: &str, is_dir: bool) -> bool {
        if path.is_empty() || path == "." {
            return false;
        }
        for rule in &self.0 {
            let right_kind = is_dir || !rule.directories_only;
            let hit = right_kind && rule.matches(path);
            if hit != rule.negated {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Option<Self>, IgnoreError> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.len() > LONGEST {
            return Err(IgnoreError::TooLong);
        }
        if line.contains("**") {
            return Err(IgnoreError::DoubleStar);
        }
        matches_path(line, "abc")?;
        let (negated, rest) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (directories_only, rest) = rest.strip_suffix('/').map_or((false, rest), |rest| (true, rest));
        let whole_path = rest.contains('/');
        let pattern = rest.strip_prefix('/').unwrap_or(rest).to_owned();
        Ok(Some(Self { pattern, whole_path, negated, directories_only }))
    }

    fn matches(&self, path: &str) -> bool {
        let name = if self.whole_path { path } else { path.rsplit('/').next().unwrap_or(path) };
        matches_path(&self.pattern, name).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_decides_wins() {
        let rules = Rules::parse("# comment\n*.bak\n/top.txt\ndir/\nfiles/*.md\n").unwrap();
        for (path, is_dir, ignored) in [
            ("a.bak", false, true),
            ("d/a.bak", false, true),
            ("top.txt", false, true),
            ("d/top.txt", false, false),
            ("dir", true, true),
            ("dir", false, false),
            ("x/dir", true, true),
            ("files/a.md", false, true),
            ("x/files/a.md", false, false),
            ("templates/.hidden", false, true),
            ("templates/d/.hidden", false, false),
        ] {
            assert_eq!(rules.ignores(path, is_dir), ignored, "{path}");
        }
    }

    #[test]
    fn a_negated_rule_ignores_all_that_it_does_not_match() {
        let rules = Rules::parse("!files/a.txt").unwrap();
        assert!(rules.ignores("Chart.yaml", false));
        assert!(!rules.ignores("files/a.txt", false));
    }

    #[test]
    fn two_stars_are_refused() {
        assert_eq!(Rules::parse("a/**").unwrap_err().to_string(), "double-star (**) syntax is not supported");
    }
}
