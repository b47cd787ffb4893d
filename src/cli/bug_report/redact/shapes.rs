//! Secrets in any text, recognized by their own form, by what stands around them, or by the name before them.

use super::names::{Certainty, certainty, is_secret_parameter};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::{Captures, Match, Regex};
use std::ops::Range;
use std::sync::LazyLock;

/// What begins like PEM in base64; only what is not a certificate or the like is secret.
const IN_BASE64: &str = "a private key in base64";

/// What it is, and where it is found; the first group that takes part is the secret.
const SHAPES: [(&str, &str); 15] = [
    ("a private key", r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z))"),
    (IN_BASE64, r"\b(LS0tLS1CRUdJTi[A-Za-z0-9+/]+=*)"),
    ("a token", r"(\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)"),
    ("a token of GitHub or GitLab", r"\b((?:gh[a-z]_|github_pat_|glpat-)[A-Za-z0-9_-]{6,})"),
    ("a key of AWS", r"\b((?:AKIA|ASIA)[A-Z0-9]{8,})\b"),
    ("a key of Google", r"\b(AIza[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{10,})"),
    ("a token of Slack", r"\b(xox[a-z]-[A-Za-z0-9-]{4,}|xapp-[A-Za-z0-9-]{6,})"),
    (
        "a token of a service",
        r"\b((?:sk_live_|rk_live_|sk_test_|npm_|dckr_pat_|dop_v1_|hvs\.|pypi-)[A-Za-z0-9_-]{8,}|SG\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})",
    ),
    ("a login", r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9+/=._~-]{12,})"),
    (
        "a login",
        r#"(?i)\bauthorization\\*["']?\s*[:=]\s*\\*["']?(?:basic|bearer|digest|negotiate|token)\s+([^\s"'\\]+)"#,
    ),
    ("a password in an address", r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@"),
    ("a login in an address", r#"[a-z][a-z0-9+.-]*://([^\s/:@?\#"',]+)@"#),
    (
        "an address that is a secret",
        r#"(?i)\b(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks|[a-z0-9-]+\.webhook\.office\.com)/([^\s"'\\]+)|api\.telegram\.org/bot([^\s"'/\\]+)"#,
    ),
    ("cookies", r#"(?i)\b(?:set-)?cookie\\*["']?\s*[:=]\s*\\*["']?([^\s"'=;:,\\]+=[^\n"'\\]+)"#),
    (
        "a password of a command",
        r#"(?:^|[\s"'\[,])(?:-u|--user|--proxy-user)(?:\s*=|\\*["']?\s*,|\s)[\s-]*\\*["']?[^\s:"'\\/]+:([^\s"'\\]+)|\b(?:mysql|mysqldump|mysqladmin|sshpass|redis-cli)\b[^\n|;]*?\s-(?:p|a)\s*["']?([^\s"']+)"#,
    ),
];

static COMPILED: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| SHAPES.into_iter().filter_map(|(what, shape)| Some((what, Regex::new(shape).ok()?))).collect());

/// What stands before a value: its name is the first group that takes part, what assigns it the second.
struct Named {
    before: Option<Regex>,
    /// A value, right behind.
    sure: Option<Regex>,
    /// A value after which no sentence goes on.
    alone: Option<Regex>,
}

/// A value in JSON within JSON, within quotes, as a block of YAML, or up to the next space: of what goes on after a comma nobody
/// knows what it is.
const VALUE: &str = r#"(?:\\+"(.+?)\\+"|"((?:[^"\\\n]|\\.)+)"|'([^'\n]+)'|[|>][-+]?[ \t]*\n[ \t]+([^\n]+)|\\*["']?([^\s"']{3,}|[A-Za-z0-9]{1,2}))"#;

static NAMED: LazyLock<Named> = LazyLock::new(|| {
    Named {
    // The second: entries of lists of variables, within a text.
    before: Regex::new(
        r#"(?i)\b(?:name|key)\\*["']?\s*:\s*\\*["']?([a-z0-9_./-]+)\\*["']?(?:\s|,|\\n)+\\*["']?value\\*["']?\s*([:=])|([a-z0-9_./-]*[a-z0-9])\\*["']?[ \t]*([:=])"#,
    )
    .ok(),
    sure: Regex::new(&format!(r"\A\s*{VALUE}")).ok(),
    alone: Regex::new(&format!(r#"(?m)\A\s*{VALUE}\\*["']?\s*(?:[,;}}\])]|\\n|$)"#)).ok(),
}
});

/// Flags with their values as separate words, also as entries of a list.
static FLAGS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:^|[\s"'\[,(=])(--?[a-z][a-z0-9_.-]*)\\*["']?(?:\s*,\s*|\s+(?:-\s+)?)\\*["']?([^\s"'\\,\[\](){}-][^\s"'\\]*)"#,
    )
    .ok()
});

static PARAMETERS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)[?&]((?:[a-z0-9_.-]|%2d)+)=([^&\s"'#\\]+)"#).ok());

/// What is neither secret nor worth to be hidden.
const EMPTY: [&str; 7] = ["true", "false", "null", "none", "nil", "\\n", "<nil>"];

/// A way to find secrets: what it finds, and where they are.
type Finder = fn(&str) -> Vec<Range<usize>>;

/// The same, with what it needs.
type Find = Box<dyn Fn(&str) -> Vec<Range<usize>>>;

/// All secrets of a text that one kind of look finds, after another: what they are called, and where they are.
pub(super) fn finders() -> impl Iterator<Item = (&'static str, Find)> {
    let shapes = COMPILED.iter().map(|(what, shape)| {
        let is_base64 = *what == IN_BASE64;
        let find = move |text: &str| {
            let secrets = shape.captures_iter(text).filter_map(|found| first(&found));
            secrets.filter(|secret| !is_base64 || !is_public(secret.as_str())).map(|secret| secret.range()).collect()
        };
        (*what, Box::new(find) as Find)
    });
    let others: [(&str, Finder); 3] = [
        ("a parameter of an address", parameters),
        ("a password of a command", flags),
        ("a password, by its name", named),
    ];
    shapes.chain(others.into_iter().map(|(what, find)| (what, Box::new(find) as _)))
}

fn first<'t>(found: &Captures<'t>) -> Option<Match<'t>> {
    found.iter().skip(1).flatten().next()
}

fn pairs(pattern: Option<&Regex>, text: &str, is_secret: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let found = pattern.into_iter().flat_map(|pattern| pattern.captures_iter(text));
    let pairs = found.filter_map(|found| Some((found.get(1)?, found.get(2)?)));
    pairs.filter(|(name, _)| is_secret(name.as_str())).map(|(_, value)| value.range()).collect()
}

fn parameters(text: &str) -> Vec<Range<usize>> {
    pairs(PARAMETERS.as_ref(), text, is_secret_parameter)
}

fn flags(text: &str) -> Vec<Range<usize>> {
    pairs(FLAGS.as_ref(), text, |name| certainty(name).is_some())
}

/// Values behind names. What follows another name may be a name itself.
fn named(text: &str) -> Vec<Range<usize>> {
    let Named { before: Some(before), sure, alone } = &*NAMED else { return vec![] };
    let mut secrets = vec![];
    let mut at = 0;
    while let Some(found) = before.captures_at(text, at) {
        let mut groups = found.iter().skip(1).flatten();
        let (Some(whole), Some(name), Some(assigned)) = (found.get(0), groups.next(), groups.next()) else { break };
        at = whole.end();
        let value = match certainty(name.as_str()) {
            // Those of another look.
            None => continue,
            Some(Certainty::Likely) if assigned.as_str() == ":" => alone,
            Some(_) => sure,
        };
        let rest = text.get(at..).unwrap_or_default();
        let value = value.as_ref().and_then(|value| value.captures(rest)).and_then(|found| first(&found));
        let Some(value) = value.filter(|value| !is_plain(name.as_str(), value.as_str())) else { continue };
        secrets.push(at + value.start()..at + value.end());
        at += value.end();
    }
    secrets
}

/// Whether a value behind such a name is not a secret.
pub(super) fn is_plain(name: &str, value: &str) -> bool {
    // The folder in which a program runs.
    let is_folder = name.ends_with("PWD") && value.starts_with('/');
    is_folder || EMPTY.iter().any(|empty| value.eq_ignore_ascii_case(empty))
}

/// Whether what is written in base64 is surely not a private key.
fn is_public(text: &str) -> bool {
    let whole = text.trim_end_matches('=');
    // What was cut off within four characters says nothing of the rest.
    let whole = whole.get(..whole.len() / 4 * 4).unwrap_or_default();
    let pem = STANDARD.decode(whole).map(|pem| String::from_utf8_lossy(&pem).into_owned());
    pem.is_ok_and(|pem| pem.contains("-----END ") && !pem.contains("PRIVATE KEY"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_can_be_looked_for() {
        assert_eq!(COMPILED.len(), SHAPES.len());
        assert!(NAMED.before.is_some() && NAMED.sure.is_some() && NAMED.alone.is_some());
        assert!(FLAGS.is_some() && PARAMETERS.is_some());
    }
}
