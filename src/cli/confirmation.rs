//! Asks a person whether to go on.

use anyhow::Context;
use std::io::Write;

/// Asks on stderr, and reads a line from stdin; only yes is yes, also where there is nothing to read.
///
/// # Errors
/// Stdin cannot be read.
pub(super) fn confirm(question: &str) -> anyhow::Result<bool> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("read the answer from stdin; answer yes beforehand with -y")?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        let answers = ["y\n", "Yes\r\n", "n\n", "", "\n", "yeah\n"].map(is_yes);
        assert_eq!(answers, [true, true, false, false, false, false]);
    }
}
