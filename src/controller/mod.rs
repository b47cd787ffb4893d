//! The controller: one queue of IstioOperator resources, fed by their own changes and by those of the objects they own.
//!
//! ```text
//! watches → queue → reconcile: spec → manifests → plan → apply → status
//!                              deleted: what is left → delete → finalizer removed
//! ```
//!
//! Level-triggered: a reconcile looks at the resource and at the cluster, does what can be done now, and returns. It never
//! sleeps and never waits for readiness; the watches bring it back. Any number of resources are worked on at once, each by one
//! reconcile at a time. A crash at any point loses nothing but the reconcile.
//!
//! | module | what it does |
//! |---|---|
//! | `reconcile` | from a resource to its status |
//! | `engine` | the install engine with the watches, other resources and metrics around it |
//! | `outcome`, `status` | what came of a plan → the status |
//! | `status_writer`, `events` | writes the status, and tells of its transitions |
//! | `statuses` | notices a status that somebody else wrote |
//! | `cleanup` | the deletion of a resource |
//! | `held`, `tags` | control planes and revision tags that stay since they are in use |
//! | `usage` | who still needs a revision |
//! | `ownership` | which resources want which objects, and whose an object is |
//! | `reconcile_state` | what is remembered of a resource between reconciles |
//! | `index`, `watch_health` | the metadata of all managed objects, one watch per kind, and whether it can be relied on |
//! | `queue`, `unready` | which resources wait to be reconciled, and which are not ready |
//! | `cluster_version` | the version of the API server |
//! | `build_metrics` | what metrics count of specs |
//! | `debug_state` | all that is held, as JSON, for whoever looks for a fault |
//! | `rbac` | the ClusterRole that all this needs |
//! | `reach` | what a resource may install where |

mod build_metrics;
mod cleanup;
mod cluster_version;
mod debug_state;
mod engine;
mod events;
mod held;
pub mod index;
mod outcome;
pub mod ownership;
mod queue;
pub mod rbac;
pub mod reach;
mod reconcile;
mod reconcile_state;
pub mod status;
mod status_writer;
mod statuses;
mod tags;
mod unready;
mod usage;
mod watch_health;

use crate::api::INSTALLED_STATE;
use crate::api::status::InstallStatus;
use crate::cluster::outage::{is_caused_by_outage, is_watch_unreachable};
use crate::cluster::received::{ObservedResource, Received, Spec};
use crate::cluster::{Cluster, ClusterError, owner_resource};
pub use crate::install::RepairLimits;
use crate::object::ObjectKey;
use crate::object::OwnerId;
use crate::process::health::Health;
use crate::process::metrics::Metrics;
use crate::process::metrics::labels::{ReadError, Trigger};
use crate::release::Package;
use cluster_version::ClusterVersion;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use index::Index;
use kube::api::ListParams;
use kube::runtime::controller;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::{Store, Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use kube::{Client, ResourceExt};
use ownership::{Ownership, Wants};
use queue::Queue;
use reconcile_state::{ReconcileState, inventory_of};
use statuses::{Statuses, version_of};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use unready::Unready;
use usage::Users;

/// How the controller is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespaces whose IstioOperator resources are watched; empty for all.
    pub namespaces: Vec<String>,
    /// Only resources of this revision are worked on; `None` for all.
    pub revision: Option<String>,
    /// How many resources are worked on at once.
    pub concurrency: u16,
    /// Whose resources may reach beyond their own namespace.
    pub privileged: reach::Privileged,
    /// How soon what a resource waits for is looked at again, where no watch tells.
    pub recheck_interval: Duration,
    /// How long the deletion of a resource is held back whose control plane is in use.
    pub deletion_hold: Duration,
    /// How often the same fields of an object are repaired.
    pub repair_limits: RepairLimits,
}

/// How many IstioOperator resources are read at once: the records among them are large.
const RESOURCES_PER_PAGE: u32 = 25;

/// What every reconcile needs.
pub struct Context {
    cluster: Cluster,
    index: Index,
    users: Users,
    ownership: Arc<Ownership>,
    facts: ClusterVersion,
    package: Arc<Package>,
    config: Config,
    metrics: Arc<Metrics>,
    memories: Mutex<HashMap<OwnerId, Arc<tokio::sync::Mutex<ReconcileState>>>>,
    statuses: Statuses,
    queue: Queue,
    unready: Unready,
    /// Resources of which it is not known yet what they want, and when that began to matter.
    unread: Mutex<BTreeSet<OwnerId>>,
    started: Instant,
    orphans: cleanup::Orphans,
}

impl Context {
    fn state_of(&self, id: &OwnerId) -> Arc<tokio::sync::Mutex<ReconcileState>> {
        let mut all = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id.clone()).or_default())
    }

    /// It is known now what a resource wants, or that it wants nothing.
    fn mark_read(&self, id: &OwnerId) {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Whether it is known of all resources what they want, so that what nobody wants can be told. One that is not looked at
    /// for long, for whatever reason, keeps nobody waiting for ever.
    fn is_all_read(&self) -> bool {
        const PATIENCE: Duration = Duration::from_mins(1);
        self.started.elapsed() > PATIENCE || self.unread.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A resource is gone: those who wanted the same can have it.
    fn forget(&self, id: &OwnerId) {
        self.mark_read(id);
        self.statuses.forget(id);
        if self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some() {
            self.metrics.reconciles.cache_flushes.inc();
        }
        self.unready.set(id, true);
        self.metrics.resources.set_ready(id, None);
        self.users.forget(id);
        self.orphans.forget(id);
        self.wake(self.ownership.set(id, None));
    }

    /// Has resources looked at that have gone, whoever let them: they change no more, and so no predicate lets them through.
    fn wake_gone(&self, event: &Event<ObservedResource>, namespace: Option<&str>, store: &Store<ObservedResource>) {
        match event {
            Event::Delete(resource) => {
                if !resource.name_any().starts_with(INSTALLED_STATE) {
                    self.metrics.reconciles.deletions.inc();
                    self.metrics.reconciles.requests.inc(Trigger::Delete);
                }
                self.index.wake(OwnerId::of(&resource.metadata));
            }
            // They may have gone while nobody watched.
            Event::InitDone => {
                let is_watched = |id: &OwnerId| namespace.is_none_or(|namespace| id.namespace == namespace);
                let reference = |id: &OwnerId| ObjectRef::new_with(&id.name, owner_resource()).within(&id.namespace);
                let known = self.ownership.known().into_iter().filter(is_watched);
                self.wake(known.filter(|id| store.get(&reference(id)).is_none()).collect());
            }
            _ => {}
        }
    }

    fn wake(&self, owners: BTreeSet<OwnerId>) {
        for owner in owners {
            self.index.wake(owner);
        }
    }
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The API server cannot be asked what it is.
    #[error("cannot reach the API server: {0}")]
    Unreachable(#[from] Box<kube::Error>),
    /// There is no CRD of IstioOperator.
    #[error(
        "IstioOperator is not defined in this cluster; define it: istio-operator crd | kubectl apply --server-side -f -"
    )]
    Undefined,
    /// What is installed cannot be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The built-in or given charts are broken.
    #[error(transparent)]
    Package(#[from] crate::release::ReleaseError),
}

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
    let cluster = Cluster::new(client.clone());
    let Some(version) = retry_until_ready(&stop, || client.apiserver_version()).await else { return Ok(()) };
    tracing::info!(kubernetes = version.git_version, "connected");
    let facts = ClusterVersion::new(version);
    let namespaces = match config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let ownership = Arc::new(Ownership::default());
    let Some(unread) =
        retry_until_ready(&stop, || load_wants(&cluster, &ownership, &namespaces, &config.privileged)).await
    else {
        return Ok(());
    };
    let (index, changes) = Index::new(cluster.clone(), Arc::clone(&ownership), Arc::clone(&metrics));
    index.watch_from_the_start();
    let users = Users::new(index.clone());
    users.watch(cluster.client());
    tokio::spawn(facts.clone().follow(cluster.clone(), index.clone()));
    let known = stop.run_until_cancelled(futures::future::join(index.complete(), users.tags_known())).await;
    let Some((blind, ())) = known else { return Ok(()) };
    for index::FailingWatch { api_version, kind, error, .. } in blind {
        tracing::warn!(api_version, kind, error, "beginning without knowing what there is of this kind");
    }

    let (concurrency, queue) = (config.concurrency, Queue::new(Arc::clone(&metrics), health));
    let context = Arc::new(Context {
        cluster,
        index,
        users,
        ownership,
        facts,
        package: Arc::new(package),
        config,
        metrics,
        memories: Mutex::default(),
        statuses: Statuses::default(),
        queue,
        unready: Unready::default(),
        orphans: cleanup::Orphans::default(),
        unread: Mutex::new(unread),
        started: Instant::now(),
    });
    let (mut inboxes, mut workers) = (vec![], vec![]);
    for namespace in namespaces {
        let (inbox, children) = mpsc::unbounded_channel();
        inboxes.push((namespace.clone(), inbox));
        workers.push(work(Arc::clone(&context), namespace, children, concurrency, stop.clone()));
    }
    ready(&context);
    tokio::select! {
        () = distribute(changes, inboxes) => {}
        _ = futures::future::join_all(workers) => {}
    }
    Ok(())
}

/// Asks until there is an answer, later each time; `None` when told to stop. Who starts while the API server is away does
/// not give up, for whoever starts it again after that waits longer; and an API server that has just started refuses what
/// it allows a moment later.
async fn retry_until_ready<T, E: std::error::Error + 'static, F: Future<Output = Result<T, E>>>(
    stop: &CancellationToken,
    ask: impl Fn() -> F,
) -> Option<T> {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(10);
    let mut pause = FIRST;
    loop {
        match stop.run_until_cancelled(ask()).await? {
            Ok(answer) => return Some(answer),
            Err(error) if is_caused_by_outage(&error) => {
                tracing::debug!(%error, ?pause, "cannot start yet, trying again");
            }
            Err(error) => tracing::warn!(%error, ?pause, "cannot start yet, trying again"),
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await?;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Before the first reconcile of any resource it has to be known what the others have, lest one deletes what another shares.
/// Returns the resources whose present spec has yet to be read.
async fn load_wants(
    cluster: &Cluster,
    ownership: &Ownership,
    namespaces: &[Option<String>],
    privileged: &reach::Privileged,
) -> Result<BTreeSet<OwnerId>, RunError> {
    let mut unread = BTreeSet::new();
    for namespace in namespaces {
        let mut page = ListParams::default().limit(RESOURCES_PER_PAGE);
        loop {
            let listed = cluster.owners(namespace.as_deref()).list(&page).await;
            let list = listed.map_err(|e| match ClusterError::of("list", &"IstioOperator resources", e) {
                // It may come later.
                error if error.is_absent() => RunError::Undefined,
                error => error.into(),
            })?;
            let items = list.items.into_iter().map(Received::into_observed);
            unread.extend(items.filter_map(|resource| load_wants_of(&resource, ownership, privileged)));
            match list.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => page = page.continue_token(&next),
                None => break,
            }
        }
    }
    Ok(unread)
}

/// Records what a resource is known to have. Returns it where it may want something.
fn load_wants_of(
    resource: &ObservedResource,
    ownership: &Ownership,
    privileged: &reach::Privileged,
) -> Option<OwnerId> {
    let status = serde_json::from_str(&resource.status).unwrap_or_default();
    let namespace = resource.namespace().unwrap_or_default();
    // Whoever may write a status must not thereby keep what is others' from being deleted.
    let may_have = |key: &ObjectKey| privileged.includes(&namespace) || key.namespace == namespace;
    let claim = Wants {
        since: since(resource),
        version: InstallStatus::read(&status).version.unwrap_or_default(),
        revision: resource.revision().to_owned(),
        is_current: false,
        keys: inventory_of(&status).into_keys().filter(may_have).collect(),
    };
    let id = OwnerId::of(&resource.metadata);
    ownership.set(&id, Some(claim));
    let wants_something = resource.metadata.deletion_timestamp.is_none() && !reconcile::is_left_alone(resource);
    wants_something.then_some(id)
}

/// When a resource was created, so that earlier sorts before later.
fn since(resource: &ObservedResource) -> String {
    resource.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default()
}

/// Hands changes of owned objects to the worker of their owner's namespace.
async fn distribute(
    mut changes: mpsc::UnboundedReceiver<OwnerId>,
    inboxes: Vec<(Option<String>, mpsc::UnboundedSender<OwnerId>)>,
) {
    while let Some(owner) = changes.recv().await {
        for (_, inbox) in inboxes.iter().filter(|(n, _)| n.as_ref().is_none_or(|n| *n == owner.namespace)) {
            // A worker that is gone has nothing left to do.
            let _ = inbox.send(owner.clone());
        }
    }
}

/// What reconciles need of an event; of a record only that it is there.
fn read(event: Event<Received>) -> Event<ObservedResource> {
    let object = |received: Received| {
        let mut object = received.into_observed();
        if object.metadata.name.as_deref().is_some_and(|name| name.starts_with(INSTALLED_STATE)) {
            object.spec = Spec::None;
            object.status.clear();
        }
        object
    };
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(received) => Event::InitApply(object(received)),
        Event::Apply(received) => Event::Apply(object(received)),
        Event::Delete(received) => Event::Delete(object(received)),
    }
}

fn id_of(reference: &ObjectRef<ObservedResource>) -> OwnerId {
    OwnerId::new(reference.namespace.clone().unwrap_or_default(), reference.name.clone())
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
    let watching = Arc::clone(&context);
    let overwritten = move |resource: &ObservedResource| {
        let is_overwritten = watching.statuses.is_overwritten(resource);
        Some(if is_overwritten { version_of(resource.resource_version().as_deref()) } else { 0 })
    };
    let changed =
        predicates::generation.combine(predicates::annotations).combine(predicates::finalizers).combine(overwritten);
    let (reference, noting) = (resource.clone(), Arc::clone(&context));
    let (watched, scope, known) = (Arc::clone(&context), namespace.clone(), store.clone());
    let own = watcher(api, watcher::Config::default().page_size(RESOURCES_PER_PAGE))
        .default_backoff()
        .map_ok(read)
        .reflect(writer)
        .inspect_ok(move |event| watched.wake_gone(event, scope.as_deref(), &known))
        .touched_objects()
        .inspect_ok(move |resource| noting.orphans.note(resource))
        .predicate_filter(changed, PredicateConfig::default())
        .map_ok(move |object| ObjectRef::from_obj_with(&object, reference.clone()));
    let children = stream::unfold(children, |mut children| async { children.recv().await.map(|c| (c, children)) })
        .map(move |id| Ok(ObjectRef::new_with(&id.name, resource.clone()).within(&id.namespace)));
    let entering = Arc::clone(&context);
    let queue = stream::select(own, children)
        .inspect_ok(move |entered| entering.queue.enter(id_of(entered)))
        .take_until(stop.cancelled_owned())
        .boxed();
    let config = controller::Config::default().concurrency(concurrency);
    controller::applier(
        |object, context| reconcile::reconcile(object, context).boxed(),
        reconcile::retry,
        Arc::clone(&context),
        store,
        queue,
        config,
    )
    .for_each(|result| {
        match result {
            // The reconcile itself has said what failed.
            Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
            // Gone, perhaps without our finalizer.
            Err(controller::Error::ObjectNotFound(gone)) => {
                let id = OwnerId::new(gone.namespace.unwrap_or_default(), gone.name);
                context.queue.leave(&id);
                context.forget(&id);
                context.metrics.resources.set_orphans(&id, context.index.owned_by(&id).len());
            }
            Err(error) => {
                context.metrics.reconciles.read_errors.inc(ReadError::Unknown);
                match &error {
                    controller::Error::QueueError(watch) if is_watch_unreachable(watch) => {
                        tracing::debug!(%error, "watching IstioOperator resources");
                    }
                    _ => tracing::warn!(%error, "watching IstioOperator resources"),
                }
            }
        }
        futures::future::ready(())
    })
    .await;
}
