//! The metadata of a kind's objects, followed for ever.

use super::outage::is_watch_unreachable;
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};

/// An object of which only the metadata is read.
pub type Meta = PartialObjectMeta<DynamicObject>;

/// Hands over what happens to the objects of a kind, in all namespaces; a watch that is interrupted begins again. Ends only
/// when it is dropped.
pub async fn follow(client: kube::Client, kind: &ApiResource, config: Config, mut take: impl FnMut(Event<Meta>)) {
    let api: Api<Meta> = Api::all_with(client, kind);
    let mut events = watcher(api, config).default_backoff().boxed();
    loop {
        match events.try_next().await {
            Ok(Some(event)) => take(event),
            Ok(None) => return,
            // That is said once, for all kinds.
            Err(error) if is_watch_unreachable(&error) => {
                tracing::debug!(kind = kind.kind, %error, "watch interrupted, starting it again");
            }
            Err(error) => tracing::warn!(kind = kind.kind, %error, "watch interrupted, starting it again"),
        }
    }
}
