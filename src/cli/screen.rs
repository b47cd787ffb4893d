//! The output of a command that changes a cluster: results on stdout, the rest on stderr; on a terminal one line of progress is
//! redrawn.
//!
//! Nothing that is told can stop what is under way: a reader that is gone is no reason to leave an installation half done.

use std::io::{IsTerminal, Write};

/// Begins a line anew.
const CLEAR: &str = "\r\x1b[K";

/// See the module.
pub(super) struct Screen<'o> {
    out: &'o mut dyn Write,
    /// Whether stdout and stderr take colours and control codes.
    is_terminal: bool,
    /// Whether a line stands there that goes with the next.
    is_drawn: bool,
}

impl<'o> Screen<'o> {
    /// Of stdout.
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self { out, is_terminal: is_terminal && !is_dumb && !is_set("NO_COLOR"), is_drawn: false }
    }

    /// Whether lines can be drawn over.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// For what is asked on stdout.
    pub(super) fn out(&mut self) -> &mut dyn Write {
        self.clear();
        self.out
    }

    /// A line of the result, on stdout.
    pub(super) fn say(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    /// What succeeded, on stdout.
    pub(super) fn tick(&mut self, what: &str) {
        let mark = if self.is_terminal { "\x1b[32m✔\x1b[0m" } else { "✔" };
        self.say(&format!("{mark} {what}"));
    }

    /// What failed, on stderr.
    pub(super) fn cross(&mut self, what: &str) {
        let mark = if self.is_terminal { "\x1b[31m✘\x1b[0m" } else { "✘" };
        self.note(&format!("{mark} {what}"));
    }

    /// A line beside the result, on stderr.
    pub(super) fn note(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Draws a line that goes with the next; on a terminal only. One that is too long is cut by the terminal.
    pub(super) fn draw(&mut self, line: &str) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "{CLEAR}\x1b[?7l{line}\x1b[?7h");
            self.is_drawn = true;
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(std::io::stderr(), "{CLEAR}");
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
