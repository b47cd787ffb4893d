//! The queue of one namespace, or of all: fed by the watch of IstioOperator resources, and by changes of the objects they own.

use super::context::Context;
use super::{reconciler, retry};
use crate::api::KIND;
use crate::cluster::outage::is_watch_unreachable;
use crate::cluster::pages::RESOURCES_PER_PAGE;
use crate::cluster::received::{ObservedResource, Received, Spec};
use crate::cluster::watch_metadata::Pauses;
use crate::cluster::{ClusterError, owner_resource};
use crate::failure::causes;
use crate::object::OwnerId;
use crate::process::metrics::labels::ReadError;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use kube::runtime::controller;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::{Store, Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Hands changes of owned objects to the worker of their owner's namespace.
pub(super) async fn distribute(
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
        if object.is_record() {
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

/// The resources that are to be looked at because of a change of their own.
fn changed_resources(
    context: &Arc<Context>,
    namespace: Option<String>,
) -> (Store<ObservedResource>, impl Stream<Item = Result<ObjectRef<ObservedResource>, watcher::Error>> + use<>) {
    let resource = owner_resource();
    let writer = Writer::new(resource.clone());
    let store = writer.as_reader();
    let api = context.cluster.owners(namespace.as_deref());
    let watching = Arc::clone(context);
    let overwritten = move |resource: &ObservedResource| {
        let is_overwritten = watching.statuses.is_overwritten(resource);
        Some(if is_overwritten { resource.version() } else { 0 })
    };
    let changed =
        predicates::generation.combine(predicates::annotations).combine(predicates::finalizers).combine(overwritten);
    let noting = Arc::clone(context);
    let (watched, known) = (Arc::clone(context), store.clone());
    let resources = watcher(api, watcher::Config::default().page_size(RESOURCES_PER_PAGE))
        .backoff(Pauses::default())
        .map_ok(read)
        .reflect(writer)
        .inspect_ok(move |event| watched.wake_gone(event, namespace.as_deref(), &known))
        .touched_objects()
        .inspect_ok(move |resource| noting.note_orphaned(resource))
        .predicate_filter(changed, PredicateConfig::default())
        .map_ok(move |object| ObjectRef::from_obj_with(&object, resource.clone()));
    (store, resources)
}

/// Works on the resources of one namespace, or of all, until it is told to stop. `children` are those whose objects change.
pub(super) async fn work(
    context: Arc<Context>,
    namespace: Option<String>,
    children: mpsc::UnboundedReceiver<OwnerId>,
    stop: CancellationToken,
) {
    let (store, own) = changed_resources(&context, namespace);
    let children = stream::unfold(children, |mut children| async { children.recv().await.map(|c| (c, children)) })
        .map(|id| Ok(ObjectRef::new_with(&id.name, owner_resource()).within(&id.namespace)));
    let entering = Arc::clone(&context);
    let queue = stream::select(own, children)
        .inspect_ok(move |entered| entering.queue.enter(id_of(entered)))
        .take_until(stop.cancelled_owned())
        .boxed();
    let config = controller::Config::default().concurrency(context.config.concurrency);
    controller::applier(
        |object, context| reconciler::reconcile(object, context).boxed(),
        retry::retry,
        Arc::clone(&context),
        store,
        queue,
        config,
    )
    .for_each(|result| {
        if let Err(error) = result {
            handle_error(&context, error);
        }
        futures::future::ready(())
    })
    .await;
}

/// Why IstioOperator resources cannot be watched, in the API server's own words.
fn watch_failure(error: watcher::Error) -> String {
    use watcher::Error as Watch;
    let of = |act, error| ClusterError::of(act, &KIND, error).to_string();
    match error {
        Watch::InitialListFailed(error) => of("list", error),
        Watch::WatchStartFailed(error) | Watch::WatchFailed(error) => of("watch", error),
        Watch::WatchError(status) => of("watch", kube::Error::Api(status)),
        error @ Watch::NoResourceVersion => causes(&error),
    }
}

/// What the queue itself could not do.
fn handle_error(context: &Context, error: controller::Error<super::error::ReconcileError, watcher::Error>) {
    match error {
        // The reconcile itself has said what failed.
        controller::Error::ReconcilerFailed(..) => {}
        // Gone, perhaps without our finalizer.
        controller::Error::ObjectNotFound(gone) => {
            let id = OwnerId::new(gone.namespace.unwrap_or_default(), gone.name);
            context.queue.leave(&id);
            context.forget(&id);
            context.metrics.resources.set_orphans(&id, context.index.owned_by(&id).len());
        }
        error => {
            context.metrics.reconciles.read_errors.inc(ReadError::Unknown);
            match error {
                controller::Error::QueueError(watch) if is_watch_unreachable(&watch) => {
                    tracing::debug!(error = %watch_failure(watch), "watching IstioOperator resources");
                }
                controller::Error::QueueError(watch) => {
                    tracing::warn!(error = %watch_failure(watch), "watching IstioOperator resources");
                }
                error => tracing::warn!(error = %causes(&error), "watching IstioOperator resources"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_watch_that_fails_is_told_in_the_words_of_the_api_server() {
        let status = || Box::new(Status::failure("too old resource version: 1 (2)", "Expired").with_code(410));
        let told = "watch IstioOperator: too old resource version: 1 (2)";
        assert_eq!(watch_failure(watcher::Error::WatchError(status())), told);
        assert_eq!(watch_failure(watcher::Error::WatchStartFailed(kube::Error::Api(status()))), told);
        let listed = watch_failure(watcher::Error::InitialListFailed(kube::Error::Api(status())));
        assert_eq!(listed, "list IstioOperator: too old resource version: 1 (2)");
    }
}
