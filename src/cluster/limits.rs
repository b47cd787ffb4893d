//! How many requests are under way at once: reads and writes each have their own bound, so writes that hang, for a webhook
//! does not answer, keep nobody from reading or watching.

use http::{Method, Request, Response};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tower::{BoxError, Layer, Service};

/// Whether a request changes something.
pub(super) fn is_write<B>(request: &Request<B>) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method())
}

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

impl<S> Layer<S> for InFlight {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limits: self.clone() }
    }
}

/// A service with a bound, see [`InFlight`].
#[derive(Clone)]
pub struct Limited<S> {
    inner: S,
    limits: InFlight,
}

impl<S, B, A> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Response = Response<A>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Whoever is ready is called at once: waiting here would hold up reads behind a write.
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes with the request; another takes its place.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let turn = Arc::clone(if is_write(&request) { &self.limits.writes } else { &self.limits.reads });
        Box::pin(async move {
            let _permit = turn.acquire_owned().await?;
            inner.call(request).await.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tower::service_fn;

    #[test]
    fn writes_that_hang_keep_nobody_from_reading() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let service = service_fn(|request: Request<()>| async move {
                if is_write(&request) {
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(Response::new(()))
            });
            let mut service = InFlight::new(2).layer(service);
            let request = |method: Method| Request::builder().method(method).body(()).unwrap();
            let hanging: Vec<_> = (0..5).map(|_| tokio::spawn(service.call(request(Method::PATCH)))).collect();
            tokio::task::yield_now().await;
            let read = tokio::time::timeout(Duration::from_secs(5), service.call(request(Method::GET)));
            assert!(read.await.is_ok_and(|answer| answer.is_ok()));
            assert!(hanging.iter().all(|write| !write.is_finished()));
        });
    }
}
