//! The users found of each control plane, remembered for a while, since finding them means reading every pod with a proxy.

use super::asked::InUse;
use super::watch::Usage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How soon it is asked again who uses a control plane or a tag, and tried again what hangs on the answer: it reads every pod with
/// a proxy, and a person who has moved the last user away should not have to wait for minutes.
pub const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Who was found to use control planes, by revision and namespace: finding out reads every pod with a proxy.
pub type Answers = BTreeMap<(String, String), Answer>;

/// An answer, and what the watches said when it was given: it holds for a while, as long as they say the same.
pub struct Answer {
    pub at: Instant,
    pub seen: Usage,
    pub users: InUse,
}

impl Answer {
    /// Whether it need not be asked again. That nobody uses a control plane always is, since it may go then.
    pub fn holds(&self, seen: &Usage) -> bool {
        !self.users.is_empty() && self.seen == *seen && self.at.elapsed() < ASK_AGAIN
    }
}
