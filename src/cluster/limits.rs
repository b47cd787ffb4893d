//! How many requests are under way at once: reads and writes each have their own bound, so writes that hang because a
//! webhook does not answer keep nobody from reading or watching.

use super::layer::Rule;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower::BoxError;

/// Bounds the requests of all services it is laid on together. A request counts until its answer begins, so a watch that has
/// begun does not count.
#[derive(Clone)]
pub struct InFlight {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl InFlight {
    /// So many reads, and so many writes; at least one of each.
    #[must_use]
    pub fn new(each: usize) -> Self {
        let semaphore = || Arc::new(Semaphore::new(each.clamp(1, Semaphore::MAX_PERMITS)));
        Self { reads: semaphore(), writes: semaphore() }
    }
}

impl Rule for InFlight {
    async fn apply<A: Send>(
        self,
        is_write: bool,
        send: impl Future<Output = Result<A, BoxError>> + Send,
    ) -> Result<A, BoxError> {
        let turn = if is_write { self.writes } else { self.reads };
        let _permit = turn.acquire_owned().await?;
        send.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::layer::Keep;
    use http::{Method, Request, Response};
    use std::time::Duration;
    use tower::{Layer, Service, service_fn};

    #[test]
    fn writes_that_hang_keep_nobody_from_reading() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let service = service_fn(|request: Request<()>| async move {
                if request.method() == Method::PATCH {
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(Response::new(()))
            });
            let mut service = Keep(InFlight::new(2)).layer(service);
            let request = |method: Method| Request::builder().method(method).body(()).unwrap();
            let hanging: Vec<_> = (0..5).map(|_| tokio::spawn(service.call(request(Method::PATCH)))).collect();
            tokio::task::yield_now().await;
            let read = tokio::time::timeout(Duration::from_secs(5), service.call(request(Method::GET)));
            assert!(read.await.is_ok_and(|answer| answer.is_ok()));
            assert!(hanging.iter().all(|write| !write.is_finished()));
        });
    }
}
