//! Work that blocks, on a thread of its own that ends with it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Does work elsewhere. If nobody waits for it any more, it goes on to its end all the same.
pub(super) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, io::Error> {
    let (sender, receiver) = oneshot::channel();
    let work = move || drop(sender.send(work()));
    std::thread::Builder::new().name(format!("source {name}")).spawn(work)?;
    receiver.await.map_err(|_| io::Error::other("a thread has ended before its work"))
}

/// How much work has something to tidy up, so that a process can wait for it before it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished(Arc<(Mutex<usize>, Condvar)>);

/// Work that has something to tidy up; it is done when this goes.
pub(super) struct Work(Unfinished);

impl Unfinished {
    fn change(&self, change: impl FnOnce(&mut usize)) {
        let (count, changed) = &*self.0;
        change(&mut count.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    pub(super) fn begin(&self) -> Work {
        self.change(|count| *count += 1);
        Work(self.clone())
    }

    /// Waits until all is done, but not for long.
    pub(super) fn wait(&self, limit: Duration) {
        let (count, changed) = &*self.0;
        let guard = count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_timeout_while(guard, limit, |count| *count > 0));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.change(|count| *count -= 1);
    }
}
