//! Runs commands of the binary against a control plane, as a person would.

use crate::lab::{Lab, binary};
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What a command said, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The same, which must have ended with this code.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Whether stderr has each of these parts.
    pub fn warned(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in\n{}\n--- stdout\n{}", self.err, self.out);
        }
        self
    }
}

/// A command as an administrator, words separated by spaces.
pub fn command(lab: &Lab, words: &str) -> Command {
    command_as(lab.plane().kubeconfig(), words)
}

/// A command with this kubeconfig.
pub fn command_as(kubeconfig: &OsStr, words: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(words.split(' ')).env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub fn run(lab: &Lab, words: &str) -> Said {
    Said::of(&command(lab, words).output().unwrap())
}

/// The same, with this typed.
pub fn run_typing(lab: &Lab, words: &str, typed: &str) -> Said {
    let mut child = command(lab, words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}
