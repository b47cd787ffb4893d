//! Limits of counts, sizes and times that no server and no archive gets beyond.

use std::time::Duration;

/// How much an archive may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of all its layers, as they are stored or sent.
    pub archive_bytes: u64,
    /// Bytes of all its layers, decompressed, whether they are kept or not.
    pub stream_bytes: u64,
    /// Bytes of all files that are kept.
    pub kept_bytes: u64,
    /// Bytes of a file that is kept.
    pub file_bytes: u64,
    /// How many files are kept.
    pub files: usize,
    /// How many entries it has, kept or not.
    pub entries: u64,
    /// Folders above a file that is kept.
    pub depth: usize,
    /// Bytes of a path.
    pub path_bytes: usize,
}

impl Default for Limits {
    /// Several times what any release of Istio has.
    fn default() -> Self {
        Self {
            archive_bytes: 1 << 30,
            stream_bytes: 1 << 30,
            kept_bytes: 64 << 20,
            file_bytes: 8 << 20,
            files: 5000,
            entries: 200_000,
            depth: 24,
            path_bytes: 1024,
        }
    }
}

/// How long, and how often.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// To a connection, TLS included.
    pub connect: Duration,
    /// To an answer, and from one piece of it to the next.
    pub read: Duration,
    /// All of it, retries included.
    pub total: Duration,
    /// How often the same is tried.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each further one.
    pub backoff: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            total: Duration::from_mins(10),
            attempts: 4,
            backoff: Duration::from_millis(500),
        }
    }
}
