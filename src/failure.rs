//! What all errors have in common: when what has failed is tried again, and how their causes are told.

use std::error::Error;

/// What an error answers to the question whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Only a change of what it reads helps: the spec, the package, the cluster.
    OnChange,
    /// It may pass by itself: network, disk, an overloaded server.
    Backoff,
}

/// An error as a status, an event and a metric tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The word that the error answers: the reason of the event, and the label of the metric.
    pub reason: &'static str,
    /// A sentence.
    pub text: String,
}

impl Cause {
    /// The error's word, and what there is to say of it.
    #[must_use]
    pub fn new(reason: &'static str, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// An error and what it came from, each told once: what an error says of its cause itself is not said again.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    causes_up_to(error, |_| None)
}

/// The same, up to the first that tells all that it came from itself: for that `tells_all` has the words.
#[must_use]
pub fn causes_up_to(
    error: &(dyn Error + 'static),
    tells_all: impl Fn(&(dyn Error + 'static)) -> Option<String>,
) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let all = tells_all(cause);
        next = cause.source().filter(|_| all.is_none());
        let text = all.unwrap_or_else(|| cause.to_string());
        if told.is_empty() {
            told = text;
        } else if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{told}")]
    struct Failure {
        told: &'static str,
        source: Option<Box<Failure>>,
    }

    fn failures(told: &[&'static str]) -> Failure {
        let [first, others @ ..] = told else { unreachable!() };
        Failure { told: first, source: (!others.is_empty()).then(|| Box::new(failures(others))) }
    }

    #[test]
    fn each_cause_is_told_once() {
        let failure = failures(&["cannot fetch: no route", "no route", "os error 113"]);
        assert_eq!(causes(&failure), "cannot fetch: no route: os error 113");
    }

    #[test]
    fn what_tells_its_causes_itself_is_the_last() {
        let failure = failures(&["install", "list: forbidden", "Status { code: 403 }"]);
        let tells_all =
            |cause: &(dyn Error + 'static)| Some(cause.to_string()).filter(|told| told == "list: forbidden");
        assert_eq!(causes_up_to(&failure, tells_all), "install: list: forbidden");
        assert_eq!(causes_up_to(&failures(&["list: forbidden", "Status"]), tells_all), "list: forbidden");
        let in_brief = |_: &(dyn Error + 'static)| Some("in brief".to_owned());
        assert_eq!(causes_up_to(&failures(&["Status { code: 403 }"]), in_brief), "in brief");
    }
}
