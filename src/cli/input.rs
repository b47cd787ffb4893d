//! What commands read, print, and end with.

use anyhow::Context;
use clap::ValueEnum;
use helm_template::{json, yaml};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;

/// What a command ends with: an exit code, or an error to print.
pub(super) type Outcome = anyhow::Result<u8>;

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

/// How results are printed that are data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// As text.
    #[default]
    Text,
    /// As a table.
    Table,
    /// As YAML.
    Yaml,
    /// As JSON.
    Json,
}

/// Prints data as YAML or JSON.
pub(super) fn print_data(data: &impl Serialize, is_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let value = serde_json::to_value(data)?;
    if is_json {
        writeln!(out, "{}", json::to_string_pretty(&value))?;
    } else {
        write!(out, "{}", yaml::to_string(&value).context("the result cannot be written as YAML")?)?;
    }
    Ok(())
}

/// Prints each warning once.
pub(super) fn warn(warnings: &[&[String]]) {
    let all: BTreeSet<&String> = warnings.iter().copied().flatten().collect();
    for warning in all {
        eprintln!("Warning: {warning}");
    }
}
