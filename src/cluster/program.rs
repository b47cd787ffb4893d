//! Credential programs (`exec` of a kubeconfig's user): run, and their answer read.
//!
//! What they are told and what they answer is `ExecCredential` of `client.authentication.k8s.io`.

use super::content::{ContentError, parse, typed};
use super::file::read_again;
use super::kubeconfig::{Cluster, Exec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The variable that tells a program what is asked of it.
const ASKED: &str = "KUBERNETES_EXEC_INFO";
/// The extension of a cluster that is for programs.
const FOR_PROGRAMS: &str = "client.authentication.k8s.io/exec";
/// More than any answer.
const LARGEST: u64 = 4 << 20;
/// How long a program may take that asks nobody, and one that may ask a person.
const PATIENCE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));

/// Why a program did not say who we are.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not there.
    #[error("the program {command} of the kubeconfig's user (exec) is not installed, or not in PATH{hint}")]
    Missing {
        /// Which.
        command: String,
        /// What the kubeconfig says of that.
        hint: String,
    },
    /// It cannot be run.
    #[error("cannot run the program {0} of the kubeconfig's user (exec): {1}")]
    Run(String, std::io::Error),
    /// It did not succeed.
    #[error("the program {0} of the kubeconfig's user (exec) failed: {1}")]
    Failed(String, ExitStatus),
    /// It did not end.
    #[error("the program {0} of the kubeconfig's user (exec) did not end within {1:?}, and was ended")]
    Endless(String, Duration),
    /// It wants a person, and there is none.
    #[error(
        "the program {0} of the kubeconfig's user (exec) has interactiveMode Always, and there is no terminal, or nobody may be asked"
    )]
    NoTerminal(String),
    /// It answered something else.
    #[error("the program {0} of the kubeconfig's user (exec) answered what cannot be used: {1}")]
    Answer(String, #[source] AnswerError),
}

/// Why what a program answers cannot be used. None of its text is in it, for that may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is nothing.
    #[error("it printed nothing")]
    Nothing,
    /// It is more than any answer.
    #[error("it printed more than {LARGEST} bytes")]
    TooLong,
    /// What the program has started goes on printing, or may.
    #[error("its output did not end within {0:?}, though it did itself")]
    Endless(Duration),
    /// It is no text.
    #[error("it is not valid UTF-8")]
    NoText,
    /// It has another form.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It is something else.
    #[error("it is a {kind:?} of {api_version:?}, and must be an ExecCredential of {wanted}")]
    NoCredential {
        /// What it says that it is.
        kind: String,
        /// Of which version.
        api_version: String,
        /// Of which version it must be.
        wanted: String,
    },
    /// It says nothing.
    #[error("it has no status")]
    NoStatus,
    /// It does not say who we are.
    #[error("it has neither a token nor a client certificate")]
    NoProof,
    /// It says half of it.
    #[error("it has one of clientCertificateData and clientKeyData, and must have both or none")]
    HalfAPair,
    /// Until when it holds cannot be read.
    #[error("its expirationTimestamp: {0}")]
    Expiration(#[source] k8s_openapi::jiff::Error),
}

/// What a program answers.
#[derive(Default)]
pub(super) struct Answer {
    /// A bearer token.
    pub token: Option<String>,
    /// A client certificate and its key, in PEM.
    pub certificate: Option<(String, String)>,
    /// Until when that holds.
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Credential {
    api_version: String,
    kind: String,
    status: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    token: String,
    client_certificate_data: String,
    client_key_data: String,
    expiration_timestamp: String,
}

/// Runs a program, and waits for its answer without yielding.
///
/// # Errors
/// It is not there, fails, or answers something else.
pub(super) fn run(exec: &Exec, cluster: &Cluster) -> Result<Answer, ProgramError> {
    let is_terminal = !exec.asks_nobody && std::io::stdin().is_terminal();
    let is_interactive = match exec.interactive_mode.as_str() {
        "Never" => false,
        "Always" if !is_terminal => return Err(ProgramError::NoTerminal(exec.command.clone())),
        _ => is_terminal,
    };
    let mut command = Command::new(&exec.command);
    command.args(&exec.args).envs(exec.env.iter().map(|variable| (&variable.name, &variable.value)));
    command.env(ASKED, asked(exec, cluster, is_interactive).to_string());
    command.stdin(if is_interactive { Stdio::inherit() } else { Stdio::null() }).stdout(Stdio::piped());
    if exec.asks_nobody {
        command.stderr(Stdio::null());
    }
    let child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            ProgramError::Missing { command: exec.command.clone(), hint: hint(&exec.install_hint) }
        }
        _ => ProgramError::Run(exec.command.clone(), error),
    })?;
    let text = end(exec, child, if is_interactive { PATIENCE.1 } else { PATIENCE.0 })?;
    answer(exec, &text).map_err(|problem| ProgramError::Answer(exec.command.clone(), problem))
}

/// What the kubeconfig says of a missing program, without what would move a terminal's cursor.
fn hint(text: &str) -> String {
    let plain: String = text.trim().chars().filter(|c| !c.is_control() || *c == '\n').collect();
    if plain.is_empty() { plain } else { format!("; its kubeconfig says: {plain}") }
}

fn asked(exec: &Exec, cluster: &Cluster, is_interactive: bool) -> Value {
    let mut spec = Map::from_iter([("interactive".to_owned(), json!(is_interactive))]);
    if exec.provide_cluster_info {
        spec.insert("cluster".to_owned(), told(cluster));
    }
    json!({ "kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec })
}

fn told(cluster: &Cluster) -> Value {
    let authority = match read_again(&cluster.certificate_authority) {
        Ok(pem) => STANDARD.encode(pem),
        Err(_) => cluster.certificate_authority_data.clone(),
    };
    let texts = [
        ("server", &cluster.server),
        ("tls-server-name", &cluster.tls_server_name),
        ("certificate-authority-data", &authority),
        ("proxy-url", &cluster.proxy_url),
    ];
    let mut all: Map<String, Value> = Map::new();
    all.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.into(), json!(text))));
    let flags = [
        ("insecure-skip-tls-verify", cluster.insecure_skip_tls_verify),
        ("disable-compression", cluster.disable_compression),
    ];
    all.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name.into(), json!(true))));
    let mut extensions = cluster.extensions.iter();
    if let Some(found) = extensions.find(|extension| extension.name == FOR_PROGRAMS) {
        all.insert("config".into(), found.extension.clone());
    }
    Value::Object(all)
}

/// Waits until a program has ended, and gives what it printed.
fn end(exec: &Exec, mut child: Child, patience: Duration) -> Result<String, ProgramError> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(50);
    let failed = |error| ProgramError::Run(exec.command.clone(), error);
    let wrong = |problem| ProgramError::Answer(exec.command.clone(), problem);
    let (sender, printed) = mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let mut bytes = vec![];
        let mut pipe = stdout.map(|pipe| pipe.take(LARGEST + 1));
        let read = pipe.as_mut().map_or(Ok(0), |pipe| pipe.read_to_end(&mut bytes));
        // Told before the pipe is closed, which may end a program that prints on.
        sender.send(read.map(|_| bytes))
    });
    let (begin, mut pause) = (Instant::now(), Duration::from_millis(1));
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if begin.elapsed() > patience {
            let _ = child.kill();
            let _ = child.wait();
            return Err(ProgramError::Endless(exec.command.clone(), patience));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    let rest = if status.success() { patience.saturating_sub(begin.elapsed()) } else { Duration::ZERO };
    let read = printed.recv_timeout(rest);
    if let Ok(Ok(bytes)) = &read
        && bytes.len() as u64 > LARGEST
    {
        return Err(wrong(AnswerError::TooLong));
    }
    if !status.success() {
        return Err(ProgramError::Failed(exec.command.clone(), status));
    }
    // What a program has started may keep the pipe open for ever.
    let read = read.map_err(|_| wrong(AnswerError::Endless(patience)))?;
    String::from_utf8(read.map_err(failed)?).map_err(|_| wrong(AnswerError::NoText))
}

fn answer(exec: &Exec, text: &str) -> Result<Answer, AnswerError> {
    if text.trim().is_empty() {
        return Err(AnswerError::Nothing);
    }
    let credential: Credential = parse(text).and_then(typed)?;
    if credential.kind != "ExecCredential" || credential.api_version != exec.api_version {
        let Credential { kind, api_version, .. } = credential;
        return Err(AnswerError::NoCredential { kind, api_version, wanted: exec.api_version.clone() });
    }
    let status: Status = typed(credential.status.ok_or(AnswerError::NoStatus)?)?;
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let token = filled(status.token);
    let certificate = match (filled(status.client_certificate_data), filled(status.client_key_data)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) if token.is_none() => return Err(AnswerError::NoProof),
        (None, None) => None,
        _ => return Err(AnswerError::HalfAPair),
    };
    let expires = filled(status.expiration_timestamp).map(|text| text.parse::<Timestamp>());
    let expires = expires.transpose().map_err(AnswerError::Expiration)?;
    Ok(Answer { token, certificate, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(code: &str) -> Exec {
        Exec {
            command: "sh".into(),
            args: vec!["-c".into(), code.into()],
            api_version: "client.authentication.k8s.io/v1".into(),
            interactive_mode: "Never".into(),
            ..Exec::default()
        }
    }

    fn refusal(exec: &Exec) -> String {
        run(exec, &Cluster::default()).err().unwrap().to_string()
    }

    #[test]
    fn a_missing_program_is_told_with_the_hint_of_the_kubeconfig() {
        let exec =
            Exec { command: "nowhere-to-be-found".into(), install_hint: "brew\u{1b}[1m it\n".into(), ..script("") };
        let text = "the program nowhere-to-be-found of the kubeconfig's user (exec) is not installed, or not in PATH; \
                    its kubeconfig says: brew[1m it";
        assert_eq!(refusal(&exec), text);
    }

    #[test]
    fn what_a_program_does_wrong_is_told() {
        let rows = [
            ("exit 3", "failed: exit status: 3"),
            ("echo hello", "answered what cannot be used"),
            ("true", "it printed nothing"),
            ("echo '{}'", "must be an ExecCredential of client.authentication.k8s.io/v1"),
        ];
        for (code, part) in rows {
            assert!(refusal(&script(code)).contains(part), "{code}: {}", refusal(&script(code)));
        }
        let head = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1""#;
        let rows = [
            ("}", "it has no status"),
            (r#","status":{}}"#, "neither a token nor a client certificate"),
            (r#","status":{"clientKeyData":"x"}}"#, "must have both or none"),
            (r#","status":{"token":"x","expirationTimestamp":"soon"}}"#, "its expirationTimestamp"),
        ];
        for (tail, part) in rows {
            let exec = script(&format!("echo '{head}{tail}'"));
            assert!(refusal(&exec).contains(part), "{tail}: {}", refusal(&exec));
        }
        let always = Exec { interactive_mode: "Always".into(), ..script("exit 0") };
        if !std::io::stdin().is_terminal() {
            assert!(refusal(&always).contains("interactiveMode Always"));
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        let error = end(&script(""), child, Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("did not end within 50ms"));
    }

    #[test]
    fn output_that_does_not_end_is_not_waited_for_and_never_quoted() {
        let ended = |code: &str, patience| {
            let child = Command::new("sh").arg("-c").arg(code).stdout(Stdio::piped()).spawn().unwrap();
            end(&script(""), child, patience).unwrap_err().to_string()
        };
        let text = ended("sleep 2 2>/dev/null & exit 0", Duration::from_millis(200));
        assert!(text.contains("its output did not end within 200ms"), "{text}");
        for code in ["yes hush", "yes hush | head -c 5000000; exit 0", "yes hush | head -c 5000000; exit 7"] {
            let text = ended(code, Duration::from_secs(30));
            assert!(text.contains("it printed more than 4194304 bytes"), "{code}: {text}");
        }
        let head = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status""#;
        for (answer, part) in [
            ("hush".to_owned(), "a mapping must be there"),
            (format!(r#"{head}:{{"token":{{"a":"hush"}}}}}}"#), "token: a string must be there"),
            (format!(r#"{head}:"hush"}}"#), "a mapping must be there"),
        ] {
            let text = refusal(&script(&format!("echo '{answer}'")));
            assert!(text.contains(part) && !text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn a_program_is_told_of_the_cluster_where_it_wants_that() {
        let cluster = Cluster {
            server: "https://there".into(),
            insecure_skip_tls_verify: true,
            extensions: vec![super::super::kubeconfig::Extension {
                name: FOR_PROGRAMS.into(),
                extension: json!({"audience": "x"}),
            }],
            ..Cluster::default()
        };
        let exec = Exec { provide_cluster_info: true, ..script("") };
        let wanted = json!({"server": "https://there", "insecure-skip-tls-verify": true, "config": {"audience": "x"}});
        assert_eq!(asked(&exec, &cluster, false)["spec"], json!({"interactive": false, "cluster": wanted}));
        assert_eq!(asked(&script(""), &cluster, true)["spec"], json!({"interactive": true}));
    }
}
