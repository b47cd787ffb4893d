//! One request, one connection: by way of proxies and TLS, with a limit for every wait.
//!
//! Nothing is kept between requests, so an operator that fetches nothing holds nothing for it.

use super::address::redact;
use super::error::{SourceError, Unreached};
use super::limits::Timeouts;
use super::resolve::Resolver;
use crate::cluster::proxy;
use crate::cluster::proxy_rules::{self, Kind};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tower::ServiceExt;
use url::Url;

/// What may be read from and written to.
trait Connection: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}
impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin> Connection for T {}

/// Who names the proxy, in this order.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

type BoxError = Box<dyn Error + Send + Sync>;

/// What makes connections during one fetch.
pub(super) struct Transport<'a> {
    ca_bundle: Option<&'a Path>,
    timeouts: &'a Timeouts,
    /// Read when it is first needed: to a server of this machine there is no TLS.
    tls: OnceLock<ClientConfig>,
}

impl<'a> Transport<'a> {
    pub(super) fn new(ca_bundle: Option<&'a Path>, timeouts: &'a Timeouts) -> Self {
        Self { ca_bundle, timeouts, tls: OnceLock::new() }
    }

    /// Sends a GET, and waits for the head of the answer.
    pub(super) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response<Incoming>, SourceError> {
        let uri: Uri = url.as_str().parse().map_err(|error| unreachable(url, error))?;
        let connecting = self.connect(url, uri.clone());
        let connection = within(self.timeouts.connect, url, "connecting", connecting).await??;
        let answering = async {
            let (mut sender, driver) = http1::handshake(connection).await?;
            // It ends with what it is read by.
            tokio::spawn(driver);
            let mut request = Request::new(Empty::<Bytes>::new());
            *request.uri_mut() = uri.path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()));
            *request.headers_mut() = headers;
            let authority = uri.authority().map(|a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned());
            if let Some(host) = authority.and_then(|host| host.parse().ok()) {
                request.headers_mut().insert(http::header::HOST, host);
            }
            sender.send_request(request).await
        };
        let answer = within(self.timeouts.read, url, "the answer", answering).await?;
        answer.map_err(|error| unreachable(url, error))
    }

    async fn connect(&self, url: &Url, uri: Uri) -> Result<Box<dyn Connection>, SourceError> {
        let failed = |error: BoxError| failure(url, error);
        let mut http = HttpConnector::new_with_resolver(Resolver);
        http.enforce_http(false);
        http.set_nodelay(true);
        if url.scheme() == "http" {
            // Only to this machine, so never through a proxy.
            let stream = http.oneshot(uri).await.map_err(|error| failed(error.into()))?;
            return Ok(Box::new(stream));
        }
        let tls = self.tls()?;
        let variable = |name: &str| std::env::var(name).ok();
        let Some(proxy) = proxy_rules::of_environment(&PROXIES, "HTTPS_PROXY or ALL_PROXY", &uri, variable)? else {
            return tunnel(http, tls, uri).await.map_err(failed);
        };
        let name = proxy.address.host().unwrap_or_default().to_owned();
        let connected = match proxy.kind {
            Kind::Http => tunnel(proxy::tunnel(HttpsConnector::from((http, tls.clone())), &proxy), tls, uri).await,
            Kind::Socks => tunnel(proxy::socks(http, proxy), tls, uri).await,
        };
        connected.map_err(|error| match failure(url, error) {
            SourceError::Unreachable { address, cause: Unreached::Failed(source) } => {
                SourceError::Unreachable { address, cause: Unreached::ByProxy { name, source } }
            }
            other => other,
        })
    }

    fn tls(&self) -> Result<ClientConfig, SourceError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let tls = client_config(self.ca_bundle)?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }
}

/// A TLS connection over what a connector makes.
async fn tunnel<C>(connector: C, tls: ClientConfig, uri: Uri) -> Result<Box<dyn Connection>, BoxError>
where
    C: tower::Service<Uri> + Clone + Send,
    C::Response:
        hyper_util::client::legacy::connect::Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let stream = HttpsConnector::from((connector, tls)).oneshot(uri).await?;
    Ok(Box::new(stream))
}

/// The system's certificates (`SSL_CERT_FILE` names others), and those of the bundle.
fn client_config(ca_bundle: Option<&Path>) -> Result<ClientConfig, SourceError> {
    let wrong = |problem: String| SourceError::Certificates { problem };
    let mut roots = RootCertStore::empty();
    // A single one that cannot be read does not matter; that there is none at all is told below.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_bundle {
        let told = |error: &dyn Error| wrong(format!("{}: {error}; it must have certificates in PEM", path.display()));
        let all = CertificateDer::pem_file_iter(path).map_err(|error| told(&error))?;
        let mut count = 0;
        for certificate in all {
            roots.add(certificate.map_err(|error| told(&error))?).map_err(|error| told(&error))?;
            count += 1;
        }
        if count == 0 {
            return Err(wrong(format!("{}: it has none; it must have certificates in PEM", path.display())));
        }
    }
    if roots.is_empty() {
        return Err(wrong("this system has none; give some with --ca-bundle or SSL_CERT_FILE".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| wrong(error.to_string()))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// What comes in time.
pub(super) async fn within<T>(
    limit: Duration,
    url: &Url,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, SourceError> {
    in_time(limit, redact(url), what, work).await
}

/// The same of whatever has an address.
pub(super) async fn in_time<T>(
    limit: Duration,
    address: String,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, SourceError> {
    tokio::time::timeout(limit, work).await.map_err(|_| SourceError::TimedOut { address, what, limit })
}

fn unreachable(url: &Url, error: impl Into<BoxError>) -> SourceError {
    SourceError::Unreachable { address: redact(url), cause: Unreached::Failed(error.into()) }
}

fn failure(url: &Url, error: BoxError) -> SourceError {
    match tls_error(error.as_ref()) {
        Some(tls) => SourceError::Tls { address: redact(url), cause: tls },
        None => unreachable(url, error),
    }
}

/// What is wrong with the server's certificate, if that is what is wrong.
fn tls_error(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found @ rustls::Error::InvalidCertificate(_)) = cause.downcast_ref::<rustls::Error>() {
            return Some(found.clone());
        }
        // The source of an error of reading and writing is that of the one in it, which is thus left out.
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}
