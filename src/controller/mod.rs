//! The controller: one queue of IstioOperator resources, fed by their own changes and by those of the objects they own.
//!
//! Level-triggered: a pass looks at the resource and at the cluster, does what can be done now, and returns. It never sleeps
//! and never waits for readiness; the watches bring it back. Any number of resources are worked on at once, each by one pass
//! at a time. A crash at any point loses nothing but the pass.

mod cleanup;
pub mod index;
pub mod leader;
mod reconcile;

use crate::cluster::{Cluster, owner_resource};
use crate::metrics::Metrics;
use crate::object::ObjectKey;
use crate::observe::Readiness;
use crate::pipeline::{ClusterFacts, Package};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use index::{Index, OwnerId};
use kube::Client;
use kube::runtime::controller;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How the controller is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespaces whose IstioOperator resources are watched; empty for all.
    pub namespaces: Vec<String>,
    /// Only resources of this revision are worked on; `None` for all.
    pub revision: Option<String>,
    /// How many resources are worked on at once.
    pub concurrency: u16,
}

/// What was last seen of an object that equalled what was desired.
struct Seen {
    digest: u64,
    resource_version: String,
    readiness: Readiness,
}

/// What is remembered of a resource between passes: only what saves requests. Losing it costs reads, never writes.
#[derive(Default)]
struct Memory {
    /// The resource all this is of; another of the same name starts anew.
    uid: String,
    /// The status as last written: what the watch shows may be older.
    reported: Option<Value>,
    objects: HashMap<ObjectKey, Seen>,
    failures: u32,
}

/// What every pass needs.
pub struct Context {
    cluster: Cluster,
    index: Index,
    facts: ClusterFacts,
    package: Arc<Package>,
    config: Config,
    metrics: Arc<Metrics>,
    memories: Mutex<HashMap<OwnerId, Arc<tokio::sync::Mutex<Memory>>>>,
}

impl Context {
    fn memory(&self, id: &OwnerId) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut all = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id.clone()).or_default())
    }

    fn forget(&self, id: &OwnerId) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The API server cannot be asked what it is.
    #[error("cannot reach the API server: {0}")]
    Unreachable(#[from] Box<kube::Error>),
    /// The built-in or given charts are broken.
    #[error(transparent)]
    Package(#[from] crate::pipeline::PipelineError),
}

/// Runs until it is told to stop; passes under way are finished first. `ready` is called once everything is watched.
///
/// # Errors
/// Only at the start: the API server cannot be reached, or the charts are broken.
pub async fn run(
    client: Client,
    config: Config,
    package: Package,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let cluster = Cluster::new(client.clone());
    let version = client.apiserver_version().await.map_err(Box::new)?;
    tracing::info!(kubernetes = version.git_version, "connected");
    let facts = ClusterFacts { version: Some((version.git_version, version.major, version.minor)) };
    let (index, changes) = Index::new(cluster.clone());
    index.start().await;

    let namespaces = match config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let concurrency = config.concurrency;
    let memories = Mutex::default();
    let context = Arc::new(Context { cluster, index, facts, package: Arc::new(package), config, metrics, memories });
    let (mut inboxes, mut workers) = (vec![], vec![]);
    for namespace in namespaces {
        let (inbox, children) = mpsc::unbounded_channel();
        inboxes.push((namespace.clone(), inbox));
        workers.push(work(Arc::clone(&context), namespace, children, concurrency, stop.clone()));
    }
    ready();
    tokio::select! {
        () = distribute(changes, inboxes) => {}
        _ = futures::future::join_all(workers) => {}
    }
    Ok(())
}

/// Hands changes of owned objects to the worker of their owner's namespace.
async fn distribute(
    mut changes: mpsc::UnboundedReceiver<OwnerId>,
    inboxes: Vec<(Option<String>, mpsc::UnboundedSender<OwnerId>)>,
) {
    while let Some(owner) = changes.recv().await {
        for (_, inbox) in inboxes.iter().filter(|(n, _)| n.as_ref().is_none_or(|n| *n == owner.0)) {
            // A worker that is gone has nothing left to do.
            let _ = inbox.send(owner.clone());
        }
    }
}

/// Works on the resources of one namespace, or of all.
async fn work(
    context: Arc<Context>,
    namespace: Option<String>,
    children: mpsc::UnboundedReceiver<OwnerId>,
    concurrency: u16,
    stop: CancellationToken,
) {
    let resource = owner_resource();
    let writer = Writer::new(resource.clone());
    let store = writer.as_reader();
    let api = context.cluster.owners(namespace.as_deref());
    let changed = predicates::generation.combine(predicates::annotations).combine(predicates::finalizers);
    let reference = resource.clone();
    let own = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .touched_objects()
        .predicate_filter(changed, PredicateConfig::default())
        .map_ok(move |object| ObjectRef::from_obj_with(&object, reference.clone()));
    let children = stream::unfold(children, |mut children| async { children.recv().await.map(|c| (c, children)) })
        .map(move |(namespace, name)| Ok(ObjectRef::new_with(&name, resource.clone()).within(&namespace)));
    let queue = stream::select(own, children).take_until(stop.cancelled_owned()).boxed();
    let config = controller::Config::default().concurrency(concurrency);
    controller::applier(
        |object, context| reconcile::reconcile(object, context).boxed(),
        reconcile::retry,
        context,
        store,
        queue,
        config,
    )
    .for_each(|result| async move {
        match result {
            // The pass itself has said what failed; an object that is gone needs nothing.
            Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
            Err(error) => tracing::warn!(%error, "watching IstioOperator resources"),
        }
    })
    .await;
}
