//! `run`: the controller as a process.

use super::Outcome;
use crate::controller::{self, Config};
use crate::metrics::Metrics;
use crate::pipeline::Package;
use crate::server::{self, Ready};
use crate::telemetry::{self, LogFormat};
use anyhow::Context;
use clap::Args;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub(super) struct RunArgs {
    /// Watch IstioOperator resources of these namespaces only, separated by commas; empty for all.
    #[arg(long, env = "WATCH_NAMESPACE", default_value = "")]
    watch_namespace: String,
    /// Work on resources of this revision only.
    #[arg(long, env = "REVISION", default_value = "")]
    revision: String,
    /// How many resources are worked on at once.
    #[arg(long, default_value_t = 8)]
    max_concurrent_reconciles: u16,
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
}

pub(super) fn run(args: &RunArgs) -> Outcome {
    telemetry::start(&args.log_level, args.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(args))?;
    Ok(0)
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
    let metrics = Arc::new(Metrics::default());
    let (address, serving) = server::listen(address, Arc::clone(&metrics), ready.clone())
        .await
        .with_context(|| format!("listen on {address} (see --monitoring-port)"))?;
    tracing::info!(%address, "serving /healthz, /readyz and /metrics");
    tokio::spawn(serving);

    let mut kube_config = kube::Config::infer().await.context("find a cluster (KUBECONFIG, or in a pod)")?;
    // A watch may be silent for minutes; the API server ends it in time.
    kube_config.read_timeout = None;
    let client = kube::Client::try_from(kube_config)?;
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone()));
    controller::run(client, config, Package::embedded()?, metrics, stop, || {
        ready.set();
        tracing::info!("ready");
    })
    .await?;
    tracing::info!("stopped");
    Ok(())
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
