//! Messages that `docs/troubleshooting.md` begins with: each is in the code.

use crate::{code, read};

/// The texts of the code, without the breaks of long ones.
fn texts() -> String {
    let join = |text: String| {
        let lines: Vec<&str> = text.lines().collect();
        lines.join("\n").replace("\\\n", "\u{1}")
    };
    let all: String = code().into_iter().map(|(_, text)| join(text)).collect();
    let mut parts = all.split('\u{1}');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push_str(part.trim_start());
    }
    whole.replace("\\\"", "\"")
}

#[test]
fn every_message_that_is_explained_is_one_of_the_code() {
    let document = read("docs/troubleshooting.md");
    let headings: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(headings.len() >= 25, "{} messages are few", headings.len());
    let texts = texts();
    for heading in headings {
        let quoted: Vec<&str> = heading.split('`').skip(1).step_by(2).collect();
        assert!(!quoted.is_empty(), "no message in {heading:?}");
        // What differs from case to case stands as `…`.
        for part in quoted.iter().flat_map(|message| message.split('…')).map(str::trim).filter(|part| part.len() > 5)
        {
            assert!(texts.contains(part), "no message of the code has {part:?}");
        }
    }
}
