//! Forwards local connections to a pod, each over a WebSocket through the API server.

use super::super::screen::Screen;
use super::pods::{Found, Wanted};
use crate::cluster::{brief, told as tell};
use anyhow::{Context, anyhow};
use futures::stream::{FuturesUnordered, StreamExt, select_all, unfold};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long what a pod still has to say may keep it silent, once its caller has said all.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long the API server may take to open a connection to a pod.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// What connections are led to.
pub(super) struct Forward {
    pub client: Client,
    pub wanted: Wanted,
    /// Port of the pod.
    pub port: u16,
}

/// A connection to a pod.
pub(super) struct Opened {
    stream: Box<dyn Stream>,
    /// Which pod it is, for a person.
    pub told: String,
    /// What the node says of it, if it cannot go on.
    error: Box<dyn Future<Output = Option<String>> + Send + Unpin>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Forward {
    /// Opens a connection to the pod that is there now.
    ///
    /// # Errors
    /// There is no pod, or the API server does not lead there.
    pub(super) async fn open(&self) -> anyhow::Result<Opened> {
        timeout(PATIENCE, self.open_at_leisure()).await.with_context(|| format!("no answer within {PATIENCE:?}"))?
    }

    async fn open_at_leisure(&self) -> anyhow::Result<Opened> {
        let Found { name: pod, told } = self.wanted.find(&self.client).await?;
        let (namespace, port) = (self.wanted.namespace(), self.port);
        let what = || format!("forward port {port} of pod {namespace}/{pod}");
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let mut forwarder =
            api.portforward(&pod, &[port]).await.map_err(|error| anyhow!("{}: {}", what(), brief(&error)))?;
        let error = forwarder.take_error(port).with_context(what)?;
        let stream = forwarder.take_stream(port).with_context(what)?;
        Ok(Opened { told, stream: Box::new(stream), error: Box::new(Box::pin(error)) })
    }

    /// Serves connections for ever; gives why it cannot.
    pub(super) async fn serve(&self, listeners: Vec<TcpListener>, screen: &mut Screen<'_>) -> anyhow::Error {
        let accepted = listeners
            .into_iter()
            .map(|listener| Box::pin(unfold(listener, async |listener| Some((listener.accept().await, listener)))));
        let mut accepted = select_all(accepted);
        let mut open = FuturesUnordered::new();
        let mut told = String::new();
        loop {
            tokio::select! {
                Some(ended) = open.next() => {
                    match ended {
                        Ok(()) => told.clear(),
                        Err(error) => {
                            let error: anyhow::Error = error;
                            let next = tell(error.as_ref());
                            // A page makes many connections, and one word is enough.
                            if told != next {
                                screen.note(&format!("Error: {next}"));
                                told = next;
                            }
                        }
                    }
                }
                next = accepted.next() => match next {
                    Some(Ok((local, _))) => open.push(self.lead(local)),
                    // Too many files are open, for example; those that are may end.
                    Some(Err(error)) if !open.is_empty() => screen.note(&format!("Error: take a connection: {error}")),
                    Some(Err(error)) => return anyhow!(error).context("take a connection"),
                    None => return anyhow!("nothing listens any more"),
                }
            }
        }
    }

    /// Leads a connection to the pod until one of them has said all.
    async fn lead(&self, local: TcpStream) -> anyhow::Result<()> {
        let Opened { stream, error, .. } = self.open().await?;
        let told = async {
            match error.await {
                Some(message) => anyhow!("pod port {}: {}", self.port, message.trim()),
                // It ends without a word.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What the caller or the pod breaks off is nobody's fault.
            () = copy(local, stream) => Ok(()),
            error = told => Err(error),
        }
    }
}

/// Copies both ways, until the pod has said all. The stream to a pod cannot be closed in one direction, so once the caller has said all
/// the pod has only so long from one word to the next.
async fn copy(mut local: impl AsyncRead + AsyncWrite + Unpin, pod: impl Stream) {
    let (mut from_local, mut to_local) = split(&mut local);
    let (mut from_pod, mut to_pod) = split(pod);
    let said: Cell<Option<Instant>> = Cell::new(None);
    let there = async {
        pass(&mut from_local, &mut to_pod, || false).await;
        said.set(Some(Instant::now()));
        std::future::pending::<()>().await;
    };
    let is_over = || said.get().is_some_and(|said| said.elapsed() >= LAST_WORDS);
    // What is on its way to the caller is never dropped.
    tokio::select! {
        () = there => {}
        () = pass(&mut from_pod, &mut to_local, is_over) => {}
    }
}

/// Copies until there is no more, or nothing came for a while and it is over.
async fn pass(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), is_over: impl Fn() -> bool) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match timeout(LAST_WORDS, from.read(&mut chunk)).await {
            Ok(read) => read,
            Err(_) if is_over() => return,
            Err(_) => continue,
        };
        let Some(bytes) = read.ok().filter(|read| *read > 0).and_then(|read| chunk.get(..read)) else { return };
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test]
    async fn a_caller_who_says_all_before_he_reads_gets_every_byte() {
        let (mut caller, local) = duplex(CHUNK);
        let (mut pod, stream) = duplex(CHUNK);
        let answer = vec![7; 64 * CHUNK];
        let talk = async {
            let answers = async {
                pod.write_all(&answer).await.unwrap();
                drop(pod);
            };
            let asks = async {
                // The answer is on its way, and stuck.
                tokio::task::yield_now().await;
                caller.shutdown().await.unwrap();
                tokio::task::yield_now().await;
                let mut read = vec![];
                caller.read_to_end(&mut read).await.unwrap();
                read
            };
            tokio::join!(answers, asks).1
        };
        let ((), read) = tokio::join!(async { copy(local, stream).await }, talk);
        assert!(read == answer, "{} bytes of {}", read.len(), answer.len());
    }
}
