//! The layer that puts one of our rules around every request of a client; the rules are in `limits`, `fence` and `outage`.

use http::{Method, Request};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service};

/// What is done around the sending of a request.
pub trait Rule: Clone + Send + 'static {
    /// Sends a request, sooner or later, or refuses to. Nothing is sent until `send` is first polled. `is_write` says whether
    /// the request changes something.
    fn apply<A: Send>(
        self,
        is_write: bool,
        send: impl Future<Output = Result<A, BoxError>> + Send,
    ) -> impl Future<Output = Result<A, BoxError>> + Send;
}

/// A layer that has all requests of a service keep a rule.
#[derive(Clone)]
pub struct Keep<R>(pub R);

/// A service whose requests keep a rule, see [`Keep`].
#[derive(Clone)]
pub struct Kept<S, R> {
    inner: S,
    rule: R,
}

impl<S, R: Rule> Layer<S> for Keep<R> {
    type Service = Kept<S, R>;

    fn layer(&self, inner: S) -> Kept<S, R> {
        Kept { inner, rule: self.0.clone() }
    }
}

impl<S, R, B> Service<Request<B>> for Kept<S, R>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    R: Rule,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Whoever is ready is called at once: a rule that waited here would hold up reads behind a write.
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes with the request; another takes its place.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let is_write = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
        let send = async move { inner.call(request).await.map_err(Into::into) };
        Box::pin(self.rule.clone().apply(is_write, send))
    }
}
