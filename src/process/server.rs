//! The monitoring port: `/healthz`, `/readyz`, `/metrics`; and, for who is in the same pod only, the level of logs at
//! `/log-level` and all that is held at `/debug/state`.
//!
//! Whoever reaches it costs little: a request has a few seconds, one connection carries one request, and of too many
//! connections the oldest go.

use crate::process::metrics::Metrics;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// How many connections there are at most.
const CONNECTIONS: usize = 128;
/// How long a request may take to come.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last.
const WHOLE: Duration = Duration::from_secs(15);
/// How long nobody is let in after that failed: mostly there are too many open files.
const REST: Duration = Duration::from_millis(200);
/// A level of logs is not longer.
const LONGEST_BODY: usize = 4096;
/// How long resources may wait while no pass begins or ends and nothing is answered.
const STALL: Duration = Duration::from_mins(5);

/// What keeps the operator from being ready.
#[derive(Debug)]
struct Missing {
    /// Empty for nothing.
    what: String,
    /// When being ready ends by itself, and what is missing then.
    until: Option<(Instant, String)>,
}

/// Whether the operator does, or stands by for, what it is asked to do; and what is missing.
#[derive(Clone)]
pub struct Ready(Arc<Mutex<Missing>>);

impl Default for Ready {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Missing { what: "starting".to_owned(), until: None })))
    }
}

impl Ready {
    fn put(&self, what: &str, until: Option<(Instant, String)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Missing { what: what.to_owned(), until };
    }

    /// From now on.
    pub fn set(&self) {
        self.put("", None);
    }

    /// For a while, unless it is said again; then this is missing.
    pub fn set_for(&self, time: Duration, then: &str) {
        self.put("", Some((Instant::now() + time, then.to_owned())));
    }

    /// Not any more, for this is missing.
    pub fn clear(&self, what: &str) {
        self.put(what, None);
    }

    /// Names what is missing, where something is; does not end being ready.
    pub fn want(&self, what: &str) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, then)) = &mut missing.until {
            what.clone_into(then);
        } else if !missing.what.is_empty() {
            what.clone_into(&mut missing.what);
        }
    }

    /// What is missing, if anything is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &missing.until {
            Some((until, then)) if Instant::now() > *until => Some(then.clone()),
            _ => Some(missing.what.clone()).filter(|what| !what.is_empty()),
        }
    }
}

/// Whether the process lives: each of its loops says so now and then.
#[derive(Default)]
pub struct Health(Mutex<BTreeMap<&'static str, (Instant, Duration)>>);

impl Health {
    /// The loop turns, and says so again within this time.
    pub fn beat(&self, who: &'static str, within: Duration) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats.insert(who, (Instant::now(), within));
    }

    /// Who has not said so in time.
    fn silent(&self) -> Option<String> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |(who, (at, within)): (&&str, &(Instant, Duration))| {
            let silence = at.elapsed();
            (silence > *within).then(|| format!("{who} has not turned for {} s", silence.as_secs()))
        };
        beats.iter().find_map(silent)
    }
}

/// Reads the level of logs, or sets it first; the error says what is wrong with it.
pub type LogLevel = Arc<dyn Fn(Option<&str>) -> Result<String, String> + Send + Sync>;

/// What the controller holds, once it works.
pub type State = Arc<dyn Fn() -> Option<serde_json::Value> + Send + Sync>;

/// What is shown.
#[derive(Clone)]
pub struct Shown {
    /// `/metrics`
    pub metrics: Arc<Metrics>,
    /// `/readyz`
    pub ready: Ready,
    /// `/healthz`
    pub health: Arc<Health>,
    /// `/log-level`
    pub log_level: LogLevel,
    /// `/debug/state`
    pub state: State,
}

/// Listens; port 0 takes any free one. Returns the address and what serves it.
///
/// # Errors
/// The address cannot be listened on.
pub async fn listen(
    address: SocketAddr,
    shown: Shown,
) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((address, serve(listener, shown)))
}

async fn serve(listener: TcpListener, shown: Shown) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut is_told = false;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "the monitoring port cannot take connections");
                }
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        is_told = false;
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let shown = shown.clone();
        let connection = async move {
            let service = service_fn(move |request| {
                let shown = shown.clone();
                async move { Ok::<_, Infallible>(answer(request, peer, &shown).await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
            // A client that goes away in the middle is its own affair.
            let _ = tokio::time::timeout(WHOLE, http.serve_connection(TokioIo::new(stream), service)).await;
        };
        open.push_back(tokio::spawn(connection).abort_handle());
    }
}

const PATHS: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/log-level", "/debug/state"];

async fn answer(request: Request<Incoming>, peer: SocketAddr, shown: &Shown) -> Response<String> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let (status, body) = match request.uri().path() {
        "/log-level" | "/debug/state" if !peer.ip().to_canonical().is_loopback() => {
            (StatusCode::FORBIDDEN, "only from the same host: kubectl port-forward\n".to_owned())
        }
        "/log-level" => log_level(request, &shown.log_level).await,
        _ if !is_read => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
        "/healthz" => check(shown.health.silent().or_else(|| stall(&shown.metrics))),
        "/readyz" => check(shown.ready.missing().map(|what| format!("not ready: {what}"))),
        "/metrics" => (StatusCode::OK, shown.metrics.to_text()),
        "/debug/state" => match (shown.state)() {
            Some(state) => (StatusCode::OK, format!("{state:#}\n")),
            None => (StatusCode::SERVICE_UNAVAILABLE, "nothing is worked on yet\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, format!("there are {}\n", PATHS.join(", "))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn check(wrong: Option<String>) -> (StatusCode, String) {
    match wrong {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(wrong) => (StatusCode::SERVICE_UNAVAILABLE, wrong + "\n"),
    }
}

fn stall(metrics: &Metrics) -> Option<String> {
    let time = metrics.stalled_for().filter(|time| *time > STALL)?;
    Some(format!("resources wait, and nothing was done for {} s", time.as_secs()))
}

async fn log_level(request: Request<Incoming>, level: &LogLevel) -> (StatusCode, String) {
    let answer = match *request.method() {
        Method::GET => level(None),
        Method::PUT => match Limited::new(request.into_body(), LONGEST_BODY).collect().await {
            Ok(body) => level(Some(String::from_utf8_lossy(&body.to_bytes()).trim())),
            Err(error) => Err(error.to_string()),
        },
        _ => return (StatusCode::METHOD_NOT_ALLOWED, "GET, or PUT with a level such as debug\n".to_owned()),
    };
    match answer {
        Ok(level) => (StatusCode::OK, level + "\n"),
        Err(wrong) => (StatusCode::BAD_REQUEST, wrong + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_ready_for_a_while_ends_by_itself_and_says_what_is_missing() {
        let ready = Ready::default();
        assert_eq!(ready.missing().as_deref(), Some("starting"));
        ready.want("the lease");
        assert_eq!(ready.missing().as_deref(), Some("the lease"));
        ready.set_for(Duration::from_mins(1), "later");
        ready.want("another look at the lease");
        assert_eq!(ready.missing(), None);
        ready.set_for(Duration::ZERO, "later");
        ready.want("another look at the lease");
        assert_eq!(ready.missing().as_deref(), Some("another look at the lease"));
        ready.set();
        ready.want("nothing");
        assert_eq!(ready.missing(), None);
        ready.clear("work");
        assert_eq!(ready.missing().as_deref(), Some("work"));
    }

    #[test]
    fn a_loop_that_does_not_turn_is_named() {
        let health = Health::default();
        assert_eq!(health.silent(), None);
        health.beat("one", Duration::from_mins(1));
        assert_eq!(health.silent(), None);
        health.beat("two", Duration::ZERO);
        assert_eq!(health.silent().as_deref(), Some("two has not turned for 0 s"));
        health.beat("two", Duration::from_mins(1));
        assert_eq!(health.silent(), None);
    }
}
