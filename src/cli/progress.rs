//! The progress of a fetch, for a person: a bar on a terminal, lines elsewhere.

use crate::source::{Progress, SourceError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a terminal is drawn on.
const FRAME: Duration = Duration::from_millis(100);
const BAR: usize = 30;
/// How many bytes a line is worth.
const LINE: u64 = 5_000_000;

/// Progress as lines: the beginning, each tenth of what is long, what is tried again.
#[derive(Default)]
pub(super) struct Lines {
    /// One more than the last step told of.
    told: AtomicU64,
}

impl Progress for Lines {
    fn bytes(&self, come: u64, total: Option<u64>) {
        let step = come / total.map_or(LINE, |total| LINE.max(total / 10));
        if come == 0 {
            self.told.store(0, Ordering::Relaxed);
        }
        if self.told.fetch_max(step + 1, Ordering::Relaxed) <= step {
            eprintln!("fetching: {}", amount(come, total));
        }
    }

    fn retry(&self, error: &SourceError, after: Duration) {
        eprintln!("Warning: {error}; trying again in {after:?}");
    }
}

/// Progress as a bar on a terminal, which goes in the end.
#[derive(Default)]
pub(super) struct Bar {
    drawn: Mutex<Option<Instant>>,
}

impl Progress for Bar {
    fn bytes(&self, come: u64, total: Option<u64>) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.is_some_and(|at| at.elapsed() < FRAME) {
            return;
        }
        *drawn = Some(Instant::now());
        let part =
            total.filter(|total| *total > 0).map_or(0, |total| come.min(total).saturating_mul(BAR as u64) / total);
        let full = usize::try_from(part).unwrap_or(BAR).min(BAR);
        eprint!("\r\x1b[K[{}{}] {}", "#".repeat(full), " ".repeat(BAR - full), amount(come, total));
    }

    fn retry(&self, error: &SourceError, after: Duration) {
        eprintln!("\r\x1b[KWarning: {error}; trying again in {after:?}");
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.get_mut().is_ok_and(|drawn| drawn.is_some()) {
            eprint!("\r\x1b[K");
        }
    }
}

fn amount(come: u64, total: Option<u64>) -> String {
    let mega = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
    total.map_or_else(|| format!("{} MB", mega(come)), |total| format!("{} of {} MB", mega(come), mega(total)))
}
