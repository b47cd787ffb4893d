//! When what has failed is tried again.

/// What an error answers to the question whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Only a change of what it reads helps: the spec, the package, the cluster.
    OnChange,
    /// It may pass by itself: network, disk, an overloaded server.
    Backoff,
}
