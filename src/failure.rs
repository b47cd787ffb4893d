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

/// An error and what it came from, each told once: what an error says of its cause itself is not said again.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        next = cause.source();
    }
    told
}
