//! An API server that cannot be reached is reported once, then from time to time, then when it is back. Whoever sent it a request
//! says so in debug logs only, see [`is_unreachable`].

use super::layer::Rule;
use crate::failure::causes;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tower::BoxError;

/// One lost connection is not an outage: it may have been idle for too long.
const GRACE: Duration = Duration::from_secs(1);
/// How often an outage that lasts is told.
const REMIND: Duration = Duration::from_mins(1);

/// Whether there was no answer at all, which is told here and needs no other warning.
#[must_use]
pub fn is_unreachable(error: &kube::Error) -> bool {
    match error {
        kube::Error::HyperError(_) | kube::Error::ReadEvents(_) => true,
        kube::Error::Service(error) => !is_local(error.as_ref()),
        _ => false,
    }
}

/// The same of a watch.
#[must_use]
pub fn is_watch_unreachable(error: &kube::runtime::watcher::Error) -> bool {
    use kube::runtime::watcher::Error as Watch;
    match error {
        Watch::InitialListFailed(error) | Watch::WatchStartFailed(error) | Watch::WatchFailed(error) => {
            is_unreachable(error)
        }
        _ => false,
    }
}

/// The same of any error that has one of the API server's among its causes.
#[must_use]
pub fn is_caused_by_outage(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        // Boxes are not causes of their own.
        let asked =
            cause.downcast_ref::<kube::Error>().or_else(|| cause.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref));
        if let Some(asked) = asked {
            return is_unreachable(asked);
        }
        next = cause.source();
    }
    false
}

/// Refused by ourselves.
pub(super) fn is_local(error: &(dyn Error + 'static)) -> bool {
    error.is::<super::fence::Fenced>() || error.is::<super::credentials::CredentialsError>()
}

/// What is known of the way to the API server.
#[derive(Debug, Default)]
struct State {
    /// Since when every request has failed.
    since: Option<Instant>,
    /// When that was last told.
    told: Option<Instant>,
}

/// What there is to say.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Gone,
    Still(Duration),
    Back(Duration),
}

impl State {
    fn fail(&mut self, now: Instant, is_certain: bool) -> Option<News> {
        let since = *self.since.get_or_insert(now);
        match self.told {
            None if is_certain || now - since >= GRACE => {
                self.told = Some(now);
                Some(News::Gone)
            }
            Some(told) if now - told >= REMIND => {
                self.told = Some(now);
                Some(News::Still(now - since))
            }
            _ => None,
        }
    }

    fn answer(&mut self, now: Instant) -> Option<News> {
        let since = self.since.take()?;
        self.told.take().map(|_| News::Back(now - since))
    }
}

/// Observes all requests of a process.
#[derive(Clone, Default)]
pub struct Outage(Arc<Mutex<State>>);

impl Outage {
    /// How long the API server has been away, if it is.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.told.and(state.since).map(|since| since.elapsed())
    }

    fn take(&self, failure: Option<&(dyn Error + 'static)>) {
        let now = Instant::now();
        let news = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match failure {
                None => state.answer(now),
                Some(error) => state.fail(now, is_connect(error)),
            }
        };
        let reason = failure.map(causes).unwrap_or_default();
        match news {
            Some(News::Gone) => tracing::warn!("the API server cannot be reached: {reason}"),
            Some(News::Still(away)) => {
                tracing::warn!("the API server cannot be reached, for {} s now: {reason}", away.as_secs());
            }
            Some(News::Back(away)) => tracing::info!("the API server is back, after {} s", away.as_secs()),
            None => {}
        }
    }
}

/// Whether no connection could be made, so that there is nothing to wait for.
fn is_connect(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(hyper_util::client::legacy::Error::is_connect)
}

impl Rule for Outage {
    async fn apply<A: Send>(
        self,
        _is_write: bool,
        send: impl Future<Output = Result<A, BoxError>> + Send,
    ) -> Result<A, BoxError> {
        let answer = send.await;
        self.take(answer.as_ref().err().map(|error| error.as_ref() as &(dyn Error + 'static)));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_then_now_and_then_and_at_its_end() {
        let (begin, mut state) = (Instant::now(), State::default());
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        assert_eq!(state.answer(at(0)), None);
        assert_eq!(state.fail(at(1), true), Some(News::Gone));
        assert!((2..60).all(|second| state.fail(at(second), true).is_none()));
        assert_eq!(state.fail(at(61), true), Some(News::Still(Duration::from_mins(1))));
        assert_eq!(state.fail(at(62), true), None);
        assert_eq!(state.answer(at(70)), Some(News::Back(Duration::from_secs(69))));
        assert_eq!(state.answer(at(71)), None);
    }

    #[test]
    fn a_connection_that_was_cut_is_no_outage() {
        let (begin, mut state) = (Instant::now(), State::default());
        assert_eq!(state.fail(begin, false), None);
        assert_eq!(state.answer(begin + Duration::from_millis(100)), None);
        assert_eq!(state.fail(begin + Duration::from_secs(5), false), None, "another one, much later");
        assert_eq!(state.fail(begin + Duration::from_secs(7), false), Some(News::Gone));
    }
}
