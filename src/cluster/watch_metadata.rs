//! The metadata of a kind's objects, kept current: a list, and then a watch of what changes.
//!
//! The watcher of the client library says nothing when a watch that failed works again, until something changes; code that has to
//! know whether its data is current cannot use it.

use super::meta::Meta;
use futures::{Stream, TryStreamExt};
use kube::Error;
use kube::api::{Api, ApiResource, ListParams, WatchEvent, WatchParams};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::Event;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// After the first failure in a row; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long at most until it is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a watch lasts; the API server ends it then.
const WATCH_SECONDS: u32 = 290;
/// A watch of which nothing was heard for so long is on a connection that has died.
const SILENCE: Duration = Duration::from_mins(5);
/// A watch that ends sooner has not worked.
const SHORT: Duration = Duration::from_secs(1);

/// Which objects of a kind are followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Label selector.
    pub labels: &'a str,
    /// Field selector.
    pub fields: &'a str,
}

/// What is told of a kind.
#[allow(clippy::large_enum_variant)] // handed over, and never kept
pub enum Told {
    /// Something of its objects.
    Event(Event<Meta>),
    /// The API server has been heard: what is known is current.
    Heard,
    /// The objects could not be listed or watched; it is tried again.
    Failed(Error),
}

/// Hands over what happens to the objects of a kind, in all namespaces, and whether that is known; what is interrupted begins
/// again. Ends when it is dropped or told to.
pub async fn watch_metadata(
    client: kube::Client,
    kind: &ApiResource,
    selection: Selection<'_>,
    take: impl FnMut(Told) -> ControlFlow<()>,
) {
    let mut follower = Follower { api: Api::all_with(client, kind), selection, take, version: None };
    let mut failures = 0;
    loop {
        let (begun, is_watch) = (Instant::now(), follower.version.is_some());
        let is_over = match follower.step().await {
            Ok(flow) => {
                let works = is_watch && begun.elapsed() >= SHORT;
                failures = if works { 0 } else { failures + u32::from(is_watch) };
                (!is_watch || works, flow)
            }
            Err(error) => {
                failures += 1;
                (false, (follower.take)(Told::Failed(error)))
            }
        };
        match is_over {
            (_, ControlFlow::Break(())) => return,
            (true, _) => {}
            (false, _) => sleep(pause(failures)).await,
        }
    }
}

/// How long to wait after so many failures in a row: not everybody as long, lest all come back at once.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    let whole = (FIRST_PAUSE * 2_u32.pow(failures.saturating_sub(1).min(8))).min(LONGEST_PAUSE);
    let dice = RandomState::new().hash_one(failures) % 256;
    whole.mul_f64(0.75 + f64::from(u32::try_from(dice).unwrap_or_default()) / 1024.0)
}

/// The same pauses, one after each failure in a row, for a watcher of the client library. Its own are of up to a minute.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        Some(pause(self.failures))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

struct Follower<'a, F> {
    api: Api<Meta>,
    selection: Selection<'a>,
    take: F,
    /// From where to watch; `None` where everything has to be listed first.
    version: Option<String>,
}

impl<F: FnMut(Told) -> ControlFlow<()>> Follower<'_, F> {
    /// A list, or a watch until it ends.
    async fn step(&mut self) -> Result<ControlFlow<()>, Error> {
        let Some(version) = self.version.clone() else { return self.list().await };
        let result = self.watch(&version).await;
        match &result {
            // What has happened since cannot be told any more.
            Err(Error::Api(status)) if status.code == 410 => {
                self.version = None;
                Ok(ControlFlow::Continue(()))
            }
            // An event that is lost.
            Err(Error::SerdeError(_) | Error::LinesCodecMaxLineLengthExceeded) => {
                self.version = None;
                result
            }
            _ => result,
        }
    }

    async fn list(&mut self) -> Result<ControlFlow<()>, Error> {
        /// Of objects that anybody has made as large as they may be, a page is still no more than memory has.
        const METADATA_PER_PAGE: u32 = 100;
        let mut params =
            ListParams::default().labels(self.selection.labels).fields(self.selection.fields).limit(METADATA_PER_PAGE);
        let mut flow = self.event(Event::Init);
        while flow.is_continue() {
            let page = self.api.list(&params).await?;
            for object in page.items {
                flow = self.event(Event::InitApply(object));
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            let Some(next) = page.metadata.continue_.filter(|next| !next.is_empty()) else {
                self.version = page.metadata.resource_version;
                return Ok(self.event(Event::InitDone));
            };
            params = params.continue_token(&next);
        }
        Ok(flow)
    }

    async fn watch(&mut self, from: &str) -> Result<ControlFlow<()>, Error> {
        let params = WatchParams {
            label_selector: Some(self.selection.labels.to_owned()).filter(|labels| !labels.is_empty()),
            field_selector: Some(self.selection.fields.to_owned()).filter(|fields| !fields.is_empty()),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            send_initial_events: false,
        };
        let events = self.api.watch(&params, from).await?;
        if (self.take)(Told::Heard).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.take_in(events).await
    }

    async fn take_in(
        &mut self,
        events: impl Stream<Item = Result<WatchEvent<Meta>, Error>>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut events = pin!(events);
        while let Ok(event) = timeout(SILENCE, events.try_next()).await {
            let Some(event) = event? else { break };
            let flow = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.version.clone_from(&object.metadata.resource_version);
                    self.event(Event::Apply(object))
                }
                WatchEvent::Deleted(object) => {
                    self.version.clone_from(&object.metadata.resource_version);
                    self.event(Event::Delete(object))
                }
                WatchEvent::Bookmark(bookmark) => {
                    self.version = Some(bookmark.metadata.resource_version);
                    (self.take)(Told::Heard)
                }
                WatchEvent::Error(status) => return Err(Error::Api(status)),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn event(&mut self, event: Event<Meta>) -> ControlFlow<()> {
        (self.take)(Told::Event(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_soon_at_first_and_never_too_late() {
        assert!((375..=500).contains(&pause(1).as_millis()), "{:?}", pause(1));
        assert!(pause(4) > pause(2));
        for failures in [9, 100, u32::MAX] {
            assert!(pause(failures) <= LONGEST_PAUSE && pause(failures) > LONGEST_PAUSE / 2);
        }
    }

    #[test]
    fn a_watcher_of_the_library_waits_no_longer_and_begins_anew_with_success() {
        let mut pauses = Pauses::default();
        let waited: Vec<Duration> = pauses.by_ref().take(20).collect();
        assert!(waited.iter().all(|pause| *pause <= Duration::from_secs(10)), "{waited:?}");
        assert!(waited[0] <= FIRST_PAUSE && waited[19] > LONGEST_PAUSE / 2, "{waited:?}");
        pauses.reset();
        assert!(pauses.next().is_some_and(|pause| pause <= FIRST_PAUSE));
    }
}
