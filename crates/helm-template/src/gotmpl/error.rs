//! Errors of parsing and of execution, printed as Go prints them.
//!
//! An [`ExecError`] keeps its parts, so a caller can print Go's text, read the outermost position, or find out that a
//! function ended the rendering on purpose ([`CallError::abort`]).

use super::format::quote;
use super::usage::Exhausted;
use std::fmt;

/// A template that cannot be parsed; printed `template: FILE:LINE: MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {file}:{line}: {message}")]
pub struct ParseError {
    /// The name given to [`TemplateSet::parse`](super::TemplateSet::parse).
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, as Go says it.
    pub message: String,
}

/// A place in a template file, printed `FILE:LINE:COLUMN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// Bytes before the place in its line.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An execution that failed. Prints the whole chain of nested executions, outermost first.
#[derive(Debug, thiserror::Error)]
#[error("{}", bounded(&Chain(self)))]
pub enum ExecError {
    /// A node failed.
    At(Box<Failure>),
    /// There is no template of this name to execute.
    NoTemplate(Box<NoTemplate>),
    /// A budget ran out before the first node.
    Exhausted(Exhausted),
}

/// A template that is not there.
#[derive(Debug)]
pub struct NoTemplate {
    /// The name asked for.
    pub name: String,
    /// The name of the set.
    pub set: String,
}

/// The most bytes of an error: a thousand nested inclusions, as many as Helm lets through, are told in full.
const LONGEST: usize = 320 << 10;

/// The most bytes of the node that an error quotes.
const LONGEST_NODE: usize = 16 << 10;

/// So much of a text as somebody may read: its beginning and its end. Failing templates quote themselves, each around the
/// others.
#[must_use]
pub fn bounded(text: &dyn fmt::Display) -> String {
    cut_to(LONGEST, text)
}

/// So much of a node as an error quotes.
pub(super) fn quoted_node(node: &dyn fmt::Display) -> String {
    cut_to(LONGEST_NODE, node)
}

fn cut_to(longest: usize, text: &dyn fmt::Display) -> String {
    use fmt::Write as _;
    let mut kept = Kept { longest, ..Kept::default() };
    // Writing to memory cannot fail.
    let _ = write!(kept, "{text}");
    let Kept { mut beginning, end, left_out, .. } = kept;
    if left_out > 0 {
        let _ = write!(beginning, " … ({left_out} bytes left out) … ");
    }
    beginning + &end
}

/// The beginning and the end of what is written.
#[derive(Default)]
struct Kept {
    longest: usize,
    beginning: String,
    end: String,
    left_out: usize,
}

impl fmt::Write for Kept {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // At the end stands what failed.
        let ends = self.longest / 8;
        let begins = self.longest - ends;
        let room = if self.end.is_empty() { begins.saturating_sub(self.beginning.len()) } else { 0 };
        let at = boundary(text, room);
        let (first, rest) = text.split_at_checked(at).unwrap_or(("", text));
        self.beginning.push_str(first);
        // Only the last part of a long text can stay.
        let skipped = boundary(rest, rest.len().saturating_sub(2 * ends));
        self.left_out += skipped;
        self.end.push_str(rest.get(skipped..).unwrap_or_default());
        if self.end.len() > 2 * ends {
            let cut = boundary(&self.end, self.end.len() - ends);
            self.left_out += cut;
            self.end.drain(..cut);
        }
        Ok(())
    }
}

/// The last place up to here between two characters.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Prints an error; a loop rather than recursion, as the chain may be thousands of executions long.
struct Chain<'a>(&'a ExecError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = self.0;
        loop {
            let failure = match error {
                ExecError::At(failure) => failure,
                ExecError::NoTemplate(missing) => {
                    let (name, set) = (quoted(&missing.name), quoted(&missing.set));
                    return write!(f, "template: no template {name} associated with template {set}");
                }
                ExecError::Exhausted(exhausted) => return write!(f, "template: {exhausted}"),
            };
            let Failure { location, template, node, problem } = &**failure;
            write!(f, "template: {location}: executing {} at <{node}>: ", quoted(template))?;
            let Problem::Calling { function, error: CallError { context, cause: Cause::Exec(inner) } } = problem else {
                return write!(f, "{problem}");
            };
            write!(f, "error calling {function}: {context}")?;
            error = inner;
        }
    }
}

/// A failing node: where it stands and why it fails.
#[derive(Debug)]
pub struct Failure {
    /// Where the node stands.
    pub location: Location,
    /// The template (`define`) the node belongs to.
    pub template: String,
    /// The node, printed again from the syntax tree.
    pub node: String,
    /// Why.
    pub problem: Problem,
}

/// Why a node fails.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The evaluator's own complaint.
    #[error("{0}")]
    Text(String),
    /// A function or method reported an error.
    #[error("error calling {function}: {error}")]
    Calling {
        /// Its name.
        function: String,
        /// What it reported.
        error: CallError,
    },
    /// A budget ran out.
    #[error("{0}")]
    Exhausted(Exhausted),
}

impl From<Exhausted> for Problem {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

/// What a function reports; becomes the text after `error calling NAME: `.
#[derive(Debug)]
pub struct CallError {
    context: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Text,
    Abort,
    Unavailable,
    Exhausted(Exhausted),
    Exec(ExecError),
}

impl CallError {
    /// An error with this text.
    pub fn text(message: impl Into<String>) -> Self {
        Self { context: message.into(), cause: Cause::Text }
    }

    /// A message to the user that ends the whole rendering on purpose (Helm's `fail` and `required`); found again by
    /// [`ExecError::abort_message`].
    pub fn abort(message: impl Into<String>) -> Self {
        Self { context: message.into(), cause: Cause::Abort }
    }

    /// Something outside did not answer, such as a cluster: the same call may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { context: message.into(), cause: Cause::Unavailable }
    }

    /// A budget that ran out inside a function, in the function's words.
    pub fn exhausted(message: impl Into<String>, exhausted: Exhausted) -> Self {
        Self { context: message.into(), cause: Cause::Exhausted(exhausted) }
    }

    /// The failure of a nested execution, after an introduction such as `error during … for "…": ` (may be empty).
    pub fn nested(introduction: impl Into<String>, error: ExecError) -> Self {
        Self { context: introduction.into(), cause: Cause::Exec(error) }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Exec(e) => write!(f, "{}{e}", self.context),
            Cause::Text | Cause::Abort | Cause::Unavailable | Cause::Exhausted(_) => f.write_str(&self.context),
        }
    }
}

impl std::error::Error for CallError {}

impl Drop for CallError {
    /// Takes a chain apart link by link, so that a long one does not recurse.
    fn drop(&mut self) {
        let mut cause = std::mem::replace(&mut self.cause, Cause::Text);
        while let Cause::Exec(ExecError::At(mut failure)) = cause {
            cause = match &mut failure.problem {
                Problem::Calling { error, .. } => std::mem::replace(&mut error.cause, Cause::Text),
                Problem::Text(_) | Problem::Exhausted(_) => return,
            };
        }
    }
}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::text(message)
    }
}

impl From<&str> for CallError {
    fn from(message: &str) -> Self {
        Self::text(message)
    }
}

impl From<Exhausted> for CallError {
    fn from(exhausted: Exhausted) -> Self {
        Self::exhausted(exhausted.to_string(), exhausted)
    }
}

impl From<ExecError> for CallError {
    fn from(error: ExecError) -> Self {
        Self::nested("", error)
    }
}

impl ExecError {
    /// The outermost failing node.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::At(failure) => Some(failure),
            Self::NoTemplate(_) | Self::Exhausted(_) => None,
        }
    }

    /// The outermost position: that of the action in the file which was being executed.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.failure().map(|f| &f.location)
    }

    /// The failure one call further in, when a function failed by a nested execution.
    #[must_use]
    pub fn inner(&self) -> Option<&Self> {
        match self.failure().map(|f| &f.problem) {
            Some(Problem::Calling { error: CallError { cause: Cause::Exec(inner), .. }, .. }) => Some(inner),
            _ => None,
        }
    }

    /// The innermost failure of the chain.
    #[must_use]
    pub fn innermost(&self) -> &Self {
        let mut error = self;
        while let Some(inner) = error.inner() {
            error = inner;
        }
        error
    }

    /// The budget that ran out, if that is why the execution failed.
    #[must_use]
    pub fn exhausted(&self) -> Option<Exhausted> {
        let innermost = self.innermost();
        match innermost.failure().map(|f| &f.problem) {
            Some(
                Problem::Exhausted(exhausted)
                | Problem::Calling { error: CallError { cause: Cause::Exhausted(exhausted), .. }, .. },
            ) => Some(*exhausted),
            Some(_) => None,
            None => {
                if let Self::Exhausted(exhausted) = innermost {
                    Some(*exhausted)
                } else {
                    None
                }
            }
        }
    }

    /// Whether the same execution may succeed if it is tried again: it ran out of time, or something outside did not
    /// answer ([`CallError::unavailable`]). For all else the templates or their data must change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let unavailable = |f: &Failure| {
            matches!(&f.problem, Problem::Calling { error: CallError { cause: Cause::Unavailable, .. }, .. })
        };
        self.exhausted().is_some_and(|e| e.is_retryable()) || self.innermost().failure().is_some_and(unavailable)
    }

    /// The message of the [`CallError::abort`] at the end of the chain, if one is there.
    #[must_use]
    pub fn abort_message(&self) -> Option<&str> {
        match self.innermost().failure().map(|f| &f.problem) {
            Some(Problem::Calling { error: CallError { cause: Cause::Abort, context }, .. }) => Some(context),
            _ => None,
        }
    }
}

/// A name in quotes as Go's `%q` writes it.
fn quoted(name: &str) -> String {
    String::from_utf8_lossy(&quote(name.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_beginning_and_end_stay() {
        assert_eq!(bounded(&"é".repeat(1000)), "é".repeat(1000));
        let long = format!("begins{}ends", "é".repeat(LONGEST));
        let cut = bounded(&long);
        assert!(cut.starts_with("beginsé") && cut.ends_with("éends"), "{}", cut.len());
        assert!(cut.contains(" bytes left out) … é"));
        assert!(cut.len() < LONGEST + LONGEST / 4);
        let pieces = cut_to(80, &format_args!("{:a>1$}{2}{0:b>1$}", "", 100, "middle"));
        assert!(pieces.len() < 140, "{pieces}");
    }
}
