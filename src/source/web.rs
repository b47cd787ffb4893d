//! GET over HTTP: redirects within the policy, what statuses mean, and when to try again.

use super::address::{Origin, is_disguised, is_loopback, origin, percent_decode, redact};
use super::error::{Denial, SourceError};
use super::limits::Timeouts;
use super::policy::{Policy, Refusal};
use super::progress::Progress;
use super::transport::{Transport, within};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use std::time::{Duration, Instant};
use url::Url;

const REDIRECTS: usize = 10;
/// A server that wants more time than this is tried no more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is used for all requests of a fetch.
pub(super) struct Web<'a> {
    pub(super) transport: Transport<'a>,
    pub(super) policy: &'a Policy,
    pub(super) timeouts: &'a Timeouts,
    /// The server that the location allows beside the policy's: a registry's API.
    pub(super) home: Option<Origin>,
}

/// What is asked for.
#[derive(Clone)]
pub(super) struct Get {
    url: Url,
    headers: HeaderMap,
}

impl Get {
    /// Of an address, whose user and password become a header.
    pub(super) fn new(url: &Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("istio-operator/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut plain = url.clone();
        // A location without a host is not valid.
        let _ = (plain.set_username(""), plain.set_password(None));
        let get = Self { url: plain, headers };
        get.authorized(basic_of(url))
    }

    /// With a header, if there is a value for it that can be sent.
    pub(super) fn with(mut self, name: HeaderName, value: Option<&str>) -> Self {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// For what is wanted.
    pub(super) fn accepting(self, kinds: &str) -> Self {
        self.with(ACCEPT, Some(kinds))
    }

    /// With who asks.
    pub(super) fn authorized(mut self, authorization: Option<HeaderValue>) -> Self {
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            self.headers.insert(AUTHORIZATION, value);
        }
        self
    }
}

/// The header for the user and password of an address.
fn basic_of(url: &Url) -> Option<HeaderValue> {
    use base64::Engine;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let pair = format!("{}:{}", percent_decode(url.username()), percent_decode(url.password().unwrap_or_default()));
    super::credentials::basic(&base64::engine::general_purpose::STANDARD.encode(pair))
}

/// An answer, and where it came from in the end.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) url: Url,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<String> {
        self.response.headers().get(name)?.to_str().ok().map(str::to_owned)
    }

    /// How long the server says it is.
    pub(super) fn length(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)?.parse().ok()
    }

    /// What a status other than success means.
    pub(super) fn failure(&self) -> SourceError {
        let (address, status) = (redact(&self.url), self.status().as_u16());
        match status {
            401 | 403 | 407 => SourceError::Denied { address, cause: Denial::Status(status) },
            404 | 410 => SourceError::Absent { address, status },
            _ => {
                let seconds = self.header(&RETRY_AFTER).and_then(|text| text.parse().ok());
                SourceError::Status { address, status, retry_after: seconds.map(Duration::from_secs) }
            }
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn next(&mut self, limit: Duration, come: u64) -> Result<Option<Bytes>, SourceError> {
        loop {
            let frame = within(limit, &self.url, "the next piece of the answer", self.response.frame()).await?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(SourceError::Interrupted {
                        address: redact(&self.url),
                        bytes: come,
                        cause: error.into(),
                    });
                }
            }
        }
    }

    /// The whole body, which must not be longer than this.
    pub(super) async fn read(mut self, limit: Duration, longest: usize) -> Result<Vec<u8>, SourceError> {
        let mut all = vec![];
        while let Some(piece) = self.next(limit, all.len() as u64).await? {
            if all.len() + piece.len() > longest {
                let problem = format!("the answer has more than {longest} bytes");
                return Err(SourceError::Registry { address: redact(&self.url), problem });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl Web<'_> {
    /// Asks, and follows redirects. Every address is held to the policy before it is asked.
    pub(super) async fn get(&self, get: Get) -> Result<Answer, SourceError> {
        let Get { mut url, mut headers } = get;
        let first = redact(&url);
        for _ in 0..=REDIRECTS {
            self.admit(&url)?;
            let response = self.transport.get(&url, headers.clone()).await?;
            let answer = Answer { response, url };
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let next = redirect(&answer)?;
            if origin(&next) != origin(&answer.url) {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(SourceError::Redirect { address: first, problem: format!("more than {REDIRECTS} redirects") })
    }

    fn admit(&self, url: &Url) -> Result<(), Refusal> {
        if self.home.as_ref().is_some_and(|home| *home == origin(url)) {
            return Ok(());
        }
        self.policy.check_url(url)
    }

    /// Tries again what may work in a moment.
    pub(super) async fn retry<T>(
        &self,
        progress: &dyn Progress,
        mut attempt: impl AsyncFnMut() -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let (mut wait, mut left, begun) = (self.timeouts.backoff, self.timeouts.attempts.max(1), Instant::now());
        loop {
            left -= 1;
            let error = match attempt().await {
                Err(error) if error.is_transient() && left > 0 => error,
                other => return other,
            };
            let wanted = match &error {
                SourceError::Status { retry_after: Some(after), .. } => *after,
                _ => Duration::ZERO,
            };
            let after = wait.max(wanted);
            // What is known says more than that there was no time.
            if wanted > LONGEST_WAIT || begun.elapsed() + after >= self.timeouts.total {
                return Err(error);
            }
            progress.retry(&error, after);
            tokio::time::sleep(after).await;
            wait *= 2;
        }
    }
}

/// Where a redirect leads.
fn redirect(answer: &Answer) -> Result<Url, SourceError> {
    let wrong = |problem: String| SourceError::Redirect { address: redact(&answer.url), problem };
    let target = answer.header(&LOCATION).ok_or_else(|| wrong("a redirect to nowhere".to_owned()))?;
    let mut next =
        answer.url.join(&target).map_err(|error| wrong(format!("a redirect to an invalid address: {error}")))?;
    next.set_fragment(None);
    let _ = (next.set_username(""), next.set_password(None));
    let is_plain = answer.url.scheme() == "http" && next.host().is_some_and(|host| is_loopback(&host));
    match next.scheme() {
        "https" => {}
        "http" if is_plain => {}
        other => return Err(wrong(format!("a redirect to {other}://, which is not followed"))),
    }
    if is_disguised(next.path()) {
        return Err(wrong("a redirect to a path with an encoded .., which is not followed".to_owned()));
    }
    Ok(next)
}
