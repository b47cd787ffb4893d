//! Input files, warnings and exit codes of the commands.

use anyhow::Context;
use std::collections::BTreeSet;

/// What a command ends with: an exit code, or an error to print.
pub(super) type Outcome = anyhow::Result<u8>;

/// A word of the command line that is wrong, whatever files, packages and clusters hold: the command ends with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see --help")]
pub(super) struct WrongUse(pub(super) String);

/// A file's text; `-` is stdin.
pub(super) fn read_input(name: &str) -> anyhow::Result<(String, String)> {
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin()).context("read stdin")?
    } else {
        std::fs::read_to_string(name).with_context(|| format!("read {name}"))?
    };
    Ok((if name == "-" { "stdin".into() } else { name.into() }, text))
}

/// Says that a command was used wrongly; gives its exit code.
pub(super) fn wrong_use(message: &str) -> u8 {
    eprintln!("Error: {message}; see --help");
    2
}

/// Prints each warning once.
pub(super) fn warn(warnings: &[&[String]]) {
    let all: BTreeSet<&String> = warnings.iter().copied().flatten().collect();
    for warning in all {
        eprintln!("Warning: {warning}");
    }
}
