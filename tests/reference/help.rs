//! The help of the commands: short enough to be read, with examples that the commands take.

use clap::Command;
use istio_operator::cli::command;

/// So many lines, of 100 characters, are read without scrolling.
const SCREEN: usize = 40;
const WIDTH: usize = 100;

/// Every command and every group of them, with its names; the program itself has none.
fn all() -> Vec<(String, Command)> {
    fn add(found: &mut Vec<(String, Command)>, path: &str, command: &Command) {
        found.push((path.to_owned(), command.clone()));
        for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
            add(found, format!("{path} {}", below.get_name()).trim_start(), below);
        }
    }
    let mut found = vec![];
    let mut command = command();
    command.build();
    add(&mut found, "", &command);
    assert!(found.len() > 40, "{:?}", found.iter().map(|(path, _)| path).collect::<Vec<_>>());
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

/// What the program prints.
fn help(args: &[&str]) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    let output = program.args(args).env("COLUMNS", WIDTH.to_string()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_fits_a_screen_and_has_an_example() {
    for (path, described) in all() {
        let words: Vec<&str> = path.split_whitespace().collect();
        let text = help(&[&words[..], &["--help"]].concat());
        assert_eq!(text, help(&[&words[..], &["-h"]].concat()), "{path}");
        let lines = text.lines().count();
        assert!(lines <= SCREEN, "{path} --help has {lines} lines:\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{path}:\n{text}");
        assert!(!shown(&text).is_empty(), "{path} --help has no example:\n{text}");
        let hides = described.get_arguments().any(|arg| arg.is_hide_short_help_set() && !arg.is_hide_set());
        let says = text.lines().last() == Some(&format!("Every flag: istio-operator help {path}"));
        assert_eq!(says, hides, "{path}:\n{text}");
    }
}

#[test]
fn the_help_of_help_has_every_flag_with_no_line_between() {
    for (path, described) in all() {
        let is_dense = described.get_arguments().filter(|arg| arg.get_id() != "help").all(|arg| {
            arg.get_long_help().is_none() && arg.get_possible_values().iter().all(|value| value.get_help().is_none())
        });
        assert!(is_dense && described.get_after_long_help().is_none(), "{path}");
        let words: Vec<&str> = ["help"].into_iter().chain(path.split_whitespace()).collect();
        let text = help(&words);
        let flags = described.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| arg.get_long());
        for flag in flags {
            assert!(text.contains(&format!("--{flag}")), "{path}: {flag}:\n{text}");
        }
        assert!(!text.contains("Every flag: "), "{path}:\n{text}");
    }
}

#[test]
fn every_example_of_a_help_is_a_command_that_there_is() {
    for (path, described) in all() {
        let text = described.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = shown(&text);
        assert!(!examples.is_empty(), "{path}");
        for example in examples {
            let parsed = command().try_get_matches_from(&example);
            // Where help is asked for, that is what comes of it.
            let is_help = example.get(1).is_some_and(|word| word == "help");
            assert!(parsed.is_ok() || is_help, "{path}: {}: {}", example.join(" "), parsed.unwrap_err());
        }
        // A line that is broken cannot be copied.
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= WIDTH, "{path}:\n{text}");
    }
}
