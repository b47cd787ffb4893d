//! How far a fetch has come, for whoever draws it.

use super::error::SourceError;
use std::time::Duration;

/// Is told how far a fetch has come, from wherever the fetch runs.
pub trait Progress: Send + Sync {
    /// So many bytes of the archive have come, of so many if that is known. An attempt begins with 0.
    fn bytes(&self, _come: u64, _total: Option<u64>) {}
    /// An attempt has failed, and the next one begins after a while.
    fn retry(&self, _error: &SourceError, _after: Duration) {}
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {}
