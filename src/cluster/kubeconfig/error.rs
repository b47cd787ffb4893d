//! What can be wrong with a kubeconfig.

use super::super::content::ContentError;
use std::path::PathBuf;

/// Why kubeconfigs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// A file cannot be read.
    #[error("cannot read the kubeconfig {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("the kubeconfig {} cannot be used: {problem}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        problem: ContentProblem,
    },
    /// The context that is asked for is not there.
    #[error("the kubeconfig has no context {name:?}{}", others(known))]
    NoContext {
        /// Which.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A context names no cluster.
    #[error("the context {0:?} of the kubeconfig names no cluster")]
    NoCluster(String),
    /// The cluster that a context names is not there.
    #[error("the context {context:?} names the cluster {name:?}, which the kubeconfig does not have")]
    Missing {
        /// Whose.
        context: String,
        /// Which.
        name: String,
    },
    /// What a context says contradicts itself.
    #[error("the context {context:?} of the kubeconfig cannot be used: {}", problems.join("; "))]
    Invalid {
        /// Which.
        context: String,
        /// All that is wrong.
        problems: Vec<String>,
    },
}

/// What a file holds in place of what it should.
#[derive(Debug, thiserror::Error)]
pub enum ContentProblem {
    /// It is no file of this form.
    #[error(transparent)]
    File(#[from] ContentError),
    /// It is something else.
    #[error("it is a {kind} of {api_version:?}, not a Config of v1")]
    NoConfig {
        /// What it says that it is.
        kind: String,
        /// Of which version.
        api_version: String,
    },
    /// An entry of a list has another form.
    #[error("the {what} {name:?}: {source}")]
    Entry {
        /// Of which list.
        what: &'static str,
        /// Its name.
        name: String,
        /// Why.
        source: ContentError,
    },
    /// Two entries of a list have one name.
    #[error("the {what} {name:?} is there twice")]
    Twice {
        /// Of which list.
        what: &'static str,
        /// Their name.
        name: String,
    },
}

/// What there is in place of a name that is not there.
fn others(known: &[String]) -> String {
    const MOST: usize = 10;
    match known {
        [] => "; it has none".to_owned(),
        known => {
            let shown: Vec<_> = known.iter().take(MOST).map(String::as_str).collect();
            let rest = if known.len() > MOST { ", …" } else { "" };
            format!("; it has {}{rest}", shown.join(", "))
        }
    }
}
