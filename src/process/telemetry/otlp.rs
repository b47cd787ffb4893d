//! Spans, sent to an OpenTelemetry collector by OTLP over HTTP.
//!
//! The spans of this crate go in, requests with batches of them come out. Nothing waits for a collector: spans are queued for
//! a thread that sends them, and are lost where the queue is full or the collector does not answer, with a warning now and
//! then. What is not an argument here, the SDK reads from its standard variables (`OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`,
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, …).

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::error::Error;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::{Layer, Registry};

/// How long a collector may take to answer a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end waits for what is queued to be sent.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How seldom it is said that a collector does not take spans.
const WARNING_EVERY: Duration = Duration::from_mins(10);
/// How long an answer may be; a good one is empty.
const LONGEST_ANSWER: usize = 64 << 10;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// There is no URL to send to.
    #[error("{0:?} is not a valid URL of a collector, such as http://collector:4318")]
    Endpoint(String),
    /// The certificates to trust cannot be read.
    #[error("the certificates to trust a collector by (see OTEL_EXPORTER_OTLP_CERTIFICATE): {0}")]
    Certificates(Box<kube::Error>),
    /// A variable asks for what is not there.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// The sending of spans, until it is ended.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send to a URL as it is, on a runtime that has to live until the end.
    ///
    /// # Errors
    /// See [`TracesError`]; that a collector cannot be reached is not one.
    pub fn begin(endpoint: &str, runtime: &Handle) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(transport(endpoint, runtime)?)
            .with_endpoint(endpoint)
            .with_protocol(Protocol::HttpBinary)
            .build()?;
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build()))
    }

    /// What takes the spans of this crate, those of stages too, and what is logged in them at `info` or above.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let ours = |metadata: &Metadata<'_>| {
            metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
                && (metadata.is_span() || *metadata.level() <= LevelFilter::INFO)
        };
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(FilterFn::new(ours).with_max_level_hint(LevelFilter::DEBUG))
            .boxed()
    }

    /// Sends what is queued, for a second at most: who follows, or kills, is waiting.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_WORDS) {
            tracing::warn!(%error, "the last traces are not sent");
        }
    }
}

/// Who sends, where `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` do not say otherwise.
fn resource() -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()) {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// What makes requests, with the same TLS as those to the API server. Trusted is what the system trusts, or the certificates
/// of `OTEL_EXPORTER_OTLP_CERTIFICATE`.
pub(super) fn transport(endpoint: &str, runtime: &Handle) -> Result<impl HttpClient + use<>, TracesError> {
    let wrong = || TracesError::Endpoint(endpoint.to_owned());
    let url: http::Uri = endpoint.parse().map_err(|_| wrong())?;
    let is_https = match url.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let named = |name| std::env::var_os(name).filter(|file| is_https && !file.is_empty());
    let file = named("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE").or_else(|| named("OTEL_EXPORTER_OTLP_CERTIFICATE"));
    let mut config = kube::Config::new(url);
    // An image of nothing but this binary has no certificates, and needs none for plain HTTP.
    config.root_cert = (!is_https || file.is_some()).then(Vec::new);
    config.root_cert_file = file.map(Into::into);
    let connector = config.rustls_https_connector().map_err(|error| TracesError::Certificates(Box::new(error)))?;
    let client = Client::builder(TokioExecutor::new()).build(connector);
    Ok(Transport { client, runtime: runtime.clone(), warned: Mutex::default() })
}

/// Requests of the thread that sends, made on the runtime. It says itself why they fail: the SDK does not hand that on.
#[derive(Debug)]
struct Transport<C> {
    client: Client<C, Full<Bytes>>,
    runtime: Handle,
    warned: Mutex<Option<Instant>>,
}

#[async_trait]
impl<C: Connect + Clone + Debug + Send + Sync + 'static> HttpClient for Transport<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, url) = (self.client.clone(), request.uri().clone());
        let sending = self.runtime.spawn(async move { tokio::time::timeout(PATIENCE, send(client, request)).await });
        let answer = sending.await.map_err(HttpError::from).and_then(|sent| sent.map_err(HttpError::from)).flatten();
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.warn(&url, &format!("the answer is {}", answer.status())),
            Err(error) => self.warn(&url, &reasons(error.as_ref())),
        }
        answer
    }
}

impl<C> Transport<C> {
    /// Warns, if that is not just what was done.
    fn warn(&self, url: &http::Uri, error: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|last| last.elapsed() >= WARNING_EVERY) {
            *warned = Some(Instant::now());
            tracing::warn!(%url, error, "a collector does not take traces, they are lost");
        }
    }
}

async fn send<C>(client: Client<C, Full<Bytes>>, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// An error and what it comes from.
fn reasons(error: &(dyn Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| (*error).source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
