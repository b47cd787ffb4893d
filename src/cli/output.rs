//! The forms in which commands print what they found: for a person, or as data.

use super::cluster::ConnectArgs;
use super::table::aligned;
use anyhow::Context;
use clap::{Args, ValueEnum};
use helm_template::{json, yaml};
use serde::Serialize;
use std::io::Write;

/// The forms of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DataFormat {
    #[default]
    Yaml,
    Json,
}

impl DataFormat {
    /// Prints data in this form.
    ///
    /// # Errors
    /// Nothing can be written to `out`.
    pub(super) fn print(self, data: &impl Serialize, out: &mut dyn Write) -> anyhow::Result<()> {
        let value = serde_json::to_value(data)?;
        match self {
            Self::Json => writeln!(out, "{}", json::to_string_pretty(&value))?,
            Self::Yaml => write!(out, "{}", yaml::to_string(&value).context("the result cannot be written as YAML")?)?,
        }
        Ok(())
    }
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    #[default]
    #[value(alias = "table")]
    Text,
    Json,
    Yaml,
}

impl ReportFormat {
    /// Prints a report in this form; `text` makes sentences of it.
    ///
    /// # Errors
    /// Nothing can be written to `out`.
    pub(super) fn print<T: Serialize>(
        self,
        report: &T,
        text: impl FnOnce(&T) -> String,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        match self {
            Self::Text => write!(out, "{}", text(report))?,
            Self::Json => DataFormat::Json.print(report, out)?,
            Self::Yaml => DataFormat::Yaml.print(report, out)?,
        }
        Ok(())
    }
}

/// The forms of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    #[default]
    Table,
    Json,
    Yaml,
}

/// The flags of what lists something of a cluster.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: ListFormat,
    #[command(flatten)]
    pub(super) cluster: ConnectArgs,
}

impl ListFormat {
    /// Prints a list in this form; `table` makes lines of it, the first of which has the titles.
    ///
    /// # Errors
    /// Nothing can be written to `out`.
    pub(super) fn print<T: Serialize>(
        self,
        list: &T,
        table: impl FnOnce(&T) -> Vec<Vec<String>>,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        match self {
            Self::Table => write!(out, "{}", aligned(&table(list)))?,
            Self::Json => DataFormat::Json.print(list, out)?,
            Self::Yaml => DataFormat::Yaml.print(list, out)?,
        }
        Ok(())
    }
}
