//! Connections to a server, straight or by way of a proxy, each before any TLS with the server itself.

use super::proxy_rules::{Kind, Proxy};
use crate::failure::causes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// What connections to proxies are made by; TLS is spoken with those of `https`.
type Reach = HttpsConnector<HttpConnector>;

/// A proxy did not lead to the server.
#[derive(Debug, thiserror::Error)]
#[error("by the proxy {address}: {cause}")]
pub struct ThroughProxy {
    address: String,
    cause: String,
}

/// How connections are made.
#[derive(Clone)]
pub(super) struct Route {
    reach: Reach,
    proxy: Option<Proxy>,
}

impl Route {
    /// By way of a proxy, or straight.
    pub(super) fn new(reach: Reach, proxy: Option<Proxy>) -> Self {
        Self { reach, proxy }
    }
}

/// A connection: to the server, or to a proxy that takes whole requests for it.
pub(super) struct Stream {
    inner: MaybeHttpsStream<TokioIo<TcpStream>>,
    takes_whole_requests: bool,
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.reach.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Self { reach, proxy } = self.clone();
        Box::pin(async move {
            let is_tls = to.scheme_str() == Some("https");
            let plain = plain(&to)?;
            let Some(proxy) = proxy else { return reached(reach, plain, false).await };
            let address = proxy.address.to_string();
            let made = match (proxy.kind, is_tls) {
                (Kind::Socks, _) => reached(socks(reach, proxy), plain, false).await,
                (Kind::Http, true) => reached(tunnel(reach, &proxy), plain, false).await,
                (Kind::Http, false) => reached(reach, proxy.address, true).await,
            };
            let failed = |error: BoxError| ThroughProxy { address, cause: causes(error.as_ref()) };
            made.map_err(|error| failed(error).into())
        })
    }
}

/// The address of a server, for a connection without TLS.
fn plain(to: &Uri) -> Result<Uri, BoxError> {
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
    Ok(format!("http://{}:{port}/", to.host().unwrap_or_default()).parse::<Uri>()?)
}

async fn reached<C>(mut connector: C, to: Uri, takes_whole_requests: bool) -> Result<Stream, BoxError>
where
    C: Service<Uri, Response = MaybeHttpsStream<TokioIo<TcpStream>>>,
    C::Error: Into<BoxError>,
{
    std::future::poll_fn(|cx| connector.poll_ready(cx)).await.map_err(Into::into)?;
    let inner = connector.call(to).await.map_err(Into::into)?;
    Ok(Stream { inner, takes_whole_requests })
}

/// Connections by way of a SOCKS proxy, which is reached so.
pub(crate) fn socks<C>(reach: C, proxy: Proxy) -> SocksV5<C> {
    let socks = SocksV5::new(proxy.address, reach);
    match proxy.login {
        Some((name, password)) => socks.with_auth(name, password),
        None => socks,
    }
}

/// Connections through an HTTP proxy, which is reached so.
pub(crate) fn tunnel<C>(reach: C, proxy: &Proxy) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.address.clone(), reach);
    match authorization(proxy) {
        Some(value) => tunnel.with_auth(value),
        None => tunnel,
    }
}

/// What an HTTP proxy wants to hear of us.
pub(super) fn authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let (name, password) = proxy.login.as_ref().filter(|_| proxy.kind == Kind::Http)?;
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.takes_whole_requests)
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }
}
