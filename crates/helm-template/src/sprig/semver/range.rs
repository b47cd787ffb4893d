//! Ranges of versions: `>=1.20-0 <2 || ^3.1`, `1.2 - 2.3`, `~1.2.x`.
//!
//! A range is a list of alternatives (`||`), each a list of conditions that must all hold (separated by blanks or
//! commas), each an operator and a version whose missing or `x` parts stand for any number.

use super::Version;
use crate::gotmpl::format::quote;
use std::ops::ControlFlow;

/// Longer texts are refused.
const MAX_LENGTH: usize = 512;

/// More alternatives are refused.
const MAX_ALTERNATIVES: usize = 32;

/// Whether a version lies in a range, as `semverCompare` and `kubeVersion` mean it.
///
/// # Errors
/// The range cannot be read; the text is Masterminds'.
pub(crate) fn compare_constraint(constraint: &str, version: &Version) -> Result<bool, String> {
    Ok(Constraint::parse(constraint)?.allows(version))
}

/// A range that was read.
pub(crate) struct Constraint {
    alternatives: Vec<Vec<Condition>>,
}

/// How a version must relate to the one of the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// The operators as written; a longer one stands before its own beginning.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// The first part of a condition's version that may be any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wildcard {
    Major,
    Minor,
    Patch,
    None,
}

/// One condition.
#[derive(Debug)]
struct Condition {
    operator: Operator,
    version: Version,
    wildcard: Wildcard,
}

/// A version as written in a range: three number fields and what follows them.
struct Pattern<'a> {
    text: &'a str,
    numbers: [Option<&'a str>; 3],
    /// With its hyphen.
    prerelease: &'a str,
}

impl Constraint {
    /// Reads a range.
    ///
    /// # Errors
    /// The texts of `semver.NewConstraint`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("constraint string is too long (max {MAX_LENGTH} bytes)"));
        }
        let text = spell_out_spans(text);
        let parts: Vec<&str> = text.split("||").collect();
        if parts.len() > MAX_ALTERNATIVES {
            return Err(format!("too many constraint groups (max {MAX_ALTERNATIVES})"));
        }
        let alternatives = parts.into_iter().map(parse_alternative).collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// Whether a version lies in the range. A pre-release does only where a condition names one.
    pub(crate) fn allows(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|conditions| {
            let prerelease_wanted = conditions.iter().any(|c| !c.version.prerelease.is_empty());
            (version.prerelease.is_empty() || prerelease_wanted) && conditions.iter().all(|c| c.holds(version))
        })
    }
}

/// Go's `\s`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

fn skip_space(s: &str) -> &str {
    s.trim_start_matches(is_space)
}

/// Writes `A - B` as `>= A, <= B `, wherever it stands.
fn spell_out_spans(text: &str) -> String {
    let mut out = text.to_owned();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((from, to, tail)) = span(rest) {
            let matched = rest.get(..rest.len() - tail.len()).unwrap_or_default();
            out = out.replacen(matched, &format!(">= {from}, <= {to} "), 1);
            rest = tail;
        } else {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// `A - B` at the start of a text, and what follows it.
fn span(text: &str) -> Option<(&str, &str, &str)> {
    let (from, rest) = pattern(skip_space(text))?;
    let dash = skip_space(rest);
    let after = dash.strip_prefix('-')?;
    let (to, tail) = pattern(skip_space(after))?;
    let apart = dash.len() < rest.len() && after.starts_with(is_space);
    apart.then(|| (from.text, to.text, skip_space(tail)))
}

/// The longest version pattern at the start of a text, and what follows it.
fn pattern(text: &str) -> Option<(Pattern<'_>, &str)> {
    // The bar is an accident of the original, which lists it among the wildcards.
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|');
    let take = |s: &str| s.len() - s.trim_start_matches(is_number).len();
    let mut rest = text.strip_prefix('v').unwrap_or(text);
    let mut numbers = [None; 3];
    for (index, slot) in numbers.iter_mut().enumerate() {
        let field = if index == 0 { Some(rest) } else { rest.strip_prefix('.') };
        let Some((number, tail)) = field.and_then(|f| f.split_at_checked(take(f))) else { break };
        if number.is_empty() {
            break;
        }
        (*slot, rest) = (Some(number), tail);
    }
    numbers.first().copied().flatten()?;
    let (prerelease, rest) = rest.split_at_checked(suffix_length(rest, '-'))?;
    let rest = rest.get(suffix_length(rest, '+')..)?;
    let whole = text.get(..text.len() - rest.len())?;
    Some((Pattern { text: whole, numbers, prerelease }, rest))
}

/// The length of a mark and the dotted identifiers after it; 0 if they are not there.
fn suffix_length(text: &str, mark: char) -> usize {
    let Some(mut rest) = text.strip_prefix(mark) else { return 0 };
    let mut length = 0;
    loop {
        let tail = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
        if tail.len() == rest.len() {
            return length;
        }
        length = text.len() - tail.len();
        match tail.strip_prefix('.') {
            Some(next) => rest = next,
            None => return length,
        }
    }
}

/// The conditions of one alternative.
fn parse_alternative(text: &str) -> Result<Vec<Condition>, String> {
    let improper = || format!("improper constraint: {}", String::from_utf8_lossy(&quote(text.as_bytes())));
    let mut found = Vec::new();
    let mut rest = skip_space(text);
    loop {
        let (operator, after) = OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)))
            .unwrap_or((Operator::Equal, rest));
        let (version, tail) = pattern(skip_space(after)).ok_or_else(improper)?;
        found.push((operator, version));
        match next_condition(tail) {
            ControlFlow::Continue(next) => rest = next,
            ControlFlow::Break(true) => break,
            ControlFlow::Break(false) => return Err(improper()),
        }
    }
    found.iter().map(|(operator, version)| Condition::new(*operator, version)).collect()
}

/// What follows the separator (blanks, or a comma); `Break` tells whether the text ends well.
fn next_condition(tail: &str) -> ControlFlow<bool, &str> {
    let trimmed = skip_space(tail);
    if trimmed.is_empty() {
        return ControlFlow::Break(true);
    }
    match trimmed.strip_prefix(',') {
        Some(next) => ControlFlow::Continue(skip_space(next)),
        None if trimmed.len() < tail.len() => ControlFlow::Continue(trimmed),
        None => ControlFlow::Break(false),
    }
}

impl Condition {
    fn new(operator: Operator, pattern: &Pattern<'_>) -> Result<Self, String> {
        let fixed = |n: Option<&str>| n.filter(|n| !matches!(*n, "x" | "X" | "*")).map(str::to_owned);
        let [major, minor, patch] = pattern.numbers.map(fixed);
        let tail = pattern.prerelease;
        let (wildcard, text) = match (major, minor, patch) {
            (None, _, _) => (Wildcard::Major, format!("0.0.0{tail}")),
            (Some(major), None, _) => (Wildcard::Minor, format!("{major}.0.0{tail}")),
            (Some(major), Some(minor), None) => (Wildcard::Patch, format!("{major}.{minor}.0{tail}")),
            (Some(_), Some(_), Some(_)) => (Wildcard::None, pattern.text.to_owned()),
        };
        let version = Version::parse(&text).map_err(|_| "constraint parser error".to_owned())?;
        Ok(Self { operator, version, wildcard })
    }

    fn holds(&self, v: &Version) -> bool {
        let order = v.compare(&self.version);
        match self.operator {
            Operator::Equal if self.wildcard == Wildcard::None => order.is_eq(),
            Operator::Equal | Operator::Tilde => order.is_ge() && self.shares_tilde_parts(v),
            Operator::NotEqual => self.differs(v),
            Operator::Greater => self.is_exceeded_by(v),
            Operator::Less => order.is_lt(),
            Operator::GreaterEqual => order.is_ge(),
            Operator::LessEqual => self.is_not_exceeded_by(v),
            Operator::Caret => order.is_ge() && self.shares_caret_parts(v),
        }
    }

    /// `~1.2` stays in 1.2, `~1` in 1; `~0.0.0` and `~*` go anywhere.
    fn shares_tilde_parts(&self, v: &Version) -> bool {
        let own = &self.version;
        let is_zero = own.major == 0 && own.minor == 0 && own.patch == 0;
        if is_zero && matches!(self.wildcard, Wildcard::Major | Wildcard::None) {
            return true;
        }
        v.major == own.major && (v.minor == own.minor || self.wildcard == Wildcard::Minor)
    }

    /// `^` lets everything change that stands right of the first number that is not 0.
    fn shares_caret_parts(&self, v: &Version) -> bool {
        let own = &self.version;
        if own.major > 0 || self.wildcard == Wildcard::Minor {
            return v.major == own.major;
        }
        if v.major > 0 {
            return false;
        }
        if own.minor > 0 || self.wildcard == Wildcard::Patch {
            return v.minor == own.minor;
        }
        v.minor == 0 && v.patch == own.patch
    }

    /// `!=`: wildcards stand for all numbers.
    fn differs(&self, v: &Version) -> bool {
        let own = &self.version;
        match self.wildcard {
            Wildcard::None => v.compare(own).is_ne(),
            _ if v.major != own.major => true,
            Wildcard::Minor => false,
            _ if v.minor != own.minor => true,
            Wildcard::Patch => v.prerelease != own.prerelease,
            Wildcard::Major => v.patch != own.patch || v.compare(own).is_ne(),
        }
    }

    /// `>1.2` begins at 1.3, `>1` at 2.
    fn is_exceeded_by(&self, v: &Version) -> bool {
        let own = &self.version;
        match self.wildcard {
            Wildcard::None => v.compare(own).is_gt(),
            _ if v.major != own.major => v.major > own.major,
            Wildcard::Minor => false,
            Wildcard::Patch => v.minor > own.minor,
            Wildcard::Major => v.compare(own).is_gt(),
        }
    }

    /// `<=1.2` ends before 1.3, `<=1` before 2.
    fn is_not_exceeded_by(&self, v: &Version) -> bool {
        let own = &self.version;
        if self.wildcard == Wildcard::None {
            return v.compare(own).is_le();
        }
        v.major < own.major || (v.major == own.major && (v.minor <= own.minor || self.wildcard == Wildcard::Minor))
    }
}
