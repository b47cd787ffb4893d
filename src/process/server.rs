//! The monitoring port: `/healthz`, `/readyz`, `/metrics`; and, for clients in the same pod only, the level of logs at
//! `/log-level` and all that is held at `/debug/state`.
//!
//! Whoever reaches it costs little: a request has a few seconds, one connection carries one request, and of too many
//! connections the oldest go.

use crate::process::health::{Health, Ready};
use crate::process::metrics::Metrics;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
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
        "/healthz" => check(shown.health.trouble()),
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
