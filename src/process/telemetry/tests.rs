use super::otlp::transport;
use super::testing::collect;
use super::{LogFormat, Traces, TracesError, subscriber};
use http::Request;
use opentelemetry_http::{Bytes, HttpClient};
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tracing::Instrument;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// An address that nothing listens on.
fn nowhere() -> String {
    format!("http://{}/v1/traces", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn spans_are_sent_with_their_fields_and_parents_however_quiet_logs_are() {
    let collected = collect(async {
        async {
            tracing::info!(status = "HEALTHY", "status");
            tracing::debug!("a detail");
            tracing::debug_span!("build", generation = 3).in_scope(|| {});
            tracing::info_span!(target: "kube_runtime::controller", "reconciling object").in_scope(|| {});
        }
        .instrument(tracing::info_span!("reconcile", namespace = "ns", name = "demo"))
        .await;
    });
    assert_eq!(collected.paths, ["/v1/traces"], "one request for all of it");
    let names: Vec<_> = collected.spans.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["build", "reconcile"], "those of this crate");
    assert_eq!(collected.path("build"), ["build", "reconcile"]);
    assert_eq!(collected.fields("build")["generation"], "3");
    let fields = collected.fields("reconcile");
    assert_eq!((fields["namespace"].as_str(), fields["name"].as_str()), ("ns", "demo"));
    let events: Vec<_> = collected.span("reconcile").events.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(events, ["status"], "what is logged in a reconcile is part of it, details are not");
}

#[test]
fn the_service_is_named() {
    let collected = collect(async { tracing::info_span!("reconcile").in_scope(|| {}) });
    let of = |key: &str| collected.resource[key].as_str();
    assert_eq!(of("service.name"), "istio-operator");
    assert_eq!(of("service.version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(of("telemetry.sdk.language"), "rust");
}

#[test]
fn a_collector_that_is_away_or_silent_holds_up_neither_work_nor_the_end() {
    // Accepts connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for endpoint in [nowhere(), format!("http://{}/v1/traces", silent.local_addr().unwrap())] {
        let runtime = runtime();
        let traces = Traces::begin(&endpoint, runtime.handle()).unwrap();
        let begun = Instant::now();
        tracing::subscriber::with_default(subscriber("error", LogFormat::Text, Some(&traces)).0, || {
            // More than the queue takes.
            for _ in 0..10_000 {
                tracing::info_span!("reconcile").in_scope(|| {});
            }
            assert!(begun.elapsed() < Duration::from_secs(3), "{endpoint}: work took {:?}", begun.elapsed());
            let ending = Instant::now();
            traces.end();
            assert!(ending.elapsed() < Duration::from_secs(2), "{endpoint}: the end took {:?}", ending.elapsed());
        });
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_collector_that_is_away_is_warned_of_once_and_with_the_reason() {
    let (runtime, logged) = (runtime(), Logged::default());
    let writer = logged.clone();
    let logs = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let endpoint = nowhere();
    let transport = transport(&endpoint, runtime.handle()).unwrap();
    let asking = async {
        for _ in 0..3 {
            let request = Request::post(&endpoint).body(Bytes::new()).unwrap();
            assert!(transport.send_bytes(request).await.is_err());
        }
    };
    runtime.block_on(asking.with_subscriber(tracing_subscriber::registry().with(logs)));
    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().filter(|l| l.contains("WARN")).count(), 1, "{text}");
    assert!(text.contains("127.0.0.1") && text.to_lowercase().contains("refused"), "{text}");
}

#[test]
fn what_is_no_url_is_refused() {
    let runtime = runtime();
    for wrong in ["collector:4317", "ftp://collector", "http://", "/v1/traces", "a b"] {
        let refused = Traces::begin(wrong, runtime.handle()).err();
        assert!(matches!(&refused, Some(TracesError::Endpoint(named)) if named == wrong), "{wrong}: {refused:?}");
    }
}

#[test]
fn a_word_that_is_no_level_is_refused_with_those_there_are() {
    for level in ["info", "DEBUG", "off", "info,istio_operator=debug", "istio_operator=trace", ""] {
        assert!(super::checked(level).is_ok(), "{level}");
    }
    for level in ["foo", "inof", "info,=x=y"] {
        let refused = super::checked(level).unwrap_err();
        assert!(refused.contains("error, warn, info, debug, trace, off"), "{refused}");
    }
}
