//! Parallel work, on as many threads as the machine has cores, and threads with enough stack for a render.
//!
//! Results come in the order of the items. The threads started here have a stack that is deep enough for any chart, so a
//! render on one of them needs no thread of its own.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

thread_local! {
    static IS_SINGLE_THREADED: Cell<bool> = const { Cell::new(false) };
    /// The stack that this thread was given here, in bytes; 0 for other threads.
    static STACK: Cell<usize> = const { Cell::new(0) };
}

/// The stack of the threads of [`map`], in bytes: enough for any render with default budgets. Only what is used of it takes memory.
pub const DEEP: usize = if cfg!(debug_assertions) { 256 << 20 } else { 64 << 20 };

/// Does work that needs this much stack, in bytes: on this thread if it was started here with as much, else on a new one.
///
/// # Errors
/// The thread could not be started. The inner result is an error if the work panicked.
pub fn with_stack<R: Send>(bytes: usize, work: impl FnOnce() -> R + Send) -> std::io::Result<std::thread::Result<R>> {
    if STACK.get() >= bytes {
        return Ok(catch_unwind(AssertUnwindSafe(work)));
    }
    std::thread::scope(|threads| Ok(start(threads, bytes, work)?.join()))
}

fn start<'s, R: Send + 's>(
    threads: &'s Scope<'s, '_>,
    stack: usize,
    work: impl FnOnce() -> R + Send + 's,
) -> std::io::Result<ScopedJoinHandle<'s, R>> {
    let work = move || {
        STACK.set(stack);
        work()
    };
    std::thread::Builder::new().stack_size(stack).spawn_scoped(threads, work)
}

/// Does the work on this thread, with all [`map`]s in it: for a caller that has other work for the other cores, or no memory
/// to spare for more threads.
pub fn single_threaded<R>(work: impl FnOnce() -> R) -> R {
    let before = IS_SINGLE_THREADED.replace(true);
    let result = work();
    IS_SINGLE_THREADED.set(before);
    result
}

/// Asked once, since each question reads files of the system.
fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

/// What `work` makes of each item.
pub fn map<'t, T: Sync, R: Send>(items: &'t [T], work: impl Fn(&'t T) -> R + Sync) -> Vec<R> {
    let cores = cores();
    if cores < 2 || items.len() < 2 || IS_SINGLE_THREADED.get() {
        return items.iter().map(work).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let run = || {
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = items.get(index)
        {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|threads| {
        // A thread that cannot be started leaves its work to the others.
        for _ in 1..cores.min(items.len()) {
            let _ = start(threads, DEEP, run);
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..1000).collect();
        let squares: Vec<u64> = items.iter().map(|n| n * n).collect();
        assert_eq!(super::map(&items, |n| n * n), squares);
        assert_eq!(super::map(&[3], |n| n + 1), [4]);
        assert!(super::map(&[], |n: &u64| *n).is_empty());
    }

    #[test]
    fn a_thread_with_enough_stack_does_the_work_itself() {
        let thread = || std::thread::current().id();
        let nested = || super::with_stack(1 << 20, thread).unwrap().unwrap();
        assert_ne!(super::with_stack(super::DEEP, thread).unwrap().unwrap(), thread());
        let (outer, inner) = super::with_stack(super::DEEP, || (thread(), nested())).unwrap().unwrap();
        assert_eq!(outer, inner);
        let panicked = super::with_stack(super::DEEP, || super::with_stack(1, || panic!("p")).unwrap().is_err());
        assert!(panicked.unwrap().unwrap());
    }

    #[test]
    fn single_threaded_work_stays_on_its_thread() {
        let thread = || std::thread::current().id();
        let others = |ids: Vec<_>| ids.into_iter().any(|id| id != thread());
        assert!(!others(super::single_threaded(|| super::map(&[0; 100], |_| thread()))));
        assert!(!super::IS_SINGLE_THREADED.get());
    }
}
