//! `operator`: deploys the operator, prints what that applies, removes it, and shows the state of its resources.

mod adopt;
mod deploy;
mod deployed;
mod file;
mod manifests;
mod names;
mod remove;
mod status;

use super::input::Outcome;
use clap::Subcommand;
use std::io::Write;

#[derive(Subcommand)]
pub(super) enum OperatorCommand {
    /// Deploy the operator, or upgrade it.
    Init(Box<deploy::InitArgs>),
    /// Print what `operator init` applies.
    Dump(deploy::DumpArgs),
    /// Remove the operator; its resources, and what they have installed, stay.
    Remove(remove::RemoveArgs),
    /// Show the state of IstioOperator resources, and what each of them waits for.
    Status(status::StatusArgs),
    /// Take over what upstream's operator, istioctl, kubectl or Helm installed, showing first what changes.
    Adopt(Box<adopt::AdoptArgs>),
}

pub(super) fn run(command: &OperatorCommand, out: &mut dyn Write) -> Outcome {
    match command {
        OperatorCommand::Init(args) => deploy::init(args, out),
        OperatorCommand::Dump(args) => deploy::dump(args, out),
        OperatorCommand::Remove(args) => remove::run(args, out),
        OperatorCommand::Adopt(args) => adopt::run(args, out),
        OperatorCommand::Status(args) => status::run(args, out),
    }
}
