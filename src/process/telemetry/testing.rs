//! A collector that keeps what it is sent.

use super::{LogFormat, Traces, subscriber};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tracing::instrument::WithSubscriber;

/// What a collector is sent: the path and the message of every request.
type Received = Arc<Mutex<Vec<(String, ExportTraceServiceRequest)>>>;

/// What a collector has got.
pub(crate) struct Collected {
    /// The paths of the requests.
    pub paths: Vec<String>,
    /// The attributes of the sender.
    pub resource: BTreeMap<String, String>,
    /// The spans, in the order of their ends.
    pub spans: Vec<Span>,
}

impl Collected {
    /// The span of a name.
    pub fn span(&self, name: &str) -> &Span {
        let names = || self.spans.iter().map(|s| s.name.as_str()).collect::<Vec<_>>();
        self.spans.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name} of {:?}", names()))
    }

    /// The attributes of a span.
    pub fn fields(&self, name: &str) -> BTreeMap<String, String> {
        texts(&self.span(name).attributes)
    }

    /// The names from a span up to that without a parent.
    pub fn path(&self, name: &str) -> Vec<&str> {
        let parent = |span: &&Span| self.spans.iter().find(|s| s.span_id == span.parent_span_id);
        std::iter::successors(Some(self.span(name)), parent).map(|s| s.name.as_str()).collect()
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |kv: &KeyValue| match kv.value.clone().and_then(|v| v.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|kv| (kv.key.clone(), text(kv))).collect()
}

/// Does something with our subscriber, as quiet as it gets, and gives what a collector then has been sent of it.
pub(crate) fn collect(work: impl Future<Output = ()>) -> Collected {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let received = Received::default();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    runtime.spawn(serve(listener, Arc::clone(&received)));
    let traces = Traces::begin(&endpoint, runtime.handle()).unwrap();
    runtime.block_on(work.with_subscriber(subscriber("off", LogFormat::Text, Some(&traces)).0));
    traces.end();
    let received = std::mem::take(&mut *received.lock().unwrap());
    let (paths, messages): (Vec<_>, Vec<_>) = received.into_iter().unzip();
    let senders: Vec<_> = messages.into_iter().flat_map(|message| message.resource_spans).collect();
    Collected {
        paths,
        resource: senders.iter().filter_map(|s| s.resource.as_ref()).flat_map(|r| texts(&r.attributes)).collect(),
        spans: senders.into_iter().flat_map(|s| s.scope_spans).flat_map(|s| s.spans).collect(),
    }
}

async fn serve(listener: TcpListener, received: Received) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let received = Arc::clone(&received);
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await?.to_bytes();
                received.lock().unwrap().push((path, ExportTraceServiceRequest::decode(body).unwrap()));
                let mut answer = Response::new(String::new());
                *answer.status_mut() = StatusCode::OK;
                Ok::<_, hyper::Error>(answer)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
