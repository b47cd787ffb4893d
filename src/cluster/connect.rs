//! Clients: how the API server is found, and what every request goes through on its way.
//!
//! kube's own stack, with what it lacks: a client certificate of any version, separate bounds for reads and writes that no
//! retry occupies, a fence around writes, and one voice for an API server that is away.

use super::fence::Fence;
use super::identity::{Always, IdentityError, take};
use super::layer::Keep;
use super::limits::InFlight;
use super::outage::Outage;
use http::Request;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceBuilder;
use tower::limit::RateLimitLayer;
use tower::retry::RetryLayer;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a pod's service account says where it is.
    #[error("find a cluster (KUBECONFIG, or in a pod): {0}")]
    NotFound(#[from] kube::config::InferConfigError),
    /// The kubeconfig that was named cannot be read, or has no such context.
    #[error("read the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The client certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Something else in the kubeconfig is wrong.
    #[error("use the kubeconfig: {0}")]
    Kube(#[from] Box<kube::Error>),
    /// A name to check the API server's certificate against that is none.
    #[error("tls-server-name {0:?} of the kubeconfig is no name of a server")]
    ServerName(String),
    /// A proxy before the API server.
    #[error("proxy-url {0:?} of the kubeconfig: proxies are not supported; reach the API server without one")]
    Proxy(String),
}

/// What is said of every request, by its verb as the API server's metrics call it.
pub type Count = Arc<dyn Fn(&'static str) + Send + Sync>;

/// What the requests of a client go through.
#[derive(Clone)]
pub struct Way {
    /// Told of every request.
    pub count: Count,
    /// How many reads, and how many writes, are under way at once at most.
    pub in_flight: usize,
    /// How many requests begin in a second at most.
    pub per_second: u64,
    /// How long a connection may be silent before it counts as lost.
    pub silence: Duration,
    /// Closed when the Lease may be another's.
    pub fence: Fence,
    /// Told of what cannot be reached.
    pub outage: Outage,
}

/// Where the API server is, and who we are. May wait for a program that a kubeconfig names, without yielding.
///
/// # Errors
/// Nothing says where it is.
pub async fn find() -> Result<kube::Config, ConnectError> {
    usable(kube::Config::infer().await?)
}

/// The same of a kubeconfig and a context of it, where they are named.
///
/// # Errors
/// There is no such kubeconfig, or no such context in it.
pub async fn find_named(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<kube::Config, ConnectError> {
    let file = match (kubeconfig, context) {
        (None, None) => return find().await,
        (Some(path), _) => Kubeconfig::read_from(path)?,
        (None, Some(_)) => Kubeconfig::read()?,
    };
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    usable(kube::Config::from_custom_kubeconfig(file, &options).await?)
}

fn usable(mut config: kube::Config) -> Result<kube::Config, ConnectError> {
    if let Some(proxy) = &config.proxy_url {
        return Err(ConnectError::Proxy(proxy.to_string()));
    }
    // A connection that has been idle must not count as silent when its next request is sent.
    config.reset_reader_on_write = true;
    Ok(config)
}

/// A client for work. May wait for a program that a kubeconfig names, without yielding.
///
/// # Errors
/// What is wrong with the kubeconfig.
pub fn for_work(mut config: kube::Config, way: &Way) -> Result<Client, ConnectError> {
    config.read_timeout = Some(way.silence);
    let https = connector(&mut config)?;
    let (auth, headers) = layers(&config)?;
    let count = Arc::clone(&way.count);
    let counted = move |request: Request<Body>| {
        count(verb(&request));
        request
    };
    let service = ServiceBuilder::new()
        .map_request(counted)
        .layer(RateLimitLayer::new(way.per_second.max(1), Duration::from_secs(1)))
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        // Whoever waits to try again does not count.
        .layer(Keep(InFlight::new(way.in_flight)))
        .option_layer(auth)
        .layer(headers)
        .layer(Keep(way.fence.clone()))
        .layer(Keep(way.outage.clone()))
        .service(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https));
    Ok(Client::new(service, config.default_namespace))
}

/// A client for the election: nothing that others do keeps its requests waiting, and each is sent once.
///
/// # Errors
/// What is wrong with the kubeconfig.
pub fn for_election(mut config: kube::Config, way: &Way) -> Result<Client, ConnectError> {
    config.read_timeout = Some(way.silence);
    let https = connector(&mut config)?;
    let (auth, headers) = layers(&config)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .layer(headers)
        .layer(Keep(way.outage.clone()))
        .service(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https));
    Ok(Client::new(service, config.default_namespace))
}

type Auth = kube::client::middleware::AuthLayer;
type Headers = kube::client::middleware::ExtraHeadersLayer;

fn layers(config: &kube::Config) -> Result<(Option<Auth>, Headers), ConnectError> {
    let auth = config.auth_layer().map_err(Box::new)?;
    Ok((auth, config.extra_headers_layer().map_err(Box::new)?))
}

/// How connections are made; takes the client certificate out of the configuration.
fn connector(config: &mut kube::Config) -> Result<TimeoutConnector<HttpsConnector<HttpConnector>>, ConnectError> {
    let identity = take(&mut config.auth_info)?;
    let mut tls = config.rustls_client_config().map_err(Box::new)?;
    // A program of the kubeconfig may have given another one.
    if let Some(identity) = identity.filter(|_| !tls.client_auth_cert_resolver.has_certs()) {
        tls.client_auth_cert_resolver = Arc::new(Always(identity));
    }
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let mut https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let parsed = name.clone().try_into().map_err(|_| ConnectError::ServerName(name.clone()))?;
        https = https.with_server_name_resolver(FixedServerNameResolver::new(parsed));
    }
    let mut connector = TimeoutConnector::new(https.enable_http1().wrap_connector(http));
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    Ok(connector)
}

/// What a request asks for, as the API server's own metrics call it.
fn verb<B>(request: &Request<B>) -> &'static str {
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    match request.method().as_str() {
        "GET" if is_watch => "WATCH",
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}
