//! The connections of a client: kept for requests to come, and made anew once we have another client certificate.

use super::compressed::Plain;
use super::credentials::Shown;
use super::identity::Always;
use super::proxy::{self, Route};
use super::proxy_rules::Proxy;
use super::verifier::OwnCertificate;
use http::{Request, Response, Uri};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{Body, ConfigExt};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tower::Service;

type Pool = Client<TimeoutConnector<HttpsConnector<Route>>, Body>;

/// How connections are made, but for who we are.
struct Maker {
    tls: ClientConfig,
    server_name: Option<ServerName<'static>>,
    proxy: Option<Proxy>,
    config: Config,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Transport {
    maker: Arc<Maker>,
    /// By the version of who we were when they were made.
    pool: Arc<Mutex<Option<(u64, Pool)>>>,
}

impl Transport {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// The certificates by which the API server is known cannot be used.
    pub(super) fn new(
        config: &Config,
        server_name: Option<ServerName<'static>>,
        proxy: Option<Proxy>,
    ) -> Result<Self, Box<kube::Error>> {
        let mut tls = config.rustls_client_config().map_err(Box::new)?;
        if let Some(roots) = config.root_cert.as_ref().filter(|_| !config.accept_invalid_certs) {
            let roots = roots.iter().map(|der| CertificateDer::from(der.clone()));
            OwnCertificate::extend(&mut tls, roots.collect(), config.root_cert_file.as_deref());
        }
        let maker = Maker { tls, server_name, proxy, config: config.clone() };
        Ok(Self { maker: Arc::new(maker), pool: Arc::default() })
    }

    fn pool(&self, shown: &Shown) -> Pool {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match pool.as_ref() {
            // A request that began before there was another certificate does not bring the old one back.
            Some((version, pool)) if *version >= shown.version => pool.clone(),
            _ => {
                // What the old one is asked is answered; then it goes, with its connections.
                let made = self.maker.pool(shown);
                *pool = Some((shown.version, made.clone()));
                made
            }
        }
    }
}

impl Maker {
    fn pool(&self, shown: &Shown) -> Pool {
        let mut tls = self.tls.clone();
        if let Some(identity) = &shown.identity {
            tls.client_auth_cert_resolver = Arc::new(Always(Arc::clone(identity)));
        }
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        // A proxy's certificate is judged as the server's, as by kubectl.
        let route = Route::new(self.secured(tls.clone(), http), self.proxy.clone());
        let mut connector = TimeoutConnector::new(self.secured(tls, route));
        connector.set_connect_timeout(self.config.connect_timeout);
        connector.set_read_timeout(self.config.read_timeout);
        connector.set_write_timeout(self.config.write_timeout);
        connector.set_reset_reader_on_write(self.config.reset_reader_on_write);
        Client::builder(TokioExecutor::new()).build(connector)
    }

    fn secured<C>(&self, tls: ClientConfig, connector: C) -> HttpsConnector<C> {
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let https = match &self.server_name {
            Some(name) => https.with_server_name_resolver(FixedServerNameResolver::new(name.clone())),
            None => https,
        };
        https.enable_http1().wrap_connector(connector)
    }

    /// A proxy that takes whole requests is told who we are with each of them.
    fn prepare(&self, request: &mut Request<Body>) {
        let is_plain = |uri: &Uri| uri.scheme_str() == Some("http");
        let login = self.proxy.as_ref().filter(|_| is_plain(request.uri())).and_then(proxy::authorization);
        if let Some(value) = login {
            request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, value);
        }
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Plain>;
    type Error = hyper_util::client::legacy::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Plain>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shown = request.extensions_mut().remove::<Shown>().unwrap_or_default();
        self.maker.prepare(&mut request);
        let answer = self.pool(&shown).request(request);
        Box::pin(async move { Ok(Plain::of(answer.await?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_of_before_does_not_bring_an_old_certificate_back() {
        // Which is the one of the process does not matter here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::new("https://127.0.0.1:1".parse().unwrap());
        let transport = Transport::new(&config, None, None).unwrap();
        for (shown, pooled) in [(1, 1), (2, 2), (1, 2), (3, 3)] {
            let mut who = Shown::default();
            who.version = shown;
            drop(transport.pool(&who));
            let version = transport.pool.lock().unwrap().as_ref().map(|(version, _)| *version);
            assert_eq!(version, Some(pooled), "after {shown}");
        }
    }
}
