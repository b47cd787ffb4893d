//! The commands and their flags, from what the command line itself knows of them.

use crate::assert_made;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write;

const HEAD: &str = "# Commands and flags\n\nMade of the code by `tests/reference.rs`: what `istio-operator help COMMAND` says; `--help`\n\
                    has what many need.\n\
                    Data goes to stdout, everything else to stderr; the exit code is 0 for success, 1 for a failure or a\n\
                    difference found, 2 for invalid usage: an unknown flag or argument, or an invalid value of one. Something that\n\
                    is named and does not exist is a failure (1), and so is a spec that is refused.\n";

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn name(arg: &Arg) -> String {
    let values: Vec<String> = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if arg.is_positional() {
        let name = values.first().cloned().unwrap_or_else(|| arg.get_id().to_string().to_uppercase());
        return format!("`{}`", cell(&name));
    }
    let mut names: Vec<String> = arg.get_short().map(|short| format!("-{short}")).into_iter().collect();
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    let also = arg.get_visible_aliases().unwrap_or_default();
    names.extend(also.iter().map(|alias| format!("--{alias}")));
    let value = if takes && !values.is_empty() { format!(" {}", values.join(" ")) } else { String::new() };
    format!("`{}`", cell(&(names.join(", ") + &value)))
}

fn meaning(arg: &Arg) -> String {
    let mut parts: Vec<String> = arg.get_help().map(ToString::to_string).into_iter().collect();
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into()).collect();
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes && !defaults.is_empty() && !defaults[0].is_empty() {
        parts.push(format!("Default: `{}`.", defaults.join(", ")));
    }
    let choices: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if takes && !choices.is_empty() && choices != ["true", "false"] {
        parts.push(format!("One of: {}.", choices.join(", ")));
    }
    if let Some(variable) = arg.get_env() {
        parts.push(format!("Variable: `{}`.", variable.to_string_lossy()));
    }
    match parts.as_mut_slice() {
        // The last sentence of a help has no full stop.
        [help, _, ..] if !help.is_empty() && !help.ends_with('.') => help.push('.'),
        _ => {}
    }
    cell(&parts.join(" "))
}

fn describe(command: &Command, path: &str, out: &mut String) {
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    write!(out, "\n## {path}\n\n").unwrap();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    writeln!(out, "{}", about.trim()).unwrap();
    let also: Vec<&str> = command.get_visible_aliases().collect();
    if !also.is_empty() {
        writeln!(out, "\nAlso called {}.", also.join(", ")).unwrap();
    }
    let args: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    let args: Vec<&Arg> =
        args.into_iter().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())).collect();
    if !args.is_empty() {
        out.push_str("\n| argument | meaning |\n|---|---|\n");
    }
    for arg in args {
        writeln!(out, "| {} | {} |", name(arg), meaning(arg)).unwrap();
    }
    for below in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        describe(below, &path, out);
    }
}

#[test]
fn commands_and_flags_are_documented_as_they_are() {
    let mut made = HEAD.to_owned();
    describe(&istio_operator::cli::command(), "", &mut made);
    assert!(made.contains("## istio-operator upgrade plan"));
    assert_made("docs/reference/commands.md", &made);
}
