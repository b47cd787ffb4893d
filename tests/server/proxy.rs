//! A proxy between the operator and the API server that gets requests wrong, by a seeded schedule.
//!
//! It speaks plain HTTP to the operator and logs in as the operator's service account, so it needs no certificates and the
//! audit log names the operator.

use crate::dice::Dice;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// What can go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It takes a while.
    Delay,
    /// The connection ends before the API server hears of it.
    Unsent,
    /// The API server does what is asked, and the connection ends without an answer.
    Unanswered,
    /// Half of the answer comes, then the connection ends. A watch ends in the middle.
    Half,
    /// 409: somebody else was faster. Of writes only.
    Conflict,
    /// 410: what was listed or watched is too old. Of lists and watches only.
    Expired,
    /// 429, to be tried again after a second.
    TooMany,
    /// 500.
    Internal,
}

/// All of them.
pub const FAULTS: [Fault; 8] = [
    Fault::Delay,
    Fault::Unsent,
    Fault::Unanswered,
    Fault::Half,
    Fault::Conflict,
    Fault::Expired,
    Fault::TooMany,
    Fault::Internal,
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// See the module.
pub struct Proxy {
    state: Arc<State>,
    kubeconfig: PathBuf,
    /// Ends with the proxy, and everything in it.
    _runtime: Runtime,
}

struct State {
    api_server: kube::Client,
    dice: Mutex<Dice>,
    wrong: u64,
    is_black_hole: AtomicBool,
    done: Mutex<BTreeMap<Fault, usize>>,
}

impl Proxy {
    /// In front of the API server of a kubeconfig. `wrong` of a thousand requests go wrong.
    pub fn start(kubeconfig: &Path, folder: &Path, seed: u64, wrong: u64) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config: Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
        let account: Kubeconfig = serde_json::from_value(config.clone()).unwrap();
        let (state, listener) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut config =
                kube::Config::from_custom_kubeconfig(account, &KubeConfigOptions::default()).await.unwrap();
            config.default_retry = false;
            let state = State {
                api_server: kube::Client::try_from(config).unwrap(),
                dice: Mutex::new(Dice::new(seed)),
                wrong,
                is_black_hole: AtomicBool::default(),
                done: Mutex::default(),
            };
            (Arc::new(state), listener)
        });
        let server = format!("http://{}", listener.local_addr().unwrap());
        config["clusters"][0]["cluster"] = json!({"server": server});
        let kubeconfig = folder.join(format!("proxy-{}.kubeconfig", listener.local_addr().unwrap().port()));
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        runtime.spawn(serve(listener, Arc::clone(&state)));
        Self { state, kubeconfig, _runtime: runtime }
    }

    /// Leads to the proxy.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on, or no more, nothing is answered, on any connection, also of what is under way.
    pub fn set_black_hole(&self, is_so: bool) {
        self.state.is_black_hole.store(is_so, Ordering::Relaxed);
    }

    /// How often each fault was done.
    pub fn done(&self) -> BTreeMap<Fault, usize> {
        self.state.done.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&state, request));
            // The ends of connections are what this is for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    /// What happens to a request.
    fn choose(&self, request: &Request<Incoming>) -> Option<Fault> {
        let mut dice = self.dice.lock().unwrap();
        if dice.below(1000) >= self.wrong {
            return None;
        }
        let is_of_many = request.uri().query().is_some_and(|q| q.contains("watch=") || q.contains("limit="));
        let fitting: Vec<Fault> = FAULTS
            .into_iter()
            .filter(|fault| match fault {
                Fault::Conflict => request.method() != Method::GET,
                Fault::Expired => request.method() == Method::GET && is_of_many,
                _ => true,
            })
            .collect();
        let fault = *dice.one_of(&fitting);
        *self.done.lock().unwrap().entry(fault).or_default() += 1;
        Some(fault)
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(20 + self.dice.lock().unwrap().below(400))
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        let (mut head, mut body) = request.into_parts();
        let mut bytes = vec![];
        while let Some(frame) = next_frame(Pin::new(&mut body)).await {
            bytes.extend_from_slice(&frame?);
        }
        for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONNECTION] {
            head.headers.remove(name);
        }
        Ok(self.api_server.send(Request::from_parts(head, Body::from(bytes))).await?)
    }
}

async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Result<Response<Answer>, Failure> {
    if state.is_black_hole.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    let is_watch = request.uri().query().is_some_and(|q| q.contains("watch="));
    let fault = state.choose(&request);
    match fault {
        Some(Fault::Unsent) => return Err("dropped before it was sent".into()),
        Some(Fault::Delay) => tokio::time::sleep(state.pause()).await,
        Some(Fault::Conflict) => return Ok(refusal(StatusCode::CONFLICT, "Conflict")),
        Some(Fault::Expired) if is_watch => return Ok(expired_watch()),
        Some(Fault::Expired) => return Ok(refusal(StatusCode::GONE, "Expired")),
        Some(Fault::TooMany) => return Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        Some(Fault::Internal) => return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Some(Fault::Unanswered | Fault::Half) | None => {}
    }
    let (mut head, body) = state.pass_on(request).await?.into_parts();
    if is_watch {
        let ends = matches!(fault, Some(Fault::Unanswered | Fault::Half));
        let end = ends.then(|| Box::pin(tokio::time::sleep(state.pause() * 3)));
        return Ok(Response::from_parts(head, Answer::Through { body, end, state: Arc::clone(state) }));
    }
    head.headers.remove(header::TRANSFER_ENCODING);
    let bytes = body.collect_bytes().await?;
    match fault {
        Some(Fault::Unanswered) => Err("dropped after it was done".into()),
        Some(Fault::Half) => {
            let mut response = Response::from_parts(head, Answer::Given(Some(bytes.slice(..bytes.len() / 2)), true));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            Ok(response)
        }
        _ => Ok(Response::from_parts(head, Answer::Given(Some(bytes), false))),
    }
}

fn status(code: StatusCode, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code.as_u16(),
        "reason": reason, "message": format!("{reason}, says the proxy")})
}

fn refusal(code: StatusCode, reason: &str) -> Response<Answer> {
    let mut response = Response::new(Answer::Given(Some(status(code, reason).to_string().into()), false));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if code == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// As the API server says it of a watch.
fn expired_watch() -> Response<Answer> {
    let event = json!({"type": "ERROR", "object": status(StatusCode::GONE, "Expired")});
    Response::new(Answer::Given(Some(format!("{event}\n").into()), false))
}

/// The body of an answer.
enum Answer {
    /// These bytes, and then perhaps the end of the connection.
    Given(Option<Bytes>, bool),
    /// What comes from the API server, until the end of the connection.
    Through { body: Body, end: Option<Pin<Box<tokio::time::Sleep>>>, state: Arc<State> },
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut *self {
            Self::Given(bytes, ends) => Poll::Ready(match bytes.take() {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => ends.then(|| Err("half an answer".into())),
            }),
            Self::Through { body, end, state } => {
                if end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
                    return Poll::Ready(Some(Err("cut".into())));
                }
                if state.is_black_hole.load(Ordering::Relaxed) {
                    return Poll::Pending;
                }
                Pin::new(body).poll_frame(cx).map_err(Into::into)
            }
        }
    }
}

/// The next piece of a body.
async fn next_frame<B>(mut body: Pin<&mut B>) -> Option<Result<Bytes, Failure>>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Failure>,
{
    let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(Into::into))
}
