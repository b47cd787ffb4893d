//! `chart`: Helm charts without Helm.

use clap::Subcommand;
use helm_template::cli::{TemplateArgs, run as template};
use std::io::Write;

/// The commands under `chart`.
#[derive(Debug, Subcommand)]
pub enum ChartCommand {
    #[command(after_help = super::help::CHART)]
    /// Render a chart and print its manifests, exactly as `helm template` does
    Template(Box<TemplateArgs>),
}

/// Runs a command and returns the exit code.
pub fn run(command: &ChartCommand, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match command {
        ChartCommand::Template(args) => template(args, out, err),
    }
}
