//! Flags are built only for the command that the command line names, since building those of all commands takes longer than
//! rendering an empty profile.

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use std::ops::Deref;
use std::sync::OnceLock;

/// The name of the command that runs, once it is known.
static NAME: OnceLock<String> = OnceLock::new();

/// From now on only the command of this name has flags and subcommands.
pub(super) fn only(name: String) {
    // Only the first call counts, and there is one.
    let _ = NAME.set(name);
}

/// What a command of the top level takes: nothing if another one is named.
pub(super) struct Named<T>(Box<T>);

/// Whether a command of the top level has its flags and subcommands.
pub(super) fn is_meant(command: &Command) -> bool {
    NAME.get().is_none_or(|name| name == command.get_name())
}

impl<T> Deref for Named<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches> FromArgMatches for Named<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(|inner| Self(Box::new(inner)))
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(|inner| Self(Box::new(inner)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Named<T> {
    fn augment_args(command: Command) -> Command {
        if is_meant(&command) { T::augment_args(command) } else { command }
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Subcommand> Subcommand for Named<T> {
    fn augment_subcommands(command: Command) -> Command {
        if is_meant(&command) { T::augment_subcommands(command) } else { command }
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}
