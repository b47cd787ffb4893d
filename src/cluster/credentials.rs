//! Our own credentials, kept current: tokens that are read again, certificates that are renewed on disk, programs that are run again.
//!
//! Files are looked at every few seconds, programs run again once what they said has expired; both at once after the API
//! server has answered 401. What cannot be read again leaves what was read before.

use super::file::read_again;
use super::identity::{self, IdentityError};
use super::kubeconfig::{Cluster, User};
use super::program::{self, ProgramError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use k8s_openapi::jiff::Timestamp;
use rustls::sign::CertifiedKey;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tower::{BoxError, Layer, Service};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Why we cannot say who we are.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The client certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A program did not say.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A token's file cannot be read.
    #[error("cannot read the token file {0}: {1}")]
    TokenFile(String, std::io::Error),
    /// A token's file is empty.
    #[error("the token file {0} is empty")]
    NoToken(String),
    /// A token or password that no header can have.
    #[error("the {0} has characters that cannot be sent, such as a line break")]
    Header(&'static str),
    /// What was found out a moment ago.
    #[error("{0}")]
    Still(Arc<str>),
    /// The task that asked a program has gone.
    #[error("who we are could not be found out: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

/// What is shown to the API server.
#[derive(Clone, Default)]
pub(super) struct Shown {
    authorization: Option<HeaderValue>,
    /// The client certificate.
    pub identity: Option<Arc<CertifiedKey>>,
    /// Another one whenever `identity` is another one.
    pub version: u64,
    /// Another one whenever it was read.
    loaded: u64,
}

#[derive(Default)]
struct State {
    shown: Shown,
    pem: Option<identity::Pem>,
    expires: Option<Timestamp>,
    looked: Option<Instant>,
    is_refused: bool,
    /// When a program failed, and why.
    failed: Option<(Instant, Arc<str>)>,
    /// What was said of files that cannot be read again, once for as long as it is so.
    warned: Option<String>,
}

/// See the module.
pub(super) struct Credentials {
    user: User,
    cluster: Cluster,
    state: Mutex<State>,
}

impl Credentials {
    /// Reads what there is, and runs what is to be run, without yielding.
    ///
    /// # Errors
    /// What is wrong with the user.
    pub(super) fn new(user: User, cluster: Cluster) -> Result<Self, CredentialsError> {
        let mut state = State::default();
        load(&user, &cluster, &mut state)?;
        Ok(Self { user, cluster, state: Mutex::new(state) })
    }

    /// Who we are now.
    async fn current(self: &Arc<Self>) -> Result<Shown, CredentialsError> {
        if let Some(known) = self.known(&*self.state.lock().await) {
            return known;
        }
        let this = Arc::clone(self);
        // Files may be on slow disks, and programs take seconds.
        tokio::task::spawn_blocking(move || this.renew()).await?
    }

    /// Reads again what is due; whoever comes second finds it done.
    fn renew(&self) -> Result<Shown, CredentialsError> {
        let mut state = self.state.blocking_lock();
        if let Some(known) = self.known(&state) {
            return known;
        }
        state.failed = None;
        match load(&self.user, &self.cluster, &mut state) {
            Err(error) if self.user.runs_a_program() => {
                state.failed = Some((Instant::now(), error.to_string().into()));
                return Err(error);
            }
            Err(error) => {
                let text = format!("{error}; what was read before is used on");
                if state.warned.as_ref() != Some(&text) {
                    tracing::warn!("{text}");
                }
                state.warned = Some(text);
            }
            Ok(()) => state.warned = None,
        }
        Ok(state.shown.clone())
    }

    /// What need not be found out anew: a program that fails is not run for each request.
    fn known(&self, state: &State) -> Option<Result<Shown, CredentialsError>> {
        if !self.is_due(state) {
            return Some(Ok(state.shown.clone()));
        }
        let failed = state.failed.as_ref().filter(|(at, _)| at.elapsed() < LOOK);
        failed.map(|(_, text)| Err(CredentialsError::Still(Arc::clone(text))))
    }

    fn is_due(&self, state: &State) -> bool {
        if self.user.runs_a_program() {
            return state.is_refused || state.expires.is_some_and(|end| Timestamp::now() >= end);
        }
        let has_files = [&self.user.token_file, &self.user.client_certificate, &self.user.client_key];
        let is_old = state.looked.is_none_or(|looked| state.is_refused || looked.elapsed() > LOOK);
        is_old && has_files.into_iter().any(|path| !path.is_empty())
    }

    /// The API server did not know whom a request showed; what was read since then, it may know.
    async fn refused(&self, loaded: u64) {
        let mut state = self.state.lock().await;
        state.is_refused |= state.shown.loaded == loaded;
    }
}

impl User {
    /// Whoever has a token or a password needs no program.
    fn runs_a_program(&self) -> bool {
        let own = [&self.token, &self.token_file, &self.username];
        self.exec.is_some() && own.into_iter().all(String::is_empty)
    }
}

fn load(user: &User, cluster: &Cluster, state: &mut State) -> Result<(), CredentialsError> {
    // Also where it fails, so that it is not tried with each request.
    state.looked = Some(Instant::now());
    let refused = std::mem::take(&mut state.is_refused);
    let mut pem = identity::read(user)?;
    if let Some(exec) = user.exec.as_ref().filter(|_| user.runs_a_program()) {
        let answer = program::run(exec, cluster).inspect_err(|_| state.is_refused = refused)?;
        state.shown.authorization = answer
            .token
            .map(|token| bearer(&token, "token of the program (exec) of the kubeconfig's user"))
            .transpose()?;
        state.expires = answer.expires;
        pem = answer.certificate.map(|(certificate, key)| (certificate.into_bytes(), key.into_bytes())).or(pem);
    } else {
        state.shown.authorization = authorization(user)?;
    }
    if state.pem != pem {
        let identity = pem.as_ref().map(|(certificate, key)| identity::certified(certificate, key)).transpose()?;
        state.shown.identity = identity.map(Arc::new);
        state.shown.version += 1;
        state.pem = pem;
    }
    state.shown.loaded += 1;
    Ok(())
}

/// The `Authorization` header of a user whose credentials do not come from a program (`exec`).
fn authorization(user: &User) -> Result<Option<HeaderValue>, CredentialsError> {
    if !user.token_file.is_empty() {
        match token_of(&user.token_file) {
            // The file counts more, as long as there is one.
            Err(_) if !user.token.is_empty() => {}
            token => return bearer(&token?, "content of the token file").map(Some),
        }
    }
    if !user.token.is_empty() {
        return bearer(&user.token, "token of the kubeconfig's user").map(Some);
    }
    if !user.username.is_empty() {
        let pair = STANDARD.encode(format!("{}:{}", user.username, user.password));
        return secret(&format!("Basic {pair}"), "username or password of the kubeconfig's user").map(Some);
    }
    Ok(None)
}

fn token_of(path: &str) -> Result<String, CredentialsError> {
    let bytes = read_again(path).map_err(|error| CredentialsError::TokenFile(path.into(), error))?;
    // What is not text cannot be a header either, which is told there.
    match String::from_utf8_lossy(&bytes).trim() {
        "" => Err(CredentialsError::NoToken(path.into())),
        token => Ok(token.to_owned()),
    }
}

fn bearer(token: &str, what: &'static str) -> Result<HeaderValue, CredentialsError> {
    secret(&format!("Bearer {token}"), what)
}

fn secret(text: &str, what: &'static str) -> Result<HeaderValue, CredentialsError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| CredentialsError::Header(what))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Has every request say who we are: in a header, and as [`Shown`] among its extensions for who makes the connection.
#[derive(Clone)]
pub(super) struct Identify(pub Arc<Credentials>);

/// See [`Identify`].
#[derive(Clone)]
pub(super) struct Identified<S> {
    inner: S,
    credentials: Arc<Credentials>,
}

impl<S> Layer<S> for Identify {
    type Service = Identified<S>;

    fn layer(&self, inner: S) -> Identified<S> {
        Identified { inner, credentials: Arc::clone(&self.0) }
    }
}

impl<S, B, A> Service<Request<B>> for Identified<S>
where
    S: Service<Request<B>, Response = Response<A>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    A: Send,
{
    type Response = Response<A>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let credentials = Arc::clone(&self.credentials);
        Box::pin(async move {
            let shown = credentials.current().await?;
            if let Some(value) = &shown.authorization {
                request.headers_mut().entry(AUTHORIZATION).or_insert_with(|| value.clone());
            }
            let loaded = shown.loaded;
            request.extensions_mut().insert(shown);
            let answer = inner.call(request).await?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                credentials.refused(loaded).await;
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::kubeconfig::{Exec, Variable};
    use super::*;

    const ANSWER: &str =
        r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"x"}}"#;

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, text).unwrap();
        let path = path.to_string_lossy().into_owned();
        (dir, path)
    }

    async fn header(credentials: &Arc<Credentials>) -> String {
        let shown = credentials.current().await.unwrap();
        shown.authorization.unwrap().to_str().unwrap().to_owned()
    }

    /// The API server does not know whom we show now.
    async fn refuse(credentials: &Arc<Credentials>) {
        let loaded = credentials.state.lock().await.shown.loaded;
        credentials.refused(loaded).await;
    }

    /// A program of shell code.
    fn script(code: String) -> Exec {
        Exec {
            command: "sh".into(),
            args: vec!["-c".into(), code],
            api_version: "client.authentication.k8s.io/v1".into(),
            interactive_mode: "Never".into(),
            ..Exec::default()
        }
    }

    #[tokio::test]
    async fn a_token_file_is_read_again_after_a_refusal_and_kept_without_it() {
        let (dir, token_file) = file("one\n");
        let path = token_file.clone();
        let user = User { token_file, ..User::default() };
        let credentials = Arc::new(Credentials::new(user, Cluster::default()).unwrap());
        assert_eq!(header(&credentials).await, "Bearer one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(header(&credentials).await, "Bearer one", "not looked at yet");
        refuse(&credentials).await;
        assert_eq!(header(&credentials).await, "Bearer two");
        drop(dir);
        refuse(&credentials).await;
        assert_eq!(header(&credentials).await, "Bearer two");
        let warned = credentials.state.lock().await.warned.clone().unwrap();
        assert!(warned.starts_with("cannot read the token file "), "{warned}");
    }

    #[tokio::test]
    async fn a_program_is_run_again_once_what_it_said_has_expired() {
        let (_dir, path) = file("1");
        let code = format!(
            "n=$(cat {path}); echo $((n+1)) > {path}; echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\
             \"client.authentication.k8s.io/v1\",\"status\":{{\"token\":\"'$n'\",\"expirationTimestamp\":\"'$END'\"}}}}'"
        );
        let exec =
            |end: &str| Exec { env: vec![Variable { name: "END".into(), value: end.into() }], ..script(code.clone()) };
        let user = |end| User { exec: Some(exec(end)), ..User::default() };
        let expired = Arc::new(Credentials::new(user("2000-01-01T00:00:00Z"), Cluster::default()).unwrap());
        assert_eq!((header(&expired).await, header(&expired).await), ("Bearer 2".into(), "Bearer 3".into()));
        let lasting = Arc::new(Credentials::new(user("2999-01-01T00:00:00Z"), Cluster::default()).unwrap());
        assert_eq!((header(&lasting).await, header(&lasting).await), ("Bearer 4".into(), "Bearer 4".into()));
        let earlier = lasting.current().await.unwrap().loaded;
        refuse(&lasting).await;
        assert_eq!((header(&lasting).await, header(&lasting).await), ("Bearer 5".into(), "Bearer 5".into()));
        lasting.refused(earlier).await;
        assert_eq!(header(&lasting).await, "Bearer 5", "a late refusal of what was shown before");
    }

    #[tokio::test]
    async fn a_program_that_fails_is_not_run_for_each_request() {
        let (_dir, path) = file("");
        let exec = script(format!("echo >> {path}; test $(wc -l < {path}) = 1 && echo '{ANSWER}'"));
        let user = User { exec: Some(exec), ..User::default() };
        let credentials = Arc::new(Credentials::new(user, Cluster::default()).unwrap());
        refuse(&credentials).await;
        for _ in 0..3 {
            let error = credentials.current().await.err().unwrap().to_string();
            assert!(error.contains("failed: exit status: 1"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\n\n");
        credentials.state.lock().await.failed.as_mut().unwrap().0 -= LOOK;
        assert!(credentials.current().await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\n\n\n");
    }

    #[test]
    fn what_no_header_can_have_is_told() {
        let user = User { token: "a\nb".into(), ..User::default() };
        let error = Credentials::new(user, Cluster::default()).err().unwrap();
        assert!(error.to_string().starts_with("the token of the kubeconfig's user has characters"), "{error}");
    }
}
