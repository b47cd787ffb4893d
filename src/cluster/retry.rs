//! Requests that are sent again: those whose answer was lost on the way, and reads that the API server failed at.
//!
//! Only requests that may be done twice go through here: reads, applies, merge patches, and deletes of one uid. A few tries
//! within half a second bridge a connection that was cut and a proxy that hiccups; the client itself waits as told by 429 and
//! 503. An API server that is away for longer is a matter of the queue, which tries the whole reconcile again.

use super::outage::is_local;
use kube::Error;
use std::time::Duration;

/// After a failed attempt; the last one's failure is the answer.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// Whether a request may well succeed if it is sent again, a little later.
fn is_transient(error: &Error) -> bool {
    is_lost(error) || matches!(error, Error::Api(status) if status.code == 429 || status.code >= 500)
}

/// Whether there was no answer, or half of one. What we refused to send ourselves is not.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Service(error) => !is_local(error.as_ref()),
        Error::HyperError(_) | Error::ReadEvents(_) | Error::SerdeError(_) => true,
        _ => false,
    }
}

/// A read.
pub(super) async fn read<T, F: Future<Output = Result<T, Error>>>(request: impl Fn() -> F) -> Result<T, Error> {
    again(request, is_transient).await
}

/// A write that may be done twice. One that the API server has failed at is not sent again at once: a webhook may have
/// refused it, after a long wait.
pub(super) async fn write<T, F: Future<Output = Result<T, Error>>>(request: impl Fn() -> F) -> Result<T, Error> {
    again(request, is_lost).await
}

async fn again<T, F: Future<Output = Result<T, Error>>>(
    request: impl Fn() -> F,
    helps: fn(&Error) -> bool,
) -> Result<T, Error> {
    for pause in PAUSES {
        match request().await {
            Err(error) if helps(&error) => tracing::debug!(%error, "sending the request again"),
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
    }
    request().await
}

#[cfg(test)]
mod tests {
    use super::super::credentials::CredentialsError;
    use super::super::fence::Fenced;
    use super::*;
    use kube::core::Status;
    use std::cell::Cell;

    fn refused(code: u16) -> Error {
        Error::Api(Status::failure("no", "No").with_code(code).boxed())
    }

    fn lost() -> Error {
        Error::Service("connection reset".into())
    }

    /// How often a request is sent that fails so for the first `failures` times, and whether it succeeds.
    fn sent(kind: fn() -> Error, failures: u32, is_write: bool) -> (u32, bool) {
        let count = Cell::new(0);
        let request = || async {
            count.set(count.get() + 1);
            if count.get() <= failures { Err(kind()) } else { Ok(()) }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let result = runtime.block_on(async { if is_write { write(request).await } else { read(request).await } });
        (count.get(), result.is_ok())
    }

    #[test]
    fn what_is_lost_is_sent_again_and_given_up_in_the_end() {
        for is_write in [false, true] {
            assert_eq!(sent(lost, 1, is_write), (2, true));
            assert_eq!(sent(lost, 9, is_write), (3, false));
        }
    }

    #[test]
    fn what_the_api_server_failed_at_is_read_again_and_not_written_again() {
        assert_eq!(sent(|| refused(500), 1, false), (2, true));
        assert_eq!(sent(|| refused(500), 1, true), (1, false));
    }

    #[test]
    fn what_was_not_sent_for_want_of_the_lease_or_a_token_is_not_sent_again() {
        for is_write in [false, true] {
            assert_eq!(sent(|| Error::Service(Fenced.into()), 9, is_write), (1, false));
            let nobody = || Error::Service(CredentialsError::NoToken("f".into()).into());
            assert_eq!(sent(nobody, 9, is_write), (1, false));
        }
    }

    #[test]
    fn what_the_api_server_decided_is_not_asked_again() {
        for code in [400, 403, 404, 409, 410, 422] {
            assert!(!is_transient(&refused(code)));
        }
        assert_eq!(sent(|| refused(409), 1, false), (1, false));
    }
}
