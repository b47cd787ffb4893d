//! `run`: the controller as a process.

use super::Outcome;
use crate::controller::leader::Election;
use crate::controller::{self, Config};
use crate::metrics::Metrics;
use crate::pipeline::{Package, RELEASE};
use crate::server::{self, Ready};
use crate::telemetry::{self, LogFormat, Traces};
use anyhow::Context;
use clap::Args;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::util::MapRequestLayer;

#[derive(Args)]
pub(super) struct RunArgs {
    /// Watch IstioOperator resources of these namespaces only, separated by commas; empty for all.
    #[arg(long, env = "WATCH_NAMESPACE", default_value = "")]
    watch_namespace: String,
    /// Work on resources of this revision only.
    #[arg(long, env = "REVISION", default_value = "")]
    revision: String,
    /// Elect a leader by a Lease in this namespace; empty for none.
    #[arg(long, env = "LEADER_ELECTION_NAMESPACE", default_value = "")]
    leader_election_namespace: String,
    /// What tells this operator from others in the election.
    #[arg(long, env = "POD_NAME", default_value = "")]
    pod_name: String,
    /// How long a leader may fail to renew its Lease, such as 10s; others wait twice as long.
    #[arg(long, env = "RENEW_DEADLINE", default_value = "10s", value_parser = parse_duration)]
    renew_deadline: Duration,
    /// How many resources are worked on at once.
    #[arg(long, default_value_t = 8)]
    max_concurrent_reconciles: u16,
    /// How many requests a second the API server is asked at most.
    #[arg(long, default_value_t = 200)]
    kube_api_qps: u32,
    /// How many requests are under way at once at most; a watch that has begun does not count.
    #[arg(long, default_value_t = 32)]
    kube_api_in_flight: u16,
    /// How long a connection to the API server may be silent before it counts as lost.
    #[arg(long, default_value = "90s", value_parser = parse_duration)]
    max_silence: Duration,
    /// Where /healthz, /readyz and /metrics listen.
    #[arg(long, default_value = "0.0.0.0")]
    monitoring_host: IpAddr,
    /// The port of the same; 0 for any.
    #[arg(long, default_value_t = 8383)]
    monitoring_port: u16,
    /// error, warn, info, debug, trace, or a filter such as info,istio_operator=debug.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// How logs are written.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// The OpenTelemetry collector that traces are sent to (OTLP over HTTP), such as
    /// http://collector:4318; empty for none.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "")]
    otlp_endpoint: String,
    /// The same with its path, where that is not /v1/traces.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default_value = "")]
    otlp_traces_endpoint: String,
}

impl RunArgs {
    /// Where traces go.
    fn traces_endpoint(&self) -> Option<String> {
        match (self.otlp_traces_endpoint.as_str(), self.otlp_endpoint.trim_end_matches('/')) {
            ("", "") => None,
            ("", base) => Some(format!("{base}/v1/traces")),
            (whole, _) => Some(whole.to_owned()),
        }
    }
}

/// Has the allocator give back at once what is freed, instead of keeping some of it for a busy time to come: after hundreds of
/// resources that is more than half of what the operator would hold. It reads its environment when the process begins, so
/// the process begins once more, as itself.
fn begin_frugally() {
    const SETTING: &str = "MIMALLOC_PURGE_DELAY";
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // Only when it fails does this return, and then it goes on as it is.
    let error = command.args(arguments).env(SETTING, "0").exec();
    eprintln!("warning: cannot set {SETTING}: {error}");
}

pub(super) fn run(args: &RunArgs) -> Outcome {
    begin_frugally();
    // Few threads that stay, so that what one has freed is used again: rendering is all that computes for long.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .thread_keep_alive(Duration::from_hours(24))
        .enable_all()
        .build()?;
    let traces = args.traces_endpoint().map(|endpoint| Traces::begin(&endpoint, runtime.handle()));
    let traces = traces.transpose().context("send traces (see --otlp-endpoint)")?;
    telemetry::start(&args.log_level, args.log_format, traces.as_ref());
    let served = runtime.block_on(serve(args));
    // After the Lease has been released, so that who follows does not wait.
    if let Some(traces) = traces {
        traces.end();
    }
    served.map(|()| 0)
}

async fn serve(args: &RunArgs) -> anyhow::Result<()> {
    let namespaces: Vec<String> =
        args.watch_namespace.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let config = Config {
        namespaces,
        revision: Some(args.revision.clone()).filter(|r| !r.is_empty()),
        concurrency: args.max_concurrent_reconciles,
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?config, "starting");
    let ready = Ready::default();
    let address = SocketAddr::new(args.monitoring_host, args.monitoring_port);
    let metrics = Arc::new(Metrics::new(RELEASE, &args.revision));
    let (address, serving) = server::listen(address, Arc::clone(&metrics), ready.clone())
        .await
        .with_context(|| format!("listen on {address} (see --monitoring-port)"))?;
    tracing::info!(%address, "serving /healthz, /readyz and /metrics");
    tokio::spawn(serving);

    let mut kube_config = kube::Config::infer().await.context("find a cluster (KUBECONFIG, or in a pod)")?;
    // A connection whose other end has vanished is silent for ever. A watch that lives has a bookmark each minute, a
    // request an answer within as much.
    kube_config.read_timeout = Some(args.max_silence);
    kube_config.reset_reader_on_write = true;
    let counting = Arc::clone(&metrics);
    let counted = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        counting.count("api_request", [("verb", verb(&request))]);
        request
    });
    let client = kube::client::ClientBuilder::try_from(kube_config)?
        .with_layer(&counted)
        .with_layer(&ConcurrencyLimitLayer::new(args.kube_api_in_flight.max(1).into()))
        .with_layer(&RateLimitLayer::new(args.kube_api_qps.max(1).into(), Duration::from_secs(1)))
        .build();
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone()));
    let Some(mut election) = election(args, client.clone()) else {
        return work(client, config, metrics, ready, stop).await;
    };
    // Standing by is what this one is asked to do.
    ready.set();
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = election.acquire() => tracing::info!("leading"),
    }
    let worked = tokio::select! {
        worked = work(client, config, metrics, ready, stop.clone()) => worked,
        () = election.hold() => {
            // Requests under way are dropped with the work; a new process stands by.
            tracing::warn!("the lease is lost; another operator leads now, ending");
            return Ok(());
        }
        () = grace(&stop) => {
            tracing::warn!("passes under way take too long, leaving them");
            Ok(())
        }
    };
    election.release().await;
    worked
}

/// Ends a while after the order to stop: who follows should not wait for a slow API server.
async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

async fn work(
    client: kube::Client,
    config: Config,
    metrics: Arc<Metrics>,
    ready: Ready,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let package = Package::embedded()?;
    controller::run(client, config, package, metrics, stop, || {
        ready.set();
        tracing::info!("ready");
    })
    .await?;
    tracing::info!("stopped");
    Ok(())
}

/// What a request asks for, as the API server's own metrics call it.
fn verb(request: &http::Request<kube::client::Body>) -> &'static str {
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

/// The election to win before working, where one is asked for. The Lease is named as upstream's lock.
fn election(args: &RunArgs, client: kube::Client) -> Option<Election> {
    let namespace = Some(args.leader_election_namespace.as_str()).filter(|n| !n.is_empty())?;
    let name = match args.revision.as_str() {
        "" => "istio-operator-lock".to_owned(),
        revision => format!("istio-operator-lock-{revision}"),
    };
    let identity = match args.pod_name.as_str() {
        "" => format!("istio-operator-{}", std::process::id()),
        pod => pod.to_owned(),
    };
    Some(Election::new(client, namespace, name, identity, args.renew_deadline))
}

/// A duration in Go's form with whole units: `10s`, `1m30s`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 10s or 1m30s");
    let (mut total, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(wrong()),
        };
        total += std::mem::take(&mut digits).parse::<u64>().map_err(|_| wrong())? * unit;
    }
    if digits.is_empty() && total > 0 { Ok(Duration::from_secs(total)) } else { Err(wrong()) }
}

async fn cancel_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
}
