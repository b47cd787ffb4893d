//! Clients: how the API server is found, and what every request goes through on its way.
//!
//! kube's own stack, with what it lacks: kubeconfigs, credentials and proxies as kubectl has them, separate bounds for reads
//! and writes that no retry occupies, a fence around writes, and one place that reports an unreachable API server.

use super::credentials::{Credentials, CredentialsError, Identify};
use super::fence::Fence;
use super::file::read_again;
use super::kubeconfig::{self, Chosen, Cluster, KubeconfigError, User};
use super::layer::Keep;
use super::limits::InFlight;
use super::outage::Outage;
use super::proxy_rules::{self, Proxy, ProxyError};
use super::transport::Transport;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Uri};
use kube::client::middleware::{AuthLayer, ExtraHeadersLayer};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt};
use kube::config::{AuthInfo, InClusterError};
use kube::{Client, Config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower::limit::RateLimitLayer;
use tower::retry::RetryLayer;
use tower::util::Either;

pub use super::kubeconfig::{Choice, contexts};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a pod's service account says where it is.
    #[error("find a cluster: {looked_at}, and this is not a pod; name a file with KUBECONFIG, or a context")]
    NotFound {
        /// The files that could say it, and why they do not.
        looked_at: String,
        /// Why this is not a pod.
        source: InClusterError,
    },
    /// It is a pod, and its service account does not say where it is.
    #[error(
        "find a cluster: {looked_at}, and the service account of this pod cannot be used: {source}; see \
         automountServiceAccountToken of the pod"
    )]
    ServiceAccount {
        /// The files that could say it, and why they do not.
        looked_at: String,
        /// Why the service account does not.
        source: InClusterError,
    },
    /// A kubeconfig cannot be used.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// We cannot say who we are.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The address of the API server is not valid.
    #[error("the server {0:?} of the kubeconfig is not a valid address; it must be like https://HOST:PORT")]
    Server(String),
    /// The certificates by which the API server is known cannot be read.
    #[error("the {what} of the kubeconfig's cluster cannot be used: {problem}")]
    Authority {
        /// The field.
        what: &'static str,
        /// Why.
        problem: String,
    },
    /// Something else in the kubeconfig is wrong.
    #[error("use the kubeconfig: {0}")]
    Kube(#[from] Box<kube::Error>),
    /// A name to check the API server's certificate against that is not valid.
    #[error("tls-server-name {0:?} of the kubeconfig is not a valid server name")]
    ServerName(String),
    /// A proxy before the API server.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// What a request asks for, as the API server's own metrics call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// To read.
    Get,
    /// To be told what changes.
    Watch,
    /// To create, or to review.
    Post,
    /// To replace.
    Put,
    /// To apply, or to change.
    Patch,
    /// To delete.
    Delete,
    /// Anything else, which we never ask for.
    Other,
}

impl Verb {
    /// Its name there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Watch => "WATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Other => "OTHER",
        }
    }

    /// That of a request.
    fn of<B>(request: &Request<B>) -> Self {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        match request.method().as_str() {
            "GET" if is_watch => Self::Watch,
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// What is said of every request, by its verb.
pub type Count = Arc<dyn Fn(Verb) + Send + Sync>;

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

/// A cluster that was found: where it is, and who we are. The rest is as in the configuration that it holds.
#[derive(Clone)]
pub struct Access {
    config: Config,
    credentials: Arc<Credentials>,
    proxy: Option<Proxy>,
}

impl Deref for Access {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl DerefMut for Access {
    fn deref_mut(&mut self) -> &mut Config {
        &mut self.config
    }
}

/// Where the API server is, and who we are. May wait for a program that a kubeconfig names, without yielding.
///
/// # Errors
/// Nothing says where it is, or what says it cannot be used.
pub async fn find() -> Result<Access, ConnectError> {
    find_as(&Choice::default()).await
}

/// The same, by a kubeconfig and a context that somebody has chosen.
///
/// # Errors
/// Nothing says where it is, or what says it cannot be used.
#[expect(clippy::unused_async, reason = "callers wait for it as for whatever may take long")]
pub async fn find_as(choice: &Choice) -> Result<Access, ConnectError> {
    let (mut config, cluster, mut user) = match kubeconfig::find(choice)? {
        Some(chosen) => configuration(chosen)?,
        None => in_cluster(|| kubeconfig::looked_at(choice))?,
    };
    if let Some(exec) = &mut user.exec {
        exec.asks_nobody = choice.asks_nobody;
    }
    // A connection that has been idle must not count as silent when its next request is sent.
    config.reset_reader_on_write = true;
    let proxy = proxy_rules::choose(&cluster.proxy_url, &config.cluster_url, |name| std::env::var(name).ok())?;
    let credentials = Arc::new(Credentials::new(user, cluster)?);
    Ok(Access { config, credentials, proxy })
}

fn configuration(chosen: Chosen) -> Result<(Config, Cluster, User), ConnectError> {
    let Chosen { cluster, mut user, namespace } = chosen;
    let mut config = Config::new(address(&cluster)?);
    config.default_namespace = namespace.unwrap_or(config.default_namespace);
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify;
    config.root_cert = authority(&cluster)?;
    config.tls_server_name = Some(cluster.tls_server_name.clone()).filter(|name| !name.is_empty());
    if config.cluster_url.scheme_str() == Some("http") {
        // Without TLS anybody could read them; kubectl keeps them to itself too.
        user = user.without_secrets();
    }
    config.auth_info = others(&user);
    Ok((config, cluster, user))
}

/// What kube itself does of what a user says.
fn others(user: &User) -> AuthInfo {
    let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    AuthInfo {
        impersonate: filled(&user.impersonate),
        impersonate_uid: filled(&user.impersonate_uid),
        impersonate_groups: Some(user.impersonate_groups.clone()),
        impersonate_user_extra: Some(user.impersonate_extra.clone().into_iter().collect()),
        auth_provider: user.auth_provider.clone(),
        ..AuthInfo::default()
    }
}

/// Where the API server is. An address without a scheme is one of http, as with kubectl.
fn address(cluster: &Cluster) -> Result<Uri, ConnectError> {
    let server = cluster.server.trim();
    let text = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let uri: Option<Uri> = text.parse().ok();
    let is_known = |uri: &Uri| ["https", "http"].contains(&uri.scheme_str().unwrap_or_default());
    uri.filter(is_known).ok_or_else(|| ConnectError::Server(server.to_owned()))
}

/// The certificates by which the API server is known; `None` are those of the system.
fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, ConnectError> {
    let (what, pem) = match (cluster.certificate_authority_data.as_str(), cluster.certificate_authority.as_str()) {
        ("", "") => return Ok(None),
        ("", path) => {
            ("certificate-authority", read_again(path).map_err(|error| format!("cannot read {path}: {error}")))
        }
        (data, _) => {
            let data = data.replace(['\r', '\n'], "");
            let pem = STANDARD.decode(data).map_err(|error| format!("it is not base64: {error}"));
            ("certificate-authority-data", pem)
        }
    };
    let wrong = |problem: String| ConnectError::Authority { what, problem };
    let all = CertificateDer::pem_slice_iter(&pem.map_err(wrong)?).map(|found| found.map(|der| der.to_vec())).collect();
    let all: Vec<_> = Result::map_err(all, |error: rustls::pki_types::pem::Error| wrong(error.to_string()))?;
    if all.is_empty() {
        return Err(wrong("it has no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(Some(all))
}

/// The API server as a pod knows it.
fn in_cluster(looked_at: impl Fn() -> String) -> Result<(Config, Cluster, User), ConnectError> {
    let mut config = Config::incluster().map_err(|error| match error {
        // Every pod has them.
        InClusterError::ReadEnvironmentVariable(_) => ConnectError::NotFound { looked_at: looked_at(), source: error },
        _ => ConnectError::ServiceAccount { looked_at: looked_at(), source: error },
    })?;
    let token_file = std::mem::take(&mut config.auth_info).token_file.unwrap_or_default();
    let user = User { token_file, ..User::default() };
    Ok((config, Cluster::default(), user))
}

/// A client for work. May wait for a program that a kubeconfig names, without yielding.
///
/// # Errors
/// What is wrong with the kubeconfig.
pub fn for_work(mut access: Access, way: &Way) -> Result<Client, ConnectError> {
    access.config.read_timeout = Some(way.silence);
    let transport = transport(&access)?;
    let Access { config, credentials, .. } = access;
    let who = who(&config, credentials)?;
    let count = Arc::clone(&way.count);
    let counted = move |request: Request<Body>| {
        count(Verb::of(&request));
        request
    };
    let service = ServiceBuilder::new()
        .map_request(counted)
        .layer(RateLimitLayer::new(way.per_second.max(1), Duration::from_secs(1)))
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        // Whoever waits to try again does not count.
        .layer(Keep(InFlight::new(way.in_flight)))
        .layer(who)
        .layer(Keep(way.fence.clone()))
        .layer(Keep(way.outage.clone()))
        .service(transport);
    Ok(Client::new(service, config.default_namespace))
}

/// A client for the election: nothing that others do keeps its requests waiting, and each is sent once.
///
/// # Errors
/// What is wrong with the kubeconfig.
pub fn for_election(mut access: Access, way: &Way) -> Result<Client, ConnectError> {
    access.config.read_timeout = Some(way.silence);
    let transport = transport(&access)?;
    let Access { config, credentials, .. } = access;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(who(&config, credentials)?)
        .layer(Keep(way.outage.clone()))
        .service(transport);
    Ok(Client::new(service, config.default_namespace))
}

type Auth = Either<AuthLayer, Identity>;
type Who = ServiceBuilder<Stack<Identify, Stack<ExtraHeadersLayer, Stack<Auth, Identity>>>>;

/// What has every request say who we are.
fn who(config: &Config, credentials: Arc<Credentials>) -> Result<Who, ConnectError> {
    let headers = config.extra_headers_layer().map_err(Box::new)?;
    let auth = config.auth_layer().map_err(Box::new)?;
    Ok(ServiceBuilder::new().option_layer(auth).layer(headers).layer(Identify(credentials)))
}

fn transport(access: &Access) -> Result<Transport, ConnectError> {
    let name = access.config.tls_server_name.as_ref();
    let name = name.map(|name| ServerName::try_from(name.clone()).map_err(|_| ConnectError::ServerName(name.clone())));
    Ok(Transport::new(&access.config, name.transpose()?, access.proxy.clone())?)
}
