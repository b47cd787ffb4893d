//! The thread that listens for signals, and at the monitoring port, while the rest of the process works.
//!
//! It has a thread of its own, so that nothing that blocks elsewhere - a program that a kubeconfig names, a name server, a file
//! system that is away - keeps the process from ending, or its probes from an answer.

use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long after the order to stop the process ends, whatever it is at. An orderly end takes less than this.
const AT_MOST: Duration = Duration::from_secs(4);

/// See the module.
pub(super) struct SignalThread {
    stop: CancellationToken,
    handle: Handle,
}

impl SignalThread {
    /// From now on SIGTERM and SIGINT are orders to stop.
    ///
    /// # Errors
    /// There is no thread, or the signals cannot be had.
    pub fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let (mut terminate, mut interrupt) = {
            let _inside = handle.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let told = stop.clone();
        let attend = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.cancel();
            // Another signal changes nothing: the end is near, and the Lease is to be given up first.
            tokio::time::sleep(AT_MOST).await;
            tracing::warn!("something does not end in {AT_MOST:?}, leaving it");
            std::process::exit(0);
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(attend))?;
        Ok(Self { stop, handle })
    }

    /// Cancelled by the order to stop.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs what must have an answer at any time, and never blocks.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}
