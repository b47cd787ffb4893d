//! The question before something is changed.

use super::screen::Screen;
use std::io::{BufRead, Read, Write, stdin};

/// Longer than any answer.
const LONGEST: u64 = 4096;

/// Asks on a screen, and says that a command is cancelled where it is.
pub(super) fn may_go_on(question: &str, screen: &mut Screen<'_>) -> bool {
    let is_yes = confirm(question, &mut stdin().lock(), screen.out());
    if !is_yes {
        screen.say("Cancelled.");
    }
    is_yes
}

/// Asks on `out` and reads a line of `input` for an answer, whether or not that is a terminal. The end of input is no, which stderr
/// explains, and so is an empty line; what is not an answer is asked again.
pub(super) fn confirm(question: &str, input: &mut dyn BufRead, out: &mut dyn Write) -> bool {
    loop {
        // Who cannot read the question may still answer it, and nothing is lost by no.
        let _ = write!(out, "{question} ").and_then(|()| out.flush());
        let mut line = String::new();
        if !matches!(input.take(LONGEST).read_line(&mut line), Ok(1..)) {
            eprintln!("\nNobody answers on stdin; with -y nothing is asked.");
            return false;
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return true,
            "n" | "no" | "" => return false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_yes_or_no_and_all_else_is_asked_again() {
        let table = [
            ("y\n", true, 1),
            ("YES\n", true, 1),
            ("n\n", false, 1),
            ("no", false, 1),
            ("\n", false, 1),
            ("", false, 1),
            ("what\ny\n", true, 2),
            ("what", false, 2),
            ("\u{0}", false, 2),
        ];
        for (typed, is_yes, questions) in table {
            let mut out = vec![];
            assert_eq!(confirm("Proceed? (y/N)", &mut typed.as_bytes(), &mut out), is_yes, "{typed:?}");
            assert_eq!(String::from_utf8(out).unwrap(), "Proceed? (y/N) ".repeat(questions), "{typed:?}");
        }
    }
}
