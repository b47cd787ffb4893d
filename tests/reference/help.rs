//! The help of the commands: short enough to be read, with examples that the commands take.

use clap::Command;
use istio_operator::cli::command;

/// So many lines, of 100 characters, are read without scrolling.
const SCREEN: usize = 40;

/// What explains itself by its flags.
const WITHOUT_EXAMPLES: [&str; 7] = ["crd", "role", "package", "run", "version", "chart template", "operator dump"];

/// Every command that does something, with its names.
fn all() -> Vec<(String, Command)> {
    fn add(found: &mut Vec<(String, Command)>, path: &str, command: &Command) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let path = format!("{path} {}", below.get_name()).trim_start().to_owned();
            if below.get_subcommands().next().is_none() || !below.is_subcommand_required_set() {
                found.push((path.clone(), below.clone()));
            }
            add(found, &path, below);
        }
    }
    let mut found = vec![];
    let mut command = command();
    command.build();
    add(&mut found, "", &command);
    assert!(found.len() > 25, "{:?}", found.iter().map(|(path, _)| path).collect::<Vec<_>>());
    found
}

/// The commands of this program that a text shows, as a shell would part them.
fn shown(text: &str) -> Vec<Vec<String>> {
    let commands = text.lines().filter(|line| line.starts_with("  ")).filter_map(|line| {
        let begin = line.find("istio-operator ")?;
        line[begin..].split(" # ").next()?.split([')', '|', '>']).next()
    });
    commands.map(|command| command.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn the_short_help_of_every_command_fits_a_screen() {
    for (path, mut command) in all() {
        // Then `--help` leaves no line between flags.
        let is_dense = command.get_arguments().filter(|arg| arg.get_id() != "help").all(|arg| {
            arg.get_long_help().is_none() && arg.get_possible_values().iter().all(|value| value.get_help().is_none())
        });
        assert!(is_dense && command.get_after_long_help().is_none(), "{path}");
        let help = command.render_help().to_string();
        let lines = help.lines().count();
        assert!(lines <= SCREEN, "{path} -h has {lines} lines:\n{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{path}:\n{help}");
    }
}

#[test]
fn the_long_help_has_every_flag_with_no_line_between() {
    let help = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_istio-operator")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (short, long) = (help(&["install", "-h"]), help(&["install", "--help"]));
    assert!(!short.contains("--cache-dir") && long.contains("--cache-dir"), "{long}");
    assert!(short.contains("(see more with '--help')"), "{short}");
    assert!(long.lines().count() <= SCREEN * 3 / 2, "{long}");
    assert_eq!(help(&["help", "install"]), long);
}

#[test]
fn every_example_of_a_help_is_a_command_that_there_is() {
    for (path, described) in all() {
        let text = described.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = shown(&text);
        let has_none = WITHOUT_EXAMPLES.contains(&path.as_str());
        assert_eq!(examples.is_empty(), has_none, "the examples of {path}: {examples:?}");
        for example in examples {
            let parsed = command().try_get_matches_from(&example);
            assert!(parsed.is_ok(), "{path}: {}: {}", example.join(" "), parsed.unwrap_err());
        }
        // A line that is broken cannot be copied.
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= 100, "{path}:\n{text}");
    }
}
