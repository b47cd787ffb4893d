//! The controller: a queue of IstioOperator resources, fed by changes of the resources and of the objects they own.
//!
//! ```text
//! watches → queue → reconcile: spec → manifests → plan → apply → status
//!                              deleted: what is left → delete → finalizer removed
//! ```
//!
//! Level-triggered: a reconcile reads the resource and the cluster, does what can be done now, and returns. It never sleeps
//! and never waits for readiness; the watches trigger the next one. Resources are reconciled concurrently, each by one
//! reconcile at a time. A crash at any point loses nothing but the reconciles under way.
//!
//! | module | what it does |
//! |---|---|
//! | `start`, `worker` | what has to be known before the first reconcile; the queue of a namespace |
//! | `reconciler`, `reconcile` | the steps of a reconcile in their order; the data they share |
//! | `packages` | which release package a resource gets, and opening it |
//! | `preparation` | spec → manifests → plan |
//! | `error`, `retry` | why a reconcile failed, and when it is tried again |
//! | `engine` | connects the install engine to the watch cache, ownership and metrics |
//! | `outcome`, `status` | outcome of a plan → status |
//! | `status_writer`, `events` | write the status, and events for its transitions |
//! | `statuses` | notices a status that somebody else wrote |
//! | `cleanup`, `deletion`, `finalizer` | the deletion of a resource, how far it has got, and its end |
//! | `orphans` | resources deleted with `--cascade=orphan` |
//! | `held`, `tags` | control planes and revision tags that are kept since they are in use |
//! | `usage`, `unused` | who uses a revision; what happens when nobody does |
//! | `ownership` | which resources want which objects, and who owns an object |
//! | `context`, `reconcile_state` | what every reconcile needs; what is remembered of a resource between reconciles |
//! | `index`, `watch_health` | the watch cache: the metadata of all managed objects, and whether it can be relied on |
//! | `queue`, `unready` | which resources wait to be reconciled, and how many are not ready |
//! | `cluster_version` | the version of the API server |
//! | `build_metrics` | metrics of rendering |
//! | `debug_state` | a dump of the state, as JSON, for troubleshooting |
//! | `rbac` | the ClusterRole of the operator |
//! | `reach` | what a resource may install, and where |

mod build_metrics;
mod cleanup;
mod cluster_version;
mod context;
mod debug_state;
mod deletion;
mod engine;
mod error;
mod events;
mod finalizer;
mod held;
pub mod index;
mod merge_patch;
mod orphans;
mod outcome;
pub mod ownership;
pub mod packages;
mod preparation;
mod queue;
pub mod rbac;
pub mod reach;
mod reconcile;
mod reconcile_state;
mod reconciler;
mod retry;
mod start;
pub mod status;
mod status_writer;
mod statuses;
mod tags;
mod unready;
mod unused;
mod usage;
mod watch_health;
mod worker;

pub use context::{Config, Context};
pub use error::RunError;
pub use finalizer::take_finalizer;
pub use usage::{
    GATEWAY, InUse, PROXY_LABEL, RUNNING, Said, is_of, points_to, said_by, users_of, users_of_plane, users_of_tag,
};

use crate::process::health::Health;
use crate::process::metrics::Metrics;
use crate::release::Package;
use kube::Client;
use orphans::Orphans;
use packages::Packages;
use queue::Queue;
use start::Started;
use statuses::Statuses;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use unready::Unready;

/// Runs until it is told to stop; reconciles under way are finished first. `ready` is called once everything is watched, with
/// what there is to show; until the API server answers and IstioOperator is defined, that is tried again and again.
///
/// # Errors
/// Only when it is told to stop before that, or the charts are broken.
pub async fn run(
    client: Client,
    config: Config,
    package: Package,
    (metrics, health): (Arc<Metrics>, Arc<Health>),
    stop: CancellationToken,
    ready: impl FnOnce(&Arc<Context>),
) -> Result<(), RunError> {
    let namespaces = match config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let Some(started) = start::start(client, &namespaces, &config, &metrics, &stop).await else { return Ok(()) };
    let Started { cluster, version, ownership, unread, index, changes, users } = started;
    let context = Arc::new(Context {
        cluster,
        index,
        users,
        ownership,
        cluster_info: version,
        packages: Packages::new(package, config.packages.clone()),
        config,
        queue: Queue::new(Arc::clone(&metrics), health),
        metrics,
        memories: Mutex::default(),
        statuses: Statuses::default(),
        unready: Unready::default(),
        orphans: Orphans::default(),
        unread: Mutex::new(unread),
        started: Instant::now(),
    });
    let (mut inboxes, mut workers) = (vec![], vec![]);
    for namespace in namespaces {
        let (inbox, children) = mpsc::unbounded_channel();
        inboxes.push((namespace.clone(), inbox));
        workers.push(worker::work(Arc::clone(&context), namespace, children, stop.clone()));
    }
    ready(&context);
    tokio::select! {
        () = worker::distribute(changes, inboxes) => {}
        _ = futures::future::join_all(workers) => {}
    }
    Ok(())
}
