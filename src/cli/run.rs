//! `run`: the controller as a process.
//!
//! It starts the [`SignalThread`] first, since every way to stop depends on it, and only then does what may block.

use super::duration::{self, Written};
use super::input::Outcome;
use super::run_packages::RunPackageArgs;
use super::signals::SignalThread;
use crate::cluster::connect::{self, Verb, Way};
use crate::cluster::fence::Fence;
use crate::cluster::outage::{Outage, is_unreachable};
use crate::cluster::{brief, owner_resource};
use crate::controller::reach::Privileged;
use crate::controller::{self, Config};
use crate::install::{Options, RepairLimits};
use crate::process::health::{Health, Ready};
use crate::process::leader::{Election, ElectionContext};
use crate::process::metrics::Metrics;
use crate::process::server::{self, Shown};
use crate::process::telemetry::{self, LogFormat, LogLevel, Traces};
use crate::release::{Package, RELEASE};
use anyhow::Context;
use clap::Args;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use ring::rand::SecureRandom;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long reconciles under way may go on after the order to stop: who follows should not wait for a slow API server.
const GRACE: Duration = Duration::from_millis(1200);
/// How long the Lease may take to be given up then.
const RELEASE_WITHIN: Duration = Duration::from_millis(1200);
/// How long threads may take that compute, or wait for a name to be resolved.
const THREADS_WITHIN: Duration = Duration::from_millis(500);
/// How often the runtime says that it turns, and how long it may be silent.
const TICK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(2));

#[derive(Args)]
pub(super) struct RunArgs {
    /// Namespaces to watch for IstioOperator resources, separated by commas; empty or * for all. Whoever may write an
    /// IstioOperator resource there installs with the permissions of the operator.
    #[arg(long, env = "WATCH_NAMESPACE", default_value = "istio-system")]
    watch_namespace: String,
    /// Namespaces whose resources may install anything anywhere, separated by commas; * for all. Resources of other
    /// namespaces may install only into their own namespace.
    #[arg(long, env = "PRIVILEGED_NAMESPACES", default_value = "istio-system")]
    privileged_namespaces: String,
    /// Reconcile only resources of this revision.
    #[arg(long, env = "REVISION", default_value = "")]
    revision: String,
    /// Namespace of the Lease for leader election; empty for no leader election.
    #[arg(long, env = "LEADER_ELECTION_NAMESPACE", default_value = "", hide_short_help = true)]
    leader_election_namespace: String,
    /// Identity of this operator in the leader election; generated if empty.
    #[arg(long, env = "POD_NAME", default_value = "", hide_short_help = true)]
    pod_name: String,
    /// How long the leader may fail to renew its Lease before it gives up, such as 10s; the others wait twice as long.
    #[arg(long, env = "RENEW_DEADLINE", default_value = "10s", value_parser = renew_deadline, hide_short_help = true)]
    renew_deadline: Duration,
    /// How often to check again what a resource waits for and no watch reports.
    #[arg(long, env = "RECHECK_INTERVAL", default_value_t = Written(Options::RECHECK_INTERVAL), value_parser = duration::parse_written, hide_short_help = true)]
    recheck_interval: Written,
    /// How long the deletion of a resource waits while its control plane is in use; after that it is deleted anyway.
    #[arg(long, env = "DELETION_HOLD", default_value = "24h", value_parser = duration::parse)]
    deletion_hold: Duration,
    /// How long the deletion of a resource waits for objects that cannot be deleted, or do not go; after that they are left behind.
    #[arg(long, env = "DELETION_PATIENCE", default_value_t = Written(Config::DELETION_PATIENCE), value_parser = duration::parse_written, hide_short_help = true)]
    deletion_patience: Written,
    /// How long the old objects of a gateway or of the CNI agent are kept while the new ones do not become ready.
    #[arg(long, env = "PRUNE_PATIENCE", default_value_t = Written(Options::PRUNE_PATIENCE), value_parser = duration::parse_written, hide_short_help = true)]
    prune_patience: Written,
    /// How many times the same fields of an object are repaired without delay, before repairs are limited to one per
    /// --drift-repair-interval.
    #[arg(long, env = "DRIFT_REPAIR_BURST", default_value_t = RepairLimits::BURST, value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    drift_repair_burst: u32,
    /// Time between two repairs of the same fields of an object, after --drift-repair-burst repairs.
    #[arg(long, env = "DRIFT_REPAIR_INTERVAL", default_value_t = Written(RepairLimits::INTERVAL), value_parser = duration::parse_written, hide_short_help = true)]
    drift_repair_interval: Written,
    /// Maximum number of resources that are reconciled at the same time.
    #[arg(long, default_value_t = 8, hide_short_help = true)]
    max_concurrent_reconciles: u16,
    /// Maximum number of requests to the API server per second.
    #[arg(long, default_value_t = 200, hide_short_help = true)]
    kube_api_qps: u32,
    /// Maximum number of reads, and of writes, that are in flight at the same time; established watches do not count.
    #[arg(long, default_value_t = 32, hide_short_help = true)]
    kube_api_in_flight: u16,
    /// How long a connection to the API server may be silent before it is considered lost.
    #[arg(long, default_value = "90s", value_parser = duration::parse, hide_short_help = true)]
    max_silence: Duration,
    /// Address to listen on for /healthz, /readyz, /metrics, /log-level and /debug/state.
    #[arg(long, default_value = "0.0.0.0", hide_short_help = true)]
    monitoring_host: IpAddr,
    /// Port to listen on for these; 0 for any free port.
    #[arg(long, default_value_t = 8383, hide_short_help = true)]
    monitoring_port: u16,
    /// Log level: error, warn, info, debug, trace, or a filter such as info,istio_operator=debug.
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = telemetry::checked)]
    log_level: String,
    /// Log format.
    #[arg(long, value_enum, default_value_t, hide_short_help = true)]
    log_format: LogFormat,
    /// OpenTelemetry collector to send traces to (OTLP over HTTP), such as http://collector:4318; empty for none.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "", hide_short_help = true)]
    otlp_endpoint: String,
    /// The collector's URL with its path, if that is not /v1/traces.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default_value = "", hide_short_help = true)]
    otlp_traces_endpoint: String,
    #[command(flatten)]
    packages: RunPackageArgs,
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

pub(super) fn run(args: &RunArgs) -> Outcome {
    let signals = SignalThread::start().context("handle signals")?;
    // Few threads that stay, so that what one has freed is used again: rendering is all that computes for long.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .thread_keep_alive(Duration::from_hours(24))
        .enable_all()
        .build()?;
    let traces = args.traces_endpoint().map(|endpoint| Traces::begin(&endpoint, runtime.handle()));
    let traces = traces.transpose().context("send traces (see --otlp-endpoint)")?;
    let level = telemetry::start(&args.log_level, args.log_format, traces.as_ref());
    let served = runtime.block_on(serve(args, &signals, level));
    // After the Lease has been released, so that who follows does not wait.
    if let Some(traces) = traces {
        traces.end();
    }
    runtime.shutdown_timeout(THREADS_WITHIN);
    match served {
        // What failed because it was to stop has not failed.
        Err(error) if signals.stop().is_cancelled() => tracing::debug!(%error, "stopped"),
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    Ok(0)
}

/// What a process shows of itself.
struct Own {
    ready: Ready,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    /// What works, once something does.
    work: Arc<OnceLock<Weak<controller::Context>>>,
}

async fn serve(args: &RunArgs, signals: &SignalThread, level: LogLevel) -> anyhow::Result<()> {
    let config = Config {
        namespaces: list(&args.watch_namespace),
        revision: Some(args.revision.clone()).filter(|r| !r.is_empty()),
        concurrency: args.max_concurrent_reconciles,
        privileged: Privileged::new(&args.privileged_namespaces),
        packages: args.packages.config()?,
        recheck_interval: args.recheck_interval.0,
        deletion_hold: args.deletion_hold,
        deletion_patience: args.deletion_patience.0,
        prune_patience: args.prune_patience.0,
        repair_limits: RepairLimits { burst: args.drift_repair_burst, interval: args.drift_repair_interval.0 },
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?config, "starting");
    let metrics = Arc::new(Metrics::new(RELEASE, &args.revision));
    let own = Own { ready: Ready::default(), metrics, health: Arc::default(), work: Arc::default() };
    show(args, signals, &own, level).await?;
    tokio::spawn(tick(Arc::clone(&own.health)));
    let stop = signals.stop();
    let fence = Fence::default();
    own.ready.clear("looking for the API server");
    let Some(clients) = stop.run_until_cancelled(connect(args, &own, fence.clone())).await else {
        return Ok(());
    };
    let (client, for_election) = clients?;
    let election_context = ElectionContext {
        fence,
        ready: own.ready.clone(),
        health: Arc::clone(&own.health),
        metrics: Arc::clone(&own.metrics),
    };
    let Some(mut election) = election(args, for_election, election_context)? else {
        own.metrics.election.set_leader(true);
        return work(client, config, &own, stop).await;
    };
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = election.acquire() => tracing::info!("leading"),
    }
    let worked = tokio::select! {
        worked = work(client, config, &own, stop) => worked,
        () = election.hold() => {
            // Requests under way are dropped with the work; a new process stands by.
            tracing::warn!("the lease is lost; another operator leads now, ending");
            return Ok(());
        }
    };
    election.release(RELEASE_WITHIN).await;
    worked
}

/// Serves the monitoring port, beside the work.
async fn show(args: &RunArgs, signals: &SignalThread, own: &Own, level: LogLevel) -> anyhow::Result<()> {
    let log_level = Arc::new(move |new: Option<&str>| {
        if let Some(new) = new {
            level.set(new)?;
            tracing::info!(level = new, "the level of logs was changed");
        }
        Ok(level.get())
    });
    let work = Arc::clone(&own.work);
    let shown = Shown {
        metrics: Arc::clone(&own.metrics),
        ready: own.ready.clone(),
        health: Arc::clone(&own.health),
        log_level,
        state: Arc::new(move || Some(work.get()?.upgrade()?.state())),
    };
    let address = SocketAddr::new(args.monitoring_host, args.monitoring_port);
    let (address, serving) = signals
        .handle()
        .spawn(server::listen(address, shown))
        .await?
        .with_context(|| format!("listen on {address} (see --monitoring-port)"))?;
    tracing::info!(%address, "serving /healthz, /readyz and /metrics");
    signals.handle().spawn(serving);
    Ok(())
}

/// Says that the runtime turns.
async fn tick(health: Arc<Health>) {
    let (period, within) = TICK;
    loop {
        health.beat("the runtime", within);
        tokio::time::sleep(period).await;
    }
}

/// A client for the work and one for the election. A kubeconfig may name a program that says who we are: it is waited for on
/// a thread of its own.
async fn connect(args: &RunArgs, own: &Own, fence: Fence) -> anyhow::Result<(Client, Client)> {
    let (metrics, health) = (Arc::clone(&own.metrics), Arc::clone(&own.health));
    let count = move |verb: Verb| {
        metrics.client.requests.inc(verb);
        // Watches begin anew by themselves.
        if verb != Verb::Watch {
            health.work_done();
        }
    };
    let way = Way {
        count: Arc::new(count),
        in_flight: args.kube_api_in_flight.into(),
        per_second: args.kube_api_qps.into(),
        silence: args.max_silence,
        fence,
        outage: Outage::default(),
    };
    let clients = tokio::task::spawn_blocking(move || {
        let config = tokio::runtime::Handle::current().block_on(connect::find())?;
        Ok((connect::for_work(config.clone(), &way)?, connect::for_election(config, &way)?))
    });
    clients.await?
}

async fn work(client: Client, config: Config, own: &Own, stop: CancellationToken) -> anyhow::Result<()> {
    let package = Package::embedded()?;
    let ready = |context: &Arc<controller::Context>| {
        let _ = own.work.set(Arc::downgrade(context));
        own.ready.set();
        tracing::info!("ready");
    };
    let shown = (Arc::clone(&own.metrics), Arc::clone(&own.health));
    let missing = name_what_is_missing(client.clone(), config.namespaces.clone(), own.ready.clone());
    tokio::select! {
        worked = controller::run(client, config, package, shown, stop.clone(), ready) => worked?,
        () = grace(&stop) => tracing::warn!("what is under way takes too long, leaving it"),
        never = missing => match never {},
    }
    tracing::info!("stopped");
    Ok(())
}

/// Ends a while after the order to stop.
async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Says at `/readyz` what keeps the operator from working, until nothing does. Never ends.
async fn name_what_is_missing(client: Client, namespaces: Vec<String>, ready: Ready) -> Infallible {
    const PERIOD: Duration = Duration::from_secs(3);
    let resource = owner_resource();
    let namespace = namespaces.into_iter().next();
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    while ready.missing().is_some() {
        let listed = api.list_metadata(&ListParams::default().limit(1)).await;
        ready.want(&match listed {
            Ok(_) => "reading what exists in the cluster".to_owned(),
            Err(kube::Error::Api(status)) if status.code == 404 => controller::RunError::Undefined.to_string(),
            Err(kube::Error::Api(status)) => format!("cannot list IstioOperator resources: {}", status.message),
            Err(error) if is_unreachable(&error) => brief(&error),
            Err(error) => format!("cannot list IstioOperator resources: {}", brief(&error)),
        });
        tokio::time::sleep(PERIOD).await;
    }
    std::future::pending().await
}

/// Names separated by commas; none of them, or `*`, are all.
fn list(text: &str) -> Vec<String> {
    let names: Vec<String> = text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    if names.iter().any(|name| name == "*") { vec![] } else { names }
}

/// The election to win before working, where one is asked for. The Lease is named as upstream's lock.
fn election(args: &RunArgs, client: Client, election_context: ElectionContext) -> anyhow::Result<Option<Election>> {
    let Some(namespace) = Some(args.leader_election_namespace.as_str()).filter(|n| !n.is_empty()) else {
        return Ok(None);
    };
    let name = match args.revision.as_str() {
        "" => "istio-operator-lock".to_owned(),
        revision => format!("istio-operator-lock-{revision}"),
    };
    let identity = match args.pod_name.as_str() {
        "" => made_up_identity()?,
        pod => pod.to_owned(),
    };
    tracing::info!(lease = name, identity, "electing a leader");
    Ok(Some(Election::new(client, namespace, name, identity, args.renew_deadline, election_context)))
}

/// A name that no other process has: all are process 1 in their containers, and all may have the same host name.
pub(super) fn made_up_identity() -> anyhow::Result<String> {
    let mut random = [0_u8; 8];
    ring::rand::SystemRandom::new().fill(&mut random).map_err(|_| anyhow::anyhow!("there is no randomness"))?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|h| !h.is_empty()).unwrap_or("istio-operator");
    Ok(format!("{host}-{:016x}", u64::from_ne_bytes(random)))
}

/// A deadline that can be kept.
fn renew_deadline(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(100);
    match duration::parse(text)? {
        short if short < SHORTEST => Err(format!("{text:?} is too short, {SHORTEST:?} is the least")),
        deadline => Ok(deadline),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_processes_make_up_the_same_identity() {
        let [one, other] = [(); 2].map(|()| made_up_identity().unwrap());
        assert_ne!(one, other);
        assert!(!one.contains(char::is_whitespace) && !one.contains(&format!("-{}", std::process::id())), "{one}");
    }

    #[test]
    fn no_namespace_and_a_star_are_all_namespaces() {
        assert_eq!(list(" a, b ,,"), ["a", "b"]);
        for all in ["", " ", "*", "a,*"] {
            assert_eq!(list(all), Vec::<String>::new(), "{all:?}");
        }
    }

    #[test]
    fn a_deadline_that_cannot_be_kept_is_refused() {
        assert_eq!(renew_deadline("500ms"), Ok(Duration::from_millis(500)));
        assert!(renew_deadline("1ms").is_err_and(|e| e.contains("too short")));
    }
}
