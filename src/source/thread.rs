//! Work that blocks, on a thread of its own that ends with it.

use std::io;
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
