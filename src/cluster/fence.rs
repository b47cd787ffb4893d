//! Writes only while the Lease is surely ours.
//!
//! A process that was stopped for a while (SIGSTOP, a paused machine) does not notice: all its tasks wake at once, and a reconcile
//! under way would write before the election has found out that another operator leads. So every write is asked, each time
//! it could go on, how long ago the Lease was renewed; after the renew deadline it is refused here.

use super::layer::Rule;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tower::BoxError;

/// A write came too late.
#[derive(Debug, thiserror::Error)]
#[error("not sent: the lease was not renewed in time, another operator may lead now")]
pub struct Fenced;

/// A moment by both clocks: one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Instant, SystemTime);

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// How long ago it was, by the clock that says more.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

/// When the Lease was last renewed, and for how long that holds. Open to all until the first renewal.
#[derive(Clone, Default)]
pub struct Fence(Arc<Mutex<Option<(Moment, Duration)>>>);

impl Fence {
    /// The Lease was renewed by a request that was sent at that moment; writes are free for so long after it.
    pub fn renewed(&self, at: Moment, valid: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, valid));
    }

    /// Whether writes are free now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let renewal = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        renewal.is_none_or(|(at, valid)| at.elapsed() < valid)
    }
}

impl Rule for Fence {
    async fn apply<A: Send>(
        self,
        is_write: bool,
        send: impl Future<Output = Result<A, BoxError>> + Send,
    ) -> Result<A, BoxError> {
        let mut send = pin!(send);
        // Each time, for it may still wait for its connection.
        let next = |cx: &mut Context<'_>| {
            if is_write && !self.is_open() {
                return Poll::Ready(Err(Fenced.into()));
            }
            send.as_mut().poll(cx)
        };
        std::future::poll_fn(next).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::layer::Keep;
    use http::{Method, Request, Response};
    use tower::{Layer, Service, service_fn};

    /// Whether a request of this method gets through.
    fn passes(fence: &Fence, method: Method) -> bool {
        let mut service =
            Keep(fence.clone()).layer(service_fn(|_: Request<()>| async { Ok::<_, BoxError>(Response::new(())) }));
        let request = Request::builder().method(method).body(()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(service.call(request)).is_ok()
    }

    #[test]
    fn writes_pass_until_the_lease_is_too_old() {
        let fence = Fence::default();
        assert!(passes(&fence, Method::PATCH), "without an election");
        fence.renewed(Moment::now(), Duration::from_mins(1));
        assert!(passes(&fence, Method::PATCH));
        fence.renewed(Moment::now(), Duration::ZERO);
        for method in [Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
            assert!(!passes(&fence, method.clone()), "{method}");
        }
        assert!(passes(&fence, Method::GET), "whoever only reads harms nobody");
    }

    #[test]
    fn a_write_that_waits_for_its_connection_is_refused_too() {
        let fence = Fence::default();
        fence.renewed(Moment::now(), Duration::from_mins(1));
        let service = |_: Request<()>| std::future::pending::<Result<Response<()>, BoxError>>();
        let request = Request::builder().method(Method::PATCH).body(()).unwrap();
        let mut write = Keep(fence.clone()).layer(service_fn(service)).call(request);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(write.as_mut().poll(&mut cx).is_pending());
        fence.renewed(Moment::now(), Duration::ZERO);
        assert!(matches!(write.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    }
}
